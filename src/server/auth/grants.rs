//! The token endpoint's logic: the client-credentials grant (RFC 6749 §4.4), and tokens made on the server for a user. There is no password grant.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::{
    Auth, Scope, audit, clients,
    scopes::{from_record, scopes_of_roles, to_claim},
    secrets,
    throttle::Source,
    tokens::{self, ACCESS_TTL, Claims, USER_TOKEN_TTL_MAX},
};
use crate::{
    domain::{actor::UserId, code::Username},
    server::ports::{Client, StoreError},
};

/// A token request as it came in.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The `application/x-www-form-urlencoded` body.
    pub body: &'a [u8],
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Where it came from.
    pub source: Source,
}

/// A token that was issued.
#[derive(Clone, PartialEq, Eq)]
pub struct Issued {
    /// The token.
    pub access_token: String,
    /// How long it lives.
    pub expires_in: SignedDuration,
    /// What it was issued for.
    pub scope: String,
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
    /// Malformed: a parameter is missing, doubled or contradicts another.
    #[error("{0}")]
    InvalidRequest(&'static str),
    /// Unknown client or wrong secret.
    #[error("client authentication failed")]
    InvalidClient,
    /// The client may not use this grant.
    #[error("this client may not use the client credentials grant")]
    UnauthorizedClient,
    /// Another grant than those listed in the metadata.
    #[error("this grant type is not supported; see grant_types_supported in the metadata")]
    UnsupportedGrantType,
    /// More than the client may have.
    #[error("a requested scope is unknown or not granted to this client")]
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
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
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

/// Whom a token is about.
struct Subject<'a> {
    id: UserId,
    name: &'a str,
    generation: u64,
    client_id: &'a str,
}

impl Auth {
    /// Answers a request to the token endpoint.
    ///
    /// # Errors
    /// [`TokenError`] says which error of RFC 6749 to answer.
    pub async fn token(&self, request: TokenRequest<'_>) -> Result<Issued, TokenError> {
        let parameters = parameters(request.body)?;
        let grant = parameters.get("grant_type").ok_or(TokenError::InvalidRequest("grant_type is missing"))?;
        if grant != "client_credentials" {
            return Err(TokenError::UnsupportedGrantType);
        }
        let (client_id, secret) = credentials(request.authorization, &parameters)?;
        let client = self.authenticate_client(&client_id, &secret, request.source).await?;
        if !client.service {
            return Err(TokenError::UnauthorizedClient);
        }
        let scope = granted(&client, parameters.get("scope").map(String::as_str))?;
        let subject = Subject {
            id: client.id,
            name: &client.client_id,
            generation: client.generation,
            client_id: &client.client_id,
        };
        self.issue(&subject, scope, ACCESS_TTL, Some(request.source)).await
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
        let subject =
            Subject { id: user.id, name: user.username.as_str(), generation: user.generation, client_id: clients::CLI };
        Ok(self.issue(&subject, to_claim(&scopes_of_roles(&user.roles)), ttl, None).await?)
    }

    async fn issue(
        &self,
        subject: &Subject<'_>,
        scope: String,
        ttl: SignedDuration,
        source: Option<Source>,
    ) -> Result<Issued, TokenError> {
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
            sid: Uuid::new_v4().to_string(),
            generation: subject.generation,
            username: subject.name.to_owned(),
        };
        let access_token = tokens::sign(&self.keys, &claims).map_err(|_| TokenError::Signing)?;
        let detail = json!({
            "client_id": claims.client_id, "scope": claims.scope, "jti": claims.jti, "ttl_seconds": ttl.as_secs(),
            "source": source.map(|source| source.to_string()),
        });
        // Written before the token is given out: none exists that the audit does not know.
        self.store.audit(audit::entry("token_issued", Some(subject.client_id), Some(subject.name), detail)).await?;
        Ok(Issued { access_token, expires_in: ttl, scope: claims.scope })
    }

    async fn authenticate_client(&self, client_id: &str, secret: &str, source: Source) -> Result<Client, TokenError> {
        let now = Timestamp::now();
        // A prefix that no username can have keeps the two sorts of names apart.
        let account: String = format!("client:{client_id}").chars().take(100).collect();
        self.throttle.begin(&account, source, now).map_err(|wait| TokenError::TooSoon(wait.0))?;
        let client = self.store.client(client_id).await?;
        let right = secrets::matches(secret, client.as_ref().and_then(|client| client.secret_hash.as_deref()));
        match client {
            Some(client) if right && !client.disabled => {
                self.throttle.succeeded(&account, source);
                Ok(client)
            }
            _ => {
                self.audit_failure("client_authentication_failed", client_id, source, now).await;
                Err(TokenError::InvalidClient)
            }
        }
    }
}

fn parameters(body: &[u8]) -> Result<BTreeMap<String, String>, TokenError> {
    let mut parameters = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(body) {
        // RFC 6749 §3.2: a parameter without a value is as if it had been left out, none may come twice.
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(TokenError::InvalidRequest("a parameter is given more than once"));
        }
    }
    parameters.retain(|_, value| !value.is_empty());
    Ok(parameters)
}

/// `client_secret_basic` or `client_secret_post`, never both (RFC 6749 §2.3).
fn credentials(
    authorization: Option<&str>,
    parameters: &BTreeMap<String, String>,
) -> Result<(String, String), TokenError> {
    let (posted_id, posted_secret) = (parameters.get("client_id"), parameters.get("client_secret"));
    match (authorization, posted_id, posted_secret) {
        (Some(_), _, Some(_)) => {
            Err(TokenError::InvalidRequest("client credentials are given twice, in header and body"))
        }
        (Some(header), posted_id, None) => {
            let (id, secret) = basic(header).ok_or(TokenError::InvalidClient)?;
            match posted_id {
                Some(posted) if *posted != id => {
                    Err(TokenError::InvalidRequest("client_id in the body differs from the one in the header"))
                }
                _ => Ok((id, secret)),
            }
        }
        (None, Some(id), Some(secret)) => Ok((id.clone(), secret.clone())),
        (None, ..) => Err(TokenError::InvalidClient),
    }
}

fn basic(header: &str) -> Option<(String, String)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((form_decode(id), form_decode(secret)))
}

/// Both parts of `client_secret_basic` are form-urlencoded before they are joined (RFC 6749 §2.3.1).
fn form_decode(part: &str) -> String {
    let lone = format!("v={}", part.replace('&', "%26"));
    form_urlencoded::parse(lone.as_bytes()).map(|(_, value)| value.into_owned()).next().unwrap_or_default()
}

/// The requested scopes in the order they were asked for, or all that the client has.
fn granted(client: &Client, requested: Option<&str>) -> Result<String, TokenError> {
    let allowed = from_record(&client.scopes);
    let Some(requested) = requested else { return Ok(to_claim(&allowed)) };
    let mut scopes: Vec<Scope> = Vec::new();
    for word in requested.split(' ').filter(|word| !word.is_empty()) {
        let scope = word.parse().map_err(|_| TokenError::InvalidScope)?;
        if !allowed.contains(&scope) {
            return Err(TokenError::InvalidScope);
        }
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Ok(to_claim(&scopes))
}
