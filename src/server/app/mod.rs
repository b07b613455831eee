//! Use cases: what callers may do with tickets, places, medications and imports. Names no HTTP status and no SQL.

pub mod catalog;
pub mod checks;
pub(crate) mod event_view;
pub(crate) mod feed;
pub(crate) mod idempotency;
pub mod imports;
pub mod medications;
pub mod reference;
mod routing;
pub(crate) mod scans;
mod site;
pub(crate) mod ticket_cache;
pub(crate) mod ticket_forms;
pub(crate) mod tickets;
mod wire;
