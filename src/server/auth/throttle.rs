//! Growing delays after failed sign-ins, per account and source and per source. Never locks an account: who comes from elsewhere is not delayed.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

/// Entries kept at most, per table; beyond, the ones longest untouched are forgotten.
const CAPACITY: usize = 10_000;

/// After so long without a failure all is forgotten.
const FORGET: SignedDuration = SignedDuration::from_mins(30);

/// How many failures are free, and how fast the delay grows after them.
struct Allowance {
    free: u32,
    ceiling: SignedDuration,
}

/// Somebody mistypes a few times.
const ACCOUNT: Allowance = Allowance { free: 5, ceiling: SignedDuration::from_mins(5) };

/// A whole ward may sit behind one address.
const SOURCE: Allowance = Allowance { free: 60, ceiling: SignedDuration::from_secs(30) };

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    not_before: Timestamp,
}

/// Where an attempt comes from: an address, a whole /64 for IPv6, since a home has that many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

impl From<IpAddr> for Source {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => Self(IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into())),
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Too many attempts failed: try again after this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooSoon(pub Duration);

#[derive(Default)]
struct Tables {
    accounts: HashMap<(String, Source), Failures>,
    sources: HashMap<Source, Failures>,
}

/// Counts failures in bounded memory.
#[derive(Default)]
pub struct Throttle {
    tables: Mutex<Tables>,
}

impl Throttle {
    /// Counts an attempt as failed before anything is computed for it, so that parallel attempts cannot slip through; a success takes it back.
    ///
    /// # Errors
    /// [`TooSoon`] while the delay lasts; such an attempt is not counted, or the delay would never end.
    pub fn begin(&self, account: &str, source: Source, now: Timestamp) -> Result<(), TooSoon> {
        let (mut tables, key) = (self.tables(), (account.to_owned(), source));
        tables.admit(&key, now)?;
        tables.count(key, now);
        Ok(())
    }

    /// Judges a secret that is compared in no time, as the hash of a random one: with the tables held, so that of parallel attempts the right
    /// ones are not counted at all, however many a program sends at once.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn judge(
        &self,
        account: &str,
        source: Source,
        now: Timestamp,
        is_right: impl FnOnce() -> bool,
    ) -> Result<bool, TooSoon> {
        let (mut tables, key) = (self.tables(), (account.to_owned(), source));
        tables.admit(&key, now)?;
        let right = is_right();
        if right {
            tables.accounts.remove(&key);
        } else {
            tables.count(key, now);
        }
        Ok(right)
    }

    /// Takes the attempt back: it was the right secret.
    pub fn succeeded(&self, account: &str, source: Source) {
        let mut tables = self.tables();
        tables.accounts.remove(&(account.to_owned(), source));
        if let Some(failures) = tables.sources.get_mut(&source) {
            failures.count = failures.count.saturating_sub(1);
            failures.not_before = failures.last;
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn admit(&self, key: &(String, Source), now: Timestamp) -> Result<(), TooSoon> {
        let left =
            |failures: Option<&Failures>| failures.map_or(SignedDuration::ZERO, |f| f.not_before.duration_since(now));
        let wait = left(self.accounts.get(key)).max(left(self.sources.get(&key.1)));
        if wait > SignedDuration::ZERO {
            return Err(TooSoon(Duration::from_millis(wait.as_millis().unsigned_abs().try_into().unwrap_or(u64::MAX))));
        }
        Ok(())
    }

    fn count(&mut self, key: (String, Source), now: Timestamp) {
        count(&mut self.sources, key.1, &SOURCE, now);
        count(&mut self.accounts, key, &ACCOUNT, now);
    }
}

fn count<K: Hash + Eq + Clone>(table: &mut HashMap<K, Failures>, key: K, allowance: &Allowance, now: Timestamp) {
    if table.len() >= CAPACITY && !table.contains_key(&key) {
        make_room(table, now);
    }
    let failures = table.entry(key).or_insert(Failures { count: 0, last: now, not_before: now });
    if now.duration_since(failures.last) > FORGET {
        failures.count = 0;
    }
    failures.count = failures.count.saturating_add(1);
    failures.last = now;
    failures.not_before = now + delay(failures.count, allowance);
}

fn delay(count: u32, allowance: &Allowance) -> SignedDuration {
    match count.checked_sub(allowance.free) {
        None | Some(0) => SignedDuration::ZERO,
        Some(over) => SignedDuration::from_secs(1 << over.saturating_sub(1).min(16)).min(allowance.ceiling),
    }
}

/// Forgets what is past its time, and where that is not enough the longest untouched quarter.
fn make_room<K: Hash + Eq + Clone>(table: &mut HashMap<K, Failures>, now: Timestamp) {
    table.retain(|_, failures| now.duration_since(failures.last) <= FORGET);
    if table.len() >= CAPACITY {
        let mut times: Vec<Timestamp> = table.values().map(|failures| failures.last).collect();
        times.sort_unstable();
        let bound = times[times.len() / 4];
        table.retain(|_, failures| failures.last > bound);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn source(text: &str) -> Source {
        Source::from(text.parse::<IpAddr>().unwrap())
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    #[test]
    fn delays_grow_per_source_and_the_victim_gets_in_from_elsewhere() {
        let (throttle, attacker) = (Throttle::default(), source("203.0.113.9"));
        for _ in 0..=ACCOUNT.free {
            throttle.begin("joana", attacker, at(0)).unwrap();
        }
        assert_eq!(throttle.begin("joana", attacker, at(0)), Err(TooSoon(Duration::from_secs(1))));
        assert_eq!(throttle.begin("joana", source("198.51.100.7"), at(0)), Ok(()));
        throttle.begin("joana", attacker, at(1)).unwrap();
        assert_eq!(throttle.begin("joana", attacker, at(1)), Err(TooSoon(Duration::from_secs(2))));
    }

    #[test]
    fn no_lock_is_for_ever() {
        let (throttle, attacker) = (Throttle::default(), source("203.0.113.9"));
        let mut now = 0;
        for _ in 0..60 {
            while throttle.begin("joana", attacker, at(now)).is_err() {
                now += 1;
            }
        }
        let TooSoon(wait) = throttle.begin("joana", attacker, at(now)).unwrap_err();
        assert!(wait <= Duration::from_secs(300));
        throttle.begin("joana", attacker, at(now + 301)).unwrap();
        throttle.succeeded("joana", attacker);
        throttle.begin("joana", attacker, at(now + 301)).unwrap();
    }

    #[test]
    fn a_source_that_tries_many_names_is_slowed_down() {
        let (throttle, attacker) = (Throttle::default(), source("203.0.113.9"));
        let refused = (0..1_000).filter(|n| throttle.begin(&format!("user{n}"), attacker, at(0)).is_err()).count();
        assert!(refused > 900);
    }

    #[test]
    fn a_busy_address_that_signs_in_well_is_never_slowed() {
        let (throttle, ward) = (Throttle::default(), source("10.0.0.1"));
        for n in 0..1_000 {
            let name = format!("nurse{n}");
            throttle.begin(&name, ward, at(n)).unwrap();
            throttle.succeeded(&name, ward);
        }
    }

    #[test]
    fn memory_is_bounded_and_a_64_is_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:1"));
        assert_eq!(source("::ffff:10.0.0.1"), source("10.0.0.1"));
        let throttle = Throttle::default();
        for n in 0..25_000_u32 {
            let address = Source::from(IpAddr::from((n + 1).to_be_bytes()));
            let _ = throttle.begin("joana", address, at(i64::from(n)));
        }
        assert!(throttle.tables.lock().unwrap().accounts.len() <= CAPACITY);
    }
}
