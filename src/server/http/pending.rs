//! The address of a command that was answered 202: it says, signed, which command it is, whose, and where in the log it waits, so that any node can tell
//! what became of it. It must never tell anybody but who sent the command, nor guess.

use aws_lc_rs::hmac;
use axum::{extract::State, http::StatusCode};
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path},
    tickets::{Shown, done_status},
};
use crate::{
    api::{problem::Problem, tickets::CommandStatus},
    domain::actor::UserId,
    server::{
        app::tickets::{Fate, Waiting},
        auth::secrets::Secret,
        ports::{Appended, CommandId, IdentityStore, Outcome, StoreResult, StoredOutcome, SubmitError},
    },
};

/// The setting that holds the secret by which addresses are signed.
const SETTING: &str = "command_address_key";

/// The form of an address; another form is another number.
const FORM: u8 = 1;

/// Form, command, body hash, epoch, partition, offset, person.
const SIGNED: usize = 1 + 16 + 32 + 16 + 2 + 8 + 16;

/// Signs addresses, and knows its own again: the same on all nodes and over restarts.
#[derive(Clone)]
pub struct Addresses(hmac::Key);

impl Addresses {
    /// With the site's secret, which is made at the first start.
    ///
    /// # Errors
    /// As the store's.
    pub async fn open(store: &dyn IdentityStore) -> StoreResult<Self> {
        let secret = store.fix_setting(SETTING, Secret::random().reveal()).await?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())))
    }

    /// The last segment of the address of a command that waits.
    pub(super) fn write(&self, waiting: &Waiting) -> String {
        let Waiting { id, body_hash, actor, at } = waiting;
        let mut bytes = vec![FORM];
        bytes.extend(id.0.as_bytes());
        bytes.extend(body_hash);
        bytes.extend(at.epoch.as_bytes());
        bytes.extend(at.partition.to_be_bytes());
        bytes.extend(at.offset.to_be_bytes());
        bytes.extend(actor.0.as_bytes());
        bytes.extend(hmac::sign(&self.0, &bytes).as_ref());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The command of such a segment; `None` of one that was not written here.
    fn read(&self, text: &str) -> Option<Waiting> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (signed, tag) = bytes.split_at_checked(SIGNED)?;
        hmac::verify(&self.0, signed, tag).ok()?;
        let mut rest = signed;
        if take::<1>(&mut rest)? != [FORM] {
            return None;
        }
        Some(Waiting {
            id: CommandId(Uuid::from_bytes(take(&mut rest)?)),
            body_hash: take(&mut rest)?,
            at: Appended {
                epoch: Uuid::from_bytes(take(&mut rest)?),
                partition: u16::from_be_bytes(take(&mut rest)?),
                offset: u64::from_be_bytes(take(&mut rest)?),
            },
            actor: UserId(Uuid::from_bytes(take(&mut rest)?)),
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (first, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*first)
}

/// The operation.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(command_status))
}

/// What became of a command that was answered 202.
///
/// `pending` while it waits in the log; `done` with the status and body of the original request; `refused` with those of its problem; `lost`
/// where the log ended or went past it without an outcome: it took no effect and never will, send it again under the same key. Any node tells.
#[utoipa::path(
    get, path = "/v1/commands/{token}", tag = "tickets", operation_id = "read_command", security(("bearer" = ["tickets:read"])),
    params(("token" = String, Path, description = "From the Location of the 202")),
    responses(
        (status = 200, description = "Where it stands", body = CommandStatus, example = json!({ "state": "pending" })),
        (status = 404, description = "No such command, or not yours", body = Problem),
    )
)]
async fn command_status(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(token): Path<String>,
) -> Result<Json<CommandStatus>, ApiError> {
    let waiting = state.addresses.read(&token).ok_or(ApiError::NotFound { what: "command" })?;
    let word = |state: &str| CommandStatus { state: state.to_owned(), status: None, body: None };
    Ok(Json(match state.desk().fate(&by.actor, &waiting).await? {
        Fate::Pending => word("pending"),
        Fate::Lost => word("lost"),
        Fate::KeyReused => refused(SubmitError::KeyReused.into()),
        Fate::Decided(outcome) => status_of(&outcome),
    }))
}

fn status_of(outcome: &StoredOutcome) -> CommandStatus {
    match &outcome.outcome {
        Outcome::Applied(ticket) => {
            let body = serde_json::to_value(Shown::of(outcome.command, ticket));
            told("done", done_status(outcome.command), body)
        }
        Outcome::Refused(refusal) => refused(refusal.clone().into()),
    }
}

fn refused(error: ApiError) -> CommandStatus {
    let answer = error.answer();
    told("refused", answer.status, serde_json::to_value(answer.problem()))
}

fn told(state: &str, status: StatusCode, body: serde_json::Result<serde_json::Value>) -> CommandStatus {
    let body = Some(body.expect("tickets and problems have string keys only"));
    CommandStatus { state: state.to_owned(), status: Some(status.as_u16()), body }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn an_address_is_known_again_and_a_changed_or_foreign_one_is_none() {
        let key = |secret: &[u8]| Addresses(hmac::Key::new(hmac::HMAC_SHA256, secret));
        let (ours, theirs) = (key(b"ours"), key(b"theirs"));
        let waiting = Waiting {
            id: CommandId(Uuid::from_u128(1)),
            body_hash: [7; 32],
            actor: UserId(Uuid::from_u128(2)),
            at: Appended { epoch: Uuid::from_u128(3), partition: 500, offset: u64::MAX },
        };
        let text = ours.write(&waiting);
        assert_eq!(ours.read(&text).unwrap(), waiting);
        assert!(text.len() < 200, "{}", text.len());
        assert_eq!(theirs.read(&text), None);
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(ours.read(&BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "byte {at}");
            assert_eq!(ours.read(&BASE64_URL_SAFE_NO_PAD.encode(&bytes[..at])), None, "cut at {at}");
        }
    }
}
