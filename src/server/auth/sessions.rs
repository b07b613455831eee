//! Sessions: the pages' own sign-in behind a cookie, and the list of one's sign-ins that can be ended. Never tells a secret twice.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{
    Auth, Principal, Scope,
    accounts::{AccountError, Editor},
    audit,
    clients::is_ours,
    lives, secrets,
    secrets::Secret,
    throttle::Source,
    users::may_touch,
};
use crate::server::ports::{AuditEntry, Session, SignIn, StoreResult, User};

/// The client of the pages' own sessions; no token is ever issued to it.
pub const WEB: &str = "medreq-web";

/// The setting that holds what forms are signed with.
const PAGE_KEY: &str = "page_key";

/// Longest device name, in characters.
const DEVICE_MAX: usize = 100;

/// A device's name as a person may read it: one line, at most 100 characters.
#[must_use]
pub fn device_name(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ").chars().take(DEVICE_MAX).collect()
}

fn no_session(sid: Uuid) -> AccountError {
    AccountError::NotFound { what: "session", name: sid.to_string() }
}

impl Auth {
    /// The secret that the pages sign their forms with: one for all nodes and over restarts, so that a page which was open meanwhile still works.
    ///
    /// # Errors
    /// As the store's.
    pub async fn page_key(&self) -> StoreResult<String> {
        self.store.fix_setting(PAGE_KEY, Secret::random().reveal()).await
    }

    /// Opens the pages' session of somebody who just proved who they are, by these methods (`pwd`, `otp`). The secret is the cookie's.
    ///
    /// # Errors
    /// As the store's.
    pub async fn open_browser_session(
        &self,
        user: &User,
        methods: &[&str],
        device: &str,
        source: Source,
    ) -> StoreResult<(Session, Secret)> {
        let (now, cookie) = (super::now(), Secret::random());
        let session = Session {
            sid: Uuid::new_v4(),
            sign_in: SignIn {
                user: user.id,
                username: user.username.clone(),
                generation: user.generation,
                at: now,
                methods: methods.iter().map(|method| (*method).to_owned()).collect(),
            },
            client_id: WEB.to_owned(),
            scope: String::new(),
            device: device_name(device),
            created_at: now,
            last_used_at: now,
            expires_at: now + lives::PAGES,
        };
        let detail =
            json!({ "sid": session.sid, "methods": methods, "device": session.device, "source": source.to_string() });
        let name = user.username.as_str();
        let entry = audit::entry("signed_in", Some(name), Some(name), detail);
        self.sessions.open_session(session.clone(), cookie.hash(), entry).await?;
        Ok((session, cookie))
    }

    /// The pages' session behind a cookie and whose it is, as the store has them now; `None` where the person has to sign in.
    ///
    /// # Errors
    /// As the store's.
    pub async fn browser_session(&self, cookie: &str) -> StoreResult<Option<(Session, User)>> {
        let now = super::now();
        let session = self.sessions.session_by_cookie(secrets::hash(cookie), now - lives::PAGES_IDLE, now).await?;
        let Some(session) = session else { return Ok(None) };
        let user = self.store.user(&session.sign_in.username).await?;
        let living = user.filter(|user| !user.disabled && user.generation == session.sign_in.generation);
        Ok(living.map(|user| (session, user)))
    }

    /// A user whose sessions this editor may see and end: not an administrator's, unless they are one themselves.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], [`AccountError::AdminOnly`], or the store's.
    pub async fn user_to_touch(&self, username: &str, by: &Editor) -> Result<User, AccountError> {
        let user = self.user(username).await?;
        may_touch(&user, by)?;
        Ok(user)
    }

    /// A person's open sessions, last used first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn sessions_of(&self, user: &User) -> StoreResult<Vec<Session>> {
        self.sessions.sessions(user.id, user.generation, super::now()).await
    }

    /// A person's open sessions that a token of theirs may see, last used first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn sessions_for(&self, user: &User, by: &Principal) -> StoreResult<Vec<Session>> {
        let (only, mut sessions) = (self.bound_to(by).await?, self.sessions_of(user).await?);
        sessions.retain(|session| only.is_none_or(|sid| sid == session.sid));
        Ok(sessions)
    }

    /// Ends one of the sessions that a token may see.
    ///
    /// # Errors
    /// As [`end_session`](Self::end_session).
    pub async fn end_session_for(&self, user: &User, sid: Uuid, by: &Principal) -> Result<(), AccountError> {
        match self.bound_to(by).await? {
            Some(only) if only != sid => Err(no_session(sid)),
            _ => self.end_session(user, sid, &by.into()).await,
        }
    }

    /// Ends everything that was issued to the person of a token, itself too.
    ///
    /// # Errors
    /// [`AccountError::NotOurApp`] where it may end its own session only; else as [`end_all_sessions`](Self::end_all_sessions).
    pub async fn end_all_sessions_for(&self, user: &User, by: &Principal) -> Result<(), AccountError> {
        match self.bound_to(by).await? {
            Some(_) => Err(AccountError::NotOurApp),
            None => self.end_all_sessions(user, &by.into()).await,
        }
    }

    /// The session that a token is bound to among those of its owner. `None` for one of the hospital's own apps, and for one that may end anybody's.
    async fn bound_to(&self, by: &Principal) -> StoreResult<Option<Uuid>> {
        if by.scopes.contains(&Scope::UsersWrite) {
            return Ok(None);
        }
        let ours = self.store.client(&by.client_id).await?.is_some_and(|client| is_ours(&client));
        Ok((!ours).then_some(by.sid))
    }

    /// Ends one of a person's sessions: what was issued under it is dead here at once, on other nodes within 5 seconds.
    ///
    /// # Errors
    /// [`AccountError::NotFound`] where they have no such session; or the store's.
    pub async fn end_session(&self, user: &User, sid: Uuid, by: &Editor) -> Result<(), AccountError> {
        let theirs = self.sessions.session(sid).await?.is_some_and(|session| session.sign_in.user == user.id);
        if !theirs {
            return Err(no_session(sid));
        }
        let entry = by.audit("auth", "session_ended", user.username.as_str(), json!({ "sid": sid }));
        Ok(self.end(sid, Timestamp::now(), entry).await?)
    }

    /// Ends everything that was issued to a person: sessions, codes, devices and tokens, on every device.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn end_all_sessions(&self, user: &User, by: &Editor) -> Result<(), AccountError> {
        let _one_at_a_time = self.changes.lock().await;
        let mut user = self.user(user.username.as_str()).await?;
        user.generation += 1;
        let entry = by.audit("auth", "sessions_ended", user.username.as_str(), json!({}));
        self.store.update_user(user, entry).await?;
        self.refresh().await;
        Ok(())
    }

    /// Ends a session, known or not, and has this node know it at once.
    pub(super) async fn end(&self, sid: Uuid, last_token: Timestamp, entry: AuditEntry) -> StoreResult<()> {
        let listed_until = (super::now() + lives::LISTED).max(last_token);
        self.sessions.end_session(sid, listed_until, entry).await?;
        self.refresh().await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_name_is_one_line_of_bounded_length() {
        assert_eq!(device_name("  Ward\t tablet\r\n 3\u{0} "), "Ward tablet 3");
        assert_eq!(device_name(&"é".repeat(500)).chars().count(), 100);
    }
}
