//! A command as bytes in the log. What was written by an older build is read for ever; what a newer one wrote is never guessed at.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::{
        actor::Actor,
        code::WardCode,
        command::Command,
        ticket::{TicketId, Version},
    },
    server::{
        ports::{CommandId, Submission},
        stack::{LoggedCommand, Poison},
    },
};

/// The form of a record and the rules by which its command was accepted. A build that reads an older one must do so for ever.
const FORMAT: u16 = 1;

#[derive(Serialize, Deserialize)]
struct Record {
    format: u16,
    epoch: Uuid,
    id: CommandId,
    body_hash: String,
    ticket: TicketId,
    ward: WardCode,
    expected: Option<Version>,
    actor: Actor,
    command: Command,
}

/// What every format says of itself.
#[derive(Deserialize)]
struct Head {
    format: u16,
    epoch: Uuid,
}

/// Written by a build that is newer than this one, in this format.
pub(super) struct TooNew(pub(super) u16);

/// The bytes of a command for the log of this epoch.
pub(super) fn encode(submission: &Submission, epoch: Uuid) -> Vec<u8> {
    let Submission { command_id, body_hash, ticket, ward, expected, command, actor } = submission.clone();
    let body_hash = BASE64_STANDARD.encode(body_hash);
    let record = Record { format: FORMAT, epoch, id: command_id, body_hash, ticket, ward, expected, actor, command };
    serde_json::to_vec(&record).expect("a record has string keys only")
}

/// A command, or something that never will be one; of this epoch, unless the record itself says otherwise.
pub(super) fn decode(offset: u64, at: Timestamp, epoch: Uuid, bytes: &[u8]) -> Result<LoggedCommand, TooNew> {
    let head = serde_json::from_slice::<Head>(bytes).ok();
    if let Some(Head { format, .. }) = head.as_ref().filter(|head| head.format > FORMAT) {
        return Err(TooNew(*format));
    }
    // The parser's own words may quote the record.
    let command = serde_json::from_slice::<Record>(bytes)
        .map_err(|error| Poison { reason: format!("it is no command of this log ({:?} error)", error.classify()) });
    let command = command.and_then(|record| {
        let body_hash = BASE64_STANDARD.decode(&record.body_hash).ok().and_then(|bytes| bytes.try_into().ok());
        let body_hash = body_hash.ok_or_else(|| Poison { reason: "its body's hash is none".to_owned() })?;
        let Record { id: command_id, ticket, ward, expected, actor, command, .. } = record;
        Ok(Submission { command_id, body_hash, ticket, ward, expected, command, actor })
    });
    let epoch = head.map_or(epoch, |head| head.epoch);
    Ok(LoggedCommand { offset, at, epoch, checksum: Sha256::digest(bytes).into(), command })
}
