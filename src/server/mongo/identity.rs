//! Users, clients, keys, links and settings. Every write takes its audit entry along in its own transaction, whose head settles the races of all nodes.

use std::collections::HashMap;

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use mongodb::{
    Database,
    bson::{Bson, Document, doc},
};

use super::{
    MongoStore,
    audit::append,
    read::{Fields, bytes, records},
    reference::require,
    transaction::{Attempt, Tx, is_taken, one_taken, taken},
};
use crate::{
    domain::code::{PharmacyCode, Username, WardCode},
    server::{
        ports::{
            AuditEntry, AuditQuery, Authority, Client, IdentityStore, Page, SigningKey, StoreError, StoreResult, User,
        },
        stored::{fetch, from_millis, page, to_millis},
    },
};

#[async_trait]
impl IdentityStore for MongoStore {
    async fn user(&self, username: &Username) -> StoreResult<Option<User>> {
        let found = self.find("users", doc! { "username": username.as_str() }).await?;
        found.as_ref().map(Fields::record).transpose()
    }

    async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>> {
        let from = doc! { "username": { "$gt": after.unwrap_or_default() } };
        let all = (Document::new(), from);
        let (found, total) = self.find_page("users", all, doc! { "username": 1 }, fetch(limit)).await?;
        Ok(page(records(&found)?, limit, total, |user: &User| user.username.to_string()))
    }

    async fn insert_users(&self, users: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        self.save_users(users, vec![], audit).await
    }

    async fn update_user(&self, user: User, audit: AuditEntry) -> StoreResult<User> {
        let stored = User { version: user.version + 1, ..user.clone() };
        self.save_users(vec![], vec![user], vec![audit]).await?;
        Ok(stored)
    }

    async fn save_users(&self, created: Vec<User>, updated: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        let updated: Vec<User> = updated.into_iter().map(|was| User { version: was.version + 1, ..was }).collect();
        self.write((created, updated, audit), |tx, (created, updated, audit)| {
            async move {
                check_places(tx, created.iter().chain(updated)).await?;
                insert_users(tx, created).await?;
                update_users(tx, updated).await?;
                append(tx, audit).await
            }
            .boxed()
        })
        .await
    }

    async fn client(&self, client_id: &str) -> StoreResult<Option<Client>> {
        let found = self.find("clients", doc! { "_id": client_id }).await?;
        found.as_ref().map(Fields::record).transpose()
    }

    async fn clients(&self) -> StoreResult<Vec<Client>> {
        records(&self.find_all("clients", Document::new(), doc! { "_id": 1 }).await?)
    }

    async fn insert_client(&self, client: Client, audit: AuditEntry) -> StoreResult<()> {
        self.write((client, audit), |tx, (client, audit)| {
            async move {
                client_places(tx, client).await?;
                let inserted = tx.insert("clients", client_document(client)?).await;
                taken(inserted, "client", &client.client_id)?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn update_client(&self, was: Client, audit: AuditEntry) -> StoreResult<Client> {
        let client = Client { version: was.version + 1, ..was };
        self.write((client.clone(), audit), |tx, (client, audit)| {
            async move {
                update_client(tx, client).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await?;
        Ok(client)
    }

    async fn signing_keys(&self) -> StoreResult<Vec<SigningKey>> {
        let found = self.find_all("signing_keys", Document::new(), doc! { "row": 1 }).await?;
        found.iter().map(signing_key).collect()
    }

    async fn insert_signing_key(&self, key: SigningKey, dropped: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        self.write((key, dropped, audit), |tx, (key, dropped, audit)| {
            async move {
                tx.delete_all("signing_keys", doc! { "_id": { "$in": dropped } }).await?;
                insert_signing_key(tx, key).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn delete_signing_keys(&self, kids: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        self.write((kids, audit), |tx, (kids, audit)| {
            async move {
                tx.delete_all("signing_keys", doc! { "_id": { "$in": kids } }).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn authorities(&self) -> StoreResult<Vec<Authority>> {
        let users: Vec<User> = records(&self.find_all("users", Document::new(), doc! { "username": 1 }).await?)?;
        let services = self.clients().await?.into_iter().filter(|client| client.service).map(Authority::from);
        Ok(users.into_iter().map(Authority::from).chain(services).collect())
    }

    async fn insert_link(
        &self,
        hash: [u8; 32],
        purpose: &str,
        subject: Option<String>,
        expires_at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let link = doc! {
            "_id": bytes(&hash),
            "purpose": purpose,
            "subject": subject,
            "expires_at": to_millis(expires_at),
        };
        self.write((link, audit), |tx, (link, audit)| {
            async move {
                tx.delete_all("links", doc! { "expires_at": { "$lte": to_millis(audit.at) } }).await?;
                taken(tx.insert("links", link.clone()).await, "link", "")?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let found = self.find("links", takeable(hash, purpose, now)).await?;
        found.as_ref().map(subject).transpose()
    }

    async fn take_link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let filter = takeable(hash, purpose, now);
        let taking = move |db: Database| async move {
            Ok(db.collection::<Document>("links").find_one_and_delete(filter).await?)
        };
        let taken = self.write_alone(taking).await?;
        taken.as_ref().map(subject).transpose()
    }

    async fn audit(&self, entry: AuditEntry) -> StoreResult<()> {
        self.write(entry, |tx, entry| async move { append(tx, std::slice::from_ref(entry)).await }.boxed()).await
    }

    async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>> {
        self.audit_page(query).await
    }

    async fn fix_setting(&self, name: &str, value: &str) -> StoreResult<String> {
        let fixed = doc! { "_id": name, "value": value };
        let inserting = move |db: Database| async move {
            match db.collection("settings").insert_one(fixed).await {
                Err(error) if !is_taken(&error) => Err(error.into()),
                _ => Ok(()),
            }
        };
        self.write_alone(inserting).await?;
        Ok(self.setting(name).await?.unwrap_or_else(|| value.to_owned()))
    }

    async fn set_setting(&self, name: &str, value: &str, audit: AuditEntry) -> StoreResult<()> {
        self.write((doc! { "_id": name, "value": value }, audit), |tx, (setting, audit)| {
            async move {
                tx.put("settings", setting.clone()).await?;
                append(tx, std::slice::from_ref(audit)).await
            }
            .boxed()
        })
        .await
    }

    async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        let found = self.find("settings", doc! { "_id": name }).await?;
        found.map(|found| Ok(found.text("value")?.to_owned())).transpose()
    }
}

async fn check_places(tx: &mut Tx, users: impl Iterator<Item = &User> + Clone + Send) -> Attempt<()> {
    let wards = users.clone().flat_map(|user| &user.wards).map(WardCode::as_str);
    require(tx, "ward", wards).await?;
    let pharmacies = users.flat_map(|user| &user.pharmacies).map(PharmacyCode::as_str);
    require(tx, "pharmacy", pharmacies).await
}

fn user_document(user: &User) -> StoreResult<Document> {
    Ok(doc! {
        "_id": user.id.0.to_string(),
        "username": user.username.as_str(),
        "generation": user.generation.cast_signed(),
        "version": user.version.cast_signed(),
        "disabled": user.disabled,
        "body": serde_json::to_string(user)?,
    })
}

async fn insert_users(tx: &mut Tx, users: &[User]) -> Attempt<()> {
    let documents = users.iter().map(user_document).collect::<StoreResult<Vec<_>>>()?;
    let inserted = tx.insert_all("users", &documents).await;
    one_taken(inserted, "user", &documents, |user| user.text("username").unwrap_or_default().to_owned())
}

/// Puts users of their next version in place of those of the version before. Whoever changes one meanwhile collides with this transaction.
async fn update_users(tx: &mut Tx, users: &[User]) -> Attempt<()> {
    let ids: Vec<String> = users.iter().map(|user| user.id.0.to_string()).collect();
    let found = tx.find_all("users", doc! { "_id": { "$in": &ids } }).await?;
    let versions = found.iter().map(|user| Ok((user.text("_id")?.to_owned(), user.number("version")?)));
    let mut versions = versions.collect::<StoreResult<HashMap<_, _>>>()?;
    for (user, id) in users.iter().zip(&ids) {
        match versions.get_mut(id) {
            None => return Err(StoreError::Missing { what: "user", key: id.clone() }.into()),
            Some(version) if *version + 1 != user.version.cast_signed() => return Err(StoreError::Changed.into()),
            Some(version) => *version += 1,
        }
    }
    tx.delete_all("users", doc! { "_id": { "$in": ids } }).await?;
    insert_users(tx, users).await
}

async fn client_places(tx: &mut Tx, client: &Client) -> Attempt<()> {
    require(tx, "ward", client.wards.iter().flatten().map(WardCode::as_str)).await
}

/// Puts a client of its next version in place of the one of the version before.
async fn update_client(tx: &mut Tx, client: &Client) -> Attempt<()> {
    client_places(tx, client).await?;
    let id = client.client_id.as_str();
    let was = doc! { "_id": id, "version": client.version.cast_signed() - 1 };
    if tx.update("clients", was, doc! { "$set": client_document(client)? }).await? {
        return Ok(());
    }
    let there = tx.find("clients", doc! { "_id": id }).await?.is_some();
    Err(if there { StoreError::Changed } else { StoreError::Missing { what: "client", key: id.to_owned() } }.into())
}

fn client_document(client: &Client) -> StoreResult<Document> {
    Ok(doc! {
        "_id": &client.client_id,
        "generation": client.generation.cast_signed(),
        "version": client.version.cast_signed(),
        "body": serde_json::to_string(client)?,
    })
}

fn signing_key(document: &Document) -> StoreResult<SigningKey> {
    Ok(SigningKey {
        kid: document.text("_id")?.to_owned(),
        algorithm: document.text("algorithm")?.to_owned(),
        private_der: document.blob("private_der")?.to_vec(),
        public_jwk: serde_json::from_str(document.text("public_jwk")?)?,
        created_at: from_millis(document.number("created_at")?)?,
        signs_from: from_millis(document.number("signs_from")?)?,
        retired_at: document.number_or_none("retired_at")?.map(from_millis).transpose()?,
    })
}

async fn insert_signing_key(tx: &mut Tx, key: &SigningKey) -> Attempt<()> {
    if key.retired_at.is_none() {
        // One key signs for an algorithm: the one before goes on verifying only.
        let signing = doc! { "algorithm": &key.algorithm, "retired_at": Bson::Null };
        let retires = doc! { "$set": { "retired_at": to_millis(key.signs_from) } };
        tx.update_all("signing_keys", signing, retires).await?;
    }
    let newest = tx.last("signing_keys", "row").await?;
    let row = newest.map_or(Ok(0), |newest| newest.number("row"))? + 1;
    let document = doc! {
        "_id": &key.kid,
        "row": row,
        "algorithm": &key.algorithm,
        "private_der": bytes(&key.private_der),
        "public_jwk": key.public_jwk.to_string(),
        "created_at": to_millis(key.created_at),
        "signs_from": to_millis(key.signs_from),
        "retired_at": key.retired_at.map(to_millis),
    };
    taken(tx.insert("signing_keys", document).await, "signing key", &key.kid)
}

/// The link that can be taken at `now`.
fn takeable(hash: [u8; 32], purpose: &str, now: Timestamp) -> Document {
    doc! { "_id": bytes(&hash), "purpose": purpose, "expires_at": { "$gt": to_millis(now) } }
}

fn subject(link: &Document) -> StoreResult<Option<String>> {
    Ok(link.text_or_none("subject")?.map(str::to_owned))
}
