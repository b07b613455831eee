//! Events on the wire: one schema for history, the live feed, webhooks and topics.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::millis;
use crate::domain::reason::Status;

/// Something that happened to a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct TicketEvent {
    /// Identity (`epoch-partition-seq`): an event seen twice has the same.
    pub id: String,
    /// Place in its partition; grows by one.
    pub seq: u64,
    /// When.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// What: `created`, `claimed`, …
    pub event: String,
    /// The ticket's version after it.
    pub version: u64,
    /// Who.
    pub actor: EventActor,
    /// The ticket's id.
    pub ticket: String,
    /// The ticket's number.
    pub number: String,
    /// The ticket's ward.
    pub ward: String,
    /// The pharmacy in whose queue it stands.
    pub pharmacy: String,
    /// The ticket's status after it.
    pub status: Status,
    /// Particulars of the event: reasons, lots, quantities, texts. For `created` the ticket.
    #[cfg_attr(feature = "server", schema(value_type = Object))]
    pub data: serde_json::Value,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct EventActor {
    /// Login name, or client id of a service.
    pub username: String,
    /// Name as people read it.
    pub name: String,
    /// The OAuth2 client.
    pub client_id: String,
    /// True where the client acted for the person.
    pub on_behalf: bool,
}

/// A single-use ticket for a browser's `EventSource`, which cannot send a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct StreamTicket {
    /// Pass it as `?ticket=`.
    pub ticket: String,
    /// Seconds until it lapses.
    pub expires_in: u64,
}
