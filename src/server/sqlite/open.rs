//! Opening a data directory: whose it is, who holds it, what is in it. It must never change a file that is not ours.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags};

use super::schema;
use crate::server::{
    files::create_private,
    ports::{StoreError, StoreResult},
};

/// The database within a data directory.
pub const DATABASE_FILE: &str = "medreq.db";

/// Where a restore prepares; left behind where it was interrupted.
pub(super) const RESTORING: &str = "restoring";

/// Held by the one process that serves a data directory, or restores it.
pub const LOCK_FILE: &str = "medreq.lock";

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A process that only makes a new directory, or brings its schema up to date, is done within this time.
const PATIENCE: Duration = Duration::from_secs(2);
const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How a process uses a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// As the one server: takes the lock; makes the directory where there is none.
    Serve,
    /// Beside a server, or alone, for a short local verb; makes the directory where `create` says so.
    Beside {
        /// True for verbs that may come before the first start, such as `user add`.
        create: bool,
    },
}

impl OpenMode {
    fn creates(self) -> bool {
        matches!(self, Self::Serve | Self::Beside { create: true })
    }
}

/// Why a data directory cannot be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is nothing at that path, and the verb does not create.
    #[error("there is no medreq data in {}; check --data-dir", .0.display())]
    NotFound(PathBuf),
    /// The path names a file.
    #[error("{} is not a directory; choose another --data-dir", .0.display())]
    NotADirectory(PathBuf),
    /// Another process holds the lock.
    #[error("{} is in use by {}; stop it, or choose another --data-dir", path.display(), holder(*.pid))]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The holder's process id, where the lock file says it.
        pid: Option<u32>,
    },
    /// A root process would leave files that the service cannot read.
    #[error("{} belongs to user id {owner}; run this as that user, for example: sudo -u '#{owner}' medreq …", path.display())]
    OwnedByOther {
        /// The data directory.
        path: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// A restore did not end: old and new files may be mixed.
    #[error("a restore into {} was interrupted; run `medreq restore` again", .0.display())]
    RestoreInterrupted(PathBuf),
    /// A SQLite database of another program.
    #[error("medreq.db is the database of another program; choose another --data-dir")]
    NotMedreq,
    /// Written by a newer medreq.
    #[error("medreq.db has schema {found}, this medreq knows up to {known}; use the newer medreq, or restore a backup")]
    NewerSchema {
        /// In the file.
        found: usize,
        /// In this build.
        known: usize,
    },
    /// Written by an older medreq, which may be the one that serves it.
    #[error(
        "{} has an older schema or none yet, and {} serves it; stop that server, or start it anew with this medreq",
        path.display(),
        holder(*pid)
    )]
    OlderSchemaInUse {
        /// The data directory.
        path: PathBuf,
        /// The server's process id, where the lock file says it.
        pid: Option<u32>,
    },
    /// Not a database, or a damaged one.
    #[error("medreq.db is damaged or not a database: restore a backup with `medreq restore` ({0})")]
    Corrupted(String),
    /// The directory or a file in it cannot be written.
    #[error("{} cannot be written: {reason}; check its owner, its mode and the file system", path.display())]
    NotWritable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// There is no such directory, and it cannot be made.
    #[error("{} does not exist and cannot be made: {reason}; choose another --data-dir, or make it", path.display())]
    NotMade {
        /// The data directory.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// Anything else.
    #[error(transparent)]
    Store(StoreError),
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl OpenError {
    /// Stable code for scripts and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "data_dir_not_found",
            Self::NotADirectory(_) => "data_dir_not_a_directory",
            Self::InUse { .. } => "data_dir_in_use",
            Self::OwnedByOther { .. } => "data_dir_owned_by_other",
            Self::RestoreInterrupted(_) => "data_dir_restore_interrupted",
            Self::NotMedreq => "data_dir_not_medreq",
            Self::NewerSchema { .. } => "data_dir_newer_schema",
            Self::OlderSchemaInUse { .. } => "data_dir_older_schema_in_use",
            Self::Corrupted(_) => "data_dir_corrupted",
            Self::NotWritable { .. } | Self::NotMade { .. } => "data_dir_not_writable",
            Self::Store(StoreError::DiskFull) => "disk_full",
            Self::Store(_) => "store_unavailable",
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Broken(detail) => Self::Corrupted(detail),
            other => Self::Store(other),
        }
    }
}

/// Maps an I/O error on a path.
pub(super) fn io_error(path: &Path, error: &io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::StorageFull => OpenError::Store(StoreError::DiskFull),
        io::ErrorKind::NotFound => OpenError::NotFound(path.to_owned()),
        io::ErrorKind::NotADirectory => OpenError::NotADirectory(path.to_owned()),
        _ => OpenError::NotWritable { path: path.to_owned(), reason: error.to_string() },
    }
}

fn not_made(dir: &Path, error: &io::Error) -> OpenError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::NotADirectory => io_error(dir, error),
        _ => OpenError::NotMade { path: dir.to_owned(), reason: error.to_string() },
    }
}

/// Checks the directory, making it where `mode` allows.
pub(super) fn prepare_directory(dir: &Path, mode: OpenMode) -> Result<(), OpenError> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => return Err(OpenError::NotADirectory(dir.to_owned())),
        Ok(found) => check_owner(dir, found.uid())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound && mode.creates() => {
            DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|error| not_made(dir, &error))?;
        }
        Err(error) => return Err(io_error(dir, &error)),
    }
    if dir.join(RESTORING).exists() {
        return Err(OpenError::RestoreInterrupted(dir.to_owned()));
    }
    let file = dir.join(DATABASE_FILE);
    if !file.exists() && !mode.creates() {
        return Err(OpenError::NotFound(dir.to_owned()));
    }
    // Only a directory that is ours is closed to others: `--data-dir /tmp` must not lock everybody out of it.
    let ours = file.exists() || fs::read_dir(dir).map_err(|error| io_error(dir, &error))?.next().is_none();
    if ours {
        // Only ever narrower: an owner who took the right to write from themselves means it.
        let mode = fs::metadata(dir).map_err(|error| io_error(dir, &error))?.mode() & 0o700;
        fs::set_permissions(dir, Permissions::from_mode(mode)).map_err(|error| io_error(dir, &error))?;
    }
    Ok(())
}

/// Refuses to act as root on another's directory.
pub(super) fn check_owner(dir: &Path, owner: u32) -> Result<(), OpenError> {
    if rustix::process::geteuid().is_root() && owner != 0 {
        return Err(OpenError::OwnedByOther { path: dir.to_owned(), owner });
    }
    Ok(())
}

/// Takes the directory's lock; it is held as long as the file is open.
pub(super) fn take_lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .mode(0o600)
        .open(&path)
        .map_err(|error| io_error(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(OpenError::InUse { path: dir.to_owned(), pid });
        }
        Err(TryLockError::Error(error)) => return Err(io_error(&path, &error)),
    }
    let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(|error| io_error(&path, &error))?;
    Ok(file)
}

/// Takes the lock for a server; a verb that is just making the directory is waited for.
pub(super) fn wait_for_lock(dir: &Path) -> Result<File, OpenError> {
    patiently(|| take_lock(dir))
}

/// Tries again for a while where another process has the lock.
fn patiently<T>(attempt: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Err(OpenError::InUse { .. }) if Instant::now() < deadline => thread::sleep(AGAIN_AFTER),
            done => return done,
        }
    }
}

/// Who may be using a database whose schema has to be brought up to date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Migration {
    /// Nobody: the caller holds the lock.
    Alone,
    /// Perhaps a server of an older medreq: it must not lose its tables underfoot.
    Beside,
}

/// Opens the write connection and brings the schema up to date.
pub(super) fn open_database(file: &Path, migration: Migration) -> Result<Connection, OpenError> {
    create_database_file(file)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(file, flags).map_err(|error| at_opening(file, error))?;
    // SQLite opens what it may not write for reading alone. Told before the first read, which would leave side files that nobody may write.
    if conn.is_readonly(MAIN_DB).map_err(|error| at_opening(file, error))? {
        return Err(OpenError::NotWritable { path: file.to_owned(), reason: "it is read-only".to_owned() });
    }
    conn.busy_timeout(BUSY_TIMEOUT).map_err(|error| at_opening(file, error))?;
    // Reads the header and the schema's root page: a file that is no database or whose head is damaged fails here.
    let readable = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()));
    readable.map_err(|error| at_opening(file, error))?;
    // Another program's database is refused before anything is written.
    schema::version_of_ours(&conn)?;
    let _lock = match (migration, file.parent()) {
        (Migration::Beside, Some(dir)) => lock_to_migrate(&conn, dir)?,
        _ => None,
    };
    let written = switch_to_wal(&conn).and_then(|()| conn.pragma_update(None, "secure_delete", true));
    written.map_err(|error| at_opening(file, error))?;
    tune(&conn)?;
    schema::migrate(&mut conn)?;
    Ok(conn)
}

/// The lock, where the schema has to be brought up to date; a server that is just starting does that itself, and is waited for.
fn lock_to_migrate(conn: &Connection, dir: &Path) -> Result<Option<File>, OpenError> {
    let outdated = || schema::version_of_ours(conn).map(|version| version < schema::NEWEST);
    patiently(|| if outdated()? { take_lock(dir).map(Some) } else { Ok(None) }).map_err(|error| match error {
        OpenError::InUse { path, pid } => OpenError::OlderSchemaInUse { path, pid },
        other => other,
    })
}

/// Settings of every connection.
pub(super) fn tune(conn: &Connection) -> StoreResult<()> {
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.pragma_update(None, "synchronous", "FULL")?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "cache_size", -8_192)?;
    conn.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(())
}

fn switch_to_wal(conn: &Connection) -> rusqlite::Result<()> {
    conn.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0)).map(drop)
}

/// Makes the file of a database, unless there is one; SQLite gives its side files the same mode.
pub(super) fn create_database_file(file: &Path) -> Result<(), OpenError> {
    create_private(file).map_err(|error| io_error(file, &error))
}

fn at_opening(file: &Path, error: rusqlite::Error) -> OpenError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Corrupted(error.to_string()),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            OpenError::NotWritable { path: file.to_owned(), reason: error.to_string() }
        }
        _ => StoreError::from(error).into(),
    }
}
