//! The first administrator: a one-time link while nobody administers. No default password exists anywhere, and the link is never logged.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::{
    Auth,
    accounts::{AccountError, Editor},
    audit,
    passwords::Password,
    secrets::{self, Secret},
    users::{NewUser, checked_name},
};
use crate::{
    domain::{code::Username, reason::Role},
    server::ports::{StoreResult, User},
};

const PURPOSE: &str = "first_admin";
const LINK_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// What the first administrator typed.
pub struct FirstAdmin<'a> {
    /// Login name.
    pub username: &'a str,
    /// Name as people read it.
    pub name: &'a str,
    /// Password.
    pub password: &'a str,
}

impl Auth {
    /// True while no enabled administrator exists.
    ///
    /// # Errors
    /// As the store's.
    pub async fn needs_setup(&self) -> StoreResult<bool> {
        Ok(!self.has_admin_beside(None).await?)
    }

    /// A link that makes the first administrator, to be shown on the console and nowhere else; `None` where one exists.
    ///
    /// # Errors
    /// As the store's.
    pub async fn setup_link(&self) -> StoreResult<Option<String>> {
        if !self.needs_setup().await? {
            return Ok(None);
        }
        let secret = Secret::random();
        let expires_at = Timestamp::now() + LINK_LIFE;
        let entry = audit::entry("setup_link_made", None, None, json!({ "expires_at": expires_at }));
        self.store.insert_link(secret.hash(), PURPOSE, None, expires_at, entry).await?;
        Ok(Some(format!("{}/setup/{}", self.endpoints(), secret.reveal())))
    }

    /// Spends a link and creates the first administrator.
    ///
    /// # Errors
    /// [`AccountError`]; what can be refused is looked at before the link is spent. Who has no link learns nothing else.
    pub async fn complete_setup(&self, token: &str, admin: FirstAdmin<'_>) -> Result<User, AccountError> {
        let link = secrets::hash(token);
        if !self.needs_setup().await? || self.store.link(link, PURPOSE, Timestamp::now()).await?.is_none() {
            return Err(AccountError::LinkSpent);
        }
        let username: Username = admin.username.parse().map_err(|why| AccountError::invalid("username", why))?;
        checked_name(admin.name)?;
        Password::chosen(admin.password, &username)?;
        if self.store.user(&username).await?.is_some() {
            return Err(AccountError::Exists { what: "user", name: username.to_string() });
        }
        let taken = self.store.take_link(link, PURPOSE, Timestamp::now()).await?;
        if taken.is_none() {
            return Err(AccountError::LinkSpent);
        }
        self.store.audit(audit::entry("setup_link_used", None, Some(username.as_str()), json!({}))).await?;
        let new = NewUser {
            username,
            name: admin.name.to_owned(),
            roles: [Role::Admin].into(),
            wards: Default::default(),
            pharmacies: Default::default(),
            password: Some(admin.password.to_owned()),
            must_change_password: false,
        };
        self.create_user(new, &Editor { name: "setup-link".into(), may_admin: true }).await
    }
}
