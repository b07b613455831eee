//! Sign-ins on SQLite: what a restart and the file itself show.
#![expect(clippy::unwrap_used, reason = "tests")]

use rusqlite::Connection;
use tempfile::TempDir;

use super::{
    tests::{ports_of, serve},
    *,
};
use crate::{
    domain::reason::Role,
    server::{
        contract::{Ports, at, audit, digest, session, user},
        ports::{IdentityStore, Rotation, SessionStore},
    },
};

async fn signed_in(dir: &Path) -> Ports {
    let ports = ports_of(&serve(dir));
    ports.identity.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    ports.open(session(1), "r0").await;
    ports
}

#[tokio::test]
async fn a_replay_is_noticed_after_a_restart_and_stays_so() {
    let dir = TempDir::new().unwrap();
    let ports = signed_in(dir.path()).await;
    assert_eq!(ports.rotate("r0", "r1", 0).await, Rotation::Rotated);
    drop(ports);
    let ports = ports_of(&serve(dir.path()));
    assert_eq!(ports.rotate("r0", "never", 10).await, Rotation::Repeated(b"r1".to_vec()));
    assert_eq!(ports.rotate("r1", "r2", 11).await, Rotation::Rotated);
    drop(ports);
    let ports = ports_of(&serve(dir.path()));
    assert_eq!(ports.rotate("r0", "never", 12).await, Rotation::Reused);
    drop(ports);
    let ports = ports_of(&serve(dir.path()));
    assert_eq!(ports.rotate("r2", "never", 13).await, Rotation::Dead);
    assert_eq!(ports.sessions.ended_sessions(at(13)).await.unwrap(), [session(1).sid]);
}

#[tokio::test]
async fn a_sealed_successor_is_kept_only_while_it_may_come_again() {
    let dir = TempDir::new().unwrap();
    let ports = signed_in(dir.path()).await;
    let sealed = || {
        let conn = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
        let mut query = conn.prepare("SELECT sealed FROM refresh_tokens WHERE sealed IS NOT NULL").unwrap();
        let rows = query.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.map(|row| String::from_utf8(row.unwrap()).unwrap()).collect::<Vec<_>>()
    };
    ports.rotate("r0", "r1", 0).await;
    assert_eq!(sealed(), ["r1"]);
    ports.rotate("r1", "r2", 1).await;
    assert_eq!(sealed(), ["r2"], "the successor was used");
    ports.sessions.forget_ended(at(10)).await.unwrap();
    assert_eq!(sealed(), ["r2"]);
    ports.sessions.forget_ended(at(11)).await.unwrap();
    assert_eq!(sealed(), [""; 0], "the window is over");
    ports.rotate("r2", "r3", 20).await;
    assert_eq!(ports.rotate("r1", "never", 21).await, Rotation::Reused);
    assert_eq!(sealed(), [""; 0], "the session has ended");
}

#[tokio::test]
async fn a_page_view_commits_at_most_once_a_minute() {
    let dir = TempDir::new().unwrap();
    let store = serve(dir.path());
    let ports = ports_of(&store);
    store.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    let entry = audit("signed_in", 0);
    store.open_session(session(1), digest("cookie"), entry).await.unwrap();
    let used = async |seconds: i64| {
        ports.by_cookie("cookie", seconds).await.unwrap();
        ports.sessions.session(session(1).sid).await.unwrap().unwrap().last_used_at
    };
    assert_eq!(used(59).await, at(0));
    assert_eq!(used(60).await, at(60));
    assert_eq!(used(61).await, at(60));

    // A disk that takes no writes keeps nobody from their pages.
    let conn = Connection::open(dir.path().join(DATABASE_FILE)).unwrap();
    let full = "CREATE TRIGGER full BEFORE UPDATE ON sessions BEGIN SELECT raise(ABORT, 'no room'); END";
    conn.execute_batch(full).unwrap();
    assert_eq!(used(120).await, at(60));
    conn.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(used(121).await, at(121));
}
