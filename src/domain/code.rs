//! Codes that people scan and type: places, medications, usernames. A value of these types is always in canonical form.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

/// Longest code of a place or medication, in characters.
pub const CODE_MAX: usize = 40;

/// Longest username, in characters after normalisation.
pub const USERNAME_MAX: usize = 64;

/// Why a text is not a code or a username.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCode {
    /// Empty, too long, or with a character that no code may have.
    #[error("a {what} code is 1 to {CODE_MAX} letters, digits, '-', '.' or '_'; got {got:?}")]
    Code {
        /// What the code names: `ward`, `cabinet`, …
        what: &'static str,
        /// The refused text, shortened.
        got: String,
    },
    /// Empty, too long, or with a blank, control or separator character.
    #[error(
        "a username is 1 to {USERNAME_MAX} characters without blanks, control characters, ':', '/' or ','; got {0:?}"
    )]
    Username(String),
}

fn shortened(text: &str) -> String {
    text.chars().take(CODE_MAX).collect()
}

fn canonical(what: &'static str, text: &str) -> Result<String, InvalidCode> {
    let trimmed = text.trim_matches(' ');
    let fits = (1..=CODE_MAX).contains(&trimmed.len());
    let clean = trimmed.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    // "." and ".." would be eaten by URL normalisation.
    if fits && clean && trimmed.bytes().any(|b| b.is_ascii_alphanumeric()) {
        Ok(trimmed.to_ascii_uppercase())
    } else {
        Err(InvalidCode::Code { what, got: shortened(text) })
    }
}

macro_rules! string_newtype {
    ($(#[$doc:meta])* $name:ident, $parse:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The canonical text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidCode;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let parse: fn(&str) -> Result<String, InvalidCode> = $parse;
                parse(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidCode;
            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(code: $name) -> Self {
                code.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

string_newtype! {
    /// A pharmacy: central or satellite. Upper case; a scan in lower case is the same code.
    PharmacyCode, |text| canonical("pharmacy", text)
}
string_newtype! {
    /// A ward (nursing unit).
    WardCode, |text| canonical("ward", text)
}
string_newtype! {
    /// An automated dispensing cabinet; the code stands on it as a QR code.
    CabinetCode, |text| canonical("cabinet", text)
}
string_newtype! {
    /// A medication of the hospital's formulary.
    MedicationCode, |text| canonical("medication", text)
}
string_newtype! {
    /// A login name: NFC, lower case, so that `Joe` and `joe`, or a composed and a decomposed `é`, are one account.
    Username, username
}

fn username(text: &str) -> Result<String, InvalidCode> {
    let refused = || InvalidCode::Username(shortened(text));
    // Normalising allocates: refuse what can never fit before touching it.
    if text.len() > USERNAME_MAX * 16 {
        return Err(refused());
    }
    let name: String = text.trim().nfc().collect::<String>().to_lowercase().nfc().collect();
    let length = name.chars().count();
    let clean = name
        .chars()
        .all(|c| !c.is_control() && !c.is_whitespace() && !is_invisible(c) && !matches!(c, ':' | '/' | ','));
    if (1..=USERNAME_MAX).contains(&length) && clean { Ok(name) } else { Err(refused()) }
}

/// Characters that make two names look alike on the screen: zero-width ones, bidirectional controls, the BOM.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_scan_in_lower_case_is_the_same_cabinet() {
        assert_eq!("uti-01".parse::<CabinetCode>().unwrap(), "UTI-01 ".parse().unwrap());
    }

    #[test]
    fn codes_that_break_urls_or_screens_are_refused() {
        for bad in ["", " ", "A/B", "A B", "..", "Ç", "A\0", &"A".repeat(41)] {
            assert!(bad.parse::<WardCode>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn one_person_has_one_username() {
        let composed: Username = "Jos\u{e9}".parse().unwrap();
        let decomposed: Username = "JOSE\u{301}".parse().unwrap();
        assert_eq!(composed, decomposed);
        assert_eq!("李雷".parse::<Username>().unwrap().as_str(), "李雷");
        for bad in ["", "a b", "a\0b", "a\u{200b}b", "a:b", &"x".repeat(65), &"x".repeat(5_000_000)] {
            assert!(bad.parse::<Username>().is_err());
        }
    }
}
