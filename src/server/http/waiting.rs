//! What a node answers before it can serve: that it lives, and what it waits for. It must not be mistaken for a node that is ready.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::sync::watch;

use super::{
    error::ApiError,
    extract::Json,
    layers::{self, Edge},
    operations,
    readiness::Standing,
    serve::App,
};

/// An engine that is waited for by name, and what was found last.
pub type Waited = Option<(&'static str, String)>;

/// The application of a node that waits.
#[must_use]
pub fn waiting(edge: Arc<Edge>, waited: watch::Receiver<Waited>) -> App {
    let router = Router::new()
        .route("/healthz", get(async || Json(operations::Health::alive())))
        .route("/readyz", get(readyz))
        .fallback(async || ApiError::Busy { client: false, retry_after: Duration::from_secs(2) }.into_response());
    App { router: layers::wrap(router, &edge).with_state(waited), edge }
}

async fn readyz(State(waited): State<watch::Receiver<Waited>>) -> Response {
    let (name, found) = waited.borrow().clone().unwrap_or(("server", "the server is starting".to_owned()));
    operations::readiness(vec![(name, Standing::Down(found))], false)
}
