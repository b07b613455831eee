//! What the tests on a real Kafka stand on: topics of their own, brokers of their own, and a store in memory that fences as a real one does.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    num::NonZeroU16,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig,
    producer::{FutureProducer, FutureRecord},
};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::{KafkaLog, KafkaSettings};
use crate::server::{
    contract::{WAIT, creation, supply},
    ports::{CommandId, StoreError, StoreResult, Submission},
    stack::{Anchor, CommandLog as _, CommitError, LogIdentity, LoggedCommand, PartitionStore, Position},
};

/// The broker that all tests share.
pub(super) fn brokers() -> String {
    std::env::var("MEDREQ_TEST_KAFKA").expect("MEDREQ_TEST_KAFKA names a Kafka to test on; see tests/engines")
}

/// A log of a test's own.
pub(super) fn settings(brokers: String) -> KafkaSettings {
    KafkaSettings {
        brokers,
        prefix: format!("test-{}", Uuid::new_v4().simple()),
        partitions: NonZeroU16::new(4).unwrap(),
        replication: 1,
        client: vec![],
    }
}

/// A create by this key for this ward.
pub(super) fn command(key: &str, ward: &str) -> Submission {
    creation(key, supply(ward, "DIPIRONA-500"))
}

/// Bytes that another program writes to the topic.
pub(super) async fn write(settings: &KafkaSettings, partition: i32, bytes: &[u8]) {
    let producer: FutureProducer = ClientConfig::new().set("bootstrap.servers", &settings.brokers).create().unwrap();
    let topic = settings.commands_topic();
    let record = FutureRecord::<(), _>::to(&topic).partition(partition).payload(bytes);
    producer.send(record, WAIT).await.unwrap();
}

/// Waits until it holds.
pub(super) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + WAIT;
    while !holds() {
        assert!(Instant::now() < deadline, "did not happen in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Appends until it is acknowledged, as a client does who is told that the outcome is not known.
pub(super) async fn append(log: &KafkaLog, submission: &Submission) {
    let deadline = Instant::now() + WAIT;
    while let Err(error) = log.append(submission).await {
        assert!(Instant::now() < deadline, "never acknowledged: {error}");
    }
}

/// What was decided of a record.
pub(super) type Decided = (u64, Option<CommandId>);

struct Partition {
    position: Position,
    decided: Vec<Decided>,
}

/// A store that keeps what it was given, for whoever stands where the partition stands.
pub(super) struct Memory {
    epoch: Uuid,
    log: Mutex<Option<LogIdentity>>,
    partitions: Mutex<BTreeMap<u16, Partition>>,
    /// It cannot be written.
    pub(super) down: AtomicBool,
    /// Each commit takes one, where it is closed to all but those who wait.
    pub(super) turns: Semaphore,
    /// Commits that wait for a turn.
    pub(super) waiting: std::sync::atomic::AtomicUsize,
    /// Commits of one who had lost the partition.
    pub(super) fenced: std::sync::atomic::AtomicUsize,
    /// Largest batch that it takes.
    pub(super) largest: std::sync::atomic::AtomicUsize,
}

impl Memory {
    pub(super) fn new() -> Arc<Self> {
        Self::of(Uuid::new_v4())
    }

    pub(super) fn of(epoch: Uuid) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            log: Mutex::default(),
            partitions: Mutex::default(),
            down: AtomicBool::new(false),
            turns: Semaphore::new(1 << 20),
            waiting: 0.into(),
            fenced: 0.into(),
            largest: usize::MAX.into(),
        })
    }

    /// All that was decided, by partition; each partition's in order and without a gap.
    pub(super) fn decided(&self) -> BTreeMap<u16, Vec<Decided>> {
        let partitions = self.partitions.lock().unwrap();
        partitions
            .iter()
            .map(|(number, partition)| {
                for (record, offset) in partition.decided.iter().zip(0..) {
                    assert_eq!(record.0, offset, "partition {number}: once each, in order");
                }
                (*number, partition.decided.clone())
            })
            .collect()
    }

    pub(super) fn count(&self) -> usize {
        self.decided().values().map(Vec::len).sum()
    }

    /// The store as another one that has decided up to here in another log.
    pub(super) fn stand(&self, partition: u16, next_offset: u64, anchor: Anchor) {
        let position = Position { epoch: self.epoch, next_offset, anchor: Some(anchor), seq: 0 };
        self.partitions.lock().unwrap().insert(partition, Partition { position, decided: vec![] });
    }
}

#[async_trait]
impl PartitionStore for Memory {
    async fn open_log(&self, log: LogIdentity) -> StoreResult<LogIdentity> {
        Ok(self.log.lock().unwrap().get_or_insert(log).clone())
    }

    async fn position(&self, partition: u16) -> StoreResult<Position> {
        let fresh = Position { epoch: self.epoch, next_offset: 0, anchor: None, seq: 0 };
        Ok(self.partitions.lock().unwrap().get(&partition).map_or(fresh, |partition| partition.position))
    }

    async fn commit(
        &self,
        partition: u16,
        expected: &Position,
        batch: &[LoggedCommand],
    ) -> Result<Position, CommitError> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        self.turns.acquire().await.unwrap().forget();
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) || batch.len() > self.largest.load(Ordering::SeqCst) {
            return Err(CommitError::Unavailable(StoreError::Unavailable("the test says so".to_owned())));
        }
        let fresh = Position { epoch: self.epoch, next_offset: 0, anchor: None, seq: 0 };
        let mut partitions = self.partitions.lock().unwrap();
        let held = partitions.entry(partition).or_insert(Partition { position: fresh, decided: vec![] });
        if held.position != *expected {
            self.fenced.fetch_add(1, Ordering::SeqCst);
            return Err(CommitError::Fenced { partition, next_offset: held.position.next_offset });
        }
        held.decided.extend(batch.iter().map(|it| (it.offset, it.command.as_ref().ok().map(|it| it.command_id))));
        let last = batch.last().unwrap();
        held.position.next_offset = last.offset + 1;
        held.position.anchor = Some(Anchor { offset: last.offset, checksum: last.checksum });
        Ok(held.position)
    }
}

/// A broker of a test's own, which may be killed, and is at the end.
pub(super) struct OwnBroker {
    home: TempDir,
    classes: String,
    port: u16,
    process: Child,
}

impl OwnBroker {
    pub(super) fn start() -> Self {
        let jars = std::env::var("MEDREQ_TEST_KAFKA_JARS").expect("MEDREQ_TEST_KAFKA_JARS names Kafka's programs");
        let mut classes = Vec::new();
        let mut dirs = vec![PathBuf::from(jars)];
        while let Some(dir) = dirs.pop() {
            for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
                if path.is_dir() {
                    dirs.push(path);
                } else if path.extension().is_some_and(|extension| extension == "jar") {
                    classes.push(path.into_os_string().into_string().unwrap());
                }
            }
        }
        let classes = classes.join(":");
        let home = TempDir::new().unwrap();
        let [port, controller] = [(); 2].map(|()| free_port());
        let properties = include_str!("../../../tests/kafka.properties")
            .replace("@PORT@", &port.to_string())
            .replace("@CONTROLLER@", &controller.to_string())
            .replace("@DIR@", home.path().join("data").to_str().unwrap());
        fs::write(home.path().join("properties"), properties).unwrap();
        let format = Command::new("java")
            .args(["-cp", &classes, "kafka.tools.StorageTool", "format", "--standalone"])
            .args(["-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c"])
            .arg(home.path().join("properties"))
            .output()
            .unwrap();
        assert!(format.status.success(), "{}", String::from_utf8_lossy(&format.stderr));
        let process = run(&classes, &home);
        Self { home, classes, port, process }
    }

    pub(super) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As when the power goes.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(super) fn restart(&mut self) {
        self.process = run(&self.classes, &self.home);
    }
}

impl Drop for OwnBroker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(classes: &str, home: &TempDir) -> Child {
    let log = fs::File::create(home.path().join("log")).unwrap();
    Command::new("java")
        .args(["-Xms128m", "-Xmx512m", "-cp", classes, "kafka.Kafka"])
        .arg(home.path().join("properties"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Below the ports that connections go out from: it must be free again after a kill.
fn free_port() -> u16 {
    let start = 20_000 + u16::try_from(Uuid::new_v4().as_u128() % 10_000).unwrap();
    (start..32_000).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}
