//! What hospital IT meets when a data directory is not as it should be.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, os::unix::fs::PermissionsExt};

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::server::ports::{AuditEntry, IdentityStore, StoreError};

fn refused(dir: &Path, mode: OpenMode) -> OpenError {
    SqliteStore::open(dir, mode).err().expect("opening is refused")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_directory_is_readable_by_its_owner_only() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("a/data");
    let store = SqliteStore::open(&dir, OpenMode::Serve).unwrap();
    assert_eq!(mode(&dir), 0o700);
    for file in ["medreq.db", "medreq.db-wal", "medreq.db-shm", "medreq.lock"] {
        assert_eq!(mode(&dir.join(file)), 0o600, "{file}");
    }
    drop(store);
}

#[test]
fn a_second_server_is_told_who_holds_the_directory() {
    let dir = TempDir::new().unwrap();
    let first = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
    let error = refused(dir.path(), OpenMode::Serve);
    assert_eq!(error.code(), "data_dir_in_use");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    let beside = SqliteStore::open(dir.path(), OpenMode::Beside { create: false }).unwrap();
    assert_eq!(beside.epoch(), first.epoch());
    drop(first);
    SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
}

#[test]
fn a_schema_is_not_brought_up_to_date_under_a_server() {
    let dir = TempDir::new().unwrap();
    let beside = OpenMode::Beside { create: true };
    let server = open::take_lock(dir.path()).unwrap();
    let error = refused(dir.path(), beside);
    assert_eq!(error.code(), "data_dir_older_schema_in_use");
    assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
    drop(server);
    SqliteStore::open(dir.path(), beside).unwrap();
}

#[test]
fn who_starts_first_in_a_new_directory_does_not_matter() {
    for _ in 0..10 {
        let dir = TempDir::new().unwrap();
        let open = |mode| SqliteStore::open(dir.path(), mode).map(|store| store.epoch());
        let (server, verb) = std::thread::scope(|scope| {
            let server = scope.spawn(|| open(OpenMode::Serve));
            let verb = scope.spawn(|| open(OpenMode::Beside { create: true }));
            (server.join().unwrap(), verb.join().unwrap())
        });
        assert_eq!(server.unwrap(), verb.unwrap());
    }
}

#[test]
fn what_is_no_medreq_directory_is_refused_untouched() {
    let dir = TempDir::new().unwrap();
    let beside = OpenMode::Beside { create: false };
    assert_eq!(refused(&dir.path().join("none"), beside).code(), "data_dir_not_found");
    assert_eq!(refused(dir.path(), beside).code(), "data_dir_not_found");

    let file = dir.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(refused(&file, OpenMode::Serve).code(), "data_dir_not_a_directory");
    assert_eq!(refused(&file.join("below"), OpenMode::Serve).code(), "data_dir_not_a_directory");

    let other = dir.path().join("other");
    fs::create_dir(&other).unwrap();
    Connection::open(other.join(DATABASE_FILE)).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let before = fs::read(other.join(DATABASE_FILE)).unwrap();
    assert_eq!(refused(&other, OpenMode::Serve).code(), "data_dir_not_medreq");
    assert_eq!(fs::read(other.join(DATABASE_FILE)).unwrap(), before);
}

#[test]
fn a_damaged_file_and_a_newer_schema_are_named() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join(DATABASE_FILE), "this is not a database, but it is longer than a header".repeat(40))
        .unwrap();
    let error = refused(dir.path(), OpenMode::Serve);
    assert_eq!(error.code(), "data_dir_corrupted", "{error}");
    assert!(error.to_string().contains("medreq restore"), "{error}");

    let newer = TempDir::new().unwrap();
    drop(SqliteStore::open(newer.path(), OpenMode::Serve).unwrap());
    let conn = Connection::open(newer.path().join(DATABASE_FILE)).unwrap();
    conn.pragma_update(None, "user_version", 99).unwrap();
    drop(conn);
    let error = refused(newer.path(), OpenMode::Serve);
    assert_eq!(error.code(), "data_dir_newer_schema");
    assert!(error.to_string().contains("99"), "{error}");
}

#[tokio::test]
async fn a_write_that_panics_or_fails_harms_no_other() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
    let panics = store.writer.write::<(), _>(|_| panic!("a defect"));
    let fails = store.writer.write::<(), _>(|conn| {
        conn.execute("INSERT INTO settings (name, value) VALUES ('half', 'done')", [])?;
        Err(StoreError::Changed)
    });
    let (panicked, failed, fixed) = tokio::join!(panics, fails, store.fix_setting("issuer", "https://a"));
    assert!(matches!(panicked, Err(StoreError::Broken(_))));
    assert!(matches!(failed, Err(StoreError::Changed)));
    assert_eq!(fixed.unwrap(), "https://a");
    assert_eq!(store.fix_setting("issuer", "https://b").await.unwrap(), "https://a");
    assert_eq!(store.setting("half").await.unwrap(), None);
}

#[tokio::test]
async fn a_full_disk_is_said_and_nothing_is_half_done() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
    let limit = |pages: u32| {
        store.writer.write(move |conn| {
            let used: u32 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            let limit = used + pages;
            conn.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(()))?;
            Ok(())
        })
    };
    limit(2).await.unwrap();
    let entry = AuditEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        kind: "admin".to_owned(),
        action: "noise".to_owned(),
        actor: None,
        subject: Some("x".repeat(100_000)),
        detail: serde_json::Value::Null,
    };
    let (before, full) = tokio::join!(store.fix_setting("a", "1"), store.audit(entry.clone()));
    assert!(matches!(full, Err(StoreError::DiskFull)), "{full:?}");
    let kept = store.setting("a").await.unwrap().is_some();
    assert_eq!(kept, before.is_ok(), "only what is stored was acknowledged");
    limit(1_000).await.unwrap();
    store.audit(entry).await.unwrap();
    assert_eq!(store.audit_entries(Default::default()).await.unwrap().total, Some(1));
}

#[test]
fn root_does_not_act_on_the_directory_of_another() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let dir = TempDir::new().unwrap();
    drop(SqliteStore::open(dir.path(), OpenMode::Serve).unwrap());
    std::os::unix::fs::chown(dir.path(), Some(54_321), None).unwrap();
    let error = refused(dir.path(), OpenMode::Beside { create: false });
    assert_eq!(error.code(), "data_dir_owned_by_other");
    assert!(error.to_string().contains("sudo -u '#54321'"), "{error}");
}
