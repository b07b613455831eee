//! The schema's history: one step per version, each of which may run twice, since nodes that start together run it together. A step that was
//! released is never edited.

use mongodb::{
    Collection, Database, IndexModel,
    bson::{Bson, Document, doc},
    error::{Error, ErrorKind},
    options::IndexOptions,
};
use sha2::{Digest, Sha256};

use super::{
    audit::HEAD,
    connect::ConnectError,
    read::{Fields, bytes},
    schema_sign_ins, schema_tickets, site_keys,
    transaction::is_taken,
};
use crate::server::stored::random;

/// The one document of the collection that says whose database this is.
pub(super) const IDENTITY: &str = "medreq";

/// The server's code for a collection that is there.
const NAMESPACE_EXISTS: i32 = 48;

/// A collection as a step makes it: the fields that each of its documents has, and the indexes beside that of `_id`.
pub(super) struct Made {
    pub(super) name: &'static str,
    /// Names and BSON types.
    pub(super) fields: &'static [(&'static str, &'static str)],
    pub(super) indexes: &'static [Index],
}

pub(super) struct Index {
    keys: &'static [&'static str],
    unique: bool,
    /// Only of documents that have the first key.
    where_there: bool,
}

pub(super) const fn unique(keys: &'static [&'static str]) -> Index {
    Index { keys, unique: true, where_there: false }
}

pub(super) const fn unique_where_there(keys: &'static [&'static str]) -> Index {
    Index { keys, unique: true, where_there: true }
}

pub(super) const fn index(keys: &'static [&'static str]) -> Index {
    Index { keys, unique: false, where_there: false }
}

const STEPS: &[&[Made]] = &[IDENTITY_AND_REFERENCE, schema_sign_ins::COLLECTIONS, schema_tickets::COLLECTIONS];

const IDENTITY_AND_REFERENCE: &[Made] = &[
    Made { name: "settings", fields: &[("_id", "string"), ("value", "string")], indexes: &[] },
    Made {
        name: "users",
        fields: &[
            ("_id", "string"),
            ("username", "string"),
            ("generation", "long"),
            ("version", "long"),
            ("disabled", "bool"),
            BODY,
        ],
        indexes: &[unique(&["username"])],
    },
    Made {
        name: "clients",
        fields: &[("_id", "string"), ("generation", "long"), ("version", "long"), BODY],
        indexes: &[],
    },
    Made {
        name: "signing_keys",
        fields: &[
            ("_id", "string"),
            ("row", "long"),
            ("algorithm", "string"),
            ("private_der", "binData"),
            ("public_jwk", "string"),
            ("created_at", "long"),
            ("signs_from", "long"),
        ],
        indexes: &[unique(&["row"])],
    },
    Made {
        name: "links",
        fields: &[("_id", "binData"), ("purpose", "string"), ("expires_at", "long")],
        indexes: &[index(&["expires_at"])],
    },
    Made {
        name: "audit",
        fields: &[
            ("_id", "long"),
            ("at", "long"),
            ("kind", "string"),
            ("action", "string"),
            ("detail", "string"),
            ("hash", "binData"),
        ],
        indexes: &[index(&["kind", "_id"])],
    },
    Made { name: "audit_head", fields: &[("_id", "string"), ("newest", "long"), ("hash", "binData")], indexes: &[] },
    Made { name: "pharmacies", fields: CODED, indexes: &[] },
    Made { name: "wards", fields: CODED, indexes: &[] },
    Made { name: "cabinets", fields: CODED, indexes: &[] },
    Made {
        name: "medications",
        fields: &[
            ("_id", "string"),
            ("active", "bool"),
            ("unreviewed", "bool"),
            ("scan_codes", "array"),
            ("words", "array"),
            BODY,
        ],
        indexes: &[index(&["scan_codes"]), index(&["words"]), index(&["group_key", "_id"])],
    },
    Made {
        name: "par_levels",
        fields: &[("_id", "string"), ("cabinet", "string"), ("medication", "string"), BODY],
        indexes: &[index(&["cabinet", "medication"])],
    },
    Made {
        name: "identifiers",
        fields: &[("thing", "string"), ("system", "string"), ("value", "string"), ("owner", "string")],
        indexes: &[unique(&["thing", "system", "value"]), index(&["thing", "owner"])],
    },
    Made {
        name: "replies",
        fields: &[
            ("_id", "binData"),
            ("request_hash", "binData"),
            ("status", "long"),
            ("body", "binData"),
            ("at", "long"),
        ],
        indexes: &[index(&["at"])],
    },
];

/// A record as JSON, the same text that the embedded store holds.
pub(super) const BODY: (&str, &str) = ("body", "string");

const CODED: &[(&str, &str)] = &[("_id", "string"), BODY];

/// Checks whose database it is and brings it to the newest schema.
pub(super) async fn migrate(db: &Database) -> Result<(), ConnectError> {
    let known = i64::try_from(STEPS.len()).expect("there are few schema versions");
    let database = || db.name().to_owned();
    let meta: Collection<Document> = db.collection("meta");
    // In this order: a node that starts beside this one says whose the database is before it makes anything.
    let collections = db.list_collection_names().await?;
    let found = match meta.find_one(doc! { "_id": IDENTITY }).await? {
        Some(identity) => identity.number("schema")?,
        None if collections.is_empty() => {
            begin(&meta).await?;
            0
        }
        None => return Err(ConnectError::NotMedreq { database: database() }),
    };
    if found > known {
        return Err(ConnectError::NewerSchema { database: database(), found, known });
    }
    for (step, version) in STEPS.iter().zip(0_i64..).skip_while(|(_, version)| *version < found) {
        for made in *step {
            make(db, made).await?;
        }
        if version == 0 {
            begin_audit(db, &meta).await?;
        }
        if version == 2 {
            site_keys::make(&meta).await?;
        }
        // Only ever forwards, whoever is first.
        let change = doc! { "$max": { "schema": version + 1 } };
        meta.update_one(doc! { "_id": IDENTITY }, change).await?;
    }
    Ok(())
}

/// Says whose database this is; of nodes that start together the first one does.
async fn begin(meta: &Collection<Document>) -> Result<(), ConnectError> {
    let identity = doc! { "_id": IDENTITY, "schema": 0_i64, "genesis": bytes(&random::<32>()?) };
    there_or(meta.insert_one(identity).await.map(drop), is_taken)
}

/// The audit log's head before its first entry: another beginning than that of the events, of the same log.
async fn begin_audit(db: &Database, meta: &Collection<Document>) -> Result<(), ConnectError> {
    let identity = meta.find_one(doc! { "_id": IDENTITY }).await?.unwrap_or_default();
    let hash = Sha256::new_with_prefix(identity.blob("genesis")?).chain_update("audit").finalize();
    let head = doc! { "_id": HEAD, "newest": 0_i64, "hash": bytes(&hash) };
    there_or(db.collection("audit_head").insert_one(head).await.map(drop), is_taken)
}

async fn make(db: &Database, made: &Made) -> Result<(), ConnectError> {
    let creating = db.create_collection(made.name).validator(validator(made.fields));
    there_or(
        creating.await,
        |error| matches!(&*error.kind, ErrorKind::Command(command) if command.code == NAMESPACE_EXISTS),
    )?;
    let models = made.indexes.iter().map(|index| {
        let keys: Document = index.keys.iter().map(|&key| (key.to_owned(), Bson::Int32(1))).collect();
        let there = index.keys.first().filter(|_| index.where_there).map(|key| doc! { *key: { "$exists": true } });
        let options = IndexOptions::builder().unique(index.unique).partial_filter_expression(there).build();
        IndexModel::builder().keys(keys).options(options).build()
    });
    let models: Vec<_> = models.collect();
    if !models.is_empty() {
        db.collection::<Document>(made.name).create_indexes(models).await?;
    }
    Ok(())
}

/// What is there already was made by a node that started together with this one.
fn there_or(result: Result<(), Error>, is_there: impl Fn(&Error) -> bool) -> Result<(), ConnectError> {
    match result {
        Err(error) if !is_there(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Refuses a document without one of the fields, whoever writes it.
fn validator(fields: &[(&str, &str)]) -> Document {
    let required: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let properties: Document =
        fields.iter().map(|(name, sort)| ((*name).to_owned(), doc! { "bsonType": *sort }.into())).collect();
    doc! { "$jsonSchema": { "bsonType": "object", "required": required, "properties": properties } }
}
