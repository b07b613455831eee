//! Audit entries of authentication, and the bound on how many failures are written. No entry ever holds a secret.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::server::ports::AuditEntry;

/// Failures written per minute; the next one written says how many were not.
const FAILURES_A_MINUTE: u32 = 60;

/// An entry of the kind `auth`, now.
pub(super) fn entry(action: &str, actor: Option<&str>, subject: Option<&str>, detail: Value) -> AuditEntry {
    of_kind("auth", action, actor, subject, detail)
}

/// An entry of another kind, now.
pub(super) fn of_kind(
    kind: &str,
    action: &str,
    actor: Option<&str>,
    subject: Option<&str>,
    detail: Value,
) -> AuditEntry {
    AuditEntry {
        at: super::now(),
        kind: kind.to_owned(),
        action: action.to_owned(),
        actor: actor.map(str::to_owned),
        subject: subject.map(|text| text.chars().take(100).collect()),
        detail,
    }
}

/// Keeps an attacker from filling the disk with audit entries.
#[derive(Default)]
pub(super) struct FailureBudget {
    window: Mutex<Option<Window>>,
}

struct Window {
    since: Timestamp,
    written: u32,
    unwritten: u64,
}

impl FailureBudget {
    /// `Some(number of failures left out before)` where this one may be written.
    pub(super) fn spend(&self, now: Timestamp) -> Option<u64> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let window = window.get_or_insert(Window { since: now, written: 0, unwritten: 0 });
        if now.duration_since(window.since) >= SignedDuration::from_mins(1) {
            (window.since, window.written) = (now, 0);
        }
        if window.written >= FAILURES_A_MINUTE {
            window.unwritten += 1;
            return None;
        }
        window.written += 1;
        Some(std::mem::take(&mut window.unwritten))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_failures_writes_a_bounded_number() {
        let (budget, start) = (FailureBudget::default(), Timestamp::UNIX_EPOCH);
        assert_eq!((0..1_000).filter(|_| budget.spend(start).is_some()).count(), 60);
        assert_eq!(budget.spend(start + SignedDuration::from_mins(1)), Some(940));
    }
}
