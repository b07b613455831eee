//! TLS of the server's own listener: certificate and key come from files, and are read again when these change. It never serves half of a change
//! and never prints a key.

use std::{
    fmt, fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        self, ServerConfig,
        crypto::{CryptoProvider, aws_lc_rs},
        pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject as _},
        server::{ClientHello, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// How often the files are looked at. A renewed certificate is in use after this time at the latest.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Where certificate and key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// PEM: the server's certificate first, then those that lead to the root.
    pub certificate: PathBuf,
    /// PEM: its private key; not readable by everybody.
    pub key: PathBuf,
}

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{}: {source}; check the path, and that the server's user may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Others may read the key.
    #[error("{} can be read by everybody; give it the mode 0600, and make a new key if others had the time to read it", .0.display())]
    KeyExposed(PathBuf),
    /// A file is no PEM, or not of the sort that is wanted.
    #[error("{} holds no {wanted} in PEM form: {detail}", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What should be there.
        wanted: &'static str,
        /// What the parser said.
        detail: String,
    },
    /// The two files are not of one pair, or of a sort that is not supported.
    #[error("{} and {} do not go together: {detail}", certificate.display(), key.display())]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the TLS library said.
        detail: String,
    },
}

/// Accepts TLS with the certificate that the files hold now.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    held: Arc<Held>,
}

/// What is presented to clients.
struct Held {
    files: TlsFiles,
    provider: Arc<CryptoProvider>,
    pair: RwLock<Arc<CertifiedKey>>,
}

impl Tls {
    /// Reads the files; follow them with [`Tls::follow`].
    ///
    /// # Errors
    /// [`TlsError`] names the file and what to do.
    pub fn open(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let pair = RwLock::new(Arc::new(read_pair(&files, &provider)?));
        let held = Arc::new(Held { files, provider: Arc::clone(&provider), pair });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports TLS 1.2 and 1.3, which are the defaults")
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&held) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), held })
    }

    /// The acceptor for one connection.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// Takes up changed files until `stop` turns true. What is wrong with them is logged, and the pair before stays in use.
    pub fn follow(&self, mut stop: watch::Receiver<bool>) -> JoinHandle<()> {
        let held = Arc::clone(&self.held);
        tokio::spawn(async move {
            let mut seen = Stamp::of(&held.files);
            let mut looks = tokio::time::interval(LOOK_EVERY);
            loop {
                tokio::select! {
                    _ = looks.tick() => {}
                    _ = stop.wait_for(|stopped| *stopped) => return,
                }
                let found = Stamp::of(&held.files);
                if found != seen {
                    held.take_up();
                    seen = found;
                }
            }
        })
    }
}

impl Held {
    fn take_up(&self) {
        match read_pair(&self.files, &self.provider) {
            Ok(pair) => {
                *self.pair.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                tracing::info!(certificate = %self.files.certificate.display(), "a new certificate is in use");
            }
            Err(error) => {
                tracing::error!(%error, "the changed certificate is not taken up; the one before stays in use")
            }
        }
    }
}

impl ResolvesServerCert for Held {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("files", &self.files).finish_non_exhaustive()
    }
}

/// Tells a changed pair of files, also one that was put in place by renaming or by a link.
#[derive(PartialEq, Eq)]
struct Stamp([Option<(u64, i64, i64, u64)>; 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        let stamp = |path: &Path| {
            fs::metadata(path).ok().map(|file| (file.ino(), file.mtime(), file.mtime_nsec(), file.size()))
        };
        Self([stamp(&files.certificate), stamp(&files.key)])
    }
}

fn read_pair(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let TlsFiles { certificate, key } = files;
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refuse(certificate, "certificate", error))?;
    if chain.is_empty() {
        return Err(refuse(certificate, "certificate", pem::Error::NoItemsFound));
    }
    let unreadable = |source| TlsError::Unreadable { path: key.clone(), source };
    if fs::metadata(key).map_err(unreadable)?.mode() & 0o007 != 0 {
        return Err(TlsError::KeyExposed(key.clone()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key, "private key", error))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error: rustls::Error| TlsError::Mismatch {
        certificate: certificate.clone(),
        key: key.clone(),
        detail: error.to_string(),
    })
}

fn refuse(path: &Path, wanted: &'static str, error: pem::Error) -> TlsError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(source) => TlsError::Unreadable { path, source },
        other => TlsError::NotPem { path, wanted, detail: other.to_string() },
    }
}
