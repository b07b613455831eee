//! What is drawn at random: bytes, codes that people type, secrets and the hashes of those. Passwords, which people choose, are never handled here.

use aws_lc_rs::{constant_time::verify_slices_are_equal, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use sha2::{Digest, Sha256};

/// A random secret, shown once and kept only as its hash.
pub struct Secret(String);

impl Secret {
    /// Draws 256 random bits.
    #[must_use]
    pub fn random() -> Self {
        Self(B64.encode(random::<32>()))
    }

    /// The secret itself, for its owner's eyes.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        hash(&self.0)
    }

    /// What is stored in a record of text.
    #[must_use]
    pub fn hash_text(&self) -> String {
        format!("sha256:{}", B64.encode(self.hash()))
    }
}

/// Prints nothing of the secret.
impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).expect("the operating system's random source works");
    bytes
}

/// A code of so many of these letters, each as likely as any other.
pub(super) fn random_code(letters: &[u8], length: usize) -> String {
    // Beyond the last whole multiple of their number the first letters would come more often.
    let fair = 256 - 256 % letters.len();
    let drawn = std::iter::repeat_with(|| usize::from(random::<1>()[0])).filter(|byte| *byte < fair);
    drawn.take(length).map(|byte| char::from(letters[byte % letters.len()])).collect()
}

/// SHA-256: enough for a secret that nobody could guess.
#[must_use]
pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// True where the secret is the one whose hash is stored; takes the same time for every answer, also without a stored hash.
#[must_use]
pub fn matches(secret: &str, stored: Option<&str>) -> bool {
    let wanted = stored.and_then(|text| text.strip_prefix("sha256:")).and_then(|text| B64.decode(text).ok());
    let known = wanted.as_ref().is_some_and(|bytes| bytes.len() == 32);
    let wanted = if known { wanted.unwrap_or_default() } else { vec![0; 32] };
    verify_slices_are_equal(&hash(secret), &wanted).is_ok() && known
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_matches_its_own_hash_only() {
        let (one, other) = (Secret::random(), Secret::random());
        assert!(one.reveal().len() >= 43);
        assert!(matches(one.reveal(), Some(&one.hash_text())));
        assert!(!matches(other.reveal(), Some(&one.hash_text())));
        assert!(!matches(one.reveal(), None));
        assert!(!matches("", Some("sha256:")));
        assert!(!format!("{one:?}").contains(one.reveal()));
    }

    #[test]
    fn a_code_has_every_letter_and_no_other() {
        let code = random_code(b"abc", 1_000);
        let seen: std::collections::BTreeSet<char> = code.chars().collect();
        assert_eq!((code.len(), seen), (1_000, ['a', 'b', 'c'].into()));
    }
}
