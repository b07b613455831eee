//! The hospital itself over HTTP. Translates; every rule stands in `server::app`.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json},
};
use crate::api::{problem::Problem, site::Site};

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_site, put_site))
}

/// The hospital: its name, zone, languages and identifiers.
#[utoipa::path(
    get, path = "/v1/site", tag = "reference", operation_id = "get_site",
    security(("bearer" = ["reference:read"])),
    responses((status = 200, description = "The hospital", body = Site))
)]
async fn get_site(State(state): State<AppState>) -> Result<Json<Site>, ApiError> {
    Ok(Json(state.reference_data().site().await?))
}

/// Replaces what is said of the hospital. For administrators; another time zone holds at once.
#[utoipa::path(
    put, path = "/v1/site", tag = "reference", operation_id = "put_site",
    security(("bearer" = ["reference:write"])),
    request_body(content = Site, example = json!({
        "name": "Hospital Santa Aurora", "time_zone": "America/Sao_Paulo", "languages": ["pt-BR", "en"],
        "identifiers": [{ "system": "cnes", "value": "7654321" }]
    })),
    responses(
        (status = 200, description = "Replaced", body = Site),
        (status = 422, description = "A field breaks a rule", body = Problem)
    )
)]
async fn put_site(
    State(state): State<AppState>,
    caller: Caller,
    Json(body): Json<Site>,
) -> Result<Json<Site>, ApiError> {
    Ok(Json(state.reference_data().put_site(&caller.0.actor, body).await?))
}
