//! Reading tickets: one, lists by page, history. It never writes.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::{SqliteStore, events, list, rows, stored::to_uuid};
use crate::{
    domain::ticket::{Ticket, TicketId},
    server::ports::{Page, RecordedEvent, StoreResult, TicketQuery, TicketStore},
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
}

fn id_by_number(conn: &Connection, number: &str) -> StoreResult<Option<TicketId>> {
    let mut statement = conn.prepare_cached("SELECT id FROM tickets WHERE number = ?1")?;
    let id: Option<String> = statement.query_row([number], |row| row.get(0)).optional()?;
    Ok(id.map(|id| to_uuid(&id)).transpose()?.map(TicketId))
}
