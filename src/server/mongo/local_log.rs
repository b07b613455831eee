//! A log within the test's process, so that all but Kafka is the real thing: records by partition, each decided by whoever owns the partition.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{num::NonZeroU16, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Duration, sleep},
};
use uuid::Uuid;

use super::MongoStore;
use crate::server::{
    ports::{StoreResult, Submission, SubmitError},
    stack::{
        Appended, CommandLog, CommitError, LogIdentity, LoggedCommand, PartitionStore, Poison, Position, partition_of,
    },
};

/// Most records of one batch.
const BATCH: usize = 64;

/// Records by partition. Owners end with it.
pub(super) struct LocalLog {
    epoch: Uuid,
    partitions: NonZeroU16,
    records: Vec<watch::Sender<Vec<LoggedCommand>>>,
    owners: std::sync::Mutex<JoinSet<()>>,
}

impl LocalLog {
    /// An empty log for the store to decide.
    pub(super) async fn open(store: &MongoStore, partitions: u16) -> Arc<Self> {
        let identity = LogIdentity { cluster: "here".to_owned(), partitions };
        assert_eq!(store.open_log(identity.clone()).await.unwrap(), identity);
        Arc::new(Self {
            epoch: store.position(0).await.unwrap().epoch,
            partitions: partitions.try_into().unwrap(),
            records: (0..partitions).map(|_| watch::channel(vec![]).0).collect(),
            owners: std::sync::Mutex::default(),
        })
    }

    /// Makes the store decide all partitions from now on, perhaps beside another owner.
    pub(super) fn own(self: &Arc<Self>, store: &Arc<MongoStore>) {
        for (partition, records) in (0..).zip(&self.records) {
            let owner = decide(Arc::clone(store), partition, records.subscribe());
            self.owners.lock().unwrap().spawn(owner);
        }
    }

    /// Appends what is no command.
    pub(super) fn append_garbage(&self, partition: u16) {
        self.push(partition, b"garbage", Err(Poison { reason: "it does not read".to_owned() }));
    }

    /// The partition of a command.
    pub(super) fn partition(&self, submission: &Submission) -> u16 {
        partition_of(&submission.ward, self.partitions)
    }

    /// All records of a partition.
    pub(super) fn records(&self, partition: u16) -> Vec<LoggedCommand> {
        self.records[usize::from(partition)].borrow().clone()
    }

    fn push(&self, partition: u16, bytes: &[u8], command: Result<Submission, Poison>) -> Appended {
        let mut offset = 0;
        self.records[usize::from(partition)].send_modify(|records| {
            offset = records.len() as u64;
            let checksum = Sha256::digest(bytes).into();
            records.push(LoggedCommand { offset, at: Timestamp::now(), epoch: self.epoch, checksum, command });
        });
        Appended { epoch: self.epoch, partition, offset }
    }
}

#[async_trait]
impl CommandLog for LocalLog {
    async fn append(&self, submission: &Submission) -> Result<Appended, SubmitError> {
        Ok(self.push(self.partition(submission), &submission.body_hash, Ok(submission.clone())))
    }

    async fn writable(&self) -> StoreResult<()> {
        Ok(())
    }
}

/// Decides a partition as an owner does that never gives it up.
async fn decide(store: Arc<MongoStore>, partition: u16, mut records: watch::Receiver<Vec<LoggedCommand>>) {
    let mut position: Option<Position> = None;
    loop {
        let Some(at) = position else {
            match store.position(partition).await {
                Ok(found) => position = Some(found),
                Err(_) => sleep(Duration::from_millis(20)).await,
            }
            continue;
        };
        let from = usize::try_from(at.next_offset).unwrap();
        let batch: Vec<_> = match records.wait_for(|records| records.len() > from).await {
            Ok(records) => records[from..].iter().take(BATCH).cloned().collect(),
            Err(_) => return,
        };
        position = match store.commit(partition, &at, &batch).await {
            Ok(next) => Some(next),
            Err(CommitError::Fenced { .. } | CommitError::Unavailable(_) | CommitError::Unknown) => None,
            Err(error) => panic!("partition {partition}: {error}"),
        };
    }
}
