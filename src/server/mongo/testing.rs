//! Databases and servers for the tests on a real MongoDB: each goes with its test. They need what `tests/run` sets (see `tests/engines`).
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use mongodb::{
    Client,
    bson::{Document, doc},
};
use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    task::block_in_place,
    time::{Duration, Instant, sleep},
};
use uuid::Uuid;

pub(super) use super::local_log::LocalLog;
use super::{MongoPipeline, MongoStore};
use crate::server::{
    contract::{Ports, WAIT, at, audit, code_grant, digest},
    ports::{CodeGrant, NewRefresh, Redemption, Rotation, RotationTimes, Session, SessionStore, StoreResult},
};

/// The server that all tests share.
pub(super) fn address() -> String {
    std::env::var("MEDREQ_TEST_MONGO").expect("MEDREQ_TEST_MONGO names a MongoDB to test on; see tests/engines")
}

/// A database of its own on the shared server, gone with its test.
pub(super) struct Fresh {
    pub(super) store: Arc<MongoStore>,
    pub(super) name: String,
}

impl Fresh {
    pub(super) async fn new() -> Self {
        let name = format!("medreq_test_{}", Uuid::new_v4().simple());
        Self { store: node(&name).await, name }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let db = self.store.db.clone();
        let dropped = block_in_place(|| Handle::current().block_on(async move { db.drop().await }));
        assert!(dropped.is_ok() || std::thread::panicking(), "{dropped:?}");
    }
}

/// One more node of the stack on that database.
pub(super) async fn node(database: &str) -> Arc<MongoStore> {
    Arc::new(MongoStore::connect(&address(), database).await.unwrap())
}

/// The `n`th refresh token of a session.
pub(super) fn token(sid: u128, n: usize) -> String {
    format!("{sid}:{n}")
}

/// Opens a session with its first refresh token, by a code; that makes two audit entries.
pub(super) async fn open(store: &MongoStore, session: Session) {
    let sid = session.sid.as_u128();
    let code = digest(&format!("code of {sid}"));
    let grant = CodeGrant { sign_in: session.sign_in.clone(), ..code_grant() };
    store.insert_code(code, grant, audit("code_issued", 0)).await.unwrap();
    let first = NewRefresh { hash: digest(&token(sid, 0)), idle_until: at(3_600) };
    let opened = store.redeem_code(code, session, Some(first), at(0), audit("opened", 0)).await;
    assert_eq!(opened.unwrap(), Redemption::Opened);
}

/// Puts a refresh token in place of the `n`th of a session.
pub(super) async fn refresh(store: &MongoStore, sid: u128, n: usize, next: &str) -> StoreResult<Rotation> {
    let hash = NewRefresh { hash: digest(next), idle_until: at(3_600) };
    let times = RotationTimes { now: at(0), repeat_since: at(0), listed_until: at(3_600) };
    let (audit, reused) = (audit("refreshed", 0), audit("reused", 0));
    store.rotate_refresh(digest(&token(sid, n)), hash, next.as_bytes().to_vec(), times, audit, reused).await
}

/// The ports of a node: commands through a log of the test.
pub(super) async fn ports_on(store: &Arc<MongoStore>, log: &Arc<LocalLog>) -> Ports {
    Ports {
        pipeline: Arc::new(MongoPipeline::start(Arc::clone(store), Arc::clone(log) as _).await.unwrap()),
        tickets: Arc::clone(store) as _,
        reference: Arc::clone(store) as _,
        identity: Arc::clone(store) as _,
        sessions: Arc::clone(store) as _,
    }
}

/// A server of a test's own, which may be killed, and is at the end.
pub(super) struct OwnServer {
    data: TempDir,
    port: u16,
    replica_set: bool,
    process: Child,
}

impl OwnServer {
    /// A server without a replica set.
    pub(super) async fn alone() -> Self {
        Self::begin(false).await
    }

    /// A replica set of one node, which is its primary.
    pub(super) async fn replica_set() -> Self {
        let server = Self::begin(true).await;
        let members = doc! { "_id": "rs0", "members": [{ "_id": 0, "host": server.host() }] };
        server.admin(doc! { "replSetInitiate": members }).await.unwrap();
        server.wait_for_primary().await;
        server
    }

    async fn begin(replica_set: bool) -> Self {
        // Below the ports that connections go out from: it must be free again after a kill. One that is taken meanwhile ends the server.
        let first = 20_000 + u16::try_from(Uuid::new_v4().as_u128() % 12_000).unwrap();
        for port in first..first + 100 {
            if TcpListener::bind(("127.0.0.1", port)).is_err() {
                continue;
            }
            let data = TempDir::new().unwrap();
            let process = run(&data, port, replica_set);
            let mut server = Self { data, port, replica_set, process };
            if server.answers().await {
                return server;
            }
        }
        panic!("no port was free for a MongoDB");
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn address(&self) -> String {
        format!("mongodb://{}/?replicaSet=rs0", self.host())
    }

    /// Kills the server as a power failure would (SIGKILL).
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again after a kill, on what it has written.
    pub(super) async fn restart(&mut self) {
        self.process = run(&self.data, self.port, self.replica_set);
        assert!(self.answers().await, "the server did not start again");
        self.wait_for_primary().await;
    }

    /// Waits until it answers; false where it ended instead.
    async fn answers(&mut self) -> bool {
        let deadline = Instant::now() + WAIT;
        while self.admin(doc! { "ping": 1 }).await.is_err() {
            if self.process.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < deadline, "the server does not answer");
            sleep(Duration::from_millis(50)).await;
        }
        true
    }

    async fn wait_for_primary(&self) {
        let deadline = Instant::now() + WAIT;
        let is_primary = async || {
            self.admin(doc! { "hello": 1 }).await.is_ok_and(|said| said.get_bool("isWritablePrimary").unwrap())
        };
        while !is_primary().await {
            assert!(Instant::now() < deadline, "the server has no primary");
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub(super) async fn admin(&self, command: Document) -> mongodb::error::Result<Document> {
        let address = format!("mongodb://{}/?directConnection=true&serverSelectionTimeoutMS=500", self.host());
        Client::with_uri_str(address).await?.database("admin").run_command(command).await
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // After a kill it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(data: &TempDir, port: u16, replica_set: bool) -> Child {
    let program = std::env::var("MEDREQ_TEST_MONGOD").expect("MEDREQ_TEST_MONGOD names a mongod; see tests/engines");
    let mut command = Command::new(program);
    command.args(["--bind_ip", "127.0.0.1", "--nounixsocket", "--wiredTigerCacheSizeGB", "0.25"]);
    command.args(["--setParameter", "enableTestCommands=1", "--port", &port.to_string(), "--dbpath"]).arg(data.path());
    if replica_set {
        command.args(["--replSet", "rs0"]);
    }
    command.stdout(Stdio::null()).spawn().unwrap()
}
