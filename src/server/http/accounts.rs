//! One's own account over HTTP, and what the lists of accounts have in common. Translates; every rule stands in `server::auth`.

use std::collections::BTreeSet;

use axum::{extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Peer},
};
use crate::{
    api::{
        List,
        accounts::{ChangePassword, Whoami},
        problem::Problem,
    },
    domain::actor::Reach,
    server::{auth::Principal, ports::Page},
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(whoami)).routes(routes!(change_password))
}

/// Who the token belongs to, and what it may do now.
#[utoipa::path(
    get, path = "/auth/v1/me", tag = "accounts", operation_id = "whoami",
    responses(
        (status = 200, description = "Whose token it is", body = Whoami),
    )
)]
pub(super) async fn whoami(State(state): State<AppState>, caller: Caller) -> Result<Json<Whoami>, ApiError> {
    let Principal { actor, scopes, client_id, subject, token_expires_at, .. } = caller.0;
    Ok(Json(Whoami {
        username: actor.person.username,
        name: actor.person.name,
        roles: actor.roles,
        wards: places(actor.wards),
        pharmacies: places(actor.pharmacies),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        client_id,
        second_factor: state.auth.has_factor(subject).await?,
        expires_at: token_expires_at,
    }))
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
        (status = 409, description = "The account was changed at the same time, as by a reset", body = Problem),
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

/// Where a list of accounts goes on.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct PageParameters {
    /// How many, 1 to 200.
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub(super) limit: Option<usize>,
    /// The `next` of the page before.
    pub(super) cursor: Option<String>,
}

/// A page as the wire has it, each item as its view shows it.
pub(super) fn list<T, U>(page: Page<T>, view: impl Fn(T) -> U) -> List<U> {
    List { items: page.items.into_iter().map(view).collect(), next: page.next, total: page.total }
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
