//! Free text and patient references: erasable alone. Their content must never reach a log, a URL or an alert.

use std::fmt;

use serde::{Deserialize, Serialize};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

/// Longest note, comment or other free text, in characters.
pub const TEXT_MAX: usize = 2_000;

/// Longest patient reference or identifier, in characters.
pub const REFERENCE_MAX: usize = 100;

/// A text that a person wrote, in one of the three states of its life.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreeText {
    /// Readable, in memory only.
    Plain(String),
    /// As stored: encrypted under the ticket's key (base64 of nonce and ciphertext).
    Sealed(String),
    /// Its key was deleted: the content is gone, the fact that there was one stays.
    Erased,
}

/// Why a text is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidText {
    /// Only blanks.
    #[error("the text is empty; write something or leave the field out")]
    Empty,
    /// Longer than allowed.
    #[error("the text has more than {0} characters; shorten it")]
    TooLong(usize),
    /// NUL or another control character that is no line break or tab.
    #[error("the text has a control character (U+{0:04X}); remove it")]
    Control(u32),
}

impl FreeText {
    /// Takes a note or comment: trimmed, NFC, at most [`TEXT_MAX`] characters, no control characters but line breaks and tabs.
    ///
    /// # Errors
    /// [`InvalidText`] says which of these does not hold.
    pub fn new(text: &str) -> Result<Self, InvalidText> {
        clean(text, TEXT_MAX).map(Self::Plain)
    }

    /// Takes a patient reference: as [`Self::new`], at most [`REFERENCE_MAX`] characters.
    ///
    /// # Errors
    /// [`InvalidText`] says which of these does not hold.
    pub fn reference(text: &str) -> Result<Self, InvalidText> {
        clean(text, REFERENCE_MAX).map(Self::Plain)
    }

    /// The readable text; `None` when sealed or erased.
    #[must_use]
    pub fn plain(&self) -> Option<&str> {
        match self {
            Self::Plain(text) => Some(text),
            Self::Sealed(_) | Self::Erased => None,
        }
    }
}

/// Prints no content: a `Debug` of a ticket may end in a log.
impl fmt::Debug for FreeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "FreeText(plain)",
            Self::Sealed(_) => "FreeText(sealed)",
            Self::Erased => "FreeText(erased)",
        })
    }
}

/// Trims, normalises to NFC and checks a text of at most `max` characters.
///
/// # Errors
/// [`InvalidText`] says what is wrong.
pub fn clean(text: &str, max: usize) -> Result<String, InvalidText> {
    // Four bytes a character is the most UTF-8 has: longer can never fit and is not worth normalising.
    if text.len() > max.saturating_mul(4) {
        return Err(InvalidText::TooLong(max));
    }
    if let Some(control) = text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        return Err(InvalidText::Control(u32::from(control)));
    }
    let text: String = text.trim().nfc().collect();
    match text.chars().count() {
        0 => Err(InvalidText::Empty),
        n if n > max => Err(InvalidText::TooLong(max)),
        _ => Ok(text),
    }
}

/// Folds a text for search and comparison: lower case, without accents, so that `dipirona` finds `Dipiróna`.
#[must_use]
pub fn fold(text: &str) -> String {
    text.nfkd().filter(|c| !is_combining_mark(*c)).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn folding_ignores_case_and_accents() {
        assert_eq!(fold("ÁCIDO Acetilsalicílico"), "acido acetilsalicilico");
    }

    #[test]
    fn nul_and_blank_texts_are_refused_and_debug_shows_no_content() {
        assert_eq!(FreeText::new("a\0b"), Err(InvalidText::Control(0)));
        assert_eq!(FreeText::new(" \n "), Err(InvalidText::Empty));
        assert_eq!(FreeText::new(&"x".repeat(2_001)), Err(InvalidText::TooLong(TEXT_MAX)));
        assert!(!format!("{:?}", FreeText::new("Mr Silva, bed 4").unwrap()).contains("Silva"));
    }
}
