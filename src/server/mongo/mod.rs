//! The store of stack mode: MongoDB behind the ports. It must never acknowledge what a majority of the replica set has not written down, nor drop
//! an operation of the driver half way.

mod audit;
mod batch;
mod connect;
mod events;
mod facts;
mod grants;
mod held;
mod identity;
mod list;
mod medications;
mod outcomes;
mod partitions;
mod pipeline;
mod read;
mod reference;
mod refresh;
mod schema;
mod schema_sign_ins;
mod schema_tickets;
mod sessions;
mod site_keys;
mod tail;
mod tickets;
mod transaction;

use std::sync::{Arc, atomic::AtomicBool};

use mongodb::{Client, Database};
use tokio::sync::{Mutex, Notify};

use self::site_keys::SiteKeys;
pub use self::{connect::ConnectError, pipeline::MongoPipeline};

/// One node's way into the hospital's database.
#[derive(Clone)]
pub struct MongoStore {
    client: Client,
    db: Database,
    /// Every audited write extends one chain: those of this node take turns, so that only those of other nodes can collide with them.
    turn: Arc<Mutex<()>>,
    /// The last use of a session could not be noted.
    uses_unnoted: Arc<AtomicBool>,
    site: Arc<SiteKeys>,
    /// Told when this node has committed a batch.
    committed: Arc<Notify>,
}

#[cfg(test)]
mod batch_tests;
#[cfg(test)]
mod local_log;
#[cfg(test)]
mod nodes_tests;
#[cfg(test)]
mod own_server_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
