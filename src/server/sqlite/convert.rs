//! Values as rows hold them: times in milliseconds, ids as text. It never guesses: what does not read is an error.

use jiff::Timestamp;
use uuid::Uuid;

use super::error::unreadable;
use crate::server::ports::StoreResult;

/// Milliseconds since the epoch, cut towards the past.
pub(super) fn to_millis(at: Timestamp) -> i64 {
    at.as_nanosecond().div_euclid(1_000_000).try_into().expect("a timestamp's range fits milliseconds in 64 bits")
}

/// Milliseconds since the epoch, rounded up: a bound for "before" and "at or after".
pub(super) fn to_millis_up(at: Timestamp) -> i64 {
    let up = (at.as_nanosecond() + 999_999).div_euclid(1_000_000);
    up.try_into().expect("a timestamp's range fits milliseconds in 64 bits")
}

/// The time of a column.
pub(super) fn from_millis(millis: i64) -> StoreResult<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| unreadable("time"))
}

/// The id of a column.
pub(super) fn to_uuid(text: &str) -> StoreResult<Uuid> {
    Uuid::try_parse(text).map_err(|_| unreadable("id"))
}
