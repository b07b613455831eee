//! Appending: a command is durable once every replica in sync has it. It never says "not accepted" of what may have been.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord, Producer as _},
};
use tokio::task::spawn_blocking;
use uuid::Uuid;

use super::{
    Counts, KafkaSettings, KafkaStartError, codec,
    topic::{settle, setup},
};
use crate::server::{
    ports::{StoreError, StoreResult, Submission, SubmitError},
    stack::{Appended, CommandLog, PartitionStore, partition_of},
};

const DEFAULTS: [(&str, &str); 4] = [
    ("linger.ms", "1"),
    // An acknowledgement that has not come by then is not waited for: whether the record is there is not known.
    ("message.timeout.ms", "5000"),
    // What waits in this process; further requests are told to come back.
    ("queue.buffering.max.messages", "20000"),
    ("queue.buffering.max.kbytes", "65536"),
];

/// All replicas in sync have a record once it is acknowledged, and a record that is sent again is there once.
const FIXED: [(&str, &str); 2] = [("enable.idempotence", "true"), ("acks", "all")];

/// When to come back where the producer's own queue is full.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a small question to the cluster may take while requests wait for its answer.
const LOOK_WITHIN: Duration = Duration::from_secs(2);

/// At the end what is under way is acknowledged or given up.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// The commands' topic, to append to.
pub struct KafkaLog {
    producer: FutureProducer,
    topic: String,
    partitions: std::num::NonZeroU16,
    epoch: Uuid,
    counts: Counts,
}

impl KafkaLog {
    /// Makes the topic at the first start, and checks at every other that it is the log which this store decides.
    ///
    /// # Errors
    /// [`KafkaStartError`] says what was found, and whether trying again may help.
    pub async fn open(
        settings: &KafkaSettings,
        store: &dyn PartitionStore,
        counts: Counts,
    ) -> Result<Arc<Self>, KafkaStartError> {
        let found = settle(settings).await?;
        let store_log = store.open_log(found.clone()).await?;
        if store_log != found {
            return Err(KafkaStartError::AnotherLog { store: store_log, found });
        }
        let epoch = store.position(0).await?.epoch;
        let producer = settings.client(&DEFAULTS, &FIXED).create().map_err(|error| setup(&error))?;
        let (topic, partitions) = (settings.commands_topic(), settings.partitions);
        Ok(Arc::new(Self { producer, topic, partitions, epoch, counts }))
    }

    /// Waits until nothing is under way, for five seconds at most; blocks.
    pub fn flush(&self) {
        if let Err(error) = self.producer.flush(FLUSH_WITHIN) {
            tracing::warn!(%error, "commands were still on their way to the log; who sent them does not know, and asks again");
        }
    }

    /// An upper bound of the offset of a record that is there: the log takes a repeated one for its own and tells no offset.
    async fn last_offset(&self, partition: i32) -> Result<u64, KafkaError> {
        let (producer, topic) = (self.producer.clone(), self.topic.clone());
        let look = move || producer.client().fetch_watermarks(&topic, partition, LOOK_WITHIN);
        let (_, end) = spawn_blocking(look).await.map_err(|_| KafkaError::Canceled)??;
        Ok(u64::try_from(end).unwrap_or_default().saturating_sub(1))
    }
}

#[async_trait]
impl CommandLog for KafkaLog {
    async fn append(&self, submission: &Submission) -> Result<Appended, SubmitError> {
        let partition = partition_of(&submission.ward, self.partitions);
        let bytes = codec::encode(submission, self.epoch);
        let record =
            FutureRecord::to(&self.topic).partition(partition.into()).key(submission.ward.as_str()).payload(&bytes);
        let began = Instant::now();
        let acknowledged = self.producer.send_result(record).map_err(|(error, _)| not_queued(&error))?;
        let delivery = match acknowledged.await {
            Ok(Ok(delivery)) => delivery,
            Ok(Err((error, _))) => {
                return Err(SubmitError::Unknown(format!("the log did not acknowledge it: {error}")));
            }
            Err(_) => return Err(SubmitError::Unknown("the log is being closed".to_owned())),
        };
        self.counts.append_seconds.observe(began.elapsed().as_secs_f64());
        let offset = match u64::try_from(delivery.offset) {
            Ok(offset) => offset,
            Err(_) => self
                .last_offset(partition.into())
                .await
                .map_err(|error| SubmitError::Unknown(format!("the log does not tell where it is: {error}")))?,
        };
        Ok(Appended { epoch: self.epoch, partition, offset })
    }

    async fn writable(&self) -> StoreResult<()> {
        let (producer, topic) = (self.producer.clone(), self.topic.clone());
        let look = move || producer.client().fetch_metadata(Some(&topic), LOOK_WITHIN).map(drop);
        let looked = spawn_blocking(look).await.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        looked.map_err(|error| StoreError::Unavailable(format!("no broker answers: {error}")))
    }
}

/// Nothing left this process.
fn not_queued(error: &KafkaError) -> SubmitError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => SubmitError::Overloaded { retry_after: AGAIN_AFTER },
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            SubmitError::Store(StoreError::Broken("a command is larger than the log takes".to_owned()))
        }
        _ => SubmitError::Store(StoreError::Unavailable(error.to_string())),
    }
}
