//! What `/readyz` rests on: each dependency is asked at most once a second, however many want to know. A stranger must not make work by asking.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use jiff::Timestamp;
use rustix::fs::{Access, AtFlags};
use tokio::sync::Mutex;

use super::AppState;
use crate::server::ports::{StoreError, StoreResult, ahead_of_clock};

/// For how long an answer is everybody's.
const SHARED_FOR: Duration = Duration::from_secs(1);

/// A dependency that takes longer is as good as none.
const WITHIN: Duration = Duration::from_secs(20);

/// With less room than this a write may fail at any moment, in bytes.
const DISK_FULL: u64 = 2 << 20;

/// How a dependency stands; the last is the worst.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// As it should.
    Well,
    /// It works, and somebody should look: what was found.
    Poor(String),
    /// The node cannot do its work: what was found, and what to do.
    Down(String),
}

/// What a node of the stack depends on.
#[async_trait]
pub trait Engine: Send + Sync {
    /// Its name in `/readyz`.
    fn name(&self) -> &'static str;

    /// How it stands now. Anybody may read the answer: it names no address and no person.
    async fn standing(&self) -> Standing;
}

impl From<Result<(), String>> for Standing {
    fn from(answer: Result<(), String>) -> Self {
        answer.map_or_else(Self::Down, |()| Self::Well)
    }
}

/// Each dependency by name.
pub(super) type Checks = Vec<(&'static str, Standing)>;

/// The newest answer; who holds the lock finds the next.
#[derive(Default)]
pub(super) struct Readiness(Arc<Mutex<Option<(Instant, Checks)>>>);

impl Readiness {
    /// How everything stands, or stood up to a second ago.
    pub(super) async fn checks(&self, state: &AppState) -> Checks {
        let late =
            |_| vec![("server", Standing::Down("the checks take too long; look at the load and the disk".to_owned()))];
        let state = state.clone();
        tokio::time::timeout(WITHIN, self.shared(SHARED_FOR, async move || look(&state).await))
            .await
            .unwrap_or_else(late)
    }

    /// The newest answer where it is younger than `age`, else that of `look`; whoever asks meanwhile gets the same.
    async fn shared<F>(&self, age: Duration, look: impl FnOnce() -> F) -> Checks
    where
        F: Future<Output = Checks> + Send + 'static,
    {
        let mut newest = Arc::clone(&self.0).lock_owned().await;
        if let Some((at, checks)) = &*newest
            && at.elapsed() < age
        {
            return checks.clone();
        }
        let look = look();
        // On a task of its own: who hangs up must not have it begun anew.
        let found = tokio::spawn(async move {
            let checks = look.await;
            *newest = Some((Instant::now(), checks.clone()));
            checks
        });
        found.await.unwrap_or_else(|_| vec![("server", Standing::Down("the checks panicked".to_owned()))])
    }
}

async fn look(state: &AppState) -> Checks {
    let newest = state.pipeline.newest_at().await;
    let clock = newest.as_ref().map_or(Ok(()), |newest| clock(*newest, Timestamp::now()));
    let store = match newest {
        // Engines are asked one by one, below.
        Ok(_) if !state.engines.is_empty() => Ok(()),
        Ok(_) => state.pipeline.writable().await,
        Err(error) => Err(error),
    };
    let mut checks = if state.engines.is_empty() { vec![("store", told("store", store).into())] } else { Vec::new() };
    for engine in &state.engines {
        checks.push((engine.name(), engine.standing().await));
    }
    checks.extend([
        ("clock", clock.into()),
        ("disk", disk(&state.data_dir, state.disk_free_min)),
        ("reference", told("reference", state.reference.policy().await.map(drop)).into()),
        ("catalog", told("catalog", catalog(state).await).into()),
    ]);
    checks.extend(state.division.checks());
    checks
}

/// Whether the data directory can be written and has room; asked of the system, nothing is written.
fn disk(dir: &Path, least: u64) -> Standing {
    let may_write = rustix::fs::accessat(rustix::fs::CWD, dir, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
    let free = match may_write.and_then(|()| rustix::fs::statvfs(dir)) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            tracing::warn!(%error, "the data directory cannot be written");
            return Standing::Down(
                "the data directory cannot be written; look at its mode and its file system".to_owned(),
            );
        }
    };
    let told = || format!("{} MiB are free on the disk of the data; make room on it", free >> 20);
    match free {
        ..DISK_FULL => Standing::Down(told()),
        _ if free < least => Standing::Poor(told()),
        _ => Standing::Well,
    }
}

/// The answer for everybody; the cause may name files and is for the log.
fn told(check: &str, answer: StoreResult<()>) -> Result<(), String> {
    answer.map_err(|error| {
        tracing::warn!(check, %error, "not ready");
        "unavailable".to_owned()
    })
}

/// Whether times that are recorded now are those of the clock.
fn clock(newest: Option<Timestamp>, now: Timestamp) -> Result<(), String> {
    match newest.and_then(|newest| ahead_of_clock(newest, now)) {
        None => Ok(()),
        Some(ahead) => Err(format!(
            "the newest event is {} s ahead of this machine's clock; set the clock right, or restore a backup from before",
            ahead.as_secs()
        )),
    }
}

async fn catalog(state: &AppState) -> StoreResult<()> {
    let store = Arc::clone(&state.catalog);
    let asked = tokio::task::spawn_blocking(move || store.by_code("0").map(drop)).await;
    asked.unwrap_or_else(|_| Err(StoreError::Broken("the check panicked".to_owned())))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;
    use tokio::{sync::Semaphore, time::timeout};

    use super::*;

    #[tokio::test]
    async fn however_many_ask_it_is_looked_once_and_again_when_the_answer_is_old() {
        let (readiness, looks, gate) =
            (Readiness::default(), Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let ask = |age| {
            let (looks, gate) = (Arc::clone(&looks), Arc::clone(&gate));
            readiness.shared(age, move || async move {
                looks.fetch_add(1, Ordering::Relaxed);
                let _open = gate.acquire().await.unwrap();
                vec![("store", Standing::Well)]
            })
        };
        timeout(Duration::from_millis(1), ask(Duration::MAX)).await.unwrap_err();
        let others = join_all((0..100).map(|_| ask(Duration::MAX)));
        gate.add_permits(1);
        assert!(others.await.iter().all(|checks| *checks == [("store", Standing::Well)]));
        assert_eq!(looks.load(Ordering::Relaxed), 1, "who hung up had it begun anew, or it was not shared");
        ask(Duration::ZERO).await;
        assert_eq!(looks.load(Ordering::Relaxed), 2, "an answer of long ago is no answer");
    }
}
