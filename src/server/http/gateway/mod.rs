//! The gateway: the single entry in front of other hosts. It hands a request on and its answer back, and repeats only what cannot happen
//! twice. It knows no token and no store.

mod pool;

use std::{io, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header, request::Parts},
    response::{IntoResponse, Response},
    routing::{any, get},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::sync::watch;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject as _},
};
use uuid::Uuid;

use self::pool::{Host, Pool};
use super::{
    error::ApiError,
    extract::{self, Json, Peer},
    layers::{self, Edge},
    operations,
    parts::Part,
    readiness::Checks,
    request_id,
    serve::App,
};

type Http = Client<HttpsConnector<HttpConnector>, Body>;

/// A host that takes no connection within this time is passed over.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Connections are kept for less time than the hosts keep theirs.
const KEPT_FOR: Duration = Duration::from_secs(10);

/// RFC 9110 §7.6.1: what concerns one connection only.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// What a sender may have made up about the way that a request came.
const WAY: [HeaderName; 5] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The hosts behind a gateway, each an origin such as `http://10.0.0.5:8080`.
#[derive(Debug, Clone)]
pub struct Upstreams {
    /// They sign people in.
    pub auth: Vec<Uri>,
    /// They serve tickets.
    pub tickets: Vec<Uri>,
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// Nobody is named that does a part of the work.
    #[error("{0} names no host; a gateway alone needs at least one, such as [\"http://10.0.0.5:8080\"]")]
    NoHost(&'static str),
    /// Not an origin.
    #[error("{setting}: {origin:?} is no origin; write scheme, host and port only, such as http://10.0.0.5:8080")]
    NotAnOrigin {
        /// The setting.
        setting: &'static str,
        /// What stands there.
        origin: String,
    },
    /// A host is reached by https, and nothing says whom to trust.
    #[error("{0} is reached by https; gateway.ca_file must name the certificate of its authority")]
    NoAuthority(Uri),
    /// The authority's certificate cannot be used.
    #[error("gateway.ca_file: {0}; it must be a certificate in PEM form")]
    Authority(String),
    /// TLS cannot be set up at all.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] io::Error),
}

/// The way to the hosts that serve what this node does not.
pub struct Gateway {
    edge: Arc<Edge>,
    http: Http,
    pools: Vec<(Part, Pool)>,
    /// How it calls itself in `Via` (RFC 9110 §7.6.3), by which it knows a request that it handed on before.
    name: HeaderValue,
    stop: watch::Receiver<bool>,
}

/// The application of a node that is a gateway and nothing else.
#[must_use]
pub fn gateway(gateway: Arc<Gateway>) -> App {
    let edge = Arc::clone(&gateway.edge);
    let router = Router::new()
        .route("/healthz", get(async || Json(operations::Health::alive())))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/v1/{*resource}", any(hand_on))
        .fallback(hand_on);
    App { router: layers::wrap(router, &edge).with_state(gateway), edge }
}

fn check(setting: &'static str, origin: &Uri, trusted: bool) -> Result<(), GatewayError> {
    let bare = origin.path() == "/" && origin.query().is_none();
    let named = origin.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    match origin.scheme_str() {
        Some("http" | "https") if bare && named => {}
        _ => return Err(GatewayError::NotAnOrigin { setting, origin: origin.to_string() }),
    }
    if origin.scheme_str() == Some("https") && !trusted {
        return Err(GatewayError::NoAuthority(origin.clone()));
    }
    Ok(())
}

fn client(ca_file: Option<&Path>) -> Result<Http, GatewayError> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = ca_file {
        let refuse = |error: &dyn std::fmt::Display| GatewayError::Authority(format!("{}: {error}", file.display()));
        let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for certificate in certificates.map_err(|error| refuse(&error))? {
            roots.add(certificate).map_err(|error| refuse(&error))?;
        }
        if roots.is_empty() {
            return Err(refuse(&"it holds no certificate"));
        }
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(CONNECT_WITHIN));
    connector.set_nodelay(true);
    connector.enforce_http(false);
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(connector);
    let mut builder = Client::builder(TokioExecutor::new());
    Ok(builder.pool_timer(TokioTimer::new()).pool_idle_timeout(KEPT_FOR).build(connector))
}

async fn hand_on(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    // What every node answers for itself has a route of its own.
    let part = Part::of(request.uri().path()).unwrap_or(Part::Auth);
    gateway.pass(part, request).await.unwrap_or_else(IntoResponse::into_response)
}

async fn readyz(State(gateway): State<Arc<Gateway>>) -> Response {
    operations::readiness(gateway.checks(), *gateway.stop.borrow())
}

async fn metrics(State(gateway): State<Arc<Gateway>>, peer: Peer, headers: HeaderMap) -> Result<Response, ApiError> {
    operations::give_metrics(&gateway.edge, peer, &headers)
}

/// A body on its way: one that is held can be sent again.
enum Payload {
    Held(Bytes),
    Streamed(Option<Body>),
}

impl Payload {
    fn take(&mut self) -> Option<Body> {
        match self {
            Self::Held(bytes) => Some(Body::from(bytes.clone())),
            Self::Streamed(body) => body.take(),
        }
    }
}

impl Gateway {
    /// The way to the hosts of these parts. It starts to ask them whether they live: call it within the runtime.
    ///
    /// # Errors
    /// [`GatewayError`] names the setting that is wrong.
    pub fn open(
        edge: Arc<Edge>,
        upstreams: Upstreams,
        parts: &[Part],
        ca_file: Option<&Path>,
        stop: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, GatewayError> {
        let http = client(ca_file)?;
        let Upstreams { auth, tickets } = upstreams;
        let mut pools = Vec::new();
        for (part, setting, origins) in
            [(Part::Auth, "gateway.auth", auth), (Part::Tickets, "gateway.tickets", tickets)]
        {
            if !parts.contains(&part) {
                continue;
            }
            if origins.is_empty() {
                return Err(GatewayError::NoHost(setting));
            }
            origins.iter().try_for_each(|origin| check(setting, origin, ca_file.is_some()))?;
            let pool = Pool::new(origins);
            pool.watch(&http, &stop);
            pools.push((part, pool));
        }
        let name = HeaderValue::try_from(format!("1.1 medreq-{}", Uuid::new_v4().simple()))
            .expect("letters, digits and a blank are a header value");
        Ok(Arc::new(Self { edge, http, pools, name, stop }))
    }

    /// How the hosts of each part stand.
    pub(super) fn checks(&self) -> Checks {
        self.pools.iter().map(|(part, pool)| (part.name(), pool.standing())).collect()
    }

    /// Hands a request to a host of its part, to the next where one does not answer and nothing can happen twice by it.
    pub(super) async fn pass(&self, part: Part, request: Request) -> Result<Response, ApiError> {
        let pool = self.pools.iter().find_map(|(of, pool)| (*of == part).then_some(pool));
        let pool = pool.ok_or_else(|| ApiError::Internal(format!("no host is known for {}", part.name())))?;
        if self.handed_on(request.headers()) {
            let detail = "the hosts of this gateway lead back to it; correct [gateway] of the nodes' configurations";
            return Err(ApiError::Other {
                status: StatusCode::LOOP_DETECTED,
                code: "gateway_loop",
                field: None,
                detail: detail.to_owned(),
            });
        }
        let peer = Peer::of(request.extensions());
        let (mut parts, body) = request.into_parts();
        let repeatable = is_repeatable(&parts);
        // Files of any size pass through; everything else is small, and held so that it can be sent again.
        let mut payload = if parts.uri.path().starts_with("/v1/imports/") {
            Payload::Streamed(Some(body))
        } else {
            Payload::Held(extract::read(body, &self.edge).await?.into())
        };
        prepare(&mut parts, peer);
        parts.headers.append(header::VIA, self.name.clone());
        for host in pool.in_turn() {
            let Some(body) = payload.take() else { break };
            match self.send(host, &parts, body).await {
                Ok(response) => return Ok(hand_back(response)),
                Err(Unanswered::NotSent) => {}
                Err(Unanswered::Unknown) if repeatable => {}
                Err(Unanswered::Unknown) => {
                    let detail = "the host that works on it stopped answering, and it may have acted; look before you \
                                  send it again, and send an Idempotency-Key to be safe";
                    return Err(unavailable("outcome_unknown", detail));
                }
            }
        }
        Err(unavailable("upstream_unavailable", "no host that could answer is reached; try again"))
    }

    /// True of a request that it handed on before. A proxy between may have written several names into one header.
    fn handed_on(&self, headers: &HeaderMap) -> bool {
        let names = headers.get_all(header::VIA).into_iter().flat_map(|way| way.as_bytes().split(|byte| *byte == b','));
        names.map(<[u8]>::trim_ascii).any(|name| name == self.name.as_bytes())
    }

    async fn send(
        &self,
        host: &Host,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<hyper::body::Incoming>, Unanswered> {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = host.uri(&parts.uri).ok_or(Unanswered::NotSent)?;
        *request.version_mut() = Version::HTTP_11;
        request.headers_mut().clone_from(&parts.headers);
        tokio::select! {
            answer = self.http.request(request) => answer.map_err(|error| {
                tracing::warn!(%error, "a host did not answer a request");
                if error.is_connect() {
                    host.failed();
                    Unanswered::NotSent
                } else {
                    Unanswered::Unknown
                }
            }),
            () = host.fails() => Err(Unanswered::Unknown),
        }
    }
}

/// Why a host gave no answer.
enum Unanswered {
    /// It never got the request.
    NotSent,
    /// It may have acted on it.
    Unknown,
}

fn unavailable(code: &'static str, detail: &str) -> ApiError {
    ApiError::Other { status: StatusCode::SERVICE_UNAVAILABLE, code, field: None, detail: detail.to_owned() }
}

/// True where a second time changes nothing: by the method (RFC 9110 §9.2.2), or by a key under which the API does a thing once.
fn is_repeatable(parts: &Parts) -> bool {
    let by_method = [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT].contains(&parts.method);
    by_method || parts.headers.contains_key("idempotency-key")
}

/// Takes away what concerns this connection, and what a sender may have made up; says who asks and under which id.
fn prepare(parts: &mut Parts, peer: Peer) {
    strip_hops(&mut parts.headers);
    parts.headers.remove(header::CONTENT_LENGTH);
    WAY.iter().for_each(|name| drop(parts.headers.remove(name)));
    let mut tell = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            parts.headers.insert(name, value);
        }
    };
    tell(FORWARDED_FOR, peer.0.to_string());
    tell(REQUEST_ID, request_id::current().unwrap_or_default());
}

fn strip_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(',').filter_map(|name| name.trim().parse().ok()))
        .collect();
    HOP_BY_HOP.iter().chain(&named).for_each(|name| drop(headers.remove(name)));
}

fn hand_back(response: Response<hyper::body::Incoming>) -> Response {
    let mut response = response.map(Body::new);
    strip_hops(response.headers_mut());
    *response.version_mut() = Version::HTTP_11;
    response
}
