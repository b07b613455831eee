//! A store in memory for the tests of authentication logic. The real adapters are tested by the contract suite.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{
    domain::{actor::Reach, code::Username, reason::Role},
    server::ports::{
        AuditEntry, AuditQuery, Authority, Client, IdentityStore, Page, SigningKey, StoreError, StoreResult, User,
    },
};

type Link = (String, Option<String>, Timestamp);

#[derive(Default)]
pub(super) struct State {
    pub(super) users: BTreeMap<Username, User>,
    pub(super) clients: BTreeMap<String, Client>,
    pub(super) keys: Vec<SigningKey>,
    pub(super) audit: Vec<AuditEntry>,
    links: BTreeMap<[u8; 32], Link>,
    settings: BTreeMap<String, String>,
}

impl State {
    /// The user as they would be stored.
    fn next(&self, user: User) -> StoreResult<User> {
        match self.users.get(&user.username) {
            Some(was) if was.version == user.version => Ok(User { version: user.version + 1, ..user }),
            _ => Err(StoreError::Changed),
        }
    }
}

#[derive(Default)]
pub(super) struct FakeStore {
    state: Mutex<State>,
    /// Every call fails while set.
    pub(super) down: AtomicBool,
    /// Held while no signing key is to be taken; `inserting` tells that one waits.
    pub(super) keys_held: tokio::sync::Mutex<()>,
    pub(super) inserting: tokio::sync::Notify,
}

impl FakeStore {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn up(&self) -> StoreResult<MutexGuard<'_, State>> {
        if self.down.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("switched off".into()));
        }
        Ok(self.state())
    }

    pub(super) fn actions(&self) -> Vec<String> {
        self.state().audit.iter().map(|entry| entry.action.clone()).collect()
    }
}

#[async_trait]
impl IdentityStore for FakeStore {
    async fn user(&self, username: &Username) -> StoreResult<Option<User>> {
        Ok(self.up()?.users.get(username).cloned())
    }

    async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>> {
        let state = self.up()?;
        let mut rest = state.users.values().filter(|user| after.as_deref().is_none_or(|a| user.username.as_str() > a));
        let items: Vec<User> = rest.by_ref().take(limit).cloned().collect();
        let next = rest.next().and_then(|_| items.last()).map(|user| user.username.to_string());
        Ok(Page { items, next, total: Some(state.users.len() as u64) })
    }

    async fn insert_users(&self, users: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        let mut state = self.up()?;
        if let Some(taken) = users.iter().find(|user| state.users.contains_key(&user.username)) {
            return Err(StoreError::Exists { what: "user", key: taken.username.to_string() });
        }
        state.users.extend(users.into_iter().map(|user| (user.username.clone(), user)));
        state.audit.extend(audit);
        Ok(())
    }

    async fn update_user(&self, user: User, audit: AuditEntry) -> StoreResult<User> {
        let mut state = self.up()?;
        let stored = state.next(user)?;
        state.users.insert(stored.username.clone(), stored.clone());
        state.audit.push(audit);
        Ok(stored)
    }

    async fn save_users(&self, created: Vec<User>, updated: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()> {
        let mut state = self.up()?;
        if created.iter().any(|user| state.users.contains_key(&user.username)) {
            return Err(StoreError::Changed);
        }
        let updated = updated.into_iter().map(|user| state.next(user)).collect::<StoreResult<Vec<_>>>()?;
        let all = created.into_iter().chain(updated);
        state.users.extend(all.map(|user| (user.username.clone(), user)));
        state.audit.extend(audit);
        Ok(())
    }

    async fn client(&self, client_id: &str) -> StoreResult<Option<Client>> {
        Ok(self.up()?.clients.get(client_id).cloned())
    }

    async fn clients(&self) -> StoreResult<Vec<Client>> {
        Ok(self.up()?.clients.values().cloned().collect())
    }

    async fn insert_client(&self, client: Client, audit: AuditEntry) -> StoreResult<()> {
        let mut state = self.up()?;
        if state.clients.contains_key(&client.client_id) {
            return Err(StoreError::Exists { what: "client", key: client.client_id });
        }
        state.clients.insert(client.client_id.clone(), client);
        state.audit.push(audit);
        Ok(())
    }

    async fn update_client(&self, client: Client, audit: AuditEntry) -> StoreResult<Client> {
        let mut state = self.up()?;
        if state.clients.get(&client.client_id).is_none_or(|was| was.version != client.version) {
            return Err(StoreError::Changed);
        }
        let stored = Client { version: client.version + 1, ..client };
        state.clients.insert(stored.client_id.clone(), stored.clone());
        state.audit.push(audit);
        Ok(stored)
    }

    async fn signing_keys(&self) -> StoreResult<Vec<SigningKey>> {
        Ok(self.up()?.keys.clone())
    }

    async fn insert_signing_key(&self, key: SigningKey, dropped: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        self.inserting.notify_one();
        let _free = self.keys_held.lock().await;
        let mut state = self.up()?;
        state.keys.retain(|old| !dropped.contains(&old.kid));
        let before = state.keys.iter_mut().filter(|old| old.algorithm == key.algorithm && old.retired_at.is_none());
        before.for_each(|old| old.retired_at = Some(key.signs_from));
        state.keys.push(key);
        state.audit.push(audit);
        Ok(())
    }

    async fn delete_signing_keys(&self, kids: Vec<String>, audit: AuditEntry) -> StoreResult<()> {
        let mut state = self.up()?;
        state.keys.retain(|key| !kids.contains(&key.kid));
        state.audit.push(audit);
        Ok(())
    }

    async fn authorities(&self) -> StoreResult<Vec<Authority>> {
        let state = self.up()?;
        let users = state.users.values().map(|user| Authority {
            id: user.id,
            username: user.username.to_string(),
            name: user.name.clone(),
            roles: user.roles.clone(),
            wards: Reach::Only(user.wards.clone()),
            pharmacies: Reach::Only(user.pharmacies.clone()),
            scopes: None,
            disabled: user.disabled,
            generation: user.generation,
        });
        let services = state.clients.values().filter(|client| client.service).map(|client| Authority {
            id: client.id,
            username: client.client_id.clone(),
            name: client.name.clone(),
            roles: [Role::Service].into(),
            wards: client.wards.clone().map_or(Reach::All, Reach::Only),
            pharmacies: Reach::All,
            scopes: Some(client.scopes.clone()),
            disabled: client.disabled,
            generation: client.generation,
        });
        Ok(users.chain(services).collect())
    }

    async fn insert_link(
        &self,
        hash: [u8; 32],
        purpose: &str,
        subject: Option<String>,
        expires_at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let mut state = self.up()?;
        state.links.insert(hash, (purpose.to_owned(), subject, expires_at));
        state.audit.push(audit);
        Ok(())
    }

    async fn link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let state = self.up()?;
        let good = state.links.get(&hash).filter(|(kept, _, expires)| kept == purpose && now < *expires);
        Ok(good.map(|(_, subject, _)| subject.clone()))
    }

    async fn take_link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>> {
        let mut state = self.up()?;
        let good = state.links.get(&hash).is_some_and(|(kept, _, expires)| kept == purpose && now < *expires);
        Ok(if good { state.links.remove(&hash).map(|(_, subject, _)| subject) } else { None })
    }

    async fn audit(&self, entry: AuditEntry) -> StoreResult<()> {
        self.up()?.audit.push(entry);
        Ok(())
    }

    async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>> {
        let state = self.up()?;
        let items = state.audit.iter().rev().take(query.limit).cloned().collect();
        Ok(Page { items, next: None, total: Some(state.audit.len() as u64) })
    }

    async fn fix_setting(&self, name: &str, value: &str) -> StoreResult<String> {
        Ok(self.up()?.settings.entry(name.to_owned()).or_insert_with(|| value.to_owned()).clone())
    }

    async fn set_setting(&self, name: &str, value: &str, audit: AuditEntry) -> StoreResult<()> {
        let mut state = self.up()?;
        state.settings.insert(name.to_owned(), value.to_owned());
        state.audit.push(audit);
        Ok(())
    }

    async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        Ok(self.up()?.settings.get(name).cloned())
    }
}
