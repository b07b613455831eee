//! Connecting: where the server is, what it is, and whose database it holds. What is certainly wrong is told from what is merely out of reach.
//! No error may show the address's password.

use std::{sync::Arc, time::Duration};

use mongodb::{
    Client,
    bson::{Document, doc},
    error::{Error, ErrorKind},
    options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern},
};

use super::{MongoStore, schema, site_keys::SiteKeys};
use crate::server::ports::StoreError;

/// The driver's own 30 s are too long for a request that somebody waits for.
const SELECTION_TIMEOUT: Duration = Duration::from_secs(3);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a write may wait for the majority before its fate is reported as unknown.
const MAJORITY_WITHIN: Duration = Duration::from_secs(5);

/// Why the database cannot be used. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address does not read; it is not shown, since it may hold a password.
    #[error(
        "the MongoDB address does not read as mongodb://… or mongodb+srv://…; in its user name and password, write : / ? # @ and % as %3A %2F %3F %23 %40 and %25"
    )]
    Address,
    /// The server is no member of a replica set.
    #[error(
        "the MongoDB server at {host} runs alone, without a replica set, and so has no transactions; start it with --replSet and run rs.initiate() once (one node is enough)"
    )]
    Standalone {
        /// The first server of the address.
        host: String,
    },
    /// The server is of another replica set than the address says.
    #[error(
        "the MongoDB server at {host} belongs to the replica set {found:?}, the address says replicaSet={wanted}; correct the one that is wrong"
    )]
    OtherReplicaSet {
        /// The first server of the address.
        host: String,
        /// What it says.
        found: String,
        /// What the address says.
        wanted: String,
    },
    /// User name or password are wrong, or the user may not do what is needed.
    #[error("MongoDB does not let this user in; check the user name, the password and authSource in the address")]
    Credentials,
    /// Collections of another program.
    #[error("the database {database:?} holds the collections of another program; name another database")]
    NotMedreq {
        /// The database.
        database: String,
    },
    /// Written by a newer medreq.
    #[error(
        "the database {database:?} has schema {found}, this medreq knows up to {known}; use the newer medreq, or restore a backup"
    )]
    NewerSchema {
        /// The database.
        database: String,
        /// In the database.
        found: i64,
        /// In this build.
        known: i64,
    },
    /// Out of reach, or without a primary: worth another try.
    #[error("MongoDB cannot be reached: {0}")]
    Unreachable(StoreError),
}

impl From<StoreError> for ConnectError {
    fn from(error: StoreError) -> Self {
        Self::Unreachable(error)
    }
}

impl From<Error> for ConnectError {
    fn from(error: Error) -> Self {
        match *error.kind {
            ErrorKind::Authentication { .. } => Self::Credentials,
            // Unauthorized, AuthenticationFailed.
            ErrorKind::Command(ref command) if [13, 18].contains(&command.code) => Self::Credentials,
            _ => Self::Unreachable(error.into()),
        }
    }
}

impl MongoStore {
    /// Connects to a replica set and brings the database to the newest schema. The driver reconnects by itself from then on.
    ///
    /// # Errors
    /// [`ConnectError`] says what was found and what to do.
    pub async fn connect(address: &str, database: &str) -> Result<Self, ConnectError> {
        let options = options(address).await?;
        let client = Client::with_options(options.clone()).map_err(|_| ConnectError::Address)?;
        match hello(&client).await {
            Ok(hello) => check_member(&hello, &options)?,
            Err(error) if matches!(*error.kind, ErrorKind::ServerSelection { .. }) => {
                // The driver passes over a server of another sort than it looks for: ask that server itself.
                if let Some(hello) = ask_first_host(&options).await {
                    check_member(&hello, &options)?;
                }
                return Err(error.into());
            }
            Err(error) => return Err(error.into()),
        }
        let db = client.database(database);
        schema::migrate(&db).await?;
        let site = Arc::new(SiteKeys::load(&db).await?);
        Ok(Self { client, db, turn: Arc::default(), uses_unnoted: Arc::default(), site, committed: Arc::default() })
    }
}

async fn options(address: &str) -> Result<ClientOptions, ConnectError> {
    let mut options = ClientOptions::parse(address).await.map_err(|error| match *error.kind {
        // The seed list of mongodb+srv:// is asked for here.
        ErrorKind::DnsResolve { .. } | ErrorKind::Io(_) => ConnectError::from(error),
        _ => ConnectError::Address,
    })?;
    options.app_name.get_or_insert_with(|| "medreq".to_owned());
    options.server_selection_timeout.get_or_insert(SELECTION_TIMEOUT);
    options.connect_timeout.get_or_insert(CONNECT_TIMEOUT);
    // Whatever the address says of these: the promises of the ports stand on them.
    options.write_concern = Some(majority());
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    Ok(options)
}

/// Written to the journals of a majority.
pub(super) fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(MAJORITY_WITHIN).build()
}

async fn hello(client: &Client) -> mongodb::error::Result<Document> {
    client.database("admin").run_command(doc! { "hello": 1 }).await
}

async fn ask_first_host(options: &ClientOptions) -> Option<Document> {
    let mut alone = options.clone();
    alone.hosts.truncate(1);
    alone.repl_set_name = None;
    alone.direct_connection = Some(true);
    hello(&Client::with_options(alone).ok()?).await.ok()
}

fn check_member(hello: &Document, options: &ClientOptions) -> Result<(), ConnectError> {
    let host = options.hosts.first().map(ToString::to_string).unwrap_or_default();
    let sharded = hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    match (hello.get_str("setName"), &options.repl_set_name) {
        (Err(_), _) if !sharded => Err(ConnectError::Standalone { host }),
        (Ok(found), Some(wanted)) if found != wanted => {
            Err(ConnectError::OtherReplicaSet { host, found: found.to_owned(), wanted: wanted.clone() })
        }
        _ => Ok(()),
    }
}
