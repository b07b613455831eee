//! The connection loop: accepts, bounds, and ends in good order. It must never wait for a slow or endless client without a deadline.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router, middleware::AddExtension};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::{GracefulShutdown, Watcher},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::timeout,
};
use tower::Layer as _;

use super::{extract::Peer, layers::Edge, peers::Places, stall::WriteDeadline, tls::Tls};

/// Bounds request line and headers together, far above what `layers.rs` lets pass: what exceeds this is refused by the HTTP library, and
/// that says no more than a status.
const HEADERS_READ_MAX_BYTES: usize = 256 * 1_024;

/// The same for their number.
const HEADERS_READ_MAX: usize = 1_000;

/// How long requests under way may take once the server stops. Streams end at once by themselves.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// The routes, told who asks.
type Service = TowerToHyperService<AddExtension<Router, Peer>>;

/// What a node serves.
pub struct App {
    pub(super) router: Router,
    pub(super) edge: Arc<Edge>,
}

/// Answers requests until `stop` turns true, then lets those under way end, for ten seconds at most. With `tls` it answers nothing else.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, app: App, mut stop: watch::Receiver<bool>) {
    let App { router, edge } = app;
    let limits = *edge.limits();
    let held = Places::default();
    let places = Arc::new(Semaphore::new(limits.connections));
    let open = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(limits.headers_timeout);
    server.max_buf_size(HEADERS_READ_MAX_BYTES).max_headers(HEADERS_READ_MAX);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            // A vanished sender stops it, too: nobody could stop it any more.
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let peer = peer.ip().to_canonical();
                let many = peer.is_loopback() || edge.trusts(peer);
                let most = if many { limits.connections_per_proxy } else { limits.connections_per_address };
                // Dropped where it has too many, or one machine could take all places: that closes it.
                if let Some(own) = held.take(peer.into(), most) {
                    let stream = WriteDeadline::new(stream, limits.unread_timeout);
                    let service = TowerToHyperService::new(Extension(Peer(peer)).layer(router.clone()));
                    let (server, open) = (server.clone(), open.watcher());
                    let tls = tls.as_ref().map(Tls::acceptor);
                    tokio::spawn(async move {
                        match tls {
                            None => answer(&server, open, stream, service).await,
                            // A client that does not finish its handshake holds its place no longer than one that does not finish its headers.
                            Some(tls) => match timeout(limits.headers_timeout, tls.accept(stream)).await {
                                Ok(Ok(stream)) => answer(&server, open, stream, service).await,
                                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                                Err(_) => tracing::debug!("a TLS handshake took too long"),
                            },
                        }
                        drop((place, own));
                    });
                }
            }
            Err(error) => wait_out(&error).await,
        }
    }
    drop(listener);
    if timeout(DRAIN_WITHIN, open.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the deadline");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    // Answers are small and awaited: none may wait for the next. Where it cannot be set the answers are only later.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer, place))
}

async fn answer<S>(server: &http1::Builder, open: Watcher, stream: S, service: Service)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let connection = open.watch(server.serve_connection(TokioIo::new(stream), service));
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// Out of file descriptors or memory: trying again at once would only burn a core.
async fn wait_out(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
