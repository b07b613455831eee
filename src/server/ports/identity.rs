//! The port of users, clients, keys, one-time links, settings and audit. Every write takes its audit entry along; no secret is ever in an audit entry.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Page, StoreResult};
use crate::domain::{
    actor::{Reach, UserId},
    code::{PharmacyCode, Username, WardCode},
    reason::Role,
};

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// Login name.
    pub username: Username,
    /// Name as people read it.
    pub name: String,
    /// Roles; never `service`.
    pub roles: BTreeSet<Role>,
    /// Wards.
    pub wards: BTreeSet<WardCode>,
    /// Pharmacies.
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// May not sign in nor act.
    pub disabled: bool,
    /// Must choose a password before anything else.
    pub must_change_password: bool,
    /// Argon2id in PHC form; `None` until one was set.
    pub password_hash: Option<String>,
    /// Grows by password change, disable, log-out-all: kills everything issued before.
    pub generation: u64,
    /// Counts the changes of this record; the store alone raises it.
    #[serde(default)]
    pub version: u64,
    /// Created when.
    pub created_at: Timestamp,
}

/// An OAuth2 client: an app, or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// Identity as an actor.
    pub id: UserId,
    /// Name as people read it.
    pub name: String,
    /// True for a service account (client credentials).
    pub service: bool,
    /// `sha256:` and the hash of the secret, which is random; `None` for a public client.
    pub secret_hash: Option<String>,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Scopes it may ask for.
    pub scopes: BTreeSet<String>,
    /// Wards that a service account reads by itself; `None` is all.
    pub wards: Option<BTreeSet<WardCode>>,
    /// May not get tokens.
    pub disabled: bool,
    /// The hospital's own: its users are not asked whether they want to give it what it asks for.
    #[serde(default)]
    pub first_party: bool,
    /// What an app was issued before is dead.
    #[serde(default)]
    pub valid_from: Timestamp,
    /// As a user's.
    pub generation: u64,
    /// As a user's.
    #[serde(default)]
    pub version: u64,
    /// Created when.
    pub created_at: Timestamp,
}

/// A signing key as stored, unsealed: what holds it is its store's alone to read, and no backup has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Key id.
    pub kid: String,
    /// `ES256` or `RS256`.
    pub algorithm: String,
    /// PKCS#8 DER.
    pub private_der: Vec<u8>,
    /// The public JWK.
    pub public_jwk: serde_json::Value,
    /// Created, and published from then on.
    pub created_at: Timestamp,
    /// Signs from then on: others have had time to fetch it.
    pub signs_from: Timestamp,
    /// Signs until; `None` while no newer one of its algorithm is there.
    pub retired_at: Option<Timestamp>,
}

/// A line of the append-only audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `auth`, `reference`, `user`, `client`, `ticket`, `admin`.
    pub kind: String,
    /// What: `token_issued`, `user_created`, …
    pub action: String,
    /// Who, as a username or client id; `None` where nobody is known.
    pub actor: Option<String>,
    /// About whom or what.
    pub subject: Option<String>,
    /// Particulars; never a secret.
    pub detail: serde_json::Value,
}

/// Which audit entries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only this kind.
    pub kind: Option<String>,
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// The authority snapshot's row for one subject (user or service account).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub id: UserId,
    /// Name in tokens and headers: username or client id.
    pub username: String,
    /// Name as people read it.
    pub name: String,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Wards.
    pub wards: Reach<WardCode>,
    /// Pharmacies.
    pub pharmacies: Reach<PharmacyCode>,
    /// Scopes that a service account may hold; `None` for a user, whose roles say.
    pub scopes: Option<BTreeSet<String>>,
    /// Refused everywhere.
    pub disabled: bool,
    /// Tokens of an older generation are dead.
    pub generation: u64,
}

impl From<User> for Authority {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            username: user.username.into(),
            name: user.name,
            roles: user.roles,
            wards: Reach::Only(user.wards),
            pharmacies: Reach::Only(user.pharmacies),
            scopes: None,
            disabled: user.disabled,
            generation: user.generation,
        }
    }
}

/// Of a service account.
impl From<Client> for Authority {
    fn from(client: Client) -> Self {
        Self {
            id: client.id,
            username: client.client_id,
            name: client.name,
            roles: [Role::Service].into(),
            wards: client.wards.map_or(Reach::All, Reach::Only),
            pharmacies: Reach::none(),
            scopes: Some(client.scopes),
            disabled: client.disabled,
            generation: client.generation,
        }
    }
}

/// Users, clients, keys, one-time links, settings, audit. Every write takes its audit entry along, in one transaction.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// A user by name.
    async fn user(&self, username: &Username) -> StoreResult<Option<User>>;
    /// All users, by name; `after` pages by username.
    async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>>;
    /// Inserts users; a taken name is [`StoreError::Exists`](super::StoreError::Exists); a ward or pharmacy that does not exist [`StoreError::Missing`](super::StoreError::Missing).
    async fn insert_users(&self, users: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()>;
    /// Replaces a user whose stored version is still that of `user`; else [`StoreError::Changed`](super::StoreError::Changed). Gives it back as stored,
    /// of the next version: whatever was changed since `user` was read is never overwritten.
    async fn update_user(&self, user: User, audit: AuditEntry) -> StoreResult<User>;
    /// Inserts some users and replaces others, each as by [`update_user`](Self::update_user), all or nothing.
    async fn save_users(&self, created: Vec<User>, updated: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()>;
    /// A client by `client_id`.
    async fn client(&self, client_id: &str) -> StoreResult<Option<Client>>;
    /// All clients, by id.
    async fn clients(&self) -> StoreResult<Vec<Client>>;
    /// Inserts a client.
    async fn insert_client(&self, client: Client, audit: AuditEntry) -> StoreResult<()>;
    /// Replaces a client, as [`update_user`](Self::update_user) does a user.
    async fn update_client(&self, client: Client, audit: AuditEntry) -> StoreResult<Client>;
    /// Signing keys, oldest first.
    async fn signing_keys(&self) -> StoreResult<Vec<SigningKey>>;
    /// Adds a signing key; the one before of its algorithm retires when it begins to sign. `dropped` are deleted in the same step.
    async fn insert_signing_key(&self, key: SigningKey, dropped: Vec<String>, audit: AuditEntry) -> StoreResult<()>;
    /// Deletes signing keys by their ids; those that are not there any more are passed over.
    async fn delete_signing_keys(&self, kids: Vec<String>, audit: AuditEntry) -> StoreResult<()>;
    /// Everybody's authority, whole.
    async fn authorities(&self) -> StoreResult<Vec<Authority>>;
    /// Keeps the hash of a one-time link until it expires.
    async fn insert_link(
        &self,
        hash: [u8; 32],
        purpose: &str,
        subject: Option<String>,
        expires_at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()>;
    /// The subject of a one-time link that could be taken at `now`; it stays. `None` where unknown, used or expired.
    async fn link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>>;
    /// Takes a one-time link: as [`link`](Self::link) once, then never again.
    async fn take_link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>>;
    /// Appends to the audit log.
    async fn audit(&self, entry: AuditEntry) -> StoreResult<()>;
    /// A page of the audit log, newest first.
    async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>>;
    /// A setting that is fixed once: the stored value, or `value` which is stored now.
    async fn fix_setting(&self, name: &str, value: &str) -> StoreResult<String>;
    /// Sets a setting, whatever it was.
    async fn set_setting(&self, name: &str, value: &str, audit: AuditEntry) -> StoreResult<()>;
    /// A setting; `None` until it is fixed or set.
    async fn setting(&self, name: &str) -> StoreResult<Option<String>>;
}
