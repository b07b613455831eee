//! Keys of erasable texts, one per ticket, apart from what they seal. A key that is erased is overwritten where it lies.

use rusqlite::{Connection, OptionalExtension};

use super::stored::{self, TextKey, Texts};
use crate::{domain::ticket::TicketId, server::ports::StoreResult};

/// The ticket's key, if it has one.
pub(super) fn load(conn: &Connection, ticket: TicketId) -> StoreResult<Option<TextKey>> {
    let bytes: Option<Vec<u8>> = conn
        .prepare_cached("SELECT key FROM ticket_keys WHERE ticket = ?1")?
        .query_row([ticket.to_string()], |row| row.get(0))
        .optional()?;
    TextKey::of(ticket, bytes.as_deref())
}

/// Overwrites the ticket's key, if it has one: whatever it sealed is gone. In place, so that no page keeps a copy.
pub(super) fn erase(conn: &Connection, ticket: TicketId) -> StoreResult<()> {
    let sql = "UPDATE ticket_keys SET key = zeroblob(length(key)) WHERE ticket = ?1";
    conn.prepare_cached(sql)?.execute([ticket.to_string()])?;
    Ok(())
}

fn make(conn: &Connection, ticket: TicketId) -> StoreResult<TextKey> {
    let (key, bytes) = TextKey::make(ticket)?;
    conn.prepare_cached("INSERT INTO ticket_keys (ticket, key) VALUES (?1, ?2)")?
        .execute((ticket.to_string(), bytes))?;
    Ok(key)
}

/// Seals every readable text, under a new key where the ticket has none yet.
pub(super) fn seal(conn: &Connection, ticket: TicketId, record: &mut dyn Texts) -> StoreResult<()> {
    if !stored::is_readable(record) {
        return Ok(());
    }
    let key = load(conn, ticket)?.map_or_else(|| make(conn, ticket), Ok)?;
    stored::seal(&key, record)
}
