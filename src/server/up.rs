//! `medreq up`: the embedded server from an empty directory to a clean end. It must never serve a directory of the other sort: demo or real.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    io,
    net::{IpAddr, SocketAddr},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use ipnet::IpNet;
use jiff::tz::TimeZone;
use tokio::{net::TcpListener, sync::watch};

use super::{
    auth::{Auth, AuthStartError, PublicUrl, issuer::InvalidPublicUrl},
    catalog::CatalogStore,
    config::Limits,
    demo::{self, DemoError, DemoManifest},
    files,
    http::{self, Addresses, AppState, Division, Edge, Services, Tls, TlsError, TlsFiles},
    ports::{IdentityStore, StoreError},
    sqlite::{OpenError, OpenMode, SqliteStore},
};

/// Setting that says which sort a data directory is; fixed at its first start.
pub(super) const PROFILE: &str = "profile";

/// Setting that holds the hospital's zone.
const TIME_ZONE: &str = "time_zone";

/// What to serve.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the data lies; made if it does not exist.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serves https with these, and nothing else.
    pub tls: Option<TlsFiles>,
    /// The origin by which users reach it; fixed as the issuer at the first start.
    pub public_url: Option<PublicUrl>,
    /// The hospital's zone at the first start, by its IANA name; without it this machine's. From then on the site's own, as stored, counts.
    pub time_zone: Option<String>,
    /// Proxies whose word is taken for where a request comes from.
    pub trusted_proxies: Vec<IpAddr>,
    /// Networks that may read `/metrics` beside this machine itself.
    pub scrapers: Vec<IpNet>,
    /// What it bears.
    pub limits: Limits,
    /// Room on the data's disk below which `/readyz` warns, in bytes.
    pub disk_free_min: u64,
    /// A real hospital's directory, or the demo's.
    pub profile: Profile,
}

/// Which sort of directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A hospital's own data.
    Site,
    /// A believable hospital, filled at the first start.
    Demo {
        /// Seeded people go on working.
        live: bool,
    },
}

impl Profile {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Demo { .. } => "demo",
        }
    }
}

/// The address is taken or not of this machine.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address}: {source}; stop what listens there (ss -ltnp shows it), or choose another --listen"
)]
pub struct ListenError {
    /// The address.
    pub address: SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum UpError {
    /// The address is taken or not of this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificate or key cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The data directory cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A demo was asked for, and the directory holds something else.
    #[error("{} is not a demo's directory; leave --demo out to serve it, or choose another --data-dir", .0.display())]
    NotADemo(PathBuf),
    /// Another process makes the same demo.
    #[error(
        "{} is being filled by another `medreq up --demo`; wait until that one is ready, or choose another --data-dir",
        .0.display()
    )]
    DemoBeingFilled(PathBuf),
    /// A site was asked for, and the directory is a demo's.
    #[error("{} is a demo's directory; add --demo to serve it, or choose another --data-dir", .0.display())]
    IsADemo(PathBuf),
    /// Without a public URL the listening address must be one that can be an issuer.
    #[error("{0}; give the address that users will type with --public-url")]
    PublicUrl(#[from] InvalidPublicUrl),
    /// Keys, clients or issuer cannot be set up.
    #[error(transparent)]
    Auth(#[from] AuthStartError),
    /// The demo hospital cannot be filled.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// A store failed at start.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file beside the database cannot be written.
    #[error("{}: {source}; see to its mode and to the room on its disk", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl UpError {
    /// Stable code for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen(_) => "listen_failed",
            Self::Tls(_) => "tls_failed",
            Self::Open(error) => error.code(),
            Self::NotADemo(_) => "not_a_demo",
            Self::DemoBeingFilled(_) => "demo_being_filled",
            Self::IsADemo(_) => "is_a_demo",
            Self::PublicUrl(_) => "invalid_public_url",
            Self::Auth(_) => "auth_failed",
            Self::Demo(_) => "demo_failed",
            Self::Store(_) => "store_unavailable",
            Self::File { .. } => "file_not_writable",
        }
    }
}

/// What the operator is told once requests are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ready {
    /// Where it is reached.
    pub url: String,
    /// A one-time link that makes the first administrator, where there is none.
    pub setup_link: Option<String>,
    /// What a demo's newcomer does next.
    pub greeting: Option<String>,
}

/// Serves until `stop` turns true; returns when every connection has ended or the deadline for that has passed.
///
/// # Errors
/// [`UpError`] says what stands in the way and what to do.
pub async fn up(options: Options, mut stop: watch::Receiver<bool>, ready: impl FnOnce(Ready)) -> Result<(), UpError> {
    // The port comes first: a start that fails on it must leave no directory behind.
    let failed = |source| ListenError { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let tls = options.tls.clone().map(Tls::open).transpose()?;
    let url = format!("{}://{address}", if tls.is_some() { "https" } else { "http" });
    let issuer = options.public_url.clone().map_or_else(|| url.parse(), Ok)?;

    if let Profile::Demo { .. } = options.profile {
        fill_demo(&options.data_dir, &issuer).await?;
    }
    let store = Arc::new(SqliteStore::open(&options.data_dir, OpenMode::Serve)?);
    check_profile(&store, &options).await?;
    settle_time_zone(store.as_ref(), options.time_zone.as_deref()).await?;
    let catalog = Arc::new(CatalogStore::open(&options.data_dir)?);
    let auth = Auth::open(store.clone(), store.clone(), &issuer).await?;
    auth.set_endpoints(&issuer);
    let background = auth.spawn_refresh(stop.clone());

    let greeting = match options.profile {
        Profile::Site => None,
        Profile::Demo { .. } => Some(greet(&options.data_dir, &auth, &url).await?),
    };
    let addresses = Addresses::open(store.as_ref()).await?;
    let setup_link = auth.setup_link().await?;
    let players = (options.profile == Profile::Demo { live: true })
        .then(|| tokio::spawn(demo::play(store.clone().into(), demo::PACE, stop.clone())));

    ready(Ready { url, setup_link, greeting });
    let state = AppState::new(Services {
        auth,
        pipeline: store.clone(),
        tickets: store.clone(),
        reference: store.clone(),
        catalog,
        data_dir: options.data_dir.clone(),
        edge: Edge::new(&options.trusted_proxies, options.scrapers, options.limits),
        division: Division::all_here(),
        engines: Vec::new(),
        addresses,
        disk_free_min: options.disk_free_min,
        shutdown: stop.clone(),
    });
    let following = tls.as_ref().map(|tls| tls.follow(stop.clone()));
    http::serve(listener, tls, http::app(state), stop.clone()).await;

    // The store closes when its last user ends; both end by `stop`, which is why they are waited for.
    let _ = stop.wait_for(|stopped| *stopped).await;
    let _ = background.await;
    if let Some(following) = following {
        let _ = following.await;
    }
    if let Some(players) = players {
        let _ = players.await;
    }
    Ok(())
}

/// A directory serves one purpose for ever: what was a demo never becomes a hospital.
async fn check_profile(store: &SqliteStore, options: &Options) -> Result<(), UpError> {
    let wanted = options.profile.name();
    let found = store.fix_setting(PROFILE, wanted).await?;
    match (found == wanted, options.profile) {
        (true, _) => Ok(()),
        (false, Profile::Site) => Err(UpError::IsADemo(options.data_dir.clone())),
        (false, Profile::Demo { .. }) => Err(UpError::NotADemo(options.data_dir.clone())),
    }
}

/// Expiry dates end with the hospital's day, so its zone must be known from the first request on.
pub(super) async fn settle_time_zone(store: &dyn IdentityStore, wanted: Option<&str>) -> Result<(), StoreError> {
    let system = TimeZone::system();
    let first = wanted.or(system.iana_name()).unwrap_or("UTC");
    let zone = store.fix_setting(TIME_ZONE, first).await?;
    match wanted {
        // An administrator may have changed it since: a start must not undo that.
        Some(other) if other != zone => {
            tracing::warn!(
                zone,
                other,
                "the hospital has a time zone already and keeps it; `medreq site set` changes it"
            );
        }
        _ => tracing::info!(zone, "the hospital's time zone"),
    }
    Ok(())
}

/// Fills an empty or absent directory with the demo hospital: beside it first, then put in place by one rename, so that a
/// start that was killed half-way leaves nothing that looks like a demo.
async fn fill_demo(dir: &Path, issuer: &PublicUrl) -> Result<(), UpError> {
    let file = |path: &Path, source| UpError::File { path: path.to_owned(), source };
    let is_demo = || dir.join(demo::MANIFEST_FILE).exists();
    if is_demo() {
        return Ok(());
    }
    let filled = fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some());
    if filled {
        return Err(UpError::NotADemo(dir.to_owned()));
    }
    let absolute = std::path::absolute(dir).map_err(|source| file(dir, source))?;
    let mut name = absolute.file_name().unwrap_or_default().to_owned();
    name.push(".filling");
    let staging = absolute.with_file_name(name);
    let held = hold_empty(&staging).map_err(|source| file(&staging, source))?;
    let _held = held.ok_or_else(|| UpError::DemoBeingFilled(dir.to_owned()))?;
    // Another start may have put one in place since.
    if is_demo() {
        return fs::remove_dir(&staging).map_err(|source| file(&staging, source));
    }
    {
        let store = Arc::new(SqliteStore::open(&staging, OpenMode::Serve)?);
        store.fix_setting(PROFILE, Profile::Demo { live: false }.name()).await?;
        let catalog = Arc::new(CatalogStore::open(&staging)?);
        let auth = Auth::open(store.clone(), store.clone(), issuer).await?;
        let manifest = demo::seed(&demo::DemoStores { store, catalog, auth }, issuer.as_str()).await?;
        write_manifest(&staging, &manifest)?;
    }
    fs::rename(&staging, &absolute).map_err(|source| file(&absolute, source))
}

/// Makes a directory, or empties the one that a killed start left, and holds it until it is dropped; `None` where another process has it.
fn hold_empty(dir: &Path) -> io::Result<Option<File>> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let held = File::open(dir)?;
    match held.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Ok(None),
        Err(TryLockError::Error(error)) => return Err(error),
    }
    // Whoever had it may have put it in its place just now: then what is held is a demo, and no longer the directory of this name.
    let ours = held.metadata()?;
    if !fs::metadata(dir).is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
        return Ok(None);
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(Some(held))
}

fn write_manifest(dir: &Path, manifest: &DemoManifest) -> Result<(), UpError> {
    let path = dir.join(demo::MANIFEST_FILE);
    let text = serde_json::to_string_pretty(manifest).expect("a manifest is plain strings");
    files::replace_private(&path, text.as_bytes()).map_err(|source| UpError::File { path, source })
}

/// Brings `demo.json` up to date with the address now served, and writes a fresh token for the greeting's curl line.
async fn greet(dir: &Path, auth: &Auth, url: &str) -> Result<String, UpError> {
    let path = dir.join(demo::MANIFEST_FILE);
    let unreadable = |source: io::Error| UpError::File { path: dir.join(demo::MANIFEST_FILE), source };
    let text = fs::read_to_string(&path).map_err(unreadable)?;
    let mut manifest: DemoManifest = serde_json::from_str(&text).map_err(|error| unreadable(error.into()))?;
    url.clone_into(&mut manifest.url);
    write_manifest(dir, &manifest)?;

    match demo::curl_header(auth, &manifest).await {
        Ok(header) => {
            let path = dir.join(demo::CURL_HEADER_FILE);
            files::replace_private(&path, header.as_bytes()).map_err(|source| UpError::File { path, source })?;
        }
        // Somebody tried out disabling her: the demo goes on.
        Err(error) => tracing::warn!(%error, "the demo's nurse gets no token"),
    }
    Ok(demo::greeting(&manifest, dir))
}
