//! One-time links by which a person sets a password of their own. A link dies with what it was made for: by use, by time, by any newer password.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Auth,
    accounts::{AccountError, Editor},
    passwords::Password,
    secrets::{self, Secret},
    users::may_touch,
};
use crate::{domain::code::Username, server::ports::User};

const PURPOSE: &str = "password_reset";

/// How long a link may lie in somebody's mailbox.
const LINK_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A link as it was made, for its owner's eyes.
pub struct ResetLink {
    /// Whose password it sets.
    pub username: Username,
    /// `…/reset/{token}`.
    pub url: String,
    /// Dead from then on.
    pub expires_at: Timestamp,
}

impl Auth {
    /// Makes a link for a user; it is given here and never again.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::Disabled`], [`AccountError::AdminOnly`] for an administrator's, or the store's.
    pub async fn reset_link(&self, username: &str, by: &Editor) -> Result<ResetLink, AccountError> {
        let user = self.user(username).await?;
        may_touch(&user, by)?;
        if user.disabled {
            return Err(AccountError::Disabled);
        }
        let (secret, expires_at) = (Secret::random(), super::now() + LINK_LIFE);
        let entry = by.audit("auth", "reset_link_made", user.username.as_str(), json!({ "expires_at": expires_at }));
        self.store.insert_link(secret.hash(), PURPOSE, Some(subject(&user)), expires_at, entry).await?;
        let url = format!("{}/reset/{}", self.endpoints(), secret.reveal());
        Ok(ResetLink { username: user.username, url, expires_at })
    }

    /// Whose password a link would set; the link stays.
    ///
    /// # Errors
    /// [`AccountError::LinkSpent`] where it is unknown, used, too old, or its user was disabled or has a newer password; or the store's.
    pub async fn reset_subject(&self, token: &str) -> Result<User, AccountError> {
        let made_for = self.store.link(secrets::hash(token), PURPOSE, Timestamp::now()).await?;
        let made_for = made_for.flatten().ok_or(AccountError::LinkSpent)?;
        let name = made_for.split_once(' ').map(|(_, name)| name).ok_or(AccountError::LinkSpent)?;
        let user = match self.user(name).await {
            Err(AccountError::NotFound { .. }) => return Err(AccountError::LinkSpent),
            other => other?,
        };
        if user.disabled || subject(&user) != made_for { Err(AccountError::LinkSpent) } else { Ok(user) }
    }

    /// Spends a link and sets the password, which need not be changed again; kills everything issued.
    ///
    /// # Errors
    /// [`AccountError`]; a password that is refused leaves the link.
    pub async fn complete_reset(&self, token: &str, password: &str) -> Result<User, AccountError> {
        let user = self.reset_subject(token).await?;
        let hash = self.passwords.hash(Password::chosen(password, &user.username)?).await;
        let _one_at_a_time = self.changes.lock().await;
        let user = self.reset_subject(token).await?;
        self.store.take_link(secrets::hash(token), PURPOSE, Timestamp::now()).await?.ok_or(AccountError::LinkSpent)?;
        self.put_password(user, hash, false, &Editor { name: "reset-link".into(), may_admin: false }).await
    }
}

/// The generation binds a link to the password that it was to replace.
fn subject(user: &User) -> String {
    format!("{} {}", user.generation, user.username)
}
