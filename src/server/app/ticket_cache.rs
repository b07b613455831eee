//! Tickets as this node last saw them, for reading by id. Never feeds a decision, and never goes back to an older version.

use std::{sync::Arc, time::Duration};

use moka::{ops::compute::Op, sync::Cache};

use crate::domain::ticket::{Ticket, TicketId, Version};

/// How many are kept.
const CAPACITY: u64 = 10_000;

/// How long one is kept: bounds what a change on another node can be missed by.
const LIFETIME: Duration = Duration::from_secs(10);

/// A ticket at its newest known version; `None` where the version is known and the ticket must be read.
#[derive(Clone)]
struct Known {
    version: Version,
    ticket: Option<Arc<Ticket>>,
}

/// The cache of one node.
pub(crate) struct TicketCache(Cache<TicketId, Known>);

impl Default for TicketCache {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).time_to_live(LIFETIME).build())
    }
}

impl TicketCache {
    /// The ticket, where it is at its newest known version.
    pub(crate) fn get(&self, id: TicketId) -> Option<Arc<Ticket>> {
        self.0.get(&id)?.ticket
    }

    /// Keeps a ticket that was read or changed; one that is older than what is known is not kept.
    pub(crate) fn put(&self, ticket: Arc<Ticket>) {
        self.learn(ticket.id, ticket.version, Some(ticket));
    }

    /// Learns from an event that there is a newer version.
    pub(crate) fn changed(&self, id: TicketId, version: Version) {
        self.learn(id, version, None);
    }

    fn learn(&self, id: TicketId, version: Version, ticket: Option<Arc<Ticket>>) {
        self.0.entry(id).and_compute_with(|entry| match entry.map(moka::Entry::into_value) {
            Some(known) if known.version > version => Op::Nop,
            Some(known) if known.version == version && ticket.is_none() => Op::Nop,
            _ => Op::Put(Known { version, ticket }),
        });
    }
}
