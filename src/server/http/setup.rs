//! The one-time link of the first administrator: a form and its answer. Takes nothing from another site and is kept by no cache.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use utoipa_axum::router::OpenApiRouter;

use super::{
    AppState,
    error::ApiError,
    extract::{Path, read_form},
    setup_page::{self, Language, Wrong},
};
use crate::server::auth::{accounts::AccountError, bootstrap::FirstAdmin};

/// The page's route; it is for people and stands in no API document.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().route("/setup/{token}", get(show).post(submit))
}

/// Shows the form of the first administrator.
pub(super) async fn show(State(state): State<AppState>, Path(_token): Path<String>, headers: HeaderMap) -> Response {
    let language = language(&headers);
    match state.auth.needs_setup().await {
        Ok(true) => page(StatusCode::OK, setup_page::form(language, None, "", "")),
        Ok(false) => page(StatusCode::GONE, setup_page::spent(language)),
        Err(error) => unavailable(&error),
    }
}

/// Creates the first administrator.
pub(super) async fn submit(
    State(state): State<AppState>,
    Path(token): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let language = language(&headers);
    if !same_origin(&headers) {
        return page(StatusCode::FORBIDDEN, setup_page::spent(language));
    }
    let form = match read_form(body).await {
        Ok(body) => Form::read(&body),
        Err(ApiError::BodyTooLarge) => {
            return page(StatusCode::PAYLOAD_TOO_LARGE, setup_page::form(language, Some(Wrong::Password), "", ""));
        }
        Err(error) => return error.into_response(),
    };
    let again = |wrong| {
        page(StatusCode::UNPROCESSABLE_ENTITY, setup_page::form(language, Some(wrong), &form.username, &form.name))
    };
    if form.password != form.repeat {
        return again(Wrong::Repeat);
    }
    let admin = FirstAdmin { username: &form.username, name: &form.name, password: &form.password };
    match state.auth.complete_setup(&token, admin).await {
        Ok(_) => page(StatusCode::OK, setup_page::done(language)),
        Err(AccountError::Invalid { field: "username", .. }) => again(Wrong::Username),
        Err(AccountError::Invalid { field: "name", .. }) => again(Wrong::Name),
        Err(AccountError::Invalid { .. }) => again(Wrong::Password),
        Err(AccountError::Exists { .. }) => again(Wrong::UsernameTaken),
        Err(AccountError::LinkSpent) => page(StatusCode::GONE, setup_page::spent(language)),
        Err(error) => unavailable(&error),
    }
}

#[derive(Default)]
struct Form {
    username: String,
    name: String,
    password: String,
    repeat: String,
}

impl Form {
    fn read(body: &[u8]) -> Self {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            match name.as_ref() {
                "username" => form.username = value.into_owned(),
                "name" => form.name = value.into_owned(),
                "password" => form.password = value.into_owned(),
                "repeat" => form.repeat = value.into_owned(),
                _ => {}
            }
        }
        form
    }
}

/// A browser says where a form comes from; what says nothing is no browser.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
    }
}

fn language(headers: &HeaderMap) -> Language {
    Language::negotiate(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()))
}

fn unavailable(error: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%error, "the setup page could not be answered");
    let mut response = page(StatusCode::SERVICE_UNAVAILABLE, String::new());
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

fn page(status: StatusCode, html: String) -> Response {
    let policy = setup_page::content_security_policy();
    let headers = [
        (header::CONTENT_SECURITY_POLICY, policy.as_str()),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // `no-referrer` would have the browser send `Origin: null` with the form.
        (header::REFERRER_POLICY, "same-origin"),
        (header::VARY, "accept-language"),
    ];
    (status, headers, Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_from_another_site_is_refused() {
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site"), ("origin", "http://h"), ("host", "h")])));
        assert!(same_origin(&headers(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "https://evil.test"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "null"), ("host", "127.0.0.1:8080")])));
        assert!(same_origin(&headers(&[("host", "127.0.0.1:8080")])));
    }
}
