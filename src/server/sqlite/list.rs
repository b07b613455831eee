//! Lists of tickets: filters as SQL over indexed columns, pages by position and not by offset. Values only ever travel as parameters.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::{Connection, Row, params_from_iter, types::Value};
use serde::{Deserialize, Serialize};

use super::{
    rows::opened,
    stored::{self, fetch, to_millis, to_millis_up},
    words::{WordKey, every_word},
};
use crate::{
    domain::{actor::Reach, reason::Status, ticket::Ticket},
    server::ports::{Page, StoreError, StoreResult, TicketQuery, TicketSort, Visibility},
};

/// Largest page.
const LIMIT_MAX: usize = 200;

/// Conditions that all hold, with their parameters.
#[derive(Default)]
struct Filter {
    clauses: Vec<String>,
    parameters: Vec<Value>,
}

impl Filter {
    /// The conditions, joined.
    fn sql(&self) -> String {
        if self.clauses.is_empty() { "1".to_owned() } else { self.clauses.join(" AND ") }
    }

    /// Their parameters, numbered from 1.
    fn parameters(&self) -> &[Value] {
        &self.parameters
    }

    fn bind(&mut self, value: impl Into<Value>) -> usize {
        self.parameters.push(value.into());
        self.parameters.len()
    }

    fn in_list<T: ToString>(&mut self, column: &str, values: impl IntoIterator<Item = T>) -> String {
        let places: Vec<String> =
            values.into_iter().map(|value| format!("?{}", self.bind(value.to_string()))).collect();
        format!("{column} IN ({})", places.join(", "))
    }

    /// Any of the values; none does not filter.
    fn any_of<T: ToString>(&mut self, column: &str, values: &[T]) {
        if !values.is_empty() {
            let clause = self.in_list(column, values.iter().map(T::to_string));
            self.clauses.push(clause);
        }
    }

    /// What the reader may see: [`Visibility::includes`] as SQL, of the ward and of the pharmacies that have or had the ticket.
    fn visible(&mut self, visibility: &Visibility) {
        let (Reach::Only(wards), Reach::Only(pharmacies)) = (&visibility.wards, &visibility.pharmacies) else {
            return;
        };
        let wards = self.in_list("t.ward", wards);
        let queues = self.in_list("t.pharmacy", pharmacies);
        let former = self.in_list("pharmacy", pharmacies);
        let handed_on = format!("t.row IN (SELECT ticket FROM former_pharmacies WHERE {former})");
        self.clauses.push(format!("({wards} OR {queues} OR {handed_on})"));
    }

    fn of(conn: &Connection, query: &TicketQuery) -> StoreResult<Self> {
        let mut filter = Self::default();
        let only_open = !query.statuses.is_empty() && !query.statuses.iter().any(|status| Status::is_terminal(*status));
        if only_open || query.overdue_at.is_some() {
            // Lets the planner use the indexes that hold open tickets only.
            filter.clauses.push("t.open = 1".to_owned());
        }
        filter.visible(&query.visibility);
        filter.any_of("t.status", &query.statuses);
        filter.any_of("t.kind", &query.kinds);
        filter.any_of("t.priority", &query.priorities);
        filter.any_of("t.ward", &query.wards);
        filter.any_of("t.cabinet", &query.cabinets);
        filter.any_of("t.pharmacy", &query.pharmacies);
        filter.any_of("t.assignee", query.assignee.as_slice());
        filter.any_of("t.requester", query.requester.as_slice());
        filter.bounds(query);
        if !query.medications.is_empty() {
            let medications = filter.in_list("medication", &query.medications);
            filter.clauses.push(format!("t.row IN (SELECT ticket FROM ticket_lines WHERE {medications})"));
        }
        if let Some(identifier) = &query.identifier {
            let (system, value) = (filter.bind(identifier.system.clone()), filter.bind(identifier.value.clone()));
            filter.clauses.push(format!(
                "t.id IN (SELECT owner FROM identifiers WHERE thing = 'ticket' AND system = ?{system} AND value = ?{value})"
            ));
        }
        if let Some(text) = &query.text {
            filter.text(conn, text)?;
        }
        Ok(filter)
    }

    fn bounds(&mut self, query: &TicketQuery) {
        let mut bound = |condition: &str, at: i64| {
            let place = self.bind(at);
            self.clauses.push(format!("{condition} ?{place}"));
        };
        if let Some(now) = query.overdue_at {
            bound("t.due_key <", to_millis_up(now));
        }
        if let Some(from) = query.from {
            bound("t.created_at >=", to_millis_up(from));
        }
        if let Some(to) = query.to {
            bound("t.created_at <", to_millis_up(to));
        }
    }

    fn text(&mut self, conn: &Connection, text: &str) -> StoreResult<()> {
        let key = WordKey::load(conn)?;
        let found = every_word(text, ("ticket_words", "ticket"), Some(&key), &mut self.parameters);
        if found.is_empty() && !text.trim().is_empty() {
            // Punctuation alone is in no index: it finds nothing.
            self.clauses.push("0".to_owned());
        }
        self.clauses.extend(found.into_iter().map(|matches| format!("t.row IN {matches}")));
        Ok(())
    }
}

/// A page, with the exact total.
pub(super) fn page(conn: &Connection, query: &TicketQuery) -> StoreResult<Page<Ticket>> {
    let limit = query.limit.clamp(1, LIMIT_MAX);
    let order = Order::of(query.sort);
    let mut filter = Filter::of(conn, query)?;
    let total: i64 = conn
        .prepare(&format!("SELECT count(*) FROM tickets t WHERE {}", filter.sql()))?
        .query_row(params_from_iter(filter.parameters()), |row| row.get(0))?;
    if let Some(after) = &query.after {
        let position = Position::decode(after, &order)?;
        let (key, id) = (filter.bind(position.key), filter.bind(position.id));
        filter.clauses.push(format!("(t.{}, t.id) {} (?{key}, ?{id})", order.column, order.beyond));
    }
    let limit_place = filter.bind(fetch(limit));
    let sql = format!(
        "SELECT t.body, k.key FROM tickets t LEFT JOIN ticket_keys k ON k.ticket = t.id
         WHERE {} ORDER BY t.{column} {direction}, t.id {direction} LIMIT ?{limit_place}",
        filter.sql(),
        column = order.column,
        direction = order.direction,
    );
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(filter.parameters()))?;
    let mut found: Vec<Ticket> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(stored::page(found, limit, total.cast_unsigned(), |ticket| Position::of(ticket, &order).encode()))
}

fn read(row: &Row<'_>) -> StoreResult<Ticket> {
    opened(row, 0, 1)
}

struct Order {
    code: u8,
    column: &'static str,
    direction: &'static str,
    beyond: &'static str,
}

impl Order {
    fn of(sort: TicketSort) -> Self {
        let (code, column, descending) = match sort {
            TicketSort::DueAt => (0, "due_key", false),
            TicketSort::CreatedDesc => (1, "created_at", true),
            TicketSort::CreatedAsc => (2, "created_at", false),
            TicketSort::UpdatedDesc => (3, "updated_at", true),
        };
        let (direction, beyond) = if descending { ("DESC", "<") } else { ("ASC", ">") };
        Self { code, column, direction, beyond }
    }
}

/// Where a page ended. Opaque to clients, and good for its own order only.
#[derive(Serialize, Deserialize)]
struct Position {
    sort: u8,
    key: i64,
    id: String,
}

impl Position {
    fn of(ticket: &Ticket, order: &Order) -> Self {
        let key = match order.column {
            "due_key" => ticket.due_at().map_or(i64::MAX, to_millis),
            "created_at" => to_millis(ticket.created_at),
            _ => to_millis(ticket.updated_at),
        };
        Self { sort: order.code, key, id: ticket.id.to_string() }
    }

    fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).expect("a number and texts are always JSON"))
    }

    fn decode(text: &str, order: &Order) -> StoreResult<Self> {
        URL_SAFE_NO_PAD
            .decode(text)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok())
            .filter(|position| position.sort == order.code)
            .ok_or_else(|| StoreError::Missing { what: "cursor", key: text.chars().take(100).collect() })
    }
}
