//! The commands' topic: made at the first start, checked at every other. It changes nothing that it finds.

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

/// Which log the brokers hold; makes the topic where there is none.
pub(super) async fn settle(settings: &KafkaSettings) -> Result<LogIdentity, KafkaStartError> {
    let topic = settings.commands_topic();
    let admin: AdminClient<DefaultClientContext> = settings.client(&[], &[]).create().map_err(|error| setup(&error))?;
    let admin = std::sync::Arc::new(admin);
    let cluster = cluster_id(&admin, settings).await?;
    create(&admin, settings, &topic).await?;
    check(&admin, &topic).await?;
    let found = partitions(&admin, settings, &topic).await?;
    let wanted = settings.partitions.get();
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

async fn cluster_id(
    admin: &std::sync::Arc<AdminClient<DefaultClientContext>>,
    settings: &KafkaSettings,
) -> Result<String, KafkaStartError> {
    let admin = std::sync::Arc::clone(admin);
    let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_cluster_id(ASK_WITHIN)).await;
    asked.ok().flatten().ok_or_else(|| unreachable(settings, "no answer within ten seconds"))
}

async fn create(
    admin: &AdminClient<DefaultClientContext>,
    settings: &KafkaSettings,
    topic: &str,
) -> Result<(), KafkaStartError> {
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

async fn check(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<(), KafkaStartError> {
    let refuse = |cause: String| KafkaStartError::Topic { topic: topic.to_owned(), cause };
    let options = AdminOptions::new().request_timeout(Some(ASK_WITHIN));
    let asked = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await;
    let told = asked.map_err(|error| refuse(error.to_string()))?;
    let told = told.into_iter().next().ok_or_else(|| refuse("its settings are not told".to_owned()))?;
    let told = told.map_err(|cause| refuse(cause.to_string()))?;
    for (setting, wanted) in DEMANDED {
        let found = told.get(setting).and_then(|entry| entry.value.clone()).unwrap_or_default();
        if found != wanted {
            return Err(KafkaStartError::TopicSetting { topic: topic.to_owned(), setting, found, wanted });
        }
    }
    Ok(())
}

async fn partitions(
    admin: &std::sync::Arc<AdminClient<DefaultClientContext>>,
    settings: &KafkaSettings,
    topic: &str,
) -> Result<usize, KafkaStartError> {
    let (admin, name) = (std::sync::Arc::clone(admin), topic.to_owned());
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = admin.inner().fetch_metadata(Some(&name), ASK_WITHIN)?;
        Ok::<_, KafkaError>(metadata.topics().first().map_or(0, |topic| topic.partitions().len()))
    });
    let asked = asked.await.map_err(|error| unreachable(settings, error))?;
    asked.map_err(|error| unreachable(settings, error))
}
