//! The HTTP face: routers, extractors and the gateway's middleware. It translates and never decides.
//!
//! A resource is one file with `routes() -> OpenApiRouter<AppState>`, built by `routes!(…)` so that route and documentation are one. What
//! an operation documents as `security(("bearer" = ["tickets:read"]))` is what `guard.rs` enforces before any extractor runs (401, then 403);
//! `security(())` makes it open; without the attribute any valid token will do. Statuses that the middleware can give (400, 401, 403, 414, 429,
//! 431, 500, 503, and with a body 408, 413, 415) are documented by `openapi.rs`: an operation lists only its own.

mod accounts;
mod audit;
mod catalog;
mod clients;
mod commands;
mod cors;
mod error;
mod events;
mod extract;
mod gateway;
mod guard;
mod headers;
mod imports;
mod keys;
mod layers;
mod list;
mod live;
mod medications;
mod metrics;
mod oauth2;
mod oauth2_tokens;
mod openapi;
mod operations;
mod pages;
mod parts;
mod peers;
mod pending;
mod policy;
mod rate;
mod readiness;
mod reference;
mod replies;
mod request_id;
mod roles;
mod routing;
mod serve;
mod service_accounts;
mod sessions;
mod site;
mod stall;
mod strict;
mod tickets;
mod tls;
mod users;
mod waiting;

#[cfg(test)]
mod imports_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod site_tests;
#[cfg(test)]
pub(crate) mod testing;

use std::{ops::Deref, path::PathBuf, sync::Arc, time::Duration};

use axum::{Extension, Router, extract::Request, middleware};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tower::ServiceBuilder;
use utoipa_axum::router::OpenApiRouter;

use self::{error::ApiError, live::StreamTickets, pages::Pages, readiness::Readiness};
pub use self::{
    gateway::{Gateway, GatewayError, Upstreams, gateway},
    layers::Edge,
    parts::{Division, Part},
    pending::Addresses,
    readiness::{Engine, Standing},
    serve::{App, serve},
    tls::{Tls, TlsError, TlsFiles},
    waiting::{Waited, waiting},
};
use super::{
    app::{
        catalog::Catalog,
        feed::Feed,
        imports::{Imports, UPLOAD_MAX},
        reference::Reference,
        tickets::TicketDesk,
    },
    auth::Auth,
    catalog::CatalogStore,
    ports::{Pipeline, ReferenceStore, TicketStore},
};

/// What the handlers stand on.
pub struct Services {
    /// Who is who.
    pub auth: Arc<Auth>,
    /// Commands in, outcomes and events out.
    pub pipeline: Arc<dyn Pipeline>,
    /// Reads tickets.
    pub tickets: Arc<dyn TicketStore>,
    /// Places and medications.
    pub reference: Arc<dyn ReferenceStore>,
    /// Products of the drug directories.
    pub catalog: Arc<CatalogStore>,
    /// Where uploads may be spooled.
    pub data_dir: PathBuf,
    /// What this node is to the network.
    pub edge: Arc<Edge>,
    /// Which parts of the API it serves itself.
    pub division: Division,
    /// Signs the addresses of commands that wait.
    pub addresses: Addresses,
    /// What `/readyz` tells of beside the node itself; none in embedded mode, whose store is asked instead.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Room on the data's disk below which `/readyz` warns, in bytes.
    pub disk_free_min: u64,
    /// Becomes true when the server stops: streams end then.
    pub shutdown: watch::Receiver<bool>,
}

/// What every handler gets; cheap to clone. It derefs to the services.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    services: Services,
    desk: TicketDesk,
    feed: Feed,
    imports: Imports,
    readiness: Readiness,
    stream_tickets: StreamTickets,
    stream_places: Arc<Semaphore>,
    pages: Pages,
}

impl AppState {
    /// Builds what stands on the services, and starts to follow the event feed: call it within the runtime.
    #[must_use]
    pub fn new(services: Services) -> Self {
        let reference = Arc::new(Reference::new(Arc::clone(&services.reference)));
        let catalog = Catalog::new(Arc::clone(&services.catalog), Arc::clone(&reference));
        let imports = Imports::new(reference, catalog, Arc::clone(&services.auth), &services.data_dir, UPLOAD_MAX);
        let desk = TicketDesk::new(
            services.auth.issuer().to_owned(),
            Arc::clone(&services.pipeline),
            Arc::clone(&services.tickets),
            Arc::clone(&services.reference),
        );
        let feed = Feed::start(Arc::clone(&services.pipeline), Arc::clone(&desk.cache), services.shutdown.clone());
        let (readiness, pages) = (Readiness::default(), Pages::default());
        let stream_tickets = StreamTickets::default();
        let stream_places = Arc::new(Semaphore::new(services.edge.limits().streams));
        Self(Arc::new(Inner { services, desk, feed, imports, readiness, stream_tickets, stream_places, pages }))
    }

    /// The use cases around tickets.
    fn desk(&self) -> &TicketDesk {
        &self.0.desk
    }

    /// Events as they are committed.
    fn feed(&self) -> &Feed {
        &self.0.feed
    }

    /// What `/readyz` found last.
    fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Single-use tickets for streams.
    fn stream_tickets(&self) -> &StreamTickets {
        &self.0.stream_tickets
    }

    /// A place for a further stream, for as long as it lives.
    fn stream_place(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let full = |_| ApiError::Busy { client: false, retry_after: Duration::from_secs(5) };
        Arc::clone(&self.0.stream_places).try_acquire_owned().map_err(full)
    }

    /// What the pages keep.
    fn pages(&self) -> &Pages {
        &self.0.pages
    }

    /// Places, medications and par levels, with the rules of who may change them.
    fn reference_data(&self) -> &Reference {
        self.0.imports.reference()
    }

    /// The catalogue, and adoption from it.
    fn products(&self) -> &Catalog {
        self.0.imports.catalog()
    }

    /// Files in.
    fn imports(&self) -> &Imports {
        &self.0.imports
    }
}

impl Deref for AppState {
    type Target = Services;
    fn deref(&self) -> &Services {
        &self.0.services
    }
}

/// Every operation with its documentation.
fn operations() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(openapi::base())
        // One line per resource file, by name.
        .merge(accounts::routes())
        .merge(audit::routes())
        .merge(catalog::routes())
        .merge(clients::routes())
        .merge(commands::routes())
        .merge(events::routes())
        .merge(imports::routes())
        .merge(keys::routes())
        .merge(medications::routes())
        .merge(oauth2::routes())
        .merge(oauth2_tokens::routes())
        .merge(operations::routes())
        .merge(pages::routes())
        .merge(pending::routes())
        .merge(policy::routes())
        .merge(reference::routes())
        .merge(routing::routes())
        .merge(service_accounts::routes())
        .merge(sessions::routes())
        .merge(site::routes())
        .merge(tickets::routes())
        .merge(users::routes())
}

/// The whole application.
#[must_use]
pub fn app(state: AppState) -> App {
    let edge = Arc::clone(&state.edge);
    App { router: router(state), edge }
}

fn router(state: AppState) -> Router {
    let (router, document) = operations().split_for_parts();
    let document = openapi::complete(&document);
    let guard = guard::Guard::new(&document, state.clone());
    let replies = replies::Replies::new(state.clone());
    let router = router
        .merge(operations::docs())
        .method_not_allowed_fallback(async |request: Request| ApiError::MethodNotAllowed(request.method().to_string()))
        .fallback(async || ApiError::NotFound { what: "resource" })
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(state.clone(), parts::divide))
                .layer(middleware::from_fn(cors::let_in))
                .layer(middleware::from_fn_with_state(Arc::new(guard), guard::authenticate))
                .layer(middleware::from_fn_with_state(Arc::new(replies), replies::answer_once))
                .layer(Extension(operations::Published::new(&document))),
        );
    layers::wrap(router, &state.edge).with_state(state)
}

#[cfg(test)]
mod tests;
