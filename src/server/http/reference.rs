//! Pharmacies, wards, cabinets and par levels over HTTP. Translates; every rule stands in `server::app`.

use std::{fmt::Display, str::FromStr};

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path, Query},
    list::{self, invalid_cursor},
};
use crate::{
    api::{
        List,
        places::{Cabinet, ParLevel, Pharmacy, PutParLevel, Ward},
        problem::Problem,
    },
    domain::code::{CabinetCode, PharmacyCode, WardCode},
    server::{
        app::reference::{PageOf, Saved},
        ports::Page,
    },
};

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_pharmacies))
        .routes(routes!(get_pharmacy, put_pharmacy))
        .routes(routes!(list_wards))
        .routes(routes!(get_ward, put_ward))
        .routes(routes!(list_cabinets))
        .routes(routes!(get_cabinet, put_cabinet))
        .routes(routes!(put_par_level, delete_par_level))
}

/// Which part of a list to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Paging {
    /// Only the one with this id of another system, as `system|value`.
    identifier: Option<String>,
    /// Entries of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// Which cabinets to show.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct CabinetFilter {
    /// Only those of this ward.
    #[param(value_type = Option<String>, example = "UTI")]
    ward: Option<WardCode>,
    /// Only the one with this id of another system, as `system|value`.
    identifier: Option<String>,
    /// Entries of the page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// `next` of the page before.
    cursor: Option<String>,
}

/// The code after which a page begins; lists by code give nothing else as a cursor.
pub(super) fn after<Code: FromStr + Display>(cursor: Option<String>) -> Result<Option<String>, ApiError> {
    let code = |text: String| text.parse().map_err(|_| invalid_cursor()).map(|code: Code| code.to_string());
    cursor.map(code).transpose()
}

fn page_of<Code: FromStr + Display>(
    limit: Option<usize>,
    cursor: Option<String>,
    identifier: Option<&str>,
) -> Result<PageOf, ApiError> {
    let identifier = identifier.map(list::identifier).transpose()?;
    Ok(PageOf { limit: list::limit(limit)?, after: after::<Code>(cursor)?, identifier })
}

/// A page as the wire has it.
pub(super) fn list<T>(page: Page<T>) -> Json<List<T>> {
    Json(List { items: page.items, next: page.next, total: page.total })
}

/// 201 with the record's address where it is new, else 200.
pub(super) fn saved<T: Serialize>(collection: &str, code: &str, saved: Saved<T>) -> Response {
    match saved.created {
        false => Json(saved.record).into_response(),
        true => {
            let location = format!("/v1/{collection}/{code}");
            (StatusCode::CREATED, [(header::LOCATION, location)], Json(saved.record)).into_response()
        }
    }
}

/// Pharmacies, by code.
#[utoipa::path(
    get, path = "/v1/pharmacies", tag = "reference", operation_id = "list_pharmacies",
    security(("bearer" = ["reference:read"])), params(Paging),
    responses((status = 200, description = "A page of pharmacies", body = List<Pharmacy>))
)]
async fn list_pharmacies(
    State(state): State<AppState>,
    Query(query): Query<Paging>,
) -> Result<Json<List<Pharmacy>>, ApiError> {
    Ok(list(
        state
            .reference_data()
            .pharmacies(&page_of::<PharmacyCode>(query.limit, query.cursor, query.identifier.as_deref())?)
            .await?,
    ))
}

/// One pharmacy.
#[utoipa::path(
    get, path = "/v1/pharmacies/{code}", tag = "reference", operation_id = "get_pharmacy",
    security(("bearer" = ["reference:read"])), params(("code" = String, Path, example = "CENTRAL")),
    responses(
        (status = 200, description = "The pharmacy", body = Pharmacy),
        (status = 404, description = "There is no such pharmacy", body = Problem)
    )
)]
async fn get_pharmacy(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<Pharmacy>, ApiError> {
    Ok(Json(state.reference_data().pharmacy(&code).await?))
}

/// Creates a pharmacy or replaces it whole. For administrators.
#[utoipa::path(
    put, path = "/v1/pharmacies/{code}", tag = "reference", operation_id = "put_pharmacy",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "CENTRAL")),
    request_body(content = Pharmacy, example = json!({
        "code": "CENTRAL", "name": "Farmácia Central", "hours": "00:00-24:00", "active": true
    })),
    responses(
        (status = 200, description = "Replaced", body = Pharmacy),
        (status = 201, description = "Created", body = Pharmacy),
        (status = 409, description = "Another one has the identifier", body = Problem),
        (status = 422, description = "A field breaks a rule", body = Problem)
    )
)]
async fn put_pharmacy(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<Pharmacy>,
) -> Result<Response, ApiError> {
    let done = state.reference_data().put_pharmacy(&caller.0.actor, &code, body).await?;
    Ok(saved("pharmacies", &done.record.code.clone(), done))
}

/// Wards, by code.
#[utoipa::path(
    get, path = "/v1/wards", tag = "reference", operation_id = "list_wards",
    security(("bearer" = ["reference:read"])), params(Paging),
    responses((status = 200, description = "A page of wards", body = List<Ward>))
)]
async fn list_wards(State(state): State<AppState>, Query(query): Query<Paging>) -> Result<Json<List<Ward>>, ApiError> {
    Ok(list(
        state
            .reference_data()
            .wards(&page_of::<WardCode>(query.limit, query.cursor, query.identifier.as_deref())?)
            .await?,
    ))
}

/// One ward.
#[utoipa::path(
    get, path = "/v1/wards/{code}", tag = "reference", operation_id = "get_ward",
    security(("bearer" = ["reference:read"])), params(("code" = String, Path, example = "UTI")),
    responses(
        (status = 200, description = "The ward", body = Ward),
        (status = 404, description = "There is no such ward", body = Problem)
    )
)]
async fn get_ward(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<Ward>, ApiError> {
    Ok(Json(state.reference_data().ward(&code).await?))
}

/// Creates a ward or replaces it whole. For administrators; its pharmacy must exist.
#[utoipa::path(
    put, path = "/v1/wards/{code}", tag = "reference", operation_id = "put_ward",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "UTI")),
    request_body(content = Ward, example = json!({ "code": "UTI", "name": "Terapia Intensiva", "pharmacy": "CENTRAL" })),
    responses(
        (status = 200, description = "Replaced", body = Ward),
        (status = 201, description = "Created", body = Ward),
        (status = 409, description = "Another one has the identifier", body = Problem),
        (status = 422, description = "A field breaks a rule, or there is no such pharmacy", body = Problem)
    )
)]
async fn put_ward(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<Ward>,
) -> Result<Response, ApiError> {
    let done = state.reference_data().put_ward(&caller.0.actor, &code, body).await?;
    Ok(saved("wards", &done.record.code.clone(), done))
}

/// Cabinets, by code, without their par levels.
#[utoipa::path(
    get, path = "/v1/cabinets", tag = "reference", operation_id = "list_cabinets",
    security(("bearer" = ["reference:read"])), params(CabinetFilter),
    responses((status = 200, description = "A page of cabinets", body = List<Cabinet>))
)]
async fn list_cabinets(
    State(state): State<AppState>,
    Query(query): Query<CabinetFilter>,
) -> Result<Json<List<Cabinet>>, ApiError> {
    let page = page_of::<CabinetCode>(query.limit, query.cursor, query.identifier.as_deref())?;
    Ok(list(state.reference_data().cabinets(query.ward.as_ref(), &page).await?))
}

/// One cabinet with its par levels.
#[utoipa::path(
    get, path = "/v1/cabinets/{code}", tag = "reference", operation_id = "get_cabinet",
    security(("bearer" = ["reference:read"])), params(("code" = String, Path, example = "UTI-01")),
    responses(
        (status = 200, description = "The cabinet", body = Cabinet),
        (status = 404, description = "There is no such cabinet", body = Problem)
    )
)]
async fn get_cabinet(State(state): State<AppState>, Path(code): Path<String>) -> Result<Json<Cabinet>, ApiError> {
    Ok(Json(state.reference_data().cabinet(&code).await?))
}

/// Creates a cabinet or replaces it whole; its par levels stay where the body has none. For administrators; its ward must exist.
#[utoipa::path(
    put, path = "/v1/cabinets/{code}", tag = "reference", operation_id = "put_cabinet",
    security(("bearer" = ["reference:write"])), params(("code" = String, Path, example = "UTI-01")),
    request_body(content = Cabinet, example = json!({ "code": "UTI-01", "name": "Corredor A", "ward": "UTI" })),
    responses(
        (status = 200, description = "Replaced", body = Cabinet),
        (status = 201, description = "Created", body = Cabinet),
        (status = 409, description = "Another one has the identifier", body = Problem),
        (status = 422, description = "A field breaks a rule, or names something that does not exist", body = Problem)
    )
)]
async fn put_cabinet(
    State(state): State<AppState>,
    caller: Caller,
    Path(code): Path<String>,
    Json(body): Json<Cabinet>,
) -> Result<Response, ApiError> {
    let done = state.reference_data().put_cabinet(&caller.0.actor, &code, body).await?;
    Ok(saved("cabinets", &done.record.code.clone(), done))
}

/// Says how much of a medication a cabinet should hold. For administrators and pharmacists.
#[utoipa::path(
    put, path = "/v1/cabinets/{code}/par-levels/{medication}", tag = "reference", operation_id = "put_par_level",
    security(("bearer" = ["reference:write"])),
    params(("code" = String, Path, example = "UTI-01"), ("medication" = String, Path, example = "MIDAZ-5")),
    request_body(content = PutParLevel, example = json!({ "min": "4", "max": "20" })),
    responses(
        (status = 200, description = "Replaced", body = ParLevel),
        (status = 201, description = "Set", body = ParLevel),
        (status = 404, description = "There is no such cabinet", body = Problem),
        (status = 422, description = "A number breaks a rule, or there is no such medication", body = Problem)
    )
)]
async fn put_par_level(
    State(state): State<AppState>,
    caller: Caller,
    Path((cabinet, medication)): Path<(String, String)>,
    Json(body): Json<PutParLevel>,
) -> Result<Response, ApiError> {
    let done = state.reference_data().put_par_level(&caller.0.actor, &cabinet, &medication, body).await?;
    let status = if done.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(done.record)).into_response())
}

/// Says that a cabinet keeps a medication no more. For administrators and pharmacists.
#[utoipa::path(
    delete, path = "/v1/cabinets/{code}/par-levels/{medication}", tag = "reference", operation_id = "delete_par_level",
    security(("bearer" = ["reference:write"])),
    params(("code" = String, Path, example = "UTI-01"), ("medication" = String, Path, example = "MIDAZ-5")),
    responses(
        (status = 204, description = "Removed"),
        (status = 404, description = "There is no such cabinet or par level", body = Problem)
    )
)]
async fn delete_par_level(
    State(state): State<AppState>,
    caller: Caller,
    Path((cabinet, medication)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    state.reference_data().delete_par_level(&caller.0.actor, &cabinet, &medication).await?;
    Ok(StatusCode::NO_CONTENT)
}
