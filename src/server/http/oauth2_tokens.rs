//! The OAuth2 endpoints around tokens: devices, revocation, introspection, userinfo. Errors are those of RFC 6749, userinfo's problem documents.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    extract::{Caller, Json},
    oauth2::{Posted, given},
};
use crate::{
    api::{
        accounts::TokenProblem,
        oauth2::{DeviceAnswer, Introspection, UserInfo},
    },
    server::auth::{Scope, device::DeviceStart, introspect::LivingToken},
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(device_authorization))
        .routes(routes!(revoke))
        .routes(routes!(introspect))
        .routes(routes!(userinfo, post_userinfo))
}

/// Gives a device its codes (RFC 8628 §3.1): it shows one to its user and asks the token endpoint with the other.
#[utoipa::path(
    post, path = "/oauth2/device_authorization", tag = "oauth2", operation_id = "device_authorization", security(()),
    request_body(
        content = DeviceForm, content_type = "application/x-www-form-urlencoded",
        description = "Which app asks, and for what", example = json!({ "client_id": "medreq-cli", "scope": "tickets:read" })
    ),
    responses(
        (status = 200, description = "The codes", body = DeviceAnswer),
        (status = 400, description = "The request or the scope is not valid", body = TokenProblem),
        (status = 401, description = "Unknown client or wrong secret", body = TokenProblem),
        (status = 413, description = "The body is too large", body = TokenProblem),
        (status = 429, description = "Too many attempts failed; see Retry-After", body = TokenProblem),
        (status = 503, description = "The store is not available; see Retry-After", body = TokenProblem),
    )
)]
pub(super) async fn device_authorization(State(state): State<AppState>, headers: HeaderMap, form: Posted) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match state.auth.start_device(form.request(), agent).await {
        Ok(start) => given(device_answer(start)),
        Err(error) => form.refuse(&error),
    }
}

/// Which app on a device asks, and for what.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the form, which is read parameter by parameter so that none comes twice")]
pub(super) struct DeviceForm {
    /// Where the client does not use HTTP Basic.
    #[schema(example = "medreq-cli")]
    client_id: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(format = Password)]
    client_secret: Option<String>,
    /// Scopes separated by blanks; all that the client may have, `offline_access` aside, where left out.
    #[schema(example = "tickets:read offline_access")]
    scope: Option<String>,
    /// The device as its owner knows it; the `User-Agent` where left out.
    #[schema(example = "pharmacy-pc-2")]
    device_name: Option<String>,
}

/// Ends the session that a token belongs to (RFC 7009); a token that is unknown or dead is revoked already.
#[utoipa::path(
    post, path = "/oauth2/revoke", tag = "oauth2", operation_id = "revoke", security(()),
    request_body(
        content = RevocationForm, content_type = "application/x-www-form-urlencoded",
        description = "The token, by the client that it was issued to", example = json!({ "client_id": "medreq-cli", "token": "…" })
    ),
    responses(
        (status = 200, description = "The token is dead"),
        (status = 400, description = "The request is not valid, or the token is another client's", body = TokenProblem),
        (status = 401, description = "Unknown client or wrong secret", body = TokenProblem),
        (status = 413, description = "The body is too large", body = TokenProblem),
        (status = 429, description = "Too many attempts failed; see Retry-After", body = TokenProblem),
        (status = 503, description = "The store is not available and nothing was revoked; see Retry-After", body = TokenProblem),
    )
)]
pub(super) async fn revoke(State(state): State<AppState>, form: Posted) -> Response {
    match state.auth.revoke(form.request()).await {
        Ok(()) => StatusCode::OK.into_response(),
        Err(error) => form.refuse(&error),
    }
}

/// A token to revoke.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the form, which is read parameter by parameter so that none comes twice")]
pub(super) struct RevocationForm {
    /// An access token or a refresh token.
    #[schema(format = Password)]
    token: String,
    /// Not needed and passed over.
    token_type_hint: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(example = "medreq-cli")]
    client_id: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(format = Password)]
    client_secret: Option<String>,
}

/// Says whether a token is alive, and what it may be used for now (RFC 7662). Only for clients with a secret.
#[utoipa::path(
    post, path = "/oauth2/introspect", tag = "oauth2", operation_id = "introspect", security(()),
    request_body(
        content = IntrospectionForm, content_type = "application/x-www-form-urlencoded",
        description = "The token, by a client with a secret",
        example = json!({ "client_id": "his-bridge", "client_secret": "…", "token": "…" })
    ),
    responses(
        (status = 200, description = "What it says; `active` is false for whatever is dead or unknown", body = Introspection),
        (status = 400, description = "The request is not valid", body = TokenProblem),
        (status = 401, description = "Unknown client, wrong secret or none", body = TokenProblem),
        (status = 413, description = "The body is too large", body = TokenProblem),
        (status = 429, description = "Too many attempts failed; see Retry-After", body = TokenProblem),
        (status = 503, description = "The store is not available; see Retry-After", body = TokenProblem),
    )
)]
pub(super) async fn introspect(State(state): State<AppState>, form: Posted) -> Response {
    match state.auth.introspect(form.request()).await {
        Ok(living) => given(living.map(|token| introspection(token, state.auth.issuer())).unwrap_or_default()),
        Err(error) => form.refuse(&error),
    }
}

/// A token to look at.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the form, which is read parameter by parameter so that none comes twice")]
pub(super) struct IntrospectionForm {
    /// An access token of anybody, or a refresh token of one's own.
    #[schema(format = Password)]
    token: String,
    /// Not needed and passed over.
    token_type_hint: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(example = "his-bridge")]
    client_id: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(format = Password)]
    client_secret: Option<String>,
}

/// Who the token belongs to (OpenID Connect).
#[utoipa::path(
    get, path = "/oauth2/userinfo", tag = "oauth2", operation_id = "userinfo", security(("bearer" = ["openid"])),
    responses((status = 200, description = "Whose token it is", body = UserInfo))
)]
pub(super) async fn userinfo(caller: Caller) -> Json<UserInfo> {
    Json(user_info(caller))
}

/// Who the token belongs to, asked by POST as OpenID Connect allows.
#[utoipa::path(
    post, path = "/oauth2/userinfo", tag = "oauth2", operation_id = "post_userinfo", security(("bearer" = ["openid"])),
    responses((status = 200, description = "Whose token it is", body = UserInfo))
)]
pub(super) async fn post_userinfo(caller: Caller) -> Json<UserInfo> {
    Json(user_info(caller))
}

fn user_info(caller: Caller) -> UserInfo {
    let profile = caller.0.scopes.contains(&Scope::Profile);
    let person = caller.0.actor.person;
    UserInfo {
        sub: person.id.0,
        name: profile.then_some(person.name),
        preferred_username: profile.then(|| person.username.to_string()),
    }
}

fn device_answer(start: DeviceStart) -> DeviceAnswer {
    DeviceAnswer {
        device_code: start.device_code,
        user_code: start.user_code,
        verification_uri: start.verification_uri,
        verification_uri_complete: start.verification_uri_complete,
        expires_in: start.expires_in,
        interval: start.interval,
    }
}

fn introspection(token: LivingToken, issuer: &str) -> Introspection {
    Introspection {
        active: true,
        scope: Some(token.scope),
        client_id: Some(token.client_id),
        username: Some(token.username),
        token_type: token.is_access.then(|| "Bearer".to_owned()),
        exp: Some(token.exp),
        iat: Some(token.iat),
        sub: Some(token.sub),
        sid: Some(token.sid),
        aud: token.aud,
        iss: Some(issuer.to_owned()),
        jti: token.jti,
    }
}
