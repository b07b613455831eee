//! Sign-ins as every store judges them, by what was read in the writing transaction: redeeming, refreshing, polling. It reads no clock and writes nothing.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::{SignedDuration, Timestamp};

use super::to_millis;
use crate::server::ports::{
    AuditEntry, CodeGrant, DeviceDecision, DeviceGrant, NewRefresh, Poll, RotationTimes, Session, SignIn, StoreResult,
};

/// A page's use is written down when the last one is as old as this: a commit for every page would be a waste.
const USE_NOTED_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// By how much the interval grows with each poll that comes too early, in seconds (RFC 8628, 3.5).
const SLOWER_BY: u32 = 5;

/// A session as it is after a use at `now`, which `touch` writes down where it is due. That it cannot be written is said once, until one can be.
pub(crate) async fn used(
    mut session: Session,
    now: Timestamp,
    unnoted: &AtomicBool,
    touch: impl Future<Output = StoreResult<()>>,
) -> Session {
    if now.duration_since(session.last_used_at) < USE_NOTED_EVERY {
        return session;
    }
    match touch.await {
        Ok(()) => {
            session.last_used_at = now;
            unnoted.store(false, Ordering::Relaxed);
        }
        // What cannot be written on a full disk keeps nobody from reading.
        Err(error) if !unnoted.swap(true, Ordering::Relaxed) => {
            tracing::warn!(%error, "uses of sessions cannot be noted; not said again until one was");
        }
        Err(_) => {}
    }
    session
}

/// What redeeming opens.
pub(crate) struct Opening {
    pub(crate) session: Session,
    pub(crate) refresh: Option<NewRefresh>,
    pub(crate) now: Timestamp,
    pub(crate) audit: AuditEntry,
}

/// Who granted what a stored code stands for.
pub(crate) fn granted_by_code(body: &str) -> StoreResult<Option<SignIn>> {
    Ok(Some(serde_json::from_str::<CodeGrant>(body)?.sign_in))
}

/// Who approved a stored device grant, if somebody did.
pub(crate) fn granted_by_device(body: &str) -> StoreResult<Option<SignIn>> {
    Ok(match serde_json::from_str::<DeviceGrant>(body)?.decision {
        Some(DeviceDecision::Approved(sign_in)) => Some(sign_in),
        Some(DeviceDecision::Denied) | None => None,
    })
}

/// What a poll at `now` learns after one at `polled_at`. It counts, and `grant` as it is then is kept, unless it is dead or expired: one that comes too early
/// lengthens the interval.
pub(crate) fn poll(grant: &mut DeviceGrant, polled_at: Option<i64>, client_id: &str, now: i64) -> Poll {
    if grant.client_id != client_id {
        return Poll::Dead;
    }
    if to_millis(grant.expires_at) <= now {
        return Poll::Expired;
    }
    let next_at = polled_at.map(|last| last.saturating_add(i64::from(grant.interval) * 1_000));
    if next_at.is_some_and(|next| now < next) {
        grant.interval = grant.interval.saturating_add(SLOWER_BY);
        return Poll::SlowDown;
    }
    match grant.decision {
        None => Poll::Pending,
        Some(_) => Poll::Decided(Box::new(grant.clone())),
    }
}

/// A refresh token as stored, beside its hash.
pub(crate) struct StoredToken {
    pub(crate) sid: String,
    pub(crate) predecessor: Option<Vec<u8>>,
    pub(crate) idle_until: i64,
    pub(crate) used_at: Option<i64>,
    /// There while the successor is unused and may come again.
    pub(crate) sealed: Option<Vec<u8>>,
}

/// What replaces a token, and what the log says of it.
pub(crate) struct Succession {
    pub(crate) next: NewRefresh,
    pub(crate) sealed: Vec<u8>,
    pub(crate) times: RotationTimes,
    pub(crate) audit: AuditEntry,
    pub(crate) reused: AuditEntry,
}

/// What is to be done about a token of a session that is in force.
pub(crate) enum Verdict {
    /// Nothing: its time is over.
    Dead,
    /// It is replaced.
    Replace,
    /// This sealed successor is given again.
    Repeat(Vec<u8>),
    /// Its session ends: it was stolen.
    Reuse,
}

impl Succession {
    /// Judges the token that is to be replaced.
    pub(crate) fn judge(&self, token: &StoredToken) -> Verdict {
        match (token.used_at, &token.sealed) {
            (None, _) if token.idle_until <= to_millis(self.times.now) => Verdict::Dead,
            (None, _) => Verdict::Replace,
            (Some(used_at), Some(sealed)) if used_at >= to_millis(self.times.repeat_since) => {
                Verdict::Repeat(sealed.clone())
            }
            (Some(_), _) => Verdict::Reuse,
        }
    }

    /// From when on the sealed successor could not come again: the same span after the use as `repeat_since` lies before the present.
    pub(crate) fn sealed_until(&self) -> i64 {
        let now = to_millis(self.times.now);
        now.saturating_add(now.saturating_sub(to_millis(self.times.repeat_since)))
    }
}

/// So many days before `now`, in milliseconds.
pub(crate) fn days_before(now: Timestamp, days: i64) -> i64 {
    to_millis(now).saturating_sub(days * 86_400_000)
}
