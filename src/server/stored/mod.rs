//! Values as every store holds them: times in milliseconds, ids as text, records as JSON, the audit log as a chain of hashes. It never guesses:
//! what does not read is an error.

mod facts;
mod found_by;
mod listing;
mod needs;
mod sealing;
mod settling;
mod sign_ins;
mod site;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::server::ports::{Page, StoreError, StoreResult};

pub(crate) use self::{facts::*, found_by::*, listing::*, needs::*, sealing::*, settling::*, sign_ins::*, site::*};

/// How long a retry finds its answer.
pub(crate) const REPLIES_KEPT_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        // The category and place only: serde's message may quote the value.
        Self::Broken(format!(
            "a stored record cannot be read ({:?} error at column {})",
            error.classify(),
            error.column()
        ))
    }
}

/// A record that does not read as what it must be.
pub(crate) fn unreadable(what: &str) -> StoreError {
    StoreError::Broken(format!("a stored {what} cannot be read"))
}

/// Milliseconds since the epoch, cut towards the past.
pub(crate) fn to_millis(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000_000).try_into().expect("a timestamp's range fits milliseconds in 64 bits")
}

/// Milliseconds since the epoch, rounded up: a bound for "before" and "at or after".
pub(crate) fn to_millis_up(at: Timestamp) -> i64 {
    let up = (at.as_nanosecond() + 999_999).div_euclid(1_000_000);
    up.try_into().expect("a timestamp's range fits milliseconds in 64 bits")
}

/// The time of a column.
pub(crate) fn from_millis(millis: i64) -> StoreResult<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable("time"))
}

/// The id of a column.
pub(crate) fn to_uuid(text: &str) -> StoreResult<Uuid> {
    Uuid::try_parse(text).map_err(|_| unreadable("id"))
}

/// Random bytes that nobody can guess.
pub(crate) fn random<const N: usize>() -> StoreResult<[u8; N]> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)
        .map_err(|_| StoreError::Unavailable("the system gives no random bytes".to_owned()))?;
    Ok(bytes)
}

/// One more than the page holds: tells whether there is a next.
pub(crate) fn fetch(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// Cuts what [`fetch`] brought to a page.
pub(crate) fn page<T>(mut items: Vec<T>, limit: usize, total: u64, key: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(key) } else { None };
    Page { items, next, total: Some(total) }
}

/// What an audit entry's hash covers beside the hash before it: the entry as stored.
pub(crate) struct AuditLink<'a> {
    pub(crate) id: i64,
    pub(crate) at: i64,
    pub(crate) kind: &'a str,
    pub(crate) action: &'a str,
    pub(crate) actor: Option<&'a str>,
    pub(crate) subject: Option<&'a str>,
    pub(crate) detail: &'a str,
}

impl AuditLink<'_> {
    /// The hash that this entry carries after `previous`.
    pub(crate) fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(previous);
        hash.update(self.id.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        for text in [Some(self.kind), Some(self.action), self.actor, self.subject, Some(self.detail)] {
            // Whether there is one, and its length, so that no byte can move from one field to the next.
            hash.update([u8::from(text.is_some())]);
            let text = text.unwrap_or_default();
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}
