//! The log and its partitions: how far each is decided, and where its chain of events ends. A partition's document is the fence: whoever changes it
//! does so on condition of the position that they began from.

use std::collections::BTreeSet;

use mongodb::bson::{Document, doc};
use uuid::Uuid;

use super::{
    MongoStore,
    events::genesis,
    read::{Fields, bytes},
    transaction::is_taken,
};
use crate::server::{
    ports::{StoreError, StoreResult},
    stack::{Anchor, LogIdentity, Position, Progress},
    stored::{from_millis, to_millis, to_uuid, unreadable},
};

/// The one document of the log.
const LOG: &str = "log";

/// A partition's document.
#[derive(Clone, Copy)]
pub(super) struct Stand {
    pub(super) position: Position,
    /// Of the newest event.
    pub(super) hash: [u8; 32],
    /// The newest record's time: the log's time never goes back.
    pub(super) at: Option<jiff::Timestamp>,
}

impl Stand {
    pub(super) fn read(document: &Document) -> StoreResult<Self> {
        let anchor = match document.number_or_none("anchor_offset")? {
            None => None,
            Some(offset) => {
                Some(Anchor { offset: offset.cast_unsigned(), checksum: hash(document, "anchor_checksum")? })
            }
        };
        let position = Position {
            epoch: to_uuid(document.text("epoch")?)?,
            next_offset: document.number("next_offset")?.cast_unsigned(),
            anchor,
            seq: document.number("seq")?.cast_unsigned(),
        };
        let at = document.number_or_none("at")?.map(from_millis).transpose()?;
        Ok(Self { position, hash: hash(document, "hash")?, at })
    }

    /// What its document becomes.
    pub(super) fn fields(&self) -> Document {
        let Position { epoch, next_offset, anchor, seq } = &self.position;
        doc! {
            "epoch": epoch.to_string(),
            "next_offset": next_offset.cast_signed(),
            "anchor_offset": anchor.map(|anchor| anchor.offset.cast_signed()),
            "anchor_checksum": anchor.map(|anchor| bytes(&anchor.checksum)),
            "seq": seq.cast_signed(),
            "hash": bytes(&self.hash),
            "at": self.at.map(to_millis),
        }
    }
}

fn hash(document: &Document, name: &str) -> StoreResult<[u8; 32]> {
    document.blob(name)?.try_into().map_err(|_| unreadable(name))
}

impl MongoStore {
    /// As [`PartitionStore::open_log`](crate::server::stack::PartitionStore::open_log): all partitions begin together, in one epoch.
    pub(super) async fn begin_log(&self, log: LogIdentity) -> StoreResult<LogIdentity> {
        let fresh = doc! {
            "_id": LOG,
            "epoch": Uuid::new_v4().to_string(),
            "cluster": log.cluster,
            "partitions": i64::from(log.partitions),
        };
        self.insert_if_missing("log", fresh).await?;
        let found = self.find("log", doc! { "_id": LOG }).await?.ok_or_else(|| unreadable("log"))?;
        let partitions = found.number("partitions")?.try_into().map_err(|_| unreadable("number of partitions"))?;
        let epoch = to_uuid(found.text("epoch")?)?;
        let there = self.find_all("partitions", Document::new(), doc! { "_id": 1 }).await?;
        let there = there.iter().map(|there| there.number("_id")).collect::<StoreResult<BTreeSet<i64>>>()?;
        for partition in (0..partitions).filter(|partition| !there.contains(&i64::from(*partition))) {
            let position = Position { epoch, next_offset: 0, anchor: None, seq: 0 };
            let begin = Stand { position, hash: genesis(&self.site.genesis, partition), at: None };
            let mut document = doc! { "_id": i64::from(partition) };
            document.extend(begin.fields());
            self.insert_if_missing("partitions", document).await?;
        }
        Ok(LogIdentity { cluster: found.text("cluster")?.to_owned(), partitions })
    }

    async fn insert_if_missing(&self, name: &'static str, document: Document) -> StoreResult<()> {
        let inserting = move |db: mongodb::Database| async move {
            match db.collection(name).insert_one(document).await {
                Err(error) if !is_taken(&error) => Err(error.into()),
                _ => Ok(()),
            }
        };
        self.write_alone(inserting).await
    }

    /// How far a partition is decided.
    pub(super) async fn position_of(&self, partition: u16) -> StoreResult<Position> {
        let found = self.find("partitions", doc! { "_id": i64::from(partition) }).await?;
        Ok(Stand::read(&found.ok_or_else(|| no_partition(partition))?)?.position)
    }

    /// How far all partitions are decided.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub async fn progress(&self) -> StoreResult<Progress> {
        let found = self.find_all("partitions", Document::new(), doc! { "_id": 1 }).await?;
        let stands = found.iter().map(Stand::read).collect::<StoreResult<Vec<Stand>>>()?;
        let newest_at = stands.iter().filter_map(|stand| stand.at).max();
        Ok(Progress { positions: stands.into_iter().map(|stand| stand.position).collect(), newest_at })
    }
}

/// The log was not opened, or has no such partition.
pub(super) fn no_partition(partition: u16) -> StoreError {
    StoreError::Broken(format!("the log has no partition {partition}"))
}
