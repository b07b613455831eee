//! The ports that use cases stand on: each has an adapter per storage. A port names no SQL, no HTTP and no clock of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use uuid::Uuid;

use crate::domain::{
    actor::{Actor, Reach, UserId},
    code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
    command::Command,
    control_class::{ClassSource, Classification},
    event::Event,
    facts::Policy,
    quantity::Quantity,
    reason::{Kind, Priority, Role, Status},
    refusal::Refusal,
    ticket::{Identifier, Ticket, TicketId, Version},
};

/// Why a port could not answer. The cause is for the log, never for a user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Try again later: busy, locked, being restored.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// No space is left on the device: nothing was written.
    #[error("the store's disk is full")]
    DiskFull,
    /// A unique key is taken; nothing was written.
    #[error("{what} {key:?} exists already")]
    Exists {
        /// What sort of thing.
        what: &'static str,
        /// The key that met it.
        key: String,
    },
    /// The record changed since it was read; nothing was written.
    #[error("the record changed in the meantime")]
    Changed,
    /// A thing that the write refers to does not exist; nothing was written.
    #[error("there is no {what} {key:?}")]
    Missing {
        /// What sort of thing.
        what: &'static str,
        /// The key that was looked for.
        key: String,
    },
    /// A defect or a damaged file.
    #[error("the store failed: {0}")]
    Broken(String),
}

/// Result of a port.
pub type StoreResult<T> = Result<T, StoreError>;

// ---------------------------------------------------------------------------------------------------------- pipeline

/// A command's identity, derived from (issuer, client, subject, idempotency key): a retry is the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

/// A command on its way to the decision.
#[derive(Debug, Clone)]
pub struct Submission {
    /// Its identity.
    pub command_id: CommandId,
    /// SHA-256 of the parsed command, its ticket and the identity: tells a retry from another command under the same key.
    pub body_hash: [u8; 32],
    /// The ticket; for a create the id that it will get.
    pub ticket: TicketId,
    /// The ward whose order decides; a ticket never changes ward.
    pub ward: WardCode,
    /// The version that the command was based on; `None` for create and comment.
    pub expected: Option<Version>,
    /// The wish.
    pub command: Command,
    /// Who, under the authority in force at acceptance.
    pub actor: Actor,
}

/// What became of a command, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done: the ticket as it was afterwards.
    Applied(Box<Ticket>),
    /// Refused by a rule.
    Refused(Refusal),
}

/// An outcome as kept by its command's id.
#[derive(Debug, Clone)]
pub struct StoredOutcome {
    /// Hash of the command that it answers.
    pub body_hash: [u8; 32],
    /// Who may ask for it.
    pub actor: UserId,
    /// Name of the command: tells a create (201) from the rest (200).
    pub command: crate::domain::command::CommandName,
    /// The ticket that it was about.
    pub ticket: TicketId,
    /// When the log took it.
    pub at: Timestamp,
    /// What became of it.
    pub outcome: Outcome,
}

/// What a submission learned within its deadline.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one is made per request and taken apart at once")]
pub enum Submitted {
    /// Decided, now or by an earlier attempt with the same key and body.
    Done(StoredOutcome),
    /// Durable, not yet decided.
    Pending,
}

/// Why a submission has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The key was used for another command.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too much is waiting: nothing was accepted.
    #[error("too many commands are waiting")]
    Overloaded {
        /// When to try again.
        retry_after: Duration,
    },
    /// It may or may not have been accepted: ask again with the same key.
    #[error("it is not known whether the command was accepted: {0}")]
    Unknown(String),
    /// Nothing was accepted.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A position in the event feed: the log's epoch and the last sequence number seen. Opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// Identity of the log; another epoch is another log.
    pub epoch: Uuid,
    /// Events up to and including this one were seen.
    pub seq: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-0-{}", self.epoch.simple(), self.seq)
    }
}

impl std::str::FromStr for Cursor {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let (Some(epoch), Some("0"), Some(seq), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(());
        };
        Ok(Self { epoch: Uuid::try_parse(epoch).map_err(drop)?, seq: seq.parse().map_err(drop)? })
    }
}

/// An event as committed.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Its place in the feed; `epoch-partition-seq` is its identity everywhere.
    pub position: Cursor,
    /// The ticket.
    pub ticket: TicketId,
    /// Its number.
    pub number: String,
    /// Its ward.
    pub ward: WardCode,
    /// The pharmacies concerned: the current one first, then those before.
    pub pharmacies: Vec<PharmacyCode>,
    /// Its status after the event.
    pub status: Status,
    /// What happened.
    pub event: Event,
}

/// Submits commands, keeps outcomes, feeds events.
///
/// Invariants: an acknowledged command is durable (I1); outcomes depend only on log order, prior state and facts (I2); the same
/// key and body give the same answer (I3); the feed has no gap and starts from committed events (I7).
#[async_trait]
pub trait Pipeline: Send + Sync {
    /// Makes the command durable and waits for its outcome, at most `wait`.
    async fn submit(&self, submission: Submission, wait: Duration) -> Result<Submitted, SubmitError>;

    /// The outcome of a command, if it has one.
    async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>>;

    /// The position of the newest committed event.
    async fn head(&self) -> StoreResult<Cursor>;

    /// The oldest position from which the feed can still be resumed without a gap.
    async fn tail(&self) -> StoreResult<Cursor>;

    /// Up to `limit` committed events after a sequence number, in order.
    async fn events_after(&self, seq: u64, limit: usize) -> StoreResult<Vec<RecordedEvent>>;

    /// Changes when events were committed; the value is the newest sequence number. A hint: the feed itself is the truth.
    fn watch(&self) -> watch::Receiver<u64>;
}

// ------------------------------------------------------------------------------------------------------------ tickets

/// Which tickets a reader may see at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    /// Tickets of these wards …
    pub wards: Reach<WardCode>,
    /// … and tickets in the queues of these pharmacies.
    pub pharmacies: Reach<PharmacyCode>,
}

impl Visibility {
    /// What an actor's roles and places let them see: nurses their wards, pharmacy staff their queues, managers both, auditors everything.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        if actor.has_any(&[Role::Auditor]) {
            return Self { wards: Reach::All, pharmacies: Reach::All };
        }
        let wards = actor.has_any(&[Role::Nurse, Role::ChargeNurse, Role::Manager, Role::Service]);
        let pharmacies = actor.has_any(&[Role::Technician, Role::Pharmacist, Role::Manager]);
        Self {
            wards: if wards { actor.wards.clone() } else { Reach::none() },
            pharmacies: if pharmacies { actor.pharmacies.clone() } else { Reach::none() },
        }
    }

    /// True where a ticket of this ward, handled by these pharmacies, may be seen.
    #[must_use]
    pub fn includes<'a>(&self, ward: &WardCode, pharmacies: impl IntoIterator<Item = &'a PharmacyCode>) -> bool {
        self.wards.includes(ward) || pharmacies.into_iter().any(|code| self.pharmacies.includes(code))
    }

    /// True where the ticket may be seen, also by a pharmacy that handed it on.
    #[must_use]
    pub fn sees(&self, ticket: &Ticket) -> bool {
        self.includes(&ticket.ward, std::iter::once(&ticket.pharmacy).chain(&ticket.former_pharmacies))
    }
}

/// How a list of tickets is ordered; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TicketSort {
    /// Least time left first; without a due time last.
    #[default]
    DueAt,
    /// Newest first.
    CreatedDesc,
    /// Oldest first.
    CreatedAsc,
    /// Last changed first.
    UpdatedDesc,
}

/// Which tickets to list. Empty parts do not filter.
#[derive(Debug, Clone)]
pub struct TicketQuery {
    /// What the reader may see.
    pub visibility: Visibility,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Any of these.
    pub kinds: Vec<Kind>,
    /// Any of these.
    pub priorities: Vec<Priority>,
    /// In any of these wards.
    pub wards: Vec<WardCode>,
    /// For any of these cabinets.
    pub cabinets: Vec<CabinetCode>,
    /// In any of these queues.
    pub pharmacies: Vec<PharmacyCode>,
    /// Worked by this user.
    pub assignee: Option<Username>,
    /// Asked for by this user.
    pub requester: Option<Username>,
    /// With a line of any of these.
    pub medications: Vec<MedicationCode>,
    /// Words that all stand in number, places, names, medications, identifiers or note; case and accents ignored; the last may be a prefix.
    pub text: Option<String>,
    /// With this identifier.
    pub identifier: Option<Identifier>,
    /// Due before this time and not at an end: the reader's now.
    pub overdue_at: Option<Timestamp>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Order.
    pub sort: TicketSort,
    /// At most this many, 1 to 200.
    pub limit: usize,
    /// Where the page before ended: what the last answer's `next` said.
    pub after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The page.
    pub items: Vec<T>,
    /// How to ask for the next; `None` at the end.
    pub next: Option<String>,
    /// How many there are on all pages.
    pub total: Option<u64>,
}

/// Reads tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// One ticket.
    async fn ticket(&self, id: TicketId) -> StoreResult<Option<Ticket>>;

    /// A page of tickets. A malformed `after` is [`StoreError::Missing`] with what `cursor`.
    async fn tickets(&self, query: TicketQuery) -> StoreResult<Page<Ticket>>;

    /// Everything that happened to a ticket, oldest first.
    async fn history(&self, id: TicketId) -> StoreResult<Vec<RecordedEvent>>;

    /// Deletes the key of a ticket's free texts and patient reference: they cannot be read again, the audit chain stays whole.
    async fn erase_texts(&self, id: TicketId) -> StoreResult<()>;

    /// Open tickets by status, of what the reader may see.
    async fn counts(&self, visibility: Visibility) -> StoreResult<BTreeMap<Status, u64>>;
}

// ---------------------------------------------------------------------------------------------------------- reference

/// A pharmacy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pharmacy {
    /// Code.
    pub code: PharmacyCode,
    /// Name.
    pub name: String,
    /// Satellite of the central pharmacy, or central.
    pub satellite: bool,
    /// Opening hours as people read them.
    pub hours: Option<String>,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// A ward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ward {
    /// Code.
    pub code: WardCode,
    /// Name.
    pub name: String,
    /// Where its tickets go.
    pub pharmacy: PharmacyCode,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// A cabinet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cabinet {
    /// Code.
    pub code: CabinetCode,
    /// Name or place in the ward.
    pub name: String,
    /// The ward it stands in.
    pub ward: WardCode,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// How much of a medication a cabinet should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParLevel {
    /// Medication.
    pub medication: MedicationCode,
    /// Refill at or below.
    pub min: Quantity,
    /// Never more.
    pub max: Quantity,
}

/// A formulary item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medication {
    /// The hospital's code.
    pub code: MedicationCode,
    /// Name with strength and form.
    pub name: String,
    /// Ingredients with strengths.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Unit of issue.
    pub unit: String,
    /// Pack units.
    pub packs: Vec<Pack>,
    /// Control class.
    pub classification: Classification,
    /// Who said so.
    pub class_source: Option<ClassSource>,
    /// Flags: `high_alert`, `look_alike`, `hazardous`, `refrigerated`, `do_not_tube`.
    pub flags: BTreeSet<String>,
    /// Tall-man name of a look-alike.
    pub tall_man: Option<String>,
    /// Where it lies in the pharmacy.
    pub shelf: Option<String>,
    /// Can be asked for.
    pub active: bool,
    /// Keys of linked catalogue products.
    pub products: Vec<ProductRef>,
    /// Codes on boxes (GTIN-14, NDC digits, registration) through which a scan finds it.
    pub scan_codes: Vec<String>,
    /// The grouping that `adopt` made it from.
    pub group_key: Option<String>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// An active ingredient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredient {
    /// Substance.
    pub name: String,
    /// Strength as printed, such as `5 mg/mL`.
    pub strength: Option<String>,
}

/// A pack unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Name: `box`, `carton`, …
    pub unit: String,
    /// Units of issue in one, greater than zero.
    pub factor: Quantity,
}

/// A catalogue product's key within its directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProductRef {
    /// `fda_ndc` or `anvisa`.
    pub directory: String,
    /// The directory's own key.
    pub key: String,
}

/// Reference data to write in one transaction: all of it becomes visible together. Existing records are replaced whole.
#[derive(Debug, Clone, Default)]
pub struct ReferenceChanges {
    /// Pharmacies.
    pub pharmacies: Vec<Pharmacy>,
    /// Wards; their pharmacies must exist.
    pub wards: Vec<Ward>,
    /// Cabinets; their wards must exist.
    pub cabinets: Vec<Cabinet>,
    /// Medications.
    pub medications: Vec<Medication>,
    /// Par levels by cabinet; `None` removes one. Cabinets and medications must exist.
    pub par_levels: Vec<(CabinetCode, MedicationCode, Option<ParLevel>)>,
    /// What the audit says of it.
    pub audit: Vec<AuditEntry>,
}

/// Which medications to list.
#[derive(Debug, Clone, Default)]
pub struct MedicationQuery {
    /// Words or prefixes of code, name, ingredient; or a scanned code.
    pub text: Option<String>,
    /// Only active or only inactive ones.
    pub active: Option<bool>,
    /// Only unreviewed or only reviewed ones.
    pub unreviewed: Option<bool>,
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// Reads and writes places and medications.
#[async_trait]
pub trait ReferenceStore: Send + Sync {
    /// All pharmacies, by code.
    async fn pharmacies(&self) -> StoreResult<Vec<Pharmacy>>;
    /// All wards, by code.
    async fn wards(&self) -> StoreResult<Vec<Ward>>;
    /// All cabinets, by code.
    async fn cabinets(&self) -> StoreResult<Vec<Cabinet>>;
    /// One cabinet with its par levels, by medication.
    async fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<(Cabinet, Vec<ParLevel>)>>;
    /// One medication.
    async fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>>;
    /// A page of medications, by code.
    async fn medications(&self, query: MedicationQuery) -> StoreResult<Page<Medication>>;
    /// Every medication that was adopted from a grouping, by group key: lets `adopt` and imports find what exists.
    async fn all_medications(&self) -> StoreResult<Vec<Medication>>;
    /// Writes all or nothing. A missing reference is [`StoreError::Missing`], a taken identifier [`StoreError::Exists`].
    async fn change_reference(&self, changes: ReferenceChanges) -> StoreResult<()>;
    /// The site's rules.
    async fn policy(&self) -> StoreResult<Policy>;
}

// ----------------------------------------------------------------------------------------------------------- identity

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Identity.
    pub id: UserId,
    /// Login name.
    pub username: Username,
    /// Name as people read it.
    pub name: String,
    /// Roles; never `service`.
    pub roles: BTreeSet<Role>,
    /// Wards.
    pub wards: BTreeSet<WardCode>,
    /// Pharmacies.
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// May not sign in nor act.
    pub disabled: bool,
    /// Must choose a password before anything else.
    pub must_change_password: bool,
    /// Argon2id in PHC form; `None` until one was set.
    pub password_hash: Option<String>,
    /// Grows by password change, disable, log-out-all: kills everything issued before.
    pub generation: u64,
    /// Created when.
    pub created_at: Timestamp,
}

/// An OAuth2 client: an app, or a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// `client_id`.
    pub client_id: String,
    /// Identity as an actor.
    pub id: UserId,
    /// Name as people read it.
    pub name: String,
    /// True for a service account (client credentials).
    pub service: bool,
    /// Argon2id or SHA-256 of the secret; `None` for a public client.
    pub secret_hash: Option<String>,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
    /// Scopes it may ask for.
    pub scopes: BTreeSet<String>,
    /// Wards that a service account reads by itself; `None` is all.
    pub wards: Option<BTreeSet<WardCode>>,
    /// May not get tokens.
    pub disabled: bool,
    /// As a user's.
    pub generation: u64,
    /// Created when.
    pub created_at: Timestamp,
}

/// A signing key as stored; the private part is sealed or lies in a 0600 file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// Key id.
    pub kid: String,
    /// `ES256` or `RS256`.
    pub algorithm: String,
    /// PKCS#8 DER.
    pub private_der: Vec<u8>,
    /// The public JWK.
    pub public_jwk: serde_json::Value,
    /// Created when.
    pub created_at: Timestamp,
    /// Signs until; `None` while it is the one that signs.
    pub retired_at: Option<Timestamp>,
}

/// A line of the append-only audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// `auth`, `reference`, `user`, `client`, `ticket`, `admin`.
    pub kind: String,
    /// What: `token_issued`, `user_created`, …
    pub action: String,
    /// Who, as a username or client id; `None` where nobody is known.
    pub actor: Option<String>,
    /// About whom or what.
    pub subject: Option<String>,
    /// Particulars; never a secret.
    pub detail: serde_json::Value,
}

/// Which audit entries to list, newest first.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// Only this kind.
    pub kind: Option<String>,
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// The authority snapshot's row for one subject (user or service account).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Who.
    pub id: UserId,
    /// Name in tokens and headers: username or client id.
    pub username: String,
    /// Name as people read it.
    pub name: String,
    /// Roles.
    pub roles: BTreeSet<Role>,
    /// Wards.
    pub wards: Reach<WardCode>,
    /// Pharmacies.
    pub pharmacies: Reach<PharmacyCode>,
    /// Scopes that a service account may hold; `None` for a user, whose roles say.
    pub scopes: Option<BTreeSet<String>>,
    /// Refused everywhere.
    pub disabled: bool,
    /// Tokens of an older generation are dead.
    pub generation: u64,
}

/// Users, clients, keys, one-time links, audit. Every write takes its audit entry along, in one transaction.
#[async_trait]
pub trait IdentityStore: Send + Sync {
    /// A user by name.
    async fn user(&self, username: &Username) -> StoreResult<Option<User>>;
    /// All users, by name; `after` pages by username.
    async fn users(&self, limit: usize, after: Option<String>) -> StoreResult<Page<User>>;
    /// Inserts users; a taken name is [`StoreError::Exists`]; a ward or pharmacy that does not exist [`StoreError::Missing`].
    async fn insert_users(&self, users: Vec<User>, audit: Vec<AuditEntry>) -> StoreResult<()>;
    /// Replaces a user on condition that the stored generation is still `generation_was`.
    async fn update_user(&self, user: User, generation_was: u64, audit: AuditEntry) -> StoreResult<()>;
    /// Inserts some users and replaces others on condition of their generations, all or nothing.
    async fn save_users(
        &self,
        created: Vec<User>,
        updated: Vec<(User, u64)>,
        audit: Vec<AuditEntry>,
    ) -> StoreResult<()>;
    /// A client by `client_id`.
    async fn client(&self, client_id: &str) -> StoreResult<Option<Client>>;
    /// All clients, by id.
    async fn clients(&self) -> StoreResult<Vec<Client>>;
    /// Inserts a client.
    async fn insert_client(&self, client: Client, audit: AuditEntry) -> StoreResult<()>;
    /// Replaces a client on condition of its generation.
    async fn update_client(&self, client: Client, generation_was: u64, audit: AuditEntry) -> StoreResult<()>;
    /// Signing keys, oldest first.
    async fn signing_keys(&self) -> StoreResult<Vec<SigningKey>>;
    /// Adds a signing key.
    async fn insert_signing_key(&self, key: SigningKey, audit: AuditEntry) -> StoreResult<()>;
    /// Everybody's authority, whole.
    async fn authorities(&self) -> StoreResult<Vec<Authority>>;
    /// Keeps the hash of a one-time link until it expires.
    async fn insert_link(
        &self,
        hash: [u8; 32],
        purpose: &str,
        subject: Option<String>,
        expires_at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()>;
    /// Takes a one-time link: returns its subject once, then never again; `None` where unknown, used or expired at `now`.
    async fn take_link(&self, hash: [u8; 32], purpose: &str, now: Timestamp) -> StoreResult<Option<Option<String>>>;
    /// Appends to the audit log.
    async fn audit(&self, entry: AuditEntry) -> StoreResult<()>;
    /// A page of the audit log, newest first.
    async fn audit_entries(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>>;
    /// A setting that is fixed once: the stored value, or `value` which is stored now. Used for `issuer`, `site_name`, `time_zone`.
    async fn fix_setting(&self, name: &str, value: &str) -> StoreResult<String>;
    /// A setting that was fixed before.
    async fn setting(&self, name: &str) -> StoreResult<Option<String>>;
}
