//! The pipeline of stack mode: a log that keeps commands in front, the store that decides them behind. It never answers from anything but a committed
//! outcome.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use super::{MongoStore, tail::Tail};
use crate::server::{
    ports::{
        CommandId, Cursor, Pipeline, RecordedEvent, StoreError, StoreResult, StoredOutcome, Submission, SubmitError,
        Submitted,
    },
    stack::{Appended, CommandLog},
    stored::check_identity,
};

/// Commands through a log, their outcomes and events from MongoDB.
pub struct MongoPipeline {
    store: Arc<MongoStore>,
    log: Arc<dyn CommandLog>,
    tail: Tail,
}

impl MongoPipeline {
    /// Starts to follow what is committed. Deciding is the work of whoever owns the partitions, on this node or another.
    ///
    /// # Errors
    /// [`StoreError`] where the store cannot be read.
    pub async fn start(store: Arc<MongoStore>, log: Arc<dyn CommandLog>) -> StoreResult<Self> {
        let tail = Tail::start(MongoStore::clone(&store)).await?;
        Ok(Self { store, log, tail })
    }

    /// The answer to a command that was decided. From here on nothing may say that it was not accepted.
    async fn answer(&self, submission: &Submission, appended: Appended) -> Result<Submitted, SubmitError> {
        let outcome = self.store.outcome(submission.command_id).await;
        match outcome.map_err(|error| SubmitError::Unknown(error.to_string()))? {
            Some(outcome) if outcome.body_hash == submission.body_hash => Ok(Submitted::Done(outcome)),
            Some(_) => Err(SubmitError::KeyReused),
            None => Err(SubmitError::Store(StoreError::Broken(format!(
                "the command at offset {} of partition {} has no outcome; see the dead letters",
                appended.offset, appended.partition
            )))),
        }
    }
}

#[async_trait]
impl Pipeline for MongoPipeline {
    async fn submit(&self, submission: Submission, wait: Duration) -> Result<Submitted, SubmitError> {
        check_identity(&submission)?;
        let appended = self.log.append(&submission).await?;
        let mut progress = self.tail.progress.clone();
        let decided = async { progress.wait_for(|progress| progress.is_past(&appended)).await.map(drop) };
        match tokio::time::timeout(wait, decided).await {
            Err(_) => Ok(Submitted::Pending(appended)),
            Ok(Err(_)) => Err(SubmitError::Unknown("the server is closing".to_owned())),
            Ok(Ok(())) => self.answer(&submission, appended).await,
        }
    }

    async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>> {
        self.store.outcome(id).await
    }

    async fn is_past(&self, appended: &Appended) -> StoreResult<bool> {
        Ok(self.store.progress().await?.is_past(appended))
    }

    async fn head(&self) -> StoreResult<Cursor> {
        Ok(self.store.progress().await?.cursor())
    }

    async fn newest_at(&self) -> StoreResult<Option<Timestamp>> {
        Ok(self.store.progress().await?.newest_at)
    }

    async fn writable(&self) -> StoreResult<()> {
        self.log.writable().await
    }

    async fn tail(&self) -> StoreResult<Cursor> {
        Ok(self.store.progress().await?.beginning())
    }

    async fn events_after(&self, position: &Cursor, limit: usize) -> StoreResult<Vec<RecordedEvent>> {
        self.store.events_after(position, limit).await
    }

    fn watch(&self) -> watch::Receiver<Cursor> {
        self.tail.head.clone()
    }
}
