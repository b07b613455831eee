//! Users, clients, service accounts, the audit log, and tokens for a service account. Secrets pass through, nothing keeps them.

use reqwest::Method;
use uuid::Uuid;

use super::{
    Client, ClientError,
    call::{Call, Query},
};
use crate::api::{
    List,
    accounts::{
        AuditView, ChangePassword, ClientSecret, ClientView, CreateClient, CreateServiceAccount, CreateUser, KeyView,
        PatchClient, PatchServiceAccount, PatchUser, ResetLink, ResetPassword, RotateKeys, SessionView, SignInPolicy,
        TokenAnswer, UserView, Whoami,
    },
    tickets::Nothing,
};

const USERS: &[&str] = &["auth", "v1", "users"];
const MY_SESSIONS: &[&str] = &["auth", "v1", "me", "sessions"];
const CLIENTS: &[&str] = &["auth", "v1", "clients"];
const SERVICE_ACCOUNTS: &[&str] = &["auth", "v1", "service-accounts"];

fn page(limit: Option<usize>, cursor: Option<&str>) -> Query {
    Query::default().some("limit", limit).some("cursor", cursor)
}

impl Client {
    /// Who the token belongs to, and what it may do now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn whoami(&self) -> Result<Whoami, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "me"])).await
    }

    /// Changes one's own password; the token of this call is dead afterwards.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn change_password(&self, change: &ChangePassword) -> Result<(), ClientError> {
        self.done(Call::new(self, Method::POST, &["auth", "v1", "me", "password"]).json(change)).await
    }

    /// One page of users.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn users(&self, limit: Option<usize>, cursor: Option<&str>) -> Result<List<UserView>, ClientError> {
        self.fetch(Call::get(self, USERS).query(&page(limit, cursor))).await
    }

    /// A user by login name.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn user(&self, username: &str) -> Result<UserView, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "users", username])).await
    }

    /// Creates a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_user(&self, user: &CreateUser) -> Result<UserView, ClientError> {
        self.fetch(Call::new(self, Method::POST, USERS).json(user)).await
    }

    /// Changes a user.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch_user(&self, username: &str, patch: &PatchUser) -> Result<UserView, ClientError> {
        self.fetch(Call::new(self, Method::PATCH, &["auth", "v1", "users", username]).json(patch)).await
    }

    /// Gives somebody else a temporary password.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reset_password(&self, username: &str, password: &ResetPassword) -> Result<(), ClientError> {
        let path = ["auth", "v1", "users", username, "password"];
        self.done(Call::new(self, Method::POST, &path).json(password)).await
    }

    /// A one-time link by which a user sets a password of their own choice.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reset_link(&self, username: &str) -> Result<ResetLink, ClientError> {
        let path = ["auth", "v1", "users", username, "reset-link"];
        self.fetch(Call::new(self, Method::POST, &path).json(&Nothing {})).await
    }

    /// Takes the second factor of a user away who lost it.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn reset_second_factor(&self, username: &str) -> Result<(), ClientError> {
        self.done(Call::new(self, Method::DELETE, &["auth", "v1", "users", username, "second-factor"])).await
    }

    /// One's own sessions, last used first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn my_sessions(&self) -> Result<List<SessionView>, ClientError> {
        self.fetch(Call::get(self, MY_SESSIONS)).await
    }

    /// Ends one of one's own sessions, or with `None` all of them, the one of this call too.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_my_sessions(&self, sid: Option<Uuid>) -> Result<(), ClientError> {
        let sid = sid.map(|sid| sid.to_string());
        let path: Vec<&str> = MY_SESSIONS.iter().copied().chain(sid.as_deref()).collect();
        self.done(Call::new(self, Method::DELETE, &path)).await
    }

    /// A user's sessions, last used first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn user_sessions(&self, username: &str) -> Result<List<SessionView>, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "users", username, "sessions"])).await
    }

    /// Ends one of a user's sessions, or with `None` all of them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn end_user_sessions(&self, username: &str, sid: Option<Uuid>) -> Result<(), ClientError> {
        let sid = sid.map(|sid| sid.to_string());
        let path: Vec<&str> = ["auth", "v1", "users", username, "sessions"].into_iter().chain(sid.as_deref()).collect();
        self.done(Call::new(self, Method::DELETE, &path)).await
    }

    /// One page of clients, service accounts among them.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn clients(&self, limit: Option<usize>, cursor: Option<&str>) -> Result<List<ClientView>, ClientError> {
        self.fetch(Call::get(self, CLIENTS).query(&page(limit, cursor))).await
    }

    /// One client, app or service account.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn client(&self, client_id: &str) -> Result<ClientView, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "clients", client_id])).await
    }

    /// Registers an app; the answer holds the secret of a confidential one, this once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_client(&self, client: &CreateClient) -> Result<ClientSecret, ClientError> {
        self.fetch(Call::new(self, Method::POST, CLIENTS).json(client)).await
    }

    /// Changes an app.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch_client(&self, client_id: &str, patch: &PatchClient) -> Result<ClientView, ClientError> {
        self.fetch(Call::new(self, Method::PATCH, &["auth", "v1", "clients", client_id]).json(patch)).await
    }

    /// Gives a confidential app another secret; the old one and its tokens are dead at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_client_secret(&self, client_id: &str) -> Result<ClientSecret, ClientError> {
        let path = ["auth", "v1", "clients", client_id, "secret"];
        self.fetch(Call::new(self, Method::POST, &path).json(&Nothing {})).await
    }

    /// Creates a service account; the answer holds its secret, this once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_service_account(&self, account: &CreateServiceAccount) -> Result<ClientSecret, ClientError> {
        self.fetch(Call::new(self, Method::POST, SERVICE_ACCOUNTS).json(account)).await
    }

    /// Changes a service account, locks it out or lets it in again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn patch_service_account(
        &self,
        client_id: &str,
        patch: &PatchServiceAccount,
    ) -> Result<ClientView, ClientError> {
        let path = ["auth", "v1", "service-accounts", client_id];
        self.fetch(Call::new(self, Method::PATCH, &path).json(patch)).await
    }

    /// Gives a service account another secret; the old one and its tokens are dead at once.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_secret(&self, client_id: &str) -> Result<ClientSecret, ClientError> {
        let path = ["auth", "v1", "service-accounts", client_id, "secret"];
        self.fetch(Call::new(self, Method::POST, &path).json(&Nothing {})).await
    }

    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn keys(&self) -> Result<List<KeyView>, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "keys"])).await
    }

    /// Replaces the signing keys.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn rotate_keys(&self, how: &RotateKeys) -> Result<List<KeyView>, ClientError> {
        self.fetch(Call::new(self, Method::POST, &["auth", "v1", "keys"]).json(how)).await
    }

    /// What the hospital asks of a sign-in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn policy(&self) -> Result<SignInPolicy, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "policy"])).await
    }

    /// Says what the hospital asks of a sign-in.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_policy(&self, policy: &SignInPolicy) -> Result<SignInPolicy, ClientError> {
        self.fetch(Call::new(self, Method::PUT, &["auth", "v1", "policy"]).json(policy)).await
    }

    /// One page of the audit log, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn audit(
        &self,
        kind: Option<&str>,
        limit: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<List<AuditView>, ClientError> {
        self.fetch(Call::get(self, &["auth", "v1", "audit"]).query(&page(limit, cursor).some("kind", kind))).await
    }

    /// A token by the client-credentials grant (RFC 6749 §4.4); `scopes` empty asks for all that the account has.
    ///
    /// # Errors
    /// [`ClientError`]; its problem's code is the grant's error, such as `invalid_client`.
    pub async fn client_credentials(
        &self,
        client_id: &str,
        client_secret: &str,
        scopes: &[&str],
    ) -> Result<TokenAnswer, ClientError> {
        let scope = scopes.join(" ");
        let mut fields =
            vec![("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", client_secret)];
        if !scope.is_empty() {
            fields.push(("scope", &scope));
        }
        self.fetch(Call::new(self, Method::POST, &["oauth2", "token"]).form(&fields)).await
    }
}
