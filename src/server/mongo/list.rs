//! Lists of tickets: filters over indexed fields, pages by position and not by offset. What a reader may not see is filtered here.

use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore,
    read::{Fields, beginning},
};
use crate::{
    domain::{actor::Reach, ticket::Ticket},
    server::{
        ports::{Page, StoreResult, TicketQuery, Visibility},
        stored::{Order, PageEnd, QUERY_WORDS_MAX, TICKETS_MAX, WordKey, fetch, is_of_open, page, to_millis_up, words},
    },
};

impl MongoStore {
    /// A page, with the exact total.
    pub(super) async fn ticket_page(&self, query: TicketQuery) -> StoreResult<Page<Ticket>> {
        let order = Order::of(query.sort);
        let limit = query.limit.clamp(1, TICKETS_MAX);
        let from = match &query.after {
            None => Document::new(),
            Some(after) => beyond(&PageEnd::decode(after, &order)?, &order),
        };
        let mut clauses = clauses(&self.site.words, &query);
        if let Some(identifier) = &query.identifier {
            let named = doc! { "thing": "ticket", "system": &identifier.system, "value": &identifier.value };
            let Some(found) = self.find("identifiers", named).await? else {
                return Ok(Page { items: vec![], next: None, total: Some(0) });
            };
            clauses.push(doc! { "_id": found.text("owner")? });
        }
        let filter = if clauses.is_empty() {
            Document::new()
        } else {
            doc! { "$and": clauses }
        };
        let direction = if order.descending { -1 } else { 1 };
        let sort = doc! { order.column: direction, "_id": direction };
        let (found, total) = self.find_page("tickets", (filter, from), sort, fetch(limit)).await?;
        let found = self.opened(found).await?;
        Ok(page(found, limit, total, |ticket| PageEnd::of(ticket, &order).encode()))
    }
}

/// Where the next page begins.
fn beyond(end: &PageEnd, order: &Order) -> Document {
    let past = if order.descending { "$lt" } else { "$gt" };
    doc! { "$or": [{ order.column: { past: end.key } }, { order.column: end.key, "_id": { past: &end.id } }] }
}

/// What must all hold.
fn clauses(key: &WordKey, query: &TicketQuery) -> Vec<Document> {
    let mut all = Vec::new();
    if is_of_open(query) {
        all.push(doc! { "open": true });
    }
    all.extend(visible(&query.visibility));
    all.extend(any_of("status", query.statuses.iter().map(|status| status.as_str())));
    all.extend(any_of("kind", query.kinds.iter().map(|kind| kind.as_str())));
    all.extend(any_of("priority", query.priorities.iter().map(|priority| priority.as_str())));
    all.extend(any_of("ward", query.wards.iter().map(|code| code.as_str())));
    all.extend(any_of("cabinet", query.cabinets.iter().map(|code| code.as_str())));
    all.extend(any_of("pharmacy", query.pharmacies.iter().map(|code| code.as_str())));
    all.extend(any_of("assignee", query.assignee.iter().map(|name| name.as_str())));
    all.extend(any_of("requester", query.requester.iter().map(|name| name.as_str())));
    all.extend(any_of("medications", query.medications.iter().map(|code| code.as_str())));
    all.extend(query.overdue_at.map(|now| doc! { "due_key": { "$lt": to_millis_up(now) } }));
    all.extend(query.from.map(|from| doc! { "created_at": { "$gte": to_millis_up(from) } }));
    all.extend(query.to.map(|to| doc! { "created_at": { "$lt": to_millis_up(to) } }));
    all.extend(query.text.iter().flat_map(|text| with_words(key, text)));
    all
}

/// Any of the values; none does not filter.
fn any_of<'a>(field: &str, values: impl Iterator<Item = &'a str>) -> Option<Document> {
    let values: Vec<&str> = values.collect();
    (!values.is_empty()).then(|| doc! { field: { "$in": values } })
}

/// What the reader may see: [`Visibility::includes`], of the ward and of the pharmacies that have or had the ticket.
fn visible(visibility: &Visibility) -> Option<Document> {
    let (Reach::Only(wards), Reach::Only(pharmacies)) = (&visibility.wards, &visibility.pharmacies) else {
        return None;
    };
    let wards: Vec<&str> = wards.iter().map(|code| code.as_str()).collect();
    let pharmacies: Vec<&str> = pharmacies.iter().map(|code| code.as_str()).collect();
    Some(doc! { "$or": [{ "ward": { "$in": wards } }, { "pharmacies": { "$in": pharmacies } }] })
}

/// Every word of the text at least by its beginning, also where it stands in a text that is sealed.
fn with_words(key: &WordKey, text: &str) -> Vec<Document> {
    let words = words(text);
    if words.is_empty() && !text.trim().is_empty() {
        // Punctuation alone stands nowhere.
        return vec![doc! { "$nor": [{}] }];
    }
    let found = |word: String| {
        let hashed: Bson = key.hashed(&word).into();
        doc! { "$or": [beginning(word), { "words": hashed }] }
    };
    words.into_iter().take(QUERY_WORDS_MAX).map(found).collect()
}
