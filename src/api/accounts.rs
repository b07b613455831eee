//! Wire types of users, clients, service accounts and the audit log. A secret stands in exactly one of them, where it is shown once.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
#[cfg(feature = "server")]
use utoipa::ToSchema;
use uuid::Uuid;

use super::millis;
use crate::domain::{
    code::{PharmacyCode, Username, WardCode},
    reason::Role,
};

/// A user as administrators see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct UserView {
    /// Identity; the username may change, this does not.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "uuid"))]
    pub id: Uuid,
    /// Login name in its canonical form: NFC, lower case.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "joana"))]
    pub username: Username,
    /// Name as people read it.
    #[cfg_attr(feature = "server", schema(example = "Joana Prado"))]
    pub name: String,
    /// Roles.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Role>))]
    pub roles: BTreeSet<Role>,
    /// Codes of the wards that they work for.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub wards: BTreeSet<WardCode>,
    /// Codes of the pharmacies that they work in.
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// May neither sign in nor act.
    pub disabled: bool,
    /// Must choose a password at the next sign-in.
    pub must_change_password: bool,
    /// A password was set.
    pub has_password: bool,
    /// Created when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub created_at: Timestamp,
}

/// A user to create.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// Login name.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "joana"))]
    pub username: Username,
    /// Name as people read it.
    #[cfg_attr(feature = "server", schema(example = "Joana Prado"))]
    pub name: String,
    /// Roles, at least one; `service` is not a person's.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Role>))]
    pub roles: BTreeSet<Role>,
    /// Codes of wards.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub wards: BTreeSet<WardCode>,
    /// Codes of pharmacies.
    #[serde(default)]
    #[cfg_attr(feature = "server", schema(value_type = Vec<String>))]
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// First password, to be changed at the first sign-in; without one nobody can sign in until one is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What to change about a user; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PatchUser {
    /// Name as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Roles, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<Role>>))]
    pub roles: Option<BTreeSet<Role>>,
    /// Wards, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub wards: Option<BTreeSet<WardCode>>,
    /// Pharmacies, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub pharmacies: Option<BTreeSet<PharmacyCode>>,
    /// Locks the user out, or lets them in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Must choose a password at the next sign-in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub must_change_password: Option<bool>,
}

/// A temporary password for somebody else.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// At least 8 characters, at most 512 bytes; to be changed at the next sign-in.
    pub password: String,
}

/// A one-time link by which a user sets a password of their own choice.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct ResetLink {
    /// Whose password it sets.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "joana"))]
    pub username: Username,
    /// The page; for this user's eyes alone. It cannot be read again.
    #[cfg_attr(feature = "server", schema(example = "https://medreq.example.org/reset/k3…"))]
    pub url: String,
    /// Dead from then on; sooner where it was used or the password changed otherwise.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub expires_at: Timestamp,
}

/// A new password of one's own.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The one in force.
    pub current_password: String,
    /// At least 8 characters, at most 512 bytes.
    pub new_password: String,
}

macro_rules! shows_no_secret {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )+};
}
shows_no_secret!(CreateUser, ResetPassword, ResetLink, ChangePassword, ClientSecret);

/// Who the token belongs to, and what it may do now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct Whoami {
    /// Login name, or the client id of a service account.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "joana"))]
    pub username: Username,
    /// Name as people read it.
    pub name: String,
    /// Roles in force.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Role>))]
    pub roles: BTreeSet<Role>,
    /// Wards within reach; `null` is all.
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub wards: Option<BTreeSet<WardCode>>,
    /// Pharmacies within reach; `null` is all.
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub pharmacies: Option<BTreeSet<PharmacyCode>>,
    /// What the token may be used for now.
    pub scopes: Vec<String>,
    /// The client that the token was issued to.
    pub client_id: String,
    /// Signs in with a second factor.
    pub second_factor: bool,
    /// When the token dies.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub expires_at: Timestamp,
}

/// An OAuth2 client: an app or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct ClientView {
    /// `client_id`.
    #[cfg_attr(feature = "server", schema(example = "his-bridge"))]
    pub client_id: String,
    /// Name as people read it.
    pub name: String,
    /// True for a service account.
    pub service: bool,
    /// It has a secret.
    pub confidential: bool,
    /// The hospital's own app: its users are not asked whether they want to give it what it asks for.
    pub first_party: bool,
    /// Exact redirect URIs of an app.
    pub redirect_uris: Vec<String>,
    /// Scopes that it may ask for.
    pub scopes: BTreeSet<String>,
    /// Wards that a service account reads by itself; `null` is all.
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub wards: Option<BTreeSet<WardCode>>,
    /// Gets no tokens.
    pub disabled: bool,
    /// Created when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub created_at: Timestamp,
}

/// An app to register.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    /// `client_id`: 3 to 64 lower-case letters, digits, `-`, `_`, `.`.
    #[cfg_attr(feature = "server", schema(example = "nurse-app"))]
    pub client_id: String,
    /// Name as people read it.
    pub name: String,
    /// Exact redirect URIs: https, http on 127.0.0.1 or `[::1]` (on any port), or the app's own scheme.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// What it may ask for; left out, what apps usually need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = json!(["openid", "tickets:read", "tickets:write"])))]
    pub scopes: Option<BTreeSet<String>>,
    /// It runs on a server and keeps a secret, which the answer holds.
    #[serde(default)]
    pub confidential: bool,
    /// The hospital's own app: its users are not asked whether they want to give it what it asks for.
    #[serde(default)]
    pub first_party: bool,
}

/// What to change about an app; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PatchClient {
    /// Name as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact redirect URIs, in place of those before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_uris: Option<Vec<String>>,
    /// What it may ask for, in place of what was; acts on its tokens within seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<String>>,
    /// The hospital's own app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_party: Option<bool>,
    /// Locks it out and kills its tokens, or lets it in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A service account to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateServiceAccount {
    /// `client_id`; drawn where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "his-bridge"))]
    pub client_id: Option<String>,
    /// Name as people read it.
    pub name: String,
    /// What it may do, at least one.
    #[cfg_attr(feature = "server", schema(example = json!(["tickets:read", "tickets:write", "tickets:delegate"])))]
    pub scopes: BTreeSet<String>,
    /// Wards that it reads by itself; left out or `null` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Vec<String>>))]
    pub wards: Option<BTreeSet<WardCode>>,
}

/// What to change about a service account; what is left out stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PatchServiceAccount {
    /// Name as people read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it may do, in place of what was, at least one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<BTreeSet<String>>,
    /// Locks it out and kills its tokens, or lets it in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
}

/// A client with its secret, which is shown this once.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct ClientSecret {
    /// The client.
    #[serde(flatten)]
    pub client: ClientView,
    /// Its secret: keep it now, it cannot be read again. Left out where a public app was registered, which has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<String>,
}

/// A signing key, without its private part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct KeyView {
    /// Key id, as in the published set.
    pub kid: String,
    /// `ES256` or `RS256`.
    #[cfg_attr(feature = "server", schema(example = "ES256"))]
    pub algorithm: String,
    /// `next` (published, signs soon), `signing` or `retired` (verifies only).
    #[cfg_attr(feature = "server", schema(example = "signing"))]
    pub stage: String,
    /// Created, and published from then on.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// Signs from then on.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub signs_from: Timestamp,
    /// Signs until; `null` while no newer one is there.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(with = "millis::option")]
    pub retired_at: Option<Timestamp>,
    /// Its last token has expired then, and it is deleted.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = DateTime))]
    #[serde(with = "millis::option")]
    pub gone_at: Option<Timestamp>,
}

/// How to replace the signing keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// The present keys are known to others: they are deleted at once, and every token that they signed is dead.
    #[serde(default)]
    pub compromised: bool,
}

/// What the hospital asks of a sign-in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignInPolicy {
    /// Who holds one of these roles is to sign in with a second factor; who has none sets it up at their next sign-in.
    #[cfg_attr(feature = "server", schema(value_type = Vec<Role>))]
    pub second_factor_required_for: BTreeSet<Role>,
}

/// A line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct AuditView {
    /// When.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub at: Timestamp,
    /// `auth`, `reference`, `user`, `client`, `ticket` or `admin`.
    #[cfg_attr(feature = "server", schema(example = "auth"))]
    pub kind: String,
    /// What happened.
    #[cfg_attr(feature = "server", schema(example = "token_issued"))]
    pub action: String,
    /// Who did it; `null` where nobody is known.
    pub actor: Option<String>,
    /// About whom or what.
    pub subject: Option<String>,
    /// Particulars.
    #[cfg_attr(feature = "server", schema(value_type = Object))]
    pub detail: serde_json::Value,
}

/// A token as the token endpoint gives it (RFC 6749 §5.1).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct TokenAnswer {
    /// The access token.
    pub access_token: String,
    /// Always `Bearer`.
    #[cfg_attr(feature = "server", schema(example = "Bearer"))]
    pub token_type: String,
    /// Seconds that it lives.
    #[cfg_attr(feature = "server", schema(example = 600))]
    pub expires_in: i64,
    /// What it was issued for.
    #[cfg_attr(feature = "server", schema(example = "tickets:read tickets:write"))]
    pub scope: String,
    /// What gets the next one, once; with the scope `offline_access`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_token: Option<String>,
    /// Who signed in; with the scope `openid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token: Option<String>,
}
shows_no_secret!(TokenAnswer);

/// A sign-in on one device in one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct SessionView {
    /// `sid` in its tokens.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "uuid"))]
    pub sid: Uuid,
    /// The app; `medreq-web` is the pages of this server.
    #[cfg_attr(feature = "server", schema(example = "nurse-app"))]
    pub client_id: String,
    /// The device, in its own words.
    pub device: String,
    /// By which methods its owner signed in: `pwd`, `otp`.
    pub methods: Vec<String>,
    /// Opened when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// Last used when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub last_used_at: Timestamp,
    /// Over at the latest when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = DateTime))]
    #[serde(with = "millis")]
    pub expires_at: Timestamp,
    /// The one that this request's token belongs to.
    pub current: bool,
}

/// An error of the token endpoint (RFC 6749 §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct TokenProblem {
    /// The code.
    #[cfg_attr(feature = "server", schema(example = "invalid_client"))]
    pub error: String,
    /// What was wrong, for developers.
    pub error_description: String,
}
