//! ID tokens (OpenID Connect Core §2): who signed in, when and how, for the app alone. No API takes one for an access token.

use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::{keys::KeyRing, lives, tokens};
use crate::server::ports::Session;

/// What an ID token says.
#[derive(Serialize)]
pub(super) struct IdClaims<'a> {
    iss: &'a str,
    sub: Uuid,
    aud: &'a str,
    exp: i64,
    iat: i64,
    auth_time: i64,
    sid: Uuid,
    amr: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    preferred_username: Option<&'a str>,
}

impl<'a> IdClaims<'a> {
    /// Those of a session; `name` only for an app that may know it.
    pub(super) fn new(
        issuer: &'a str,
        session: &'a Session,
        name: Option<String>,
        nonce: Option<&'a str>,
        now: Timestamp,
    ) -> Self {
        let sign_in = &session.sign_in;
        Self {
            iss: issuer,
            sub: sign_in.user.0,
            aud: &session.client_id,
            exp: (now + lives::ID_TOKEN).as_second(),
            iat: now.as_second(),
            auth_time: sign_in.at.as_second(),
            sid: session.sid,
            amr: &sign_in.methods,
            nonce,
            preferred_username: name.as_ref().map(|_| sign_in.username.as_str()),
            name,
        }
    }
}

/// Signs it, as a type that is no access token's.
pub(super) fn sign(keys: &KeyRing, claims: &IdClaims<'_>) -> Result<String, jsonwebtoken::errors::Error> {
    tokens::sign_as("JWT", keys, claims)
}
