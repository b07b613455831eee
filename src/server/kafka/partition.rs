//! One partition: from where the store stands, in order, batch by batch. It never skips a record, and never goes on where the log is not the one
//! that the store decided before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rdkafka::{
    Message as _, Offset,
    consumer::{Consumer as _, base_consumer::PartitionQueue},
    error::KafkaError,
    message::BorrowedMessage,
    topic_partition_list::TopicPartitionList,
};
use tokio::runtime::Handle;

use super::{
    codec::{TooNew, decode},
    processor::{Consumer, Group, PartitionState, Shared},
};
use crate::server::stack::{CommitError, LoggedCommand, PartitionStore, Position};

/// Most records of one transaction.
const BATCH: usize = 64;

/// How soon an end is noticed while nothing comes.
const POLL: Duration = Duration::from_millis(100);

/// How long a question to the brokers may take.
const ASK_WITHIN: Duration = Duration::from_secs(5);

/// Between two attempts at something that does not work: from the first to the longest.
const AGAIN_AFTER: Duration = Duration::from_millis(50);
const AGAIN_AFTER_MAX: Duration = Duration::from_secs(2);

/// Somebody may have mended what halted a partition.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// A partition and all that its thread needs.
pub(super) struct Work {
    pub(super) consumer: Arc<Consumer>,
    pub(super) queue: PartitionQueue<Group>,
    pub(super) topic: String,
    pub(super) partition: u16,
    pub(super) store: Arc<dyn PartitionStore>,
    pub(super) runtime: Handle,
    pub(super) shared: Arc<Shared>,
    pub(super) stop: Arc<AtomicBool>,
}

/// Why the work on a partition stands still.
enum Trouble {
    /// Begin again at the read of the position.
    Again(String),
    /// Somebody has to look.
    Halt(String),
}

impl From<KafkaError> for Trouble {
    fn from(error: KafkaError) -> Self {
        Self::Again(format!("the command log: {error}"))
    }
}

impl Work {
    /// Works until it is told to stop.
    pub(super) fn run(self) {
        let mut wait = AGAIN_AFTER;
        while !self.stopped() {
            let began = self.settle().and_then(|(position, first)| {
                wait = AGAIN_AFTER;
                self.follow(position, first)
            });
            let Err(trouble) = began else { return };
            let (state, pause) = match trouble {
                Trouble::Again(why) => {
                    tracing::warn!(partition = self.partition, why, "a partition is begun again");
                    (PartitionState::Waiting(why), wait)
                }
                Trouble::Halt(why) => {
                    tracing::error!(partition = self.partition, why, "a partition is halted");
                    (PartitionState::Halted(why), LOOK_AGAIN_AFTER)
                }
            };
            self.tell(state);
            wait = (wait * 2).min(AGAIN_AFTER_MAX);
            self.rest(pause);
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn tell(&self, state: PartitionState) {
        self.shared.set(self.partition, state);
    }

    /// Waits, but no longer than until it is told to stop.
    fn rest(&self, mut left: Duration) {
        while !left.is_zero() && !self.stopped() {
            let step = left.min(POLL);
            thread::sleep(step);
            left -= step;
        }
    }

    /// Where the store stands, proven to be in this log; and the offset of the first record to read, the anchor's where there is one.
    fn settle(&self) -> Result<(Position, u64), Trouble> {
        let unread = |error| Trouble::Again(format!("the position is not known: {error}"));
        let position = self.runtime.block_on(self.store.position(self.partition)).map_err(unread)?;
        let number = i32::from(self.partition);
        let (first, end) = self.consumer.fetch_watermarks(&self.topic, number, ASK_WITHIN)?;
        let (first, end) = (first.cast_unsigned(), end.cast_unsigned());
        let next = position.next_offset;
        let halt = |found: String| {
            Err(Trouble::Halt(format!(
                "the store has decided all before offset {next}, and {found}: this is not the log that it decided; \
                 bring that log back, or have the store begin a new one"
            )))
        };
        if end < next {
            return halt(format!("the log ends at {end}"));
        }
        // All of it expired: there is no record left by which to know it, and none was missed.
        let expired = first == end && end == next;
        if first > next || (first == next && next > 0 && !expired) {
            return halt(format!("its oldest record is {first}"));
        }
        let from = match position.anchor {
            Some(anchor) if !expired => anchor.offset,
            _ => next,
        };
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(&self.topic, number, Offset::Offset(from.cast_signed()))?;
        self.consumer.seek_partitions(place.clone(), ASK_WITHIN)?;
        self.consumer.resume(&place)?;
        Ok((position, from))
    }

    /// Decides what comes, until it is told to stop.
    fn follow(&self, mut position: Position, mut next: u64) -> Result<(), Trouble> {
        let mut most = BATCH;
        while !self.stopped() {
            self.tell(PartitionState::Working { next_offset: position.next_offset });
            let (mut batch, trouble) = self.gather(next, &position, most);
            next += batch.len() as u64;
            if let Some(anchor) = position.anchor
                && batch.first().is_some_and(|record| record.offset == anchor.offset)
                && batch.remove(0).checksum != anchor.checksum
            {
                return Err(Trouble::Halt(format!(
                    "record {} is not the one that the store decided: the log was made anew; bring the old one back, \
                     or have the store begin a new one",
                    anchor.offset
                )));
            }
            if batch.is_empty() {
                self.shared.counts.lag(self.partition, 0.0);
            } else {
                let (after, tried) = self.decide(position, &batch)?;
                (position, most) = (after, (tried * 2).min(BATCH));
                // Fails where the partition was just taken away, and is but a hint.
                let _ = self.consumer.store_offset(&self.topic, self.partition.into(), (next - 1).cast_signed());
            }
            if let Some(trouble) = trouble {
                return Err(trouble);
            }
        }
        Ok(())
    }

    /// Up to `most` records from `next` on: what is there, and what stands in the way of more.
    fn gather(&self, next: u64, position: &Position, most: usize) -> (Vec<LoggedCommand>, Option<Trouble>) {
        let mut batch = Vec::new();
        while batch.len() < most {
            let polled = self.queue.poll(if batch.is_empty() { POLL } else { Duration::ZERO });
            let record = match polled {
                None => break,
                Some(Err(error)) => return (batch, Some(error.into())),
                Some(Ok(message)) => self.read(&message, next + batch.len() as u64, position),
            };
            match record {
                Ok(record) => batch.push(record),
                Err(trouble) => return (batch, Some(trouble)),
            }
        }
        (batch, None)
    }

    fn read(
        &self,
        message: &BorrowedMessage<'_>,
        expected: u64,
        position: &Position,
    ) -> Result<LoggedCommand, Trouble> {
        let offset = message.offset().cast_unsigned();
        if offset != expected {
            return Err(Trouble::Again(format!("the log gave record {offset} where {expected} was next")));
        }
        let at = message.timestamp().to_millis().and_then(|at| Timestamp::from_millisecond(at).ok());
        let at = at.ok_or_else(|| Trouble::Halt(format!("record {offset} has no time of the log")))?;
        match decode(offset, at, position.epoch, message.payload().unwrap_or_default()) {
            Err(TooNew(format)) => Err(Trouble::Halt(format!(
                "record {offset} was written by a newer medreq (format {format}); upgrade this node"
            ))),
            Ok(record) if record.epoch != position.epoch => Err(Trouble::Halt(format!(
                "record {offset} was written for another log than the one that the store decides; end the nodes that still write it"
            ))),
            Ok(record) => Ok(record),
        }
    }

    /// Has the store decide a batch, in smaller parts where it does not take the whole; says how large the last one was.
    fn decide(&self, mut position: Position, batch: &[LoggedCommand]) -> Result<(Position, usize), Trouble> {
        let (mut rest, mut size, mut wait) = (batch, batch.len(), AGAIN_AFTER);
        while !rest.is_empty() {
            let part = &rest[..size.min(rest.len())];
            let began = Instant::now();
            let committed = self.runtime.block_on(self.store.commit(self.partition, &position, part));
            let counts = &self.shared.counts;
            counts.batch(ended(&committed));
            let failed = match committed {
                Ok(after) => {
                    counts.commit_seconds.observe(began.elapsed().as_secs_f64());
                    counts.batch_records.observe(part.len() as f64);
                    if let Some(newest) = part.last() {
                        counts.lag(self.partition, Timestamp::now().duration_since(newest.at).as_secs_f64());
                    }
                    (position, rest, wait) = (after, &rest[part.len()..], AGAIN_AFTER);
                    continue;
                }
                Err(CommitError::Unavailable(error) | CommitError::Broken(error)) => error,
                Err(CommitError::TwoWriters(what)) => {
                    tracing::error!(
                        partition = self.partition,
                        alarm = "two_writers",
                        what,
                        "nothing of the batch was written"
                    );
                    return Err(Trouble::Again(format!("two writers: {what}")));
                }
                Err(error @ (CommitError::Fenced { .. } | CommitError::Unknown)) => {
                    return Err(Trouble::Again(error.to_string()));
                }
            };
            // What the store does not take is never thrown away: it is tried in smaller parts, and for as long as it takes.
            tracing::warn!(partition = self.partition, records = part.len(), error = %failed, "a batch was not decided");
            self.tell(PartitionState::Waiting(format!("the store does not decide: {failed}")));
            size = (part.len() / 2).max(1);
            self.rest(wait);
            wait = (wait * 2).min(AGAIN_AFTER_MAX);
            if self.stopped() {
                return Err(Trouble::Again("the partition is given up".to_owned()));
            }
        }
        Ok((position, size))
    }
}

/// How a batch ended, in the words of the metrics.
fn ended(committed: &Result<Position, CommitError>) -> &'static str {
    match committed {
        Ok(_) => "decided",
        Err(CommitError::Fenced { .. }) => "fenced",
        Err(CommitError::Unknown) => "unknown",
        Err(CommitError::TwoWriters(_)) => "two_writers",
        Err(CommitError::Unavailable(_) | CommitError::Broken(_)) => "refused",
    }
}
