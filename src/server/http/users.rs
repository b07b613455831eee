//! Users over HTTP. Translates; every rule stands in `server::auth`.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    accounts::{PageParameters, list},
    error::ApiError,
    extract::{Caller, Json, Path, Query},
    list::limit,
    reference::after,
};
use crate::{
    api::{
        List,
        accounts::{CreateUser, PatchUser, ResetLink, ResetPassword, UserView},
        problem::Problem,
    },
    domain::code::Username,
    server::{
        auth::{
            accounts::Editor,
            redirect::percent_encoded,
            users::{NewUser, UserPatch},
        },
        ports::User,
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(get_user, patch_user))
        .routes(routes!(reset_password))
        .routes(routes!(make_reset_link))
        .routes(routes!(reset_second_factor))
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
    let users = state.auth.users(limit(page.limit)?, after::<Username>(page.cursor)?).await?;
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
        (status = 409, description = "The user was changed at the same time", body = Problem),
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

/// Makes a one-time link by which a user sets a password of their own choice; show it to them alone.
#[utoipa::path(
    post, path = "/auth/v1/users/{username}/reset-link", tag = "accounts", operation_id = "make_reset_link",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    responses(
        (status = 200, description = "The link, which cannot be read again", body = ResetLink),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "The user is disabled", body = Problem),
    )
)]
pub(super) async fn make_reset_link(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<Response, ApiError> {
    let link = state.auth.reset_link(&username, &Editor::from(&caller.0)).await?;
    let body = ResetLink { username: link.username, url: link.url, expires_at: link.expires_at };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response())
}

/// Takes the second factor of a user away who lost it. Where the policy asks for one, they set another up at their next sign-in.
#[utoipa::path(
    delete, path = "/auth/v1/users/{username}/second-factor", tag = "accounts", operation_id = "reset_second_factor",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    responses(
        (status = 204, description = "Taken away"),
        (status = 404, description = "There is no such account, or it has no second factor", body = Problem),
    )
)]
pub(super) async fn reset_second_factor(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.auth.reset_factor(&username, &Editor::from(&caller.0)).await?;
    Ok(StatusCode::NO_CONTENT)
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
