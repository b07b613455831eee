//! Proves a database: SQLite's own checks, the chains of events and audit, that folding the events gives the stored tickets (I9), and that
//! accounts are what their columns say. It only reads.

use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::{
    SqliteStore, audit,
    events::{self, damaged},
    rows::opened,
    sealing,
    stored::{self, EventLink, to_uuid},
};
use crate::{
    domain::{
        apply::apply,
        event::Event,
        ticket::{Ticket, TicketId},
    },
    server::ports::{Client, StoreError, StoreResult, User},
};

/// What a proven database holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Events in the log.
    pub events: u64,
    /// Tickets, each equal to the fold of its events.
    pub tickets: u64,
    /// Hash of the newest event.
    pub head: [u8; 32],
    /// Entries of the audit log and the newest one's hash; `None` where its schema is from before it was chained.
    pub audit: Option<(u64, [u8; 32])>,
    /// Users.
    pub users: u64,
    /// Clients and service accounts.
    pub clients: u64,
}

impl SqliteStore {
    /// Proves the live database, on one snapshot.
    ///
    /// # Errors
    /// [`StoreError::Broken`] names what does not hold.
    pub async fn verify(&self) -> StoreResult<Proof> {
        self.readers.read(verify).await
    }
}

/// Proves the database of a connection.
pub(super) fn verify(conn: &Connection) -> StoreResult<Proof> {
    check_integrity(conn)?;
    if conn.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Err(StoreError::Broken("a record refers to one that does not exist".to_owned()));
    }
    let (events, head) = check_chain(conn)?;
    let tickets = check_folds(conn)?;
    let audit = audit::is_chained(conn)?.then(|| audit::check_chain(conn)).transpose()?;
    let (users, clients) = check_accounts(conn)?;
    Ok(Proof { events, tickets, head, audit, users, clients })
}

/// Every account reads, under the name and generation by which it is found. Who holds which role is proven by nothing but the audit log.
fn check_accounts(conn: &Connection) -> StoreResult<(u64, u64)> {
    let users = each_account(conn, "SELECT username, generation, body FROM users", |user: &User| {
        (user.username.as_str(), user.generation)
    })?;
    let clients = each_account(conn, "SELECT client_id, generation, body FROM clients", |client: &Client| {
        (&client.client_id, client.generation)
    })?;
    Ok((users, clients))
}

fn each_account<T: DeserializeOwned>(
    conn: &Connection,
    sql: &str,
    known_by: impl Fn(&T) -> (&str, u64),
) -> StoreResult<u64> {
    let mut statement = conn.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut accounts = 0;
    while let Some(row) = rows.next()? {
        let (name, generation): (String, i64) = (row.get(0)?, row.get(1)?);
        let read = serde_json::from_str::<T>(&row.get::<_, String>(2)?);
        if !read.is_ok_and(|account| known_by(&account) == (name.as_str(), generation.cast_unsigned())) {
            return Err(StoreError::Broken(format!("the account {name:?} is not what its record says")));
        }
        accounts += 1;
    }
    Ok(accounts)
}

/// SQLite's own check of the whole file.
pub(super) fn check_integrity(conn: &Connection) -> StoreResult<()> {
    let integrity: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    let sound = integrity == "ok";
    if sound { Ok(()) } else { Err(StoreError::Broken(format!("the database file is damaged: {integrity}"))) }
}

fn check_chain(conn: &Connection) -> StoreResult<(u64, [u8; 32])> {
    let mut statement =
        conn.prepare("SELECT seq, ticket, version, at, status, pharmacies, body, hash FROM events ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let (mut seq, mut hash) = (0_u64, events::genesis(conn)?);
    while let Some(row) = rows.next()? {
        seq += 1;
        let text = |column: usize| row.get::<_, String>(column);
        let (ticket, status, pharmacies, body) = (text(1)?, text(4)?, text(5)?, text(6)?);
        let found = row.get::<_, i64>(0)?.cast_unsigned();
        if found != seq {
            return Err(damaged(seq, "is missing"));
        }
        let link = EventLink {
            seq,
            ticket: &ticket,
            version: row.get::<_, i64>(2)?.cast_unsigned(),
            at: row.get(3)?,
            status: &status,
            pharmacies: &pharmacies,
            body: &body,
        };
        hash = link.hash(&hash);
        if row.get::<_, [u8; 32]>(7)? != hash {
            return Err(damaged(seq, "does not follow from the one before"));
        }
    }
    Ok((seq, hash))
}

fn check_folds(conn: &Connection) -> StoreResult<u64> {
    let mut statement = conn.prepare(
        "SELECT t.id, t.body, k.key, t.version, t.status FROM tickets t LEFT JOIN ticket_keys k ON k.ticket = t.id",
    )?;
    let mut rows = statement.query([])?;
    let mut tickets = 0;
    while let Some(row) = rows.next()? {
        let id = TicketId(to_uuid(&row.get::<_, String>(0)?)?);
        let stored = opened(row, 1, 2)?;
        let same_columns = row.get::<_, i64>(3)?.cast_unsigned() == stored.version.0
            && row.get::<_, String>(4)? == stored.status.as_str();
        if fold(conn, id)?.as_ref() != Some(&stored) || !same_columns {
            return Err(StoreError::Broken(format!("ticket {id} is not what its events say")));
        }
        tickets += 1;
    }
    Ok(tickets)
}

fn fold(conn: &Connection, id: TicketId) -> StoreResult<Option<Ticket>> {
    let key = sealing::load(conn, id)?;
    let mut statement = conn.prepare_cached("SELECT body FROM events WHERE ticket = ?1 ORDER BY seq")?;
    let mut rows = statement.query([id.to_string()])?;
    let mut state = None;
    while let Some(row) = rows.next()? {
        let mut event: Event = serde_json::from_str(&row.get::<_, String>(0)?)?;
        stored::open(key.as_ref(), &mut event)?;
        let next = apply(state, &event)
            .map_err(|error| StoreError::Broken(format!("an event of ticket {id} does not fold: {error}")))?;
        state = Some(next);
    }
    Ok(state)
}
