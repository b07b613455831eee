//! The pipeline port: a command in, its outcome and committed events out. Names no SQL, no HTTP and no clock of its own.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use super::{StoreError, StoreResult};
use crate::domain::{
    actor::{Actor, UserId},
    code::{PharmacyCode, WardCode},
    command::Command,
    event::Event,
    reason::{Kind, Status},
    refusal::Refusal,
    ticket::{Ticket, TicketId, Version},
};

/// A command's identity, derived from (issuer, client, subject, idempotency key): a retry is the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

/// A command on its way to the decision.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Its identity.
    pub command_id: CommandId,
    /// Salted hash of the request as it was read: tells a retry from another request under the same key.
    pub body_hash: [u8; 32],
    /// The ticket; for a create the id that it will get.
    pub ticket: TicketId,
    /// The ward whose order decides; a ticket never changes ward.
    pub ward: WardCode,
    /// The version that the command was based on; `None` for create and comment.
    pub expected: Option<Version>,
    /// The wish.
    pub command: Command,
    /// Who, under the authority in force at acceptance.
    pub actor: Actor,
}

/// What became of a command, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done: the ticket as it was afterwards.
    Applied(Box<Ticket>),
    /// Refused by a rule.
    Refused(Refusal),
}

/// An outcome as kept by its command's id.
#[derive(Debug, Clone)]
pub struct StoredOutcome {
    /// Hash of the command that it answers.
    pub body_hash: [u8; 32],
    /// Who may ask for it.
    pub actor: UserId,
    /// Name of the command: tells a create (201) from the rest (200).
    pub command: crate::domain::command::CommandName,
    /// The ticket that it was about.
    pub ticket: TicketId,
    /// When the log took it.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a submission learned within its deadline.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made per request and taken apart at once")]
pub enum Submitted {
    /// Decided, now or by an earlier attempt with the same key and body.
    Done(StoredOutcome),
    /// Durable, not yet decided.
    Pending,
}

/// Why a submission has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The key was used for another command.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too much is waiting: nothing was accepted.
    #[error("too many commands are waiting")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// It may or may not have been accepted: ask again with the same key.
    #[error("it is not known whether the command was accepted: {0}")]
    Unknown(String),
    /// Nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A position in the event feed: the log's epoch and the last sequence number seen. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Identity of the log; another epoch is another log.
    pub epoch: Uuid,
    /// Events up to and including this one were seen.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-0-{}", self.epoch.simple(), self.seq)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let (Some(epoch), Some("0"), Some(seq), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(());
        };
        Ok(Self { epoch: Uuid::try_parse(epoch).map_err(drop)?, seq: seq.parse().map_err(drop)? })
    }
}

/// How far the newest event may be ahead of the clock: what a clock that is set right now and then drifts.
const AHEAD_MAX: SignedDuration = SignedDuration::from_secs(60);

/// By how much a log is ahead of the clock, where it is too much: somebody worked under a clock that was wrong, or it is wrong now.
/// The log's time stands still until the clock has caught up.
#[must_use]
pub fn ahead_of_clock(newest: Timestamp, now: Timestamp) -> Option<SignedDuration> {
    Some(newest.duration_since(now)).filter(|ahead| *ahead > AHEAD_MAX)
}

/// An event as committed.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Its place in the feed; `epoch-partition-seq` is its identity everywhere.
    pub position: Cursor,
    /// The ticket.
    pub ticket: TicketId,
    /// Its number.
    pub number: String,
    /// Its kind.
    pub kind: Kind,
    /// Its ward.
    pub ward: WardCode,
    /// The pharmacies concerned: the current one first, then those before.
    pub pharmacies: Vec<PharmacyCode>,
    /// Its status after the event.
    pub status: Status,
    /// What happened.
    pub event: Event,
}

/// Submits commands, keeps outcomes, feeds events.
///
/// Invariants: an acknowledged command is durable (I1); outcomes depend only on log order, prior state and facts (I2); the same
/// key and body give the same answer (I3); the feed has no gap and starts from committed events (I7). Once an erasure is committed no
/// text of the ticket can be read any more, neither in its state, its events, its outcomes nor by search, and the audit says who erased it.
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// Makes the command durable and waits for its outcome, at most `wait`.
    async fn submit(&self, submission: Submission, wait: Duration) -> Result<Submitted, SubmitError>;

    /// The outcome of a command, if it has one.
    async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>>;

    /// The position of the newest committed event.
    async fn head(&self) -> StoreResult<Cursor>;

    /// When the newest committed event happened; `None` where nothing did yet. No later event is before it.
    async fn newest_at(&self) -> StoreResult<Option<Timestamp>>;

    /// Passes where a command could be made durable. Free while commands are; after one could not, another write is tried.
    async fn writable(&self) -> StoreResult<()>;

    /// The oldest position from which the feed can still be resumed without a gap.
    async fn tail(&self) -> StoreResult<Cursor>;

    /// Up to `limit` committed events after a sequence number, in order.
    async fn events_after(&self, seq: u64, limit: usize) -> StoreResult<Vec<RecordedEvent>>;

    /// Changes when events were committed; the value is the newest sequence number. A hint: the feed itself is the truth.
    fn watch(&self) -> watch::Receiver<u64>;
}
