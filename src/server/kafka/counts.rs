//! What the log and the processor count for `/metrics`. Labels are partitions and words of ours: never a ward, a person or a ticket.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Partition {
    partition: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    ended: &'static str,
}

type Ages = Family<Partition, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// The counts of one node; cheap to clone.
#[derive(Clone)]
pub struct Counts {
    pub(super) append_seconds: Histogram,
    pub(super) commit_seconds: Histogram,
    pub(super) batch_records: Histogram,
    batches: Family<Ended, Counter>,
    lag_seconds: Ages,
    halted: Family<Partition, Gauge>,
}

impl Default for Counts {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.000_5, 2.0, 16));
        Self {
            append_seconds: seconds(),
            commit_seconds: seconds(),
            batch_records: Histogram::new(exponential_buckets(1.0, 2.0, 7)),
            batches: Family::default(),
            lag_seconds: Family::default(),
            halted: Family::default(),
        }
    }
}

impl Counts {
    /// Adds them to what the node shows.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("log");
        registry.register("append_seconds", "Time until a command was durable", self.append_seconds.clone());
        registry.register("commit_seconds", "Time that a batch's transaction took", self.commit_seconds.clone());
        registry.register("batch_records", "Records of a batch that was decided", self.batch_records.clone());
        registry.register("batches", "Batches by how they ended", self.batches.clone());
        registry.register(
            "lag_seconds",
            "Age of the newest record that was decided, while more wait; of this node's partitions",
            self.lag_seconds.clone(),
        );
        registry.register(
            "halted",
            "1 for a partition of this node that waits for somebody to look at it",
            self.halted.clone(),
        );
    }

    /// A batch ended: `decided`, `fenced`, `unknown`, `two_writers` or `refused`.
    pub(super) fn batch(&self, ended: &'static str) {
        self.batches.get_or_create(&Ended { ended }).inc();
    }

    /// How far behind a partition is, in seconds.
    pub(super) fn lag(&self, partition: u16, seconds: f64) {
        self.lag_seconds.get_or_create(&Partition { partition }).set(seconds.max(0.0));
    }

    /// Whether a partition stands still until somebody looks.
    pub(super) fn halted(&self, partition: u16, halted: bool) {
        self.halted.get_or_create(&Partition { partition }).set(halted.into());
    }

    /// The partition is another node's.
    pub(super) fn forget(&self, partition: u16) {
        self.lag_seconds.remove(&Partition { partition });
        self.halted.remove(&Partition { partition });
    }
}
