//! The catalogue's own SQLite file. It must never change a file that is not ours, nor one of a newer medreq.

use std::{
    io,
    path::Path,
    sync::{Mutex, MutexGuard, TryLockError},
    time::Duration,
};

use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};

use super::pool::Pool;
use crate::server::{
    files::create_private,
    ports::{StoreError, StoreResult},
};

/// The catalogue's database within a data directory.
pub const CATALOG_FILE: &str = "catalog.db";

/// Marks the file as a catalogue of medreq ("mdrc").
const APPLICATION_ID: i32 = 0x6d64_7263;

const STEPS: &[&str] = &[include_str!("schema.sql")];

/// The catalogue, open. All methods block: call them off the async threads.
pub struct CatalogStore {
    writer: Mutex<Connection>,
    pub(super) readers: Pool,
}

impl CatalogStore {
    /// Opens the catalogue of a data directory that exists, making or migrating its file.
    ///
    /// # Errors
    /// [`StoreError::Broken`] where the file is damaged, another program's or a newer medreq's;
    /// [`StoreError::Unavailable`] where it cannot be written.
    pub fn open(dir: &Path) -> StoreResult<Self> {
        let file = dir.join(CATALOG_FILE);
        // SQLite gives its side files the same mode.
        create_private(&file).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull => StoreError::DiskFull,
            _ => not_writable(&file, error),
        })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(&file, flags)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        if conn.is_readonly(MAIN_DB)? {
            return Err(not_writable(&file, "it is read-only"));
        }
        version_of_ours(&conn)?;
        conn.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        tune(&conn)?;
        migrate(&mut conn)?;
        let readers = Pool::open(&file)?;
        Ok(Self { writer: Mutex::new(conn), readers })
    }

    /// The write connection; `None` while an import runs, which is told of and not waited for.
    pub(super) fn writer(&self) -> Option<MutexGuard<'_, Connection>> {
        match self.writer.try_lock() {
            Ok(conn) => Some(conn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// Settings of every connection.
pub(super) fn tune(conn: &Connection) -> StoreResult<()> {
    conn.busy_timeout(Duration::from_secs(5))?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "cache_size", -16_384)?;
    conn.pragma_update(None, "journal_size_limit", 16 * 1024 * 1024)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn not_writable(file: &Path, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!(
        "{} cannot be written: {reason}; check its owner, its mode and the file system",
        file.display()
    ))
}

fn migrate(conn: &mut Connection) -> StoreResult<()> {
    // Read again inside the write transaction: another process may be migrating the same file.
    while version_of_ours(conn)? < STEPS.len() {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version = version_of_ours(&transaction)?;
        if let Some(step) = STEPS.get(version) {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
            let next = i32::try_from(version + 1).expect("there are few schema versions");
            transaction.pragma_update(None, "user_version", next)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The file's schema version; an error where it is not ours or from a newer medreq.
fn version_of_ours(conn: &Connection) -> StoreResult<usize> {
    let pragma = |name: &str| -> StoreResult<i32> { Ok(conn.pragma_query_value(None, name, |row| row.get(0))?) };
    let (application, version) = (pragma("application_id")?, pragma("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    let found = usize::try_from(version).unwrap_or(0);
    if application != APPLICATION_ID || found == 0 {
        return Err(StoreError::Broken("catalog.db is the database of another program".to_owned()));
    }
    if found > STEPS.len() {
        let known = STEPS.len();
        return Err(StoreError::Broken(format!(
            "catalog.db has schema {found}, this medreq knows up to {known}; use the newer medreq, or restore a backup"
        )));
    }
    Ok(found)
}
