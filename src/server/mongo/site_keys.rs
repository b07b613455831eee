//! Secrets of the site that never change, made with its database: read once, for no decision depends on when.

use mongodb::{
    Collection, Database,
    bson::{Document, doc},
};

use super::{
    connect::ConnectError,
    read::{Fields, bytes},
    schema::IDENTITY,
};
use crate::server::{
    ports::StoreResult,
    stored::{WordKey, random, unreadable},
};

/// What hides words and patients, and what the chains of events begin from.
pub(super) struct SiteKeys {
    pub(super) words: WordKey,
    pub(super) patient_salt: [u8; 32],
    pub(super) genesis: [u8; 32],
}

impl SiteKeys {
    /// Those of the database.
    pub(super) async fn load(db: &Database) -> Result<Self, ConnectError> {
        let identity = db.collection("meta").find_one(doc! { "_id": IDENTITY }).await?.unwrap_or_default();
        Ok(Self {
            words: WordKey(secret(&identity, "word_key")?),
            patient_salt: secret(&identity, "patient_salt")?,
            genesis: secret(&identity, "genesis")?,
        })
    }
}

/// Makes those that are missing; of nodes that start together the first one does.
pub(super) async fn make(meta: &Collection<Document>) -> Result<(), ConnectError> {
    for name in ["word_key", "patient_salt"] {
        let filter = doc! { "_id": IDENTITY, name: { "$exists": false } };
        meta.update_one(filter, doc! { "$set": { name: bytes(&random::<32>()?) } }).await?;
    }
    Ok(())
}

fn secret(identity: &Document, name: &str) -> StoreResult<[u8; 32]> {
    identity.blob(name)?.try_into().map_err(|_| unreadable(name))
}
