//! Users, clients, keys and links. Every write takes its audit entry along in its own transaction.

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension};
use serde::de::DeserializeOwned;

use super::{
    SqliteStore,
    audit::{append, audit_page},
    error::taken,
    reference::require,
    stored::{fetch, from_millis, page, to_millis},
};
use crate::{
    domain::code::Username,
    server::ports::{
        AuditEntry, AuditQuery, Authority, Client, IdentityStore, Page, SigningKey, StoreError, StoreResult, User,
    },
};

#[async_trait]
impl IdentityStore for SqliteStore {
    async fn user(&self, username: &Username) -> StoreResult<Option<User>> {
        let username = username.as_str().to_owned();
        self.readers.read(move |conn| one_body(conn, "SELECT body FROM users WHERE username = ?1", &username)).await
    }

    async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>> {
        self.readers.read(move |conn| user_page(conn, limit, after.as_deref().unwrap_or_default())).await
    }

    async fn insert_users(&self, users: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                users.iter().try_for_each(|user| insert_user(conn, user))?;
                audit.iter().try_for_each(|entry| append(conn, entry))
            })
            .await
    }

    async fn update_user(&self, user: User, audit: AuditEntry) -> StoreResult<User> {
        self.writer
            .write(move |conn| {
                let stored = update_user(conn, user)?;
                append(conn, &audit)?;
                Ok(stored)
            })
            .await
    }

    async fn save_users(&self, created: Vec<User>, updated: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                created.iter().try_for_each(|user| insert_user(conn, user))?;
                updated.into_iter().try_for_each(|user| update_user(conn, user).map(drop))?;
                audit.iter().try_for_each(|entry| append(conn, entry))
            })
            .await
    }

    async fn client(&self, client_id: &str) -> StoreResult<Option<Client>> {
        let client_id = client_id.to_owned();
        self.readers.read(move |conn| one_body(conn, "SELECT body FROM clients WHERE client_id = ?1", &client_id)).await
    }

    async fn clients(&self) -> StoreResult<Vec<Client>> {
        self.readers.read(|conn| all_bodies(conn, "SELECT body FROM clients ORDER BY client_id")).await
    }

    async fn insert_client(&self, client: Client, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                insert_client(conn, &client)?;
                append(conn, &audit)
            })
            .await
    }

    async fn update_client(&self, client: Client, audit: AuditEntry) -> StoreResult<Client> {
        self.writer
            .write(move |conn| {
                let stored = update_client(conn, client)?;
                append(conn, &audit)?;
                Ok(stored)
            })
            .await
    }

    async fn signing_keys(&self) -> StoreResult<Vec<SigningKey>> {
        self.readers.read(signing_keys).await
    }

    async fn insert_signing_key(&self, key: SigningKey, dropped: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                delete_signing_keys(conn, &dropped)?;
                insert_signing_key(conn, &key)?;
                append(conn, &audit)
            })
            .await
    }

    async fn delete_signing_keys(&self, kids: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        self.writer
            .write(move |conn| {
                delete_signing_keys(conn, &kids)?;
                append(conn, &audit)
            })
            .await
    }

    async fn authorities(&self) -> StoreResult<Vec<Authority>> {
        self.readers
            .read(|conn| {
                let users: Vec<User> = all_bodies(conn, "SELECT body FROM users ORDER BY username")?;
                let clients: Vec<Client> = all_bodies(conn, "SELECT body FROM clients ORDER BY client_id")?;
                let services = clients.into_iter().filter(|client| client.service).map(Authority::from);
                Ok(users.into_iter().map(Authority::from).chain(services).collect())
            })
            .await
    }

    async fn insert_link(
        &self,
        hash: [u8; 32],
        purpose: &str,
        subject: Option<String>,
        expires_at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let purpose = purpose.to_owned();
        self.writer
            .write(move |conn| {
                conn.execute("DELETE FROM links WHERE expires_at <= ?1", [to_millis(audit.at)])?;
                let inserted = conn.execute(
                    "INSERT INTO links (hash, purpose, subject, expires_at) VALUES (?1, ?2, ?3, ?4)",
                    (hash, purpose, subject, to_millis(expires_at)),
                );
                taken(inserted, "link", "")?;
                append(conn, &audit)
            })
            .await
    }

    async fn link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let purpose = purpose.to_owned();
        self.readers
            .read(move |conn| {
                let sql = "SELECT subject FROM links WHERE hash = ?1 AND purpose = ?2 AND expires_at > ?3";
                Ok(conn.query_row(sql, (hash, purpose, to_millis(now)), |row| row.get(0)).optional()?)
            })
            .await
    }

    async fn take_link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let purpose = purpose.to_owned();
        self.writer
            .write(move |conn| {
                let sql = "DELETE FROM links WHERE hash = ?1 AND purpose = ?2 AND expires_at > ?3 RETURNING subject";
                Ok(conn.query_row(sql, (hash, purpose, to_millis(now)), |row| row.get(0)).optional()?)
            })
            .await
    }

    async fn audit(&self, entry: AuditEntry) -> StoreResult<()> {
        self.writer.write(move |conn| append(conn, &entry)).await
    }

    async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>> {
        self.readers.read(move |conn| audit_page(conn, &query)).await
    }

    async fn fix_setting(&self, name: &str, value: &str) -> StoreResult<String> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer
            .write(move |conn| {
                conn.execute("INSERT OR IGNORE INTO settings (name, value) VALUES (?1, ?2)", (&name, &value))?;
                Ok(setting(conn, &name)?.unwrap_or(value))
            })
            .await
    }

    async fn set_setting(&self, name: &str, value: &str, audit: AuditEntry) -> StoreResult<()> {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.writer
            .write(move |conn| {
                put_setting(conn, &name, &value)?;
                append(conn, &audit)
            })
            .await
    }

    async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        let name = name.to_owned();
        self.readers.read(move |conn| setting(conn, &name)).await
    }
}

/// Sets a setting, whatever it was.
pub(super) fn put_setting(conn: &Connection, name: &str, value: &str) -> StoreResult<()> {
    let sql =
        "INSERT INTO settings (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.prepare_cached(sql)?.execute((name, value))?;
    Ok(())
}

/// A setting as stored.
pub(super) fn setting(conn: &Connection, name: &str) -> StoreResult<Option<String>> {
    let mut statement = conn.prepare_cached("SELECT value FROM settings WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

/// The user of a name, for the facts of a reassign.
pub(super) fn find_user(conn: &Connection, username: &Username) -> StoreResult<Option<User>> {
    one_body(conn, "SELECT body FROM users WHERE username = ?1", username.as_str())
}

/// The record of the first row, read from its JSON.
pub(super) fn one_body<T: DeserializeOwned>(conn: &Connection, sql: &str, key: &str) -> StoreResult<Option<T>> {
    let body: Option<String> = conn.prepare_cached(sql)?.query_row([key], |row| row.get(0)).optional()?;
    Ok(body.map(|body| serde_json::from_str(&body)).transpose()?)
}

/// The records of all rows, read from their JSON.
pub(super) fn all_bodies<T: DeserializeOwned>(conn: &Connection, sql: &str) -> StoreResult<Vec<T>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        records.push(serde_json::from_str(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)?);
    }
    Ok(records)
}

fn user_page(conn: &Connection, limit: usize, after: &str) -> StoreResult<Page<User>> {
    let mut statement = conn.prepare_cached("SELECT body FROM users WHERE username > ?1 ORDER BY username LIMIT ?2")?;
    let bodies: Vec<String> =
        statement.query_map((after, fetch(limit)), |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let users = bodies.iter().map(|body| serde_json::from_str(body)).collect::<Result<Vec<User>, _>>()?;
    let total: i64 = conn.query_row("SELECT count(*) FROM users", [], |row| row.get(0))?;
    Ok(page(users, limit, total.cast_unsigned(), |user| user.username.to_string()))
}

fn check_places(conn: &Connection, user: &User) -> StoreResult<()> {
    user.wards.iter().try_for_each(|ward| require(conn, "ward", ward.as_str()))?;
    user.pharmacies.iter().try_for_each(|pharmacy| require(conn, "pharmacy", pharmacy.as_str()))
}

fn insert_user(conn: &Connection, user: &User) -> StoreResult<()> {
    check_places(conn, user)?;
    let mut insert =
        conn.prepare_cached("INSERT INTO users (id, username, generation, version, body) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let row = (
        user.id.0.to_string(),
        user.username.as_str(),
        user.generation.cast_signed(),
        user.version.cast_signed(),
        serde_json::to_string(user)?,
    );
    taken(insert.execute(row), "user", user.username.as_str())?;
    Ok(())
}

/// Gives the user back as stored.
fn update_user(conn: &Connection, was: User) -> StoreResult<User> {
    check_places(conn, &was)?;
    let user = User { version: was.version + 1, ..was };
    let id = user.id.0.to_string();
    let sql = "UPDATE users SET username = ?2, generation = ?3, version = ?4, body = ?5
               WHERE id = ?1 AND version = ?4 - 1";
    let row = (
        &id,
        user.username.as_str(),
        user.generation.cast_signed(),
        user.version.cast_signed(),
        serde_json::to_string(&user)?,
    );
    let changed = taken(conn.execute(sql, row), "user", user.username.as_str())?;
    changed_one(conn, changed, "SELECT 1 FROM users WHERE id = ?1", ("user", &id))?;
    Ok(user)
}

/// Tells a record that is not there from one that somebody else changed.
fn changed_one(conn: &Connection, changed: usize, probe: &str, (what, key): (&'static str, &str)) -> StoreResult<()> {
    if changed == 1 {
        return Ok(());
    }
    let there = conn.query_row(probe, [key], |_| Ok(())).optional()?.is_some();
    Err(if there { StoreError::Changed } else { StoreError::Missing { what, key: key.to_owned() } })
}

fn client_places(conn: &Connection, client: &Client) -> StoreResult<()> {
    client.wards.iter().flatten().try_for_each(|ward| require(conn, "ward", ward.as_str()))
}

fn insert_client(conn: &Connection, client: &Client) -> StoreResult<()> {
    client_places(conn, client)?;
    let inserted = conn.execute(
        "INSERT INTO clients (client_id, generation, version, body) VALUES (?1, ?2, ?3, ?4)",
        (
            &client.client_id,
            client.generation.cast_signed(),
            client.version.cast_signed(),
            serde_json::to_string(client)?,
        ),
    );
    taken(inserted, "client", &client.client_id)?;
    Ok(())
}

/// Gives the client back as stored.
fn update_client(conn: &Connection, was: Client) -> StoreResult<Client> {
    client_places(conn, &was)?;
    let client = Client { version: was.version + 1, ..was };
    let changed = conn.execute(
        "UPDATE clients SET generation = ?2, version = ?3, body = ?4 WHERE client_id = ?1 AND version = ?3 - 1",
        (
            &client.client_id,
            client.generation.cast_signed(),
            client.version.cast_signed(),
            serde_json::to_string(&client)?,
        ),
    )?;
    changed_one(conn, changed, "SELECT 1 FROM clients WHERE client_id = ?1", ("client", &client.client_id))?;
    Ok(client)
}

fn signing_keys(conn: &Connection) -> StoreResult<Vec<SigningKey>> {
    let mut statement = conn.prepare_cached(
        "SELECT kid, algorithm, private_der, public_jwk, created_at, signs_from, retired_at FROM signing_keys ORDER BY row",
    )?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(SigningKey {
            kid: row.get(0)?,
            algorithm: row.get(1)?,
            private_der: row.get(2)?,
            public_jwk: serde_json::from_str(&row.get::<_, String>(3)?)?,
            created_at: from_millis(row.get(4)?)?,
            signs_from: from_millis(row.get(5)?)?,
            retired_at: row.get::<_, Option<i64>>(6)?.map(from_millis).transpose()?,
        });
    }
    Ok(keys)
}

fn delete_signing_keys(conn: &Connection, kids: &[String]) -> StoreResult<()> {
    let mut delete = conn.prepare_cached("DELETE FROM signing_keys WHERE kid = ?1")?;
    kids.iter().try_for_each(|kid| delete.execute([kid]).map(drop))?;
    Ok(())
}

/// Puts a signing key.
pub(super) fn insert_signing_key(conn: &Connection, key: &SigningKey) -> StoreResult<()> {
    if key.retired_at.is_none() {
        // One key signs for an algorithm: the one before goes on verifying only.
        conn.execute(
            "UPDATE signing_keys SET retired_at = ?2 WHERE algorithm = ?1 AND retired_at IS NULL",
            (&key.algorithm, to_millis(key.signs_from)),
        )?;
    }
    let inserted = conn.execute(
        "INSERT INTO signing_keys (kid, algorithm, private_der, public_jwk, created_at, signs_from, retired_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (
            &key.kid,
            &key.algorithm,
            &key.private_der,
            key.public_jwk.to_string(),
            to_millis(key.created_at),
            to_millis(key.signs_from),
            key.retired_at.map(to_millis),
        ),
    );
    taken(inserted, "signing key", &key.kid)?;
    Ok(())
}
