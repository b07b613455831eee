//! How lists of tickets are ordered, and where a page ended. What a position says is good for its own order only.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};

use super::to_millis;
use crate::{
    domain::{reason::Status, ticket::Ticket},
    server::ports::{StoreError, StoreResult, TicketQuery, TicketSort},
};

/// Largest page.
pub(crate) const TICKETS_MAX: usize = 200;

/// The column by which a list is ordered; ties are broken by id, in the same direction.
pub(crate) struct Order {
    code: u8,
    pub(crate) column: &'static str,
    pub(crate) descending: bool,
}

impl Order {
    /// The order that was asked for.
    pub(crate) fn of(sort: TicketSort) -> Self {
        let (code, column, descending) = match sort {
            TicketSort::DueAt => (0, "due_key", false),
            TicketSort::CreatedDesc => (1, "created_at", true),
            TicketSort::CreatedAsc => (2, "created_at", false),
            TicketSort::UpdatedDesc => (3, "updated_at", true),
        };
        Self { code, column, descending }
    }
}

/// The due time as a column: without one it sorts last.
pub(crate) fn due_key(ticket: &Ticket) -> i64 {
    ticket.due_at().map_or(i64::MAX, to_millis)
}

/// True where only tickets that are not at an end can be meant.
pub(crate) fn is_of_open(query: &TicketQuery) -> bool {
    let by_status = !query.statuses.is_empty() && !query.statuses.iter().any(|status| Status::is_terminal(*status));
    by_status || query.overdue_at.is_some()
}

/// Where a page ended. Opaque to clients.
#[derive(Serialize, Deserialize)]
pub(crate) struct PageEnd {
    sort: u8,
    pub(crate) key: i64,
    pub(crate) id: String,
}

impl PageEnd {
    /// After this ticket.
    pub(crate) fn of(ticket: &Ticket, order: &Order) -> Self {
        let key = match order.column {
            "due_key" => due_key(ticket),
            "created_at" => to_millis(ticket.created_at),
            _ => to_millis(ticket.updated_at),
        };
        Self { sort: order.code, key, id: ticket.id.to_string() }
    }

    /// As a cursor.
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a number and texts are always JSON"))
    }

    /// From a cursor.
    pub(crate) fn decode(text: &str, order: &Order) -> StoreResult<Self> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|end| end.sort == order.code)
            .ok_or_else(|| StoreError::Missing { what: "cursor", key: text.chars().take(100).collect() })
    }
}
