//! Answers of the pages: HTML under a strict policy, redirects after forms, and problems told in words. No answer is kept by a cache.

use askama::Template;
use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next as Rest,
    response::{Html, IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use sha2::{Digest, Sha256};

use super::{
    browser,
    next::HOME,
    views::{Frame, MessagePage, STYLE},
    words::Words,
};
use crate::{
    api::PROBLEM_JSON,
    server::http::{error::ApiError, request_id},
};

/// Forms of a page go to this server, and nowhere on from there.
pub(super) const HERE: &str = "form-action 'self'; ";

/// Where forms may go whose answer leads on to an app: Chromium holds redirects to it, too. Its grammar knows no IPv6 address: then
/// nothing is said of forms, which `default-src` does not cover.
pub(super) fn and_on_to(redirect_uri: &str) -> String {
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:".contains(&b));
    let source = match redirect_uri.split_once("://") {
        Some((scheme, rest)) => {
            rest.split(['/', '?']).next().filter(|host| plain(host)).map(|host| format!("{scheme}://{host}"))
        }
        None => redirect_uri
            .split_once(':')
            .map(|(scheme, _)| scheme)
            .filter(|scheme| plain(scheme))
            .map(|scheme| format!("{scheme}:")),
    };
    source.map_or_else(String::new, |source| format!("form-action 'self' {source}; "))
}

/// A page: no script, no frame, one style known by its hash.
pub(super) fn page(status: StatusCode, page: &impl Template, form_action: &str) -> Response {
    let html = match page.render() {
        Ok(html) => html,
        Err(error) => return ApiError::Internal(format!("a page could not be rendered: {error}")).into_response(),
    };
    let hash = STANDARD.encode(Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; {form_action}base-uri 'none'; frame-ancestors 'none'");
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        // `no-referrer` would have the browser send `Origin: null` with the form.
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept-language, cookie"),
    ];
    (status, headers, Html(html)).into_response()
}

/// Leads on after a form: whatever the form was, what follows is fetched.
pub(super) fn see_other(location: &str) -> Response {
    let location = HeaderValue::from_str(location);
    match location {
        Ok(location) => (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response(),
        Err(_) => ApiError::Internal("a redirect holds characters that no header may".to_owned()).into_response(),
    }
}

/// A page that only tells something, to somebody of whom nothing needs to be known.
pub(super) fn message(
    w: &'static Words,
    status: StatusCode,
    texts: (&'static str, &'static str),
    detail: Option<String>,
    link: Option<(&'static str, &'static str)>,
) -> Response {
    let told =
        MessagePage { page: Frame::of_anybody(w), title: texts.0.to_owned(), lines: vec![texts.1], detail, link };
    page(status, &told, HERE)
}

/// True for the paths that people open in a browser.
fn is_page(path: &str) -> bool {
    let within = |root: &str| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    path == super::next::AUTHORIZE
        || ["/account", "/device", "/login", "/logout", "/reset", "/setup"].into_iter().any(within)
}

/// Tells the problems of pages as pages, whoever found them: handlers, the gate, or the limits around them.
pub(in crate::server::http) async fn in_words(request: Request, rest: Rest) -> Response {
    if !is_page(request.uri().path()) {
        return rest.run(request).await;
    }
    let w = browser::words(request.headers());
    let response = rest.run(request).await;
    if response.headers().get(header::CONTENT_TYPE).is_none_or(|value| value != PROBLEM_JSON) {
        return response;
    }
    let status = response.status();
    let mut told = message(
        w,
        status,
        texts(w, status),
        detail(status),
        Some((HOME, w.back)).filter(|_| status == StatusCode::FORBIDDEN),
    );
    for name in [header::RETRY_AFTER, header::ALLOW] {
        if let Some(value) = response.headers().get(&name) {
            told.headers_mut().insert(name, value.clone());
        }
    }
    told
}

fn texts(w: &Words, status: StatusCode) -> (&'static str, &'static str) {
    match status {
        StatusCode::FORBIDDEN => (w.oops_stale, w.oops_stale_next),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => (w.oops_missing, w.oops_missing_next),
        StatusCode::REQUEST_TIMEOUT => (w.oops_slow, w.oops_slow_next),
        StatusCode::PAYLOAD_TOO_LARGE => (w.oops_large, w.oops_large_next),
        StatusCode::TOO_MANY_REQUESTS => (w.oops_often, w.oops_often_next),
        StatusCode::SERVICE_UNAVAILABLE => (w.oops_busy, w.oops_busy_next),
        status if status.is_client_error() => (w.oops_request, w.oops_request_next),
        _ => (w.oops_broken, w.oops_broken_next),
    }
}

/// What an administrator finds the cause by in the log.
fn detail(status: StatusCode) -> Option<String> {
    if status.is_server_error() { request_id::current() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_lead_to_the_app_that_asked_and_nowhere_else() {
        assert_eq!(and_on_to("http://127.0.0.1:4711/cb?x=1"), "form-action 'self' http://127.0.0.1:4711; ");
        assert_eq!(and_on_to("https://app.example.org/cb"), "form-action 'self' https://app.example.org; ");
        assert_eq!(and_on_to("org.example.app:/cb"), "form-action 'self' org.example.app:; ");
        assert_eq!(and_on_to("http://[::1]:80/cb"), "");
        assert_eq!(and_on_to("https://a; script-src *"), "");
    }

    #[test]
    fn only_pages_tell_their_problems_in_words() {
        for page in ["/login", "/login/factor", "/setup/abc", "/oauth2/authorize", "/account", "/device"] {
            assert!(is_page(page), "{page}");
        }
        for other in ["/", "/v1/tickets", "/oauth2/token", "/accounts", "/auth/v1/me", "/devices"] {
            assert!(!is_page(other), "{other}");
        }
    }
}
