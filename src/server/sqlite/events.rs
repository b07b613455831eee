//! The log of events, each carrying the hash of the one before it. An event is appended once and never touched again.

use rusqlite::{Connection, OptionalExtension, Row};
use uuid::Uuid;

use super::{
    schema, sealing,
    stored::{self, EventLink, TextKey, concerned, from_millis, past_change, to_millis, to_uuid, unreadable},
};
use crate::{
    domain::{
        event::Event,
        refusal::PastChange,
        ticket::{Ticket, TicketId, Version},
    },
    server::ports::{EventId, RecordedEvent, StoreError, StoreResult},
};

/// One file has one writer, and so one partition.
pub(super) const PARTITION: u16 = 0;

/// Where the log ends.
pub(super) struct Head {
    /// Newest sequence number; 0 where nothing happened yet.
    pub(super) seq: u64,
    /// Its hash; the genesis where nothing happened yet.
    pub(super) hash: [u8; 32],
    /// Its time.
    pub(super) at: Option<jiff::Timestamp>,
}

/// What the first event's hash follows: binds the chain to its log.
pub(super) fn genesis(conn: &Connection) -> StoreResult<[u8; 32]> {
    schema::meta(conn, "genesis")
}

/// The log's end, as this transaction sees it.
pub(super) fn head(conn: &Connection) -> StoreResult<Head> {
    let newest: Option<(i64, [u8; 32], i64)> = conn
        .prepare_cached("SELECT seq, hash, at FROM events ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    match newest {
        None => Ok(Head { seq: 0, hash: genesis(conn)?, at: None }),
        Some((seq, hash, at)) => Ok(Head { seq: seq.cast_unsigned(), hash, at: Some(from_millis(at)?) }),
    }
}

/// Appends an event after `head`, which moves on; `after` is the ticket as the event left it.
pub(super) fn append(conn: &Connection, head: &mut Head, mut event: Event, after: &Ticket) -> StoreResult<()> {
    sealing::seal(conn, after.id, &mut event)?;
    let ticket = after.id.to_string();
    let pharmacies = concerned(after)?;
    let body = serde_json::to_string(&event)?;
    let link = EventLink {
        seq: head.seq + 1,
        ticket: &ticket,
        version: event.version.0,
        at: to_millis(event.at),
        status: after.status.as_str(),
        pharmacies: &pharmacies,
        body: &body,
    };
    let hash = link.hash(&head.hash);
    conn.prepare_cached(
        "INSERT INTO events (seq, ticket, version, at, status, pharmacies, body, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        link.seq.cast_signed(),
        link.ticket,
        link.version.cast_signed(),
        link.at,
        link.status,
        link.pharmacies,
        link.body,
        hash,
    ))?;
    *head = Head { seq: link.seq, hash, at: Some(event.at) };
    Ok(())
}

const COLUMNS: &str = "SELECT e.seq, e.ticket, t.number, t.ward, e.pharmacies, e.status, e.body, k.key, t.kind
    FROM events e JOIN tickets t ON t.id = e.ticket LEFT JOIN ticket_keys k ON k.ticket = e.ticket";

/// Events after a sequence number, in order.
pub(super) fn after(conn: &Connection, epoch: Uuid, seq: u64, limit: usize) -> StoreResult<Vec<RecordedEvent>> {
    let seq = i64::try_from(seq).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(&format!("{COLUMNS} WHERE e.seq > ?1 ORDER BY e.seq LIMIT ?2"))?;
    collect(epoch, statement.query((seq, limit))?)
}

/// Everything that happened to a ticket, oldest first.
pub(super) fn history(conn: &Connection, epoch: Uuid, ticket: TicketId) -> StoreResult<Vec<RecordedEvent>> {
    let mut statement = conn.prepare_cached(&format!("{COLUMNS} WHERE e.ticket = ?1 ORDER BY e.seq"))?;
    collect(epoch, statement.query([ticket.to_string()])?)
}

fn collect(epoch: Uuid, mut rows: rusqlite::Rows<'_>) -> StoreResult<Vec<RecordedEvent>> {
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(recorded(epoch, row)?);
    }
    Ok(events)
}

fn recorded(epoch: Uuid, row: &Row<'_>) -> StoreResult<RecordedEvent> {
    let ticket = TicketId(to_uuid(&row.get::<_, String>(1)?)?);
    let mut event: Event = serde_json::from_str(&row.get::<_, String>(6)?)?;
    let key: Option<Vec<u8>> = row.get(7)?;
    stored::open(TextKey::of(ticket, key.as_deref())?.as_ref(), &mut event)?;
    Ok(RecordedEvent {
        id: EventId { epoch, partition: PARTITION, seq: row.get::<_, i64>(0)?.cast_unsigned() },
        ticket,
        number: row.get(2)?,
        kind: row.get::<_, String>(8)?.parse().map_err(|_| unreadable("kind"))?,
        ward: row.get::<_, String>(3)?.parse().map_err(|_| unreadable("ward"))?,
        pharmacies: serde_json::from_str(&row.get::<_, String>(4)?)?,
        status: row.get::<_, String>(5)?.parse().map_err(|_| unreadable("status"))?,
        event,
    })
}

/// What changed a ticket after a version; comments change nothing.
pub(super) fn changes_since(conn: &Connection, ticket: TicketId, version: Version) -> StoreResult<Vec<PastChange>> {
    let version = i64::try_from(version.0).unwrap_or(i64::MAX);
    let mut statement =
        conn.prepare_cached("SELECT body FROM events WHERE ticket = ?1 AND version > ?2 ORDER BY seq")?;
    let mut rows = statement.query((ticket.to_string(), version))?;
    let mut changes = Vec::new();
    while let Some(row) = rows.next()? {
        changes.extend(past_change(serde_json::from_str(&row.get::<_, String>(0)?)?));
    }
    Ok(changes)
}

/// A break of the log's order, as the error that stops whoever finds it.
pub(super) fn damaged(seq: u64, what: &str) -> StoreError {
    StoreError::Broken(format!("event {seq} {what}: the log was altered or damaged"))
}
