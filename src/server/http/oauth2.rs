//! The OAuth2 endpoints that clients reach without a token: token, keys, metadata. Errors here are those of RFC 6749, not problem documents.

use std::time::Duration;

use axum::{
    Json,
    body::Body,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::{ApiError, retry_after},
    extract::{Peer, read_form},
};
use crate::{
    api::{
        PROBLEM_JSON,
        accounts::{TokenAnswer, TokenProblem},
    },
    server::auth::{
        grants::{Issued, TokenError, TokenRequest},
        throttle::Source,
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(oauth_metadata))
        .routes(routes!(openid_metadata))
        .routes(routes!(jwks))
        .routes(routes!(token))
}

/// Metadata of the authorization server (RFC 8414).
#[utoipa::path(
    get, path = "/.well-known/oauth-authorization-server", tag = "oauth2", operation_id = "oauth_metadata", security(()),
    responses((status = 200, description = "What this server offers", body = Object))
)]
pub(super) async fn oauth_metadata(State(state): State<AppState>) -> Response {
    public(state.auth.oauth_metadata())
}

/// Metadata for OpenID Connect clients.
#[utoipa::path(
    get, path = "/.well-known/openid-configuration", tag = "oauth2", operation_id = "openid_metadata", security(()),
    responses((status = 200, description = "What this server offers", body = Object))
)]
pub(super) async fn openid_metadata(State(state): State<AppState>) -> Response {
    public(state.auth.openid_metadata())
}

/// The keys that tokens are verified with (RFC 7517).
#[utoipa::path(
    get, path = "/oauth2/jwks", tag = "oauth2", operation_id = "jwks", security(()),
    responses((status = 200, description = "A JWK set", body = Object))
)]
pub(super) async fn jwks(State(state): State<AppState>) -> Response {
    public(state.auth.jwks())
}

fn public(document: Value) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=60")], Json(document)).into_response()
}

/// Issues tokens: for a code, a refresh token, an approved device, or to a service account.
///
/// A client with a secret authenticates by HTTP Basic or by `client_id` and `client_secret` in the body, not by both; a public one
/// gives its `client_id`. A refresh token works once and gives its successor; sent again within 10 seconds it gives the same successor.
#[utoipa::path(
    post, path = "/oauth2/token", tag = "oauth2", operation_id = "token", security(()),
    request_body(
        content = TokenForm, content_type = "application/x-www-form-urlencoded",
        description = "A token request; an empty parameter counts as left out",
        example = json!({
            "grant_type": "client_credentials", "client_id": "his-bridge", "client_secret": "…", "scope": "tickets:read",
        })
    ),
    responses(
        (status = 200, description = "A token", body = TokenAnswer),
        (status = 400, description = "The request, the scope, the code or the token is not valid, or the device has to wait", body = TokenProblem),
        (status = 401, description = "Unknown client or wrong secret", body = TokenProblem),
        (status = 413, description = "The body is too large", body = TokenProblem),
        (status = 429, description = "Too many attempts failed; see Retry-After", body = TokenProblem),
        (status = 500, description = "The token could not be signed", body = TokenProblem),
        (status = 503, description = "The store is not available; see Retry-After", body = TokenProblem),
    )
)]
pub(super) async fn token(State(state): State<AppState>, form: Posted) -> Response {
    match state.auth.token(form.request()).await {
        Ok(issued) => given(answer(issued)),
        Err(error) => form.refuse(&error),
    }
}

/// A token request.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "documents the form, which is read parameter by parameter so that none comes twice")]
pub(super) struct TokenForm {
    /// `authorization_code`, `refresh_token`, `urn:ietf:params:oauth:grant-type:device_code` or `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// Scopes separated by blanks; all that were granted where left out.
    #[schema(example = "tickets:read tickets:write")]
    scope: Option<String>,
    /// Where the client does not use HTTP Basic.
    client_id: Option<String>,
    /// Where the client does not use HTTP Basic.
    #[schema(format = Password)]
    client_secret: Option<String>,
    /// Of the authorization-code grant.
    code: Option<String>,
    /// Of the authorization-code grant: the same as in the authorization request.
    redirect_uri: Option<String>,
    /// Of the authorization-code grant (RFC 7636): 43 to 128 characters.
    code_verifier: Option<String>,
    /// Of the refresh grant.
    refresh_token: Option<String>,
    /// Of the device grant.
    device_code: Option<String>,
}

/// A form that a client posted, with how it says who it is.
pub(super) struct Posted {
    body: Vec<u8>,
    authorization: Option<String>,
    source: Source,
}

impl Posted {
    pub(super) fn request(&self) -> TokenRequest<'_> {
        TokenRequest { body: &self.body, authorization: self.authorization.as_deref(), source: self.source }
    }

    /// The answer to a request that was refused.
    pub(super) fn refuse(&self, error: &TokenError) -> Response {
        refuse(error, self.authorization.is_some())
    }
}

impl FromRequest<AppState> for Posted {
    type Rejection = Response;
    async fn from_request(request: Request, _: &AppState) -> Result<Self, Response> {
        let source = Peer::of(request.extensions()).source();
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        if !is_form(&parts.headers) {
            let error = TokenError::InvalidRequest("the body must be application/x-www-form-urlencoded");
            return Err(refuse(&error, false));
        }
        let authorization = authorization(&parts.headers).map_err(|error| refuse(&error, true))?.map(str::to_owned);
        Ok(Self { body, authorization, source })
    }
}

async fn read(body: Body) -> Result<Vec<u8>, Response> {
    read_form(body).await.map_err(|error| match error {
        ApiError::BodyTooLarge => problem(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request", "the body is too large"),
        error => error.into_response(),
    })
}

/// A good answer, for its receiver alone.
pub(super) fn given(answer: impl serde::Serialize) -> Response {
    no_store(Json(answer).into_response())
}

fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn authorization(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| TokenError::InvalidClient),
        (Some(_), Some(_)) => Err(TokenError::InvalidRequest("the Authorization header is given more than once")),
    }
}

fn answer(issued: Issued) -> TokenAnswer {
    TokenAnswer {
        access_token: issued.access_token,
        token_type: "Bearer".into(),
        expires_in: issued.expires_in.as_secs(),
        scope: issued.scope,
        refresh_token: issued.refresh_token,
        id_token: issued.id_token,
    }
}

fn refuse(error: &TokenError, by_header: bool) -> Response {
    let status = match error {
        TokenError::InvalidClient => StatusCode::UNAUTHORIZED,
        TokenError::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
        TokenError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        TokenError::Signing => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let description = match error {
        TokenError::Unavailable(cause) => {
            tracing::warn!(error = %cause, "no token was issued");
            "the store is not available; try again".to_owned()
        }
        other => other.to_string(),
    };
    let mut response = problem(status, error.code(), &description);
    if matches!(error, TokenError::InvalidClient) && by_header {
        let challenge = HeaderValue::from_static("Basic realm=\"medreq\", charset=\"UTF-8\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    let wait = match error {
        TokenError::TooSoon(wait) => Some(*wait),
        TokenError::Unavailable(_) => Some(Duration::from_secs(1)),
        _ => None,
    };
    if let Some(wait) = wait {
        response.headers_mut().insert(header::RETRY_AFTER, retry_after(wait));
    }
    response
}

/// The endpoints whose errors are those of RFC 6749.
const FORMS: [&str; 4] = ["/oauth2/token", "/oauth2/device_authorization", "/oauth2/revoke", "/oauth2/introspect"];

/// Has whoever is held back by the gate or the limits around it told so as clients of OAuth2 read it.
pub(super) async fn in_their_words(request: Request, next: Next) -> Response {
    let theirs = FORMS.contains(&request.uri().path());
    let response = next.run(request).await;
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == PROBLEM_JSON);
    if !theirs || !is_problem {
        return response;
    }
    let told = match response.status() {
        status @ StatusCode::TOO_MANY_REQUESTS => problem(status, "slow_down", "too many requests; wait and try again"),
        status @ StatusCode::SERVICE_UNAVAILABLE => {
            problem(status, "temporarily_unavailable", "the server is busy; try again")
        }
        _ => return response,
    };
    // What else was said stays: when to come back, and whether an app in a browser may read it.
    let (mut head, _) = response.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    let (theirs, body) = told.into_parts();
    head.headers.extend(theirs.headers);
    Response::from_parts(head, body)
}

fn problem(status: StatusCode, error: &str, description: &str) -> Response {
    let body = TokenProblem { error: error.to_owned(), error_description: description.to_owned() };
    no_store((status, Json(body)).into_response())
}

fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

#[cfg(test)]
#[path = "oauth2_tests.rs"]
mod tests;
