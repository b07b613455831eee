//! One tail of the event feed per node: read once, told to every stream. A stream that lags reads the store itself, so that nothing is missed.

use std::{sync::Arc, time::Duration};

use tokio::sync::{broadcast, watch};

use super::ticket_cache::TicketCache;
use crate::server::ports::{Cursor, Pipeline, RecordedEvent, StoreResult};

/// Events that a slow stream may be behind before it has to read the store.
const BEHIND_MAX: usize = 1_024;

/// Events of one reading.
pub(crate) const PAGE: usize = 256;

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What the tail tells.
pub(crate) struct Feed {
    told: broadcast::Sender<Arc<RecordedEvent>>,
}

impl Feed {
    /// Starts to read, from now on, until told to stop.
    pub(crate) fn start(pipeline: Arc<dyn Pipeline>, cache: Arc<TicketCache>, mut stop: watch::Receiver<bool>) -> Self {
        let (told, _) = broadcast::channel(BEHIND_MAX);
        let sender = told.clone();
        let hints = pipeline.watch();
        // Fixed before any stream subscribes: what comes after it is told.
        let head = hints.borrow().clone();
        tokio::spawn(async move {
            tokio::select! {
                () = tail(pipeline.as_ref(), &cache, &sender, hints, head) => {}
                _ = stop.wait_for(|stopped| *stopped) => {}
            }
        });
        Self { told }
    }

    /// What is told from now on.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<RecordedEvent>> {
        self.told.subscribe()
    }
}

async fn tail(
    pipeline: &dyn Pipeline,
    cache: &TicketCache,
    told: &broadcast::Sender<Arc<RecordedEvent>>,
    mut hints: watch::Receiver<Cursor>,
    mut position: Cursor,
) {
    loop {
        hints.mark_unchanged();
        if let Err(error) = catch_up(pipeline, cache, told, &mut position).await {
            tracing::warn!(%error, "the event feed could not be read; trying again");
            tokio::time::sleep(AGAIN_AFTER).await;
        } else if hints.changed().await.is_err() {
            return;
        }
    }
}

async fn catch_up(
    pipeline: &dyn Pipeline,
    cache: &TicketCache,
    told: &broadcast::Sender<Arc<RecordedEvent>>,
    position: &mut Cursor,
) -> StoreResult<()> {
    loop {
        let page = pipeline.events_after(position, PAGE).await?;
        let last = page.len() < PAGE;
        for event in page {
            position.advance(event.id);
            cache.changed(event.ticket, event.event.version);
            // Nobody listens: nothing is lost, the store has it.
            let _ = told.send(Arc::new(event));
        }
        if last {
            return Ok(());
        }
    }
}
