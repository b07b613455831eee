//! Who is who: users, clients, passwords, keys, tokens and the authority snapshot. Names no HTTP status and knows nothing of tickets.
//!
//! A token says who somebody was when it was issued; what they may do now is read from the snapshot at every request.

pub mod accounts;
mod audit;
pub mod authorize;
pub mod bootstrap;
pub mod clients;
mod codes;
pub mod device;
pub mod discovery;
#[cfg(test)]
mod fake;
mod forms;
pub mod grants;
mod id_token;
pub mod imports;
pub mod introspect;
pub mod issuer;
pub mod keys;
mod lives;
pub mod passwords;
pub mod policy;
pub(in crate::server) mod redirect;
mod refresh;
pub mod resets;
pub mod scopes;
pub mod second_factor;
pub mod secrets;
pub mod sessions;
pub mod signin;
mod snapshot;
pub mod throttle;
pub mod tokens;
pub mod users;

use std::{
    collections::BTreeSet,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::{sync::watch, task::JoinHandle};
use uuid::Uuid;

pub(in crate::server) use self::snapshot::REFRESH_EVERY;
use self::{
    audit::FailureBudget,
    keys::KeyRing,
    passwords::Passwords,
    scopes::scopes_of_roles,
    snapshot::Snapshot,
    throttle::Throttle,
    tokens::{BadToken, VerifiedTokens},
};
pub use self::{issuer::PublicUrl, scopes::Scope};
use crate::{
    domain::{
        actor::{Actor, Person, UserId},
        code::Username,
    },
    server::ports::{Authority, IdentityStore, SessionStore, StoreError},
};

/// Why authentication could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum AuthStartError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A signing key could not be made or read.
    #[error("{0}")]
    Key(&'static str),
    /// The public URL is not one that can be an issuer.
    #[error(transparent)]
    PublicUrl(#[from] issuer::InvalidPublicUrl),
}

/// Why a request is not let through. The texts are safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No token at all.
    #[error("this needs an access token; send it as `Authorization: Bearer …`")]
    MissingToken,
    /// Not a token of ours, or one that is dead.
    #[error("the access token is not valid; get a new one")]
    InvalidToken,
    /// Its time is over.
    #[error("the access token has expired; get a new one")]
    TokenExpired,
    /// Not enough for this.
    #[error("the access token lacks the scope {0}; get one for it, or ask an administrator whether you may")]
    InsufficientScope(Scope),
    /// Only a service account with `tickets:delegate` may say for whom it acts.
    #[error("only a service account with the scope tickets:delegate may act on behalf of a user")]
    DelegationNotAllowed,
    /// Nobody of that name may act.
    #[error("the user named in X-On-Behalf-Of does not exist or is disabled; name one who may act")]
    UnknownOnBehalfOf,
}

impl AuthError {
    /// The stable code of problem documents.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::MissingToken => "missing_token",
            Self::InvalidToken => "invalid_token",
            Self::TokenExpired => "token_expired",
            Self::InsufficientScope(_) => "insufficient_scope",
            Self::DelegationNotAllowed => "delegation_not_allowed",
            Self::UnknownOnBehalfOf => "unknown_on_behalf_of",
        }
    }

    /// The `WWW-Authenticate` challenge (RFC 6750 §3); `None` where a better token would not help.
    #[must_use]
    pub fn challenge(self) -> Option<String> {
        let realm = "Bearer realm=\"medreq\"";
        match self {
            Self::MissingToken => Some(realm.to_owned()),
            Self::InvalidToken => Some(format!("{realm}, error=\"invalid_token\"")),
            Self::TokenExpired => {
                Some(format!("{realm}, error=\"invalid_token\", error_description=\"the token has expired\""))
            }
            Self::InsufficientScope(scope) => Some(format!("{realm}, error=\"insufficient_scope\", scope=\"{scope}\"")),
            Self::DelegationNotAllowed => {
                Some(format!("{realm}, error=\"insufficient_scope\", scope=\"{}\"", Scope::TicketsDelegate))
            }
            Self::UnknownOnBehalfOf => None,
        }
    }

    /// True where the caller is not known (401), false where the caller is known and may not (403).
    #[must_use]
    pub fn is_unauthenticated(self) -> bool {
        matches!(self, Self::MissingToken | Self::InvalidToken | Self::TokenExpired)
    }
}

/// Who sends a request, and what they may do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// As the domain sees them.
    pub actor: Actor,
    /// What the token may be used for, by the authority in force.
    pub scopes: BTreeSet<Scope>,
    /// The client that the token was issued to.
    pub client_id: String,
    /// Whose authority it is: the user's, also where a service acts for them.
    pub subject: UserId,
    /// The session that the token belongs to.
    pub sid: Uuid,
    /// Streams end then at the latest.
    pub token_expires_at: Timestamp,
    /// The token is a service account's.
    pub service: bool,
    /// A service account acts for a user.
    pub delegated: bool,
}

impl Principal {
    /// Passes where the scope is held.
    ///
    /// # Errors
    /// [`AuthError::InsufficientScope`].
    pub fn require(&self, scope: Scope) -> Result<(), AuthError> {
        if self.scopes.contains(&scope) { Ok(()) } else { Err(AuthError::InsufficientScope(scope)) }
    }
}

/// The authentication service of one node.
pub struct Auth {
    store: Arc<dyn IdentityStore>,
    sessions: Arc<dyn SessionStore>,
    /// `None` only beside a store whose server was never started.
    issuer: Option<String>,
    /// Where this node is reached now; endpoints in the metadata follow it, the issuer does not.
    endpoints: RwLock<String>,
    keys: KeyRing,
    keys_reloaded: tokio::sync::Mutex<Instant>,
    snapshot: Snapshot,
    verified: VerifiedTokens,
    passwords: Passwords,
    throttle: Throttle,
    failures: FailureBudget,
    /// Of attempts that came too soon.
    held_back: FailureBudget,
    /// Held over reads and writes of users and clients, so that no two changes of this node cross.
    changes: tokio::sync::Mutex<()>,
}

/// The present, to the millisecond: what stores keep and the wire shows.
fn now() -> Timestamp {
    Timestamp::from_millisecond(Timestamp::now().as_millisecond()).expect("the present is in range")
}

/// Keys that nobody knows have the store asked again, but not more often than this: anybody may send such tokens.
const KEYS_AGAIN: Duration = Duration::from_secs(1);

/// Sessions, codes and tokens that are long over are forgotten so often.
const FORGET_EVERY: Duration = Duration::from_secs(3_600);

/// A key that another node dropped is believed here no longer than this.
const KEYS_AGAIN_AT_LATEST: Duration = Duration::from_secs(5);

impl Auth {
    /// Opens it over a store: fixes the issuer at the first start, makes the first key and the built-in clients.
    ///
    /// # Errors
    /// [`AuthStartError`] says what stands in the way.
    pub async fn open(
        store: Arc<dyn IdentityStore>,
        sessions: Arc<dyn SessionStore>,
        url: &PublicUrl,
    ) -> Result<Arc<Self>, AuthStartError> {
        let issuer = store.fix_setting("issuer", url.as_str()).await?;
        clients::ensure_builtin(store.as_ref()).await?;
        Self::over(store, sessions, Some(issuer), url.as_str()).await
    }

    /// Opens it for a verb on the server itself, beside a running server or before its first start, whose issuer it leaves to be fixed.
    ///
    /// # Errors
    /// [`AuthStartError`] says what stands in the way.
    pub async fn beside(
        store: Arc<dyn IdentityStore>,
        sessions: Arc<dyn SessionStore>,
    ) -> Result<Arc<Self>, AuthStartError> {
        let issuer = store.setting("issuer").await?;
        Self::over(store, sessions, issuer.clone(), issuer.as_deref().unwrap_or_default()).await
    }

    async fn over(
        store: Arc<dyn IdentityStore>,
        sessions: Arc<dyn SessionStore>,
        issuer: Option<String>,
        endpoints: &str,
    ) -> Result<Arc<Self>, AuthStartError> {
        let keys = KeyRing::open(store.as_ref(), Timestamp::now()).await?;
        let snapshot = Snapshot::open(store.as_ref(), sessions.as_ref()).await?;
        Ok(Arc::new(Self {
            store,
            sessions,
            issuer,
            endpoints: RwLock::new(endpoints.to_owned()),
            keys,
            keys_reloaded: tokio::sync::Mutex::new(Instant::now()),
            snapshot,
            verified: VerifiedTokens::default(),
            passwords: Passwords::default(),
            throttle: Throttle::default(),
            failures: FailureBudget::default(),
            held_back: FailureBudget::default(),
            changes: tokio::sync::Mutex::new(()),
        }))
    }

    /// Keeps the snapshot fresh and the keys in order until told to stop.
    pub fn spawn_refresh(self: &Arc<Self>, stop: watch::Receiver<bool>) -> JoinHandle<()> {
        let auth = Arc::clone(self);
        tokio::spawn(async move {
            // Side by side: a key takes long to make, and what is revoked meanwhile must be dead in time.
            tokio::join!(
                repeat(REFRESH_EVERY, stop.clone(), || auth.refresh()),
                repeat(KEYS_AGAIN_AT_LATEST, stop.clone(), || auth.reload_keys(Timestamp::now())),
                repeat(KEYS_AGAIN_AT_LATEST, stop.clone(), || auth.tend_keys()),
                repeat(FORGET_EVERY, stop, || auth.forget_ended()),
            );
        })
    }

    async fn forget_ended(&self) {
        if let Err(error) = self.sessions.forget_ended(now()).await {
            tracing::warn!(%error, "what is long over could not be forgotten; it is tried again");
        }
    }

    /// Reads the snapshot again; a store that cannot be reached leaves the last one in force.
    pub async fn refresh(&self) {
        if let Err(error) = self.snapshot.refresh(self.store.as_ref(), self.sessions.as_ref()).await {
            tracing::warn!(%error, "the authority snapshot could not be read; the last one stays in force");
        }
    }

    /// The issuer, fixed for ever; empty only beside a store whose server was never started.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.issuer.as_deref().unwrap_or_default()
    }

    /// Where the endpoints are reached now.
    #[must_use]
    pub fn endpoints(&self) -> String {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says where the endpoints are reached, once the listener is bound.
    pub fn set_endpoints(&self, url: &PublicUrl) {
        url.as_str().clone_into(&mut self.endpoints.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Who sends this token, and with what authority; `on_behalf_of` is the content of `X-On-Behalf-Of`.
    ///
    /// # Errors
    /// [`AuthError`] says why the request is not let through.
    pub async fn authenticate(&self, token: &str, on_behalf_of: Option<&str>) -> Result<Principal, AuthError> {
        self.authenticate_at(token, on_behalf_of, Timestamp::now()).await
    }

    async fn authenticate_at(
        &self,
        token: &str,
        on_behalf_of: Option<&str>,
        now: Timestamp,
    ) -> Result<Principal, AuthError> {
        let claims = self.verify(token, now).await?;
        let authority = self.living_subject(&claims).await?;
        let mut may = scopes_now(&authority);
        if let Some(app) = self.snapshot.app(&claims.client_id) {
            if app.disabled || claims.iat <= app.valid_from.as_second() {
                return Err(AuthError::InvalidToken);
            }
            may.retain(|scope| app.scopes.contains(scope));
        }
        let scopes: BTreeSet<Scope> = scopes::parse_claim(&claims.scope).intersection(&may).copied().collect();
        let service = authority.scopes.is_some();
        let own = Principal {
            actor: actor_of(&authority, &claims.client_id, false)?,
            scopes,
            client_id: claims.client_id.clone(),
            subject: authority.id,
            sid: claims.sid,
            token_expires_at: Timestamp::from_second(claims.exp).map_err(|_| AuthError::InvalidToken)?,
            service,
            delegated: false,
        };
        match on_behalf_of {
            None => Ok(own),
            Some(username) => self.delegate(own, username).await,
        }
    }

    async fn verify(&self, token: &str, now: Timestamp) -> Result<Arc<tokens::Claims>, AuthError> {
        match self.verified.verify(&self.keys, self.issuer(), token, now) {
            Err(BadToken::UnknownKey) => {
                self.reload_keys(now).await;
                Ok(self.verified.verify(&self.keys, self.issuer(), token, now)?)
            }
            other => Ok(other?),
        }
    }

    async fn reload_keys(&self, now: Timestamp) {
        let mut reloaded = self.keys_reloaded.lock().await;
        if reloaded.elapsed() >= KEYS_AGAIN {
            *reloaded = Instant::now();
            self.read_keys_again(now).await;
        }
    }

    async fn read_keys_again(&self, now: Timestamp) {
        match self.keys.reload(self.store.as_ref(), now).await {
            Ok(true) => self.verified.forget(),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "the signing keys could not be read"),
        }
    }

    async fn tend_keys(&self) {
        // What another node made meanwhile is not made again.
        self.reload_keys(Timestamp::now()).await;
        if let Err(error) = self.keys.tend(self.store.as_ref(), now()).await {
            tracing::warn!(%error, "the signing keys could not be replaced; those in force stay");
        }
    }

    /// The subject of a token that is still alive by the snapshot. A token that is newer than the snapshot has it read again.
    async fn living_subject(&self, claims: &tokens::Claims) -> Result<Arc<Authority>, AuthError> {
        let id = UserId(claims.sub);
        let known = self.snapshot.subject(id).filter(|authority| authority.generation >= claims.generation);
        let authority = match known {
            Some(authority) => authority,
            None => {
                self.refresh().await;
                self.snapshot.subject(id).ok_or(AuthError::InvalidToken)?
            }
        };
        if authority.disabled || authority.generation != claims.generation || self.snapshot.has_ended(claims.sid) {
            return Err(AuthError::InvalidToken);
        }
        Ok(authority)
    }

    async fn delegate(&self, service: Principal, username: &str) -> Result<Principal, AuthError> {
        if !service.service || !service.scopes.contains(&Scope::TicketsDelegate) {
            return Err(AuthError::DelegationNotAllowed);
        }
        let username: Username = username.parse().map_err(|_| AuthError::UnknownOnBehalfOf)?;
        let user = match self.snapshot.user(&username) {
            Some(user) => user,
            None => {
                self.refresh().await;
                self.snapshot.user(&username).ok_or(AuthError::UnknownOnBehalfOf)?
            }
        };
        if user.disabled {
            return Err(AuthError::UnknownOnBehalfOf);
        }
        Ok(Principal {
            actor: actor_of(&user, &service.client_id, true)?,
            scopes: service.scopes.intersection(&scopes_of_roles(&user.roles)).copied().collect(),
            subject: user.id,
            delegated: true,
            ..service
        })
    }
}

/// Does something now and then again and again, until told to stop.
async fn repeat<F: Future<Output = ()>>(every: Duration, mut stop: watch::Receiver<bool>, mut work: impl FnMut() -> F) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !*stop.borrow() {
        tokio::select! {
            _ = ticks.tick() => work().await,
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
}

fn scopes_now(authority: &Authority) -> BTreeSet<Scope> {
    authority.scopes.as_ref().map_or_else(|| scopes_of_roles(&authority.roles), scopes::from_record)
}

fn actor_of(authority: &Authority, client_id: &str, delegated: bool) -> Result<Actor, AuthError> {
    let username = authority.username.parse().map_err(|_| AuthError::InvalidToken)?;
    Ok(Actor {
        person: Person { id: authority.id, username, name: authority.name.clone() },
        roles: authority.roles.clone(),
        wards: authority.wards.clone(),
        pharmacies: authority.pharmacies.clone(),
        client_id: client_id.to_owned(),
        delegated,
    })
}

#[cfg(test)]
mod clients_tests;
#[cfg(test)]
mod resets_tests;
#[cfg(test)]
mod second_factor_tests;
#[cfg(test)]
mod sqlite_tests;
#[cfg(test)]
mod tests;
