//! Backups as hospital IT uses them: made while the server runs, proven, restored; and those that must not be restored.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{fs, os::unix::fs::PermissionsExt, sync::Arc};

use futures_util::future::join_all;
use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    backup::{self, BackupError},
    restore::restore,
    tests::{ports_of, seen, serve},
    *,
};
use crate::{
    domain::{command::Command, reason::Role, text::FreeText},
    server::{
        catalog::CATALOG_FILE,
        contract::{Ports, at, audit, creation, digest, on, pharmacist, session, supply, user},
        ports::{AuditQuery, IdentityStore, Pipeline, Rotation, SecondFactor, SigningKey},
    },
};

struct Site {
    root: TempDir,
    store: Arc<SqliteStore>,
    ports: Ports,
}

impl Site {
    async fn open() -> Self {
        let root = TempDir::new().unwrap();
        let store = serve(&root.path().join("data"));
        let ports = ports_of(&store);
        ports.open_hospital().await;
        ports.identity.insert_users(vec![user("bia", Role::Pharmacist)], vec![]).await.unwrap();
        let mut create = supply("UTI", "SORO-09");
        create.note = Some(FreeText::new("deixar na copa").unwrap());
        let ticket = ports.done(creation("k", create)).await;
        ports.done(on("c", &ticket, Command::Claim, pharmacist("bia"))).await;
        Self { root, store, ports }
    }

    fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn backups(&self) -> PathBuf {
        self.root.path().join("backups")
    }

    fn back_up(&self) -> PathBuf {
        backup::create(&self.data(), &self.backups(), &["demo.json", "keys"]).unwrap().path
    }
}

#[tokio::test]
async fn a_backup_of_a_running_server_restores_what_it_held() {
    let site = Site::open().await;
    fs::create_dir(site.data().join("keys")).unwrap();
    fs::write(site.data().join("keys/master.key"), "secret").unwrap();
    Connection::open(site.data().join(CATALOG_FILE)).unwrap().execute_batch("CREATE TABLE products (x)").unwrap();
    let made = site.back_up();
    let kept = site.ports.all_pages(crate::server::contract::everything()).await.0;
    site.ports.done(creation("after the backup", supply("CM", "SORO-09"))).await;

    let (listed, proof) = backup::verify(&made).unwrap();
    assert_eq!(backup::list(&site.backups()).unwrap(), std::slice::from_ref(&listed));
    assert_eq!((proof.events, proof.tickets, listed.manifest.last_seq), (2, 1, 2));
    let names: Vec<_> = listed.manifest.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["medreq.db", "catalog.db", "keys/master.key"]);
    for name in names.iter().chain(&["manifest.json"]) {
        assert_eq!(fs::metadata(made.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert_eq!(fs::read_dir(&made).unwrap().count(), 4, "proving leaves nothing beside the files");

    let target = site.root.path().join("restored");
    let restored = restore(&made, &target, false).unwrap();
    assert_eq!(restored.aside, None);
    let store = serve(&target);
    store.verify().await.unwrap();
    assert_eq!(store.epoch(), restored.epoch);
    assert_ne!(store.epoch(), site.store.epoch(), "feeds of the old log start afresh");
    let ports = ports_of(&store);
    assert_eq!(ports.all_pages(crate::server::contract::everything()).await.0, kept);
    assert_eq!(fs::read_to_string(target.join("keys/master.key")).unwrap(), "secret");
    // The log goes on where it was: the retried command is new to it, and numbers follow.
    ports.done(creation("after the backup", supply("CM", "SORO-09"))).await;
    assert_eq!((store.verify().await.unwrap().events, store.head().await.unwrap().events()), (3, 3));
    let audit = store.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(audit.items[0].action, "restored");
}

/// Makes the manifest fit a database that was changed behind its back.
fn sum_anew(made: &Path) {
    let sum = super::copying::sum(&made.join(DATABASE_FILE)).unwrap();
    let mut manifest = backup::read(made).unwrap().manifest;
    (manifest.files[0].sha256, manifest.files[0].size) = (sum.sha256, sum.size);
    fs::write(made.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
}

#[tokio::test]
async fn no_signing_key_is_backed_up_nor_restored_from_older_backups() {
    let site = Site::open().await;
    let private = [0xa5; 138];
    let key = |kid: &str| SigningKey {
        kid: kid.to_owned(),
        algorithm: "ES256".to_owned(),
        private_der: private.to_vec(),
        public_jwk: serde_json::json!({ "kid": kid }),
        created_at: at(0),
        signs_from: at(0),
        retired_at: None,
    };
    site.ports.identity.insert_signing_key(key("a"), vec![], audit("key_made", 0)).await.unwrap();
    let made = site.back_up();
    let bytes = fs::read(made.join(DATABASE_FILE)).unwrap();
    assert!(!bytes.windows(private.len()).any(|window| window == private), "nor is it left on a free page");

    let older = Connection::open(made.join(DATABASE_FILE)).unwrap();
    super::identity::insert_signing_key(&older, &key("a")).unwrap();
    drop(older);
    sum_anew(&made);
    let target = site.root.path().join("restored");
    restore(&made, &target, false).unwrap();
    assert_eq!(ports_of(&serve(&target)).identity.signing_keys().await.unwrap(), []);
    assert_eq!(site.ports.identity.signing_keys().await.unwrap(), [key("a")], "the site that was copied keeps its own");
}

#[tokio::test]
async fn restoring_ends_every_session_and_keeps_second_factors() {
    let site = Site::open().await;
    site.ports.identity.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    site.ports.open(session(1), "r0").await;
    site.ports.sessions.open_session(session(2), digest("cookie"), audit("signed_in", 0)).await.unwrap();
    let ana = session(1).sign_in.user;
    let factor =
        SecondFactor { secret: vec![7; 20], confirmed: true, last_step: 3, recovery: [digest("rescue")].into() };
    site.ports.sessions.put_second_factor(ana, Some(factor.clone()), audit("totp_set", 0)).await.unwrap();
    let made = site.back_up();

    let target = site.root.path().join("restored");
    restore(&made, &target, false).unwrap();
    let ports = ports_of(&serve(&target));
    assert_eq!(ports.rotate("r0", "never", 1).await, Rotation::Dead);
    assert_eq!(ports.by_cookie("cookie", 1).await, None);
    let code = digest(&format!("code of {}", session(1).sid));
    assert_eq!(ports.sessions.code(code).await.unwrap(), None);
    assert_eq!(ports.sessions.sessions(ana, session(1).sign_in.generation, at(1)).await.unwrap(), []);
    assert_eq!(ports.sessions.second_factor(ana).await.unwrap(), Some(factor));
    assert_eq!(site.ports.rotate("r0", "r1", 1).await, Rotation::Rotated, "the site that was copied goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_load_is_one_state() {
    let site = Site::open().await;
    let load = (0..300).map(|n| {
        let ports = site.ports.clone();
        tokio::spawn(async move { ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))).await })
    });
    let load = tokio::spawn(join_all(load));
    for _ in 0..3 {
        let (data, dest) = (site.data(), site.backups());
        let made = tokio::task::spawn_blocking(move || backup::create(&data, &dest, &[])).await.unwrap().unwrap();
        backup::verify(&made.path).unwrap();
    }
    for result in load.await.unwrap() {
        result.unwrap();
    }
    assert_eq!(backup::list(&site.backups()).unwrap().len(), 3);
    assert_eq!(site.store.verify().await.unwrap().events, 302);
}

#[tokio::test]
async fn restoring_over_data_needs_consent_and_keeps_it() {
    let site = Site::open().await;
    let made = site.back_up();
    let busy = restore(&made, &site.data(), true).unwrap_err();
    assert_eq!(busy.code(), "data_dir_in_use", "{busy}");

    site.ports.done(creation("lost", supply("CM", "SORO-09"))).await;
    let Site { root, store, ports } = site;
    drop((store, ports));
    let data = root.path().join("data");
    fs::write(data.join("demo.json"), "{}").unwrap();
    let refused = restore(&made, &data, false).unwrap_err();
    assert_eq!(refused.code(), "data_dir_not_empty", "{refused}");
    let restored = restore(&made, &data, true).unwrap();
    assert_eq!(serve(&data).verify().await.unwrap().events, 2);
    assert!(data.join("demo.json").exists(), "what the backup does not bring stays");
    assert_eq!(serve(&restored.aside.unwrap()).verify().await.unwrap().events, 3);
}

#[tokio::test]
async fn an_interrupted_restore_is_noticed_and_run_again() {
    let site = Site::open().await;
    let made = site.back_up();
    let Site { root, store, ports } = site;
    drop((store, ports));
    // As left between moving the old database aside and the new one into place.
    let data = root.path().join("data");
    fs::create_dir(data.join("restoring")).unwrap();
    fs::remove_file(data.join(DATABASE_FILE)).unwrap();
    let refused = SqliteStore::open(&data, OpenMode::Serve).err().unwrap();
    assert_eq!(refused.code(), "data_dir_restore_interrupted", "{refused}");
    // Another one that fails leaves the mark: the directory is still not to be opened.
    fs::write(data.join("restoring/left"), "x").unwrap();
    fs::write(data.join("keys"), "in the way of a directory").unwrap();
    let with_keys = made.join("keys");
    fs::create_dir(&with_keys).unwrap();
    fs::write(with_keys.join("k"), "x").unwrap();
    let sum = super::copying::sum(&with_keys.join("k")).unwrap();
    let mut manifest = backup::read(&made).unwrap().manifest;
    manifest.files.push(backup::ManifestFile { name: "keys/k".to_owned(), size: sum.size, sha256: sum.sha256 });
    fs::write(made.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    restore(&made, &data, false).unwrap_err();
    let refused = SqliteStore::open(&data, OpenMode::Serve).err().unwrap();
    assert_eq!(refused.code(), "data_dir_restore_interrupted", "{refused}");
    fs::remove_file(data.join("keys")).unwrap();
    restore(&made, &data, false).unwrap();
    assert!(!data.join("restoring").exists() && !data.join("restore-staging").exists());
    assert_eq!(serve(&data).verify().await.unwrap().events, 2);
}

#[tokio::test]
async fn an_altered_backup_is_found_and_not_restored() {
    let site = Site::open().await;
    let target = site.root.path().join("restored");
    let expect = |made: &Path, code: &str| {
        let found = backup::verify(made).unwrap_err();
        assert_eq!(found.code(), code, "{found}");
        assert_eq!(restore(made, &target, false).unwrap_err().code(), code);
        assert!(!target.exists(), "nothing was touched");
    };
    let flipped = site.back_up();
    let mut bytes = fs::read(flipped.join(DATABASE_FILE)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(flipped.join(DATABASE_FILE), bytes).unwrap();
    expect(&flipped, "backup_altered");

    let cut = site.back_up();
    fs::File::options().write(true).open(cut.join(DATABASE_FILE)).unwrap().set_len(8_192).unwrap();
    expect(&cut, "backup_altered");

    let gone = site.back_up();
    fs::remove_file(gone.join(DATABASE_FILE)).unwrap();
    expect(&gone, "backup_altered");

    // Somebody changed the log and made the checksums fit.
    let forged = site.back_up();
    let conn = Connection::open(forged.join(DATABASE_FILE)).unwrap();
    conn.execute_batch("DROP TRIGGER events_keep; UPDATE events SET body = replace(body, 'bia', 'eva')").unwrap();
    drop(conn);
    sum_anew(&forged);
    expect(&forged, "backup_unsound");

    // Somebody cut the newest entries off the audit log and made the checksum fit: the chain is whole, the manifest tells.
    site.store.audit(seen("admin", "what somebody would like to hide")).await.unwrap();
    let cut_off = site.back_up();
    let conn = Connection::open(cut_off.join(DATABASE_FILE)).unwrap();
    conn.execute_batch("DROP TRIGGER audit_remain; DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)").unwrap();
    drop(conn);
    sum_anew(&cut_off);
    expect(&cut_off, "backup_altered");

    let mut manifest = backup::read(&forged).unwrap().manifest;
    manifest.files[0].name = "../medreq.db".to_owned();
    fs::write(forged.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    expect(&forged, "not_a_backup");
    manifest.format = 99;
    fs::write(forged.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
    expect(&forged, "backup_newer");
}

#[tokio::test]
async fn what_a_killed_backup_left_goes_with_the_next_unless_another_is_being_made() {
    let site = Site::open().await;
    let left = site.backups().join(".partial-20300115T100000Z-1a2b3c4d");
    fs::create_dir_all(&left).unwrap();
    fs::write(left.join(DATABASE_FILE), "half of it").unwrap();
    fs::write(site.backups().join("note.txt"), "x").unwrap();
    let other = fs::File::open(site.backups()).unwrap();
    other.lock_shared().unwrap();
    site.back_up();
    assert!(left.exists(), "it may be what the other one makes");
    drop(other);
    site.back_up();
    assert!(!left.exists());
    assert_eq!(backup::list(&site.backups()).unwrap().len(), 2);
    assert_eq!(fs::read_dir(site.backups()).unwrap().count(), 3, "nothing else was touched");
}

#[test]
fn what_is_not_there_is_said() {
    let root = TempDir::new().unwrap();
    let none = backup::create(&root.path().join("none"), &root.path().join("backups"), &[]).unwrap_err();
    assert_eq!(none.code(), "data_dir_not_found");
    assert!(matches!(backup::verify(root.path()), Err(BackupError::NotABackup { .. })));
    fs::create_dir_all(root.path().join("backups/.partial-x")).unwrap();
    fs::write(root.path().join("backups/note.txt"), "x").unwrap();
    assert_eq!(backup::list(&root.path().join("backups")).unwrap(), []);
}
