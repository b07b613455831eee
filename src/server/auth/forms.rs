//! Forms of the OAuth2 endpoints: their parameters, and the client that sends one. Keeps no secret and says never whether a client exists.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use super::{Auth, grants::TokenError, secrets, throttle::Source};
use crate::server::ports::Client;

/// A form as it came in.
#[derive(Debug, Clone, Copy)]
pub struct TokenRequest<'a> {
    /// The `application/x-www-form-urlencoded` body.
    pub body: &'a [u8],
    /// The `Authorization` header.
    pub authorization: Option<&'a str>,
    /// Where it came from.
    pub source: Source,
}

/// Parameters of a form or query; one without a value is as if it had been left out (RFC 6749 §3.1, §3.2).
pub(super) struct Parameters {
    values: BTreeMap<String, String>,
    doubled: BTreeSet<String>,
}

impl Parameters {
    pub(super) fn read(encoded: &[u8]) -> Self {
        let mut parameters = Self { values: BTreeMap::new(), doubled: BTreeSet::new() };
        for (name, value) in form_urlencoded::parse(encoded) {
            if parameters.values.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                parameters.doubled.insert(name.into_owned());
            }
        }
        parameters.values.retain(|_, value| !value.is_empty());
        parameters
    }

    /// True where each was given once, as it must be.
    pub(super) fn are_single(&self) -> bool {
        self.doubled.is_empty()
    }

    /// A parameter that was given once.
    pub(super) fn once(&self, name: &str) -> Option<&str> {
        if self.doubled.contains(name) { None } else { self.values.get(name).map(String::as_str) }
    }
}

/// The parameters of a form, each given once.
pub(super) struct Form(Parameters);

impl Form {
    pub(super) fn read(body: &[u8]) -> Result<Self, TokenError> {
        let parameters = Parameters::read(body);
        if parameters.are_single() {
            Ok(Self(parameters))
        } else {
            Err(TokenError::InvalidRequest("a parameter is given more than once"))
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.once(name)
    }

    pub(super) fn require(&self, name: &'static str) -> Result<&str, TokenError> {
        self.get(name).ok_or(TokenError::Missing(name))
    }
}

impl Auth {
    /// The enabled client that sends a form: one with a secret proves it, a public one only says who it is.
    pub(super) async fn client_of(&self, request: &TokenRequest<'_>, form: &Form) -> Result<Client, TokenError> {
        let (client_id, secret) = credentials(request.authorization, form)?;
        match secret {
            Some(secret) => self.authenticate_client(&client_id, &secret, request.source).await,
            None => {
                let client = self.store.client(&client_id).await?;
                let public = client.filter(|client| client.secret_hash.is_none() && !client.disabled);
                public.ok_or(TokenError::InvalidClient)
            }
        }
    }

    async fn authenticate_client(&self, client_id: &str, secret: &str, source: Source) -> Result<Client, TokenError> {
        let now = Timestamp::now();
        // A prefix that no username can have keeps the two sorts of names apart.
        let account: String = format!("client:{client_id}").chars().take(100).collect();
        let client = self.store.client(client_id).await?.filter(|client| !client.disabled);
        let hash = client.as_ref().and_then(|client| client.secret_hash.as_deref());
        let judged = self.throttle.judge(&account, source, now, || secrets::matches(secret, hash));
        let right = self.admitted(judged, &account, source, now).await.map_err(TokenError::TooSoon)?;
        match client {
            Some(client) if right => Ok(client),
            _ => {
                self.audit_failure("client_authentication_failed", client_id, source, now).await;
                Err(TokenError::InvalidClient)
            }
        }
    }
}

/// `client_secret_basic`, `client_secret_post` or `none`, never two of them (RFC 6749 §2.3). An empty secret is none.
fn credentials(authorization: Option<&str>, form: &Form) -> Result<(String, Option<String>), TokenError> {
    let (posted_id, posted_secret) = (form.get("client_id"), form.get("client_secret"));
    let Some(header) = authorization else {
        let id = posted_id.ok_or(TokenError::InvalidClient)?;
        return Ok((id.to_owned(), posted_secret.map(str::to_owned)));
    };
    if posted_secret.is_some() {
        return Err(TokenError::InvalidRequest("client credentials are given twice, in header and body"));
    }
    let (id, secret) = basic(header).ok_or(TokenError::InvalidClient)?;
    if posted_id.is_some_and(|posted| posted != id) {
        return Err(TokenError::InvalidRequest("client_id in the body differs from the one in the header"));
    }
    Ok((id, Some(secret).filter(|secret| !secret.is_empty())))
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
