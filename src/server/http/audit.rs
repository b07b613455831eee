//! The audit log over HTTP. Reads only.

use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState, accounts,
    error::ApiError,
    extract::{Json, Query},
    list,
};
use crate::{
    api::{List, accounts::AuditView},
    server::ports::{AuditEntry, AuditQuery},
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// Which audit entries to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct AuditParameters {
    /// Only this kind: `auth`, `reference`, `user`, `client`, `ticket`, `admin`.
    kind: Option<String>,
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Lists the audit log, newest first.
#[utoipa::path(
    get, path = "/auth/v1/audit", tag = "accounts", operation_id = "list_audit",
    security(("bearer" = ["audit:read"])), params(AuditParameters),
    responses(
        (status = 200, description = "A page of the audit log", body = List<AuditView>),
    )
)]
pub(super) async fn list_audit(
    State(state): State<AppState>,
    Query(parameters): Query<AuditParameters>,
) -> Result<Json<List<AuditView>>, ApiError> {
    let AuditParameters { kind, limit, cursor } = parameters;
    let query = AuditQuery { kind, limit: list::limit(limit)?, after: cursor };
    Ok(Json(accounts::list(state.auth.audit_entries(query).await?, audit_view)))
}

fn audit_view(entry: AuditEntry) -> AuditView {
    let AuditEntry { at, kind, action, actor, subject, detail } = entry;
    AuditView { at, kind, action, actor, subject, detail }
}
