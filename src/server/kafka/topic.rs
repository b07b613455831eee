//! The commands' topic: made at the first start, checked at every other. It changes nothing that it finds.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{ASK_WITHIN, KafkaSettings, KafkaStartError};
use crate::server::stack::LogIdentity;

/// Longer than the longest outage of the store together with the age of the oldest backup that may be restored: 35 days, in milliseconds.
const RETENTION_MS: &str = "3024000000";

/// What a topic's settings must be for what is promised of the log.
const DEMANDED: [(&str, &str); 2] = [("cleanup.policy", "delete"), ("message.timestamp.type", "LogAppendTime")];

/// Between two looks at a topic that the brokers do not know yet.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(100);

type Admin = AdminClient<DefaultClientContext>;

/// What the brokers say of the topic.
struct Told {
    settings: HashMap<String, String>,
    partitions: usize,
}

/// Which log the brokers hold; makes the topic where there is none.
pub(super) async fn settle(settings: &KafkaSettings) -> Result<LogIdentity, KafkaStartError> {
    let topic = settings.commands_topic();
    let admin: Admin = settings.client(&[], &[]).create().map_err(|error| setup(&error))?;
    let admin = Arc::new(admin);
    let cluster = cluster_id(&admin, settings).await?;
    create(&admin, settings, &topic).await?;
    let told = told(&admin, settings, &topic).await?;
    for (setting, wanted) in DEMANDED {
        let found = told.settings.get(setting).cloned().unwrap_or_default();
        if found != wanted {
            return Err(KafkaStartError::TopicSetting { topic, setting, found, wanted });
        }
    }
    let (found, wanted) = (told.partitions, settings.partitions.get());
    if found != usize::from(wanted) {
        return Err(KafkaStartError::Partitions { topic, found, wanted });
    }
    Ok(LogIdentity { cluster, partitions: wanted })
}

/// The client library refused a setting.
pub(super) fn setup(error: &KafkaError) -> KafkaStartError {
    KafkaStartError::Client(error.to_string())
}

fn unreachable(settings: &KafkaSettings, cause: impl ToString) -> KafkaStartError {
    KafkaStartError::Unreachable { brokers: settings.brokers.clone(), cause: cause.to_string() }
}

async fn cluster_id(admin: &Arc<Admin>, settings: &KafkaSettings) -> Result<String, KafkaStartError> {
    let admin = Arc::clone(admin);
    let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_cluster_id(ASK_WITHIN)).await;
    asked.ok().flatten().ok_or_else(|| unreachable(settings, "no answer within ten seconds"))
}

async fn create(admin: &Admin, settings: &KafkaSettings, topic: &str) -> Result<(), KafkaStartError> {
    let acknowledging = if settings.replication > 2 { "2" } else { "1" };
    let copies = TopicReplication::Fixed(settings.replication.into());
    let mut new = NewTopic::new(topic, settings.partitions.get().into(), copies)
        .set("retention.ms", RETENTION_MS)
        .set("min.insync.replicas", acknowledging)
        .set("unclean.leader.election.enable", "false");
    for (setting, wanted) in DEMANDED {
        new = new.set(setting, wanted);
    }
    if settings.replication < 2 {
        // A broker alone must have a record on its disk before it acknowledges.
        new = new.set("flush.messages", "1");
    }
    let options = AdminOptions::new().operation_timeout(Some(ASK_WITHIN)).request_timeout(Some(ASK_WITHIN));
    let made = admin.create_topics([&new], &options).await.map_err(|error| unreachable(settings, error))?;
    match made.into_iter().next() {
        None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, cause))) => Err(KafkaStartError::Topic { topic: topic.to_owned(), cause: cause.to_string() }),
    }
}

/// What the brokers say of the topic, once they know it: one that was just made takes them a moment.
async fn told(admin: &Arc<Admin>, settings: &KafkaSettings, topic: &str) -> Result<Told, KafkaStartError> {
    let deadline = Instant::now() + ASK_WITHIN;
    loop {
        let told = Told {
            settings: setting_values(admin, settings, topic).await?,
            partitions: partitions(admin, settings, topic).await?,
        };
        if !told.settings.is_empty() && told.partitions > 0 {
            return Ok(told);
        }
        if Instant::now() >= deadline {
            let missing = if told.partitions > 0 { "settings" } else { "partitions" };
            let cause = format!("its {missing} are not told within ten seconds");
            return Err(KafkaStartError::Topic { topic: topic.to_owned(), cause });
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
    }
}

/// The topic's settings; none where the broker does not know it yet, or may not tell.
async fn setting_values(
    admin: &Admin,
    settings: &KafkaSettings,
    topic: &str,
) -> Result<HashMap<String, String>, KafkaStartError> {
    let options = AdminOptions::new().request_timeout(Some(ASK_WITHIN));
    let asked = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
    let asked = asked.map_err(|error| unreachable(settings, error))?;
    let known = asked.into_iter().filter_map(Result::ok).flat_map(|resource| resource.entries);
    Ok(known.filter_map(|entry| Some((entry.name, entry.value?))).collect())
}

/// How many partitions the topic has; 0 where the broker does not know it yet.
async fn partitions(admin: &Arc<Admin>, settings: &KafkaSettings, topic: &str) -> Result<usize, KafkaStartError> {
    let (admin, name) = (Arc::clone(admin), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(Some(&name), ASK_WITHIN)?;
        Ok::<_, KafkaError>(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    });
    let asked = asked.await.map_err(|error| unreachable(settings, error))?;
    asked.map_err(|error| unreachable(settings, error))
}
