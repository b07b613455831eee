//! The embedded store: one SQLite file behind every port. It must never acknowledge what is not committed, nor let a reader hold up the writer.

mod audit;
pub mod backup;
mod copying;
mod erasing;
mod error;
mod events;
mod facts;
mod grants;
mod identity;
mod list;
mod medications;
mod open;
pub mod owner;
mod pipeline;
mod readers;
mod reference;
mod refresh;
mod replies;
pub mod restore;
mod rows;
mod schema;
mod sealing;
mod sessions;
mod site;
mod tickets;
mod verify;
mod words;
mod writer;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use uuid::Uuid;

use super::stored;

use self::{open::Migration, readers::Readers, writer::Writer};

pub use self::{
    open::{DATABASE_FILE, LOCK_FILE, OpenError, OpenMode},
    verify::Proof,
};

/// A data directory, open. Dropping it finishes the writes that wait, then lets go of the lock.
pub struct SqliteStore {
    // Fields drop in this order: the writer's connection, the last to close, copies the log into the database; then the lock is free.
    readers: Readers,
    writer: Writer,
    dir: PathBuf,
    epoch: Uuid,
    /// The last use of a session could not be noted.
    uses_unnoted: AtomicBool,
    _lock: Option<File>,
}

impl SqliteStore {
    /// Opens a data directory, making or migrating its database where `mode` allows.
    ///
    /// # Errors
    /// [`OpenError`] says what stands in the way and what to do.
    pub fn open(dir: &Path, mode: OpenMode) -> Result<Self, OpenError> {
        open::prepare_directory(dir, mode)?;
        let lock = (mode == OpenMode::Serve).then(|| open::wait_for_lock(dir)).transpose()?;
        let migration = if lock.is_some() { Migration::Alone } else { Migration::Beside };
        let file = dir.join(DATABASE_FILE);
        let conn = open::open_database(&file, migration)?;
        if lock.is_some() {
            // A server that was killed may have left a key there that was erased since.
            erasing::empty_log(&conn);
        }
        let epoch = schema::epoch(&conn)?;
        let readers = Readers::open(&file)?;
        let writer = Writer::start(conn)?;
        Ok(Self { writer, readers, dir: dir.to_owned(), epoch, uses_unnoted: AtomicBool::new(false), _lock: lock })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The log's identity, fixed when the database was made.
    #[must_use]
    pub fn epoch(&self) -> Uuid {
        self.epoch
    }
}

#[cfg(test)]
mod backup_tests;
#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod sessions_tests;
#[cfg(test)]
mod tests;
