//! The refresh grant (RFC 6749 §6, RFC 9700 §4.14): a new token at each use, the same one again for a lost answer. Keeps no token it gave out.
//!
//! For the time in which the predecessor may come again, the successor is kept sealed under a key derived from the predecessor: only
//! its holder can open it, and nobody who reads the store.

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA256, Salt},
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    Auth, audit,
    forms::Form,
    grants::{Issued, TokenError},
    lives::{self, Lives},
    scopes::{parse_claim, within},
    secrets::{self, Secret, random},
    throttle::Source,
};
use crate::server::ports::{Client, NewRefresh, Rotation, RotationTimes, StoreError};

/// What the key is for; another use of the same token derives another key.
const PURPOSE: &[u8] = b"medreq: successor of a refresh token";

impl Auth {
    pub(super) async fn refresh_grant(
        &self,
        client: &Client,
        form: &Form,
        source: Source,
        now: Timestamp,
    ) -> Result<Issued, TokenError> {
        let token = form.require("refresh_token")?;
        let hash = secrets::hash(token);
        let known = self.sessions.refresh_token(hash).await?.ok_or(TokenError::InvalidGrant)?;
        let session = known.session;
        // What was issued before its app was locked out or given another secret stays dead.
        if session.client_id != client.client_id || session.created_at <= client.valid_from {
            return Err(TokenError::InvalidGrant);
        }
        let scope = narrowed(&session.scope, form.get("scope"))?;
        let (mut issued, entry) = self.session_tokens("token_refreshed", &session, client, scope, None, source)?;
        let next = Secret::random();
        let idle_until = (now + Lives::of(client).idle).min(session.expires_at);
        let times = RotationTimes { now, repeat_since: now - lives::AGAIN, listed_until: now + lives::LISTED };
        let detail = json!({ "sid": session.sid, "source": source.to_string() });
        let name = session.sign_in.username.as_str();
        let reused = audit::entry("refresh_reused", Some(&client.client_id), Some(name), detail);
        let sealed = seal(token, next.reveal());
        let next_hash = NewRefresh { hash: next.hash(), idle_until };
        match self.sessions.rotate_refresh(hash, next_hash, sealed, times, entry.clone(), reused).await? {
            Rotation::Rotated => issued.refresh_token = Some(next.reveal().to_owned()),
            Rotation::Repeated(sealed) => {
                self.store.audit(entry).await?;
                issued.refresh_token = Some(open(token, sealed)?);
            }
            Rotation::Reused => {
                self.refresh().await;
                return Err(TokenError::InvalidGrant);
            }
            Rotation::Dead => return Err(TokenError::InvalidGrant),
        }
        Ok(issued)
    }
}

/// The scopes asked for in place of the session's, never more than these (RFC 6749 §6). The refresh token keeps them all.
fn narrowed(granted: &str, requested: Option<&str>) -> Result<String, TokenError> {
    match requested {
        None => Ok(granted.to_owned()),
        Some(requested) => within(requested, &parse_claim(granted)).ok_or(TokenError::InvalidScope),
    }
}

fn key(token: &str) -> LessSafeKey {
    let derived = Salt::new(HKDF_SHA256, &[]).extract(token.as_bytes());
    let purpose = [PURPOSE];
    let okm = derived.expand(&purpose, &AES_256_GCM).expect("HKDF-SHA256 yields 32 bytes");
    LessSafeKey::new(UnboundKey::from(okm))
}

/// The nonce, then the successor, encrypted.
fn seal(token: &str, successor: &str) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    let mut text = successor.as_bytes().to_vec();
    key(token)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut text)
        .expect("a token is far below the limit of AES-GCM");
    [nonce.as_slice(), &text].concat()
}

fn open(token: &str, sealed: Vec<u8>) -> Result<String, TokenError> {
    let broken = || TokenError::Unavailable(StoreError::Broken("a sealed refresh token does not open".into()));
    let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| broken())?;
    let mut text = text.to_vec();
    let successor = key(token).open_in_place(nonce, Aad::empty(), &mut text).map_err(|_| broken())?;
    String::from_utf8(successor.to_vec()).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_the_predecessor_opens_its_successor() {
        let sealed = seal("predecessor", "successor");
        assert!(!sealed.windows(9).any(|window| window == b"successor"));
        assert_eq!(open("predecessor", sealed.clone()).unwrap(), "successor");
        assert!(open("somebody else's", sealed.clone()).is_err());
        let mut broken = sealed;
        *broken.last_mut().unwrap() ^= 1;
        assert!(open("predecessor", broken).is_err());
        assert!(open("predecessor", Vec::new()).is_err());
    }

    #[test]
    fn a_refresh_never_widens_the_scope() {
        let granted = "openid tickets:read offline_access";
        assert_eq!(narrowed(granted, None).unwrap(), granted);
        assert_eq!(narrowed(granted, Some("tickets:read tickets:read")).unwrap(), "tickets:read");
        assert!(narrowed(granted, Some("tickets:write")).is_err());
        assert!(narrowed(granted, Some("unheard-of")).is_err());
    }
}
