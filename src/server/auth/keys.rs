//! The keys that sign tokens, and the public set that others verify with. A private key leaves this file only towards the store.
//!
//! A new key is published at once and signs only when every node and client had time to fetch it; the one before stays published until its last
//! token has expired, and is deleted then.

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

use super::{
    Auth, AuthStartError,
    accounts::{AccountError, Editor},
    audit,
};
use crate::server::ports::{AuditEntry, IdentityStore, SigningKey, StoreError, StoreResult};

/// A retired key verifies for as long as a token that it signed may live.
const LAST_TOKEN: SignedDuration = SignedDuration::from_hours(25);

/// How long a new key is published before it signs: clients may keep the set for 60 seconds, nodes read it again sooner.
const PUBLISHED_BEFORE: SignedDuration = SignedDuration::from_secs(90);

/// A key that has signed for so long is replaced.
const SIGNS_FOR: SignedDuration = SignedDuration::from_hours(24 * 90);

const ALGORITHMS: [&str; 2] = ["ES256", "RS256"];

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

/// A key as administrators see it: without its private part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Key id.
    pub kid: String,
    /// `ES256` or `RS256`.
    pub algorithm: String,
    /// Created, and published from then on.
    pub created_at: Timestamp,
    /// Signs from then on.
    pub signs_from: Timestamp,
    /// Signs until; `None` while no newer one is there.
    pub retired_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Its last token has expired then, and it is deleted.
    #[must_use]
    pub fn gone_at(&self) -> Option<Timestamp> {
        self.retired_at.map(|retired| retired + LAST_TOKEN)
    }

    /// What it does at an instant.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Stage {
        match self.retired_at {
            Some(retired) if retired <= now => Stage::Retired,
            _ if now < self.signs_from => Stage::Next,
            _ => Stage::Signing,
        }
    }
}

impl From<&SigningKey> for KeyRecord {
    fn from(key: &SigningKey) -> Self {
        Self {
            kid: key.kid.clone(),
            algorithm: key.algorithm.clone(),
            created_at: key.created_at,
            signs_from: key.signs_from,
            retired_at: key.retired_at,
        }
    }
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Published; signs soon.
    Next,
    /// Signs, where its algorithm is asked for.
    Signing,
    /// Verifies only.
    Retired,
}

/// How keys are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The new ones are published first; what was signed before stays good.
    Orderly,
    /// The old ones are known to others: they are deleted, and with them everything that they signed is dead.
    Compromised,
}

/// The keys as last read from the store.
pub(super) struct Keys {
    verifiers: HashMap<String, Arc<Verifier>>,
    /// All of the algorithm that we sign with, oldest first; never empty, and the last one is not retired.
    signers: Vec<(KeyRecord, Signer)>,
    records: Vec<KeyRecord>,
    jwks: Value,
}

impl Keys {
    fn from_stored(stored: &[SigningKey], now: Timestamp) -> Result<Self, AuthStartError> {
        let records: Vec<KeyRecord> = stored.iter().map(KeyRecord::from).collect();
        let live = |record: &KeyRecord| record.gone_at().is_none_or(|gone| now < gone);
        let published: Vec<&SigningKey> =
            stored.iter().zip(&records).filter(|(_, record)| live(record)).map(|(key, _)| key).collect();
        let verifiers = published
            .iter()
            .map(|key| verifier(key).map(|verifier| (key.kid.clone(), Arc::new(verifier))))
            .collect::<Result<_, AuthStartError>>()?;
        let signers: Vec<(KeyRecord, Signer)> =
            published.iter().filter(|key| key.algorithm == "ES256").map(|key| ((*key).into(), signer(key))).collect();
        if signers.last().is_none_or(|(record, _)| record.retired_at.is_some()) {
            return Err(AuthStartError::Key(
                "the store holds no ES256 key that signs; start the server again, which makes one",
            ));
        }
        let jwks = json!({ "keys": published.iter().map(|key| key.public_jwk.clone()).collect::<Vec<_>>() });
        Ok(Self { verifiers, signers, records, jwks })
    }

    fn signer_at(&self, now: Timestamp) -> &Signer {
        let (_, signer) = self
            .signers
            .iter()
            .rfind(|(record, _)| record.stage(now) == Stage::Signing)
            // Where the clock went back behind all of them, the newest.
            .or(self.signers.last())
            .expect("a set without one is not taken");
        signer
    }

    /// Algorithms that have no key, or one that has signed for long enough.
    fn due(&self, now: Timestamp) -> Vec<&'static str> {
        let fresh = |record: &KeyRecord| record.retired_at.is_none() && now < record.signs_from + SIGNS_FOR;
        let has = |algorithm: &str| self.records.iter().any(|record| record.algorithm == algorithm && fresh(record));
        ALGORITHMS.into_iter().filter(|algorithm| !has(algorithm)).collect()
    }

    /// Keys whose last token has expired.
    fn spent(&self, now: Timestamp) -> Vec<String> {
        let spent = |record: &&KeyRecord| record.gone_at().is_some_and(|gone| gone <= now);
        self.records.iter().filter(spent).map(|record| record.kid.clone()).collect()
    }
}

fn signer(key: &SigningKey) -> Signer {
    Signer { kid: key.kid.clone(), algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(&key.private_der) }
}

fn verifier(key: &SigningKey) -> Result<Verifier, AuthStartError> {
    let algorithm = match key.algorithm.as_str() {
        "ES256" => Algorithm::ES256,
        "RS256" => Algorithm::RS256,
        _ => {
            return Err(AuthStartError::Key(
                "a stored key has an algorithm that this version does not know; start the version that made it",
            ));
        }
    };
    let jwk = serde_json::from_value(key.public_jwk.clone()).map_err(|_| {
        AuthStartError::Key("a stored key's public part is not a JWK; restore the newest backup, which makes new keys")
    })?;
    let key = DecodingKey::from_jwk(&jwk).map_err(|_| {
        AuthStartError::Key("a stored key's public part is damaged; restore the newest backup, which makes new keys")
    })?;
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
            store.insert_signing_key(key.clone(), Vec::new(), made(&key, None)).await?;
            stored.push(key);
        }
        Ok(Self { current: RwLock::new(Arc::new(Keys::from_stored(&stored, now)?)) })
    }

    /// Reads the keys again. True where one is believed no more.
    pub(super) async fn reload(&self, store: &dyn IdentityStore, now: Timestamp) -> Result<bool, AuthStartError> {
        let keys = Keys::from_stored(&store.signing_keys().await?, now)?;
        let lost = self.keys().verifiers.keys().any(|kid| !keys.verifiers.contains_key(kid));
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(lost)
    }

    /// Does what time asks for: makes the RS256 key that some clients insist on, replaces keys that have signed for long enough, deletes those
    /// whose last token has expired. Making RS256 keys takes a while: never part of a start.
    pub(super) async fn tend(&self, store: &dyn IdentityStore, now: Timestamp) -> Result<(), AuthStartError> {
        let (due, spent) = (self.keys().due(now), self.keys().spent(now));
        for algorithm in &due {
            let first = !self.keys().records.iter().any(|record| record.algorithm == *algorithm);
            let signs_from = if first { now } else { now + PUBLISHED_BEFORE };
            let key = generate(algorithm, now, signs_from).await?;
            let entry = made(&key, None);
            store.insert_signing_key(key, Vec::new(), entry).await?;
        }
        if !spent.is_empty() {
            let entry = audit::entry("signing_keys_deleted", None, None, json!({ "kids": spent }));
            store.delete_signing_keys(spent.clone(), entry).await?;
        }
        if !(due.is_empty() && spent.is_empty()) {
            self.reload(store, now).await?;
        }
        Ok(())
    }

    /// Replaces all keys.
    pub(super) async fn rotate(
        &self,
        store: &dyn IdentityStore,
        rotation: Rotation,
        by: &Editor,
        now: Timestamp,
    ) -> Result<(), AuthStartError> {
        let old = store.signing_keys().await?;
        for algorithm in ALGORITHMS {
            let (signs_from, dropped) = match rotation {
                Rotation::Orderly => (now + PUBLISHED_BEFORE, Vec::new()),
                Rotation::Compromised => {
                    let same = old.iter().filter(|key| key.algorithm == algorithm);
                    (now, same.map(|key| key.kid.clone()).collect())
                }
            };
            let key = generate(algorithm, now, signs_from).await?;
            let mut entry = made(&key, Some(by));
            entry.detail["dropped"] = json!(dropped);
            store.insert_signing_key(key, dropped, entry).await?;
        }
        Ok(())
    }

    pub(super) fn with_signer<T>(&self, f: impl FnOnce(&Signer) -> T) -> T {
        f(self.keys().signer_at(Timestamp::now()))
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

impl Auth {
    /// The signing keys, oldest first.
    ///
    /// # Errors
    /// As the store's.
    pub async fn signing_keys(&self) -> StoreResult<Vec<KeyRecord>> {
        Ok(self.store.signing_keys().await?.iter().map(KeyRecord::from).collect())
    }

    /// Replaces every signing key.
    ///
    /// # Errors
    /// [`AccountError::AdminOnly`], or the store's.
    pub async fn rotate_keys(&self, rotation: Rotation, by: &Editor) -> Result<Vec<KeyRecord>, AccountError> {
        if !by.may_admin {
            return Err(AccountError::AdminOnly);
        }
        let broken = |error| match error {
            AuthStartError::Store(error) => error,
            other => StoreError::Broken(other.to_string()),
        };
        self.keys.rotate(self.store.as_ref(), rotation, by, super::now()).await.map_err(broken)?;
        self.read_keys_again(Timestamp::now()).await;
        Ok(self.signing_keys().await?)
    }
}

fn made(key: &SigningKey, by: Option<&Editor>) -> AuditEntry {
    let detail = json!({ "algorithm": key.algorithm, "signs_from": key.signs_from });
    audit::entry("signing_key_created", by.map(|by| by.name.as_str()), Some(&key.kid), detail)
}

async fn generate(algorithm: &str, now: Timestamp, signs_from: Timestamp) -> Result<SigningKey, AuthStartError> {
    let make = if algorithm == "ES256" { generate_es256 } else { generate_rs256 };
    let made = tokio::task::spawn_blocking(move || make(now)).await;
    let key = made.map_err(|_| AuthStartError::Key("a signing key could not be generated"))??;
    Ok(SigningKey { signs_from, ..key })
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
    Ok(fresh(kid, "ES256", private_der, public_jwk, now))
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
    Ok(fresh(kid, "RS256", private_der, public_jwk, now))
}

fn fresh(kid: String, algorithm: &str, private_der: Vec<u8>, public_jwk: Value, now: Timestamp) -> SigningKey {
    let algorithm = algorithm.to_owned();
    SigningKey { kid, algorithm, private_der, public_jwk, created_at: now, signs_from: now, retired_at: None }
}

fn thumbprint(canonical: &str) -> String {
    B64.encode(Sha256::digest(canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::{super::fake::FakeStore, *};

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

    #[tokio::test]
    async fn a_key_is_published_before_it_signs_and_verifies_until_its_last_token_has_expired() {
        let store = FakeStore::default();
        let ring = KeyRing::open(&store, now()).await.unwrap();
        ring.tend(&store, now()).await.unwrap();
        let signer = |at: Timestamp| ring.keys().signer_at(at).kid.clone();
        let old = signer(now());
        assert_eq!(ring.keys().records.iter().map(|key| key.algorithm.as_str()).collect::<Vec<_>>(), ALGORITHMS);

        let rotated_at = now() + SignedDuration::from_hours(1);
        ring.rotate(&store, Rotation::Orderly, &Editor::on_server(), rotated_at).await.unwrap();
        ring.reload(&store, rotated_at).await.unwrap();
        assert_eq!(ring.jwks()["keys"].as_array().unwrap().len(), 4, "published at once");
        assert_eq!(signer(rotated_at + SignedDuration::from_secs(89)), old);
        let new = signer(rotated_at + SignedDuration::from_secs(90));
        assert_ne!(new, old);
        assert_eq!(signer(now() - SignedDuration::from_hours(9)), new, "a clock that went back finds a key");

        let day_after = rotated_at + SignedDuration::from_hours(24);
        ring.tend(&store, day_after).await.unwrap();
        assert!(ring.verifier(&old).is_some(), "a token of 24 hours is still good");
        ring.tend(&store, day_after + SignedDuration::from_hours(2)).await.unwrap();
        assert!(ring.verifier(&old).is_none() && ring.verifier(&new).is_some());
        assert_eq!(store.signing_keys().await.unwrap().len(), 2, "and its private part is gone");
    }

    #[tokio::test]
    async fn keys_are_replaced_every_90_days_by_themselves() {
        let store = FakeStore::default();
        let ring = KeyRing::open(&store, now()).await.unwrap();
        ring.tend(&store, now()).await.unwrap();
        let days = |days: i64| now() + SignedDuration::from_hours(24 * days);
        ring.tend(&store, days(89)).await.unwrap();
        assert_eq!(ring.keys().records.len(), 2);
        for _ in 0..2 {
            ring.tend(&store, days(90)).await.unwrap();
            assert_eq!(ring.keys().records.len(), 4, "once each");
        }
        let stages: Vec<Stage> = ring.keys().records.iter().map(|key| key.stage(days(90))).collect();
        assert_eq!(stages, [Stage::Signing, Stage::Signing, Stage::Next, Stage::Next]);
        ring.tend(&store, days(92)).await.unwrap();
        assert_eq!(ring.keys().records.len(), 2);
    }

    #[tokio::test]
    async fn a_compromised_key_is_believed_no_more() {
        let store = FakeStore::default();
        let ring = KeyRing::open(&store, now()).await.unwrap();
        let old = ring.with_signer(|signer| signer.kid.clone());
        ring.rotate(&store, Rotation::Compromised, &Editor::on_server(), now()).await.unwrap();
        assert!(ring.reload(&store, now()).await.unwrap(), "what is cached about it must go too");
        assert!(ring.verifier(&old).is_none());
        assert_ne!(ring.with_signer(|signer| signer.kid.clone()), old);
        assert!(store.actions().iter().all(|action| action == "signing_key_created"));
    }
}
