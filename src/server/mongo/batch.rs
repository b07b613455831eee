//! The batch transaction: records of one partition become outcomes, events and states, all of them and the position after them, or nothing. Whatever goes
//! wrong, the next attempt begins at the read of the position; nothing that was read or decided is kept between two attempts.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt, future::BoxFuture};
use jiff::Timestamp;
use mongodb::{
    bson::{Document, doc},
    error::UNKNOWN_TRANSACTION_COMMIT_RESULT,
};
use tokio::time::{Instant, timeout_at};

use super::{
    MongoStore,
    audit::append,
    events,
    facts::{Known, by_ids},
    held::{Held, KeyChange, TicketChange},
    outcomes,
    partitions::{Stand, no_partition},
    read::{Fields, bytes},
    site_keys::SiteKeys,
    transaction::{Attempt, Change, Failure, Tx, taken},
};
use crate::{
    domain::{code::WardCode, command::Command},
    server::{
        ports::{AuditEntry, CommandId, EventId, Outcome, StoreError, StoreResult, Submission},
        stack::{Anchor, CommitError, LogIdentity, LoggedCommand, PartitionStore, Position},
        stored::{Settled, check_identity, erasure, from_millis, gather, past_change, settle, to_millis, to_uuid},
    },
};

/// How long one call tries; a batch that takes longer is of unknown fate.
const COMMIT_WITHIN: Duration = Duration::from_secs(20);

/// A unique key that another transaction took after this one began is seen by the next attempt. One that is not is a key that something else holds.
const COLLISIONS_MAX: usize = 3;

#[async_trait]
impl PartitionStore for MongoStore {
    async fn open_log(&self, log: LogIdentity) -> StoreResult<LogIdentity> {
        self.begin_log(log).await
    }

    async fn position(&self, partition: u16) -> StoreResult<Position> {
        self.position_of(partition).await
    }

    async fn commit(
        &self,
        partition: u16,
        expected: &Position,
        batch: &[LoggedCommand],
    ) -> Result<Position, CommitError> {
        if batch.is_empty() {
            return Ok(*expected);
        }
        let site = Arc::clone(&self.site);
        let job = Arc::new(Job { site, partition, expected: *expected, records: batch.to_vec() });
        let deadline = Instant::now() + COMMIT_WITHIN;
        let mut collisions = 0;
        loop {
            let work = self.clone().transact(Arc::clone(&job), decide, deadline);
            // It runs to its end whatever becomes of who waits: to drop the driver's futures half way is unsafe.
            let done = timeout_at(deadline, tokio::spawn(work)).await.map_err(|_| CommitError::Unknown)?;
            let done = done.map_err(|_| CommitError::Broken(StoreError::Broken("a batch panicked".to_owned())))?;
            match done {
                Ok(Done::Committed(position)) => {
                    self.committed.notify_waiters();
                    return Ok(position);
                }
                Ok(Done::Fenced(next_offset)) => return Err(CommitError::Fenced { partition, next_offset }),
                Err(failure) if is_collision(&failure) && collisions < COLLISIONS_MAX => collisions += 1,
                Err(failure) => return Err(told(partition, failure)),
            }
        }
    }
}

fn is_collision(failure: &Failure) -> bool {
    matches!(failure, Failure::Store(StoreError::Exists { .. }))
}

/// Adds documents whose unique keys nobody but this partition's owner takes: one that is taken is no mere collision.
async fn add(tx: &mut Tx, name: &'static str, documents: &[Document]) -> Attempt<()> {
    taken(tx.insert_all(name, documents).await, "key", name)
}

fn told(partition: u16, failure: Failure) -> CommitError {
    let two_writers = |what: &str| {
        tracing::error!(partition, "two writers: {what}; nothing of the batch was written");
        CommitError::TwoWriters(what.to_owned())
    };
    match failure {
        failure if is_collision(&failure) => two_writers("a unique key is held by what the partition does not know"),
        Failure::Store(StoreError::Changed) => two_writers("a ticket changed beside its partition"),
        Failure::Driver(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => CommitError::Unknown,
        failure => match failure.into() {
            error @ (StoreError::Unavailable(_) | StoreError::DiskFull) => CommitError::Unavailable(error),
            error => CommitError::Broken(error),
        },
    }
}

/// What is to be decided, and from where.
struct Job {
    site: Arc<SiteKeys>,
    partition: u16,
    expected: Position,
    records: Vec<LoggedCommand>,
}

enum Done {
    Committed(Position),
    /// Nothing was written: the partition stands there.
    Fenced(u64),
}

fn decide<'a>(tx: &'a mut Tx, job: &'a Arc<Job>) -> BoxFuture<'a, Attempt<Done>> {
    async move {
        // The first read, so that all that follows is of a snapshot in which the position is this one.
        let found = tx.find("partitions", doc! { "_id": i64::from(job.partition) }).await?;
        let stand = Stand::read(&found.ok_or_else(|| no_partition(job.partition))?)?;
        let Position { epoch, next_offset, .. } = stand.position;
        if (epoch, next_offset) != (job.expected.epoch, job.expected.next_offset) {
            return Ok(Done::Fenced(next_offset));
        }
        check_records(&stand.position, &job.records)?;
        let answered = answered(tx, &job.records).await?;
        let commands: Vec<&Submission> = job
            .records
            .iter()
            .filter_map(|record| record.command.as_ref().ok())
            .filter(|submission| !answered.contains(&submission.command_id))
            .collect();
        let known = Known::read(tx, Arc::clone(&job.site), &commands).await?;
        let mut batch = Batch { partition: job.partition, stand, answered, known, writes: Writes::default() };
        job.records.iter().try_for_each(|record| batch.take(record))?;
        let position = batch.stand.position;
        batch.write(tx, next_offset).await?;
        Ok(Done::Committed(position))
    }
    .boxed()
}

/// Records of another log, or out of order, are no continuation.
fn check_records(position: &Position, records: &[LoggedCommand]) -> StoreResult<()> {
    let mut next = position.next_offset;
    for record in records {
        if record.epoch != position.epoch {
            return Err(StoreError::Broken(format!("the record at offset {} is of another log", record.offset)));
        }
        if record.offset < next {
            return Err(StoreError::Broken(format!("the record at offset {} comes again", record.offset)));
        }
        next = record.offset + 1;
    }
    Ok(())
}

/// The commands that have an outcome: the first one stands.
async fn answered(tx: &mut Tx, records: &[LoggedCommand]) -> Attempt<BTreeSet<CommandId>> {
    let ids = records.iter().filter_map(|record| record.command.as_ref().ok());
    let ids: BTreeSet<String> = ids.map(|submission| submission.command_id.0.to_string()).collect();
    let found = by_ids(tx, "outcomes", &ids).await?;
    let read = |it: &Document| Ok(CommandId(to_uuid(it.text("_id")?)?));
    Ok(found.iter().map(read).collect::<StoreResult<_>>()?)
}

/// A batch under way.
struct Batch {
    partition: u16,
    /// Where the partition stands after what was taken.
    stand: Stand,
    answered: BTreeSet<CommandId>,
    known: Known,
    writes: Writes,
}

/// What is to be inserted or changed beside the tickets.
#[derive(Default)]
struct Writes {
    outcomes: Vec<Document>,
    events: Vec<Document>,
    dead_letters: Vec<Document>,
    identifiers: Vec<Document>,
    numbers: BTreeMap<WardCode, u64>,
    audit: Vec<AuditEntry>,
}

impl Batch {
    /// Decides a record, and goes past it.
    fn take(&mut self, record: &LoggedCommand) -> StoreResult<()> {
        // The log's time: whole milliseconds, never going back.
        let at = from_millis(to_millis(record.at))?;
        let at = self.stand.at.map_or(at, |newest| at.max(newest));
        match &record.command {
            Err(poison) => self.bury(record, at, &poison.reason),
            Ok(submission) if self.answered.contains(&submission.command_id) => {}
            Ok(submission) => match self.settle(submission, at) {
                Ok(settled) => self.record(submission, settled)?,
                // It would be the same each time: others must not wait for it.
                Err(error) => self.bury(record, at, &error.to_string()),
            },
        }
        self.stand.at = Some(at);
        self.stand.position.next_offset = record.offset + 1;
        self.stand.position.anchor = Some(Anchor { offset: record.offset, checksum: record.checksum });
        Ok(())
    }

    fn settle(&self, submission: &Submission, at: Timestamp) -> StoreResult<Settled> {
        check_identity(submission)?;
        let ticket = self.known.ticket(submission.ticket);
        if ticket.is_some_and(|ticket| ticket.ward != submission.ward) {
            return Err(StoreError::Broken("a command does not name its ticket's ward".to_owned()));
        }
        let facts = gather(&self.known, submission, ticket)?;
        settle(submission, ticket, &facts, at)
    }

    fn bury(&mut self, record: &LoggedCommand, at: Timestamp, reason: &str) {
        let Position { epoch, .. } = self.stand.position;
        tracing::error!(partition = self.partition, offset = record.offset, reason, "a record is a dead letter");
        self.writes.dead_letters.push(doc! {
            "_id": format!("{}-{}-{}", epoch.simple(), self.partition, record.offset),
            "partition": i64::from(self.partition),
            "offset": record.offset.cast_signed(),
            "at": to_millis(at),
            "checksum": bytes(&record.checksum),
            "reason": reason,
        });
    }

    fn record(&mut self, submission: &Submission, settled: Settled) -> StoreResult<()> {
        let Settled { outcome, steps } = settled;
        let id = submission.command_id;
        let audit = erasure(&steps);
        for (event, after) in steps {
            let event_id = self.next_event();
            if let (Command::Create(_), None) = (&submission.command, self.known.ticket(after.id)) {
                self.create(id, event_id.seq, &after);
            }
            let held = self.held(submission)?;
            let sealed = held.sealed(&event)?;
            let document = events::document(event_id, &event, &sealed, &after, &mut self.stand.hash)?;
            self.writes.events.push(document);
            self.stand.position.seq = event_id.seq;
            let site = Arc::clone(&self.known.site);
            self.held(submission)?.follow(&site, &event, after);
            self.known.past.entry(submission.ticket).or_default().extend(past_change(event));
        }
        if let Some(entry) = audit {
            self.held(submission)?.erase();
            self.writes.audit.push(entry);
        }
        let sealed = match &outcome.outcome {
            refused @ Outcome::Refused(_) => serde_json::to_string(refused)?,
            applied @ Outcome::Applied(_) => self.held(submission)?.sealed(applied)?,
        };
        self.writes.outcomes.push(outcomes::document(id, &outcome, sealed));
        self.answered.insert(id);
        Ok(())
    }

    fn next_event(&self) -> EventId {
        let Position { epoch, seq, .. } = self.stand.position;
        EventId { epoch, partition: self.partition, seq: seq + 1 }
    }

    fn held(&mut self, submission: &Submission) -> StoreResult<&mut Held> {
        let held = self.known.tickets.get_mut(&submission.ticket);
        held.ok_or_else(|| StoreError::Broken("an event has no ticket".to_owned()))
    }

    /// What comes with a new ticket and stays with it.
    fn create(&mut self, id: CommandId, born: u64, ticket: &crate::domain::ticket::Ticket) {
        self.known.tickets.insert(ticket.id, Held::made(id, born, ticket.clone()));
        for identifier in &ticket.identifiers {
            let (system, value) = (&identifier.system, &identifier.value);
            let owner = ticket.id.to_string();
            self.writes.identifiers.push(doc! { "thing": "ticket", "system": system, "value": value, "owner": owner });
            self.known.taken.insert(identifier.clone());
        }
        let last = self.known.numbers.entry(ticket.ward.clone()).or_default();
        *last += 1;
        self.writes.numbers.insert(ticket.ward.clone(), *last);
    }

    /// Writes it all, on condition that the partition stands where it did.
    async fn write(mut self, tx: &mut Tx, next_offset: u64) -> Attempt<()> {
        self.write_tickets(tx).await?;
        let Writes { outcomes, events, dead_letters, identifiers, numbers, audit } = self.writes;
        let inserts =
            [("outcomes", outcomes), ("events", events), ("dead_letters", dead_letters), ("identifiers", identifiers)];
        for (name, documents) in inserts {
            add(tx, name, &documents).await?;
        }
        let number = |(ward, last): (WardCode, u64)| Change {
            filter: doc! { "_id": ward.as_str() },
            change: doc! { "$set": { "last": last.cast_signed() } },
            upsert: true,
        };
        tx.update_each("ward_sequences", numbers.into_iter().map(number).collect()).await?;
        append(tx, &audit).await?;
        let fence = doc! {
            "_id": i64::from(self.partition),
            "epoch": self.stand.position.epoch.to_string(),
            "next_offset": next_offset.cast_signed(),
        };
        let moved = tx.update("partitions", fence, doc! { "$set": self.stand.fields() }).await?;
        if moved { Ok(()) } else { Err(StoreError::Changed.into()) }
    }

    async fn write_tickets(&mut self, tx: &mut Tx) -> Attempt<()> {
        let (mut made, mut changed) = (Vec::new(), Vec::new());
        let (mut keys, mut erased) = (Vec::new(), Vec::new());
        self.give_up_needs(tx).await?;
        for held in self.known.tickets.values_mut() {
            match held.change(&self.known.site)? {
                TicketChange::None => {}
                TicketChange::Insert(document) => made.push(document),
                TicketChange::Update(change) => changed.push(change),
            }
            match held.key_change() {
                KeyChange::None => {}
                KeyChange::Insert(document) => keys.push(document),
                KeyChange::Delete(id) => erased.push(id),
            }
        }
        if !tx.update_each("tickets", changed).await? {
            return Err(StoreError::Changed.into());
        }
        add(tx, "tickets", &made).await?;
        add(tx, "ticket_keys", &keys).await?;
        if !erased.is_empty() {
            tx.delete_all("ticket_keys", doc! { "_id": { "$in": erased } }).await?;
        }
        Ok(())
    }

    /// Where one ticket of the batch took a need over from another, the unique key must be free before it is taken again.
    async fn give_up_needs(&self, tx: &mut Tx) -> Attempt<()> {
        let changes = self.known.tickets.iter().map(|(id, held)| (id, held.sole_changes()));
        let changes: Vec<_> = changes.collect();
        let taken: BTreeSet<&String> = changes.iter().flat_map(|(_, (_, taken))| taken.iter().copied()).collect();
        let givers = changes.iter().filter(|(_, (given, _))| given.iter().any(|need| taken.contains(need)));
        let givers: Vec<String> = givers.map(|(id, _)| id.to_string()).collect();
        if givers.is_empty() {
            return Ok(());
        }
        tx.update_all("tickets", doc! { "_id": { "$in": givers } }, doc! { "$unset": { "sole": "" } }).await
    }
}
