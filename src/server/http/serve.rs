//! The connection loop: accepts, bounds, and ends in good order. It must never wait for a slow or endless client without a deadline.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tower::Layer as _;

use super::{AppState, extract::Peer, router};

/// Connections at once; further ones wait in the listener's queue.
const CONNECTIONS: usize = 4_096;

/// How long a client may take to send a request's headers: a slow one must not hold a place for ever.
const HEADERS_WITHIN: Duration = Duration::from_secs(15);

/// Bounds request line and headers together.
const HEADERS_MAX_BYTES: usize = 64 * 1_024;

/// How long requests under way may take once the server stops. Streams end at once by themselves.
const DRAIN_WITHIN: Duration = Duration::from_secs(10);

/// Answers requests until `stop` turns true, then lets those under way end, for ten seconds at most.
pub async fn serve(listener: TcpListener, state: AppState, mut stop: watch::Receiver<bool>) {
    let router = router(state);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let open = GracefulShutdown::new();
    let mut server = http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_buf_size(HEADERS_MAX_BYTES);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            // A vanished sender stops it, too: nobody could stop it any more.
            _ = stop.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((stream, peer, place)) => answer(&server, &open, &router, stream, peer, place),
            Err(error) => wait_out(&error).await,
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_WITHIN, open.shutdown()).await.is_err() {
        tracing::warn!("requests were still under way at the deadline");
    }
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

fn answer(
    server: &http1::Builder,
    open: &GracefulShutdown,
    router: &Router,
    stream: TcpStream,
    peer: SocketAddr,
    place: OwnedSemaphorePermit,
) {
    // Answers are small and awaited: none may wait for the next. Where it cannot be set the answers are only later.
    let _ = stream.set_nodelay(true);
    let service = Extension(Peer(peer.ip().to_canonical())).layer(router.clone());
    let connection = server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let connection = open.watch(connection);
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(place);
    });
}

/// Out of file descriptors or memory: trying again at once would only burn a core.
async fn wait_out(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(Duration::from_millis(100)).await;
}
