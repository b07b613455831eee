//! The seam of stack mode: a log that keeps commands in order, and a store that decides them in that order. It must never name either product.

use std::num::NonZeroU16;

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

pub use super::ports::Appended;
use super::ports::{Cursor, StoreError, StoreResult, Submission, SubmitError};
use crate::domain::code::WardCode;

/// Where commands become durable before anybody decides them. All commands of a ward are of one partition.
#[async_trait]
pub trait CommandLog: Send + Sync {
    /// Makes a command durable: returns after the log's acknowledgement, never before.
    ///
    /// # Errors
    /// [`SubmitError::Unknown`] where the acknowledgement did not come in time, [`SubmitError::Overloaded`] and [`SubmitError::Store`] where nothing
    /// was appended.
    async fn append(&self, submission: &Submission) -> Result<Appended, SubmitError>;

    /// Passes where a command could be made durable.
    async fn writable(&self) -> StoreResult<()>;
}

/// The partition of a ward's commands: by the 16 bits of its hash that its tickets' ids carry, too.
#[must_use]
pub fn partition_of(ward: &WardCode, partitions: NonZeroU16) -> u16 {
    let hash = Sha256::digest(ward.as_str());
    u16::from_be_bytes([hash[0], hash[1]]) % partitions
}

/// A record as read from a partition.
#[derive(Debug, Clone)]
pub struct LoggedCommand {
    /// Its offset.
    pub offset: u64,
    /// When the log took it.
    pub at: Timestamp,
    /// The log that it was written for.
    pub epoch: Uuid,
    /// SHA-256 of its bytes.
    pub checksum: [u8; 32],
    /// The command, or why it will never be one.
    pub command: Result<Submission, Poison>,
}

/// What makes a record undecidable, for whoever tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Poison {
    /// In words for an administrator; it quotes nothing of the record.
    pub reason: String,
}

/// A record by which a log is known again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anchor {
    /// Its offset.
    pub offset: u64,
    /// SHA-256 of its bytes.
    pub checksum: [u8; 32],
}

/// How far a partition is decided, as a majority has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The log.
    pub epoch: Uuid,
    /// The first offset that is not decided.
    pub next_offset: u64,
    /// The last record that was.
    pub anchor: Option<Anchor>,
    /// The newest event's sequence number.
    pub seq: u64,
}

/// How far all partitions are decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Of each partition, 0 and on; empty before the log was opened.
    pub positions: Vec<Position>,
    /// The newest time of the log.
    pub newest_at: Option<Timestamp>,
}

impl Progress {
    /// True where what stands there was decided, or never will be since another log began.
    #[must_use]
    pub fn is_past(&self, appended: &Appended) -> bool {
        self.positions
            .get(usize::from(appended.partition))
            .is_some_and(|position| position.epoch != appended.epoch || position.next_offset > appended.offset)
    }

    /// The end of the event feed.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor::new(self.epoch(), self.positions.iter().map(|position| position.seq).collect())
    }

    /// The beginning of the event feed: events are kept for ever.
    #[must_use]
    pub fn beginning(&self) -> Cursor {
        Cursor::new(self.epoch(), vec![0; self.positions.len()])
    }

    fn epoch(&self) -> Uuid {
        self.positions.first().map_or(Uuid::nil(), |position| position.epoch)
    }
}

/// The log that a store decides, fixed at the first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    /// The cluster that holds it.
    pub cluster: String,
    /// How many partitions it has: routing follows this number.
    pub partitions: u16,
}

/// Why a batch was not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Another owner of the partition went on from there: give it up.
    #[error("partition {partition} was taken over and went on to offset {next_offset}")]
    Fenced {
        /// The partition.
        partition: u16,
        /// Where it stands now.
        next_offset: u64,
    },
    /// Nothing was written; the same batch may be tried again.
    #[error(transparent)]
    Unavailable(StoreError),
    /// It may or may not be written: read the position again and go on from there.
    #[error("it is not known whether the batch was written")]
    Unknown,
    /// Something was written beside the owner of the partition. Nothing of this batch was.
    #[error("two writers: {0}")]
    TwoWriters(String),
    /// A defect, a damaged store or a foreign log: stop.
    #[error(transparent)]
    Broken(StoreError),
}

/// What decides commands. A batch is one transaction: outcomes, events and states are all there, with the position after it, or nothing is.
#[async_trait]
pub trait PartitionStore: Send + Sync {
    /// The log that this store decides: the given one at the first start, the one of then ever after.
    async fn open_log(&self, log: LogIdentity) -> StoreResult<LogIdentity>;

    /// How far a partition is decided.
    async fn position(&self, partition: u16) -> StoreResult<Position>;

    /// Decides records, which begin at or after `expected.next_offset` and are in order, where the partition still stands there.
    ///
    /// # Errors
    /// [`CommitError`] says whether to go on, and from where.
    async fn commit(
        &self,
        partition: u16,
        expected: &Position,
        batch: &[LoggedCommand],
    ) -> Result<Position, CommitError>;
}
