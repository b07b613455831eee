//! The keys that sign tokens, and the public set that others verify with. A private key leaves this file only towards the store.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use aws_lc_rs::{
    encoding::AsDer,
    rsa::KeySize,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{AuthStartError, audit};
use crate::server::ports::{AuditEntry, IdentityStore, SigningKey};

/// A retired key verifies for as long as a token that it signed may live.
const LAST_TOKEN: SignedDuration = SignedDuration::from_hours(25);

/// A key that verifies.
pub(super) struct Verifier {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

/// The key that signs access tokens.
pub(super) struct Signer {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: EncodingKey,
}

/// The keys as last read from the store.
pub(super) struct Keys {
    verifiers: HashMap<String, Arc<Verifier>>,
    signer: Signer,
    jwks: Value,
    has_rs256: bool,
}

impl Keys {
    fn from_stored(stored: &[SigningKey], now: Timestamp) -> Result<Self, AuthStartError> {
        let live = |key: &&SigningKey| key.retired_at.is_none_or(|at| now < at + LAST_TOKEN);
        let published: Vec<&SigningKey> = stored.iter().filter(live).collect();
        let verifiers = published
            .iter()
            .map(|key| verifier(key).map(|verifier| (key.kid.clone(), Arc::new(verifier))))
            .collect::<Result<_, AuthStartError>>()?;
        let newest = |algorithm: &str| {
            published.iter().rev().find(|key| key.algorithm == algorithm && key.retired_at.is_none_or(|at| now < at))
        };
        let signing = newest("ES256").ok_or(AuthStartError::Key("there is no ES256 key"))?;
        Ok(Self {
            verifiers,
            signer: Signer {
                kid: signing.kid.clone(),
                algorithm: Algorithm::ES256,
                key: EncodingKey::from_ec_der(&signing.private_der),
            },
            has_rs256: newest("RS256").is_some(),
            jwks: json!({ "keys": published.iter().map(|key| key.public_jwk.clone()).collect::<Vec<_>>() }),
        })
    }
}

fn verifier(key: &SigningKey) -> Result<Verifier, AuthStartError> {
    let algorithm = match key.algorithm.as_str() {
        "ES256" => Algorithm::ES256,
        "RS256" => Algorithm::RS256,
        _ => return Err(AuthStartError::Key("a stored key has an algorithm that this version does not know")),
    };
    let jwk = serde_json::from_value(key.public_jwk.clone())
        .map_err(|_| AuthStartError::Key("a stored key's public part is not a JWK"))?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| AuthStartError::Key("a stored key's public part is damaged"))?;
    Ok(Verifier { algorithm, key })
}

/// The process's view of the keys, replaced whole when the store has others.
pub(super) struct KeyRing {
    current: RwLock<Arc<Keys>>,
}

impl KeyRing {
    /// Reads the keys; makes the first one where there is none.
    pub(super) async fn open(store: &dyn IdentityStore, now: Timestamp) -> Result<Self, AuthStartError> {
        let mut stored = store.signing_keys().await?;
        if !stored.iter().any(|key| key.algorithm == "ES256" && key.retired_at.is_none()) {
            let key = generate_es256(now)?;
            store.insert_signing_key(key.clone(), made(&key)).await?;
            stored.push(key);
        }
        Ok(Self { current: RwLock::new(Arc::new(Keys::from_stored(&stored, now)?)) })
    }

    /// Reads the keys again.
    pub(super) async fn reload(&self, store: &dyn IdentityStore, now: Timestamp) -> Result<(), AuthStartError> {
        let keys = Keys::from_stored(&store.signing_keys().await?, now)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    /// Makes the RS256 key that some clients insist on, where there is none yet. Takes a while: never part of a start.
    pub(super) async fn offer_rs256(&self, store: &dyn IdentityStore) -> Result<(), AuthStartError> {
        if self.keys().has_rs256 {
            return Ok(());
        }
        let made_at = Timestamp::now();
        let key = tokio::task::spawn_blocking(move || generate_rs256(made_at))
            .await
            .map_err(|_| AuthStartError::Key("the RS256 key could not be generated"))??;
        let entry = made(&key);
        store.insert_signing_key(key, entry).await?;
        self.reload(store, made_at).await
    }

    pub(super) fn with_signer<T>(&self, f: impl FnOnce(&Signer) -> T) -> T {
        f(&self.keys().signer)
    }

    /// The key of this id, if it is ours.
    pub(super) fn verifier(&self, kid: &str) -> Option<Arc<Verifier>> {
        self.keys().verifiers.get(kid).cloned()
    }

    /// The public keys (RFC 7517).
    pub(super) fn jwks(&self) -> Value {
        self.keys().jwks.clone()
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn made(key: &SigningKey) -> AuditEntry {
    audit::entry("signing_key_created", None, Some(&key.kid), json!({ "algorithm": key.algorithm }))
}

fn generate_es256(now: Timestamp) -> Result<SigningKey, AuthStartError> {
    let failed = |_| AuthStartError::Key("the ES256 key could not be generated");
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(failed)?;
    let private_der = pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec();
    // An uncompressed point: 0x04, then 32 bytes each of x and y.
    let point = pair.public_key().as_ref();
    let (x, y) = (B64.encode(&point[1..33]), B64.encode(&point[33..65]));
    // RFC 7638: the thumbprint is over exactly these members in this order.
    let kid = thumbprint(&format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#));
    let public_jwk = json!({ "kty": "EC", "use": "sig", "alg": "ES256", "kid": kid, "crv": "P-256", "x": x, "y": y });
    Ok(SigningKey { kid, algorithm: "ES256".into(), private_der, public_jwk, created_at: now, retired_at: None })
}

fn generate_rs256(now: Timestamp) -> Result<SigningKey, AuthStartError> {
    let failed = |_| AuthStartError::Key("the RS256 key could not be generated");
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let private_der =
        AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'static>>::as_der(&pair).map_err(failed)?.as_ref().to_vec();
    let public = pair.public_key();
    let n = B64.encode(public.modulus().big_endian_without_leading_zero());
    let e = B64.encode(public.exponent().big_endian_without_leading_zero());
    let kid = thumbprint(&format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#));
    let public_jwk = json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e });
    Ok(SigningKey { kid, algorithm: "RS256".into(), private_der, public_jwk, created_at: now, retired_at: None })
}

fn thumbprint(canonical: &str) -> String {
    B64.encode(Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn the_published_set_has_no_private_member() {
        let keys = Keys::from_stored(&[generate_es256(now()).unwrap(), generate_rs256(now()).unwrap()], now()).unwrap();
        let published = keys.jwks["keys"].as_array().unwrap();
        assert_eq!(published.len(), 2);
        for jwk in published {
            for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
                assert!(jwk.get(private).is_none(), "{private}");
            }
            assert_eq!(jwk["use"], "sig");
            assert!(jwk["kid"].is_string() && jwk["alg"].is_string() && jwk["kty"].is_string());
        }
    }

    #[test]
    fn a_retired_key_verifies_until_its_last_token_has_expired() {
        let (old, new) = (generate_es256(now()).unwrap(), generate_es256(now()).unwrap());
        let old = SigningKey { retired_at: Some(now()), ..old };
        let keys = Keys::from_stored(&[new.clone(), old.clone()], now()).unwrap();
        assert_eq!(keys.signer.kid, new.kid);
        assert!(keys.verifiers.contains_key(&old.kid));
        let later = Keys::from_stored(&[old.clone(), new], now() + SignedDuration::from_hours(26)).unwrap();
        assert!(!later.verifiers.contains_key(&old.kid));
    }
}
