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
pub enum Submitted {
    /// Decided, now or by an earlier attempt with the same key and body.
    Done(StoredOutcome),
    /// Durable there, not yet decided.
    Pending(Appended),
}

/// Where a command stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The log.
    pub epoch: Uuid,
    /// The partition.
    pub partition: u16,
    /// The offset; an upper bound where the acknowledgement named none.
    pub offset: u64,
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

/// An event's identity everywhere: `epoch-partition-seq`. A ward's events have one partition, and one order there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Identity of the log; another epoch is another log.
    pub epoch: Uuid,
    /// The partition; embedded there is one, 0.
    pub partition: u16,
    /// Its place in the partition: contiguous from 1, and going on where another epoch begins.
    pub seq: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.epoch.simple(), self.partition, self.seq)
    }
}

/// A position in the event feed: how far each partition was seen. Opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    epoch: Uuid,
    seqs: Vec<u64>,
}

impl Cursor {
    /// The events of each partition, 0 and on, were seen up to and including these sequence numbers.
    #[must_use]
    pub fn new(epoch: Uuid, seqs: Vec<u64>) -> Self {
        Self { epoch, seqs }
    }

    /// How far each partition was seen.
    #[must_use]
    pub fn seqs(&self) -> &[u64] {
        &self.seqs
    }

    /// How far a partition was seen.
    #[must_use]
    pub fn seq(&self, partition: u16) -> u64 {
        self.seqs.get(usize::from(partition)).copied().unwrap_or(0)
    }

    /// How many events that is.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.seqs.iter().sum()
    }

    /// True where the event was seen.
    #[must_use]
    pub fn includes(&self, event: EventId) -> bool {
        event.seq <= self.seq(event.partition)
    }

    /// True where no other event of its partition comes before this one.
    #[must_use]
    pub fn is_before(&self, event: EventId) -> bool {
        usize::from(event.partition) < self.seqs.len() && event.seq == self.seq(event.partition) + 1
    }

    /// Goes past an event and all before it.
    pub fn advance(&mut self, event: EventId) {
        if let Some(seq) = self.seqs.get_mut(usize::from(event.partition)) {
            *seq = event.seq;
        }
    }

    /// True where the feed can be resumed here without a gap, given where it begins and ends now.
    #[must_use]
    pub fn is_between(&self, tail: &Self, head: &Self) -> bool {
        let within = |((seq, first), last): ((&u64, &u64), &u64)| (*first..=*last).contains(seq);
        self.epoch == head.epoch
            && self.seqs.len() == head.seqs.len()
            && self.seqs.iter().zip(&tail.seqs).zip(&head.seqs).all(within)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.epoch.simple())?;
        if let [seq] = self.seqs[..] {
            return write!(f, "0-{seq}");
        }
        let seqs: Vec<String> = self.seqs.iter().map(u64::to_string).collect();
        f.write_str(&seqs.join("."))
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (epoch, seqs) = text.split_once('-').ok_or(())?;
        let epoch = Uuid::try_parse(epoch).map_err(drop)?;
        let seqs: Result<Vec<u64>, _> = match seqs.split_once('-') {
            Some((_partition, seq)) => [seq].iter().map(|seq| seq.parse()).collect(),
            None => seqs.split('.').map(str::parse).collect(),
        };
        Ok(Self { epoch, seqs: seqs.map_err(drop)? })
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
    /// Its identity, which is its place in the feed.
    pub id: EventId,
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

    /// True where what stands there in the log was decided, or never will be since another log began.
    async fn is_past(&self, appended: &Appended) -> StoreResult<bool>;

    /// The position after all committed events.
    async fn head(&self) -> StoreResult<Cursor>;

    /// When the newest committed event happened; `None` where nothing did yet. No later event is before it.
    async fn newest_at(&self) -> StoreResult<Option<Timestamp>>;

    /// Passes where a command could be made durable. Free while commands are; after one could not, another write is tried.
    async fn writable(&self) -> StoreResult<()>;

    /// The oldest position from which the feed can still be resumed without a gap.
    async fn tail(&self) -> StoreResult<Cursor>;

    /// Up to `limit` committed events after a position. Those of a partition are in order and without a gap; between partitions there is no order.
    async fn events_after(&self, position: &Cursor, limit: usize) -> StoreResult<Vec<RecordedEvent>>;

    /// Changes when events were committed; the value is the position after them. A hint: the feed itself is the truth.
    fn watch(&self) -> watch::Receiver<Cursor>;
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn positions_read_as_they_were_written() {
        let epoch = Uuid::from_u128(7);
        let id = EventId { epoch, partition: 0, seq: 42 };
        let one = Cursor::new(epoch, vec![42]);
        assert_eq!(one.to_string(), id.to_string(), "with one partition an event's identity is the position after it");
        for cursor in [one, Cursor::new(epoch, vec![3, 0, u64::MAX])] {
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for bad in
            ["", "x", "7", &epoch.to_string(), &format!("{}-", epoch.simple()), &format!("{}-1.x", epoch.simple())]
        {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_position_goes_from_event_to_event_of_each_partition() {
        let epoch = Uuid::from_u128(7);
        let id = |partition, seq| EventId { epoch, partition, seq };
        let mut cursor = Cursor::new(epoch, vec![1, 5]);
        assert!(cursor.includes(id(1, 5)) && !cursor.includes(id(0, 2)));
        assert!(!cursor.is_before(id(0, 3)) && !cursor.is_before(id(2, 1)), "something is missing between");
        assert!(cursor.is_before(id(0, 2)));
        cursor.advance(id(0, 2));
        assert_eq!(cursor, Cursor::new(epoch, vec![2, 5]));
        let (tail, head) = (Cursor::new(epoch, vec![2, 0]), Cursor::new(epoch, vec![2, 9]));
        assert!(cursor.is_between(&tail, &head));
        for other in [vec![3, 5], vec![1, 5], vec![2], vec![2, 5, 0]] {
            assert!(!Cursor::new(epoch, other.clone()).is_between(&tail, &head), "{other:?}");
        }
        assert!(!Cursor::new(Uuid::from_u128(8), vec![2, 5]).is_between(&tail, &head));
    }
}
