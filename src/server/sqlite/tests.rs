//! The contract on SQLite, and what is SQLite's own: a second process, a crash, the bytes in the file.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::HashSet,
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::future::join_all;
use tempfile::TempDir;

use super::*;
use crate::{
    domain::{
        actor::Reach,
        command::Command,
        reason::{CancelReason, Role, TransferReason},
        text::FreeText,
    },
    server::{
        contract::{self, Ports, creation, everything, missing_dose, nurse, on, pharmacist, supply},
        ports::{
            AuditEntry, AuditQuery, IdentityStore, Pipeline, StoreError, SubmitError, Submitted, TicketQuery,
            Visibility,
        },
    },
};

pub(super) fn ports_of(store: &Arc<SqliteStore>) -> Ports {
    Ports {
        pipeline: Arc::clone(store) as _,
        tickets: Arc::clone(store) as _,
        reference: Arc::clone(store) as _,
        identity: Arc::clone(store) as _,
        sessions: Arc::clone(store) as _,
    }
}

pub(super) fn serve(dir: &Path) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(dir, OpenMode::Serve).unwrap())
}

async fn new_ports() -> (Ports, TempDir) {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    (ports_of(&store), dir)
}

contract::contract_suite!(new_ports);

/// All bytes that the directory holds.
fn bytes_of(dir: &Path) -> Vec<u8> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    files.flat_map(|path| fs::read(path).unwrap()).collect()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()))
}

#[tokio::test]
async fn the_file_shows_no_free_text_and_erasing_leaves_no_key() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let mut create = missing_dose("PRONTUARIO998877", "HEPARINA");
    create.note = Some(FreeText::new("Zuleica viu ontem").unwrap());
    let ticket = ports.done(creation("k", create)).await;
    let comment = Command::Comment { text: FreeText::new("paciente alergico").unwrap() };
    ports.done(on("c", &ticket, comment, nurse())).await;
    let texts = ["PRONTUARIO998877", "zuleica", "ontem", "alergico", "gaveta do leito"];
    let shown = |bytes: &[u8]| texts.iter().filter(|text| holds(bytes, text)).copied().collect::<Vec<_>>();
    assert_eq!(shown(&bytes_of(dir.path())), [""; 0]);

    // So many that their keys fill pages: SQLite moves rows between pages as they fill, and must leave no key behind.
    let others = (0..300).map(|n| {
        let mut create = supply("UTI", "SORO-09");
        create.note = Some(FreeText::new(&format!("leito {n}")).unwrap());
        ports.done(creation(&format!("other {n}"), create))
    });
    let tickets = [vec![ticket], join_all(others).await].concat();
    let keys = store.readers.read(|conn| {
        let mut statement = conn.prepare("SELECT key FROM ticket_keys")?;
        Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<HashSet<[u8; 32]>, _>>()?)
    });
    let keys = keys.await.unwrap();
    assert_eq!(keys.len(), 301);
    let left = |bytes: &[u8]| {
        bytes.array_windows().filter(|window| keys.contains(*window)).collect::<HashSet<&[u8; 32]>>().len()
    };
    assert_eq!(left(&bytes_of(dir.path())), 301);
    for (n, ticket) in tickets.iter().enumerate().filter(|(n, _)| n % 15 == 0) {
        let cancel = Command::Cancel { reason: CancelReason::ALL[0], note: None };
        let ended = ports.done(on(&format!("end {n}"), ticket, cancel, nurse())).await;
        let erase = Command::Erase { reason: "on request".to_owned() };
        ports.done(on(&format!("erase {n}"), &ended, erase, contract::administrator())).await;
    }
    assert_eq!(
        left(&bytes_of(dir.path())),
        280,
        "the keys of the erased are gone from the file and its log, no other is"
    );
    assert_eq!(ports.tickets.ticket(tickets[1].id).await.unwrap().as_ref(), Some(&tickets[1]));
    store.verify().await.unwrap();
}

/// A reader holds the write-ahead log, so that the key stays in it, and then the server is killed.
#[tokio::test]
async fn a_key_that_an_erasure_had_to_leave_in_the_log_goes_with_the_next_start() {
    let (dir, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let ticket = ports.done(creation("k", missing_dose("PRONTUARIO998877", "HEPARINA"))).await;
    let cancel = Command::Cancel { reason: CancelReason::ALL[0], note: None };
    let ended = ports.done(on("end", &ticket, cancel, nurse())).await;

    let reader = rusqlite::Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    reader.execute_batch("BEGIN").unwrap();
    let key: Vec<u8> = reader.query_row("SELECT key FROM ticket_keys", [], |row| row.get(0)).unwrap();
    let has_key = |dir: &Path| bytes_of(dir).windows(key.len()).any(|window| window == key);
    let erase = Command::Erase { reason: "on request".to_owned() };
    ports.done(on("erase", &ended, erase, contract::administrator())).await;
    for name in [DATABASE_FILE, "medreq.db-wal"] {
        fs::copy(dir.path().join(name), after.path().join(name)).unwrap();
    }
    assert!(has_key(after.path()), "this is what was left");

    let store = serve(after.path());
    assert!(!has_key(after.path()));
    let left = ports_of(&store).tickets.ticket(ticket.id).await.unwrap().unwrap();
    assert_eq!(left.missing_dose.unwrap().patient_ref, FreeText::Erased);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_process_and_many_readers_meet_no_lock() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let beside = Arc::new(SqliteStore::open(dir.path(), OpenMode::Beside { create: false }).unwrap());
    let (ports, other) = (ports_of(&store), ports_of(&beside));
    ports.open_hospital().await;
    let work = (0..200).map(|n| {
        let ports = if n % 2 == 0 { ports.clone() } else { other.clone() };
        tokio::spawn(async move {
            let ticket = ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))).await;
            ports.tickets.tickets(everything()).await.unwrap();
            ports.identity.fix_setting(&format!("s{n}"), "v").await.unwrap();
            ports.done(on(&format!("c{n}"), &ticket, Command::Claim, pharmacist("bia"))).await;
        })
    });
    for result in join_all(work).await {
        result.unwrap();
    }
    let proof = store.verify().await.unwrap();
    assert_eq!((proof.events, proof.tickets), (400, 200));
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let creates = (0..40).map(|n| ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))));
    let tickets = join_all(creates).await;

    // The files as a kill leaves them: the log was never copied into the database, nothing was closed.
    let image = TempDir::new().unwrap();
    for name in ["medreq.db", "medreq.db-wal"] {
        fs::copy(dir.path().join(name), image.path().join(name)).unwrap();
    }
    let again = serve(image.path());
    assert_eq!(again.epoch(), store.epoch());
    assert_eq!(again.verify().await.unwrap().events, 40);
    let ports = ports_of(&again);
    for ticket in tickets {
        assert_eq!(ports.tickets.ticket(ticket.id).await.unwrap(), Some(ticket));
    }
    // The key of before the crash has its answer; the numbers go on.
    ports.done(creation("0", supply("UTI", "SORO-09"))).await;
    let next = ports.done(creation("new", supply("UTI", "SORO-09"))).await;
    assert!(next.number.contains("-41-"), "{}", next.number);
}

#[tokio::test]
async fn a_log_that_was_altered_is_found() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let ticket = ports.done(creation("k", supply("UTI", "SORO-09"))).await;
    ports.done(on("c", &ticket, Command::Claim, pharmacist("bia"))).await;
    store.verify().await.unwrap();
    let tamper = |sql: &'static str| store.writer.write(move |conn| Ok(conn.execute_batch(sql)?));
    store.audit(seen("admin", "the log")).await.unwrap();
    for sql in [
        "UPDATE events SET at = 0 WHERE seq = 1",
        "DELETE FROM events WHERE seq = 1",
        "UPDATE audit SET at = 0 WHERE id = (SELECT max(id) FROM audit)",
        "DELETE FROM audit WHERE id = (SELECT max(id) FROM audit)",
    ] {
        let refused = tamper(sql).await.unwrap_err();
        assert!(refused.to_string().contains("append-only"), "{sql}: {refused}");
    }
    assert_eq!(
        store.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap().items[0].action,
        "seen"
    );
    assert_eq!(store.verify().await.unwrap().events, 2, "the triggers keep the log");
    tamper("DROP TRIGGER events_keep; UPDATE events SET body = replace(body, 'bia', 'eva') WHERE seq = 2")
        .await
        .unwrap();
    assert!(store.verify().await.is_err());
}

#[tokio::test]
async fn an_audit_log_that_was_altered_is_found() {
    for (how, sql) in [
        ("changed", "UPDATE audit SET actor = 'eva' WHERE id = 2"),
        ("a cell emptied", "UPDATE audit SET subject = NULL WHERE id = 2"),
        ("moved between cells", "UPDATE audit SET kind = 'admi', action = 'nseen' WHERE id = 2"),
        ("removed", "DELETE FROM audit WHERE id = 2"),
        ("the first removed", "DELETE FROM audit WHERE id = 1"),
        (
            "swapped",
            "UPDATE audit SET id = 9 WHERE id = 2; UPDATE audit SET id = 2 WHERE id = 3; UPDATE audit SET id = 3 WHERE id = 9",
        ),
        ("added", "INSERT INTO audit (id, at, kind, action, detail) VALUES (4, 0, 'auth', 'x', 'null')"),
    ] {
        let dir = TempDir::new().unwrap();
        let store = serve(dir.path());
        for subject in ["1", "2", "3"] {
            store.audit(seen("admin", subject)).await.unwrap();
        }
        assert_eq!(store.verify().await.unwrap().audit.unwrap().0, 3);
        let tamper = format!("DROP TRIGGER audit_keep; DROP TRIGGER audit_remain; {sql}");
        store.writer.write(move |conn| Ok(conn.execute_batch(&tamper)?)).await.unwrap();
        let found = store.verify().await.unwrap_err();
        assert!(found.to_string().contains("audit entry"), "{how}: {found}");
    }
}

pub(super) fn seen(actor: &str, subject: &str) -> AuditEntry {
    AuditEntry {
        at: jiff::Timestamp::UNIX_EPOCH,
        kind: "admin".to_owned(),
        action: "seen".to_owned(),
        actor: Some(actor.to_owned()),
        subject: Some(subject.to_owned()),
        detail: serde_json::Value::Null,
    }
}

/// The database as the first schema left it: two tickets with texts, one of them handed on, and an audit log without a chain.
fn of_schema_1(dir: &Path) {
    let conn = rusqlite::Connection::open(dir.join(DATABASE_FILE)).unwrap();
    conn.execute_batch(
        "DROP TABLE refresh_tokens;
         DROP TABLE sessions;
         DROP TABLE ended_sessions;
         DROP TABLE codes;
         DROP TABLE devices;
         DROP TABLE second_factors;
         ALTER TABLE signing_keys DROP COLUMN signs_from;
         ALTER TABLE users DROP COLUMN version;
         UPDATE users SET body = json_remove(body, '$.version');
         ALTER TABLE clients DROP COLUMN version;
         DROP TABLE former_pharmacies;
         CREATE TABLE older_keys (ticket TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT, WITHOUT ROWID;
         INSERT INTO older_keys SELECT ticket, key FROM ticket_keys;
         DROP TABLE ticket_keys;
         ALTER TABLE older_keys RENAME TO ticket_keys;
         ALTER TABLE audit DROP COLUMN hash;
         PRAGMA user_version = 1",
    )
    .unwrap();
}

#[tokio::test]
async fn a_database_and_a_backup_of_the_first_schema_go_on() {
    let root = TempDir::new().unwrap();
    let (dir, backups) = (root.path().join("data"), root.path().join("backups"));
    let store = serve(&dir);
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let ticket = ports.done(creation("k", missing_dose("PRONTUARIO998877", "HEPARINA"))).await;
    let ticket = ports.done(on("t", &ticket, transfer("SATELITE"), pharmacist("bia"))).await;
    for subject in ["1", "2"] {
        store.audit(seen("admin", subject)).await.unwrap();
    }
    ports.identity.insert_users(vec![contract::user("bia", Role::Pharmacist)], vec![]).await.unwrap();
    drop((store, ports));
    of_schema_1(&dir);
    let older = backup::create(&dir, &backups, &[]).unwrap();
    assert_eq!((older.manifest.schema, older.manifest.counts), (1, None));
    assert_eq!(backup::verify(&older.path).unwrap().1.audit, None);
    let restored = root.path().join("restored");
    restore::restore(&older.path, &restored, false).unwrap();

    for (dir, entries) in [(&dir, 2), (&restored, 3)] {
        let store = serve(dir);
        let proof = store.verify().await.unwrap();
        assert_eq!((proof.tickets, proof.audit.unwrap().0), (1, entries));
        let ports = ports_of(&store);
        assert_eq!(ports.tickets.ticket(ticket.id).await.unwrap(), Some(ticket.clone()), "its texts open");
        let central = [contract::code("CENTRAL")].into_iter().collect();
        let visibility = Visibility { wards: Reach::none(), pharmacies: central };
        let query = TicketQuery { visibility, ..everything() };
        assert_eq!(ports.all_pages(query).await.1, Some(1), "who handed it on still finds it");
        store.audit(seen("admin", "later")).await.unwrap();
        assert_eq!(store.verify().await.unwrap().audit.unwrap().0, entries + 1);
        let kept = store.writer.write(|conn| Ok(conn.execute("UPDATE audit SET at = 1", [])?)).await;
        assert!(kept.unwrap_err().to_string().contains("append-only"));
        let bia = ports.identity.user(&contract::code("bia")).await.unwrap().unwrap();
        assert_eq!(ports.identity.update_user(bia, seen("user", "bia")).await.unwrap().version, 1);
        ports.identity.insert_users(vec![contract::user("ana", Role::Nurse)], vec![]).await.unwrap();
        ports.open(contract::session(1), "r0").await;
    }
}

fn transfer(pharmacy: &str) -> Command {
    let reason = TransferReason::ALL[0];
    Command::Transfer { pharmacy: contract::code(pharmacy), reason, note: None }
}

#[tokio::test]
async fn a_state_that_is_not_the_fold_of_its_events_is_found() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    ports.done(creation("k", supply("UTI", "SORO-09"))).await;
    let tamper = "UPDATE tickets SET body = replace(body, '\"stat\"', '\"routine\"')";
    store.writer.write(move |conn| Ok(conn.execute_batch(tamper)?)).await.unwrap();
    assert!(store.verify().await.is_err());
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    // The writer waits inside a job until the queue behind it is full.
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let blocked = store.writer.try_write(move |_| Ok(gate.recv().is_ok())).unwrap();
    let mut waiting = vec![];
    while let Ok(answer) = store.writer.try_write(|_| Ok(())) {
        waiting.push(answer);
    }
    let refused = store.submit(creation("k", supply("UTI", "SORO-09")), contract::WAIT).await;
    assert!(matches!(refused, Err(SubmitError::Overloaded { .. })), "{refused:?}");
    open_gate.send(()).unwrap();
    assert!(blocked.await.unwrap().unwrap());
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    let done = store.submit(creation("k", supply("UTI", "SORO-09")), contract::WAIT).await;
    assert!(matches!(done, Ok(Submitted::Done(_))));
}

fn insert_setting(n: usize) -> impl FnOnce(&rusqlite::Connection) -> crate::server::ports::StoreResult<usize> {
    move |conn| Ok(conn.execute("INSERT INTO settings (name, value) VALUES (?1, '')", [format!("s{n}")])?)
}

#[tokio::test]
async fn closing_finishes_what_waits() {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
    let answers: Vec<_> = (0..500).map(|n| store.writer.try_write(insert_setting(n)).unwrap()).collect();
    drop(store);
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    let again = serve(dir.path());
    assert_eq!(again.setting("s499").await.unwrap().as_deref(), Some(""));
    assert_eq!(again.fix_setting("s0", "other").await.unwrap(), "");
}

#[tokio::test]
async fn what_waits_together_shares_a_commit() {
    let dir = TempDir::new().unwrap();
    let mut conn = open::open_database(&dir.path().join(DATABASE_FILE), open::Migration::Alone).unwrap();
    let commits = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&commits);
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    conn.commit_hook(Some(count)).unwrap();
    let writer = Writer::start(conn).unwrap();
    let (open_gate, gate) = std::sync::mpsc::channel::<()>();
    let blocked = writer.try_write(move |_| Ok(gate.recv().is_ok())).unwrap();
    let answers: Vec<_> = (0..200).map(|n| writer.try_write(insert_setting(n)).unwrap()).collect();
    let before = commits.load(Ordering::Relaxed);
    open_gate.send(()).unwrap();
    for answer in answers {
        answer.await.unwrap().unwrap();
    }
    blocked.await.unwrap().unwrap();
    let shared = commits.load(Ordering::Relaxed) - before;
    assert!(shared <= 3, "200 writes took {shared} commits");
}

#[tokio::test]
async fn damage_within_the_file_is_named() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    ports.open_hospital().await;
    let ticket = ports.done(creation("k", supply("UTI", "SORO-09"))).await;
    drop((store, ports));
    assert!(!dir.path().join("medreq.db-wal").exists(), "closing leaves one file");
    let file = dir.path().join(DATABASE_FILE);
    let mut bytes = fs::read(&file).unwrap();
    // The head and the schema stay as they are: the damage is met later, by a read.
    let pages = 4096 * 8;
    bytes[pages..].fill(0xa5);
    fs::write(&file, bytes).unwrap();
    match SqliteStore::open(dir.path(), OpenMode::Serve) {
        Err(error) => assert_eq!(error.code(), "data_dir_corrupted", "{error}"),
        Ok(store) => {
            let store = Arc::new(store);
            let read = ports_of(&store).tickets.ticket(ticket.id).await;
            assert!(matches!(&read, Err(StoreError::Broken(detail)) if detail.contains("damaged")), "{read:?}");
            assert!(store.verify().await.is_err());
        }
    }
}
