//! Apps over HTTP, and the view that apps and service accounts share. Translates; every rule stands in `server::auth`.

use std::collections::BTreeSet;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    accounts::PageParameters,
    error::ApiError,
    extract::{Caller, Json, Path, Query},
    list::limit,
};
use crate::{
    api::{
        List,
        accounts::{ClientSecret, ClientView, CreateClient, PatchClient},
        problem::Problem,
    },
    domain::reason::UnknownCode,
    server::{
        auth::{
            Scope,
            accounts::{AccountError, Editor},
            clients::{ClientPatch, NewApp, Sort, is_ours},
            secrets::Secret,
        },
        ports::Client,
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_clients, create_client))
        .routes(routes!(get_client, patch_client))
        .routes(routes!(rotate_client_secret))
}

/// Lists the clients, service accounts among them.
#[utoipa::path(
    get, path = "/auth/v1/clients", tag = "accounts", operation_id = "list_clients",
    security(("bearer" = ["admin"])), params(PageParameters),
    responses(
        (status = 200, description = "A page of clients", body = List<ClientView>),
    )
)]
pub(super) async fn list_clients(
    State(state): State<AppState>,
    Query(page): Query<PageParameters>,
) -> Result<Json<List<ClientView>>, ApiError> {
    Ok(Json(cut(state.auth.clients().await?, &page)?))
}

/// Registers an app; the answer holds the secret of a confidential one, which cannot be read again.
#[utoipa::path(
    post, path = "/auth/v1/clients", tag = "accounts", operation_id = "create_client",
    security(("bearer" = ["admin"])),
    request_body(content = CreateClient, example = json!({
        "client_id": "nurse-app", "name": "Nurse app", "redirect_uris": ["https://nurse.example.org/callback"],
    })),
    responses(
        (status = 201, description = "The client, with its secret where it is confidential", body = ClientSecret),
        (status = 409, description = "The client id is taken", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn create_client(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<CreateClient>,
) -> Result<Response, ApiError> {
    let CreateClient { client_id, name, redirect_uris, scopes, confidential, first_party } = new;
    let scopes = scopes.map(known_scopes).transpose()?;
    let new = NewApp { client_id, name, redirect_uris, scopes, confidential, first_party };
    let (client, secret) = state.auth.create_app(new, &Editor::from(&caller.0)).await?;
    let location = format!("/auth/v1/clients/{}", client.client_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], with_secret(client, secret.as_ref())).into_response())
}

/// One client, app or service account.
#[utoipa::path(
    get, path = "/auth/v1/clients/{id}", tag = "accounts", operation_id = "get_client",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The client", body = ClientView),
        (status = 404, description = "There is no such client", body = Problem),
    )
)]
pub(super) async fn get_client(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ClientView>, ApiError> {
    let client = match state.auth.client(&id, Sort::App).await {
        Err(AccountError::NotFound { .. }) => state.auth.client(&id, Sort::Service).await?,
        other => other?,
    };
    Ok(Json(client_view(client)))
}

/// Changes an app; disabling kills its tokens, which stay dead.
#[utoipa::path(
    patch, path = "/auth/v1/clients/{id}", tag = "accounts", operation_id = "patch_client",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    request_body(content = PatchClient, example = json!({ "disabled": true })),
    responses(
        (status = 200, description = "The client", body = ClientView),
        (status = 404, description = "There is no such app", body = Problem),
        (status = 409, description = "It comes with medreq, or was changed at the same time", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn patch_client(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(patch): Json<PatchClient>,
) -> Result<Json<ClientView>, ApiError> {
    let PatchClient { name, redirect_uris, scopes, first_party, disabled } = patch;
    let scopes = scopes.map(known_scopes).transpose()?;
    let patch = ClientPatch { name, redirect_uris, scopes, first_party, disabled };
    let client = state.auth.patch_client(&id, Sort::App, patch, &Editor::from(&caller.0)).await?;
    Ok(Json(client_view(client)))
}

/// Gives a confidential app another secret; the old one and all its tokens are dead at once.
#[utoipa::path(
    post, path = "/auth/v1/clients/{id}/secret", tag = "accounts", operation_id = "rotate_client_secret",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The client with its secret", body = ClientSecret),
        (status = 404, description = "There is no such app", body = Problem),
        (status = 409, description = "It is public, comes with medreq, or was changed at the same time", body = Problem),
    )
)]
pub(super) async fn rotate_client_secret(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (client, secret) = state.auth.rotate_secret(&id, Sort::App, &Editor::from(&caller.0)).await?;
    Ok(with_secret(client, Some(&secret)))
}

/// Reads scopes from the wire.
///
/// # Errors
/// 422 names the one that is unknown.
pub(super) fn known_scopes(names: BTreeSet<String>) -> Result<BTreeSet<Scope>, ApiError> {
    let known = |name: String| name.parse().map_err(|unknown: UnknownCode| unknown.to_string());
    names.into_iter().map(known).collect::<Result<_, _>>().map_err(|detail| ApiError::unprocessable("scopes", detail))
}

/// A page of clients, which are few enough to be read at once.
pub(super) fn cut(clients: Vec<Client>, page: &PageParameters) -> Result<List<ClientView>, ApiError> {
    let (limit, total) = (limit(page.limit)?, clients.len() as u64);
    let after = page.cursor.as_deref().unwrap_or_default();
    let mut rest = clients.into_iter().filter(|client| client.client_id.as_str() > after);
    let items: Vec<ClientView> = rest.by_ref().take(limit).map(client_view).collect();
    let next = rest.next().and_then(|_| items.last()).map(|client| client.client_id.clone());
    Ok(List { items, next, total: Some(total) })
}

/// A client as administrators see it.
pub(super) fn client_view(client: Client) -> ClientView {
    let first_party = is_ours(&client);
    ClientView {
        client_id: client.client_id,
        name: client.name,
        service: client.service,
        confidential: client.secret_hash.is_some(),
        first_party,
        redirect_uris: client.redirect_uris,
        scopes: client.scopes,
        wards: client.wards,
        disabled: client.disabled,
        created_at: client.created_at,
    }
}

/// A client with its secret, which no cache may keep.
pub(super) fn with_secret(client: Client, secret: Option<&Secret>) -> Response {
    let body =
        ClientSecret { client: client_view(client), client_secret: secret.map(|secret| secret.reveal().to_owned()) };
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
