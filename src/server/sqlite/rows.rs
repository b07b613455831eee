//! A ticket's row and everything it is found by. The row is the fold of its events; it is written on condition of the version that was loaded.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    reference::put_identifiers,
    schema, sealing,
    stored::{self, Need, TextKey, due_key, open_needs, to_millis},
    words::word_key,
};
use crate::{
    domain::{
        code::CabinetCode,
        ticket::{Ticket, TicketId},
    },
    server::ports::{CommandId, StoreError, StoreResult},
};

/// A ticket as loaded, its texts readable.
pub(super) struct Stored {
    pub(super) row: i64,
    pub(super) ticket: Ticket,
}

/// The ticket, with its texts opened.
pub(super) fn load(conn: &Connection, id: TicketId) -> StoreResult<Option<Stored>> {
    let sql = "SELECT t.row, t.body, k.key FROM tickets t LEFT JOIN ticket_keys k ON k.ticket = t.id WHERE t.id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([id.to_string()])?;
    rows.next()?.map(|row| Ok(Stored { row: row.get(0)?, ticket: opened(row, 1, 2)? })).transpose()
}

/// Reads a ticket from the columns of its body and its key.
pub(super) fn opened(row: &Row<'_>, body: usize, key: usize) -> StoreResult<Ticket> {
    let mut ticket: Ticket = serde_json::from_str(row.get_ref(body)?.as_str().map_err(rusqlite::Error::from)?)?;
    let key: Option<Vec<u8>> = row.get(key)?;
    stored::open(TextKey::of(ticket.id, key.as_deref())?.as_ref(), &mut ticket)?;
    Ok(ticket)
}

/// Writes the ticket that a create made.
pub(super) fn insert(conn: &Connection, command_id: CommandId, ticket: &Ticket) -> StoreResult<()> {
    let row: i64 = conn
        .prepare_cached(
            "INSERT INTO tickets (id, command_id, number, kind, ward, cabinet, requester, created_at,
                 version, status, open, priority, pharmacy, assignee, updated_at, due_key, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, '', 0, '', '', NULL, 0, 0, '') RETURNING row",
        )?
        .query_row(
            (
                ticket.id.to_string(),
                command_id.0.to_string(),
                &ticket.number,
                ticket.kind.as_str(),
                ticket.ward.as_str(),
                ticket.cabinet.as_ref().map(CabinetCode::as_str),
                ticket.requester.username.as_str(),
                to_millis(ticket.created_at),
            ),
            |row| row.get(0),
        )?;
    put_identifiers(conn, "ticket", &ticket.id.to_string(), &ticket.identifiers)?;
    write_state(conn, row, 0, ticket)?;
    index(conn, row, None, ticket)
}

/// Replaces the ticket that was loaded.
pub(super) fn update(conn: &Connection, before: &Stored, after: &Ticket) -> StoreResult<()> {
    write_state(conn, before.row, before.ticket.version.0, after)?;
    index(conn, before.row, Some(&before.ticket), after)
}

fn write_state(conn: &Connection, row: i64, version_was: u64, ticket: &Ticket) -> StoreResult<()> {
    let mut sealed = ticket.clone();
    sealing::seal(conn, ticket.id, &mut sealed)?;
    let changed = conn
        .prepare_cached(
            "UPDATE tickets SET version = ?3, status = ?4, open = ?5, priority = ?6, pharmacy = ?7, assignee = ?8,
                 updated_at = ?9, due_key = ?10, body = ?11 WHERE row = ?1 AND version = ?2",
        )?
        .execute((
            row,
            version_was.cast_signed(),
            ticket.version.0.cast_signed(),
            ticket.status.as_str(),
            !ticket.status.is_terminal(),
            ticket.priority.as_str(),
            ticket.pharmacy.as_str(),
            ticket.assignee.as_ref().map(|person| person.username.as_str()),
            to_millis(ticket.updated_at),
            due_key(ticket),
            serde_json::to_string(&sealed)?,
        ))?;
    // The transaction holds the write lock since before the load: only a defect can come here.
    if changed == 1 { Ok(()) } else { Err(StoreError::Broken("a ticket changed while it was decided".to_owned())) }
}

fn index(conn: &Connection, row: i64, before: Option<&Ticket>, after: &Ticket) -> StoreResult<()> {
    let medications =
        |ticket: &Ticket| -> BTreeSet<String> { ticket.lines.iter().map(|line| line.medication.to_string()).collect() };
    let former =
        |ticket: &Ticket| -> BTreeSet<String> { ticket.former_pharmacies.iter().map(ToString::to_string).collect() };
    let key = word_key(conn)?;
    let was = before.map(|ticket| key.found_by(ticket)).unwrap_or_default();
    sync(conn, "ticket_words", "word", row, &was, &key.found_by(after))?;
    sync(conn, "ticket_lines", "medication", row, &before.map(medications).unwrap_or_default(), &medications(after))?;
    sync(conn, "former_pharmacies", "pharmacy", row, &before.map(former).unwrap_or_default(), &former(after))?;
    let salt = patient_salt(conn)?;
    let was = before.map(|ticket| open_needs(&salt, ticket)).unwrap_or_default();
    let now = open_needs(&salt, after);
    if was != now { replace_needs(conn, row, &now) } else { Ok(()) }
}

/// Writes the difference of two sets.
fn sync(
    conn: &Connection,
    table: &str,
    column: &str,
    row: i64,
    was: &BTreeSet<String>,
    now: &BTreeSet<String>,
) -> StoreResult<()> {
    let mut delete = conn.prepare_cached(&format!("DELETE FROM {table} WHERE {column} = ?1 AND ticket = ?2"))?;
    for value in was.difference(now) {
        delete.execute((value, row))?;
    }
    let mut insert = conn.prepare_cached(&format!("INSERT INTO {table} ({column}, ticket) VALUES (?1, ?2)"))?;
    for value in now.difference(was) {
        insert.execute((value, row))?;
    }
    Ok(())
}

/// Keeps patients apart without naming them.
pub(super) fn patient_salt(conn: &Connection) -> StoreResult<[u8; 32]> {
    schema::meta(conn, "patient_salt")
}

fn replace_needs(conn: &Connection, row: i64, needs: &BTreeSet<Need>) -> StoreResult<()> {
    conn.prepare_cached("DELETE FROM open_lines WHERE ticket = ?1")?.execute([row])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO open_lines (destination, medication, patient, supply, ticket) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for need in needs {
        insert.execute((&need.destination, need.medication.as_str(), &need.patient, need.supply, row))?;
    }
    Ok(())
}

/// The ticket that has an identifier.
pub(super) fn identifier_owner(conn: &Connection, system: &str, value: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT owner FROM identifiers WHERE thing = 'ticket' AND system = ?1 AND value = ?2";
    Ok(conn.prepare_cached(sql)?.query_row((system, value), |row| row.get(0)).optional()?)
}
