//! What administering users and clients has in common: who does it, and how it can be refused. No rule of one sort of account stands here.

use serde_json::Value;

use super::{Auth, Principal, Scope, audit, passwords::InvalidPassword};
use crate::{
    domain::code::Username,
    server::ports::{AuditEntry, AuditQuery, Page, StoreError, StoreResult},
};

/// Who administers, for the audit and for what they may grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Editor {
    /// Username, client id, or where the change was made.
    pub name: String,
    /// May grant and take the administrator's role, and administer clients.
    pub may_admin: bool,
}

impl Editor {
    /// Somebody with a shell on the server itself.
    #[must_use]
    pub fn on_server() -> Self {
        Self { name: "on-the-server".into(), may_admin: true }
    }

    /// Somebody who changes their own account.
    #[must_use]
    pub fn oneself(username: &Username) -> Self {
        Self { name: username.to_string(), may_admin: false }
    }

    pub(super) fn audit(&self, kind: &str, action: &str, subject: &str, detail: Value) -> AuditEntry {
        audit::of_kind(kind, action, Some(&self.name), Some(subject), detail)
    }
}

impl From<&Principal> for Editor {
    fn from(principal: &Principal) -> Self {
        Self { name: principal.actor.person.username.to_string(), may_admin: principal.scopes.contains(&Scope::Admin) }
    }
}

impl Auth {
    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>> {
        self.store.audit_entries(query).await
    }
}

/// Why an account was not changed. The texts are safe to show.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// A field does not hold what it may.
    #[error("{message}")]
    Invalid {
        /// The field, as on the wire.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// Nobody of that name.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// `user`, `client`, `service account`.
        what: &'static str,
        /// As asked for.
        name: String,
    },
    /// The name is taken.
    #[error("{what} {name:?} exists already")]
    Exists {
        /// `user`, `client`.
        what: &'static str,
        /// As asked for.
        name: String,
    },
    /// Nobody could administer afterwards.
    #[error("this is the last enabled administrator; make another one first")]
    LastAdmin,
    /// Needs more than the right to administer users.
    #[error("only an administrator may change administrators")]
    AdminOnly,
    /// Another's app ends no session but its own.
    #[error("only the hospital's own apps may end all sessions; end your own by its sid, or revoke its token")]
    NotOurApp,
    /// The current password is another one.
    #[error("the current password is not right; type the one that you sign in with")]
    WrongPassword,
    /// Too many failures: wait.
    #[error("too many attempts failed; wait before the next one")]
    TooSoon(std::time::Duration),
    /// Somebody changed it at the same time.
    #[error("somebody else changed this at the same time; read it again and repeat the change")]
    Changed,
    /// A one-time link that is unknown, used or too old.
    #[error("the link is not valid any more; get a new one")]
    LinkSpent,
    /// Comes with medreq.
    #[error("this client comes with medreq and cannot be changed")]
    BuiltIn,
    /// A public app has no secret.
    #[error("this app is public and has no secret; register a confidential one")]
    PublicClient,
    /// Nothing to take away.
    #[error("this user has no second factor")]
    NoFactor,
    /// Not for somebody who is locked out.
    #[error("the user is disabled; enable them first")]
    Disabled,
    /// The store did not answer.
    #[error(transparent)]
    Store(StoreError),
}

impl AccountError {
    pub(super) fn invalid(field: &'static str, message: impl std::fmt::Display) -> Self {
        Self::Invalid { field, message: message.to_string() }
    }

    pub(super) fn no_user(name: impl Into<String>) -> Self {
        Self::NotFound { what: "user", name: name.into() }
    }
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Exists { what, key } => Self::Exists { what, name: key },
            StoreError::Changed => Self::Changed,
            StoreError::Missing { what: "ward", key } => {
                Self::invalid("wards", format_args!("there is no ward {key:?}"))
            }
            StoreError::Missing { what: "pharmacy", key } => {
                Self::invalid("pharmacies", format_args!("there is no pharmacy {key:?}"))
            }
            other => Self::Store(other),
        }
    }
}

impl From<InvalidPassword> for AccountError {
    fn from(invalid: InvalidPassword) -> Self {
        Self::invalid("password", invalid)
    }
}
