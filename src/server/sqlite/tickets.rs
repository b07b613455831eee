//! Reading tickets: one, lists by page, history, counts. It never writes.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{SqliteStore, convert::to_uuid, error::unreadable, events, list, rows};
use crate::{
    domain::{
        reason::Status,
        ticket::{Ticket, TicketId},
    },
    server::ports::{Page, RecordedEvent, StoreResult, TicketQuery, TicketStore, Visibility},
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

    async fn counts(&self, visibility: Visibility) -> StoreResult<BTreeMap<Status, u64>> {
        self.readers.read(move |conn| counts(conn, &visibility)).await
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
