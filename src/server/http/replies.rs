//! Answers of writes other than tickets', kept by their idempotency key: a retry gets the first one and does nothing.
//!
//! A reply and its effect are two transactions. A crash between them makes the retry run again, which is harmless because these writes are
//! idempotent by content; what it can cost is a second audit entry. It must never answer one caller with the reply of another, nor run a
//! request twice at the same time. Imports are no part of it, for a file may be sent again, and single-use tickets must be new each time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use axum::{
    body::Body,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex as Turn;

use super::{
    AppState,
    error::ApiError,
    extract::{self, Caller},
    headers::optional_key,
    request_id,
};
use crate::server::{
    auth::Principal,
    ports::{ReferenceStore, StoredReply, SubmitError},
};

/// Says that an answer was given before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Keys that may be worked on at the same time; beyond it a request is told to come back.
const KEYS_AT_ONCE: usize = 1_024;

/// True for an operation whose replies are kept. Tickets have their own way: their replies are the outcomes in the log.
pub(super) fn are_kept(path: &str, method: &Method) -> bool {
    let elsewhere = |root: &str| path == root || path.starts_with(&format!("{root}/"));
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    writes && elsewhere("/v1") && !["/v1/tickets", "/v1/imports", "/v1/events"].into_iter().any(elsewhere)
}

/// The kept replies, and whose turn it is under each key.
pub(super) struct Replies {
    state: AppState,
    turns: Turns,
}

impl Replies {
    /// Over the store of the application.
    pub(super) fn new(state: AppState) -> Self {
        Self { state, turns: Turns::default() }
    }

    /// The caller's key, where the request carries one and its reply is kept.
    fn key(&self, request: &Request) -> Result<Option<Key>, ApiError> {
        let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let caller = request.extensions().get::<Caller>();
        match (matched, caller) {
            (Some(path), Some(Caller(by))) if are_kept(path, request.method()) => {
                let key = optional_key(request.headers())?;
                Ok(key.map(|text| Key { id: reply_id(self.state.auth.issuer(), by, &text), text }))
            }
            _ => Ok(None),
        }
    }

    async fn answer(&self, key: Key, request: Request, next: Next) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = extract::read(body, &self.state.edge).await?;
        let query = parts.uri.query().unwrap_or_default().as_bytes();
        let request_hash = hash(
            b"medreq request\0",
            &[key.text.as_bytes(), parts.method.as_str().as_bytes(), parts.uri.path().as_bytes(), query, &bytes],
        );
        let turn = self.turns.of(key.id)?.lock_owned().await;
        if let Some(reply) = self.state.reference.reply(key.id).await? {
            return if reply.request_hash == request_hash { replay(reply) } else { Err(SubmitError::KeyReused.into()) };
        }
        let request = Request::from_parts(parts, Body::from(bytes));
        let store = Arc::clone(&self.state.reference);
        // On a task of its own: who lost the connection and comes back finds the reply of what was begun.
        let work = tokio::spawn(request_id::carry(async move {
            let response = keep(store.as_ref(), key.id, request_hash, next.run(request).await).await;
            drop(turn);
            response
        }));
        work.await.unwrap_or_else(|error| Err(ApiError::Internal(format!("a write failed: {error}"))))
    }
}

/// An idempotency key, and what its reply is kept under.
struct Key {
    text: String,
    id: [u8; 32],
}

/// Answers a write under a key once; every other request passes.
pub(super) async fn answer_once(State(replies): State<Arc<Replies>>, request: Request, next: Next) -> Response {
    match replies.key(&request) {
        Ok(None) => next.run(request).await,
        Ok(Some(key)) => replies.answer(key, request, next).await.unwrap_or_else(IntoResponse::into_response),
        Err(error) => {
            extract::drain(request.into_body()).await;
            error.into_response()
        }
    }
}

fn reply_id(issuer: &str, by: &Principal, key: &str) -> [u8; 32] {
    let subject = by.subject.0.to_string();
    hash(b"medreq reply id\0", &[issuer.as_bytes(), by.client_id.as_bytes(), subject.as_bytes(), key.as_bytes()])
}

/// A hash of its own kind over parts that cannot run into one another.
fn hash(kind: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(kind);
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// False for what may be otherwise the next time although the request is the same.
fn lasts(status: StatusCode) -> bool {
    let passing = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS];
    !status.is_server_error() && !passing.contains(&status)
}

async fn keep(
    store: &dyn ReferenceStore,
    id: [u8; 32],
    request_hash: [u8; 32],
    response: Response,
) -> Result<Response, ApiError> {
    if !lasts(response.status()) {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let broken = |error| ApiError::Internal(format!("an answer could not be read: {error}"));
    let bytes = axum::body::to_bytes(body, usize::MAX).await.map_err(broken)?;
    let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let reply = StoredReply {
        request_hash,
        status: parts.status.as_u16(),
        content_type: text(header::CONTENT_TYPE),
        location: text(header::LOCATION),
        body: bytes.to_vec(),
        at: Timestamp::now(),
    };
    if let Err(error) = store.keep_reply(id, reply).await {
        // It is done: to say otherwise because of the reply would be a lie.
        tracing::warn!(%error, "a reply was not kept; a retry will run again");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replay(reply: StoredReply) -> Result<Response, ApiError> {
    let broken = || ApiError::Internal("a kept reply is not an HTTP answer".to_owned());
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).map_err(|_| broken())?;
    let headers = response.headers_mut();
    for (name, value) in [(header::CONTENT_TYPE, reply.content_type), (header::LOCATION, reply.location)] {
        if let Some(value) = value {
            headers.insert(name, HeaderValue::from_str(&value).map_err(|_| broken())?);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// One turn for each key that is being worked on.
#[derive(Default)]
struct Turns(Mutex<HashMap<[u8; 32], Weak<Turn<()>>>>);

impl Turns {
    fn of(&self, id: [u8; 32]) -> Result<Arc<Turn<()>>, ApiError> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&id).and_then(Weak::upgrade) {
            return Ok(turn);
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        if turns.len() >= KEYS_AT_ONCE {
            return Err(ApiError::Busy { client: false, retry_after: Duration::from_secs(1) });
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(id, Arc::downgrade(&turn));
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn replies_of_writes_outside_tickets_are_kept() {
        for (path, method) in [
            ("/v1/wards/{code}", Method::PUT),
            ("/v1/medications/adopt", Method::POST),
            ("/v1/cabinets/{code}/par-levels/{medication}", Method::DELETE),
        ] {
            assert!(are_kept(path, &method), "{method} {path}");
        }
        for (path, method) in [
            ("/v1/wards/{code}", Method::GET),
            ("/v1/tickets", Method::POST),
            ("/v1/tickets/{id}/claim", Method::POST),
            ("/v1/imports/{what}", Method::POST),
            ("/v1/events/ticket", Method::POST),
            ("/oauth2/token", Method::POST),
            ("/auth/v1/users", Method::POST),
        ] {
            assert!(!are_kept(path, &method), "{method} {path}");
        }
    }

    #[test]
    fn turns_are_forgotten_when_nobody_waits() {
        let turns = Turns::default();
        let key = |n: usize| hash(b"", &[&n.to_be_bytes()]);
        let held: Vec<_> = (0..KEYS_AT_ONCE).map(|n| turns.of(key(n)).unwrap()).collect();
        assert!(Arc::ptr_eq(&turns.of(key(7)).unwrap(), &held[7]));
        assert!(turns.of(key(KEYS_AT_ONCE)).is_err());
        drop(held);
        assert!(turns.of(key(KEYS_AT_ONCE)).is_ok());
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
