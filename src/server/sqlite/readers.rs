//! A small pool of read-only connections. A reader never writes and never blocks the writer.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::Semaphore;

use super::open::tune;
use crate::server::ports::{StoreError, StoreResult};

const READERS: usize = 4;

/// The pool.
pub(super) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Readers {
    /// Opens the connections.
    pub(super) fn open(file: &Path) -> StoreResult<Self> {
        let idle = (0..READERS).map(|_| open_reader(file)).collect::<StoreResult<Vec<_>>>()?;
        Ok(Self { idle: Arc::new(Mutex::new(idle)), free: Arc::new(Semaphore::new(READERS)) })
    }

    /// Runs a read on one snapshot, off the async threads.
    pub(super) async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    {
        let closed = |_| StoreError::Unavailable("the store is closing".to_owned());
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(closed)?;
        let idle = Arc::clone(&self.idle);
        let read = tokio::task::spawn_blocking(move || {
            let conn = lock(&idle).pop();
            let lease = Lease { conn, idle };
            let conn = lease.conn.as_ref().expect("there are as many permits as connections");
            let snapshot = conn.unchecked_transaction()?;
            let result = work(&snapshot);
            drop(snapshot);
            drop(lease);
            drop(permit);
            result
        });
        read.await.unwrap_or_else(|_| Err(StoreError::Broken("a read panicked".to_owned())))
    }
}

/// Puts the connection back, also after a panic.
struct Lease {
    conn: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            lock(&self.idle).push(conn);
        }
    }
}

fn lock(idle: &Mutex<Vec<Connection>>) -> std::sync::MutexGuard<'_, Vec<Connection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open_reader(file: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    tune(&conn)?;
    Ok(conn)
}
