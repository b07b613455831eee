//! The token endpoint's logic: which grant is asked for, what is issued, and tokens made on the server for a user. There is no password grant.
//!
//! The grants of people stand in `codes.rs`, `refresh.rs` and `device.rs`; the client-credentials grant (RFC 6749 §4.4) here.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

pub use super::forms::TokenRequest;
use super::{
    Auth, Scope, audit, clients,
    forms::Form,
    id_token::{self, IdClaims},
    lives::Lives,
    scopes::{from_record, scopes_of_roles, to_claim, within},
    throttle::Source,
    tokens::{self, ACCESS_TTL, Claims, USER_TOKEN_TTL_MAX},
};
use crate::{
    domain::{actor::UserId, code::Username},
    server::ports::{AuditEntry, Client, Session, StoreError},
};

/// Grants that the token endpoint takes.
pub const GRANT_TYPES: &[&str] = &[AUTHORIZATION_CODE, REFRESH_TOKEN, DEVICE_CODE, CLIENT_CREDENTIALS];

const AUTHORIZATION_CODE: &str = "authorization_code";
const REFRESH_TOKEN: &str = "refresh_token";
const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const CLIENT_CREDENTIALS: &str = "client_credentials";

/// A token that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: SignedDuration,
    /// What it was issued for.
    pub scope: String,
    /// What gets the next one.
    pub refresh_token: Option<String>,
    /// Who signed in, for the app.
    pub id_token: Option<String>,
}

/// Prints nothing of the token.
impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issued").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Why no token was issued (RFC 6749 §5.2). The texts are safe to show.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Malformed: a parameter is doubled or contradicts another.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// A parameter is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Unknown client or wrong secret.
    #[error("client authentication failed; see that client_id and secret are right and the client is enabled")]
    InvalidClient,
    /// The client may not use this grant.
    #[error("this client may not do this; see how it is registered")]
    UnauthorizedClient,
    /// The code or token is unknown, spent or dead, or is another client's.
    #[error("the code or token is not valid any more, or was not given to this client; sign in again")]
    InvalidGrant,
    /// Nobody has decided about the device yet.
    #[error("nobody has approved this device yet; ask again after the interval")]
    AuthorizationPending,
    /// The device asks too often.
    #[error("asked too early; the interval is 5 seconds longer from now on")]
    SlowDown,
    /// The person said no.
    #[error("the person refused")]
    AccessDenied,
    /// The device waited too long.
    #[error("the device code has expired; start again")]
    ExpiredToken,
    /// Another grant than those listed in the metadata.
    #[error("this grant type is not supported; see grant_types_supported in the metadata")]
    UnsupportedGrantType,
    /// More than the client may have.
    #[error("a requested scope is unknown, or more than this client or token may have")]
    InvalidScope,
    /// Too many failures.
    #[error("too many attempts failed; wait before the next one")]
    TooSoon(Duration),
    /// The store or the keys did not answer.
    #[error("the store is not available: {0}")]
    Unavailable(#[from] StoreError),
    /// The signing key does not sign.
    #[error("the token could not be signed")]
    Signing,
}

impl TokenError {
    /// The `error` of the answer; the last three are not of RFC 6749 §5.2, whose list knows no such thing.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) | Self::Missing(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::InvalidGrant => "invalid_grant",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::AccessDenied => "access_denied",
            Self::ExpiredToken => "expired_token",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::TooSoon(_) => "slow_down",
            Self::Unavailable(_) => "temporarily_unavailable",
            Self::Signing => "server_error",
        }
    }
}

/// Why no token was made for a user on the server.
#[derive(Debug, thiserror::Error)]
pub enum UserTokenError {
    /// Nobody of that name.
    #[error("there is no user {0:?}")]
    NoUser(String),
    /// May not act.
    #[error("the user {0:?} is disabled; enable them first")]
    Disabled(String),
    /// Tokens name the server that issues them, which is not known yet.
    #[error("the server has never been started on this data; start it once, then ask again")]
    NeverStarted,
    /// Zero, negative or too long.
    #[error("a token lives from 1 second to 24 hours; choose another --ttl")]
    Ttl,
    /// Could not be issued.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<StoreError> for UserTokenError {
    fn from(error: StoreError) -> Self {
        Self::Token(error.into())
    }
}

/// Whom an access token is about, and how it came to be.
struct Subject<'a> {
    id: UserId,
    name: &'a str,
    generation: u64,
    client_id: &'a str,
    sid: Uuid,
}

impl Auth {
    /// Answers a request to the token endpoint.
    ///
    /// # Errors
    /// [`TokenError`] says which error of RFC 6749 or RFC 8628 to answer.
    pub async fn token(&self, request: TokenRequest<'_>) -> Result<Issued, TokenError> {
        self.token_at(request, super::now()).await
    }

    pub(crate) async fn token_at(&self, request: TokenRequest<'_>, now: Timestamp) -> Result<Issued, TokenError> {
        let form = Form::read(request.body)?;
        let grant = form.require("grant_type")?;
        if !GRANT_TYPES.contains(&grant) {
            return Err(TokenError::UnsupportedGrantType);
        }
        let client = self.client_of(&request, &form).await?;
        if client.service != (grant == CLIENT_CREDENTIALS) {
            return Err(TokenError::UnauthorizedClient);
        }
        let issued = match grant {
            AUTHORIZATION_CODE => self.code_grant(&client, &form, request.source, now).await,
            REFRESH_TOKEN => self.refresh_grant(&client, &form, request.source, now).await,
            DEVICE_CODE => self.device_grant(&client, &form, request.source, now).await,
            _ => self.credentials_grant(&client, &form, request.source).await,
        };
        if matches!(issued, Err(TokenError::InvalidGrant)) {
            self.audit_failure("grant_refused", &client.client_id, request.source, now).await;
        }
        issued
    }

    async fn credentials_grant(&self, client: &Client, form: &Form, source: Source) -> Result<Issued, TokenError> {
        let allowed = from_record(&client.scopes);
        let scope = match form.get("scope") {
            None => to_claim(&allowed),
            Some(requested) => within(requested, &allowed).ok_or(TokenError::InvalidScope)?,
        };
        let subject = Subject {
            id: client.id,
            name: &client.client_id,
            generation: client.generation,
            client_id: &client.client_id,
            sid: Uuid::new_v4(),
        };
        let (issued, entry) = self.signed("token_issued", &subject, scope, ACCESS_TTL, Some(source))?;
        self.store.audit(entry).await?;
        Ok(issued)
    }

    /// Makes a token for a user, with every scope that their roles allow. Only for somebody with a shell on the server: no password is asked.
    ///
    /// # Errors
    /// [`UserTokenError`].
    pub async fn user_token(&self, username: &str, ttl: SignedDuration) -> Result<Issued, UserTokenError> {
        if ttl < SignedDuration::from_secs(1) || ttl > USER_TOKEN_TTL_MAX {
            return Err(UserTokenError::Ttl);
        }
        if self.issuer.is_none() {
            return Err(UserTokenError::NeverStarted);
        }
        let no_user = || UserTokenError::NoUser(username.chars().take(64).collect());
        let name: Username = username.parse().map_err(|_| no_user())?;
        let user = self.store.user(&name).await?.ok_or_else(no_user)?;
        if user.disabled {
            return Err(UserTokenError::Disabled(name.to_string()));
        }
        let subject = Subject {
            id: user.id,
            name: user.username.as_str(),
            generation: user.generation,
            client_id: clients::CLI,
            sid: Uuid::new_v4(),
        };
        let scope = to_claim(&scopes_of_roles(&user.roles));
        let (issued, entry) = self.signed("token_issued", &subject, scope, ttl, None)?;
        self.store.audit(entry).await?;
        Ok(issued)
    }

    /// An access token of a session, with an ID token where its scope asks for one. The entry is written before they are given out.
    pub(super) fn session_tokens(
        &self,
        action: &str,
        session: &Session,
        client: &Client,
        scope: String,
        nonce: Option<&str>,
        source: Source,
    ) -> Result<(Issued, AuditEntry), TokenError> {
        let subject = Subject {
            id: session.sign_in.user,
            name: session.sign_in.username.as_str(),
            generation: session.sign_in.generation,
            client_id: &client.client_id,
            sid: session.sid,
        };
        let scopes = super::scopes::parse_claim(&scope);
        let (mut issued, entry) = self.signed(action, &subject, scope, Lives::of(client).access, Some(source))?;
        if scopes.contains(&Scope::OpenId) {
            let name = self.snapshot.subject(subject.id).map(|authority| authority.name.clone());
            let profile = scopes.contains(&Scope::Profile).then_some(name).flatten();
            let claims = IdClaims::new(self.issuer(), session, profile, nonce, Timestamp::now());
            issued.id_token = Some(id_token::sign(&self.keys, &claims).map_err(|_| TokenError::Signing)?);
        }
        Ok((issued, entry))
    }

    /// A signed token and its audit entry, which must be written before the token is given out: none exists that the audit does not know.
    fn signed(
        &self,
        action: &str,
        subject: &Subject<'_>,
        scope: String,
        ttl: SignedDuration,
        source: Option<Source>,
    ) -> Result<(Issued, AuditEntry), TokenError> {
        let now = Timestamp::now().as_second();
        let claims = Claims {
            iss: self.issuer().to_owned(),
            sub: subject.id.0,
            aud: tokens::audience(self.issuer()),
            exp: now + ttl.as_secs(),
            iat: now,
            nbf: None,
            jti: Uuid::new_v4().to_string(),
            client_id: subject.client_id.to_owned(),
            scope,
            sid: subject.sid,
            generation: subject.generation,
            username: subject.name.to_owned(),
        };
        let access_token = tokens::sign(&self.keys, &claims).map_err(|_| TokenError::Signing)?;
        let detail = json!({
            "client_id": claims.client_id, "scope": claims.scope, "sid": claims.sid, "jti": claims.jti,
            "ttl_seconds": ttl.as_secs(), "source": source.map(|source| source.to_string()),
        });
        let entry = audit::entry(action, Some(subject.client_id), Some(subject.name), detail);
        let issued = Issued { access_token, expires_in: ttl, scope: claims.scope, refresh_token: None, id_token: None };
        Ok((issued, entry))
    }
}
