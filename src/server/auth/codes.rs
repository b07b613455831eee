//! The authorization-code grant (RFC 6749 §4.1.3, RFC 7636), and what every grant that opens a session has in common. Codes are made in `authorize.rs`.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    Auth, Scope, audit,
    forms::Form,
    grants::{Issued, TokenError},
    lives::{self, Lives},
    scopes::parse_claim,
    secrets::{self, Secret},
    throttle::Source,
};
use crate::server::ports::{AuditEntry, Client, NewRefresh, Redeemed, Redemption, Session, SignIn};

/// What a person granted, about to become a session.
pub(super) struct Granted<'a> {
    pub(super) sign_in: SignIn,
    pub(super) scope: String,
    pub(super) device: String,
    pub(super) nonce: Option<&'a str>,
    /// When the code was made, or the device asked.
    pub(super) asked_at: Timestamp,
}

/// A session that the store has not opened yet, with what is given out once it has.
pub(super) struct Opening {
    pub(super) session: Session,
    pub(super) refresh: Option<NewRefresh>,
    pub(super) entry: AuditEntry,
    pub(super) issued: Issued,
}

impl Auth {
    pub(super) async fn code_grant(
        &self,
        client: &Client,
        form: &Form,
        source: Source,
        now: Timestamp,
    ) -> Result<Issued, TokenError> {
        let hash = secrets::hash(form.require("code")?);
        let (redirect_uri, verifier) = (form.require("redirect_uri")?, form.require("code_verifier")?);
        let (grant, redeemed) = self.sessions.code(hash).await?.ok_or(TokenError::InvalidGrant)?;
        let own = grant.client_id == client.client_id;
        if let Some(before) = redeemed {
            return Err(self.came_again(before, own, client, now, source).await);
        }
        if !own || grant.redirect_uri != redirect_uri || !proves(verifier, &grant.code_challenge) {
            return Err(TokenError::InvalidGrant);
        }
        let granted = Granted {
            sign_in: grant.sign_in,
            scope: grant.scope,
            device: grant.device,
            nonce: grant.nonce.as_deref(),
            asked_at: grant.expires_at - lives::CODE,
        };
        let opening = self.opening(client, granted, now, source)?;
        let Opening { session, refresh, entry, issued } = opening;
        let redemption = self.sessions.redeem_code(hash, session, refresh, now, entry).await?;
        self.opened(redemption, issued, client, now, source).await
    }

    /// Prepares a session with its tokens; a refresh token only where the person granted one.
    pub(super) fn opening(
        &self,
        client: &Client,
        granted: Granted<'_>,
        now: Timestamp,
        source: Source,
    ) -> Result<Opening, TokenError> {
        // What was granted before its app was locked out or given another secret stays dead.
        if granted.asked_at <= client.valid_from {
            return Err(TokenError::InvalidGrant);
        }
        let lives = Lives::of(client);
        let lasting = parse_claim(&granted.scope).contains(&Scope::OfflineAccess);
        let session = Session {
            sid: Uuid::new_v4(),
            sign_in: granted.sign_in,
            client_id: client.client_id.clone(),
            scope: granted.scope,
            device: granted.device,
            created_at: now,
            last_used_at: now,
            expires_at: now + if lasting { lives.session } else { lives.access },
        };
        let (mut issued, mut entry) =
            self.session_tokens("session_opened", &session, client, session.scope.clone(), granted.nonce, source)?;
        entry.detail["device"] = session.device.as_str().into();
        let refresh = lasting.then(Secret::random);
        issued.refresh_token = refresh.as_ref().map(|secret| secret.reveal().to_owned());
        let refresh = refresh.map(|secret| NewRefresh { hash: secret.hash(), idle_until: now + lives.idle });
        Ok(Opening { session, refresh, entry, issued })
    }

    /// Gives out what was prepared, if the store opened the session.
    pub(super) async fn opened(
        &self,
        redemption: Redemption,
        issued: Issued,
        client: &Client,
        now: Timestamp,
        source: Source,
    ) -> Result<Issued, TokenError> {
        match redemption {
            Redemption::Opened => Ok(issued),
            Redemption::Before(before) => Err(self.came_again(before, true, client, now, source).await),
            Redemption::Dead => Err(TokenError::InvalidGrant),
        }
    }

    /// What was redeemed before comes again: soon and from its own client it is a double tap; else it was stolen, and what it opened ends.
    async fn came_again(
        &self,
        before: Redeemed,
        own: bool,
        client: &Client,
        now: Timestamp,
        source: Source,
    ) -> TokenError {
        if own && now.duration_since(before.at) <= lives::AGAIN {
            return TokenError::InvalidGrant;
        }
        let detail = json!({ "sid": before.sid, "source": source.to_string() });
        let entry = audit::entry("code_replayed", Some(&client.client_id), None, detail);
        match self.end(before.sid, now, entry).await {
            Ok(()) => TokenError::InvalidGrant,
            Err(error) => error.into(),
        }
    }
}

/// RFC 7636 §4.1 and §4.6.
fn proves(verifier: &str, challenge: &str) -> bool {
    let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let formed = (43..=128).contains(&verifier.len()) && verifier.bytes().all(unreserved);
    formed && verify_slices_are_equal(B64.encode(secrets::hash(verifier)).as_bytes(), challenge.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verifier_of_rfc_7636_proves_its_challenge() {
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(proves(verifier, challenge));
        assert!(!proves(&verifier[1..], challenge));
        assert!(!proves(challenge, challenge));
        let short = "x".repeat(42);
        assert!(!proves(&short, &B64.encode(secrets::hash(&short))));
        let long = "x".repeat(129);
        assert!(!proves(&long, &B64.encode(secrets::hash(&long))));
    }
}
