//! Erasing a ticket's texts: the key that seals them everywhere, and every trace by which their words could be found. It never decides.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{DATABASE_FILE, SqliteStore, audit, open::tune, rows::Stored, sealing, stored::erasure};
use crate::{
    domain::{event::Event, ticket::Ticket},
    server::ports::{StoreError, StoreResult},
};

/// Does what an erasure among the events means for the file, in their transaction.
pub(super) fn follow(conn: &Connection, before: &Stored, steps: &[(Event, Ticket)]) -> StoreResult<()> {
    let Some(entry) = erasure(steps) else { return Ok(()) };
    sealing::erase(conn, before.ticket.id)?;
    // Whatever an older release indexed goes too, not only what this one would.
    conn.prepare_cached("DELETE FROM ticket_words WHERE ticket = ?1 AND word GLOB '#*'")?.execute([before.row])?;
    audit::append(conn, &entry)
}

/// Copies the write-ahead log into the database and cuts it, so that keys erased before do not survive in it.
pub(super) fn empty_log(conn: &Connection) {
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    let emptied = match busy.map_err(StoreError::from) {
        Ok(true) => Err(StoreError::Unavailable("it is in use".to_owned())),
        other => other.map(drop),
    };
    if let Err(error) = emptied {
        // What was erased is committed, and every read follows it.
        tracing::warn!(%error, "the write-ahead log was not emptied: an erased key leaves it at the latest when the server ends or starts");
    }
}

impl SqliteStore {
    /// As [`empty_log`], beside the writer.
    pub(super) async fn empty_wal(&self) {
        let file = self.dir.join(DATABASE_FILE);
        let checkpoint = move || -> StoreResult<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(file, flags)?;
            tune(&conn)?;
            // It keeps the writer out while it waits for readers: not for long.
            conn.busy_timeout(Duration::from_millis(500))?;
            empty_log(&conn);
            Ok(())
        };
        let joined = tokio::task::spawn_blocking(checkpoint).await;
        if let Err(error) = joined.unwrap_or_else(|_| Err(StoreError::Broken("a checkpoint panicked".to_owned()))) {
            tracing::warn!(%error, "the write-ahead log was not emptied");
        }
    }
}
