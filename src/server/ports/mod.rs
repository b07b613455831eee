//! The ports that use cases stand on: each has an adapter per storage. A port names no SQL, no HTTP and no clock of its own.

mod identity;
mod pipeline;
mod reference;
mod sessions;
mod tickets;

pub use self::{identity::*, pipeline::*, reference::*, sessions::*, tickets::*};

/// Why a port could not answer. The cause is for the log, never for a user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Try again later: busy, locked, being restored.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// It is not known whether a write took place, and it may still: the store did not say in time.
    #[error("it is not known whether the store has written this: {0}")]
    Unknown(String),
    /// No space is left on the device: nothing was written.
    #[error("the store's disk is full; make room on it")]
    DiskFull,
    /// A unique key is taken; nothing was written.
    #[error("{what} {key:?} exists already")]
    Exists {
        /// What sort of thing.
        what: &'static str,
        /// The key that met it.
        key: String,
    },
    /// The record changed since it was read; nothing was written.
    #[error("the record changed in the meantime")]
    Changed,
    /// A thing that the write refers to does not exist; nothing was written.
    #[error("there is no {what} {key:?}")]
    Missing {
        /// What sort of thing.
        what: &'static str,
        /// The key that was looked for.
        key: String,
    },
    /// A defect or a damaged file.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// Result of a port.
pub type StoreResult<T> = Result<T, StoreError>;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The page.
    pub items: Vec<T>,
    /// How to ask for the next; `None` at the end.
    pub next: Option<String>,
    /// How many there are on all pages.
    pub total: Option<u64>,
}
