//! Which endpoints answer an app that runs in a browser, from whatever origin it was loaded. None of them looks at a cookie.

use std::time::Duration;

use axum::{
    extract::Request,
    http::{Method, header},
    middleware::Next,
    response::Response,
};
use tower::{Layer, ServiceExt};
use tower_http::cors::{Any, CorsLayer};

/// What such an app needs to sign somebody in. A secret has no business in a browser: introspection is not among them.
const PATHS: &[&str] = &[
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/oauth2/device_authorization",
    "/oauth2/jwks",
    "/oauth2/revoke",
    "/oauth2/token",
    "/oauth2/userinfo",
];

/// Lets a browser hand the answer to an app of another origin, refusals too.
pub(super) async fn let_in(request: Request, next: Next) -> Response {
    if !PATHS.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let layer = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(Duration::from_secs(3_600));
    layer.layer(next).oneshot(request).await.unwrap_or_else(|never| match never {})
}
