//! Forged and expired tokens, made with all that an attacker can know, and with the server's own key where only a claim is wrong (A8, A9).

use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::common::{Hospital, Server};

/// The signing key of a server, its `kid`, and its public part as JWK: what an attacker has, and what only a test may have.
struct Forge {
    pair: EcdsaKeyPair,
    kid: String,
    jwk: Value,
    claims: Value,
}

impl Forge {
    fn new(server: &Server, token: &str) -> Self {
        let keys = server.get("", "/oauth2/jwks");
        let jwk = keys["keys"].as_array().unwrap().iter().find(|key| key["alg"] == "ES256").unwrap().clone();
        let kid = jwk["kid"].as_str().unwrap().to_owned();
        let conn = Connection::open_with_flags(server.dir.join("medreq.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let der: Vec<u8> =
            conn.query_row("SELECT private_der FROM signing_keys WHERE kid = ?1", [&kid], |row| row.get(0)).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
        let claims = serde_json::from_slice(&B64.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap();
        Self { pair, kid, jwk, claims }
    }

    fn claims_with(&self, name: &str, value: Value) -> Value {
        let mut claims = self.claims.clone();
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value,
        }
        claims
    }

    fn unsigned(header: &Value, claims: &Value) -> String {
        format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
    }

    fn header(&self, alg: &str) -> Value {
        json!({"alg": alg, "typ": "at+jwt", "kid": self.kid})
    }

    /// Signed with the server's own key.
    fn signed(&self, header: &Value, claims: &Value) -> String {
        let text = Self::unsigned(header, claims);
        let signature = self.pair.sign(&SystemRandom::new(), text.as_bytes()).unwrap();
        format!("{text}.{}", B64.encode(signature))
    }

    /// Signed as HS256 with something public for the secret.
    fn hs256(&self, secret: &[u8]) -> String {
        let text = Self::unsigned(&self.header("HS256"), &self.claims);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), text.as_bytes());
        format!("{text}.{}", B64.encode(tag))
    }

    /// The public key in the forms in which a careless verifier may hold it.
    fn public_forms(&self) -> Vec<Vec<u8>> {
        let part = |name: &str| B64.decode(self.jwk[name].as_str().unwrap()).unwrap();
        let point = [vec![4], part("x"), part("y")].concat();
        let prefix = B64.decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE").unwrap();
        let spki = [prefix, part("x"), part("y")].concat();
        let pem = {
            let text = base64::engine::general_purpose::STANDARD.encode(&spki);
            format!("-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----\n", &text[..64], &text[64..])
        };
        vec![point, spki, pem.into_bytes(), self.jwk.to_string().into_bytes(), Vec::new()]
    }
}

#[test]
fn a8_a9_forged_and_expired_tokens_open_nothing() {
    let hospital = Hospital::shared();
    let (server, token) = (hospital.server(), &hospital.ana);
    let forge = Forge::new(server, token);
    let es256 = forge.header("ES256");
    let now = jiff::Timestamp::now().as_second();
    let is_let_in = |token: &str| server.call(token, "GET", "/v1/tickets").send().status == 200;
    assert!(is_let_in(&forge.signed(&es256, &forge.claims)), "the forge must be able to make a good token");
    assert!(is_let_in(&forge.signed(&es256, &forge.claims_with("iat", json!(now + 1)))), "a clock 1 s ahead (A9)");

    let good = forge.signed(&es256, &forge.claims);
    let parts: Vec<&str> = good.split('.').collect();
    let with_claim = |name: &str, value: Value| forge.signed(&es256, &forge.claims_with(name, value));
    let mut forged = vec![
        ("no dots", "nonsense".to_owned()),
        ("too long", "a".repeat(5_000)),
        ("alg none", format!("{}.", Forge::unsigned(&forge.header("none"), &forge.claims))),
        ("alg nOnE", format!("{}.", Forge::unsigned(&forge.header("nOnE"), &forge.claims))),
        ("alg RS256", forge.signed(&forge.header("RS256"), &forge.claims)),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("zero signature", format!("{}.{}.{}", parts[0], parts[1], B64.encode([0; 64]))),
        ("other claims", format!("{}.{}.{}", parts[0], B64.encode("{}"), parts[2])),
        ("no typ", forge.signed(&json!({"alg": "ES256", "kid": forge.kid}), &forge.claims)),
        ("typ JWT", forge.signed(&json!({"alg": "ES256", "kid": forge.kid, "typ": "JWT"}), &forge.claims)),
        ("no kid", forge.signed(&json!({"alg": "ES256", "typ": "at+jwt"}), &forge.claims)),
        ("unknown kid", forge.signed(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "x"}), &forge.claims)),
        (
            "crit",
            forge.signed(
                &json!({"alg": "ES256", "typ": "at+jwt", "kid": forge.kid, "crit": ["x"], "x": 1}),
                &forge.claims,
            ),
        ),
        (
            "own jwk",
            forge.signed(&json!({"alg": "ES256", "typ": "at+jwt", "kid": "own", "jwk": forge.jwk}), &forge.claims),
        ),
        ("nbf as text", with_claim("nbf", json!("9999999999"))),
        ("nbf far ahead", with_claim("nbf", json!(now + 9_999))),
        ("iat 120 s ahead (A9)", with_claim("iat", json!(now + 120))),
        ("aud a number", with_claim("aud", json!(123))),
        ("aud another", with_claim("aud", json!("https://other.test/v1"))),
        ("aud a list", with_claim("aud", json!([123]))),
        ("no aud", with_claim("aud", Value::Null)),
        ("no iss", with_claim("iss", Value::Null)),
        ("another iss", with_claim("iss", json!("https://evil.test"))),
        ("iss a list", with_claim("iss", json!(["https://evil.test", forge.claims["iss"]]))),
        ("no sub", with_claim("sub", Value::Null)),
        ("nobody", with_claim("sub", json!("0191e4a2-0000-4000-8000-000000000000"))),
        ("no exp", with_claim("exp", Value::Null)),
        ("exp as text", with_claim("exp", json!("9999999999"))),
        ("another generation", with_claim("gen", json!(forge.claims["gen"].as_u64().unwrap() + 1))),
    ];
    forged.extend(forge.public_forms().iter().map(|secret| ("HS256 by the public key", forge.hs256(secret))));
    for (how, token) in &forged {
        let refused = server.call(token, "GET", "/v1/tickets").send();
        assert_eq!(refused.status, 401, "{how} was let in: {}", refused.json);
        assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""), "{how}");
        refused.problem(401, "invalid_token");
    }
    let expired = forge.signed(&es256, &forge.claims_with("exp", json!(now - 120)));
    server.call(&expired, "GET", "/v1/tickets").send().problem(401, "token_expired");
    server.call("", "GET", "/v1/tickets").send().problem(401, "missing_token");
    for other in ["Basic YW5hOng=", "Bearer", "bearer ", "Token abc"] {
        let refused = server.call("", "GET", "/v1/tickets").header("authorization", other).send();
        assert_eq!(refused.status, 401, "{other}: {}", refused.json);
    }
    // A scope that its owner's roles do not carry is worth nothing, whoever signed it.
    let wider =
        forge.signed(&es256, &forge.claims_with("scope", json!("tickets:read admin users:write reference:write")));
    server.call(&wider, "GET", "/auth/v1/users").send().problem(403, "insufficient_scope");
}
