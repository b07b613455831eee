//! A few read-only connections for synchronous readers. A reader never writes and never waits for an import.

use std::{
    path::Path,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags};

use super::store::tune;
use crate::server::ports::StoreResult;

const READERS: usize = 4;

pub(super) struct Pool {
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Pool {
    pub(super) fn open(file: &Path) -> StoreResult<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let open = || -> StoreResult<Connection> {
            let conn = Connection::open_with_flags(file, flags)?;
            tune(&conn)?;
            Ok(conn)
        };
        let idle = (0..READERS).map(|_| open()).collect::<StoreResult<Vec<_>>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Runs a read on one snapshot. Waits while every connection is in use.
    pub(super) fn read<T>(&self, work: impl FnOnce(&Connection) -> StoreResult<T>) -> StoreResult<T> {
        let lease = Lease { conn: Some(self.take()), pool: self };
        let conn = lease.conn.as_ref().expect("a lease holds its connection until it is dropped");
        let snapshot = conn.unchecked_transaction()?;
        work(&snapshot)
    }

    fn take(&self) -> Connection {
        let mut idle = self.lock();
        loop {
            match idle.pop() {
                Some(conn) => return conn,
                None => idle = self.returned.wait(idle).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts the connection back, also after a panic.
struct Lease<'a> {
    conn: Option<Connection>,
    pool: &'a Pool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.pool.lock().push(conn);
            self.pool.returned.notify_one();
        }
    }
}
