//! The command log on Kafka: where commands become durable, and the processor that hands them, partition by partition, to the store that
//! decides. It decides nothing itself, and what it says of an offset to Kafka is a hint only: the store's position is the truth.

mod codec;
mod counts;
mod log;
mod partition;
mod processor;
mod topic;

#[cfg(test)]
mod own_broker_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::{num::NonZeroU16, time::Duration};

use rdkafka::ClientConfig;

pub use self::{
    counts::Counts,
    log::KafkaLog,
    processor::{PartitionState, Processor, States},
};
#[cfg(test)]
use super::stack;
use super::{ports::StoreError, stack::LogIdentity};

/// How long a question to the cluster may take.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Where the log is, and how it is made at the first start.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// Brokers to begin with, as `host:port`, parted by commas.
    pub brokers: String,
    /// Before the topics' names: `medreq` gives `medreq.commands`.
    pub prefix: String,
    /// Partitions of the commands' topic. Fixed at the first start: a ward's commands have one order.
    pub partitions: NonZeroU16,
    /// Copies of each record; three brokers take 3.
    pub replication: u16,
    /// Further settings of librdkafka, such as those of TLS and SASL.
    pub client: Vec<(String, String)>,
}

impl KafkaSettings {
    fn commands_topic(&self) -> String {
        format!("{}.commands", self.prefix)
    }

    /// The configuration of a client: its own defaults, then what the site says, then what the log's promises rest on.
    fn client(&self, defaults: &[(&str, &str)], fixed: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "medreq")
            .set("allow.auto.create.topics", "false")
            .set("socket.nagle.disable", "true")
            .set("socket.connection.setup.timeout.ms", "5000")
            // Brokers come back: the default waits up to ten seconds to look.
            .set("reconnect.backoff.max.ms", "1000");
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        config.extend(self.client.iter().cloned());
        for (name, value) in fixed {
            config.set(*name, *value);
        }
        config
    }
}

/// Why the log cannot be used. What is merely not reached may be tried again; everything else needs somebody.
#[derive(Debug, thiserror::Error)]
pub enum KafkaStartError {
    /// No broker answers.
    #[error(
        "kafka.brokers: no broker answers at {brokers} ({cause}); check that it runs and that this machine reaches it"
    )]
    Unreachable {
        /// Where it was looked for.
        brokers: String,
        /// What the library said.
        cause: String,
    },
    /// A setting is none of librdkafka's, or not built in.
    #[error(
        "kafka: {0}; check the settings of [kafka], and that this build has the feature kafka-tls where they ask for TLS"
    )]
    Client(String),
    /// The topic cannot be made or read.
    #[error("the topic {topic} cannot be used: {cause}; check what its principal may do")]
    Topic {
        /// Its name.
        topic: String,
        /// What the cluster said.
        cause: String,
    },
    /// Routing follows the number of partitions.
    #[error(
        "the topic {topic} has {found} partitions and kafka.partitions says {wanted}; the number is fixed at the first start: set it back to {found}"
    )]
    Partitions {
        /// Its name.
        topic: String,
        /// How many it has.
        found: usize,
        /// How many it should have.
        wanted: u16,
    },
    /// Times must be the log's.
    #[error(
        "the topic {topic} has {setting}={found}; it must be {wanted}: kafka-configs.sh --alter --topic {topic} --add-config {setting}={wanted}"
    )]
    TopicSetting {
        /// Its name.
        topic: String,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// The store belongs to another log.
    #[error(
        "the store decides the log of cluster {} with {} partitions, and kafka.brokers leads to cluster {} with {}; point it back to the former",
        store.cluster, store.partitions, found.cluster, found.partitions
    )]
    AnotherLog {
        /// What the store holds.
        store: LogIdentity,
        /// What was found.
        found: LogIdentity,
    },
    /// The store did not say which log it decides.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl KafkaStartError {
    /// True where nothing is wrong but that somebody does not answer yet.
    #[must_use]
    pub fn may_heal(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Store(StoreError::Unavailable(_)))
    }
}
