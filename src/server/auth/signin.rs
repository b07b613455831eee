//! Signing in with username and password: the same path and cost whether the user exists or not. Says never which of the two was wrong.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::{
    Auth,
    audit::{self, FailureBudget},
    passwords::Password,
    throttle::{Source, TooSoon},
};
use crate::{
    domain::code::Username,
    server::ports::{StoreError, User},
};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Wrong username or password, or a disabled user.
    #[error("username or password is not right")]
    Refused,
    /// Too many failures from there.
    #[error("too many attempts failed; wait before the next one")]
    TooSoon(Duration),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All names that cannot be a username are throttled as one.
const NO_USERNAME: &str = "?";

impl Auth {
    /// The enabled user of this name and password.
    ///
    /// # Errors
    /// [`SignInError`]; a failure is counted and audited.
    pub async fn authenticate_password(
        &self,
        username: &str,
        password: &str,
        source: Source,
    ) -> Result<User, SignInError> {
        let now = Timestamp::now();
        let username = username.parse::<Username>().ok();
        let account = username.as_ref().map_or(NO_USERNAME, Username::as_str);
        self.begin_attempt(account, account, source, now).await.map_err(SignInError::TooSoon)?;
        let Ok(password) = Password::typed(password) else {
            return self.refuse(account, source, now).await;
        };
        let user = match &username {
            Some(username) => self.store.user(username).await?,
            None => None,
        };
        let hash = user.as_ref().and_then(|user| user.password_hash.clone());
        let right = self.passwords.verify(password, hash, source).await;
        match user {
            Some(user) if right && !user.disabled => {
                self.throttle.succeeded(account, source);
                Ok(user)
            }
            _ => self.refuse(account, source, now).await,
        }
    }

    async fn refuse<T>(&self, account: &str, source: Source, now: Timestamp) -> Result<T, SignInError> {
        self.audit_failure("sign_in_failed", account, source, now).await;
        Err(SignInError::Refused)
    }

    /// Counts an attempt at a secret as failed before it is looked at; `key` is what such failures are counted under. One that comes too soon is
    /// written down, too, but has a budget of its own: a flood of them must not leave out the failures of others.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) async fn begin_attempt(
        &self,
        key: &str,
        account: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<(), Duration> {
        self.admitted(self.throttle.begin(key, source, now), account, source, now).await
    }

    /// Writes an attempt down that came too soon.
    ///
    /// # Errors
    /// How long to wait.
    pub(super) async fn admitted<T>(
        &self,
        attempt: Result<T, TooSoon>,
        account: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<T, Duration> {
        if attempt.is_err() {
            self.audit_within(&self.held_back, "attempt_held_back", account, source, now).await;
        }
        attempt.map_err(|TooSoon(wait)| wait)
    }

    /// Writes a failure down, within the budget; a store that does not take it changes no answer.
    pub(super) async fn audit_failure(&self, action: &str, subject: &str, source: Source, now: Timestamp) {
        self.audit_within(&self.failures, action, subject, source, now).await;
    }

    async fn audit_within(&self, budget: &FailureBudget, action: &str, subject: &str, source: Source, now: Timestamp) {
        let Some(left_out) = budget.spend(now) else { return };
        let mut detail = json!({ "source": source.to_string() });
        if left_out > 0 {
            detail["failures_left_out_before"] = left_out.into();
        }
        if let Err(error) = self.store.audit(audit::entry(action, None, Some(subject), detail)).await {
            tracing::warn!(%error, "a failed authentication could not be audited");
        }
    }
}
