//! Routing rules over HTTP. Translates; every rule stands in `server::app`.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json},
};
use crate::api::{problem::Problem, routing::RoutingRules};

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_routing_rules, put_routing_rules))
}

/// The rules that choose a new ticket's pharmacy, in their order.
#[utoipa::path(
    get, path = "/v1/routing-rules", tag = "reference", operation_id = "get_routing_rules",
    security(("bearer" = ["reference:read"])),
    responses((status = 200, description = "The rules", body = RoutingRules))
)]
async fn get_routing_rules(State(state): State<AppState>) -> Result<Json<RoutingRules>, ApiError> {
    Ok(Json(state.reference_data().routing_rules().await?))
}

/// Replaces the rules whole: the first that fits a new ticket chooses its pharmacy, else it goes to the ward's own. For administrators.
#[utoipa::path(
    put, path = "/v1/routing-rules", tag = "reference", operation_id = "put_routing_rules",
    security(("bearer" = ["reference:write"])),
    request_body(content = RoutingRules, example = json!({ "rules": [
        { "control_classes": ["controlled"], "pharmacy": "CENTRAL" },
        { "wards": ["UTI"], "kinds": ["refill", "supply"], "from": "07:00", "until": "19:00", "pharmacy": "CENTRAL" }
    ] })),
    responses(
        (status = 200, description = "Replaced", body = RoutingRules),
        (status = 422, description = "A rule breaks a rule, or names what does not exist or takes no tickets", body = Problem)
    )
)]
async fn put_routing_rules(
    State(state): State<AppState>,
    caller: Caller,
    Json(body): Json<RoutingRules>,
) -> Result<Json<RoutingRules>, ApiError> {
    Ok(Json(state.reference_data().put_routing_rules(&caller.0.actor, body).await?))
}
