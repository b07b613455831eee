//! One tail per node over what is committed, by whichever node: it wakes requests that wait for an outcome, and the live feed. What it hears is a hint;
//! how far the partitions are is read.

use std::time::Duration;

use futures_util::StreamExt;
use mongodb::bson::Document;
use tokio::sync::watch;

use super::MongoStore;
use crate::server::{
    ports::{Cursor, StoreResult},
    stack::Progress,
};

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the tail tells, as long as somebody listens.
pub(super) struct Tail {
    /// How far the partitions are.
    pub(super) progress: watch::Receiver<Progress>,
    /// Where the feed ends.
    pub(super) head: watch::Receiver<Cursor>,
}

struct Told {
    progress: watch::Sender<Progress>,
    head: watch::Sender<Cursor>,
}

impl Tail {
    /// Starts to follow.
    pub(super) async fn start(store: MongoStore) -> StoreResult<Self> {
        let progress = store.progress().await?;
        let (head, heads) = watch::channel(progress.cursor());
        let (progress, progresses) = watch::channel(progress);
        tokio::spawn(follow(store, Told { progress, head }));
        Ok(Self { progress: progresses, head: heads })
    }
}

async fn follow(store: MongoStore, told: Told) {
    loop {
        let followed = tokio::select! {
            followed = follow_stream(&store, &told) => followed,
            () = told.progress.closed() => return,
        };
        if let Err(error) = followed {
            tracing::warn!(%error, "what is committed cannot be followed; trying again");
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => {}
            () = told.progress.closed() => return,
        }
    }
}

async fn follow_stream(store: &MongoStore, told: &Told) -> StoreResult<()> {
    let mut stream = store.db.collection::<Document>("partitions").watch().await?;
    loop {
        // Registered before the read, as the stream is: what is committed from here on wakes the next turn.
        let own = store.committed.notified();
        tokio::pin!(own);
        own.as_mut().enable();
        told.announce(store.progress().await?);
        tokio::select! {
            heard = stream.next() => match heard {
                Some(heard) => drop(heard?),
                None => return Ok(()),
            },
            () = own => {}
        }
    }
}

impl Told {
    fn announce(&self, progress: Progress) {
        let head = progress.cursor();
        self.progress.send_if_modified(|known| replace(known, progress));
        self.head.send_if_modified(|known| replace(known, head));
    }
}

fn replace<T: PartialEq>(known: &mut T, new: T) -> bool {
    let changed = *known != new;
    *known = new;
    changed
}
