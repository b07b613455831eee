//! The consumer: takes its share of the partitions, has each worked on by a thread of its own, and lets none go before its thread has ended.
//! Threads, because the library's calls block, and because a partition must never wait for another.

use std::{
    collections::{BTreeMap, HashMap},
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext,
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    topic_partition_list::TopicPartitionList,
};
use tokio::runtime::Handle;

use super::{Counts, KafkaSettings, KafkaStartError, partition::Work, topic::setup};
use crate::server::stack::PartitionStore;

/// How often the group is attended to, and how soon an end is noticed.
const POLL: Duration = Duration::from_millis(100);

const DEFAULTS: [(&str, &str); 7] = [
    // Who was killed is replaced after this time.
    ("session.timeout.ms", "6000"),
    ("heartbeat.interval.ms", "2000"),
    ("fetch.wait.max.ms", "100"),
    ("fetch.queue.backoff.ms", "10"),
    ("fetch.error.backoff.ms", "100"),
    ("queued.min.messages", "1000"),
    ("queued.max.messages.kbytes", "16384"),
];

const FIXED: [(&str, &str); 4] = [
    ("partition.assignment.strategy", "cooperative-sticky"),
    // What is stored is a hint for those who watch the group's lag …
    ("enable.auto.commit", "true"),
    ("enable.auto.offset.store", "false"),
    // … and this is never relied on: a worker begins where the store stands, and takes no record that does not follow the one before.
    ("auto.offset.reset", "earliest"),
];

/// How a partition of this node stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartitionState {
    /// Decided up to this offset.
    Working {
        /// The first that is not.
        next_offset: u64,
    },
    /// Tried again by itself.
    Waiting(String),
    /// Somebody has to look: what was found, and what to do.
    Halted(String),
}

/// How the partitions of this node stand, for who does not own the processor.
#[derive(Clone)]
pub struct States(Arc<Shared>);

impl States {
    /// The partitions of this node and how each stands.
    #[must_use]
    pub fn now(&self) -> BTreeMap<u16, PartitionState> {
        lock(&self.0.states).clone()
    }
}

/// The partitions that this node decides.
pub struct Processor {
    shared: Arc<Shared>,
    ended: mpsc::Receiver<()>,
}

/// What the callbacks of the library, the polling thread and the workers share.
pub(super) struct Shared {
    stop: AtomicBool,
    states: Mutex<BTreeMap<u16, PartitionState>>,
    pub(super) counts: Counts,
}

impl Shared {
    pub(super) fn set(&self, partition: u16, state: PartitionState) {
        self.counts.halted(partition, matches!(state, PartitionState::Halted(_)));
        lock(&self.states).insert(partition, state);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that works on a partition.
struct Worker {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

/// Told by the library which partitions come and go.
pub(super) struct Group {
    topic: String,
    shared: Arc<Shared>,
    assigned: Mutex<Vec<i32>>,
    workers: Mutex<HashMap<i32, Worker>>,
}

pub(super) type Consumer = BaseConsumer<Group>;

impl ClientContext for Group {}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, _: &Consumer, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            self.let_go(&numbers(partitions));
        }
    }

    fn post_rebalance(&self, consumer: &Consumer, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            // Where to begin is known to the store, not to the group: nothing is read before the worker has asked.
            if let Err(error) = consumer.pause(partitions) {
                tracing::warn!(%error, "partitions could not be paused");
            }
            lock(&self.assigned).extend(numbers(partitions));
        }
    }
}

impl Group {
    /// Ends the workers of these partitions and waits until they have ended: each within its batch's own deadline.
    fn let_go(&self, partitions: &[i32]) {
        let ending: Vec<_> =
            partitions.iter().filter_map(|number| Some((*number, lock(&self.workers).remove(number)?))).collect();
        ending.iter().for_each(|(_, worker)| worker.stop.store(true, Ordering::Relaxed));
        for (number, worker) in ending {
            if worker.thread.join().is_err() {
                tracing::error!(partition = number, "the worker of a partition panicked");
            }
            if let Ok(partition) = u16::try_from(number) {
                lock(&self.shared.states).remove(&partition);
                self.shared.counts.forget(partition);
            }
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(|element| element.partition()).collect()
}

impl Processor {
    /// Joins those who decide the log; call it within the runtime, which the store is called on.
    ///
    /// # Errors
    /// [`KafkaStartError::Client`] where the settings are wrong. Brokers that are not reached are waited for.
    pub fn start(
        settings: &KafkaSettings,
        store: &Arc<dyn PartitionStore>,
        counts: Counts,
    ) -> Result<Self, KafkaStartError> {
        let topic = settings.commands_topic();
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), states: Mutex::default(), counts });
        let group = Group {
            topic: topic.clone(),
            shared: Arc::clone(&shared),
            assigned: Mutex::default(),
            workers: Mutex::default(),
        };
        let group_id = format!("{}.processor", settings.prefix);
        let config = settings.client(&DEFAULTS, &[&FIXED[..], &[("group.id", &group_id)]].concat());
        let consumer: Arc<Consumer> = Arc::new(config.create_with_context(group).map_err(|error| setup(&error))?);
        consumer.subscribe(&[&topic]).map_err(|error| setup(&error))?;
        let (end, ended) = mpsc::channel();
        let (store, runtime) = (Arc::clone(store), Handle::current());
        let thread = thread::Builder::new().name("medreq-consumer".to_owned()).spawn(move || {
            attend(&consumer, &store, &runtime);
            // Leaves the group, so that others take over at once.
            drop(consumer);
            drop(end);
        });
        thread.map_err(|error| KafkaStartError::Client(format!("a thread cannot start: {error}")))?;
        Ok(Self { shared, ended })
    }

    /// The partitions of this node and how each stands, now and later.
    #[must_use]
    pub fn states(&self) -> States {
        States(Arc::clone(&self.shared))
    }

    /// Ends the work and leaves the group; false where that took too long, as without brokers it may. Blocks.
    pub fn stop(self, within: Duration) -> bool {
        self.shared.stop.store(true, Ordering::Relaxed);
        // The sender is dropped at the end and sends nothing.
        self.ended.recv_timeout(within) == Err(mpsc::RecvTimeoutError::Disconnected)
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

fn attend(consumer: &Arc<Consumer>, store: &Arc<dyn PartitionStore>, runtime: &Handle) {
    let group = consumer.context();
    while !group.shared.stop.load(Ordering::Relaxed) {
        match consumer.poll(POLL) {
            None => {}
            Some(Err(error)) => tracing::warn!(%error, "the command log"),
            // Every partition has a queue of its own; what was fetched before it had one is fetched again from where the store stands.
            Some(Ok(_)) => {}
        }
        for number in mem::take(&mut *lock(&group.assigned)) {
            begin(consumer, group, number, store, runtime);
        }
    }
    let all: Vec<i32> = lock(&group.workers).keys().copied().collect();
    group.let_go(&all);
}

fn begin(consumer: &Arc<Consumer>, group: &Group, number: i32, store: &Arc<dyn PartitionStore>, runtime: &Handle) {
    let Ok(partition) = u16::try_from(number) else { return };
    let Some(queue) = consumer.split_partition_queue(&group.topic, number) else {
        tracing::error!(partition, "a partition has no queue");
        return;
    };
    let stop = Arc::new(AtomicBool::new(false));
    let work = Work {
        consumer: Arc::clone(consumer),
        queue,
        topic: group.topic.clone(),
        partition,
        store: Arc::clone(store),
        runtime: runtime.clone(),
        shared: Arc::clone(&group.shared),
        stop: Arc::clone(&stop),
    };
    let thread = thread::Builder::new().name(format!("medreq-partition-{partition}")).spawn(move || work.run());
    match thread {
        Ok(thread) => drop(lock(&group.workers).insert(number, Worker { stop, thread })),
        Err(error) => tracing::error!(partition, %error, "the worker of a partition cannot start"),
    }
}
