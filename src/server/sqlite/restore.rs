//! Putting a backup in the place of a data directory. The old data is moved aside, never deleted; a restore that was interrupted is
//! noticed at the next opening and can be run again.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::Connection;
use serde_json::json;
use uuid::Uuid;

use super::{
    audit,
    backup::{Backup, BackupError, verify},
    copying,
    open::{DATABASE_FILE, LOCK_FILE, Migration, OpenError, RESTORING, check_owner, open_database, take_lock},
    schema,
};
use crate::server::{
    catalog::CATALOG_FILE,
    ports::{AuditEntry, StoreError, StoreResult},
};

const ASIDE: &str = "before-restore-";

/// Where the backup is copied to before anything old is touched.
const STAGING: &str = "restore-staging";

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// From which backup.
    pub backup: Backup,
    /// The new identity of the log: feeds start afresh.
    pub epoch: Uuid,
    /// Where the data that was there before lies now.
    pub aside: Option<PathBuf>,
}

/// Restores a backup into a data directory that no server uses. A directory with data is refused unless `replace`; then that data
/// is kept in `before-restore-…` within it. All sessions end and no earlier token verifies, for what was revoked since the backup is
/// forgotten.
///
/// # Errors
/// [`BackupError`] says what stands in the way; the data directory is as before, or says at its next opening that the restore
/// must be run again.
pub fn restore(backup: &Path, data_dir: &Path, replace: bool) -> Result<Restored, BackupError> {
    let (backup, _) = verify(backup)?;
    copying::make_dir(data_dir).map_err(BackupError::at(data_dir))?;
    check_owner(data_dir, owner_of(data_dir)?)?;
    let lock = take_lock(data_dir)?;
    let old = entries(data_dir)?;
    let (staging, restoring) = (data_dir.join(STAGING), data_dir.join(RESTORING));
    if !old.is_empty() && !replace && !restoring.exists() {
        return Err(BackupError::NotEmpty(data_dir.to_owned()));
    }
    remove_if_there(&staging)?;
    let epoch = stage(&backup, &staging).inspect_err(|_| {
        // Nothing old was touched yet; that the copies could not be removed is the lesser trouble.
        let _ = fs::remove_dir_all(&staging);
    })?;
    // From here on, and since an earlier restore that was interrupted, the directory does not open until all is in place.
    copying::make_dir(&restoring).map_err(BackupError::at(&restoring))?;
    copying::sync_dir(data_dir).map_err(BackupError::at(data_dir))?;
    let aside = swap(&backup, data_dir, &staging)?;
    remove_if_there(&staging)?;
    remove_if_there(&restoring)?;
    copying::sync_dir(data_dir).map_err(BackupError::at(data_dir))?;
    drop(lock);
    Ok(Restored { backup, epoch, aside })
}

/// Removes what an earlier restore copied: the backup still has it.
fn remove_if_there(copies: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(copies) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::at(copies)(error)),
        _ => Ok(()),
    }
}

fn owner_of(dir: &Path) -> Result<u32, BackupError> {
    use std::os::unix::fs::MetadataExt;
    Ok(fs::metadata(dir).map_err(BackupError::at(dir))?.uid())
}

/// What counts as data of a directory.
fn entries(data_dir: &Path) -> Result<Vec<String>, BackupError> {
    let mut names = vec![];
    for entry in fs::read_dir(data_dir).map_err(BackupError::at(data_dir))? {
        let name = entry.map_err(BackupError::at(data_dir))?.file_name().to_string_lossy().into_owned();
        if ![LOCK_FILE, STAGING, RESTORING].contains(&name.as_str()) && !name.starts_with(ASIDE) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Copies the backup beside the old data and makes it a new log of this machine.
fn stage(backup: &Backup, staging: &Path) -> Result<Uuid, BackupError> {
    copying::make_dir(staging).map_err(BackupError::at(staging))?;
    for file in &backup.manifest.files {
        let target = staging.join(&file.name);
        target.parent().map_or(Ok(()), copying::make_dir).map_err(BackupError::at(&target))?;
        let copied = copying::copy(&backup.path.join(&file.name), &target).map_err(BackupError::at(&target))?;
        if copied.sha256 != file.sha256 {
            return Err(BackupError::Altered { file: file.name.clone(), what: "changed while it was read" });
        }
    }
    let conn = open_database(&staging.join(DATABASE_FILE), Migration::Alone)?;
    let epoch = begin_again(&conn, backup).map_err(|error| BackupError::Open(error.into()))?;
    // The last connection's end copies the log into the file: one file to move.
    conn.close().map_err(|(_, error)| BackupError::Open(OpenError::Store(StoreError::from(error))))?;
    copying::sync_dir(staging).map_err(BackupError::at(staging))?;
    Ok(epoch)
}

fn begin_again(conn: &Connection, backup: &Backup) -> StoreResult<Uuid> {
    let transaction = conn.unchecked_transaction()?;
    let epoch = schema::renew_epoch(&transaction)?;
    // The next start makes new keys, so that nothing verifies that was signed before, whichever restore it was signed after: older backups
    // bring theirs along. What is looked up goes as well.
    for table in ["signing_keys", "links", "codes", "devices", "refresh_tokens", "sessions"] {
        transaction.execute(&format!("DELETE FROM {table}"), [])?;
    }
    let entry = AuditEntry {
        at: Timestamp::now(),
        kind: "admin".to_owned(),
        action: "restored".to_owned(),
        actor: None,
        subject: None,
        detail: json!({
            "backup_created_at": backup.manifest.created_at,
            "last_seq": backup.manifest.last_seq,
            "old_epoch": backup.manifest.epoch,
            "epoch": epoch,
        }),
    };
    audit::append(&transaction, &entry)?;
    transaction.commit()?;
    Ok(epoch)
}

/// Moves what is in the way aside and the staged files into place.
fn swap(backup: &Backup, data_dir: &Path, staging: &Path) -> Result<Option<PathBuf>, BackupError> {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%S%3fZ").to_string();
    let aside = data_dir.join(format!("{ASIDE}{now}"));
    let databases = [DATABASE_FILE, CATALOG_FILE].into_iter();
    let database_files = databases.flat_map(|name| ["", "-wal", "-shm", "-journal"].map(|end| format!("{name}{end}")));
    let restored = backup.manifest.files.iter().map(|file| file.name.clone());
    let mut moved = false;
    for name in database_files.chain(restored) {
        let from = data_dir.join(&name);
        if !from.exists() {
            continue;
        }
        move_into(&from, &aside.join(&name)).map_err(BackupError::at(&from))?;
        moved = true;
    }
    for file in &backup.manifest.files {
        let target = data_dir.join(&file.name);
        move_into(&staging.join(&file.name), &target).map_err(BackupError::at(&target))?;
    }
    copying::sync_dir(data_dir).map_err(BackupError::at(data_dir))?;
    Ok(moved.then_some(aside))
}

fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    to.parent().map_or(Ok(()), copying::make_dir)?;
    fs::rename(from, to)
}
