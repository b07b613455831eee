//! Wire types of the REST API, shared by server and client. No behaviour beyond parsing and conversion.

pub mod accounts;
pub mod events;
pub mod imports;
pub mod medications;
pub mod millis;
pub mod oauth2;
pub mod places;
pub mod problem;
pub mod routing;
pub mod site;
pub mod tickets;

use serde::{Deserialize, Serialize};

/// Media type of an error (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// Header that makes a write repeatable.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Header by which a service says for whom it acts.
pub const ON_BEHALF_OF: &str = "x-on-behalf-of";

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct List<T> {
    /// The page.
    pub items: Vec<T>,
    /// Pass it as `cursor` to get the next page; null at the end.
    pub next: Option<String>,
    /// How many there are on all pages; null where counting a text search would be slow.
    pub total: Option<u64>,
}
