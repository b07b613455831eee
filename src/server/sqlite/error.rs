//! How SQLite's errors look from outside. A message must never carry a stored value.

use rusqlite::ErrorCode;

use crate::server::ports::{StoreError, StoreResult};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                Self::Unavailable("another process holds the database's write lock".to_owned())
            }
            Some(
                ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory,
            ) => Self::Unavailable(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Broken(format!("the database file is damaged, restore a backup: {error}"))
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}

/// True where a uniqueness constraint refused the write.
pub(super) fn is_unique_violation(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error().map(|error| error.extended_code),
        Some(rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    )
}

/// A uniqueness violation as [`StoreError::Exists`], anything else as it is.
pub(super) fn taken<T>(result: rusqlite::Result<T>, what: &'static str, key: &str) -> StoreResult<T> {
    result.map_err(|error| {
        if is_unique_violation(&error) { StoreError::Exists { what, key: key.to_owned() } } else { error.into() }
    })
}
