//! The sign-in policy over HTTP. Translates; every rule stands in `server::auth`.

use axum::extract::State;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json},
};
use crate::{
    api::{accounts::SignInPolicy, problem::Problem},
    server::auth::{accounts::Editor, policy},
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(get_policy, put_policy))
}

/// What the hospital asks of a sign-in.
#[utoipa::path(
    get, path = "/auth/v1/policy", tag = "accounts", operation_id = "get_policy",
    security(("bearer" = ["admin"])),
    responses(
        (status = 200, description = "The policy in force", body = SignInPolicy),
    )
)]
pub(super) async fn get_policy(State(state): State<AppState>) -> Result<Json<SignInPolicy>, ApiError> {
    Ok(Json(view(state.auth.policy().await?)))
}

/// Replaces the policy. It counts at the next sign-in and on every page of those who are signed in; tokens that were given go on.
#[utoipa::path(
    put, path = "/auth/v1/policy", tag = "accounts", operation_id = "put_policy",
    security(("bearer" = ["admin"])),
    request_body(content = SignInPolicy, example = json!({ "second_factor_required_for": ["admin", "auditor"] })),
    responses(
        (status = 200, description = "The policy in force", body = SignInPolicy),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn put_policy(
    State(state): State<AppState>,
    caller: Caller,
    Json(SignInPolicy { second_factor_required_for }): Json<SignInPolicy>,
) -> Result<Json<SignInPolicy>, ApiError> {
    let policy = policy::SignInPolicy { second_factor_required_for };
    Ok(Json(view(state.auth.set_policy(policy, &Editor::from(&caller.0)).await?)))
}

fn view(policy: policy::SignInPolicy) -> SignInPolicy {
    SignInPolicy { second_factor_required_for: policy.second_factor_required_for }
}
