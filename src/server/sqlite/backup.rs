//! Backups of a data directory: made beside a running server, proven by reading them. A half-made backup is never listed; none holds a signing key.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup as PageCopy, StepResult},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    audit, copying, events,
    open::{DATABASE_FILE, OpenError, OpenMode, create_database_file, prepare_directory, tune},
    schema,
    verify::{Proof, check_integrity, verify as prove},
};
use crate::{
    api::millis,
    server::{
        catalog::CATALOG_FILE,
        hex::hex,
        ports::{StoreError, StoreResult},
    },
};

const FORMAT: u32 = 1;
const MANIFEST_FILE: &str = "manifest.json";

/// How the name of a backup begins that is not whole yet.
const PARTIAL: &str = ".partial-";

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// The medreq that made it.
    pub medreq: String,
    /// Schema of its database.
    pub schema: usize,
    /// When it was made.
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// The log's identity.
    pub epoch: Uuid,
    /// The newest event in it.
    pub last_seq: u64,
    /// That event's hash, in hexadecimal digits.
    pub head_hash: String,
    /// What its records come to; backups of before this was counted lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
    /// Its files, beside the manifest.
    pub files: Vec<ManifestFile>,
}

/// What a backup's database holds, as counted when it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Tickets.
    pub tickets: u64,
    /// Entries of the audit log.
    pub audit_entries: u64,
    /// The newest entry's hash, in hexadecimal digits.
    pub audit_hash: String,
    /// Users.
    pub users: u64,
    /// Clients and service accounts.
    pub clients: u64,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Path within the backup.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// A backup on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its directory.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

impl Backup {
    /// Bytes of all its files.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.manifest.files.iter().map(|file| file.size).sum()
    }
}

/// Why a backup cannot be made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The data directory.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No manifest, or one that does not read.
    #[error("{} is not a medreq backup: {reason}", path.display())]
    NotABackup {
        /// The path.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Made by a newer medreq.
    #[error("the backup was made by medreq {0}, which is newer; use that one")]
    Newer(String),
    /// A file is not what the manifest says.
    #[error("{file} in the backup {what}: it was altered or damaged; use another backup")]
    Altered {
        /// The file.
        file: String,
        /// In what way.
        what: &'static str,
    },
    /// The database in the backup does not hold together.
    #[error("the database in the backup is not sound: {0}")]
    Unsound(StoreError),
    /// A restore would mix its files with others.
    #[error("{} is not empty; choose an empty directory, or replace its data by --replace", .0.display())]
    NotEmpty(PathBuf),
    /// A backup beside what it copies would be lost with it, and be taken for data.
    #[error("{} is the data directory or within it; keep backups elsewhere, best on another disk", .0.display())]
    WithinData(PathBuf),
    /// The file system.
    #[error("{}: {error}; see to its mode and to the room on its disk", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

impl BackupError {
    /// Stable code for scripts and logs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Open(error) => error.code(),
            Self::NotABackup { .. } => "not_a_backup",
            Self::Newer(_) => "backup_newer",
            Self::Altered { .. } => "backup_altered",
            Self::Unsound(_) => "backup_unsound",
            Self::NotEmpty(_) => "data_dir_not_empty",
            Self::WithinData(_) => "backup_within_data",
            Self::Io { error, .. } if error.kind() == io::ErrorKind::StorageFull => "disk_full",
            Self::Io { .. } => "backup_io",
        }
    }

    pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self::Io { path, error }
    }
}

fn store_error(error: StoreError) -> BackupError {
    BackupError::Open(error.into())
}

/// Makes a backup of a data directory below `dest`, also while a server runs on it. `extra` names further files and
/// directories within the data directory; those that do not exist are left out.
///
/// # Errors
/// [`BackupError`] says what stands in the way; nothing is left that would be listed, and what a killed process left goes with the next one.
pub fn create(data_dir: &Path, dest: &Path, extra: &[&str]) -> Result<Backup, BackupError> {
    prepare_directory(data_dir, OpenMode::Beside { create: false })?;
    refuse_within(data_dir, dest)?;
    copying::make_dir(dest).map_err(BackupError::at(dest))?;
    let _making = begin(dest).map_err(BackupError::at(dest))?;
    let created_at = millis::truncated(Timestamp::now());
    let name = format!("{}-{:.8}", created_at.strftime("%Y%m%dT%H%M%SZ"), Uuid::new_v4().simple().to_string());
    let partial = dest.join(format!("{PARTIAL}{name}"));
    copying::make_dir(&partial).map_err(BackupError::at(&partial))?;
    let made = fill(data_dir, &partial, extra, created_at).and_then(|manifest| {
        let path = dest.join(&name);
        copying::sync_dir(&partial).map_err(BackupError::at(&partial))?;
        fs::rename(&partial, &path).map_err(BackupError::at(&path))?;
        copying::sync_dir(dest).map_err(BackupError::at(dest))?;
        Ok(Backup { path, manifest })
    });
    if made.is_err() {
        // What is left is never listed; that it could not be removed is the lesser trouble.
        let _ = fs::remove_dir_all(&partial);
    }
    made
}

/// Says that a backup is being made below a directory, until it is dropped. Who is the first to do so removes what killed ones left there.
fn begin(dest: &Path) -> io::Result<fs::File> {
    let making = fs::File::open(dest)?;
    // Everybody who makes one shares the lock: who gets it alone finds nothing there that is still being made.
    if making.try_lock().is_ok() {
        for entry in fs::read_dir(dest)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                // Another user's may stay: it is not in the way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        making.unlock()?;
    }
    // Where a directory cannot be locked, as on some network shares, nobody gets it alone, and left-overs stay.
    let _ = making.lock_shared();
    Ok(making)
}

/// Compares where the paths lead; of a destination that is still to be made, its nearest directory decides.
fn refuse_within(data_dir: &Path, dest: &Path) -> Result<(), BackupError> {
    let data = data_dir.canonicalize().map_err(BackupError::at(data_dir))?;
    let absolute = std::path::absolute(dest).map_err(BackupError::at(dest))?;
    let existing = absolute.ancestors().find_map(|path| path.canonicalize().ok());
    if existing.is_some_and(|path| path.starts_with(&data)) {
        return Err(BackupError::WithinData(dest.to_owned()));
    }
    Ok(())
}

fn fill(data_dir: &Path, to: &Path, extra: &[&str], created_at: Timestamp) -> Result<Manifest, BackupError> {
    let mut files = vec![];
    for name in [DATABASE_FILE, CATALOG_FILE] {
        if data_dir.join(name).exists() {
            snapshot(&data_dir.join(name), &to.join(name), |copy| match name {
                DATABASE_FILE => leave_out_keys(copy),
                _ => Ok(()),
            })?;
            files.push(summed(to, name)?);
        }
    }
    for extra in extra {
        for name in copying::files_below(data_dir, extra).map_err(BackupError::at(&data_dir.join(extra)))? {
            let target = to.join(&name);
            target.parent().map_or(Ok(()), copying::make_dir).map_err(BackupError::at(&target))?;
            let sum = copying::copy(&data_dir.join(&name), &target).map_err(BackupError::at(&target))?;
            files.push(ManifestFile { name, size: sum.size, sha256: sum.sha256 });
        }
    }
    let conn = open_still(&to.join(DATABASE_FILE)).map_err(store_error)?;
    let head = events::head(&conn).map_err(store_error)?;
    let manifest = Manifest {
        format: FORMAT,
        medreq: env!("CARGO_PKG_VERSION").to_owned(),
        schema: schema::version_of_ours(&conn)?,
        created_at,
        epoch: schema::epoch(&conn).map_err(store_error)?,
        last_seq: head.seq,
        head_hash: hex(&head.hash),
        counts: count(&conn).map_err(store_error)?,
        files,
    };
    let text = serde_json::to_vec_pretty(&manifest).expect("a manifest is always JSON");
    copying::write(&to.join(MANIFEST_FILE), &text).map_err(BackupError::at(to))?;
    Ok(manifest)
}

/// `None` of a database that an older medreq serves, whose audit log has no chain.
fn count(conn: &Connection) -> StoreResult<Option<Counts>> {
    if !audit::is_chained(conn)? {
        return Ok(None);
    }
    let rows = |table: &str| -> StoreResult<u64> {
        let count: i64 = conn.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok(count.cast_unsigned())
    };
    Ok(Some(Counts {
        tickets: rows("tickets")?,
        audit_entries: rows("audit")?,
        audit_hash: hex(&audit::head(conn)?.1),
        users: rows("users")?,
        clients: rows("clients")?,
    }))
}

fn summed(dir: &Path, name: &str) -> Result<ManifestFile, BackupError> {
    let sum = copying::sum(&dir.join(name)).map_err(BackupError::at(&dir.join(name)))?;
    Ok(ManifestFile { name: name.to_owned(), size: sum.size, sha256: sum.sha256 })
}

/// Whoever reads a backup must not be able to sign tokens of the site that it is of; a restored site makes keys of its own.
fn leave_out_keys(copy: &Connection) -> StoreResult<()> {
    // What is not ours has none; it is refused when the manifest is written.
    if schema::version_of_ours(copy).is_ok() {
        copy.pragma_update(None, "secure_delete", true)?;
        copy.execute("DELETE FROM signing_keys", [])?;
    }
    Ok(())
}

/// Copies a database page by page in one step: one state of it, whoever writes meanwhile. `adapt` changes the copy before it is proven.
fn snapshot(from: &Path, to: &Path, adapt: impl FnOnce(&Connection) -> StoreResult<()>) -> Result<(), BackupError> {
    create_database_file(to)?;
    let copied = || -> StoreResult<()> {
        let source = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        tune(&source)?;
        let mut target = Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        match PageCopy::new(&source, &mut target)?.step(-1)? {
            StepResult::Done => {}
            other => return Err(StoreError::Unavailable(format!("the copy did not end ({other:?}); try again"))),
        }
        // The copy stands alone: no side files beside it.
        target.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
        adapt(&target)
    };
    copied().map_err(|error| match error {
        // It is the backup's disk that is full, not the store's.
        StoreError::DiskFull => BackupError::at(to)(io::ErrorKind::StorageFull.into()),
        other => store_error(other),
    })?;
    // What is damaged is told today, not at the restore.
    open_still(to).and_then(|conn| check_integrity(&conn)).map_err(BackupError::Unsound)?;
    let synced = fs::File::open(to).and_then(|file| file.sync_all());
    synced.map_err(BackupError::at(to))
}

/// Opens a database that nobody writes, without making files beside it.
pub(super) fn open_still(file: &Path) -> StoreResult<Connection> {
    let path = file.to_str().ok_or_else(|| StoreError::Unavailable("the backup's path is not UTF-8".to_owned()))?;
    let escaped: String = path
        .chars()
        .map(|c| match c {
            '%' => "%25".to_owned(),
            '?' => "%3f".to_owned(),
            '#' => "%23".to_owned(),
            c => c.to_string(),
        })
        .collect();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Ok(Connection::open_with_flags(format!("file:{escaped}?immutable=1"), flags)?)
}

/// The backups below a directory, oldest first. What is not a whole backup is passed over.
///
/// # Errors
/// Where the directory cannot be read.
pub fn list(dest: &Path) -> Result<Vec<Backup>, BackupError> {
    let mut backups = vec![];
    for entry in fs::read_dir(dest).map_err(BackupError::at(dest))? {
        let entry = entry.map_err(BackupError::at(dest))?;
        if !entry.file_name().to_string_lossy().starts_with('.')
            && let Ok(backup) = read(&entry.path())
        {
            backups.push(backup);
        }
    }
    backups.sort_by(|a, b| (a.manifest.created_at, &a.path).cmp(&(b.manifest.created_at, &b.path)));
    Ok(backups)
}

/// Reads what a backup says of itself.
///
/// # Errors
/// [`BackupError::NotABackup`] where there is no manifest that reads, [`BackupError::Newer`] where its format is not known.
pub fn read(path: &Path) -> Result<Backup, BackupError> {
    let not_one = |reason: String| BackupError::NotABackup { path: path.to_owned(), reason };
    let text = fs::read(path.join(MANIFEST_FILE)).map_err(|error| not_one(format!("no {MANIFEST_FILE}: {error}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| not_one(format!("{MANIFEST_FILE} does not read: {error}")))?;
    if manifest.format > FORMAT || manifest.schema > schema::NEWEST {
        return Err(BackupError::Newer(manifest.medreq));
    }
    let sound = manifest.files.iter().all(|file| copying::stays_below(&file.name))
        && manifest.files.iter().any(|file| file.name == DATABASE_FILE);
    if !sound {
        return Err(not_one(format!("{MANIFEST_FILE} names files that no backup has")));
    }
    Ok(Backup { path: path.to_owned(), manifest })
}

/// Proves a backup: every file is what the manifest says, the database holds together (I9), and its logs end where the manifest says.
///
/// # Errors
/// [`BackupError`] names the file or the rule that does not hold.
pub fn verify(path: &Path) -> Result<(Backup, Proof), BackupError> {
    let backup = read(path)?;
    for file in &backup.manifest.files {
        let altered = |what| BackupError::Altered { file: file.name.clone(), what };
        let found = match copying::sum(&path.join(&file.name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(altered("is missing")),
            found => found.map_err(BackupError::at(&path.join(&file.name)))?,
        };
        if found.size != file.size {
            return Err(altered("has another size than its manifest says"));
        }
        if found.sha256 != file.sha256 {
            return Err(altered("has another checksum than its manifest says"));
        }
        if file.name == CATALOG_FILE {
            let catalog = open_still(&path.join(CATALOG_FILE)).and_then(|conn| check_integrity(&conn));
            catalog.map_err(BackupError::Unsound)?;
        }
    }
    let conn = open_still(&path.join(DATABASE_FILE)).map_err(BackupError::Unsound)?;
    schema::version_of_ours(&conn)?;
    let proof = prove(&conn).map_err(BackupError::Unsound)?;
    let manifest = &backup.manifest;
    let epoch = schema::epoch(&conn).map_err(BackupError::Unsound)?;
    let same_log =
        (epoch, proof.events, hex(&proof.head)) == (manifest.epoch, manifest.last_seq, manifest.head_hash.clone());
    let counted = proof.audit.map(|(audit_entries, hash)| Counts {
        tickets: proof.tickets,
        audit_entries,
        audit_hash: hex(&hash),
        users: proof.users,
        clients: proof.clients,
    });
    if !same_log || (manifest.counts.is_some() && manifest.counts != counted) {
        return Err(BackupError::Altered { file: MANIFEST_FILE.to_owned(), what: "does not fit its database" });
    }
    Ok((backup, proof))
}
