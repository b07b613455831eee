//! What operators and tools ask: health, readiness, metrics, the published document. Says nothing of patients or tickets.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use rustix::fs::{Access, AtFlags};
use serde::Serialize;
use serde_json::Value;
use tower_http::set_header::SetResponseHeaderLayer;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use super::{
    AppState,
    error::ApiError,
    extract::{Json, Peer},
};
use crate::{
    api::problem::Problem,
    server::ports::{StoreError, StoreResult, ahead_of_clock},
};

/// With less room than this a write may fail at any moment, in bytes.
const DISK_FULL: u64 = 2 << 20;

const DOCUMENT: &str = "/openapi.json";

/// The browsable documents carry their own script and styles; nothing is fetched from elsewhere.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// The document as it is published.
#[derive(Clone)]
pub(super) struct Published(Arc<str>);

impl Published {
    /// Writes it once.
    pub(super) fn new(document: &Value) -> Self {
        Self(document.to_string().into())
    }
}

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(healthz))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(document))
}

/// The browsable documents at `/docs`.
pub(super) fn docs() -> Router<AppState> {
    let policy =
        SetResponseHeaderLayer::overriding(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(DOCS_POLICY));
    Router::from(SwaggerUi::new("/docs").config(Config::from(DOCUMENT).try_it_out_enabled(true))).layer(policy)
}

/// What is well and what is not.
#[derive(Debug, Serialize, ToSchema)]
struct Health {
    /// `ok`, `degraded` (it works, and somebody should look at it) or `unavailable`.
    status: String,
    /// Each dependency by name: `ok`, or what is wrong with it.
    checks: BTreeMap<String, String>,
}

/// How a dependency stands; the last is the worst.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Well,
    /// Works, but not for long.
    Poor(String),
    Down(String),
}

impl From<Result<(), String>> for Standing {
    fn from(answer: Result<(), String>) -> Self {
        answer.map_or_else(Self::Down, |()| Self::Well)
    }
}

/// The process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "healthz", security(()),
    responses((status = 200, description = "Alive", body = Health))
)]
async fn healthz() -> Json<Health> {
    Json(Health { status: "ok".to_owned(), checks: BTreeMap::new() })
}

/// Every dependency answers.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "readyz", security(()),
    responses(
        (status = 200, description = "Ready, perhaps `degraded`: see the checks", body = Health),
        (status = 503, description = "Not ready: see the checks", body = Health),
    )
)]
async fn readyz(State(state): State<AppState>) -> Response {
    let newest = state.pipeline.newest_at().await;
    let clock = newest.as_ref().map_or(Ok(()), |newest| clock(*newest, Timestamp::now()));
    let store = match newest {
        Ok(_) => state.pipeline.writable().await,
        Err(error) => Err(error),
    };
    let stopping = *state.shutdown.borrow();
    let checks = [
        ("store", told("store", store).into()),
        ("clock", clock.into()),
        ("disk", disk(&state.data_dir, state.disk_free_min)),
        ("reference", told("reference", state.reference.policy().await.map(drop)).into()),
        ("catalog", told("catalog", catalog(&state).await).into()),
        ("server", if stopping { Standing::Down("unavailable".to_owned()) } else { Standing::Well }),
    ];
    let (word, status) = match checks.iter().map(|(_, standing)| standing).max() {
        None | Some(Standing::Well) => ("ok", StatusCode::OK),
        Some(Standing::Poor(_)) => ("degraded", StatusCode::OK),
        Some(Standing::Down(_)) => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
    };
    let text = |(name, standing): (&str, Standing)| match standing {
        Standing::Well => (name.to_owned(), "ok".to_owned()),
        Standing::Poor(what) | Standing::Down(what) => (name.to_owned(), what),
    };
    (status, Json(Health { status: word.to_owned(), checks: checks.into_iter().map(text).collect() })).into_response()
}

/// Whether the data directory can be written and has room; asked of the system, nothing is written.
fn disk(dir: &Path, least: u64) -> Standing {
    let may_write = rustix::fs::accessat(rustix::fs::CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    let free = match may_write.and_then(|()| rustix::fs::statvfs(dir)) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            tracing::warn!(%error, "the data directory cannot be written");
            return Standing::Down(
                "the data directory cannot be written; look at its mode and its file system".to_owned(),
            );
        }
    };
    let told = || format!("{} MiB are free on the disk of the data; make room on it", free >> 20);
    match free {
        ..DISK_FULL => Standing::Down(told()),
        _ if free < least => Standing::Poor(told()),
        _ => Standing::Well,
    }
}

/// The answer for everybody; the cause may name files and is for the log.
fn told(check: &str, answer: StoreResult<()>) -> Result<(), String> {
    answer.map_err(|error| {
        tracing::warn!(check, %error, "not ready");
        "unavailable".to_owned()
    })
}

/// Whether times that are recorded now are those of the clock.
fn clock(newest: Option<Timestamp>, now: Timestamp) -> Result<(), String> {
    match newest.and_then(|newest| ahead_of_clock(newest, now)) {
        None => Ok(()),
        Some(ahead) => Err(format!(
            "the newest event is {} s ahead of this machine's clock; set the clock right, or restore a backup from before",
            ahead.as_secs()
        )),
    }
}

async fn catalog(state: &AppState) -> StoreResult<()> {
    let store = Arc::clone(&state.catalog);
    let asked = tokio::task::spawn_blocking(move || store.by_code("0").map(drop)).await;
    asked.unwrap_or_else(|_| Err(StoreError::Broken("the check panicked".to_owned())))
}

/// Counters for Prometheus; only for the machine itself and the networks that `metrics.allow` of the configuration names.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics", security(()),
    responses(
        (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
        (status = 403, description = "Asked from elsewhere", body = Problem),
    )
)]
async fn metrics(State(state): State<AppState>, peer: Peer, headers: HeaderMap) -> Result<Response, ApiError> {
    // Behind a proxy on this machine or in such a network everybody comes from there.
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    let known = peer.0.is_loopback() || state.scrapers.iter().any(|network| network.contains(&peer.0));
    if forwarded || !known {
        let detail = "metrics are given to this machine and to the networks of metrics.allow only, not through a proxy";
        return Err(ApiError::forbidden("scraper_not_allowed", detail));
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], state.metrics().text()).into_response())
}

/// This document.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operations", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
async fn document(Extension(Published(text)): Extension<Published>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    (headers, text.to_string()).into_response()
}
