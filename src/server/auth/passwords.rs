//! Passwords: the rules for a new one, hashing and checking. Never logs, stores or returns one, and never hashes on an async thread.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::rand;
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

use crate::domain::code::Username;

/// Longest password, in bytes.
pub const PASSWORD_MAX_BYTES: usize = 512;

/// Shortest new password, in characters.
pub const PASSWORD_MIN_CHARS: usize = 8;

const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes computed at a time: each takes a core and 19 MiB.
const AT_ONCE: usize = 2;

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
    /// Checked where a user or a password is missing, so that the answer costs the same.
    nobody: String,
    computed: AtomicU64,
}

impl Default for Passwords {
    fn default() -> Self {
        let mut bytes = [0_u8; 48];
        rand::fill(&mut bytes).expect("the operating system's random source works");
        let (salt, output) = bytes.split_at(16);
        let nobody = format!(
            "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
            STANDARD_NO_PAD.encode(salt),
            STANDARD_NO_PAD.encode(output)
        );
        Self { permits: Arc::new(Semaphore::new(AT_ONCE)), nobody, computed: AtomicU64::new(0) }
    }
}

impl Passwords {
    /// Hashes a password into PHC form.
    pub async fn hash(&self, password: Password) -> String {
        self.compute(move || {
            let hash =
                argon2().hash_password(password.0.as_bytes()).expect("a bounded password under fixed parameters");
            hash.to_string()
        })
        .await
    }

    /// True where the password is the one that was hashed; costs the same without a hash, and is false then.
    pub async fn verify(&self, password: Password, stored: Option<String>) -> bool {
        let real = stored.is_some();
        let phc = stored.unwrap_or_else(|| self.nobody.clone());
        let same = self
            .compute(move || {
                PasswordHash::new(&phc).is_ok_and(|hash| argon2().verify_password(password.0.as_bytes(), &hash).is_ok())
            })
            .await;
        same && real
    }

    /// How many hashes were computed so far.
    #[must_use]
    pub fn computed(&self) -> u64 {
        self.computed.load(Ordering::Relaxed)
    }

    async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        self.computed.fetch_add(1, Ordering::Relaxed);
        let task = tokio::task::spawn_blocking(move || {
            // Held by the work itself: a caller that goes away frees no core.
            let _permit = permit;
            work()
        });
        task.await.expect("hashing does not panic")
    }
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[tokio::test]
    async fn a_password_is_the_same_composed_or_decomposed() {
        let passwords = Passwords::default();
        let hash = passwords.hash(Password::typed("caf\u{e9} 4 ever").unwrap()).await;
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        assert!(passwords.verify(Password::typed("cafe\u{301} 4 ever").unwrap(), Some(hash.clone())).await);
        assert!(!passwords.verify(Password::typed("cafe 4 ever").unwrap(), Some(hash)).await);
    }

    #[tokio::test]
    async fn without_a_hash_the_work_is_done_all_the_same() {
        let passwords = Passwords::default();
        assert!(!passwords.verify(Password::typed("anything").unwrap(), None).await);
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
}
