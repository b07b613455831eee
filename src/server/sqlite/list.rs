//! Lists of tickets: filters as SQL over indexed columns, pages by position and not by offset. Values only ever travel as parameters.

use rusqlite::{Connection, Row, params_from_iter, types::Value};

use super::{
    rows::opened,
    stored::{self, Order, PageEnd, TICKETS_MAX, fetch, is_of_open, to_millis_up},
    words::{every_word, word_key},
};
use crate::{
    domain::{actor::Reach, ticket::Ticket},
    server::ports::{Page, StoreResult, TicketQuery, Visibility},
};

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
        if is_of_open(query) {
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
        let key = word_key(conn)?;
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
    let limit = query.limit.clamp(1, TICKETS_MAX);
    let order = Order::of(query.sort);
    let (direction, beyond) = if order.descending { ("DESC", "<") } else { ("ASC", ">") };
    let mut filter = Filter::of(conn, query)?;
    let total: i64 = conn
        .prepare(&format!("SELECT count(*) FROM tickets t WHERE {}", filter.sql()))?
        .query_row(params_from_iter(filter.parameters()), |row| row.get(0))?;
    if let Some(after) = &query.after {
        let end = PageEnd::decode(after, &order)?;
        let (key, id) = (filter.bind(end.key), filter.bind(end.id));
        filter.clauses.push(format!("(t.{}, t.id) {beyond} (?{key}, ?{id})", order.column));
    }
    let limit_place = filter.bind(fetch(limit));
    let sql = format!(
        "SELECT t.body, k.key FROM tickets t LEFT JOIN ticket_keys k ON k.ticket = t.id
         WHERE {} ORDER BY t.{column} {direction}, t.id {direction} LIMIT ?{limit_place}",
        filter.sql(),
        column = order.column,
    );
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query(params_from_iter(filter.parameters()))?;
    let mut found: Vec<Ticket> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(stored::page(found, limit, total.cast_unsigned(), |ticket| PageEnd::of(ticket, &order).encode()))
}

fn read(row: &Row<'_>) -> StoreResult<Ticket> {
    opened(row, 0, 1)
}
