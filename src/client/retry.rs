//! How long to wait before trying again: growing, bounded, and never in step with other clients.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{HeaderMap, RETRY_AFTER};

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(15);

/// Delays that double up to a bound, each shortened by up to half at random.
#[derive(Debug)]
pub(super) struct Backoff {
    first: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new() -> Self {
        Self { first: FIRST, next: FIRST }
    }

    /// Begins anew from what the server hints.
    pub(super) fn set_first(&mut self, first: Duration) {
        self.first = first.clamp(Duration::from_millis(1), LONGEST);
        self.reset();
    }

    /// It worked: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.next = self.first;
    }

    pub(super) fn delay(&mut self) -> Duration {
        let bound = self.next;
        self.next = (bound * 2).min(LONGEST);
        jittered(bound)
    }
}

/// Between half of it and all of it. Randomness is a UUID's: no generator of its own for this alone.
fn jittered(bound: Duration) -> Duration {
    let drawn = uuid::Uuid::new_v4().as_bytes()[0];
    bound / 2 + bound.mul_f64(f64::from(drawn) / 512.0)
}

/// What `Retry-After` says, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some(at.duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn delays_grow_to_a_bound_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new();
        let delays: Vec<_> = (0..12).map(|_| backoff.delay()).collect();
        assert!(delays[0] <= FIRST && delays[0] >= FIRST / 2);
        assert!(delays[11] >= LONGEST / 2 && delays.iter().all(|delay| *delay <= LONGEST));
        backoff.reset();
        assert!(backoff.delay() <= FIRST);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let headers = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(retry_after(&headers("2")), Some(Duration::from_secs(2)));
        assert_eq!(retry_after(&headers("Wed, 21 Oct 2015 07:28:00 GMT")), Some(Duration::ZERO));
        assert_eq!(retry_after(&headers("soon")), None);
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
