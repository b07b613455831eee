//! The middleware around every request: its id, its log line, its limits, its headers. It knows no resource.

use std::{
    any::Any,
    net::IpAddr,
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
use ipnet::IpNet;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use super::{error::ApiError, guard, metrics::Metrics, oauth2, pages, peers, request_id};
use crate::server::config::Limits;

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

/// What a node is to the network, whatever it serves: whom it believes, what it bears, what it counts.
pub struct Edge {
    trusted_proxies: Vec<IpAddr>,
    scrapers: Vec<IpNet>,
    limits: Limits,
    metrics: Metrics,
}

impl Edge {
    /// Believes these proxies' `X-Forwarded-For`, and lets these networks read `/metrics` beside this machine itself.
    #[must_use]
    pub fn new(trusted_proxies: &[IpAddr], scrapers: Vec<IpNet>, limits: Limits) -> Arc<Self> {
        let trusted_proxies = trusted_proxies.iter().map(IpAddr::to_canonical).collect();
        Arc::new(Self { trusted_proxies, scrapers, limits, metrics: Metrics::default() })
    }

    /// What it bears.
    pub(super) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What this node counts.
    pub(super) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Lets another part of the node add what it counts to `/metrics`.
    pub fn count(&self, add: impl FnOnce(&mut Registry)) {
        self.metrics.register(add);
    }

    /// True where this address may say for whom it asks.
    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        self.trusted_proxies.contains(&peer)
    }

    /// True where this address may read the metrics.
    pub(super) fn lets_scrape(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || self.scrapers.iter().any(|network| network.contains(&peer))
    }
}

/// The middleware around everything that a node serves, from the outermost inwards. One stack, since every layer of a router by itself
/// boxes the ones below it, and clones them all for each request.
pub(super) fn wrap<S: Clone + Send + Sync + 'static>(router: Router<S>, edge: &Arc<Edge>) -> Router<S> {
    // Streams count only until they begin.
    let places = Arc::new(Semaphore::new(edge.limits.requests_at_once));
    router.layer(
        ServiceBuilder::new()
            .layer(middleware::from_fn_with_state(Arc::clone(edge), peers::look_behind_proxies))
            .layer(middleware::from_fn(request_id::assign))
            .layer(middleware::from_fn_with_state(Arc::clone(edge), log))
            .layer(middleware::from_fn(add_headers))
            .layer(middleware::from_fn(oauth2::in_their_words))
            .layer(middleware::from_fn(pages::in_words))
            .layer(middleware::from_fn(limit_headers))
            .layer(middleware::from_fn(move |request: Request, next: Next| shed(Arc::clone(&places), request, next)))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn_with_state(Arc::clone(edge), limit_time))
            .layer(DefaultBodyLimit::max(edge.limits.body_max_bytes)),
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

async fn limit_time(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if path.starts_with("/v1/imports/") || path == "/v1/medications/adopt" {
        return next.run(request).await;
    }
    let busy = |_| ApiError::Busy { client: false, retry_after: Duration::from_secs(1) }.into_response();
    tokio::time::timeout(edge.limits.request_timeout, next.run(request)).await.unwrap_or_else(busy)
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
async fn log(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let response = next.run(request).await;
    let (elapsed, status) = (began.elapsed(), response.status().as_u16());
    let method = method_label(&method);
    edge.metrics.answered(method, &route, status, elapsed);
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
