//! The port of sign-ins and what hangs on them: sessions, authorization codes, refresh tokens, device grants, second factors.
//!
//! Every race is settled here, in one atomic step of the store. A secret is never kept, only its SHA-256; every write takes its audit entry along.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AuditEntry, StoreResult};
use crate::domain::{actor::UserId, code::Username};

/// SHA-256 of a secret that its holder alone knows.
pub type Digest = [u8; 32];

/// How and when a person proved who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignIn {
    /// Who.
    pub user: UserId,
    /// Their login name.
    pub username: Username,
    /// Their generation then: a newer one kills what was issued on this sign-in.
    pub generation: u64,
    /// When (`auth_time` of OpenID Connect).
    pub at: Timestamp,
    /// By which methods (`amr`, RFC 8176): `pwd`, `otp`.
    pub methods: Vec<String>,
}

/// One sign-in on one device in one app, until it ends. Its refresh tokens are one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `sid` in tokens.
    pub sid: Uuid,
    /// Whose it is.
    pub sign_in: SignIn,
    /// The app; the pages' own sign-in is one too.
    pub client_id: String,
    /// What its tokens may be used for, as granted, separated by blanks; empty for the pages' own.
    pub scope: String,
    /// The device as its owner recognises it, from the browser's or the app's own words; at most 100 characters.
    pub device: String,
    /// Opened when.
    pub created_at: Timestamp,
    /// Last used when: sign-in, refresh, page.
    pub last_used_at: Timestamp,
    /// Over from then on, however much it is used.
    pub expires_at: Timestamp,
}

/// A permission that a person gave to an app, waiting for the app to fetch it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeGrant {
    /// The app.
    pub client_id: String,
    /// Who gave it.
    pub sign_in: SignIn,
    /// Where the code was sent, exactly as asked for.
    pub redirect_uri: String,
    /// S256 of the verifier (RFC 7636), base64url.
    pub code_challenge: String,
    /// For the ID token.
    pub nonce: Option<String>,
    /// What was granted.
    pub scope: String,
    /// As in [`Session`].
    pub device: String,
    /// Dead from then on.
    pub expires_at: Timestamp,
}

/// A first refresh token, or the next one of its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRefresh {
    /// Of the token.
    pub hash: Digest,
    /// Dead from then on unless used.
    pub idle_until: Timestamp,
}

/// A refresh token and its session, as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Its family.
    pub session: Session,
    /// Dead from then on unless used.
    pub idle_until: Timestamp,
    /// Used once, and when.
    pub used_at: Option<Timestamp>,
    /// The session was ended.
    pub ended: bool,
}

/// When a code or device grant was redeemed, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeemed {
    /// When.
    pub at: Timestamp,
    /// The session that it opened.
    pub sid: Uuid,
}

/// What became of a code or device grant that was to open a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redemption {
    /// The session is open.
    Opened,
    /// It was redeemed before.
    Before(Redeemed),
    /// Unknown or expired, or its person was disabled or is of another generation by now.
    Dead,
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rotation {
    /// The successor is in force.
    Rotated,
    /// The immediate predecessor came again in time, and its successor is unused: the sealed successor as it was given then.
    Repeated(Vec<u8>),
    /// An old token came again: the session was ended.
    Reused,
    /// Unknown, expired, of an ended session, or its person was disabled or is of another generation by now.
    Dead,
}

/// The times by which a refresh token is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationTimes {
    /// The present.
    pub now: Timestamp,
    /// A token used at or after this may still come again.
    pub repeat_since: Timestamp,
    /// An ended session stays listed until then: its last access token has expired by that time.
    pub listed_until: Timestamp,
}

/// A device that waits for a person's word (RFC 8628).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceGrant {
    /// The app on it.
    pub client_id: String,
    /// What the person types, in canonical form.
    pub user_code: String,
    /// What was asked for.
    pub scope: String,
    /// As in [`Session`].
    pub device: String,
    /// Where it asked from, for the person to recognise it.
    pub source: String,
    /// Dead from then on.
    pub expires_at: Timestamp,
    /// Seconds that must lie between two polls; grows by 5 with each poll that comes too early.
    pub interval: u32,
    /// What the person said.
    pub decision: Option<DeviceDecision>,
}

/// A person's word about a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceDecision {
    /// Yes, by them.
    Approved(SignIn),
    /// No.
    Denied,
}

/// What a polling device learns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Poll {
    /// Nobody has decided yet.
    Pending,
    /// Too early: the interval is longer from now on.
    SlowDown,
    /// Decided: redeem it, or give up.
    Decided(Box<DeviceGrant>),
    /// Its time is over, decided or not.
    Expired,
    /// Unknown, or of another client.
    Dead,
}

/// A person's second factor: TOTP (RFC 6238) and recovery codes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The shared secret.
    pub secret: Vec<u8>,
    /// The first code was right; until then it is not asked for.
    pub confirmed: bool,
    /// The last time step whose code was taken: neither it nor an older one is taken again.
    pub last_step: u64,
    /// Hashes of the recovery codes that are left.
    pub recovery: BTreeSet<Digest>,
}

/// Sessions, codes, refresh tokens, device grants and second factors.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Opens a session of the pages themselves, found by its cookie's hash.
    async fn open_session(&self, session: Session, cookie: Digest, audit: AuditEntry) -> StoreResult<()>;
    /// The session of a cookie, unless it ended, is over at `now`, was last used before `used_since`, or its person was disabled or is of another
    /// generation. Notes that it is used at `now`, to the minute; that this cannot be written is no failure.
    async fn session_by_cookie(
        &self,
        cookie: Digest,
        used_since: Timestamp,
        now: Timestamp,
    ) -> StoreResult<Option<Session>>;
    /// A person's open sessions at `now` and of this generation, last used first.
    async fn sessions(&self, user: UserId, generation: u64, now: Timestamp) -> StoreResult<Vec<Session>>;
    /// One session, ended or not; `None` where unknown.
    async fn session(&self, sid: Uuid) -> StoreResult<Option<Session>>;
    /// Ends a session with its refresh tokens and lists it as ended until `listed_until`; also a `sid` that no session is known of.
    /// False, and no audit entry, where it had ended before.
    async fn end_session(&self, sid: Uuid, listed_until: Timestamp, audit: AuditEntry) -> StoreResult<bool>;
    /// Ended sessions that are still listed at `now`.
    async fn ended_sessions(&self, now: Timestamp) -> StoreResult<Vec<Uuid>>;

    /// Keeps a code.
    async fn insert_code(&self, hash: Digest, grant: CodeGrant, audit: AuditEntry) -> StoreResult<()>;
    /// What a code stands for, expired or not, and how it was redeemed if it was.
    async fn code(&self, hash: Digest) -> StoreResult<Option<(CodeGrant, Option<Redeemed>)>>;
    /// Redeems a code at `now`: opens the session, with its first refresh token if there is one. Exactly one of parallel calls opens.
    /// The caller has compared client, address and verifier.
    async fn redeem_code(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption>;

    /// A refresh token; changes nothing.
    async fn refresh_token(&self, hash: Digest) -> StoreResult<Option<RefreshToken>>;
    /// Puts `next` in place of a token. `sealed` is the successor, which only the predecessor's holder can open; it is kept until it could not come again.
    ///
    /// [`Rotation::Reused`] ends the session with the audit entry `reused`; [`Rotation::Rotated`] writes `audit`; the others write nothing.
    async fn rotate_refresh(
        &self,
        hash: Digest,
        next: NewRefresh,
        sealed: Vec<u8>,
        times: RotationTimes,
        audit: AuditEntry,
        reused: AuditEntry,
    ) -> StoreResult<Rotation>;

    /// Keeps a device grant; a user code that waits already when the entry is written is [`StoreError::Exists`](super::StoreError::Exists).
    async fn insert_device(&self, hash: Digest, grant: DeviceGrant, audit: AuditEntry) -> StoreResult<()>;
    /// The grant that waits under a user code at `now`, undecided.
    async fn device_by_user_code(&self, user_code: &str, now: Timestamp) -> StoreResult<Option<DeviceGrant>>;
    /// Writes a person's word down; false where none waits at `now` or it was decided before.
    async fn decide_device(
        &self,
        user_code: &str,
        decision: DeviceDecision,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<bool>;
    /// A device of this client asks; the first poll is never too early. One that is too early learns no decision, which stays to be asked for.
    async fn poll_device(&self, hash: Digest, client_id: &str, now: Timestamp) -> StoreResult<Poll>;
    /// As [`redeem_code`](Self::redeem_code), for an approved device grant.
    async fn redeem_device(
        &self,
        hash: Digest,
        session: Session,
        refresh: Option<NewRefresh>,
        now: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<Redemption>;

    /// A person's second factor, confirmed or not.
    async fn second_factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>>;
    /// Puts it, or takes it away.
    async fn put_second_factor(&self, user: UserId, factor: Option<SecondFactor>, audit: AuditEntry)
    -> StoreResult<()>;
    /// Takes a time step whose code was right; false where it or a newer one was taken before.
    async fn spend_step(&self, user: UserId, step: u64) -> StoreResult<bool>;
    /// Takes a recovery code; false where it is none of those left.
    async fn spend_recovery(&self, user: UserId, code: Digest, audit: AuditEntry) -> StoreResult<bool>;

    /// Forgets what is long over at `now`: codes, devices and tokens a day after their time (a used token not before its
    /// session), sessions 30 days after theirs; and at once, sealed successors that cannot come again.
    async fn forget_ended(&self, now: Timestamp) -> StoreResult<()>;
}
