//! Tokens that were forged by hand: A8 and A9. The forger knows everything that is public, and for a control the private key too.
#![expect(clippy::unwrap_used, reason = "tests")]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::server::{auth::fake::FakeStore, ports::IdentityStore};

const ISSUER: &str = "https://medreq.example.org";
const NOW: i64 = 1_800_000_000;

struct Forge {
    keys: KeyRing,
    store: FakeStore,
}

impl Forge {
    async fn new() -> Self {
        let store = FakeStore::default();
        let keys = KeyRing::open(&store, at(NOW)).await.unwrap();
        Self { keys, store }
    }

    fn kid(&self) -> String {
        self.keys.with_signer(|signer| signer.kid.clone())
    }

    fn header(&self) -> Value {
        json!({ "typ": "at+jwt", "alg": "ES256", "kid": self.kid() })
    }

    /// Signs whatever it is given with the real key.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = message(header, claims);
        let signature = self.keys.with_signer(|signer| {
            jsonwebtoken::crypto::sign(message.as_bytes(), &signer.key, Algorithm::ES256).unwrap()
        });
        format!("{message}.{signature}")
    }

    fn verify(&self, token: &str) -> Result<Claims, BadToken> {
        verify(&self.keys, ISSUER, token, at(NOW))
    }

    fn with(&self, change: impl FnOnce(&mut Value)) -> Result<Claims, BadToken> {
        let mut claims = claims();
        change(&mut claims);
        self.verify(&self.sign(&self.header(), &claims))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn message(header: &Value, claims: &Value) -> String {
    format!("{}.{}", B64.encode(header.to_string()), B64.encode(claims.to_string()))
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": Uuid::nil(), "aud": "https://medreq.example.org/v1", "exp": NOW + 600, "iat": NOW, "jti": "1",
        "client_id": "medreq-cli", "scope": "tickets:read", "sid": Uuid::nil(), "gen": 1, "username": "joana",
    })
}

#[tokio::test]
async fn the_forge_itself_makes_good_tokens() {
    let forge = Forge::new().await;
    let made = forge.with(|_| {}).unwrap();
    assert_eq!(made.username, "joana");
    let ours = sign(&forge.keys, &made).unwrap();
    assert_eq!(forge.verify(&ours), Ok(made));
}

#[tokio::test]
async fn a8_claims_of_a_wrong_type_or_missing_are_refused() {
    let forge = Forge::new().await;
    for (claim, value) in [
        ("nbf", json!("9999999999")),
        ("nbf", json!(null)),
        ("nbf", json!(true)),
        ("aud", json!(123)),
        ("aud", json!(["https://medreq.example.org/v1", "https://evil.example"])),
        ("aud", json!("https://medreq.example.org")),
        ("aud", json!("https://medreq.example.org/v1/")),
        ("iss", json!("https://evil.example")),
        ("iss", json!([ISSUER])),
        ("exp", json!("9999999999")),
        ("exp", json!(null)),
        ("exp", json!(1e30)),
        ("iat", json!("0")),
        ("sub", json!(7)),
        ("sub", json!("joana")),
        ("gen", json!("1")),
        ("gen", json!(-1)),
        ("scope", json!(["tickets:read"])),
    ] {
        assert_eq!(forge.with(|claims| claims[claim] = value.clone()), Err(BadToken::Invalid), "{claim} {value}");
    }
    for claim in ["iss", "aud", "sub", "exp", "iat", "jti", "client_id", "scope", "sid", "gen"] {
        let refused = forge.with(|claims| drop(claims.as_object_mut().unwrap().remove(claim)));
        assert_eq!(refused, Err(BadToken::Invalid), "without {claim}");
    }
}

#[tokio::test]
async fn a8_other_algorithms_under_our_key_id_are_refused() {
    let forge = Forge::new().await;
    let jwk = forge.store.signing_keys().await.unwrap()[0].public_jwk.clone();
    let public: Vec<u8> = [jwk["x"].as_str().unwrap(), jwk["y"].as_str().unwrap()]
        .into_iter()
        .fold(vec![4], |point, part| [point, B64.decode(part).unwrap()].concat());
    for secret in [public, jwk.to_string().into_bytes(), Vec::new()] {
        let header = json!({ "typ": "at+jwt", "alg": "HS256", "kid": forge.kid() });
        let message = message(&header, &claims());
        let key = EncodingKey::from_secret(&secret);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
        assert_eq!(forge.verify(&format!("{message}.{signature}")), Err(BadToken::Invalid));
    }
    for alg in ["none", "None", "NONE", "", "RS256", "ES384"] {
        let header = json!({ "typ": "at+jwt", "alg": alg, "kid": forge.kid() });
        assert_eq!(forge.verify(&format!("{}.", message(&header, &claims()))), Err(BadToken::Invalid), "{alg}");
        assert_eq!(forge.verify(&forge.sign(&header, &claims())), Err(BadToken::Invalid), "{alg}");
    }
}

#[tokio::test]
async fn other_types_keys_and_forms_are_refused() {
    let forge = Forge::new().await;
    let mut headers = Vec::new();
    for (member, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("id_token")),
        ("typ", json!(null)),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("kid", json!(null)),
    ] {
        let mut header = forge.header();
        header[member] = value;
        headers.push(header);
    }
    for header in headers {
        assert_eq!(forge.verify(&forge.sign(&header, &claims())), Err(BadToken::Invalid), "{header}");
    }
    let stranger = Forge::new().await;
    assert_eq!(forge.verify(&stranger.sign(&stranger.header(), &claims())), Err(BadToken::UnknownKey));
    assert_eq!(forge.verify(&stranger.sign(&forge.header(), &claims())), Err(BadToken::Invalid));
    let good = forge.sign(&forge.header(), &claims());
    let padded = forge.with(|claims| claims["pad"] = "x".repeat(4_096).into());
    assert_eq!(padded, Err(BadToken::Invalid));
    for bad in ["", ".", "..", "a.b.c", &good[..good.len() - 2], &format!("{good}."), &format!("{good}=="), "\u{0}"] {
        assert_eq!(forge.verify(bad), Err(BadToken::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn a9_a_clock_a_second_behind_is_borne_and_two_minutes_are_not() {
    let forge = Forge::new().await;
    let issued_ahead = |seconds: i64| {
        forge.with(|claims| {
            claims["iat"] = (NOW + seconds).into();
            claims["exp"] = (NOW + seconds + 600).into();
        })
    };
    assert!(issued_ahead(1).is_ok());
    assert_eq!(issued_ahead(120), Err(BadToken::Invalid));
    assert!(forge.with(|claims| claims["nbf"] = (NOW + 1).into()).is_ok());
    assert_eq!(forge.with(|claims| claims["nbf"] = (NOW + 120).into()), Err(BadToken::Invalid));
}

#[tokio::test]
async fn a9_a_token_outlives_its_expiry_by_the_leeway_and_no_second_more() {
    let forge = Forge::new().await;
    let expiring = |exp: i64| {
        forge.with(|claims| {
            claims["iat"] = (NOW - 600).into();
            claims["exp"] = exp.into();
        })
    };
    assert!(expiring(NOW + 1).is_ok());
    assert!(expiring(NOW - 1).is_ok());
    assert!(expiring(NOW - 59).is_ok());
    assert_eq!(expiring(NOW - 60), Err(BadToken::Expired));
    assert_eq!(expiring(NOW - 120), Err(BadToken::Expired));
    assert_eq!(expiring(NOW - 3_600), Err(BadToken::Expired));
}
