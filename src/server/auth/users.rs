//! Administering users. Every change is audited, refreshes the snapshot at once, and never leaves the site without an administrator.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    Auth,
    accounts::{AccountError, Editor},
    passwords::Password,
    signin::SignInError,
    throttle::Source,
};
use crate::{
    domain::{
        actor::UserId,
        code::{PharmacyCode, Username, WardCode},
        reason::Role,
        text::clean,
    },
    server::ports::{Page, StoreResult, User},
};

/// Longest name, in characters.
pub const NAME_MAX: usize = 100;

/// A user to create.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name.
    pub username: Username,
    /// Name as people read it.
    pub name: String,
    /// Roles, at least one.
    pub roles: BTreeSet<Role>,
    /// Wards.
    pub wards: BTreeSet<WardCode>,
    /// Pharmacies.
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// First password; without one nobody can sign in until one is set.
    pub password: Option<String>,
    /// The first password is somebody else's idea.
    pub must_change_password: bool,
}

/// What to change about a user; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct UserPatch {
    /// Name as people read it.
    pub name: Option<String>,
    /// Roles, at least one.
    pub roles: Option<BTreeSet<Role>>,
    /// Wards.
    pub wards: Option<BTreeSet<WardCode>>,
    /// Pharmacies.
    pub pharmacies: Option<BTreeSet<PharmacyCode>>,
    /// Disabling kills everything issued.
    pub disabled: Option<bool>,
    /// Must choose a password at the next sign-in.
    pub must_change_password: Option<bool>,
}

impl Auth {
    /// A page of users, by name.
    ///
    /// # Errors
    /// As the store's.
    pub async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>> {
        self.store.users(limit, after).await
    }

    /// One user.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or the store's.
    pub async fn user(&self, username: &str) -> Result<User, AccountError> {
        let not_found = || AccountError::no_user(username.chars().take(64).collect::<String>());
        let name: Username = username.parse().map_err(|_| not_found())?;
        self.store.user(&name).await?.ok_or_else(not_found)
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit; nothing was written then.
    pub async fn create_user(&self, new: NewUser, by: &Editor) -> Result<User, AccountError> {
        may_grant(&new.roles, by)?;
        let password = new.password.as_deref().map(|text| Password::chosen(text, &new.username)).transpose()?;
        let mut user = record(new)?;
        if let Some(password) = password {
            user.password_hash = Some(self.passwords.hash(password).await);
        }
        let detail = json!({ "roles": user.roles, "wards": user.wards, "pharmacies": user.pharmacies, "has_password": user.password_hash.is_some() });
        let entry = by.audit("user", "user_created", user.username.as_str(), detail);
        self.store.insert_users(vec![user.clone()], vec![entry]).await?;
        self.refresh().await;
        Ok(user)
    }

    /// Changes a user.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit; nothing was written then.
    pub async fn patch_user(&self, username: &str, patch: UserPatch, by: &Editor) -> Result<User, AccountError> {
        let _one_at_a_time = self.changes.lock().await;
        let was = self.user(username).await?;
        let user = patched(&was, patch)?;
        if user == was {
            return Ok(was);
        }
        self.keeps_an_admin(&was, &user, by).await?;
        let entry = by.audit("user", "user_changed", was.username.as_str(), differences(&was, &user));
        let user = self.store.update_user(user, entry).await?;
        self.refresh().await;
        Ok(user)
    }

    /// Sets another's password, to be changed at the next sign-in; kills everything issued.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn reset_password(&self, username: &str, password: &str, by: &Editor) -> Result<User, AccountError> {
        let user = self.user(username).await?;
        may_touch(&user, by)?;
        let hash = self.passwords.hash(Password::chosen(password, &user.username)?).await;
        let _one_at_a_time = self.changes.lock().await;
        self.put_password(user, hash, true, by).await
    }

    /// Changes one's own password, given the current one; kills everything issued, the token of this request too.
    ///
    /// # Errors
    /// [`AccountError::WrongPassword`] and others; [`AccountError::Changed`] where an administrator reset it meanwhile.
    pub async fn change_own_password(
        &self,
        username: &Username,
        current: &str,
        new: &str,
        source: Source,
    ) -> Result<User, AccountError> {
        // Looked at first: a refused new password should cost no attempt.
        let password = Password::changed(new, current, username)?;
        let user = match self.authenticate_password(username.as_str(), current, source).await {
            Ok(user) => user,
            Err(SignInError::Refused) => return Err(AccountError::WrongPassword),
            Err(SignInError::TooSoon(wait)) => return Err(AccountError::TooSoon(wait)),
            Err(SignInError::Store(error)) => return Err(error.into()),
        };
        let hash = self.passwords.hash(password).await;
        let _one_at_a_time = self.changes.lock().await;
        self.put_password(user, hash, false, &Editor::oneself(username)).await
    }

    /// Writes a password's hash into the record by which it was judged that it may be: hashing takes a while, and what was changed meanwhile,
    /// a reset or a role, stays.
    pub(super) async fn put_password(
        &self,
        mut user: User,
        hash: String,
        must_change: bool,
        by: &Editor,
    ) -> Result<User, AccountError> {
        user.password_hash = Some(hash);
        user.must_change_password = must_change;
        user.generation += 1;
        let entry = by.audit("auth", "password_set", user.username.as_str(), json!({ "must_change": must_change }));
        let user = self.store.update_user(user, entry).await?;
        self.refresh().await;
        Ok(user)
    }

    /// Refuses a change of an administrator by somebody who is none, and one that would leave nobody to administer.
    async fn keeps_an_admin(&self, was: &User, user: &User, by: &Editor) -> Result<(), AccountError> {
        may_touch(was, by)?;
        may_grant(&user.roles, by)?;
        if is_admin(was) && !is_admin(user) && !self.has_admin_beside(Some(was.id)).await? {
            return Err(AccountError::LastAdmin);
        }
        Ok(())
    }

    /// True where an enabled administrator exists, not counting this one.
    pub(super) async fn has_admin_beside(&self, id: Option<UserId>) -> StoreResult<bool> {
        let everybody = self.store.authorities().await?;
        Ok(everybody
            .iter()
            .any(|a| a.scopes.is_none() && !a.disabled && a.roles.contains(&Role::Admin) && Some(a.id) != id))
    }
}

pub(super) fn is_admin(user: &User) -> bool {
    !user.disabled && user.roles.contains(&Role::Admin)
}

/// An administrator's account is touched by administrators only: resetting its password would be taking it over.
pub(super) fn may_touch(user: &User, by: &Editor) -> Result<(), AccountError> {
    if by.may_admin || !user.roles.contains(&Role::Admin) { Ok(()) } else { Err(AccountError::AdminOnly) }
}

pub(super) fn may_grant(roles: &BTreeSet<Role>, by: &Editor) -> Result<(), AccountError> {
    if by.may_admin || !roles.contains(&Role::Admin) { Ok(()) } else { Err(AccountError::AdminOnly) }
}

/// A checked record without a password.
pub(super) fn record(new: NewUser) -> Result<User, AccountError> {
    Ok(User {
        id: UserId(Uuid::new_v4()),
        name: checked_name(&new.name)?,
        roles: checked_roles(new.roles)?,
        username: new.username,
        wards: new.wards,
        pharmacies: new.pharmacies,
        disabled: false,
        must_change_password: new.must_change_password,
        password_hash: None,
        generation: 1,
        version: 0,
        created_at: super::now(),
    })
}

pub(super) fn patched(was: &User, patch: UserPatch) -> Result<User, AccountError> {
    let mut user = was.clone();
    if let Some(name) = patch.name {
        user.name = checked_name(&name)?;
    }
    if let Some(roles) = patch.roles {
        user.roles = checked_roles(roles)?;
    }
    user.wards = patch.wards.unwrap_or(user.wards);
    user.pharmacies = patch.pharmacies.unwrap_or(user.pharmacies);
    user.must_change_password = patch.must_change_password.unwrap_or(user.must_change_password);
    if let Some(disabled) = patch.disabled {
        user.disabled = disabled;
        user.generation += u64::from(disabled && !was.disabled);
    }
    Ok(user)
}

/// A name as people read it, of a user or a client: one line.
pub(super) fn checked_name(name: &str) -> Result<String, AccountError> {
    let name = clean(name, NAME_MAX).map_err(|why| AccountError::invalid("name", why))?;
    if name.contains(['\n', '\r', '\t']) {
        return Err(AccountError::invalid("name", "a name has no line breaks or tabs; remove them"));
    }
    Ok(name)
}

fn checked_roles(roles: BTreeSet<Role>) -> Result<BTreeSet<Role>, AccountError> {
    if roles.is_empty() {
        return Err(AccountError::invalid("roles", "a user has at least one role; to lock somebody out, disable them"));
    }
    if roles.contains(&Role::Service) {
        return Err(AccountError::invalid("roles", "service is the role of service accounts; choose a person's role"));
    }
    Ok(roles)
}

/// What changed, from and to, for the audit.
pub(super) fn differences(was: &User, user: &User) -> Value {
    let mut changes = Map::new();
    let mut note = |field: &str, from: Value, to: Value| {
        if from != to {
            changes.insert(field.to_owned(), json!({ "from": from, "to": to }));
        }
    };
    note("name", json!(was.name), json!(user.name));
    note("roles", json!(was.roles), json!(user.roles));
    note("wards", json!(was.wards), json!(user.wards));
    note("pharmacies", json!(was.pharmacies), json!(user.pharmacies));
    note("disabled", json!(was.disabled), json!(user.disabled));
    note("must_change_password", json!(was.must_change_password), json!(user.must_change_password));
    Value::Object(changes)
}
