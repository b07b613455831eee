//! How often somebody who is not known may ask: a bucket of tokens for each address. Known clients are bounded by concurrency instead.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

use crate::server::auth::throttle::Source;

/// Requests at once, after a quiet time.
const BURST: f64 = 200.0;

/// Requests per second in the long run.
const PER_SECOND: f64 = 50.0;

const ADDRESSES: u64 = 10_000;

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of one node; an address that is quiet long enough to have a full one is forgotten.
pub(super) struct Rate(Cache<Source, Arc<Mutex<Bucket>>>);

impl Default for Rate {
    fn default() -> Self {
        let refill = Duration::from_secs_f64(BURST / PER_SECOND);
        Self(Cache::builder().max_capacity(ADDRESSES).time_to_idle(refill).build())
    }
}

impl Rate {
    /// Takes a token; where there is none, says how long until there is.
    ///
    /// # Errors
    /// The time to wait.
    pub(super) fn take(&self, source: Source, now: Instant) -> Result<(), Duration> {
        let bucket = self.0.get_with(source, || Arc::new(Mutex::new(Bucket { tokens: BURST, at: now })));
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * PER_SECOND;
        bucket.tokens = (bucket.tokens + gained).min(BURST);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / PER_SECOND))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn a_burst_passes_then_a_trickle_and_nobody_else_is_held_back() {
        let (rate, start) = (Rate::default(), Instant::now());
        let [one, other] = [[10, 0, 0, 1], [10, 0, 0, 2]].map(|address| Source::from(IpAddr::from(address)));
        let passed = (0..300).filter(|_| rate.take(one, start).is_ok()).count();
        assert_eq!(passed, 200);
        assert!(rate.take(other, start).is_ok());
        let wait = rate.take(one, start).err();
        assert_eq!(wait, Some(Duration::from_millis(20)));
        assert!(rate.take(one, start + Duration::from_millis(21)).is_ok());
        assert!(rate.take(one, start + Duration::from_millis(22)).is_err());
    }
}
