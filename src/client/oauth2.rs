//! Signing in as an app that has no browser of its own: metadata, the device grant (RFC 8628), refresh, revocation (RFC 7009).
//!
//! Every request goes to the server that the client was made for, whatever addresses its metadata give, so that no token goes elsewhere.

use std::time::Duration;

use reqwest::{Method, Url};
use serde::Deserialize;

use super::{Client, ClientError, Settings, call::Call, is_loopback, parse_base};
use crate::api::{accounts::TokenAnswer, oauth2::DeviceAnswer};

/// The grant type of RFC 8628.
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the server says about itself (RFC 8414), as far as signing in needs it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ServerMetadata {
    /// What its tokens name it.
    pub issuer: String,
    /// How tokens may be got.
    #[serde(default)]
    pub grant_types_supported: Vec<String>,
}

/// What a device learns that asks for its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevicePoll {
    /// Nobody has decided yet.
    Pending,
    /// Asked too often: 5 seconds more must lie between two questions from now on.
    SlowDown,
    /// Approved: the tokens.
    Approved(Box<TokenAnswer>),
}

impl Settings {
    /// For [`Client::refresh`]: an answer that was lost is asked for again while the server still repeats it, which is 10 seconds.
    #[must_use]
    pub fn of_refresh() -> Self {
        let timeout = Duration::from_secs(5);
        Self { timeout, attempts: 4, retry_within: Duration::from_secs(8), ..Self::default() }
    }
}

impl Client {
    /// The server's metadata, if the server is who it was taken for and lets devices sign in.
    ///
    /// # Errors
    /// [`ClientError::Setup`] where it names itself otherwise than it was reached (RFC 8414 §3.3), on a loopback address excepted: there the
    /// issuer is from the first start, or is the public URL; or where it offers no device grant.
    pub async fn sign_in_metadata(&self) -> Result<ServerMetadata, ClientError> {
        let metadata: ServerMetadata =
            self.fetch(Call::get(self, &[".well-known", "oauth-authorization-server"])).await?;
        let base = self.base();
        if !may_be(base, &metadata.issuer) {
            let (base, issuer) = (base.as_str().trim_end_matches('/'), &metadata.issuer);
            return Err(ClientError::Setup(format!(
                "the server at {base} calls itself {issuer:?}; reach it there, or ask its administrator which URL is right"
            )));
        }
        if !metadata.grant_types_supported.iter().any(|grant| grant == DEVICE_GRANT) {
            return Err(ClientError::Setup("this server does not let devices sign in; upgrade it".to_owned()));
        }
        Ok(metadata)
    }

    /// Asks for the codes of a device (RFC 8628 §3.1). Its owner knows it by `device_name`.
    ///
    /// # Errors
    /// [`ClientError`]; its problem's code is that of RFC 6749, such as `invalid_scope`.
    pub async fn authorize_device(
        &self,
        client_id: &str,
        scopes: &[&str],
        device_name: &str,
    ) -> Result<DeviceAnswer, ClientError> {
        let scope = scopes.join(" ");
        let fields = [("client_id", client_id), ("scope", &scope), ("device_name", device_name)];
        self.fetch(Call::new(self, Method::POST, &["oauth2", "device_authorization"]).form(&fields)).await
    }

    /// Asks whether the device was approved (RFC 8628 §3.4).
    ///
    /// # Errors
    /// [`ClientError`]; the problem's code is `access_denied` where the person refused, `expired_token` where nobody decided in time.
    pub async fn poll_device(&self, client_id: &str, device_code: &str) -> Result<DevicePoll, ClientError> {
        let fields = [("grant_type", DEVICE_GRANT), ("client_id", client_id), ("device_code", device_code)];
        match self.fetch(token_call(self, &fields)).await {
            Ok(answer) => Ok(DevicePoll::Approved(Box::new(answer))),
            Err(error) => match error.code() {
                "authorization_pending" => Ok(DevicePoll::Pending),
                "slow_down" => Ok(DevicePoll::SlowDown),
                _ => Err(error),
            },
        }
    }

    /// Puts the next pair of tokens in place of a refresh token, which is spent by it. Made for a client with [`Settings::of_refresh`].
    ///
    /// # Errors
    /// [`ClientError`]; the problem's code is `invalid_grant` where the session is over.
    pub async fn refresh(&self, client_id: &str, refresh_token: &str) -> Result<TokenAnswer, ClientError> {
        let fields = [("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", refresh_token)];
        self.fetch(token_call(self, &fields).repeatable()).await
    }

    /// Ends the session that a token belongs to; one that is dead already is no error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn revoke(&self, client_id: &str, token: &str) -> Result<(), ClientError> {
        let fields = [("client_id", client_id), ("token", token)];
        self.done(Call::new(self, Method::POST, &["oauth2", "revoke"]).form(&fields).repeatable()).await
    }
}

/// True where the server at `base` may call itself `issuer`.
fn may_be(base: &Url, issuer: &str) -> bool {
    is_loopback(base) || parse_base(issuer).is_ok_and(|issuer| issuer.origin() == base.origin())
}

fn token_call(client: &Client, fields: &[(&str, &str)]) -> Call {
    Call::new(client, Method::POST, &["oauth2", "token"]).form(fields)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn only_on_this_machine_a_server_may_have_another_name() {
        let named = |base: &str, issuer: &str| may_be(&Url::parse(base).unwrap(), issuer);
        assert!(named("https://medreq.example.org/", "https://medreq.example.org"));
        assert!(named("http://127.0.0.1:9000", "http://127.0.0.1:8080"), "another port than at the first start");
        assert!(named("http://[::1]:8080", "https://medreq.example.org"), "on the server itself");
        for other in
            ["https://evil.example.org", "http://medreq.example.org", "https://medreq.example.org:8443", "medreq", ""]
        {
            assert!(!named("https://medreq.example.org", other), "{other}");
        }
    }
}
