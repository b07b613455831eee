//! The typed REST client: what the CLI, the console and other Rust programs use. Knows the wire, never a store.
//!
//! A write carries an idempotency key, so that it may be repeated after a lost connection without happening twice; an answer
//! that is not there yet (202) is followed to its outcome. No token is ever logged or printed.

mod accounts;
mod call;
mod error;
mod events;
mod imports;
mod medications;
mod oauth2;
mod places;
mod retry;
mod site;
mod sse;
mod tickets;
mod token;

use std::{sync::Arc, time::Duration};

use reqwest::Certificate;
pub use reqwest::{Body, Url};

pub use self::{
    call::Write,
    error::ClientError,
    events::{EventFilter, EventStream, FeedItem},
    imports::{Import, ImportOptions},
    medications::{CatalogFilter, MedicationFilter},
    oauth2::{DevicePoll, ServerMetadata},
    places::PlaceFilter,
    tickets::{TicketCommand, TicketFilter},
    token::TokenSource,
};

/// How a [`Client`] behaves; the defaults suit people at a terminal.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long one attempt of a call may take; imports and streams have no such bound.
    pub timeout: Duration,
    /// How often a call that may be repeated is tried at most.
    pub attempts: u32,
    /// No attempt begins later than this after the first.
    pub retry_within: Duration,
    /// How long an accepted command is followed until its outcome is known.
    pub follow_within: Duration,
    /// The only roots that the server's certificate may come from, in PEM form; without them the system's count.
    pub roots: Option<Vec<u8>>,
    /// Sent as `User-Agent`.
    pub user_agent: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(30),
            attempts: 5,
            retry_within: Duration::from_secs(20),
            follow_within: Duration::from_secs(60),
            roots: None,
            user_agent: concat!("medreq/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A connection to a medreq server. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    on_behalf_of: Option<String>,
}

struct Shared {
    http: reqwest::Client,
    base: Url,
    token: TokenSource,
    settings: Settings,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("base", &self.shared.base.as_str()).finish_non_exhaustive()
    }
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// [`ClientError::Setup`] where the URL is none, or TLS cannot be set up.
    pub fn new(base: &str, token: TokenSource, settings: Settings) -> Result<Self, ClientError> {
        let base = parse_base(base)?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .tcp_keepalive(Duration::from_secs(30))
            .user_agent(settings.user_agent.as_str())
            // A redirect could carry the token to somebody else.
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            // Without TLS the system's roots are neither needed nor, on a bare machine, there.
            builder = builder.tls_certs_only(std::iter::empty());
        } else if let Some(roots) = &settings.roots {
            let roots =
                Certificate::from_pem_bundle(roots).map_err(|error| ClientError::Setup(error::cause(&error)))?;
            builder = builder.tls_certs_only(roots);
        }
        if is_loopback(&base) {
            builder = builder.no_proxy();
        }
        let http = builder.build().map_err(|error| ClientError::Setup(error::cause(&error)))?;
        Ok(Self { shared: Arc::new(Shared { http, base, token, settings }), on_behalf_of: None })
    }

    /// The same connection, acting for a user: needs a service account's token with `tickets:delegate`.
    #[must_use]
    pub fn on_behalf_of(&self, username: impl Into<String>) -> Self {
        Self { shared: Arc::clone(&self.shared), on_behalf_of: Some(username.into()) }
    }

    /// The server's URL.
    #[must_use]
    pub fn base(&self) -> &Url {
        &self.shared.base
    }
}

fn parse_base(text: &str) -> Result<Url, ClientError> {
    let refuse =
        |why: String| ClientError::Setup(format!("{text:?} is not the URL of a server ({why}); use http://HOST:PORT"));
    let url = Url::parse(text.trim()).map_err(|error| refuse(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(refuse("it is neither http nor https".into()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ClientError::Setup("a server's URL holds no user or password; put a token in its place".into()));
    }
    Ok(url)
}

fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let address = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || address.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(all(test, feature = "server"))]
mod tests;
