//! Access tokens (RFC 9068): their claims, signing and verification. Never decides what a token may be used for.

use std::{sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Header, Validation};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuthError, keys::KeyRing, secrets};

/// Longest token that is looked at, in bytes.
pub const TOKEN_MAX_BYTES: usize = 4_096;

/// How far the clock of the node that issued a token may be from ours, in seconds, either way (RFC 7519, sections 4.1.4 and 4.1.5: "some small
/// leeway"; RFC 9068, section 4 asks for nothing stricter). What must be remembered until a token is dead is remembered this much longer
/// than its `exp`. It is for single requests: a stream ends at `exp` itself, for it could have got a new token in time.
pub(super) const LEEWAY: i64 = 60;

/// How long an access token lives by default.
pub const ACCESS_TTL: SignedDuration = SignedDuration::from_mins(10);

/// How long a token made by `medreq user token` may live at most.
pub const USER_TOKEN_TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

const TYPE: &str = "at+jwt";

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// The subject's id.
    pub sub: Uuid,
    /// The API that it is for.
    pub aud: String,
    /// Dead from this second on, by the issuer's clock; verification bears a minute more.
    pub exp: i64,
    /// Issued at.
    pub iat: i64,
    /// Not valid before.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub nbf: Option<i64>,
    /// The token's own id.
    pub jti: String,
    /// The client that it was issued to.
    pub client_id: String,
    /// Scopes, separated by blanks.
    pub scope: String,
    /// The session that it belongs to.
    pub sid: Uuid,
    /// The subject's generation at that time.
    #[serde(rename = "gen")]
    pub generation: u64,
    /// Username or client id, for people who look into a token.
    pub username: String,
}

/// An optional claim that must have its type where it is present: `null` is no number.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    i64::deserialize(deserializer).map(Some)
}

/// Signs claims with the current key.
pub(super) fn sign(keys: &KeyRing, claims: &Claims) -> Result<String, jsonwebtoken::errors::Error> {
    sign_as(TYPE, keys, claims)
}

/// Signs claims of any type.
pub(super) fn sign_as(
    typ: &str,
    keys: &KeyRing,
    claims: &impl Serialize,
) -> Result<String, jsonwebtoken::errors::Error> {
    keys.with_signer(|signer| {
        let header = Header { typ: Some(typ.into()), kid: Some(signer.kid.clone()), ..Header::new(signer.algorithm) };
        jsonwebtoken::encode(&header, claims, &signer.key)
    })
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadToken {
    /// Signed by a key that we do not know, or not yet.
    UnknownKey,
    /// Was good once.
    Expired,
    /// Anything else; why is nobody's business.
    Invalid,
}

impl From<BadToken> for AuthError {
    fn from(bad: BadToken) -> Self {
        match bad {
            BadToken::Expired => Self::TokenExpired,
            BadToken::UnknownKey | BadToken::Invalid => Self::InvalidToken,
        }
    }
}

/// Checks form, type, key, signature, issuer, audience and times; never looks at who the subject is.
pub(super) fn verify(keys: &KeyRing, issuer: &str, token: &str, now: Timestamp) -> Result<Claims, BadToken> {
    if token.len() > TOKEN_MAX_BYTES {
        return Err(BadToken::Invalid);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| BadToken::Invalid)?;
    let typed = header.typ.as_deref().is_some_and(is_access_token);
    if !typed || header.crit.is_some() {
        return Err(BadToken::Invalid);
    }
    let kid = header.kid.ok_or(BadToken::Invalid)?;
    let verifier = keys.verifier(&kid).ok_or(BadToken::UnknownKey)?;
    // The key says its algorithm; what the token says must agree, which `decode` checks.
    let mut validation = Validation::new(verifier.algorithm);
    validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
    validation.set_issuer(&[issuer]);
    validation.set_audience(&[audience(issuer)]);
    // Times are checked below against the `now` given.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    let claims =
        jsonwebtoken::decode::<Claims>(token, &verifier.key, &validation).map_err(|_| BadToken::Invalid)?.claims;
    check_times(&claims, now.as_second())?;
    // Belt and braces: exact strings, whatever the library takes for equal.
    if claims.iss != issuer || claims.aud != audience(issuer) {
        return Err(BadToken::Invalid);
    }
    Ok(claims)
}

/// Tokens whose signature was checked a moment ago: a client sends the same one with each request. Times are checked every time.
pub(super) struct VerifiedTokens(moka::sync::Cache<[u8; 32], Arc<Claims>>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(10_000).time_to_live(Duration::from_secs(30)).build())
    }
}

impl VerifiedTokens {
    /// Forgets all: a key is believed no more.
    pub(super) fn forget(&self) {
        self.0.invalidate_all();
    }

    /// As [`verify`].
    pub(super) fn verify(
        &self,
        keys: &KeyRing,
        issuer: &str,
        token: &str,
        now: Timestamp,
    ) -> Result<Arc<Claims>, BadToken> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(BadToken::Invalid);
        }
        let digest = secrets::hash(token);
        if let Some(claims) = self.0.get(&digest) {
            check_times(&claims, now.as_second())?;
            return Ok(claims);
        }
        let claims = Arc::new(verify(keys, issuer, token, now)?);
        self.0.insert(digest, Arc::clone(&claims));
        Ok(claims)
    }
}

fn is_access_token(typ: &str) -> bool {
    typ.eq_ignore_ascii_case(TYPE) || typ.eq_ignore_ascii_case("application/at+jwt")
}

fn check_times(claims: &Claims, now: i64) -> Result<(), BadToken> {
    let starts = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if starts > now.saturating_add(LEEWAY) {
        return Err(BadToken::Invalid);
    }
    if claims.exp.saturating_add(LEEWAY) <= now { Err(BadToken::Expired) } else { Ok(()) }
}

/// The audience of access tokens: the tickets API of this issuer.
#[must_use]
pub fn audience(issuer: &str) -> String {
    format!("{issuer}/v1")
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
