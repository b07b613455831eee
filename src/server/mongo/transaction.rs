//! Transactions of a majority, tried again as long as that helps, and the reads and writes in them. Work may run more than once: it must never
//! touch anything but its transaction.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use futures_util::{TryStreamExt, future::BoxFuture};
use mongodb::{
    ClientSession, Collection, Database,
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind, TRANSIENT_TRANSACTION_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure},
    options::ReadConcern,
};
use tokio::time::{Instant, sleep, timeout_at};
use uuid::Uuid;

use super::{MongoStore, connect::majority, read::Fields};
use crate::server::ports::{StoreError, StoreResult};

/// How long a caller waits; what was begun goes on by itself after that.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// The longest pause before a transaction that collided is tried again.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// The server's code for a unique key that is taken.
const DUPLICATE_KEY: i32 = 11_000;

/// Why an attempt at a transaction ended.
pub(super) enum Failure {
    /// For good.
    Store(StoreError),
    /// By what the driver says of it, again or for good.
    Driver(Error),
}

/// What came of work in a transaction.
pub(super) type Attempt<T> = Result<T, Failure>;

/// What is done in a transaction, given a context that outlives every attempt.
pub(super) type Work<C, T> = for<'a> fn(&'a mut Tx, &'a C) -> BoxFuture<'a, Attempt<T>>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Driver(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Store(error.into())
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::Driver(error) => error.into(),
        }
    }
}

/// How the driver's errors look from outside. A message must never carry a stored value, so the server's own words are left out.
impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) {
            return Self::Unknown("MongoDB did not say whether it has committed".to_owned());
        }
        match &*error.kind {
            // OutOfDiskSpace.
            ErrorKind::Command(command) if command.code == 14_031 => Self::DiskFull,
            ErrorKind::ServerSelection { .. } => Self::Unavailable("no primary of MongoDB can be reached".to_owned()),
            ErrorKind::Io(error) => Self::Unavailable(format!("the connection to MongoDB failed: {}", error.kind())),
            ErrorKind::ConnectionPoolCleared { .. } | ErrorKind::DnsResolve { .. } | ErrorKind::Shutdown => {
                Self::Unavailable("the connection to MongoDB was lost".to_owned())
            }
            ErrorKind::Command(command) if error.contains_label(TRANSIENT_TRANSACTION_ERROR) => {
                Self::Unavailable(format!("MongoDB put a write off for too long ({})", command.code_name))
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(_)) => {
                Self::Unknown("a majority of MongoDB's nodes did not write in time".to_owned())
            }
            ErrorKind::Command(command) => Self::Broken(format!("MongoDB refused with {}", command.code_name)),
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                Self::Broken(format!("MongoDB refused a write with code {}", write.code))
            }
            _ => Self::Broken("MongoDB or its driver failed in an unforeseen way".to_owned()),
        }
    }
}

/// True where a unique key refused the write.
pub(super) fn is_taken(error: &Error) -> bool {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(write)) => write.code == DUPLICATE_KEY,
        ErrorKind::InsertMany(many) => many.write_errors.iter().flatten().any(|write| write.code == DUPLICATE_KEY),
        ErrorKind::Command(command) => command.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// A taken unique key as [`StoreError::Exists`], anything else as it is.
pub(super) fn taken<T>(result: Attempt<T>, what: &'static str, key: &str) -> Attempt<T> {
    result.map_err(|failure| match failure {
        Failure::Driver(error) if is_taken(&error) => Failure::Store(StoreError::Exists { what, key: key.to_owned() }),
        other => other,
    })
}

/// As [`taken`], where one of many documents met it.
pub(super) fn one_taken<T>(
    result: Attempt<T>,
    what: &'static str,
    documents: &[Document],
    key: impl Fn(&Document) -> String,
) -> Attempt<T> {
    result.map_err(|failure| match &failure {
        Failure::Driver(error) if is_taken(error) => match first_refused(error).and_then(|at| documents.get(at)) {
            Some(document) => Failure::Store(StoreError::Exists { what, key: key(document) }),
            None => failure,
        },
        _ => failure,
    })
}

/// The place of the document that stopped an insert of many.
fn first_refused(error: &Error) -> Option<usize> {
    match &*error.kind {
        ErrorKind::InsertMany(many) => many.write_errors.iter().flatten().map(|write| write.index).min(),
        _ => None,
    }
}

/// A change of one document.
pub(super) struct Change {
    pub(super) filter: Document,
    pub(super) change: Document,
    /// Makes the document where there is none.
    pub(super) upsert: bool,
}

/// A transaction that is open.
pub(super) struct Tx {
    session: ClientSession,
    db: Database,
}

impl Tx {
    fn collection(&self, name: &str) -> Collection<Document> {
        self.db.collection(name)
    }

    /// The first document that fits.
    pub(super) async fn find(&mut self, name: &str, filter: Document) -> Attempt<Option<Document>> {
        Ok(self.collection(name).find_one(filter).session(&mut self.session).await?)
    }

    /// All documents that fit, in no order.
    pub(super) async fn find_all(&mut self, name: &str, filter: Document) -> Attempt<Vec<Document>> {
        let mut found = self.collection(name).find(filter).session(&mut self.session).await?;
        Ok(found.stream(&mut self.session).try_collect().await?)
    }

    /// The ids, which are texts, of all documents that fit.
    pub(super) async fn ids(&mut self, name: &str, filter: Document) -> Attempt<HashSet<String>> {
        let collection = self.collection(name);
        let finding = collection.find(filter).projection(doc! { "_id": 1 });
        let mut found = finding.session(&mut self.session).await?;
        let found: Vec<Document> = found.stream(&mut self.session).try_collect().await?;
        Ok(found.iter().map(|found| Ok(found.text("_id")?.to_owned())).collect::<StoreResult<_>>()?)
    }

    /// What an aggregation gives.
    pub(super) async fn aggregate(&mut self, name: &str, pipeline: Vec<Document>) -> Attempt<Vec<Document>> {
        let mut found = self.collection(name).aggregate(pipeline).session(&mut self.session).await?;
        Ok(found.stream(&mut self.session).try_collect().await?)
    }

    /// The document with the greatest value of a field.
    pub(super) async fn last(&mut self, name: &str, field: &str) -> Attempt<Option<Document>> {
        let collection = self.collection(name);
        let finding = collection.find_one(Document::new()).sort(doc! { field: -1 });
        Ok(finding.session(&mut self.session).await?)
    }

    /// Adds a document; its unique keys must be free.
    pub(super) async fn insert(&mut self, name: &str, document: Document) -> Attempt<()> {
        self.collection(name).insert_one(document).session(&mut self.session).await?;
        Ok(())
    }

    /// Adds documents; their unique keys must be free.
    pub(super) async fn insert_all(&mut self, name: &str, documents: &[Document]) -> Attempt<()> {
        if !documents.is_empty() {
            self.collection(name).insert_many(documents).session(&mut self.session).await?;
        }
        Ok(())
    }

    /// Changes the one document that fits; false where none does.
    pub(super) async fn update(&mut self, name: &str, filter: Document, change: Document) -> Attempt<bool> {
        let updated = self.collection(name).update_one(filter, change).session(&mut self.session).await?;
        Ok(updated.matched_count == 1)
    }

    /// Makes changes, in order and in one round trip, each of the one document that fits its filter; false where one has none.
    pub(super) async fn update_each(&mut self, name: &str, changes: Vec<Change>) -> Attempt<bool> {
        let wanted = i32::try_from(changes.len()).unwrap_or(i32::MAX);
        if wanted == 0 {
            return Ok(true);
        }
        let each = |Change { filter, change, upsert }| doc! { "q": filter, "u": change, "upsert": upsert };
        let updates: Vec<Document> = changes.into_iter().map(each).collect();
        let said = self.db.run_command(doc! { "update": name, "updates": updates }).session(&mut self.session).await?;
        let errors = said.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
        match errors.map(|error| error.get_i32("code").unwrap_or_default()).next() {
            None => Ok(said.get_i32("n").unwrap_or_default() == wanted),
            Some(DUPLICATE_KEY) => Err(StoreError::Exists { what: "key", key: name.to_owned() }.into()),
            Some(code) => Err(StoreError::Broken(format!("MongoDB refused a write with code {code}")).into()),
        }
    }

    /// Changes all documents that fit.
    pub(super) async fn update_all(&mut self, name: &str, filter: Document, change: Document) -> Attempt<()> {
        self.collection(name).update_many(filter, change).session(&mut self.session).await?;
        Ok(())
    }

    /// Puts a document in place of the one with its id, or beside the others.
    pub(super) async fn put(&mut self, name: &str, document: Document) -> Attempt<()> {
        let id = document.get("_id").cloned();
        let collection = self.collection(name);
        let replacing = collection.replace_one(doc! { "_id": id }, document).upsert(true);
        replacing.session(&mut self.session).await?;
        Ok(())
    }

    /// Sets a number where it is less or not there, in the document of this id or a new one.
    pub(super) async fn raise(&mut self, name: &str, id: &str, field: &str, least: i64) -> Attempt<()> {
        let collection = self.collection(name);
        let raising = collection.update_one(doc! { "_id": id }, doc! { "$max": { field: least } }).upsert(true);
        raising.session(&mut self.session).await?;
        Ok(())
    }

    /// Puts documents in place of those with their ids, which are texts, or beside the others; of two with one id the later counts. It takes two
    /// round trips, however many they are.
    pub(super) async fn put_all(&mut self, name: &str, documents: Vec<Document>) -> Attempt<()> {
        let by_id: BTreeMap<String, Document> = documents
            .into_iter()
            .map(|document| Ok((document.text("_id")?.to_owned(), document)))
            .collect::<StoreResult<_>>()?;
        if by_id.is_empty() {
            return Ok(());
        }
        let (ids, documents): (Vec<String>, Vec<Document>) = by_id.into_iter().unzip();
        self.delete_all(name, doc! { "_id": { "$in": ids } }).await?;
        self.insert_all(name, &documents).await
    }

    /// Deletes all documents that fit.
    pub(super) async fn delete_all(&mut self, name: &str, filter: Document) -> Attempt<()> {
        self.collection(name).delete_many(filter).session(&mut self.session).await?;
        Ok(())
    }

    async fn attempt<C, T>(&mut self, context: &C, work: Work<C, T>, deadline: Instant) -> Attempt<T> {
        let starting = self.session.start_transaction().read_concern(ReadConcern::snapshot());
        starting.write_concern(majority()).await?;
        match work(self, context).await {
            Ok(value) => self.commit(deadline).await.map(|()| value),
            Err(failure) => {
                // Where this is lost the server forgets the transaction by itself.
                let _ = self.session.abort_transaction().await;
                Err(failure)
            }
        }
    }

    /// Commits; an answer that was lost is asked for again, which is the same commit and never a second one.
    async fn commit(&mut self, deadline: Instant) -> Attempt<()> {
        loop {
            match self.session.commit_transaction().await {
                Err(error) if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) && Instant::now() < deadline => {
                    sleep(PAUSE_MAX).await;
                }
                result => return Ok(result?),
            }
        }
    }
}

impl MongoStore {
    /// Does work in a transaction of a majority, again where it collided with another or the primary changed.
    pub(super) async fn write<C, T>(&self, context: C, work: Work<C, T>) -> StoreResult<T>
    where
        C: Send + Sync + 'static,
        T: Send + 'static,
    {
        let deadline = Instant::now() + ANSWER_WITHIN;
        // Held by the caller and not by the work: a server that hangs holds up nobody for longer than this.
        let _turn = timeout_at(deadline, self.turn.lock()).await.map_err(|_| unanswered())?;
        let store = self.clone();
        finish(deadline, unknown(), async move { Ok(store.transact(context, work, deadline).await?) }).await
    }

    /// As [`write`](Self::write), out of turn, and without an end of its own for who waits.
    pub(super) async fn transact<C, T>(self, context: C, work: Work<C, T>, deadline: Instant) -> Attempt<T> {
        let mut tx = Tx { session: self.client.start_session().await?, db: self.db };
        let mut pause = Duration::from_millis(2);
        loop {
            match tx.attempt(&context, work, deadline).await {
                Err(Failure::Driver(error)) if may_pass(&error) && Instant::now() < deadline => {
                    sleep(up_to(pause)).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                result => return result,
            }
        }
    }

    /// Writes outside of a transaction, where each write settles its race by itself.
    pub(super) async fn write_alone<T, F>(&self, work: impl FnOnce(Database) -> F + Send) -> StoreResult<T>
    where
        F: Future<Output = Attempt<T>> + Send + 'static,
        T: Send + 'static,
    {
        let work = work(self.db.clone());
        let work = async move {
            work.await.map_err(|failure| match failure {
                Failure::Driver(error) if is_cut_off(&error) => unknown(),
                other => other.into(),
            })
        };
        finish(Instant::now() + ANSWER_WITHIN, unknown(), work).await
    }

    /// Reads outside of a transaction.
    pub(super) async fn read<T, F>(&self, work: impl FnOnce(Database) -> F + Send) -> StoreResult<T>
    where
        F: Future<Output = StoreResult<T>> + Send + 'static,
        T: Send + 'static,
    {
        finish(Instant::now() + ANSWER_WITHIN, unanswered(), work(self.db.clone())).await
    }
}

/// Waits for work until the deadline, which is `late`. The work itself always runs to its end: to drop the driver's futures half way is unsafe.
async fn finish<T: Send + 'static>(
    deadline: Instant,
    late: StoreError,
    work: impl Future<Output = StoreResult<T>> + Send + 'static,
) -> StoreResult<T> {
    match timeout_at(deadline, tokio::spawn(work)).await {
        Ok(Ok(result)) => result,
        Ok(Err(ended)) if ended.is_panic() => Err(StoreError::Broken("work on the store panicked".to_owned())),
        Ok(Err(_)) => Err(StoreError::Unavailable("the server is shutting down".to_owned())),
        Err(_) => Err(late),
    }
}

/// True where the same transaction may pass when it is tried again. A unique key that the work did not foresee was taken since its snapshot.
fn may_pass(error: &Error) -> bool {
    error.contains_label(TRANSIENT_TRANSACTION_ERROR) || is_taken(error)
}

/// True where a command may have been sent and its answer did not come.
fn is_cut_off(error: &Error) -> bool {
    matches!(*error.kind, ErrorKind::Io(_) | ErrorKind::ConnectionPoolCleared { .. })
}

fn unanswered() -> StoreError {
    StoreError::Unavailable(format!("MongoDB did not answer within {} s", ANSWER_WITHIN.as_secs()))
}

fn unknown() -> StoreError {
    StoreError::Unknown(format!("MongoDB did not say within {} s what became of a write", ANSWER_WITHIN.as_secs()))
}

/// A random part of a pause, so that those who collided do not meet again.
fn up_to(pause: Duration) -> Duration {
    let [part, ..] = *Uuid::new_v4().as_bytes();
    pause * u32::from(part) / 255
}
