//! Signing keys over HTTP: their life, never their private part. Translates; every rule stands in `server::auth`.

use axum::extract::State;
use jiff::Timestamp;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json},
};
use crate::{
    api::{
        List,
        accounts::{KeyView, RotateKeys},
    },
    server::auth::{
        accounts::Editor,
        keys::{KeyRecord, Rotation, Stage},
    },
};

/// Every route of this file.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_keys, rotate_keys))
}

/// Lists the signing keys, oldest first.
#[utoipa::path(
    get, path = "/auth/v1/keys", tag = "accounts", operation_id = "list_keys",
    security(("bearer" = ["admin"])),
    responses(
        (status = 200, description = "All keys", body = List<KeyView>),
    )
)]
pub(super) async fn list_keys(State(state): State<AppState>) -> Result<Json<List<KeyView>>, ApiError> {
    Ok(Json(view(state.auth.signing_keys().await?)))
}

/// Replaces the signing keys: the new ones are published at once and sign 90 seconds later; nobody is logged out. Compromised ones are deleted at
/// once, and every token that they signed is dead.
#[utoipa::path(
    post, path = "/auth/v1/keys", tag = "accounts", operation_id = "rotate_keys",
    security(("bearer" = ["admin"])),
    request_body(content = RotateKeys, example = json!({ "compromised": false })),
    responses(
        (status = 200, description = "All keys", body = List<KeyView>),
    )
)]
pub(super) async fn rotate_keys(
    State(state): State<AppState>,
    caller: Caller,
    Json(how): Json<RotateKeys>,
) -> Result<Json<List<KeyView>>, ApiError> {
    let rotation = if how.compromised { Rotation::Compromised } else { Rotation::Orderly };
    Ok(Json(view(state.auth.rotate_keys(rotation, &Editor::from(&caller.0)).await?)))
}

fn view(keys: Vec<KeyRecord>) -> List<KeyView> {
    let now = Timestamp::now();
    let total = Some(keys.len() as u64);
    let items = keys.into_iter().map(|key| KeyView {
        stage: match key.stage(now) {
            Stage::Next => "next",
            Stage::Signing => "signing",
            Stage::Retired => "retired",
        }
        .to_owned(),
        gone_at: key.gone_at(),
        kid: key.kid,
        algorithm: key.algorithm,
        created_at: key.created_at,
        signs_from: key.signs_from,
        retired_at: key.retired_at,
    });
    List { items: items.collect(), next: None, total }
}
