//! Tickets as documents, and reading them: one, lists by page, history. No readable text passes into a document.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use mongodb::bson::{Bson, Document, doc};

use super::{MongoStore, events, read::Fields, site_keys::SiteKeys};
use crate::{
    domain::ticket::{Ticket, TicketId},
    server::{
        ports::{Page, RecordedEvent, StoreResult, TicketQuery, TicketStore},
        stored::{TextKey, Texts, due_key, open, open_needs, to_millis, to_uuid},
    },
};

#[async_trait]
impl TicketStore for MongoStore {
    async fn ticket(&self, id: TicketId) -> StoreResult<Option<Ticket>> {
        let found = self.find("tickets", doc! { "_id": id.to_string() }).await?;
        Ok(self.opened(found.into_iter().collect()).await?.pop())
    }

    async fn id_by_number(&self, number: &str) -> StoreResult<Option<TicketId>> {
        let found = self.find("tickets", doc! { "number": number }).await?;
        found.map(|found| Ok(TicketId(to_uuid(found.text("_id")?)?))).transpose()
    }

    async fn tickets(&self, query: TicketQuery) -> StoreResult<Page<Ticket>> {
        self.ticket_page(query).await
    }

    async fn history(&self, id: TicketId) -> StoreResult<Vec<RecordedEvent>> {
        let found = self.find_all("events", doc! { "ticket": id.to_string() }, doc! { "seq": 1 }).await?;
        events::recorded(self, found).await
    }
}

impl MongoStore {
    /// The tickets of documents, their texts opened.
    pub(super) async fn opened(&self, documents: Vec<Document>) -> StoreResult<Vec<Ticket>> {
        let tickets = documents.iter().map(Fields::record).collect::<StoreResult<Vec<Ticket>>>()?;
        // After the documents: a key that is gone by now has been erased, and never the other way round.
        let keys = self.text_keys(tickets.iter().map(|ticket| ticket.id)).await?;
        tickets.into_iter().map(|ticket| opened(&keys, ticket.id, ticket)).collect()
    }

    /// The keys that these tickets have.
    pub(super) async fn text_keys(
        &self,
        tickets: impl Iterator<Item = TicketId>,
    ) -> StoreResult<HashMap<TicketId, TextKey>> {
        let tickets: BTreeSet<TicketId> = tickets.collect();
        if tickets.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<String> = tickets.iter().map(ToString::to_string).collect();
        text_keys(&self.find_all("ticket_keys", doc! { "_id": { "$in": ids } }, doc! {}).await?)
    }
}

/// Keys by their ticket.
pub(super) fn text_keys(documents: &[Document]) -> StoreResult<HashMap<TicketId, TextKey>> {
    let mut keys = HashMap::new();
    for document in documents {
        let ticket = TicketId(to_uuid(document.text("_id")?)?);
        keys.extend(TextKey::of(ticket, Some(document.blob("key")?))?.map(|key| (ticket, key)));
    }
    Ok(keys)
}

/// A record of a ticket with its texts opened.
pub(super) fn opened<T: Texts>(keys: &HashMap<TicketId, TextKey>, ticket: TicketId, mut record: T) -> StoreResult<T> {
    open(keys.get(&ticket), &mut record)?;
    Ok(record)
}

/// What changes of a ticket's document as the ticket does; `sealed` is its body.
pub(super) fn state(site: &SiteKeys, ticket: &Ticket, sealed: String) -> Document {
    let medications: BTreeSet<&str> = ticket.lines.iter().map(|line| line.medication.as_str()).collect();
    let pharmacies: Vec<&str> =
        std::iter::once(&ticket.pharmacy).chain(&ticket.former_pharmacies).map(|code| code.as_str()).collect();
    let needs: Vec<String> = open_needs(&site.patient_salt, ticket).iter().map(ToString::to_string).collect();
    doc! {
        "version": ticket.version.0.cast_signed(),
        "status": ticket.status.as_str(),
        "open": !ticket.status.is_terminal(),
        "priority": ticket.priority.as_str(),
        "pharmacy": ticket.pharmacy.as_str(),
        "pharmacies": pharmacies,
        "assignee": ticket.assignee.as_ref().map(|person| person.username.as_str()),
        "updated_at": to_millis(ticket.updated_at),
        "due_key": due_key(ticket),
        "medications": medications.into_iter().collect::<Vec<_>>(),
        "needs": needs,
        "words": site.words.found_by(ticket).into_iter().collect::<Vec<_>>(),
        "body": sealed,
    }
}

/// What of a ticket's document stays as it was created.
pub(super) fn birth(ticket: &Ticket, command_id: &str, born: u64) -> Document {
    doc! {
        "_id": ticket.id.to_string(),
        "command_id": command_id,
        "number": &ticket.number,
        "born": born.cast_signed(),
        "kind": ticket.kind.as_str(),
        "ward": ticket.ward.as_str(),
        "cabinet": ticket.cabinet.as_ref().map_or(Bson::Null, |cabinet| cabinet.as_str().into()),
        "requester": ticket.requester.username.as_str(),
        "created_at": to_millis(ticket.created_at),
    }
}
