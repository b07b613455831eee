//! A node of stack mode: Kafka in front of MongoDB, wired on one screen. It waits for engines that do not answer, and does not start where something
//! is certainly wrong.

use std::{
    fs::DirBuilder, io, net::SocketAddr, os::unix::fs::DirBuilderExt as _, path::PathBuf, sync::Arc, time::Duration,
};

use async_trait::async_trait;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::{JoinHandle, spawn_blocking},
};

use super::{
    auth::{Auth, AuthStartError, PublicUrl, issuer::InvalidPublicUrl},
    catalog::CatalogStore,
    config::NodeRole,
    http::{
        self, Addresses, AppState, Division, Edge, Engine, Gateway, GatewayError, Part, Services, Standing, Tls,
        TlsError, TlsFiles, Upstreams, Waited,
    },
    kafka::{Counts, KafkaLog, KafkaSettings, KafkaStartError, PartitionState, Processor, States},
    mongo::{ConnectError, MongoPipeline, MongoStore},
    ports::{IdentityStore, StoreError, StoreResult, Submission, SubmitError},
    sqlite::OpenError,
    stack::{Appended, CommandLog, PartitionStore},
    up::{ListenError, PROFILE, Profile, Ready, settle_time_zone},
};

/// Between two attempts to reach an engine.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long the processor may take to end its batches and leave its group.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// Where the engines are.
#[derive(Clone)]
pub struct StackSettings {
    /// As `mongodb://…` or `mongodb+srv://…`, password included.
    pub mongo_url: String,
    /// The hospital's database.
    pub mongo_database: String,
    /// The command log.
    pub kafka: KafkaSettings,
}

/// What a node is.
pub struct NodeOptions {
    /// What it does.
    pub roles: Vec<NodeRole>,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serves https with these, and nothing else.
    pub tls: Option<TlsFiles>,
    /// The origin by which users reach it; fixed as the issuer at the first start.
    pub public_url: Option<PublicUrl>,
    /// The hospital's zone at the first start.
    pub time_zone: Option<String>,
    /// Whom it believes and what it bears.
    pub edge: Arc<Edge>,
    /// The hosts of the parts that it does not serve itself, where it is a gateway.
    pub upstreams: Upstreams,
    /// The certificate of the authority of those that are reached by https.
    pub gateway_ca_file: Option<PathBuf>,
    /// Where the drug directories and uploads lie.
    pub data_dir: PathBuf,
    /// Room on that disk below which `/readyz` warns, in bytes.
    pub disk_free_min: u64,
    /// Where the engines are.
    pub stack: StackSettings,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address is taken or not of this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificate or key cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Without a public URL the listening address must be one that can be an issuer.
    #[error("{0}; give the address that users will type with --public-url")]
    PublicUrl(#[from] InvalidPublicUrl),
    /// MongoDB is not what it must be.
    #[error("mongo.url: {0}")]
    Mongo(#[from] ConnectError),
    /// Kafka is not what it must be.
    #[error(transparent)]
    Kafka(#[from] KafkaStartError),
    /// The database is a demo's.
    #[error("the database {0:?} is a demo's; name another in mongo.database")]
    IsADemo(String),
    /// The directory for drug directories and uploads cannot be made.
    #[error("{}: {source}; check --data-dir and who may write there", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The drug directories cannot be opened.
    #[error(transparent)]
    Catalog(#[from] OpenError),
    /// Keys, clients or issuer cannot be set up.
    #[error(transparent)]
    Auth(#[from] AuthStartError),
    /// The hosts of the other parts are not what they must be.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// A store failed at start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was told to stop before the engines answered.
    #[error("it was stopped while it waited for {0}")]
    Stopped(&'static str),
}

impl NodeError {
    /// Stable code for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen(_) => "listen_failed",
            Self::Tls(_) => "tls_failed",
            Self::PublicUrl(_) => "invalid_public_url",
            Self::Mongo(_) => "mongo_failed",
            Self::Kafka(_) => "kafka_failed",
            Self::IsADemo(_) => "is_a_demo",
            Self::DataDir { .. } => "file_not_writable",
            Self::Catalog(error) => error.code(),
            Self::Auth(_) => "auth_failed",
            Self::Gateway(_) => "gateway_failed",
            Self::Store(_) => "store_unavailable",
            Self::Stopped(_) => "stopped",
        }
    }
}

/// Serves until `stop` turns true; `ready` is told the URL once requests are answered.
///
/// # Errors
/// [`NodeError`] says what stands in the way and what to do.
pub async fn serve(
    options: NodeOptions,
    mut stop: watch::Receiver<bool>,
    ready: impl FnOnce(Ready),
) -> Result<(), NodeError> {
    let failed = |source| ListenError { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let tls = options.tls.clone().map(Tls::open).transpose()?;
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let issuer = options.public_url.clone().map_or_else(|| url.parse(), Ok)?;

    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&options.data_dir)
        .map_err(|source| NodeError::DataDir { path: options.data_dir.clone(), source })?;
    let division = divide(&options, &stop)?;
    let vestibule = Vestibule::open(&listener, tls.clone(), &options.edge).map_err(failed)?;
    let store = vestibule.mongo(&options.stack, &stop).await?;
    if store.fix_setting(PROFILE, Profile::Site.name()).await? != Profile::Site.name() {
        return Err(NodeError::IsADemo(options.stack.mongo_database));
    }
    settle_time_zone(store.as_ref(), options.time_zone.as_deref()).await?;
    let decides = options.roles.contains(&NodeRole::Processor);
    let counts = Counts::default();
    options.edge.count(|registry| counts.register(registry));
    // Who signs people in and nothing else must do so while there is no log.
    let log = if decides || options.roles.contains(&NodeRole::Tickets) {
        Some(vestibule.kafka(&options.stack.kafka, store.as_ref(), &counts, &stop).await?)
    } else {
        None
    };
    let takes: Arc<dyn CommandLog> = log.clone().map_or_else(|| Arc::new(NoLog) as _, |log| log as _);
    let pipeline = MongoPipeline::start(Arc::clone(&store), takes).await?;
    let partitions = Arc::clone(&store) as Arc<dyn PartitionStore>;
    let processor = decides.then(|| Processor::start(&options.stack.kafka, &partitions, counts)).transpose()?;
    let engines = engines(&store, log.as_ref(), processor.as_ref());
    let catalog = Arc::new(CatalogStore::open(&options.data_dir)?);
    let auth = Auth::open(store.clone(), store.clone(), &issuer).await?;
    auth.set_endpoints(&issuer);
    let background = auth.spawn_refresh(stop.clone());
    let addresses = Addresses::open(store.as_ref()).await?;
    let setup_link = auth.setup_link().await?;
    vestibule.close().await;

    ready(Ready { url, setup_link, greeting: None });
    let state = AppState::new(Services {
        auth,
        pipeline: Arc::new(pipeline),
        tickets: store.clone(),
        reference: store.clone(),
        catalog,
        data_dir: options.data_dir,
        edge: options.edge,
        division,
        addresses,
        engines,
        disk_free_min: options.disk_free_min,
        shutdown: stop.clone(),
    });
    let following = tls.as_ref().map(|tls| tls.follow(stop.clone()));
    http::serve(listener, tls, http::app(state), stop.clone()).await;

    let _ = stop.wait_for(|stopped| *stopped).await;
    let _ = background.await;
    if let Some(following) = following {
        let _ = following.await;
    }
    let ended = spawn_blocking(move || {
        if let Some(log) = log {
            log.flush();
        }
        processor.is_none_or(|processor| processor.stop(STOP_WITHIN))
    });
    if !ended.await.unwrap_or(false) {
        tracing::warn!(
            "the processor did not leave its group in time; its partitions are taken over after its session"
        );
    }
    Ok(())
}

/// What this node serves by its roles, and who is asked for the rest.
fn divide(options: &NodeOptions, stop: &watch::Receiver<bool>) -> Result<Division, GatewayError> {
    let serves = |part| match part {
        Part::Auth => options.roles.contains(&NodeRole::Auth),
        Part::Tickets => options.roles.contains(&NodeRole::Tickets),
    };
    let (here, elsewhere): (Vec<Part>, Vec<Part>) = Part::ALL.into_iter().partition(|part| serves(*part));
    let open = |edge| {
        let (upstreams, ca_file) = (options.upstreams.clone(), options.gateway_ca_file.as_deref());
        Gateway::open(edge, upstreams, &elsewhere, ca_file, stop.clone())
    };
    let is_gateway = options.roles.contains(&NodeRole::Gateway) && !elsewhere.is_empty();
    let gateway = is_gateway.then(|| open(Arc::clone(&options.edge))).transpose()?;
    Ok(Division::new(here, gateway))
}

/// What `/readyz` tells of, by what this node does.
fn engines(
    store: &Arc<MongoStore>,
    log: Option<&Arc<KafkaLog>>,
    processor: Option<&Processor>,
) -> Vec<Arc<dyn Engine>> {
    let mut engines: Vec<Arc<dyn Engine>> = vec![Arc::new(Mongo(Arc::clone(store)))];
    engines.extend(log.map(|log| Arc::new(Kafka(Arc::clone(log))) as _));
    engines.extend(processor.map(|processor| Arc::new(Deciding(processor.states())) as _));
    engines
}

struct Mongo(Arc<MongoStore>);

#[async_trait]
impl Engine for Mongo {
    fn name(&self) -> &'static str {
        "mongo"
    }

    async fn standing(&self) -> Standing {
        match self.0.progress().await {
            Ok(_) => Standing::Well,
            Err(error) => down("mongo", &error, "MongoDB does not answer; commands are taken and wait in the log"),
        }
    }
}

struct Kafka(Arc<KafkaLog>);

#[async_trait]
impl Engine for Kafka {
    fn name(&self) -> &'static str {
        "kafka"
    }

    async fn standing(&self) -> Standing {
        match self.0.writable().await {
            Ok(()) => Standing::Well,
            Err(error) => down("kafka", &error, "no broker of Kafka answers; nothing can be asked for until one does"),
        }
    }
}

fn down(engine: &str, error: &StoreError, told: &str) -> Standing {
    tracing::warn!(engine, %error, "not ready");
    Standing::Down(told.to_owned())
}

/// The partitions that this node decides. One that waits or halted leaves the node itself able to serve.
struct Deciding(States);

#[async_trait]
impl Engine for Deciding {
    fn name(&self) -> &'static str {
        "processor"
    }

    async fn standing(&self) -> Standing {
        let trouble = self.0.now().into_iter().filter_map(|(partition, state)| match state {
            PartitionState::Working { .. } => None,
            PartitionState::Waiting(what) => Some(format!("partition {partition} waits: {what}")),
            PartitionState::Halted(what) => Some(format!("partition {partition} is halted: {what}")),
        });
        let trouble: Vec<String> = trouble.collect();
        if trouble.is_empty() { Standing::Well } else { Standing::Poor(trouble.join("; ")) }
    }
}

/// The log of a node that takes no commands.
struct NoLog;

#[async_trait]
impl CommandLog for NoLog {
    async fn append(&self, _: &Submission) -> Result<Appended, SubmitError> {
        Err(SubmitError::Store(StoreError::Unavailable("this node takes no commands".to_owned())))
    }

    async fn writable(&self) -> StoreResult<()> {
        Ok(())
    }
}

/// Connects to the hospital's database for a verb on the server itself.
///
/// # Errors
/// [`ConnectError`] says what was found and what to do.
pub async fn connect(stack: &StackSettings) -> Result<Arc<MongoStore>, ConnectError> {
    Ok(Arc::new(MongoStore::connect(&stack.mongo_url, &stack.mongo_database).await?))
}

/// Where requests are told to come back while the engines are waited for.
struct Vestibule {
    waited: watch::Sender<Waited>,
    closing: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Vestibule {
    fn open(listener: &TcpListener, tls: Option<Tls>, edge: &Arc<Edge>) -> io::Result<Self> {
        let socket = std::os::fd::AsFd::as_fd(listener).try_clone_to_owned()?;
        let listener = TcpListener::from_std(socket.into())?;
        let (waited, told) = watch::channel(None);
        let (closing, closed) = watch::channel(false);
        let app = http::waiting(Arc::clone(edge), told);
        let serving = tokio::spawn(http::serve(listener, tls, app, closed));
        Ok(Self { waited, closing, serving })
    }

    async fn close(self) {
        self.closing.send_replace(true);
        let _ = self.serving.await;
    }

    async fn mongo(&self, stack: &StackSettings, stop: &watch::Receiver<bool>) -> Result<Arc<MongoStore>, NodeError> {
        loop {
            match connect(stack).await {
                Err(ConnectError::Unreachable(error)) => self.wait("mongo", error.to_string(), stop).await?,
                answer => return Ok(answer?),
            }
        }
    }

    async fn kafka(
        &self,
        settings: &KafkaSettings,
        store: &MongoStore,
        counts: &Counts,
        stop: &watch::Receiver<bool>,
    ) -> Result<Arc<KafkaLog>, NodeError> {
        loop {
            match KafkaLog::open(settings, store, counts.clone()).await {
                Err(error) if error.may_heal() => self.wait("kafka", error.to_string(), stop).await?,
                answer => return Ok(answer?),
            }
        }
    }

    async fn wait(&self, name: &'static str, found: String, stop: &watch::Receiver<bool>) -> Result<(), NodeError> {
        tracing::warn!(engine = name, found, "an engine is waited for");
        self.waited.send_replace(Some((name, found)));
        let mut stop = stop.clone();
        tokio::select! {
            () = tokio::time::sleep(AGAIN_AFTER) => Ok(()),
            _ = stop.wait_for(|stopped| *stopped) => Err(NodeError::Stopped(name)),
        }
    }
}
