//! The one thread that writes: what waits together shares a transaction and is answered after its commit, never before.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot, watch};

use super::{events, schema};
use crate::server::ports::{Cursor, StoreError, StoreResult};

/// Jobs that may wait; beyond it a submission is told to come back.
const QUEUE: usize = 4096;

/// Most jobs that share a transaction.
const BATCH: usize = 256;

/// A write whose answer waits for the commit.
trait Job: Send {
    /// Runs inside a savepoint; an error undoes this job alone.
    fn run(&mut self, conn: &Connection) -> StoreResult<()>;
    /// Answers, once the batch's fate is known.
    fn answer(self: Box<Self>, committed: &StoreResult<()>);
}

struct Task<T, F> {
    work: Option<F>,
    result: Option<StoreResult<T>>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> StoreResult<T> + Send,
{
    fn run(&mut self, conn: &Connection) -> StoreResult<()> {
        let work = self.work.take().expect("a job runs once");
        let result = catch_unwind(AssertUnwindSafe(|| work(conn)))
            .unwrap_or_else(|_| Err(StoreError::Broken("a write panicked".to_owned())));
        let verdict = result.as_ref().map(drop).map_err(StoreError::clone);
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, committed: &StoreResult<()>) {
        let result = match (committed, self.result) {
            // A job that failed by itself keeps its own reason.
            (_, Some(Err(own))) => Err(own),
            (Ok(()), Some(result)) => result,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(StoreError::Broken("a write was skipped".to_owned())),
        };
        // Nobody listens where the request was given up: the write stands all the same.
        let _ = self.reply.send(result);
    }
}

/// The queue in front of the thread was full, or the thread is gone.
#[derive(Debug)]
pub(super) struct Refused;

/// Feeds the writer thread; dropping it finishes what waits and joins the thread.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    newest: watch::Receiver<Cursor>,
    failing: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread, which owns the connection from now on.
    pub(super) fn start(conn: Connection) -> StoreResult<Self> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let (sender, newest) = watch::channel(head(&conn)?);
        let failing = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&failing);
        let thread = std::thread::Builder::new()
            .name("medreq-writer".to_owned())
            .spawn(move || write_batches(&conn, waiting, &sender, &told))
            .map_err(|error| StoreError::Unavailable(format!("the writer thread cannot start: {error}")))?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread), newest, failing })
    }

    /// Runs a write and waits until it is committed or refused; waits for a place in the queue.
    pub(super) async fn write<T, F>(&self, work: F) -> StoreResult<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    {
        let gone = || StoreError::Unavailable("the store is closing".to_owned());
        let (reply, answer) = oneshot::channel();
        let task = Task { work: Some(work), result: None, reply };
        self.jobs().send(Box::new(task)).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Queues a write without waiting; the receiver gets its answer.
    pub(super) fn try_write<T, F>(&self, work: F) -> Result<oneshot::Receiver<StoreResult<T>>, Refused>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Task { work: Some(work), result: None, reply };
        self.jobs().try_send(Box::new(task)).map_err(|_| Refused)?;
        Ok(answer)
    }

    /// Passes where writing works: at once unless the last commit failed, then by trying one that leaves nothing behind.
    /// Not every failure shows in the room that a disk has left: a quota and a broken disk do not.
    pub(super) async fn probe(&self) -> StoreResult<()> {
        if !self.failing.load(Ordering::Relaxed) {
            return Ok(());
        }
        // As large as a batch of tickets may be: where these do not fit, a few last bytes prove nothing.
        let touch =
            "INSERT INTO meta (name, value) VALUES ('probe', zeroblob(262144)); DELETE FROM meta WHERE name = 'probe';";
        self.write(move |conn| Ok(conn.execute_batch(touch)?)).await
    }

    /// Changes when events were committed.
    pub(super) fn watch(&self) -> watch::Receiver<Cursor> {
        self.newest.clone()
    }

    fn jobs(&self) -> &mpsc::Sender<Box<dyn Job>> {
        self.jobs.as_ref().expect("the sender lives until drop")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // The thread catches its jobs' panics; if it died all the same there is nothing left to save.
            let _ = thread.join();
        }
    }
}

fn write_batches(
    conn: &Connection,
    mut waiting: mpsc::Receiver<Box<dyn Job>>,
    newest: &watch::Sender<Cursor>,
    failing: &AtomicBool,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        let committed = commit(conn, &mut batch);
        failing.store(committed.is_err(), Ordering::Relaxed);
        match &committed {
            Ok(()) => announce(conn, newest),
            Err(error) => tracing::error!(error = %error, batch.jobs = batch.len(), "a batch was not committed"),
        }
        for job in batch.drain(..) {
            job.answer(&committed);
        }
    }
}

/// One transaction for the whole batch. An error means that nothing of it was written.
fn commit(conn: &Connection, batch: &mut [Box<dyn Job>]) -> StoreResult<()> {
    let result = conn.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from).and_then(|()| {
        batch.iter_mut().try_for_each(|job| run_in_savepoint(conn, job.as_mut()))?;
        Ok(conn.execute_batch("COMMIT")?)
    });
    if result.is_err()
        && !conn.is_autocommit()
        && let Err(error) = conn.execute_batch("ROLLBACK")
    {
        tracing::error!(error = %error, "a failed batch could not be rolled back");
    }
    result
}

fn run_in_savepoint(conn: &Connection, job: &mut dyn Job) -> StoreResult<()> {
    conn.execute_batch("SAVEPOINT job")?;
    let verdict = job.run(conn);
    // On a full disk and the like SQLite may end the whole transaction: then the jobs before this one are lost too.
    if conn.is_autocommit() {
        return Err(verdict.err().unwrap_or_else(|| StoreError::Broken("a write ended its transaction".to_owned())));
    }
    if verdict.is_err() {
        conn.execute_batch("ROLLBACK TO job")?;
    }
    Ok(conn.execute_batch("RELEASE job")?)
}

fn head(conn: &Connection) -> StoreResult<Cursor> {
    Ok(Cursor::new(schema::epoch(conn)?, vec![events::head(conn)?.seq]))
}

fn announce(conn: &Connection, newest: &watch::Sender<Cursor>) {
    match head(conn) {
        Ok(position) => {
            newest.send_if_modified(|known| {
                let new = *known != position;
                *known = position;
                new
            });
        }
        Err(error) => tracing::error!(error = %error, "the newest event could not be read"),
    }
}
