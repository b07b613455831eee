//! Wire types of the OAuth2 endpoints beside the token's own: devices, introspection, userinfo. No password is ever in one.

use serde::{Deserialize, Serialize};
#[cfg(feature = "server")]
use utoipa::ToSchema;
use uuid::Uuid;

/// The codes of a device that asks to be let in (RFC 8628 §3.2).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct DeviceAnswer {
    /// What the device asks the token endpoint with; for nobody's eyes.
    pub device_code: String,
    /// What the person types.
    #[cfg_attr(feature = "server", schema(example = "BCDF-GHJK"))]
    pub user_code: String,
    /// Where the person types it.
    #[cfg_attr(feature = "server", schema(example = "https://medreq.example.org/device"))]
    pub verification_uri: String,
    /// The same with the code in it, for a QR code.
    #[cfg_attr(feature = "server", schema(example = "https://medreq.example.org/device?user_code=BCDF-GHJK"))]
    pub verification_uri_complete: String,
    /// Seconds that both codes live.
    #[cfg_attr(feature = "server", schema(example = 300))]
    pub expires_in: i64,
    /// Seconds that must lie between two requests for the token.
    #[cfg_attr(feature = "server", schema(example = 5))]
    pub interval: u32,
}

/// Prints nothing of the codes.
impl std::fmt::Debug for DeviceAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceAnswer").finish_non_exhaustive()
    }
}

/// What a token says (RFC 7662 §2.2); of a dead one only that it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct Introspection {
    /// Usable now.
    pub active: bool,
    /// What it may be used for now, by its owner's roles.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "tickets:read"))]
    pub scope: Option<String>,
    /// The client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Username, or client id of a service account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// `Bearer`; an access token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_type: Option<String>,
    /// Dead from this second on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// Issued at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// The owner's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "uuid"))]
    pub sub: Option<Uuid>,
    /// The session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "uuid"))]
    pub sid: Option<Uuid>,
    /// The API that it is for; an access token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aud: Option<String>,
    /// The issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its own id; an access token's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
}

/// Who the token belongs to (OpenID Connect Core §5.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(ToSchema))]
pub struct UserInfo {
    /// The same as in the ID token.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "uuid"))]
    pub sub: Uuid,
    /// Name as people read it; with the scope `profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "Joana Prado"))]
    pub name: Option<String>,
    /// Login name; with the scope `profile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(example = "joana"))]
    pub preferred_username: Option<String>,
}
