//! How often somebody may ask: a bucket of tokens for each stranger's address, and for each known caller. It holds nobody back for what others do.

use std::{
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use moka::sync::Cache;

const KEPT: u64 = 10_000;

struct Bucket {
    tokens: f64,
    at: Instant,
}

/// The buckets of one node; who is quiet long enough to have a full one is forgotten.
pub(super) struct Rate<K> {
    buckets: Cache<K, Arc<Mutex<Bucket>>>,
    burst: f64,
    per_second: f64,
}

impl<K: Hash + Eq + Send + Sync + 'static> Rate<K> {
    /// So many requests at once after a quiet time, and one in each such time in the long run.
    pub(super) fn new(burst: NonZeroU32, every: Duration) -> Self {
        let buckets = Cache::builder().max_capacity(KEPT).time_to_idle(every * burst.get()).build();
        Self { buckets, burst: f64::from(burst.get()), per_second: every.as_secs_f64().recip() }
    }

    /// Takes a token; where there is none, says how long until there is.
    ///
    /// # Errors
    /// The time to wait.
    pub(super) fn take(&self, source: K, now: Instant) -> Result<(), Duration> {
        let bucket = self.buckets.get_with(source, || Arc::new(Mutex::new(Bucket { tokens: self.burst, at: now })));
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let gained = now.saturating_duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.tokens = (bucket.tokens + gained).min(self.burst);
        bucket.at = now;
        if bucket.tokens >= 1.0 {
            bucket.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.tokens) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::server::{auth::throttle::Source, config::Limits};

    #[test]
    fn a_burst_passes_then_a_trickle_and_nobody_else_is_held_back() {
        let limits = Limits::default();
        let (rate, start) =
            (Rate::new(limits.open_burst, Duration::from_secs(1) / limits.open_per_second.get()), Instant::now());
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
