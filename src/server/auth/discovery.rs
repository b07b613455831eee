//! Metadata (RFC 8414, OpenID Connect Discovery): says what works today and nothing more.

use serde_json::{Value, json};

use super::{Auth, grants::GRANT_TYPES, scopes::Scope};

impl Auth {
    /// `/.well-known/oauth-authorization-server`.
    #[must_use]
    pub fn oauth_metadata(&self) -> Value {
        let base = self.endpoints();
        let any = json!(["none", "client_secret_basic", "client_secret_post"]);
        json!({
            "issuer": self.issuer(),
            "authorization_endpoint": format!("{base}/oauth2/authorize"),
            "token_endpoint": format!("{base}/oauth2/token"),
            "device_authorization_endpoint": format!("{base}/oauth2/device_authorization"),
            "revocation_endpoint": format!("{base}/oauth2/revoke"),
            "introspection_endpoint": format!("{base}/oauth2/introspect"),
            "jwks_uri": format!("{base}/oauth2/jwks"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": GRANT_TYPES,
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
            "token_endpoint_auth_methods_supported": any,
            "revocation_endpoint_auth_methods_supported": any,
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": Scope::ALL.iter().map(|scope: &Scope| scope.as_str()).collect::<Vec<_>>(),
            "ui_locales_supported": ["en", "pt-BR"],
            "service_documentation": format!("{base}/docs"),
        })
    }

    /// `/.well-known/openid-configuration`: the same, with what OpenID Connect adds.
    #[must_use]
    pub fn openid_metadata(&self) -> Value {
        let mut metadata = self.oauth_metadata();
        metadata["userinfo_endpoint"] = json!(format!("{}/oauth2/userinfo", self.endpoints()));
        metadata["subject_types_supported"] = json!(["public"]);
        metadata["id_token_signing_alg_values_supported"] = json!(["ES256", "RS256"]);
        metadata["prompt_values_supported"] = json!(["none", "login", "consent", "select_account"]);
        metadata["claims_supported"] = json!([
            "iss",
            "sub",
            "aud",
            "exp",
            "iat",
            "auth_time",
            "nonce",
            "sid",
            "amr",
            "name",
            "preferred_username",
        ]);
        metadata["request_parameter_supported"] = json!(false);
        metadata["request_uri_parameter_supported"] = json!(false);
        metadata["claims_parameter_supported"] = json!(false);
        metadata
    }

    /// `/oauth2/jwks`.
    #[must_use]
    pub fn jwks(&self) -> Value {
        self.keys.jwks()
    }
}
