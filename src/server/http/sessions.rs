//! Sessions over HTTP: one's own, and for administrators those of others; each can be ended. Translates; the rules stand in `server::auth`.

use axum::{extract::State, http::StatusCode};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path},
};
use crate::{
    api::{List, accounts::SessionView, problem::Problem},
    server::{
        auth::accounts::Editor,
        ports::{Session, User},
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(my_sessions, end_my_sessions))
        .routes(routes!(end_my_session))
        .routes(routes!(user_sessions, end_user_sessions))
        .routes(routes!(end_user_session))
}

/// Lists one's own sessions, last used first. To an app that is not the hospital's own (`first_party`) only the one that its token belongs to,
/// unless it has the scope `users:write`.
#[utoipa::path(
    get, path = "/auth/v1/me/sessions", tag = "accounts", operation_id = "my_sessions",
    responses((status = 200, description = "All of them", body = List<SessionView>))
)]
pub(super) async fn my_sessions(
    State(state): State<AppState>,
    caller: Caller,
) -> Result<Json<List<SessionView>>, ApiError> {
    let user = myself(&state, &caller).await?;
    let sessions = state.auth.sessions_for(&user, &caller.0).await?;
    Ok(listed(sessions, &caller))
}

/// Signs oneself out everywhere: whatever was issued is dead, the token of this request too. Only by the hospital's own apps, or with
/// `users:write`: another is refused with `not_our_app`.
#[utoipa::path(
    delete, path = "/auth/v1/me/sessions", tag = "accounts", operation_id = "end_my_sessions",
    responses(
        (status = 204, description = "Ended"),
        (status = 409, description = "A change at the same time", body = Problem),
    )
)]
pub(super) async fn end_my_sessions(State(state): State<AppState>, caller: Caller) -> Result<StatusCode, ApiError> {
    let user = myself(&state, &caller).await?;
    state.auth.end_all_sessions_for(&user, &caller.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of one's own sessions that the app may see, with everything that was issued under it.
#[utoipa::path(
    delete, path = "/auth/v1/me/sessions/{sid}", tag = "accounts", operation_id = "end_my_session",
    params(("sid" = String, Path, format = "uuid")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "There is no such session", body = Problem),
    )
)]
pub(super) async fn end_my_session(
    State(state): State<AppState>,
    caller: Caller,
    Path(sid): Path<Uuid>,
) -> Result<StatusCode, ApiError> {
    let user = myself(&state, &caller).await?;
    state.auth.end_session_for(&user, sid, &caller.0).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists a user's sessions, last used first.
#[utoipa::path(
    get, path = "/auth/v1/users/{username}/sessions", tag = "accounts", operation_id = "user_sessions",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    responses(
        (status = 200, description = "All of them", body = List<SessionView>),
        (status = 404, description = "There is no such account", body = Problem),
    )
)]
pub(super) async fn user_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<Json<List<SessionView>>, ApiError> {
    let user = state.auth.user_to_touch(&username, &Editor::from(&caller.0)).await?;
    let sessions = state.auth.sessions_of(&user).await?;
    Ok(listed(sessions, &caller))
}

/// Signs a user out everywhere.
#[utoipa::path(
    delete, path = "/auth/v1/users/{username}/sessions", tag = "accounts", operation_id = "end_user_sessions",
    security(("bearer" = ["users:write"])), params(("username" = String, Path)),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "There is no such account", body = Problem),
        (status = 409, description = "A change at the same time", body = Problem),
    )
)]
pub(super) async fn end_user_sessions(
    State(state): State<AppState>,
    caller: Caller,
    Path(username): Path<String>,
) -> Result<StatusCode, ApiError> {
    let by = Editor::from(&caller.0);
    let user = state.auth.user_to_touch(&username, &by).await?;
    state.auth.end_all_sessions(&user, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of a user's sessions.
#[utoipa::path(
    delete, path = "/auth/v1/users/{username}/sessions/{sid}", tag = "accounts", operation_id = "end_user_session",
    security(("bearer" = ["users:write"])), params(("username" = String, Path), ("sid" = String, Path, format = "uuid")),
    responses(
        (status = 204, description = "Ended"),
        (status = 404, description = "There is no such account or session", body = Problem),
    )
)]
pub(super) async fn end_user_session(
    State(state): State<AppState>,
    caller: Caller,
    Path((username, sid)): Path<(String, Uuid)>,
) -> Result<StatusCode, ApiError> {
    let by = Editor::from(&caller.0);
    let user = state.auth.user_to_touch(&username, &by).await?;
    state.auth.end_session(&user, sid, &by).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The person of this token. A service account has no sessions, and those of the user it acts for are none of its business.
async fn myself(state: &AppState, caller: &Caller) -> Result<User, ApiError> {
    if caller.0.service {
        return Err(ApiError::forbidden(
            "not_a_user",
            "a service account has no sessions; disable it or rotate its secret",
        ));
    }
    Ok(state.auth.user(caller.0.actor.person.username.as_str()).await?)
}

fn listed(sessions: Vec<Session>, caller: &Caller) -> Json<List<SessionView>> {
    let items: Vec<SessionView> = sessions.into_iter().map(|session| view(session, caller)).collect();
    let total = Some(items.len() as u64);
    Json(List { items, next: None, total })
}

fn view(session: Session, caller: &Caller) -> SessionView {
    SessionView {
        current: session.sid == caller.0.sid,
        sid: session.sid,
        client_id: session.client_id,
        device: session.device,
        methods: session.sign_in.methods,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    }
}
