//! Service accounts over HTTP. Translates; every rule stands in `server::auth`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    accounts::PageParameters,
    clients::{client_view, cut, known_scopes, with_secret},
    error::ApiError,
    extract::{Caller, Json, Path, Query},
};
use crate::{
    api::{
        List,
        accounts::{ClientSecret, ClientView, CreateServiceAccount, PatchServiceAccount},
        problem::Problem,
    },
    server::auth::{
        accounts::Editor,
        clients::{ClientPatch, NewServiceAccount, Sort},
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_service_accounts, create_service_account))
        .routes(routes!(get_service_account, patch_service_account))
        .routes(routes!(rotate_secret))
}

/// Lists the service accounts.
#[utoipa::path(
    get, path = "/auth/v1/service-accounts", tag = "accounts", operation_id = "list_service_accounts",
    security(("bearer" = ["admin"])), params(PageParameters),
    responses(
        (status = 200, description = "A page of service accounts", body = List<ClientView>),
    )
)]
pub(super) async fn list_service_accounts(
    State(state): State<AppState>,
    Query(page): Query<PageParameters>,
) -> Result<Json<List<ClientView>>, ApiError> {
    let clients = state.auth.clients().await?;
    Ok(Json(cut(clients.into_iter().filter(|client| client.service).collect(), &page)?))
}

/// Creates a service account; the answer holds its secret, which cannot be read again.
#[utoipa::path(
    post, path = "/auth/v1/service-accounts", tag = "accounts", operation_id = "create_service_account",
    security(("bearer" = ["admin"])),
    request_body(content = CreateServiceAccount, example = json!({
        "client_id": "his-bridge", "name": "Hospital information system",
        "scopes": ["tickets:read", "tickets:write", "tickets:delegate"],
    })),
    responses(
        (status = 201, description = "The account with its secret", body = ClientSecret),
        (status = 409, description = "The client id is taken", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn create_service_account(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<CreateServiceAccount>,
) -> Result<Response, ApiError> {
    let CreateServiceAccount { client_id, name, scopes, wards } = new;
    let scopes = known_scopes(scopes)?;
    let new = NewServiceAccount { client_id, name, scopes, wards };
    let (client, secret) = state.auth.create_service_account(new, &Editor::from(&caller.0)).await?;
    let location = format!("/auth/v1/service-accounts/{}", client.client_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], with_secret(client, Some(&secret))).into_response())
}

/// One service account.
#[utoipa::path(
    get, path = "/auth/v1/service-accounts/{id}", tag = "accounts", operation_id = "get_service_account",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The account", body = ClientView),
        (status = 404, description = "There is no such account", body = Problem),
    )
)]
pub(super) async fn get_service_account(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ClientView>, ApiError> {
    Ok(Json(client_view(state.auth.client(&id, Sort::Service).await?)))
}

/// Changes a service account; disabling kills its tokens.
#[utoipa::path(
    patch, path = "/auth/v1/service-accounts/{id}", tag = "accounts", operation_id = "patch_service_account",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    request_body(content = PatchServiceAccount, example = json!({ "disabled": true })),
    responses(
        (status = 200, description = "The account", body = ClientView),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "It was changed at the same time", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn patch_service_account(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(patch): Json<PatchServiceAccount>,
) -> Result<Json<ClientView>, ApiError> {
    let PatchServiceAccount { name, scopes, disabled } = patch;
    let scopes = scopes.map(known_scopes).transpose()?;
    let patch = ClientPatch { name, scopes, disabled, ..ClientPatch::default() };
    let client = state.auth.patch_client(&id, Sort::Service, patch, &Editor::from(&caller.0)).await?;
    Ok(Json(client_view(client)))
}

/// Gives a service account another secret; the old one and all its tokens are dead at once.
#[utoipa::path(
    post, path = "/auth/v1/service-accounts/{id}/secret", tag = "accounts", operation_id = "rotate_secret",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The account with its secret", body = ClientSecret),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "It was changed at the same time", body = Problem),
    )
)]
pub(super) async fn rotate_secret(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (client, secret) = state.auth.rotate_secret(&id, Sort::Service, &Editor::from(&caller.0)).await?;
    Ok(with_secret(client, Some(&secret)))
}
