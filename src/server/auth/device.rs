//! The device grant (RFC 8628): a device that asks, a person who decides, a device that fetches. Draws no page.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Auth, audit,
    authorize::asked_scope,
    codes::{Granted, Opening},
    forms::{Form, TokenRequest},
    grants::{Issued, TokenError},
    lives,
    secrets::{self, Secret, random_code},
    sessions::device_name,
    throttle::Source,
};
use crate::server::ports::{Client, DeviceDecision, DeviceGrant, Poll, Session, StoreError};

/// Letters of a user code: no vowels, so that no word comes out, and none that is taken for a digit (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

const USER_CODE_LETTERS: usize = 8;

/// Seconds between two polls, at first.
const INTERVAL: u32 = 5;

/// User codes that happen to be taken before another is drawn.
const TRIES: usize = 5;

/// What a device is told when it asks (RFC 8628 §3.2).
#[derive(Clone, PartialEq, Eq)]
pub struct DeviceStart {
    /// What it polls with.
    pub device_code: String,
    /// What the person types, such as `BCDF-GHJK`.
    pub user_code: String,
    /// Where.
    pub verification_uri: String,
    /// The same with the user code in it, for a QR code.
    pub verification_uri_complete: String,
    /// Seconds that both codes live.
    pub expires_in: i64,
    /// Seconds between two polls.
    pub interval: u32,
}

/// Prints nothing of the codes.
impl std::fmt::Debug for DeviceStart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceStart").finish_non_exhaustive()
    }
}

/// Why nothing is decided about a device. The texts are safe to show.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device waits under this code.
    #[error("no device waits under this code: it was mistyped, has expired or was decided before")]
    Unknown,
    /// Too many codes were guessed from there.
    #[error("too many codes were wrong; wait before the next one")]
    TooSoon(Duration),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A user code as people read it, in two groups of four.
#[must_use]
pub fn shown(user_code: &str) -> String {
    match user_code.split_at_checked(USER_CODE_LETTERS / 2) {
        Some((left, right)) => format!("{left}-{right}"),
        None => user_code.to_owned(),
    }
}

/// A user code as somebody typed it, in canonical form: dashes, blanks and case do not count. `None` where it cannot be one.
fn typed(user_code: &str) -> Option<String> {
    if user_code.len() > 64 {
        return None;
    }
    let letters: String =
        user_code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    (letters.len() == USER_CODE_LETTERS && letters.bytes().all(|b| LETTERS.contains(&b))).then_some(letters)
}

fn drawn() -> String {
    random_code(LETTERS, USER_CODE_LETTERS)
}

/// Codes are throttled apart from passwords. No username holds a colon.
fn guesses_of(username: &str) -> String {
    format!("device:{username}")
}

impl Auth {
    /// Answers a device that asks for a code pair. `agent` is what its program calls itself, where the form names no `device_name`.
    ///
    /// # Errors
    /// [`TokenError`] says which error of RFC 6749 to answer.
    pub async fn start_device(&self, request: TokenRequest<'_>, agent: &str) -> Result<DeviceStart, TokenError> {
        let form = Form::read(request.body)?;
        let client = self.client_of(&request, &form).await?;
        if client.service {
            return Err(TokenError::UnauthorizedClient);
        }
        let scope = asked_scope(&client, form.get("scope")).ok_or(TokenError::InvalidScope)?;
        let (code, expires_at) = (Secret::random(), super::now() + lives::DEVICE);
        let mut grant = DeviceGrant {
            client_id: client.client_id.clone(),
            user_code: drawn(),
            scope,
            device: device_name(form.get("device_name").unwrap_or(agent)),
            source: request.source.to_string(),
            expires_at,
            interval: INTERVAL,
            decision: None,
        };
        for _ in 0..TRIES {
            let detail = json!({ "scope": grant.scope, "device": grant.device, "source": grant.source });
            let entry = audit::entry("device_asked", Some(&client.client_id), None, detail);
            match self.sessions.insert_device(code.hash(), grant.clone(), entry).await {
                Ok(()) => return Ok(self.started(&code, &grant.user_code)),
                Err(StoreError::Exists { .. }) => grant.user_code = drawn(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(StoreError::Unavailable("no free user code was found".into()).into())
    }

    fn started(&self, code: &Secret, user_code: &str) -> DeviceStart {
        let (user_code, base) = (shown(user_code), self.endpoints());
        DeviceStart {
            device_code: code.reveal().to_owned(),
            verification_uri: format!("{base}/device"),
            verification_uri_complete: format!("{base}/device?user_code={user_code}"),
            user_code,
            expires_in: lives::DEVICE.as_secs(),
            interval: INTERVAL,
        }
    }

    /// The device that waits under the user code that a signed-in person typed; dashes, blanks and case do not count.
    ///
    /// # Errors
    /// [`DeviceError`]; a wrong code is counted against the person, for many sit behind one address.
    pub async fn waiting_device(
        &self,
        user_code: &str,
        session: &Session,
        source: Source,
    ) -> Result<DeviceGrant, DeviceError> {
        let (username, now) = (session.sign_in.username.as_str(), super::now());
        let key = guesses_of(username);
        self.begin_attempt(&key, username, source, now).await.map_err(DeviceError::TooSoon)?;
        let grant = match typed(user_code) {
            Some(code) => self.sessions.device_by_user_code(&code, now).await?,
            None => None,
        };
        let Some(grant) = grant else {
            self.audit_failure("device_code_wrong", username, source, now).await;
            return Err(DeviceError::Unknown);
        };
        self.throttle.succeeded(&key, source);
        Ok(grant)
    }

    /// Writes down what a signed-in person says about a waiting device.
    ///
    /// # Errors
    /// [`DeviceError`], as [`Self::waiting_device`].
    pub async fn decide_device(
        &self,
        user_code: &str,
        approve: bool,
        session: &Session,
        source: Source,
    ) -> Result<DeviceGrant, DeviceError> {
        let grant = self.waiting_device(user_code, session, source).await?;
        let (action, decision) = match approve {
            true => ("device_approved", DeviceDecision::Approved(session.sign_in.clone())),
            false => ("device_refused", DeviceDecision::Denied),
        };
        let detail = json!({
            "scope": grant.scope, "device": grant.device, "device_source": grant.source, "source": source.to_string(),
        });
        let by = session.sign_in.username.as_str();
        let entry = audit::entry(action, Some(by), Some(&grant.client_id), detail);
        if self.sessions.decide_device(&grant.user_code, decision, super::now(), entry).await? {
            Ok(grant)
        } else {
            Err(DeviceError::Unknown)
        }
    }

    pub(super) async fn device_grant(
        &self,
        client: &Client,
        form: &Form,
        source: Source,
        now: Timestamp,
    ) -> Result<Issued, TokenError> {
        let hash = secrets::hash(form.require("device_code")?);
        let grant = match self.sessions.poll_device(hash, &client.client_id, now).await? {
            Poll::Pending => return Err(TokenError::AuthorizationPending),
            Poll::SlowDown => return Err(TokenError::SlowDown),
            Poll::Expired => return Err(TokenError::ExpiredToken),
            Poll::Dead => return Err(TokenError::InvalidGrant),
            Poll::Decided(grant) => *grant,
        };
        let Some(DeviceDecision::Approved(sign_in)) = grant.decision else { return Err(TokenError::AccessDenied) };
        let asked_at = grant.expires_at - lives::DEVICE;
        let granted = Granted { sign_in, scope: grant.scope, device: grant.device, nonce: None, asked_at };
        let Opening { session, refresh, entry, issued } = self.opening(client, granted, now, source)?;
        let redemption = self.sessions.redeem_device(hash, session, refresh, now, entry).await?;
        self.opened(redemption, issued, client, now, source).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_known_however_it_is_typed() {
        let code = drawn();
        assert!(typed(&code).as_ref() == Some(&code) && code.len() == 8);
        assert_eq!(typed(&shown(&code).to_lowercase()).as_ref(), Some(&code));
        assert_eq!(typed(&format!(" {} - {}\n", &code[..2], &code[2..])).as_ref(), Some(&code));
        for wrong in ["", "BCDF", "BCDFGHJKL", "BCDFGHJA", "BCDFGHJ1", "ÇCDFGHJK", &"B".repeat(1_000)] {
            assert_eq!(typed(wrong), None, "{wrong}");
        }
    }
}
