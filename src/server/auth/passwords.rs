//! Passwords: the rules for a new one, hashing and checking. Never logs, stores or returns one, and never hashes on an async thread.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use argon2::{Algorithm, Argon2, Block, Params, Version, password_hash::phc::PasswordHash};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use unicode_normalization::UnicodeNormalization;

use super::{secrets::random, throttle::Source};
use crate::domain::code::Username;

/// Longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 512;

/// Shortest new password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 8;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

const SALT_BYTES: usize = 16;
const OUTPUT_BYTES: usize = 32;

/// Hashes computed at a time: each takes a core and 19 MiB.
const AT_ONCE: usize = 2;

/// Sources whose turn is remembered, and for how long after their last attempt. One that is forgotten early gets a second turn, and no harm done.
const SOURCES: u64 = 10_000;
const SOURCE_IDLE: Duration = Duration::from_secs(60);

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    /// Nothing was given.
    #[error("the password is empty")]
    Empty,
    /// Would cost too much to hash.
    #[error("a password has at most {PASSWORD_MAX_BYTES} bytes; shorten it")]
    TooLong,
    /// Easily guessed.
    #[error("a new password has at least {PASSWORD_MIN_CHARS} characters; lengthen it")]
    TooShort,
    /// The first guess of anybody.
    #[error("the password is the username; choose another")]
    IsUsername,
    /// A change that changes nothing.
    #[error("the new password is the present one; choose another")]
    Unchanged,
}

/// A password within bounds, in NFC: what a person types on any keyboard is the same bytes.
#[derive(Clone)]
pub struct Password(String);

/// Prints nothing of the password.
impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

impl Password {
    /// Takes what was typed at a sign-in.
    ///
    /// # Errors
    /// [`InvalidPassword`] where it is empty or beyond the bound, before anything is computed from it.
    pub fn typed(text: &str) -> Result<Self, InvalidPassword> {
        if text.is_empty() {
            return Err(InvalidPassword::Empty);
        }
        if text.len() > PASSWORD_MAX_BYTES {
            return Err(InvalidPassword::TooLong);
        }
        Ok(Self(text.nfc().collect()))
    }

    /// Takes a new password of this user in place of their present one, as they typed both.
    ///
    /// # Errors
    /// [`InvalidPassword`] says which rule it breaks.
    pub fn changed(text: &str, current: &str, username: &Username) -> Result<Self, InvalidPassword> {
        let password = Self::chosen(text, username)?;
        if current.nfc().eq(password.0.chars()) { Err(InvalidPassword::Unchanged) } else { Ok(password) }
    }

    /// Takes a new password of this user.
    ///
    /// # Errors
    /// [`InvalidPassword`] says which rule it breaks.
    pub fn chosen(text: &str, username: &Username) -> Result<Self, InvalidPassword> {
        let password = Self::typed(text)?;
        if password.0.chars().count() < PASSWORD_MIN_CHARS {
            return Err(InvalidPassword::TooShort);
        }
        match text.parse::<Username>() {
            Ok(name) if name == *username => Err(InvalidPassword::IsUsername),
            _ => Ok(password),
        }
    }
}

/// Hashes and checks passwords, a few at a time.
pub struct Passwords {
    permits: Arc<Semaphore>,
    /// One attempt of each source at a time: a crowd at one address queues behind itself, and others pass it by.
    turns: Cache<Source, Arc<Semaphore>>,
    /// What is hashed in, kept for the next one: given back to the allocator it would stay with each thread that ever computed a hash.
    rooms: Arc<Mutex<Vec<Vec<Block>>>>,
    /// Checked where a user or a password is missing, so that the answer costs the same.
    nobody: String,
    computed: AtomicU64,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            turns: Cache::builder().max_capacity(SOURCES).time_to_idle(SOURCE_IDLE).build(),
            rooms: Arc::default(),
            nobody: phc(&random::<SALT_BYTES>(), &random::<OUTPUT_BYTES>()),
            computed: AtomicU64::new(0),
        }
    }
}

impl Passwords {
    /// Hashes a password into PHC form.
    pub async fn hash(&self, password: Password) -> String {
        self.compute(None, move |room| hashed(&password, room)).await
    }

    /// True where the password is the one that was hashed; costs the same without a hash, and is false then. Waits for the turn of its source.
    pub async fn verify(&self, password: Password, stored: Option<String>, source: Source) -> bool {
        let turn = self.turns.get_with(source, || Arc::new(Semaphore::new(1)));
        let turn = turn.acquire_owned().await.expect("the semaphore is never closed");
        let real = stored.is_some();
        let phc = stored.unwrap_or_else(|| self.nobody.clone());
        let same = self.compute(Some(turn), move |room| is_hashed(&password, &phc, room).unwrap_or(false)).await;
        same && real
    }

    /// How many hashes were computed so far.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(
        &self,
        turn: Option<OwnedSemaphorePermit>,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        self.computed.fetch_add(1, Ordering::Relaxed);
        let rooms = Arc::clone(&self.rooms);
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that goes away frees no core.
            let _held = (permit, turn);
            let free = || rooms.lock().unwrap_or_else(PoisonError::into_inner);
            let mut room = free().pop().unwrap_or_default();
            let done = work(&mut room);
            free().push(room);
            done
        });
        task.await.expect("hashing does not panic")
    }
}

/// A hash as it is stored.
fn phc(salt: &[u8], output: &[u8]) -> String {
    let (salt, output) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(output));
    format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${output}")
}

fn hashed(password: &Password, room: &mut Vec<Block>) -> String {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (salt, mut output) = (random::<SALT_BYTES>(), [0; OUTPUT_BYTES]);
    fill(&argon2, password, &salt, &mut output, room).expect("a bounded password under fixed parameters");
    phc(&salt, &output)
}

/// Computes a stored hash again, by the parameters that it was made with; `None` where it is none.
fn is_hashed(password: &Password, phc: &str, room: &mut Vec<Block>) -> Option<bool> {
    let stored = PasswordHash::new(phc).ok()?;
    let algorithm = Algorithm::try_from(stored.algorithm.as_str()).ok()?;
    let version = Version::try_from(stored.version?).ok()?;
    let argon2 = Argon2::new(algorithm, version, Params::try_from(&stored).ok()?);
    let (salt, expected) = (stored.salt?, stored.hash?);
    let mut output = vec![0; expected.len()];
    fill(&argon2, password, &salt, &mut output, room).ok()?;
    Some(verify_slices_are_equal(&output, expected.as_bytes()).is_ok())
}

fn fill(
    argon2: &Argon2<'_>,
    password: &Password,
    salt: &[u8],
    output: &mut [u8],
    room: &mut Vec<Block>,
) -> Result<(), argon2::Error> {
    room.resize(argon2.params().block_count(), Block::new());
    argon2.hash_password_into_with_memory(password.0.as_bytes(), salt, output, room)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn source(n: u8) -> Source {
        std::net::IpAddr::from([203, 0, 113, n]).into()
    }

    #[tokio::test]
    async fn a_password_is_the_same_composed_or_decomposed() {
        let passwords = Passwords::default();
        let hash = passwords.hash(Password::typed("caf\u{e9} 4 ever").unwrap()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(Password::typed("cafe\u{301} 4 ever").unwrap(), Some(hash.clone()), source(1)).await);
        assert!(!passwords.verify(Password::typed("cafe 4 ever").unwrap(), Some(hash), source(1)).await);
    }

    #[tokio::test]
    async fn a_hash_of_another_program_is_checked_by_its_own_parameters() {
        // argon2 from the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1`.
        let phc = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        let passwords = Passwords::default();
        for (typed, right) in [("password", true), ("passwore", false)] {
            assert_eq!(passwords.verify(Password::typed(typed).unwrap(), Some(phc.to_owned()), source(1)).await, right);
        }
        assert!(!passwords.verify(Password::typed("password").unwrap(), Some("nonsense".to_owned()), source(1)).await);
        assert_eq!(passwords.rooms.lock().unwrap().len(), 1, "one after the other they are computed in the same room");
    }

    #[tokio::test]
    async fn without_a_hash_the_work_is_done_all_the_same() {
        let passwords = Passwords::default();
        assert!(!passwords.verify(Password::typed("anything").unwrap(), None, source(1)).await);
        assert_eq!(passwords.computed(), 1);
        assert!(PasswordHash::new(&passwords.nobody).is_ok(), "the stand-in is a real hash");
    }

    #[test]
    fn bounds_are_checked_before_any_work() {
        let user: Username = "joana".parse().unwrap();
        assert_eq!(Password::typed("").unwrap_err(), InvalidPassword::Empty);
        assert_eq!(Password::typed(&"x".repeat(5_000_000)).unwrap_err(), InvalidPassword::TooLong);
        assert!(Password::typed(&"x".repeat(512)).is_ok());
        assert_eq!(Password::chosen("1234567", &user).unwrap_err(), InvalidPassword::TooShort);
        assert!(Password::chosen("密码很长也很安全的", &user).is_ok());
        let long: Username = "joanadarc".parse().unwrap();
        assert_eq!(Password::chosen("JoanaDarc", &long).unwrap_err(), InvalidPassword::IsUsername);
        let same = Password::changed("caf\u{e9} 4 ever", "cafe\u{301} 4 ever", &user);
        assert_eq!(same.unwrap_err(), InvalidPassword::Unchanged);
    }

    #[tokio::test]
    async fn a_crowd_at_one_address_is_passed_by() {
        let passwords = Passwords::default();
        let attempt = |n| passwords.verify(Password::typed("anything").unwrap(), None, source(n));
        let crowd = futures_util::future::join_all((0..20).map(|_| attempt(1)));
        let other = async {
            attempt(2).await;
            passwords.computed()
        };
        let (_, begun) = futures_util::future::join(crowd, other).await;
        assert!(begun <= 5, "{begun} of 21 attempts began before that of another address was answered");
    }
}
