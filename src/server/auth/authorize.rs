//! The authorization endpoint's logic (RFC 6749 §4.1, RFC 7636, RFC 9207): what an app may ask for, and the answers it is sent. Draws no page.
//!
//! What is wrong with client or address is told to the person, never sent to the address; everything else is sent back to the app.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Auth, Scope, audit,
    forms::Parameters,
    lives, redirect,
    scopes::{from_record, to_claim, within},
    secrets::Secret,
};
use crate::server::ports::{Client, CodeGrant, Session, StoreError, StoreResult};

/// A sign-in this young answers `prompt=login`: it was made for the app that sent its person.
pub const JUST_NOW: SignedDuration = SignedDuration::from_secs(60);

/// Longest `nonce`, in bytes: it is kept until the code is redeemed.
const NONCE_MAX: usize = 512;

/// What an app asks of a person, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationRequest {
    /// The app.
    pub client: Client,
    /// Where the answer goes, exactly as asked for.
    pub redirect_uri: String,
    /// Scopes as asked for, each once; all that the app may have, `offline_access` aside, where it did not say.
    ///
    /// They are granted as asked for: at each request counts only what the person's roles allow then.
    pub scope: String,
    /// The app's own, given back to it.
    pub state: Option<String>,
    /// For the ID token.
    pub nonce: Option<String>,
    /// S256 of the app's verifier.
    pub code_challenge: String,
    /// `prompt=none`: nobody may be shown a page; answer `login_required` or `consent_required` where one is needed.
    pub silent: bool,
    /// `prompt=login`: the person signs in anew.
    pub sign_in_anew: bool,
    /// `prompt=consent`: the person is asked even if they said yes before.
    pub ask_consent: bool,
    /// Oldest sign-in that will do, in seconds.
    pub max_age: Option<u32>,
    /// Who the app thinks it is, to be filled in for them.
    pub login_hint: Option<String>,
}

impl AuthorizationRequest {
    /// The scopes asked for.
    #[must_use]
    pub fn scopes(&self) -> BTreeSet<Scope> {
        super::scopes::parse_claim(&self.scope)
    }

    /// True where this sign-in is young enough for what the app asks; else the person signs in again.
    #[must_use]
    pub fn is_answered_by(&self, session: &Session, now: Timestamp) -> bool {
        let age = now.duration_since(session.sign_in.at);
        let young = !self.sign_in_anew || age <= JUST_NOW;
        young && self.max_age.is_none_or(|seconds| age <= SignedDuration::from_secs(seconds.into()).max(JUST_NOW))
    }
}

/// Why nothing can be asked of a person.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// For the person's eyes (400): there is no address that may be told.
    #[error(transparent)]
    Page(#[from] PageError),
    /// For the app: send the browser there.
    #[error("the app is told {error}")]
    Redirect {
        /// Where to, with the error in it.
        location: String,
        /// The error of RFC 6749 §4.1.2.1 or OpenID Connect Core §3.1.2.6.
        error: &'static str,
    },
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is wrong with the app or its address. The texts are safe to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// `client_id` is missing, given twice, unknown or disabled.
    #[error("this app is not known here, or it was disabled")]
    UnknownApp,
    /// `redirect_uri` is missing, given twice or not one of the app's.
    #[error("the app asked to be answered at an address that is not registered for it")]
    UnknownAddress,
}

impl Auth {
    /// Reads the query (or form) of a request to the authorization endpoint.
    ///
    /// # Errors
    /// [`AuthorizeError`] says who is told, and what.
    pub async fn authorization_request(&self, query: &[u8]) -> Result<AuthorizationRequest, AuthorizeError> {
        let parameters = Parameters::read(query);
        let client_id = parameters.once("client_id").ok_or(PageError::UnknownApp)?;
        let client = self.store.client(client_id).await?.filter(|client| !client.disabled && !client.service);
        let client = client.ok_or(PageError::UnknownApp)?;
        let redirect_uri = parameters.once("redirect_uri").ok_or(PageError::UnknownAddress)?;
        if !client.redirect_uris.iter().any(|registered| redirect::covers(registered, redirect_uri)) {
            return Err(PageError::UnknownAddress.into());
        }
        read(&parameters, client, redirect_uri).map_err(|(error, description)| {
            let state = parameters.once("state");
            AuthorizeError::Redirect { location: self.refusal(redirect_uri, state, error, Some(description)), error }
        })
    }

    /// Gives the app what the person granted: where to send the browser, with a code that lives 60 seconds.
    ///
    /// # Errors
    /// As the store's; nothing was granted then.
    pub async fn grant_code(
        &self,
        request: &AuthorizationRequest,
        session: &Session,
        device: &str,
    ) -> StoreResult<String> {
        let code = Secret::random();
        let client_id = &request.client.client_id;
        let grant = CodeGrant {
            client_id: client_id.clone(),
            sign_in: session.sign_in.clone(),
            redirect_uri: request.redirect_uri.clone(),
            code_challenge: request.code_challenge.clone(),
            nonce: request.nonce.clone(),
            scope: request.scope.clone(),
            device: super::sessions::device_name(device),
            expires_at: super::now() + lives::CODE,
        };
        let by = session.sign_in.username.as_str();
        let detail = json!({ "scope": request.scope, "sid": session.sid });
        let entry = audit::entry("access_granted", Some(by), Some(client_id), detail);
        self.sessions.insert_code(code.hash(), grant, entry).await?;
        let state = request.state.as_deref().map(|state| ("state", state));
        let answer = [("code", code.reveal())].into_iter().chain(state).chain([("iss", self.issuer())]);
        Ok(redirect::with_answer(&request.redirect_uri, answer))
    }

    /// Tells the app why it gets nothing, such as `access_denied`: where to send the browser.
    #[must_use]
    pub fn refuse_code(&self, request: &AuthorizationRequest, error: &str) -> String {
        self.refusal(&request.redirect_uri, request.state.as_deref(), error, None)
    }

    fn refusal(&self, redirect_uri: &str, state: Option<&str>, error: &str, description: Option<&str>) -> String {
        let described = description.map(|text| ("error_description", text));
        let state = state.map(|state| ("state", state));
        let answer = [("error", error)].into_iter().chain(described).chain(state).chain([("iss", self.issuer())]);
        redirect::with_answer(redirect_uri, answer)
    }
}

/// The error and its description, for the app's developers.
type Wrong = (&'static str, &'static str);

fn read(parameters: &Parameters, client: Client, redirect_uri: &str) -> Result<AuthorizationRequest, Wrong> {
    if !parameters.are_single() {
        return Err(("invalid_request", "a parameter is given more than once"));
    }
    for (name, error) in [
        ("request", "request_not_supported"),
        ("request_uri", "request_uri_not_supported"),
        ("registration", "registration_not_supported"),
    ] {
        if parameters.once(name).is_some() {
            return Err((error, "this parameter is not supported; send plain parameters"));
        }
    }
    match parameters.once("response_type") {
        Some("code") => {}
        Some(_) => return Err(("unsupported_response_type", "only response_type=code is supported")),
        None => return Err(("invalid_request", "response_type is missing")),
    }
    if parameters.once("response_mode").is_some_and(|mode| mode != "query") {
        return Err(("invalid_request", "only response_mode=query is supported"));
    }
    if parameters.once("nonce").is_some_and(|nonce| nonce.len() > NONCE_MAX) {
        return Err(("invalid_request", "the nonce is longer than 512 bytes"));
    }
    let prompt: BTreeSet<&str> = parameters.once("prompt").unwrap_or_default().split_ascii_whitespace().collect();
    if prompt.iter().any(|word| !["none", "login", "consent", "select_account"].contains(word)) {
        return Err(("invalid_request", "a word of prompt is not known"));
    }
    if prompt.contains("none") && prompt.len() > 1 {
        return Err(("invalid_request", "prompt=none stands alone"));
    }
    let max_age = parameters.once("max_age").map(str::parse::<u32>).transpose();
    let owned = |name| parameters.once(name).map(str::to_owned);
    Ok(AuthorizationRequest {
        code_challenge: challenge(parameters)?,
        scope: requested(&client, parameters.once("scope"))?,
        redirect_uri: redirect_uri.to_owned(),
        state: owned("state"),
        nonce: owned("nonce"),
        silent: prompt.contains("none"),
        sign_in_anew: prompt.contains("login") || prompt.contains("select_account"),
        ask_consent: prompt.contains("consent"),
        max_age: max_age.map_err(|_| ("invalid_request", "max_age is a number of seconds"))?,
        login_hint: owned("login_hint"),
        client,
    })
}

/// RFC 7636, S256 only: `plain` would hand the verifier to whoever reads the address.
fn challenge(parameters: &Parameters) -> Result<String, Wrong> {
    let Some(challenge) = parameters.once("code_challenge") else {
        return Err(("invalid_request", "code_challenge is missing; PKCE with S256 is required"));
    };
    if parameters.once("code_challenge_method") != Some("S256") {
        return Err(("invalid_request", "code_challenge_method must be S256"));
    }
    let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    if challenge.len() != 43 || !challenge.bytes().all(base64url) {
        return Err(("invalid_request", "code_challenge is not the base64url of a SHA-256"));
    }
    Ok(challenge.to_owned())
}

fn requested(client: &Client, requested: Option<&str>) -> Result<String, Wrong> {
    asked_scope(client, requested).ok_or(("invalid_scope", "a scope is unknown or not granted to this app"))
}

/// The scopes asked for in their order, each once; without any all that the app may have, a refresh token aside. `None` where it may not.
pub(super) fn asked_scope(client: &Client, requested: Option<&str>) -> Option<String> {
    let allowed = from_record(&client.scopes);
    let Some(requested) = requested else {
        return Some(to_claim(allowed.iter().filter(|scope| **scope != Scope::OfflineAccess)));
    };
    within(requested, &allowed)
}
