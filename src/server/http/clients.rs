//! Clients over HTTP, and the view that apps and service accounts share. Translates; every rule stands in `server::auth`.

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
    extract::{Caller, Json, Query},
};
use crate::{
    api::{
        List,
        accounts::{ClientView, CreateClient, ServiceAccountSecret},
        problem::Problem,
    },
    server::{
        auth::{accounts::Editor, clients::NewApp, secrets::Secret},
        ports::Client,
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_clients, create_client))
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

/// Registers a public app.
#[utoipa::path(
    post, path = "/auth/v1/clients", tag = "accounts", operation_id = "create_client",
    security(("bearer" = ["admin"])),
    request_body(content = CreateClient, example = json!({
        "client_id": "nurse-app", "name": "Nurse app", "redirect_uris": ["https://nurse.example.org/callback"],
    })),
    responses(
        (status = 201, description = "The client", body = ClientView),
        (status = 409, description = "The client id is taken", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn create_client(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<CreateClient>,
) -> Result<(StatusCode, Json<ClientView>), ApiError> {
    let CreateClient { client_id, name, redirect_uris } = new;
    let client = state.auth.create_app(NewApp { client_id, name, redirect_uris }, &Editor::from(&caller.0)).await?;
    Ok((StatusCode::CREATED, Json(client_view(client))))
}

/// A page of clients, which are few enough to be read at once.
pub(super) fn cut(clients: Vec<Client>, page: &PageParameters) -> Result<List<ClientView>, ApiError> {
    let (limit, total) = (page.limit()?, clients.len() as u64);
    let after = page.cursor.as_deref().unwrap_or_default();
    let mut rest = clients.into_iter().filter(|client| client.client_id.as_str() > after);
    let items: Vec<ClientView> = rest.by_ref().take(limit).map(client_view).collect();
    let next = rest.next().and_then(|_| items.last()).map(|client| client.client_id.clone());
    Ok(List { items, next, total: Some(total) })
}

/// A client as administrators see it.
pub(super) fn client_view(client: Client) -> ClientView {
    ClientView {
        client_id: client.client_id,
        name: client.name,
        service: client.service,
        redirect_uris: client.redirect_uris,
        scopes: client.scopes,
        wards: client.wards,
        disabled: client.disabled,
        created_at: client.created_at,
    }
}

/// A client with its secret, which no cache may keep.
pub(super) fn with_secret(client: Client, secret: &Secret) -> Response {
    let body = ServiceAccountSecret { account: client_view(client), client_secret: secret.reveal().to_owned() };
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
