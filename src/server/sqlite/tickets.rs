//! Reading tickets: one, lists by page, history, counts; and erasing their texts. It never decides.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params_from_iter};

use super::{DATABASE_FILE, SqliteStore, audit, convert::to_uuid, error::unreadable, events, list, open::tune, rows};
use crate::{
    domain::{
        reason::Status,
        ticket::{Ticket, TicketId},
    },
    server::ports::{AuditEntry, Page, RecordedEvent, StoreError, StoreResult, TicketQuery, TicketStore, Visibility},
};

#[async_trait]
impl TicketStore for SqliteStore {
    async fn ticket(&self, id: TicketId) -> StoreResult<Option<Ticket>> {
        self.readers.read(move |conn| Ok(rows::load(conn, id)?.map(|stored| stored.ticket))).await
    }

    async fn id_by_number(&self, number: &str) -> StoreResult<Option<TicketId>> {
        let number = number.to_owned();
        self.readers.read(move |conn| id_by_number(conn, &number)).await
    }

    async fn tickets(&self, query: TicketQuery) -> StoreResult<Page<Ticket>> {
        self.readers.read(move |conn| list::page(conn, &query)).await
    }

    async fn history(&self, id: TicketId) -> StoreResult<Vec<RecordedEvent>> {
        let epoch = self.epoch;
        self.readers.read(move |conn| events::history(conn, epoch, id)).await
    }

    async fn erase_texts(&self, id: TicketId) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                rows::erase(conn, id)?;
                audit::append(conn, &erased(id))
            })
            .await?;
        self.empty_wal().await
    }

    async fn counts(&self, visibility: Visibility) -> StoreResult<BTreeMap<Status, u64>> {
        self.readers.read(move |conn| counts(conn, &visibility)).await
    }
}

impl SqliteStore {
    /// Copies the write-ahead log into the database and cuts it, so that deleted keys do not survive in it.
    async fn empty_wal(&self) -> StoreResult<()> {
        let file = self.dir.join(DATABASE_FILE);
        let checkpoint = move || -> StoreResult<()> {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let conn = Connection::open_with_flags(file, flags)?;
            tune(&conn)?;
            // It keeps the writer out while it waits for readers: not for long.
            conn.busy_timeout(Duration::from_millis(500))?;
            let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
            if busy {
                tracing::warn!("the write-ahead log is in use: erased keys leave it at its next checkpoint");
            }
            Ok(())
        };
        let joined = tokio::task::spawn_blocking(checkpoint).await;
        joined.unwrap_or_else(|_| Err(StoreError::Broken("a checkpoint panicked".to_owned())))
    }
}

fn erased(id: TicketId) -> AuditEntry {
    AuditEntry {
        at: Timestamp::now(),
        kind: "ticket".to_owned(),
        action: "texts_erased".to_owned(),
        actor: None,
        subject: Some(id.to_string()),
        detail: serde_json::Value::Null,
    }
}

fn id_by_number(conn: &Connection, number: &str) -> StoreResult<Option<TicketId>> {
    let mut statement = conn.prepare_cached("SELECT id FROM tickets WHERE number = ?1")?;
    let id: Option<String> = statement.query_row([number], |row| row.get(0)).optional()?;
    Ok(id.map(|id| to_uuid(&id)).transpose()?.map(TicketId))
}

fn counts(conn: &Connection, visibility: &Visibility) -> StoreResult<BTreeMap<Status, u64>> {
    let mut filter = list::Filter::default();
    filter.visible(visibility);
    let sql = format!("SELECT status, count(*) FROM tickets t WHERE open = 1 AND {} GROUP BY status", filter.sql());
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(filter.parameters()))?;
    let mut counts = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let status = row.get::<_, String>(0)?.parse().map_err(|_| unreadable("status"))?;
        counts.insert(status, row.get::<_, i64>(1)?.cast_unsigned());
    }
    Ok(counts)
}
