//! The authority snapshot: what the store said of every subject a moment ago. The store is the truth; a token or a cache never is.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use uuid::Uuid;

use super::scopes::{self, Scope};
use crate::{
    domain::{actor::UserId, code::Username},
    server::ports::{Authority, Client, IdentityStore, SessionStore, StoreResult},
};

/// How often the snapshot is read again.
pub(in crate::server) const REFRESH_EVERY: Duration = Duration::from_secs(2);

#[derive(Default)]
struct Subjects {
    by_id: HashMap<UserId, Arc<Authority>>,
    users_by_name: HashMap<String, UserId>,
    ended: HashSet<Uuid>,
    apps: HashMap<String, Arc<App>>,
}

/// What a client lets its users' tokens do.
pub(super) struct App {
    pub(super) disabled: bool,
    /// Tokens issued in an earlier second are dead, and those of the same one.
    pub(super) valid_from: Timestamp,
    pub(super) scopes: BTreeSet<Scope>,
}

/// The snapshot of this node.
pub(super) struct Snapshot {
    subjects: RwLock<Arc<Subjects>>,
    /// Held while reading, so that an older answer never replaces a newer one.
    reading: tokio::sync::Mutex<Instant>,
}

impl Snapshot {
    /// Reads it for the first time.
    pub(super) async fn open(store: &dyn IdentityStore, sessions: &dyn SessionStore) -> StoreResult<Self> {
        let began = Instant::now();
        let subjects = read(store, sessions).await?;
        Ok(Self { subjects: RwLock::new(Arc::new(subjects)), reading: tokio::sync::Mutex::new(began) })
    }

    /// Reads it again. Where the store cannot be reached the last one stays in force.
    pub(super) async fn refresh(&self, store: &dyn IdentityStore, sessions: &dyn SessionStore) -> StoreResult<()> {
        let asked = Instant::now();
        let mut read_at = self.reading.lock().await;
        // Somebody else's reading that began after we asked is as good as our own.
        if *read_at < asked {
            let began = Instant::now();
            self.replace(read(store, sessions).await?);
            *read_at = began;
        }
        Ok(())
    }

    /// A subject by identity.
    pub(super) fn subject(&self, id: UserId) -> Option<Arc<Authority>> {
        self.subjects().by_id.get(&id).cloned()
    }

    /// A user, never a service account, by name.
    pub(super) fn user(&self, username: &Username) -> Option<Arc<Authority>> {
        let subjects = self.subjects();
        subjects.users_by_name.get(username.as_str()).and_then(|id| subjects.by_id.get(id)).cloned()
    }

    /// True where what was issued under this session is dead.
    pub(super) fn has_ended(&self, sid: Uuid) -> bool {
        self.subjects().ended.contains(&sid)
    }

    /// An app by `client_id`; `None` where it is newer than the snapshot.
    pub(super) fn app(&self, client_id: &str) -> Option<Arc<App>> {
        self.subjects().apps.get(client_id).cloned()
    }

    fn subjects(&self) -> Arc<Subjects> {
        Arc::clone(&self.subjects.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, subjects: Subjects) {
        *self.subjects.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(subjects);
    }
}

async fn read(store: &dyn IdentityStore, sessions: &dyn SessionStore) -> StoreResult<Subjects> {
    let ended = sessions.ended_sessions(Timestamp::now()).await?.into_iter().collect();
    let mut subjects = Subjects { ended, ..Subjects::default() };
    for authority in store.authorities().await? {
        if authority.scopes.is_none() {
            subjects.users_by_name.insert(authority.username.clone(), authority.id);
        }
        subjects.by_id.insert(authority.id, Arc::new(authority));
    }
    for client in store.clients().await?.into_iter().filter(|client| !client.service) {
        let Client { client_id, disabled, valid_from, .. } = client;
        let scopes = scopes::from_record(&client.scopes);
        subjects.apps.insert(client_id, Arc::new(App { disabled, valid_from, scopes }));
    }
    Ok(subjects)
}
