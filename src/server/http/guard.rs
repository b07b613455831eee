//! The gate: what an operation's documentation asks of a token is asked here, before any extractor runs. It lets nothing else pass.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Peer},
    live::Session,
    openapi,
    peers::Places,
    rate::Rate,
};
use crate::{
    api::ON_BEHALF_OF,
    domain::actor::UserId,
    server::auth::{AuthError, Principal, Scope, throttle::Source},
};

const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What an operation asks of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access {
    /// Nothing.
    Open,
    /// A token with all these scopes.
    Scopes(Vec<Scope>),
    /// The same, or a single-use ticket that stands for such a token.
    Stream(Vec<Scope>),
}

/// Devices of one address that may ask for a code: each is written down, in a log that nobody may cut, before anybody is known.
const DEVICES_AT_ONCE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);
const DEVICE_EVERY: Duration = Duration::from_secs(10);

/// The operations with what they ask, read from their documentation.
pub(super) struct Guard {
    access: HashMap<String, HashMap<Method, Access>>,
    strangers: Rate<Source>,
    devices: Rate<Source>,
    callers: Rate<(UserId, String)>,
    open: Semaphore,
    held: Places,
    state: AppState,
}

impl Guard {
    /// Reads the document.
    pub(super) fn new(document: &Value, state: AppState) -> Self {
        let mut access = HashMap::<String, HashMap<Method, Access>>::new();
        for (path, method, operation) in openapi::operations(document) {
            access.entry(path.to_owned()).or_default().insert(method, access_of(operation));
        }
        let limits = state.edge.limits();
        let strangers = Rate::new(limits.open_burst, Duration::from_secs(1) / limits.open_per_second.get());
        let devices = Rate::new(DEVICES_AT_ONCE, DEVICE_EVERY);
        let callers = Rate::new(limits.caller_burst, Duration::from_secs(1) / limits.caller_per_second.get());
        let (open, held) = (Semaphore::new(limits.open_requests_at_once), Places::default());
        Self { access, strangers, devices, callers, open, held, state }
    }

    fn of(&self, request: &Request) -> Option<&Access> {
        let path = request.extensions().get::<MatchedPath>()?.as_str();
        // What is no operation is a page, for anybody.
        let Some(methods) = self.access.get(path) else { return Some(&Access::Open) };
        // A HEAD is answered by the handler of GET.
        let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
        methods.get(method)
    }

    /// Passes a caller who does not ask too often. A person's apps each have a rate, so that none takes the console's.
    fn within_rate(&self, principal: Principal) -> Result<Principal, ApiError> {
        let taken = self.callers.take((principal.subject, principal.client_id.clone()), Instant::now());
        taken.map(|()| principal).map_err(|retry_after| ApiError::Busy { client: true, retry_after })
    }

    /// Lets a stranger in for the time of their answer, within their share of the places and of the time.
    async fn admit_stranger(&self, request: Request, next: Next) -> Response {
        if is_watching(&request) {
            return next.run(request).await;
        }
        let source = Peer::of(request.extensions()).source();
        let busy = |client, retry_after| ApiError::Busy { client, retry_after }.into_response();
        let now = Instant::now();
        let starts_a_device = request.uri().path() == "/oauth2/device_authorization";
        let taken = self.strangers.take(source, now);
        if let Err(retry_after) =
            taken.and_then(|()| if starts_a_device { self.devices.take(source, now) } else { Ok(()) })
        {
            return busy(true, retry_after);
        }
        let Some(_own) = self.held.take(source, self.state.edge.limits().open_requests_per_address) else {
            return busy(true, AGAIN_AFTER);
        };
        let Ok(_place) = self.open.try_acquire() else { return busy(false, AGAIN_AFTER) };
        next.run(request).await
    }
}

/// True of what those ask who watch over the server: a probe must be held back neither by strangers nor by load. It needs no place among the
/// requests, since nobody can make work by it: two of the three answer at once, and `/readyz` is worked out once for all who ask.
pub(super) fn is_watching(request: &Request) -> bool {
    matches!(request.uri().path(), "/healthz" | "/readyz" | "/metrics")
}

fn access_of(operation: &Value) -> Access {
    let known = |name: String| name.parse().unwrap_or_else(|error| panic!("a documented scope: {error}"));
    match openapi::scopes_of(operation) {
        None => Access::Open,
        Some(scopes) => {
            let scopes = scopes.into_iter().map(known).collect();
            if openapi::takes_stream_ticket(operation) { Access::Stream(scopes) } else { Access::Scopes(scopes) }
        }
    }
}

/// Lets a request pass to its operation: 401 where nobody is known, 403 where a scope is missing, 429 where a stranger asks too often.
pub(super) async fn authenticate(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    let admitted = match guard.of(&request) {
        None => return next.run(request).await,
        Some(Access::Open) => return guard.admit_stranger(request, next).await,
        Some(Access::Scopes(scopes)) => admit(&guard.state, request.headers(), scopes).await,
        Some(Access::Stream(scopes)) => match by_ticket(&guard.state, &request) {
            None => admit(&guard.state, request.headers(), scopes).await,
            Some(Err(error)) => Err(error.into()),
            Some(Ok(session)) => {
                let admitted = admit_session(&guard.state, &session, scopes).await;
                request.extensions_mut().insert(session);
                admitted
            }
        },
    };
    match admitted.and_then(|principal| guard.within_rate(principal)) {
        Ok(principal) => {
            request.extensions_mut().insert(Caller(principal));
            next.run(request).await
        }
        Err(error) => error.into_response(),
    }
}

async fn admit(state: &AppState, headers: &HeaderMap, scopes: &[Scope]) -> Result<Principal, ApiError> {
    let principal = state.auth.authenticate(bearer(headers)?, on_behalf_of(headers)?).await?;
    scopes.iter().try_for_each(|scope| principal.require(*scope))?;
    Ok(principal)
}

async fn admit_session(state: &AppState, session: &Session, scopes: &[Scope]) -> Result<Principal, ApiError> {
    let principal = session.authenticate(state).await?;
    scopes.iter().try_for_each(|scope| principal.require(*scope))?;
    Ok(principal)
}

/// The session behind `?ticket=`, where there is one and no token; a ticket that is unknown, used or too old is no valid token.
fn by_ticket(state: &AppState, request: &Request) -> Option<Result<Session, AuthError>> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        return None;
    }
    let query = request.uri().query()?;
    let (_, ticket) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket")?;
    Some(state.stream_tickets().take(&ticket).ok_or(AuthError::InvalidToken))
}

/// The access token of a request.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(AuthError::MissingToken)?;
    let text = value.to_str().map_err(|_| AuthError::InvalidToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(AuthError::MissingToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(AuthError::MissingToken) }
}

/// For whom a service acts. Names are UTF-8, which HTTP's own text type refuses.
pub(super) fn on_behalf_of(headers: &HeaderMap) -> Result<Option<&str>, AuthError> {
    let Some(value) = headers.get(ON_BEHALF_OF) else { return Ok(None) };
    std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| AuthError::UnknownOnBehalfOf)
}
