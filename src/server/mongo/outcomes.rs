//! What became of commands, by their ids. An outcome is inserted once and never touched again.

use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    read::{Fields, bytes},
    tickets::opened,
};
use crate::{
    domain::{actor::UserId, ticket::TicketId},
    server::{
        ports::{CommandId, StoreResult, StoredOutcome},
        stored::{from_millis, to_millis, to_uuid, unreadable},
    },
};

/// An outcome as stored; `sealed` is its body.
pub(super) fn document(id: CommandId, stored: &StoredOutcome, sealed: String) -> Document {
    doc! {
        "_id": id.0.to_string(),
        "body_hash": bytes(&stored.body_hash),
        "actor": stored.actor.0.to_string(),
        "command": stored.command.as_str(),
        "ticket": stored.ticket.to_string(),
        "at": to_millis(stored.at),
        "body": sealed,
    }
}

impl MongoStore {
    /// The outcome of a command, if it has one.
    ///
    /// # Errors
    /// [`StoreError`](crate::server::ports::StoreError) where it cannot be read.
    pub async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>> {
        let Some(found) = self.find("outcomes", doc! { "_id": id.0.to_string() }).await? else {
            return Ok(None);
        };
        let ticket = TicketId(to_uuid(found.text("ticket")?)?);
        let keys = self.text_keys(std::iter::once(ticket)).await?;
        Ok(Some(StoredOutcome {
            body_hash: found.blob("body_hash")?.try_into().map_err(|_| unreadable("hash"))?,
            actor: UserId(to_uuid(found.text("actor")?)?),
            command: found.text("command")?.parse().map_err(|_| unreadable("command name"))?,
            ticket,
            at: from_millis(found.number("at")?)?,
            outcome: opened(&keys, ticket, found.record()?)?,
        }))
    }
}
