//! Users, clients, keys, links and settings. Every write takes its audit entry along in its own transaction, whose head settles the races of all nodes.

use async_trait::async_trait;
use futures_util::FutureExt;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};

use super::{
    MongoStore,
    audit::append,
    read::{Fields, bytes, records},
    reference::require,
    transaction::{Attempt, Tx, is_taken, taken},
};
use crate::{
    domain::code::Username,
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
                for user in created {
                    insert_user(tx, user).await?;
                }
                for user in updated {
                    update_user(tx, user).await?;
                }
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
                client_places(tx, client).await?;
                let document = client_document(client)?;
                replace(tx, ("clients", "client"), &client.client_id, document, client.version).await?;
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
        let taking = move |db: mongodb::Database| async move {
            Ok(db.collection::<Document>("links").find_one_and_delete(filter).await?)
        };
        let taken = self.run(taking).await?;
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
        let inserting = move |db: mongodb::Database| async move {
            match db.collection("settings").insert_one(fixed).await {
                Err(error) if !is_taken(&error) => Err(error.into()),
                _ => Ok(()),
            }
        };
        self.run(inserting).await?;
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

async fn check_places(tx: &mut Tx, user: &User) -> Attempt<()> {
    for ward in &user.wards {
        require(tx, "ward", ward.as_str()).await?;
    }
    for pharmacy in &user.pharmacies {
        require(tx, "pharmacy", pharmacy.as_str()).await?;
    }
    Ok(())
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

async fn insert_user(tx: &mut Tx, user: &User) -> Attempt<()> {
    check_places(tx, user).await?;
    taken(tx.insert("users", user_document(user)?).await, "user", user.username.as_str())
}

async fn update_user(tx: &mut Tx, user: &User) -> Attempt<()> {
    check_places(tx, user).await?;
    let replaced = replace(tx, ("users", "user"), &user.id.0.to_string(), user_document(user)?, user.version).await;
    taken(replaced, "user", user.username.as_str())
}

/// Puts a document of the next version in place of the one of its id, if that is of the version before.
async fn replace(
    tx: &mut Tx,
    (name, what): (&str, &'static str),
    id: &str,
    mut document: Document,
    version: u64,
) -> Attempt<()> {
    document.remove("_id");
    let filter = doc! { "_id": id, "version": version.cast_signed() - 1 };
    if tx.update(name, filter, doc! { "$set": document }).await? {
        return Ok(());
    }
    let there = tx.find(name, doc! { "_id": id }).await?.is_some();
    Err(if there { StoreError::Changed } else { StoreError::Missing { what, key: id.to_owned() } }.into())
}

async fn client_places(tx: &mut Tx, client: &Client) -> Attempt<()> {
    for ward in client.wards.iter().flatten() {
        require(tx, "ward", ward.as_str()).await?;
    }
    Ok(())
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
