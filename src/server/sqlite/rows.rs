//! A ticket's row and everything it is found by. The row is the fold of its events; it is written on condition of the version that was loaded.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};

use super::{
    reference::put_identifiers,
    schema,
    sealing::{self, TextKey},
    stored::{to_millis, words},
    words::WordKey,
};
use crate::{
    domain::{
        code::{CabinetCode, WardCode},
        text::FreeText,
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
    sealing::open(TextKey::of(ticket.id, row.get(key)?)?.as_ref(), &mut ticket)?;
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
            ticket.due_at().map_or(i64::MAX, to_millis),
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
    let key = WordKey::load(conn)?;
    let was = before.map(|ticket| found_by(&key, ticket)).unwrap_or_default();
    sync(conn, "ticket_words", "word", row, &was, &found_by(&key, after))?;
    sync(conn, "ticket_lines", "medication", row, &before.map(medications).unwrap_or_default(), &medications(after))?;
    sync(conn, "former_pharmacies", "pharmacy", row, &before.map(former).unwrap_or_default(), &former(after))?;
    let was = before.map(|ticket| needs(conn, ticket)).transpose()?.unwrap_or_default();
    let now = needs(conn, after)?;
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

fn found_by(key: &WordKey, ticket: &Ticket) -> BTreeSet<String> {
    let people = std::iter::once(&ticket.requester).chain(&ticket.assignee);
    let clear = [ticket.number.as_str(), ticket.ward.as_str(), ticket.pharmacy.as_str()]
        .into_iter()
        .chain(ticket.cabinet.as_ref().map(CabinetCode::as_str))
        .chain(people.flat_map(|person| [person.username.as_str(), person.name.as_str()]))
        .chain(ticket.lines.iter().flat_map(|line| [line.medication.as_str(), line.name.as_str()]))
        .chain(ticket.identifiers.iter().map(|identifier| identifier.value.as_str()));
    let erasable = ticket.note.iter().chain(ticket.assistance.iter().map(|assistance| &assistance.text));
    clear
        .flat_map(words)
        // A number is also typed without its separators.
        .chain(words(&ticket.number.replace(|c: char| !c.is_alphanumeric(), "")))
        .chain(erasable.filter_map(FreeText::plain).flat_map(|text| key.hashed_prefixes(text)))
        .collect()
}

/// A line that must not be asked for twice.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    destination: String,
    medication: String,
    patient: Vec<u8>,
    supply: bool,
}

/// Where something goes, as `open_lines` names it.
pub(super) fn destination(ward: &WardCode, cabinet: Option<&CabinetCode>) -> String {
    cabinet.map_or_else(|| format!("ward:{ward}"), |cabinet| format!("cabinet:{cabinet}"))
}

/// Stands for the patient of a missing dose at a destination: a salted hash; empty where there is none.
pub(super) fn patient_key(
    conn: &Connection,
    ticket: TicketId,
    destination: &str,
    patient: Option<&FreeText>,
) -> StoreResult<Vec<u8>> {
    let Some(patient) = patient else {
        return Ok(Vec::new());
    };
    let salt: [u8; 32] = schema::meta(conn, "patient_salt")?;
    let hash = Sha256::new_with_prefix(salt).chain_update(destination).chain_update([0]);
    // An erased reference equals no other.
    let hash = match patient.plain() {
        Some(reference) => hash.chain_update(reference),
        None => hash.chain_update([0]).chain_update(ticket.0),
    };
    Ok(hash.finalize().to_vec())
}

fn needs(conn: &Connection, ticket: &Ticket) -> StoreResult<BTreeSet<Need>> {
    if ticket.status.is_terminal() {
        return Ok(BTreeSet::new());
    }
    let destination = destination(&ticket.ward, ticket.cabinet.as_ref());
    let patient = ticket.missing_dose.as_ref().map(|dose| &dose.patient_ref);
    let patient = patient_key(conn, ticket.id, &destination, patient)?;
    let need = |medication: String| Need {
        destination: destination.clone(),
        medication,
        patient: patient.clone(),
        supply: ticket.kind.is_supply(),
    };
    Ok(ticket.lines.iter().map(|line| need(line.medication.to_string())).collect())
}

fn replace_needs(conn: &Connection, row: i64, needs: &BTreeSet<Need>) -> StoreResult<()> {
    conn.prepare_cached("DELETE FROM open_lines WHERE ticket = ?1")?.execute([row])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO open_lines (destination, medication, patient, supply, ticket) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for need in needs {
        insert.execute((&need.destination, &need.medication, &need.patient, need.supply, row))?;
    }
    Ok(())
}

/// The ticket that has an identifier.
pub(super) fn identifier_owner(conn: &Connection, system: &str, value: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT owner FROM identifiers WHERE thing = 'ticket' AND system = ?1 AND value = ?2";
    Ok(conn.prepare_cached(sql)?.query_row((system, value), |row| row.get(0)).optional()?)
}
