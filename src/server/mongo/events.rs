//! The log of events, each carrying the hash of the one before it in its partition. An event is inserted once and never touched again.

use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    read::{Fields, bytes},
    tickets::opened,
};
use crate::{
    domain::{
        event::Event,
        ticket::{Ticket, TicketId},
    },
    server::{
        ports::{Cursor, EventId, RecordedEvent, StoreResult},
        stored::{EventLink, concerned, to_millis, to_uuid, unreadable},
    },
};

/// An event as stored; `previous` moves on to its hash. `sealed` is its body, `after` the ticket as the event left it.
pub(super) fn document(
    id: EventId,
    event: &Event,
    sealed: &str,
    after: &Ticket,
    previous: &mut [u8; 32],
) -> StoreResult<Document> {
    let (ticket, pharmacies) = (after.id.to_string(), concerned(after)?);
    let link = EventLink {
        seq: id.seq,
        ticket: &ticket,
        version: event.version.0,
        at: to_millis(event.at),
        status: after.status.as_str(),
        pharmacies: &pharmacies,
        body: sealed,
    };
    *previous = link.hash(previous);
    Ok(doc! {
        "_id": id.to_string(),
        "epoch": id.epoch.to_string(),
        "partition": i64::from(id.partition),
        "seq": id.seq.cast_signed(),
        "ticket": link.ticket,
        "number": &after.number,
        "kind": after.kind.as_str(),
        "ward": after.ward.as_str(),
        "version": link.version.cast_signed(),
        "at": link.at,
        "status": link.status,
        "pharmacies": link.pharmacies,
        "hash": bytes(previous),
        "body": link.body,
    })
}

/// Events as they are told, their texts opened.
pub(super) async fn recorded(store: &MongoStore, documents: Vec<Document>) -> StoreResult<Vec<RecordedEvent>> {
    let tickets = documents.iter().map(|document| Ok(TicketId(to_uuid(document.text("ticket")?)?)));
    let tickets = tickets.collect::<StoreResult<Vec<TicketId>>>()?;
    let keys = store.text_keys(tickets.iter().copied()).await?;
    let read = |(document, ticket): (&Document, TicketId)| {
        Ok(RecordedEvent {
            id: EventId {
                epoch: to_uuid(document.text("epoch")?)?,
                partition: document.number("partition")?.try_into().map_err(|_| unreadable("partition"))?,
                seq: document.number("seq")?.cast_unsigned(),
            },
            ticket,
            number: document.text("number")?.to_owned(),
            kind: document.text("kind")?.parse().map_err(|_| unreadable("kind"))?,
            ward: document.text("ward")?.parse().map_err(|_| unreadable("ward"))?,
            pharmacies: serde_json::from_str(document.text("pharmacies")?)?,
            status: document.text("status")?.parse().map_err(|_| unreadable("status"))?,
            event: opened(&keys, ticket, document.record()?)?,
        })
    };
    documents.iter().zip(tickets).map(read).collect()
}

impl MongoStore {
    /// Up to `limit` events after a position, as [`Pipeline::events_after`](crate::server::ports::Pipeline::events_after).
    ///
    /// # Errors
    /// [`StoreError`](crate::server::ports::StoreError) where they cannot be read.
    pub async fn events_after(&self, position: &Cursor, limit: usize) -> StoreResult<Vec<RecordedEvent>> {
        let after = |(partition, seq): (i64, &u64)| {
            doc! { "partition": partition, "seq": { "$gt": i64::try_from(*seq).unwrap_or(i64::MAX) } }
        };
        let partitions: Vec<Document> = (0..).zip(position.seqs()).map(after).collect();
        if partitions.is_empty() {
            return Ok(vec![]);
        }
        // By sequence number over all partitions: whatever the limit cuts off, nothing of a partition is left out before something of it that is not.
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let (filter, sort) = (doc! { "$or": partitions }, doc! { "seq": 1, "partition": 1 });
        recorded(self, self.find_first("events", filter, sort, limit).await?).await
    }
}

/// What the first event of a partition follows: binds its chain to the site and the partition.
pub(super) fn genesis(site: &[u8; 32], partition: u16) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::new_with_prefix(site).chain_update("partition").chain_update(partition.to_be_bytes()).finalize().into()
}
