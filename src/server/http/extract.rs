//! Extractors: the caller, and bodies, queries and paths of the right shape or a problem that names the field. They know no resource.

use std::{borrow::Cow, net::IpAddr, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Response},
};
use futures_util::StreamExt;
use serde::{Serialize, de::DeserializeOwned};

use super::{AppState, Edge, error::ApiError, strict::Strict};
use crate::server::auth::{AuthError, Principal, Scope, throttle::Source};

/// Longest time that a body may take to arrive.
pub(super) const BODY_WITHIN: Duration = Duration::from_secs(30);

/// Longest form, in bytes. Anybody may send one: it is read no further and waited for no longer than a form needs.
const FORM_MAX_BYTES: usize = 16 * 1_024;

/// Longest time that a form may take to arrive.
const FORM_WITHIN: Duration = Duration::from_secs(5);

/// A body that is too large is read on and thrown away up to this size, so that its sender lives to read the answer.
const DRAIN_MAX_BYTES: usize = 64 * 1_024 * 1_024;

/// Who sends the request. The guard has checked the token and the scopes that the operation documents.
#[derive(Debug, Clone)]
pub(super) struct Caller(pub(super) Principal);

impl Caller {
    /// Passes where the scope is held: for a need that depends on the request.
    pub(super) fn require(&self, scope: Scope) -> Result<(), ApiError> {
        Ok(self.0.require(scope)?)
    }
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| AuthError::MissingToken.into())
    }
}

/// Address of the other end of the connection; the loopback address where there is none (in tests).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

impl Peer {
    /// As the throttle wants it.
    pub(super) fn source(self) -> Source {
        self.0.into()
    }

    /// That of a request.
    pub(super) fn of(extensions: &axum::http::Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or(Self(IpAddr::from([127, 0, 0, 1])))
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Ok(Self::of(&parts.extensions))
    }
}

/// A JSON body: as an extractor strict, as an answer plain.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            drain(body).await;
            return Err(ApiError::UnsupportedMediaType);
        }
        parse_json(&read(body, &state.edge).await?).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// A JSON body that may be left out: then it is `{}`.
#[derive(Debug)]
pub(super) struct LaxJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<AppState> for LaxJson<T> {
    type Rejection = ApiError;
    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, &state.edge).await?;
        if bytes.is_empty() {
            return parse_json(b"{}").map(Self);
        }
        if !is_json(&parts.headers) {
            return Err(ApiError::UnsupportedMediaType);
        }
        parse_json(&bytes).map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence == "application/merge-patch+json"
}

/// Reads a body that is within the limit, however slow its sender would like to be.
pub(super) async fn read(body: Body, edge: &Edge) -> Result<Vec<u8>, ApiError> {
    let max = edge.limits().body_max_bytes;
    tokio::time::timeout(BODY_WITHIN, collect(body, max, DRAIN_MAX_BYTES)).await.map_err(|_| ApiError::BodyTooSlow)?
}

/// Reads a body that nobody wants, so that its sender lives to read the answer.
pub(super) async fn drain(body: Body) {
    // What the sender does with the rest is its business: the answer is known already.
    let _ = tokio::time::timeout(BODY_WITHIN, collect(body, 0, DRAIN_MAX_BYTES)).await;
}

/// Reads the form of somebody who is not known; one that is too large is thrown away within the same time, so that its sender can
/// read the answer. Only [`FORM_MAX_BYTES`] of it are ever held.
pub(super) async fn read_form(body: Body) -> Result<Vec<u8>, ApiError> {
    let form = tokio::time::timeout(FORM_WITHIN, collect(body, FORM_MAX_BYTES, DRAIN_MAX_BYTES));
    form.await.map_err(|_| ApiError::BodyTooSlow)?
}

/// A body of at most `max` bytes; a larger one is thrown away up to `drain`.
async fn collect(body: Body, max: usize, drain: usize) -> Result<Vec<u8>, ApiError> {
    let mut stream = body.into_data_stream();
    let (mut bytes, mut seen) = (Vec::new(), 0_usize);
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| ApiError::bad_request("incomplete_body", "", "the body broke off"))?;
        seen = seen.saturating_add(chunk.len());
        if seen <= max {
            bytes.extend_from_slice(&chunk);
        } else if seen > drain {
            break;
        }
    }
    if seen <= max { Ok(bytes) } else { Err(ApiError::BodyTooLarge) }
}

fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(Strict(&mut deserializer)).map_err(|error| of_json(bytes, &error))?;
    deserializer.end().map_err(|error| not_json(&error))?;
    Ok(value)
}

fn of_json(bytes: &[u8], error: &serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let (cause, text) = (error.inner(), error.inner().to_string());
    if !cause.is_data() && (text.contains("surrogate") || text.contains("hex escape")) {
        let detail = "a \\u escape is half of a surrogate pair; send whole characters";
        return ApiError::bad_request("invalid_json", field_of(error.path(), ""), detail);
    }
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
            Ok(_) => ApiError::bad_request("invalid_body", "", "the body must be a JSON object"),
            Err(error) => not_json(&error),
        };
    }
    if cause.is_data() {
        return ApiError::bad_request("invalid_body", field_of(error.path(), &text), text);
    }
    // A number where a word should be is told as a syntax error, though the text is JSON.
    if serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok() {
        let detail = format!("the value has the wrong type (line {} column {})", cause.line(), cause.column());
        return ApiError::bad_request("invalid_body", field_of(error.path(), ""), detail);
    }
    not_json(cause)
}

fn not_json(error: &serde_json::Error) -> ApiError {
    ApiError::bad_request("invalid_json", "", format!("the body is not JSON: {error}"))
}

/// The path of the offending field; that of a missing, unknown or doubled one stands only in the message.
fn field_of(path: &serde_path_to_error::Path, message: &str) -> String {
    let path = path.to_string();
    let parent = if path == "." || path == "?" { "" } else { path.as_str() };
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|start| message.strip_prefix(start)?.split('`').next());
    match named {
        None => parent.to_owned(),
        Some(name) if parent.is_empty() => name.to_owned(),
        Some(name) if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        Some(name) => format!("{parent}.{name}"),
    }
}

/// The query parameters; give `T` `deny_unknown_fields`, so that a misspelt filter is not silently lost.
#[derive(Debug)]
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        parse_query(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Reads a query string. An empty parameter counts as left out, for forms send them; its name must be one all the same.
pub(super) fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let (empty, given): (Vec<_>, Vec<_>) =
        form_urlencoded::parse(query.as_bytes()).partition(|(_, value)| value.is_empty());
    let unknown = |error: &PairsError| error.inner().to_string().starts_with("unknown field `");
    // Read alone, it is refused by its name where it has none here, and for its value or what else is missing where it has.
    let misspelt = empty.iter().filter_map(|pair| from_pairs::<T>(std::slice::from_ref(pair)).err()).find(unknown);
    misspelt.map_or_else(|| from_pairs(&given), Err).map_err(|error| {
        let text = error.inner().to_string();
        ApiError::bad_request("invalid_parameter", field_of(error.path(), &text), text)
    })
}

type PairsError = serde_path_to_error::Error<serde::de::value::Error>;

fn from_pairs<T: DeserializeOwned>(pairs: &[(Cow<'_, str>, Cow<'_, str>)]) -> Result<T, PairsError> {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(form_urlencoded::parse(query.as_bytes())))
}

/// The parameters of the path.
#[derive(Debug)]
pub(super) struct Path<T>(pub(super) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(error) => Err(ApiError::bad_request("invalid_path", "", error.body_text())),
        }
    }
}
