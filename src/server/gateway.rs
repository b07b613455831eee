//! A node that is the gateway and nothing else: it listens, and hands on. It has no data and no secret but its TLS key.

use std::{net::SocketAddr, path::PathBuf, sync::Arc};

use tokio::{net::TcpListener, sync::watch};

use super::{
    http::{self, Edge, Gateway, GatewayError, Part, Tls, TlsError, TlsFiles, Upstreams},
    up::ListenError,
};

/// What the gateway is.
pub struct GatewayOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Serves https with these, and nothing else.
    pub tls: Option<TlsFiles>,
    /// Whom it believes and what it bears.
    pub edge: Arc<Edge>,
    /// The hosts behind it.
    pub upstreams: Upstreams,
    /// The certificate of the authority of hosts that are reached by https.
    pub ca_file: Option<PathBuf>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayStartError {
    /// The address is taken or not of this machine.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Certificate or key cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A setting of the gateway is wrong.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl GatewayStartError {
    /// Stable code for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Listen(_) => "listen_failed",
            Self::Tls(_) => "tls_failed",
            Self::Gateway(_) => "gateway_failed",
        }
    }
}

/// Serves until `stop` turns true; `ready` is told the URL once requests are answered.
///
/// # Errors
/// [`GatewayStartError`] says what stands in the way and what to do.
pub async fn serve(
    options: GatewayOptions,
    stop: watch::Receiver<bool>,
    ready: impl FnOnce(String),
) -> Result<(), GatewayStartError> {
    let GatewayOptions { listen, tls, edge, upstreams, ca_file } = options;
    let failed = |source| ListenError { address: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let tls = tls.map(Tls::open).transpose()?;
    let gateway = Gateway::open(edge, upstreams, &Part::ALL, ca_file.as_deref(), stop.clone())?;
    let app = http::gateway(gateway);
    let following = tls.as_ref().map(|tls| tls.follow(stop.clone()));
    ready(format!("{}://{address}", if tls.is_some() { "https" } else { "http" }));
    http::serve(listener, tls, app, stop).await;
    if let Some(following) = following {
        let _ = following.await;
    }
    Ok(())
}
