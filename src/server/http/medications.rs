//! Medications over HTTP, and adoption. Translates; every rule stands in `server::app`.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path, Query},
    list::{identifier, limit},
    reference::{after, list, saved},
};
use crate::{
    api::{
        List,
        medications::{AdoptReport, AdoptRequest, Medication, PutMedication, SetClass},
        problem::Problem,
    },
    domain::code::MedicationCode,
    server::ports::MedicationQuery,
};

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_medications))
        .routes(routes!(get_medication, put_medication))
        .routes(routes!(activate_medication))
        .routes(routes!(deactivate_medication))
        .routes(routes!(set_medication_class))
        .routes(routes!(post_medication_class))
        .routes(routes!(adopt_medications))
}

/// Which medications to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MedicationFilter {
    /// Words or beginnings of words of code, name and ingredients, case and accents ignored; or a code on a box.
    #[param(example = "dipirona")]
    q: Option<String>,
    /// Only those that can be asked for, or only the others.
    active: Option<bool>,
    /// Only those whose class nobody has said, or only the others.
    unreviewed: Option<bool>,
    /// Only the one with this id of another system, as `system|value`.
    identifier: Option<String>,
    /// Entries of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Medications, by code.
#[utoipa::path(
    get, path = "/v1/medications", tag = "reference", operation_id = "list_medications",
    security(("bearer" = ["reference:read"])), params(MedicationFilter),
    responses((status = 200, description = "A page of medications", body = List<Medication>))
)]
async fn list_medications(
    State(state): State<AppState>,
    Query(filter): Query<MedicationFilter>,
) -> Result<Json<List<Medication>>, ApiError> {
    let query = MedicationQuery {
        text: filter.q,
        active: filter.active,
        unreviewed: filter.unreviewed,
        identifier: filter.identifier.as_deref().map(identifier).transpose()?,
        limit: limit(filter.limit)?,
        after: after::<MedicationCode>(filter.cursor)?,
    };
    Ok(list(state.reference_data().medications(query).await?))
}

/// One medication, by its code or by a scanned GTIN, NDC or registration on one of its boxes.
#[utoipa::path(
    get, path = "/v1/medications/{code}", tag = "reference", operation_id = "get_medication",
    security(("bearer" = ["reference:read"])), params(("code" = String, Path, example = "MIDAZ-5")),
    responses(
        (status = 200, description = "The medication", body = Medication),
        (status = 404, description = "There is no such medication", body = Problem),
        (status = 409, description = "The scanned code is on boxes of several medications", body = Problem)
    )
)]
async fn get_medication(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<Medication>, ApiError> {
    Ok(Json(state.reference_data().medication(&code).await?))
}

/// Creates a medication, or replaces all of it but its class and whether it is active. For administrators and pharmacists.
#[utoipa::path(
    put, path = "/v1/medications/{code}", tag = "reference", operation_id = "put_medication",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "MIDAZ-5")),
    request_body(content = PutMedication, example = json!({
        "name": "Midazolam 5 mg/mL, injection", "unit": "vial", "packs": [{ "unit": "box", "factor": "25" }],
        "ingredients": [{ "name": "MIDAZOLAM", "strength": "5 mg/mL" }]
    })),
    responses(
        (status = 200, description = "Replaced", body = Medication),
        (status = 201, description = "Created", body = Medication),
        (status = 409, description = "Another one has the identifier", body = Problem),
        (status = 422, description = "A field breaks a rule", body = Problem)
    )
)]
async fn put_medication(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<PutMedication>,
) -> Result<Response, ApiError> {
    let done = state.reference_data().put_medication(&caller.0.actor, &code, body).await?;
    Ok(saved("medications", &done.record.code.clone(), done))
}

/// Lets a medication be asked for. For administrators and pharmacists; its class must have been said.
#[utoipa::path(
    post, path = "/v1/medications/{code}/activate", tag = "reference", operation_id = "activate_medication",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "MIDAZ-5")),
    responses(
        (status = 200, description = "Active", body = Medication),
        (status = 404, description = "There is no such medication", body = Problem),
        (status = 422, description = "Nobody has said its class: `class_unreviewed`", body = Problem)
    )
)]
async fn activate_medication(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
) -> Result<Json<Medication>, ApiError> {
    Ok(Json(state.reference_data().set_active(&caller.0.actor, &code, true).await?))
}

/// Lets a medication be asked for no more. For administrators and pharmacists.
#[utoipa::path(
    post, path = "/v1/medications/{code}/deactivate", tag = "reference", operation_id = "deactivate_medication",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "MIDAZ-5")),
    responses(
        (status = 200, description = "Inactive", body = Medication),
        (status = 404, description = "There is no such medication", body = Problem)
    )
)]
async fn deactivate_medication(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
) -> Result<Json<Medication>, ApiError> {
    Ok(Json(state.reference_data().set_active(&caller.0.actor, &code, false).await?))
}

/// States a medication's control class, `none` included. For pharmacists; the reason is kept in the audit.
#[utoipa::path(
    put, path = "/v1/medications/{code}/class", tag = "reference", operation_id = "set_medication_class",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "MIDAZ-5")),
    request_body(content = SetClass, example = json!({ "control_class": "B1", "reason": "Portaria 344/98, lista B1" })),
    responses(
        (status = 200, description = "As it is now", body = Medication),
        (status = 404, description = "There is no such medication", body = Problem),
        (status = 422, description = "No class, or no reason", body = Problem)
    )
)]
async fn set_medication_class(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<SetClass>,
) -> Result<Json<Medication>, ApiError> {
    Ok(Json(state.reference_data().set_class(&caller.0.actor, &code, body).await?))
}

/// As PUT.
#[utoipa::path(
    post, path = "/v1/medications/{code}/class", tag = "reference", operation_id = "post_medication_class",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "MIDAZ-5")),
    request_body(content = SetClass, example = json!({ "control_class": "none", "reason": "not listed" })),
    responses(
        (status = 200, description = "As it is now", body = Medication),
        (status = 404, description = "There is no such medication", body = Problem),
        (status = 422, description = "No class, or no reason", body = Problem)
    )
)]
async fn post_medication_class(
    state: State<AppState>,
    caller: Caller,
    code: Path<String>,
    body: Json<SetClass>,
) -> Result<Json<Medication>, ApiError> {
    set_medication_class(state, caller, code, body).await
}

/// Makes medications from catalogue products, and links new products to those made before. For administrators and pharmacists.
///
/// Say `query` or `all`. What a person said of an item stays. An item whose class nobody has said is made inactive.
#[utoipa::path(
    post, path = "/v1/medications/adopt", tag = "reference", operation_id = "adopt_medications",
    security(("bearer" = ["reference:write"])),
    request_body(content = AdoptRequest, example = json!({ "query": "midazolam", "dry_run": true })),
    responses((status = 200, description = "What was done, or would be", body = AdoptReport))
)]
async fn adopt_medications(
    State(state): State<AppState>,
    caller: Caller,
    Json(body): Json<AdoptRequest>,
) -> Result<Json<AdoptReport>, ApiError> {
    let catalog = state.products().clone();
    // On a task of its own: a client that goes away does not cut it short.
    let adopting = tokio::spawn(async move { catalog.adopt(&caller.0.actor, body).await });
    let report = adopting.await.map_err(|error| ApiError::Internal(format!("an adoption failed: {error}")))??;
    Ok(Json(report))
}
