//! The middleware around every request: its id, its log line, its limits, its headers. It knows no resource.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use super::{
    AppState, cors,
    error::ApiError,
    guard::{self, Guard},
    oauth2, pages, peers,
    replies::{self, Replies},
    request_id,
};

/// Most bytes of a request's headers, and of its address. The connection reads more, so that this is answered by a problem document.
const HEADERS_MAX_BYTES: usize = 32 * 1_024;

/// Most headers of a request.
const HEADERS_MAX: usize = 100;

const SECURITY_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
];

/// The middleware around every route, from the outermost inwards. One stack, since every layer of a router by itself boxes the ones below
/// it, and clones them all for each request.
pub(super) fn wrap(router: Router<AppState>, state: &AppState, guard: Guard, replies: Replies) -> Router<AppState> {
    // Streams count only until they begin.
    let places = Arc::new(Semaphore::new(state.limits.requests_at_once));
    router.layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(state.clone(), peers::look_behind_proxies))
            .layer(middleware::from_fn(request_id::assign))
            .layer(middleware::from_fn_with_state(state.clone(), log))
            .layer(middleware::from_fn(add_headers))
            .layer(middleware::from_fn(oauth2::in_their_words))
            .layer(middleware::from_fn(pages::in_words))
            .layer(middleware::from_fn(limit_headers))
            .layer(middleware::from_fn(move |request: Request, next: Next| shed(Arc::clone(&places), request, next)))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(state.clone(), limit_time))
            .layer(middleware::from_fn(cors::let_in))
            .layer(middleware::from_fn_with_state(Arc::new(guard), guard::authenticate))
            .layer(middleware::from_fn_with_state(Arc::new(replies), replies::answer_once))
            .layer(DefaultBodyLimit::max(state.limits.body_max_bytes)),
    )
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    ApiError::Internal(format!("a handler panicked: {}", text.unwrap_or("without a text"))).into_response()
}

async fn shed(places: Arc<Semaphore>, request: Request, next: Next) -> Response {
    if guard::is_watching(&request) {
        return next.run(request).await;
    }
    match places.try_acquire() {
        Ok(_place) => next.run(request).await,
        Err(_) => ApiError::Busy { client: false, retry_after: Duration::from_secs(1) }.into_response(),
    }
}

async fn limit_headers(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query().map_or(0, |address| address.as_str().len());
    let headers = request.headers();
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let (status, code, detail) = if address > HEADERS_MAX_BYTES {
        (StatusCode::URI_TOO_LONG, "uri_too_long", "the address is longer than 32 KiB; ask for less at once")
    } else if bytes > HEADERS_MAX_BYTES || headers.len() > HEADERS_MAX {
        let detail = "the headers are larger than 32 KiB or more than 100; send fewer or shorter ones";
        (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large", detail)
    } else {
        return next.run(request).await;
    };
    ApiError::Other { status, code, field: None, detail: detail.to_owned() }.into_response()
}

async fn limit_time(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/v1/imports/") || path == "/v1/medications/adopt" {
        return next.run(request).await;
    }
    let busy = |_| ApiError::Busy { client: false, retry_after: Duration::from_secs(1) }.into_response();
    tokio::time::timeout(state.limits.request_timeout, next.run(request)).await.unwrap_or_else(busy)
}

/// Answers are for one reader and hold no page, unless the handler says otherwise.
async fn add_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in SECURITY_HEADERS {
        headers.entry(name).or_insert(value);
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// One line and one count a request: the route's template, never the query nor a header.
async fn log(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let (elapsed, status) = (began.elapsed(), response.status().as_u16());
    let method = method_label(&method);
    state.metrics().answered(method, &route, status, elapsed);
    let elapsed_ms = elapsed.as_millis();
    tracing::info!(http.method = method, http.route = %route, http.status = status, elapsed_ms, "answered");
    response
}

/// Anybody can make up methods: they must make up neither labels nor text in the log.
fn method_label(method: &Method) -> &str {
    match *method {
        Method::GET | Method::HEAD | Method::POST | Method::PUT | Method::PATCH | Method::DELETE | Method::OPTIONS => {
            method.as_str()
        }
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_up_method_is_neither_counted_nor_logged_by_name() {
        assert_eq!(method_label(&Method::PATCH), "PATCH");
        assert_eq!(Method::from_bytes(b"PASSWORD").as_ref().map(method_label).ok(), Some("other"));
    }
}
