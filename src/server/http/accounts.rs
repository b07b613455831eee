//! Users, clients, service accounts, the audit log and one's own account over HTTP. Translates; every rule stands in `server::auth`.

use std::collections::BTreeSet;

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path, Peer, Query},
    reference::after,
};
use crate::{
    api::{
        List,
        accounts::{
            AuditView, ChangePassword, ClientView, CreateClient, CreateServiceAccount, CreateUser, PatchServiceAccount,
            PatchUser, ResetPassword, ServiceAccountSecret, UserView, Whoami,
        },
        problem::Problem,
    },
    domain::{actor::Reach, code::Username},
    server::{
        auth::{
            Principal,
            accounts::Editor,
            clients::{NewApp, NewServiceAccount},
            secrets::Secret,
            users::{NewUser, UserPatch},
        },
        ports::{AuditEntry, AuditQuery, Client, Page, User},
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(whoami))
        .routes(routes!(change_password))
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, patch_user))
        .routes(routes!(reset_password))
        .routes(routes!(list_clients, create_client))
        .routes(routes!(list_service_accounts, create_service_account))
        .routes(routes!(get_service_account, patch_service_account))
        .routes(routes!(rotate_secret))
        .routes(routes!(list_audit))
}

// ------------------------------------------------------------------------------------------------------------- myself

/// Who the token belongs to, and what it may do now.
#[utoipa::path(
    get, path = "/auth/v1/me", tag = "accounts", operation_id = "whoami",
    responses(
        (status = 200, description = "Whose token it is", body = Whoami),
    )
)]
pub(super) async fn whoami(caller: Caller) -> Json<Whoami> {
    let Principal { actor, scopes, client_id, token_expires_at, .. } = caller.0;
    Json(Whoami {
        username: actor.person.username,
        name: actor.person.name,
        roles: actor.roles,
        wards: places(actor.wards),
        pharmacies: places(actor.pharmacies),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        client_id,
        expires_at: token_expires_at,
    })
}

fn places<T: Ord>(reach: Reach<T>) -> Option<BTreeSet<T>> {
    match reach {
        Reach::All => None,
        Reach::Only(places) => Some(places),
    }
}

/// Changes one's own password; every token issued before is dead afterwards, that of this request too.
#[utoipa::path(
    post, path = "/auth/v1/me/password", tag = "accounts", operation_id = "change_password",
    request_body(content = ChangePassword, example = json!({
        "current_password": "the old long one", "new_password": "another long one",
    })),
    responses(
        (status = 204, description = "Changed"),
        (status = 422, description = "The current password is not right, or the new one breaks a rule", body = Problem),
    )
)]
pub(super) async fn change_password(
    State(state): State<AppState>,
    caller: Caller,
    peer: Peer,
    Json(change): Json<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    if caller.0.service {
        return Err(ApiError::forbidden("not_a_user", "a service account has no password; rotate its secret"));
    }
    let username = &caller.0.actor.person.username;
    let (current, new) = (&change.current_password, &change.new_password);
    state.auth.change_own_password(username, current, new, peer.source()).await?;
    Ok(StatusCode::NO_CONTENT)
}

// -------------------------------------------------------------------------------------------------------------- users

/// Where a list of accounts goes on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParameters {
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl PageParameters {
    fn limit(&self) -> Result<usize, ApiError> {
        match self.limit.unwrap_or(50) {
            limit @ 1..=200 => Ok(limit),
            _ => Err(ApiError::bad_request("invalid_parameter", "limit", "limit is 1 to 200")),
        }
    }
}

/// Lists users by name.
#[utoipa::path(
    get, path = "/auth/v1/users", tag = "accounts", operation_id = "list_users",
    security(("bearer" = ["users:write"])), params(PageParameters),
    responses(
        (status = 200, description = "A page of users", body = List<UserView>),
    )
)]
pub(super) async fn list_users(
    State(state): State<AppState>,
    Query(page): Query<PageParameters>,
) -> Result<Json<List<UserView>>, ApiError> {
    let users = state.auth.users(page.limit()?, after::<Username>(page.cursor)?).await?;
    Ok(Json(list(users, user_view)))
}

/// Creates a user.
#[utoipa::path(
    post, path = "/auth/v1/users", tag = "accounts", operation_id = "create_user",
    security(("bearer" = ["users:write"])),
    request_body(content = CreateUser, example = json!({
        "username": "joana", "name": "Joana Prado", "roles": ["nurse"], "wards": ["UTI"], "password": "for the first day",
    })),
    responses(
        (status = 201, description = "The user", body = UserView, headers(("location" = String, description = "The user"))),
        (status = 409, description = "The username is taken", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn create_user(
    State(state): State<AppState>,
    caller: Caller,
    Json(new): Json<CreateUser>,
) -> Result<Response, ApiError> {
    let must_change_password = true;
    let CreateUser { username, name, roles, wards, pharmacies, password } = new;
    let new = NewUser { username, name, roles, wards, pharmacies, password, must_change_password };
    let user = state.auth.create_user(new, &Editor::from(&caller.0)).await?;
    let location = format!("/auth/v1/users/{}", percent_encoded(user.username.as_str()));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(user_view(user))).into_response())
}

/// One user.
#[utoipa::path(
    get, path = "/auth/v1/users/{username}", tag = "accounts", operation_id = "get_user",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "There is no such account", body = Problem),
    )
)]
pub(super) async fn get_user(
    State(state): State<AppState>,
    Path(username): Path<String>,
) -> Result<Json<UserView>, ApiError> {
    Ok(Json(user_view(state.auth.user(&username).await?)))
}

/// Changes a user; acts on their tokens within seconds. Disabling kills them.
#[utoipa::path(
    patch, path = "/auth/v1/users/{username}", tag = "accounts", operation_id = "patch_user",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    request_body(content = PatchUser, example = json!({ "roles": ["charge_nurse"], "wards": ["UTI", "CM"] })),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "The last administrator, or a change at the same time", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn patch_user(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
    Json(patch): Json<PatchUser>,
) -> Result<Json<UserView>, ApiError> {
    let PatchUser { name, roles, wards, pharmacies, disabled, must_change_password } = patch;
    let patch = UserPatch { name, roles, wards, pharmacies, disabled, must_change_password };
    Ok(Json(user_view(state.auth.patch_user(&username, patch, &Editor::from(&caller.0)).await?)))
}

/// Sets a user's password, to be changed at their next sign-in; kills their tokens.
#[utoipa::path(
    post, path = "/auth/v1/users/{username}/password", tag = "accounts", operation_id = "reset_password",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    request_body(content = ResetPassword, example = json!({ "password": "for the first day" })),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "Another state of affairs stands against it", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn reset_password(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
    Json(reset): Json<ResetPassword>,
) -> Result<Json<UserView>, ApiError> {
    Ok(Json(user_view(state.auth.reset_password(&username, &reset.password, &Editor::from(&caller.0)).await?)))
}

// ------------------------------------------------------------------------------------------ clients, service accounts

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

/// Lists the service accounts.
#[utoipa::path(
    get, path = "/auth/v1/service-accounts", tag = "accounts", operation_id = "list_service_accounts",
    security(("bearer" = ["admin"])), params(PageParameters),
    responses(
        (status = 200, description = "A page of clients", body = List<ClientView>),
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
        (status = 201, description = "The account with its secret", body = ServiceAccountSecret),
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
    let scopes = scopes.iter().map(|scope| scope.parse()).collect::<Result<_, _>>().map_err(
        |unknown: crate::domain::reason::UnknownCode| ApiError::unprocessable("scopes", unknown.to_string()),
    )?;
    let new = NewServiceAccount { client_id, name, scopes, wards };
    let (client, secret) = state.auth.create_service_account(new, &Editor::from(&caller.0)).await?;
    let location = format!("/auth/v1/service-accounts/{}", client.client_id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], with_secret(client, &secret)).into_response())
}

/// One service account.
#[utoipa::path(
    get, path = "/auth/v1/service-accounts/{id}", tag = "accounts", operation_id = "get_service_account",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The client", body = ClientView),
        (status = 404, description = "There is no such account", body = Problem),
    )
)]
pub(super) async fn get_service_account(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<ClientView>, ApiError> {
    Ok(Json(client_view(state.auth.service_account(&id).await?)))
}

/// Disables or enables a service account.
#[utoipa::path(
    patch, path = "/auth/v1/service-accounts/{id}", tag = "accounts", operation_id = "patch_service_account",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    request_body(content = PatchServiceAccount, example = json!({ "disabled": true })),
    responses(
        (status = 200, description = "The client", body = ClientView),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "Another state of affairs stands against it", body = Problem),
        (status = 422, description = "A value breaks a rule; `field` says which", body = Problem),
    )
)]
pub(super) async fn patch_service_account(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
    Json(patch): Json<PatchServiceAccount>,
) -> Result<Json<ClientView>, ApiError> {
    let by = Editor::from(&caller.0);
    Ok(Json(client_view(state.auth.set_service_account_disabled(&id, patch.disabled, &by).await?)))
}

/// Gives a service account another secret; the old one and all its tokens are dead at once.
#[utoipa::path(
    post, path = "/auth/v1/service-accounts/{id}/secret", tag = "accounts", operation_id = "rotate_secret",
    security(("bearer" = ["admin"])), params(("id" = String, Path, description = "Its `client_id`")),
    responses(
        (status = 200, description = "The account with its secret", body = ServiceAccountSecret),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "Another state of affairs stands against it", body = Problem),
    )
)]
pub(super) async fn rotate_secret(
    State(state): State<AppState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let (client, secret) = state.auth.rotate_secret(&id, &Editor::from(&caller.0)).await?;
    Ok(with_secret(client, &secret))
}

// -------------------------------------------------------------------------------------------------------------- audit

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
    let page = PageParameters { limit, cursor };
    let query = AuditQuery { kind, limit: page.limit()?, after: page.cursor };
    Ok(Json(list(state.auth.audit_entries(query).await?, audit_view)))
}

// -------------------------------------------------------------------------------------------------------------- views

fn list<T, U>(page: Page<T>, view: impl Fn(T) -> U) -> List<U> {
    List { items: page.items.into_iter().map(view).collect(), next: page.next, total: page.total }
}

/// A page of clients, which are few enough to be read at once.
fn cut(clients: Vec<Client>, page: &PageParameters) -> Result<List<ClientView>, ApiError> {
    let (limit, total) = (page.limit()?, clients.len() as u64);
    let after = page.cursor.as_deref().unwrap_or_default();
    let mut rest = clients.into_iter().filter(|client| client.client_id.as_str() > after);
    let items: Vec<ClientView> = rest.by_ref().take(limit).map(client_view).collect();
    let next = rest.next().and_then(|_| items.last()).map(|client| client.client_id.clone());
    Ok(List { items, next, total: Some(total) })
}

fn user_view(user: User) -> UserView {
    UserView {
        id: user.id.0,
        username: user.username,
        name: user.name,
        roles: user.roles,
        wards: user.wards,
        pharmacies: user.pharmacies,
        disabled: user.disabled,
        must_change_password: user.must_change_password,
        has_password: user.password_hash.is_some(),
        created_at: user.created_at,
    }
}

fn client_view(client: Client) -> ClientView {
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

fn with_secret(client: Client, secret: &Secret) -> Response {
    let body = ServiceAccountSecret { account: client_view(client), client_secret: secret.reveal().to_owned() };
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn audit_view(entry: AuditEntry) -> AuditView {
    let AuditEntry { at, kind, action, actor, subject, detail } = entry;
    AuditView { at, kind, action, actor, subject, detail }
}

fn percent_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
