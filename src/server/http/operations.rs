//! What operators and tools ask: health, readiness, metrics, the published document. Says nothing of patients or tickets.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Extension, Router,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
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
    layers::Edge,
    readiness::{Checks, Standing},
};
use crate::api::problem::Problem;

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
pub(super) struct Health {
    /// `ok`, `degraded` (it works, and somebody should look at it) or `unavailable`.
    status: String,
    /// Each dependency by name: `ok`, or what is wrong with it.
    checks: BTreeMap<String, String>,
}

impl Health {
    /// Of a process that answers.
    pub(super) fn alive() -> Self {
        Self { status: "ok".to_owned(), checks: BTreeMap::new() }
    }
}

/// The process is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operations", operation_id = "healthz", security(()),
    responses((status = 200, description = "Alive", body = Health))
)]
async fn healthz() -> Json<Health> {
    Json(Health::alive())
}

/// Every dependency answers.
///
/// The answer may be a second old: everybody is told the same one.
#[utoipa::path(
    get, path = "/readyz", tag = "operations", operation_id = "readyz", security(()),
    responses(
        (status = 200, description = "Ready, perhaps `degraded`: see the checks", body = Health),
        (status = 503, description = "Not ready: see the checks", body = Health),
    )
)]
async fn readyz(State(state): State<AppState>) -> Response {
    readiness(state.readiness().checks(&state).await, *state.shutdown.borrow())
}

/// The answer of `/readyz`. That the server stops is told at once, since it costs nothing to know.
pub(super) fn readiness(mut checks: Checks, stopping: bool) -> Response {
    checks.push(("server", if stopping { Standing::Down("unavailable".to_owned()) } else { Standing::Well }));
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

/// Counters for Prometheus; only for the machine itself and the networks that `metrics.allow` of the configuration names.
#[utoipa::path(
    get, path = "/metrics", tag = "operations", operation_id = "metrics", security(()),
    responses(
        (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
        (status = 403, description = "Asked from elsewhere", body = Problem),
    )
)]
async fn metrics(State(state): State<AppState>, peer: Peer, headers: HeaderMap) -> Result<Response, ApiError> {
    give_metrics(&state.edge, peer, &headers)
}

/// What this node counts, to who may know it.
pub(super) fn give_metrics(edge: &Edge, peer: Peer, headers: &HeaderMap) -> Result<Response, ApiError> {
    // Behind a proxy on this machine or in such a network everybody comes from there.
    let forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    if forwarded || !edge.lets_scrape(peer.0) {
        let detail = "metrics are given to this machine and to the networks of metrics.allow only, not through a proxy";
        return Err(ApiError::forbidden("scraper_not_allowed", detail));
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], edge.metrics().text()).into_response())
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
