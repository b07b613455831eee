//! Metadata (RFC 8414, OpenID Connect Discovery): says what works today and nothing more.

use serde_json::{Value, json};

use super::{
    Auth,
    scopes::{SERVICE_SCOPES, Scope},
};

/// Grants that the token endpoint takes.
pub const GRANT_TYPES: &[&str] = &["client_credentials"];

impl Auth {
    /// `/.well-known/oauth-authorization-server`.
    #[must_use]
    pub fn oauth_metadata(&self) -> Value {
        let base = self.endpoints();
        json!({
            "issuer": self.issuer(),
            "token_endpoint": format!("{base}/oauth2/token"),
            "jwks_uri": format!("{base}/oauth2/jwks"),
            "grant_types_supported": GRANT_TYPES,
            "response_types_supported": [],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": SERVICE_SCOPES.iter().map(|scope: &Scope| scope.as_str()).collect::<Vec<_>>(),
            "service_documentation": format!("{base}/docs"),
        })
    }

    /// `/.well-known/openid-configuration`: the same, with what OpenID Connect requires to be said.
    #[must_use]
    pub fn openid_metadata(&self) -> Value {
        let mut metadata = self.oauth_metadata();
        metadata["subject_types_supported"] = json!(["public"]);
        metadata["id_token_signing_alg_values_supported"] = json!(["ES256", "RS256"]);
        metadata
    }

    /// `/oauth2/jwks`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.keys.jwks()
    }
}
