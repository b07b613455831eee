//! Commands become outcomes here: append, decision and commit in one transaction. A command that has an outcome is never decided again.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    SqliteStore, erasing,
    events::{self, PARTITION},
    facts::{self, Deciding},
    rows, sealing,
    stored::{self, Settled, check_identity, from_millis, gather, settle, to_millis, to_uuid, unreadable},
    writer,
};
use crate::{
    domain::{
        actor::UserId,
        command::CommandName,
        event::Event,
        ticket::{Ticket, TicketId},
    },
    server::ports::{
        Appended, CommandId, Cursor, Outcome, Pipeline, RecordedEvent, StoreResult, StoredOutcome, Submission,
        SubmitError, Submitted, ahead_of_clock,
    },
};

/// Nothing is durable before the commit, so that there is no honest "pending": a shorter wait is stretched to this.
const COMMIT_WITHIN: Duration = Duration::from_secs(10);

/// The shortest time between two complaints of the clock.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

const RETRY_AFTER: Duration = Duration::from_secs(1);

#[async_trait]
impl Pipeline for SqliteStore {
    async fn submit(&self, submission: Submission, wait: Duration) -> Result<Submitted, SubmitError> {
        self.submit_at(submission, None, wait).await
    }

    async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>> {
        self.readers.read(move |conn| find_outcome(conn, id)).await
    }

    async fn is_past(&self, _: &Appended) -> StoreResult<bool> {
        // Nothing is durable here before it is decided.
        Ok(true)
    }

    async fn head(&self) -> StoreResult<Cursor> {
        let epoch = self.epoch;
        self.readers.read(move |conn| Ok(Cursor::new(epoch, vec![events::head(conn)?.seq]))).await
    }

    async fn newest_at(&self) -> StoreResult<Option<Timestamp>> {
        self.readers.read(|conn| Ok(events::head(conn)?.at)).await
    }

    async fn writable(&self) -> StoreResult<()> {
        self.writer.probe().await
    }

    async fn tail(&self) -> StoreResult<Cursor> {
        Ok(Cursor::new(self.epoch, vec![0]))
    }

    async fn events_after(&self, position: &Cursor, limit: usize) -> StoreResult<Vec<RecordedEvent>> {
        let (epoch, seq) = (self.epoch, position.seq(PARTITION));
        self.readers.read(move |conn| events::after(conn, epoch, seq, limit)).await
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.writer.watch()
    }
}

impl SqliteStore {
    /// As [`Pipeline::submit`], with the log's time given: for a demo's history and for commands that a restore appends again.
    /// Time never goes back: an earlier one than the newest event's is that event's.
    ///
    /// # Errors
    /// As [`Pipeline::submit`].
    pub async fn submit_at(
        &self,
        submission: Submission,
        at: Option<Timestamp>,
        wait: Duration,
    ) -> Result<Submitted, SubmitError> {
        let erases = submission.command.name() == CommandName::Erase;
        let answer = self
            .writer
            .try_write(move |conn| execute(conn, &submission, at))
            .map_err(|writer::Refused| SubmitError::Overloaded { retry_after: RETRY_AFTER })?;
        let submitted = match tokio::time::timeout(wait.max(COMMIT_WITHIN), answer).await {
            Ok(Ok(Ok(Verdict::Done(outcome)))) => Ok(Submitted::Done(*outcome)),
            Ok(Ok(Ok(Verdict::KeyReused))) => Err(SubmitError::KeyReused),
            Ok(Ok(Err(error))) => Err(error.into()),
            Ok(Err(_)) => Err(SubmitError::Unknown("the store closed before it answered".to_owned())),
            Err(_) => Err(SubmitError::Unknown("the write is taking long".to_owned())),
        };
        if erases && submitted.is_ok() {
            self.empty_wal().await;
        }
        submitted
    }
}

enum Verdict {
    Done(Box<StoredOutcome>),
    KeyReused,
}

fn execute(conn: &Connection, submission: &Submission, at: Option<Timestamp>) -> StoreResult<Verdict> {
    if let Some(earlier) = find_outcome(conn, submission.command_id)? {
        let same = earlier.body_hash == submission.body_hash;
        return Ok(if same { Verdict::Done(Box::new(earlier)) } else { Verdict::KeyReused });
    }
    check_identity(submission)?;
    let before = rows::load(conn, submission.ticket)?;
    let ticket = before.as_ref().map(|stored| &stored.ticket);
    let facts = gather(&Deciding(conn), submission, ticket)?;
    let mut head = events::head(conn)?;
    let at = stamp(at, &head)?;
    let Settled { outcome, steps } = settle(submission, ticket, &facts, at)?;
    record(conn, submission.command_id, before.as_ref(), steps, &mut head)?;
    insert_outcome(conn, submission.command_id, &outcome)?;
    Ok(Verdict::Done(Box::new(outcome)))
}

/// The log's time: whole milliseconds, never before the newest event's.
fn stamp(at: Option<Timestamp>, head: &events::Head) -> StoreResult<Timestamp> {
    let now = Timestamp::now();
    if let (None, Some(newest)) = (at, head.at) {
        complain_of_clock(newest, now);
    }
    let at = from_millis(to_millis(at.unwrap_or(now)))?;
    Ok(head.at.map_or(at, |newest| at.max(newest)))
}

/// Says that times are not those of the clock, for what is recorded cannot be made earlier; not with every command.
fn complain_of_clock(newest: Timestamp, now: Timestamp) {
    static LAST: Mutex<Option<Instant>> = Mutex::new(None);
    let Some(ahead) = ahead_of_clock(newest, now) else { return };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|last| last.elapsed() >= COMPLAIN_EVERY) {
        *last = Some(Instant::now());
        tracing::error!(
            ahead_seconds = ahead.as_secs(),
            "the newest event is ahead of the clock, and new events get its time until the clock has caught up; set the clock right"
        );
    }
}

/// Writes what happened, and the state that it led to.
fn record(
    conn: &Connection,
    id: CommandId,
    before: Option<&rows::Stored>,
    steps: Vec<(Event, Ticket)>,
    head: &mut events::Head,
) -> StoreResult<()> {
    let Some((_, after)) = steps.last() else { return Ok(()) };
    match before {
        Some(stored) => {
            rows::update(conn, stored, after)?;
            erasing::follow(conn, stored, &steps)?;
        }
        None => {
            rows::insert(conn, id, after)?;
            facts::use_number(conn, &after.ward)?;
        }
    }
    steps.into_iter().try_for_each(|(event, after)| events::append(conn, head, event, &after))
}

fn insert_outcome(conn: &Connection, id: CommandId, stored: &StoredOutcome) -> StoreResult<()> {
    let mut outcome = stored.outcome.clone();
    sealing::seal(conn, stored.ticket, &mut outcome)?;
    conn.prepare_cached(
        "INSERT INTO outcomes (command_id, body_hash, actor, command, ticket, at, body)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        id.0.to_string(),
        stored.body_hash,
        stored.actor.0.to_string(),
        stored.command.as_str(),
        stored.ticket.to_string(),
        to_millis(stored.at),
        serde_json::to_string(&outcome)?,
    ))?;
    Ok(())
}

fn find_outcome(conn: &Connection, id: CommandId) -> StoreResult<Option<StoredOutcome>> {
    let mut statement =
        conn.prepare_cached("SELECT body_hash, actor, command, ticket, at, body FROM outcomes WHERE command_id = ?1")?;
    let mut rows = statement.query([id.0.to_string()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let uuid = |column: usize| -> StoreResult<Uuid> { to_uuid(&row.get::<_, String>(column)?) };
    let ticket = TicketId(uuid(3)?);
    let mut outcome: Outcome = serde_json::from_str(&row.get::<_, String>(5)?)?;
    stored::open(sealing::load(conn, ticket)?.as_ref(), &mut outcome)?;
    Ok(Some(StoredOutcome {
        body_hash: row.get(0)?,
        actor: UserId(uuid(1)?),
        command: row.get::<_, String>(2)?.parse().map_err(|_| unreadable("command name"))?,
        ticket,
        at: from_millis(row.get(4)?)?,
        outcome,
    }))
}
