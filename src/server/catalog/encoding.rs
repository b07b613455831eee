//! Character encodings of directory files. It never turns a text into replacement characters: what does not decode is an error.
//!
//! The FDA writes windows-1252, ANVISA ISO-8859-1 (a part of it), and whoever saved the file again may have made UTF-8
//! of it. Detection is per line: a line that is UTF-8 is read as such, any other as windows-1252; no sensible text in
//! windows-1252 is valid UTF-8 by accident. So pieces of both in one file are read right, too.

use std::{borrow::Cow, fmt, str::FromStr};

use encoding_rs::{UTF_8, WINDOWS_1252};
use serde::{Deserialize, Serialize};

/// How a file's characters are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Encoding {
    /// UTF-8, with or without byte order mark.
    #[serde(rename = "utf-8")]
    Utf8,
    /// windows-1252, of which ISO-8859-1 is a part.
    #[serde(rename = "windows-1252")]
    Windows1252,
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Utf8 => "utf-8",
            Self::Windows1252 => "windows-1252",
        })
    }
}

/// A text that names no encoding that is read here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown encoding {0:?}: use utf-8, windows-1252 or iso-8859-1")]
pub struct UnknownEncoding(pub String);

impl FromStr for Encoding {
    type Err = UnknownEncoding;

    fn from_str(text: &str) -> Result<Self, UnknownEncoding> {
        match encoding_rs::Encoding::for_label(text.as_bytes()) {
            Some(found) if found == UTF_8 => Ok(Self::Utf8),
            Some(found) if found == WINDOWS_1252 => Ok(Self::Windows1252),
            _ => Err(UnknownEncoding(text.to_owned())),
        }
    }
}

/// Decodes lines, in one given encoding or in what each line is.
#[derive(Debug)]
pub(in crate::server) struct Decoder {
    given: Option<Encoding>,
    saw_single_bytes: bool,
}

impl Decoder {
    pub(in crate::server) fn new(given: Option<Encoding>) -> Self {
        Self { given, saw_single_bytes: false }
    }

    /// The text of a line, or why it is none.
    pub(in crate::server) fn decode<'a>(&mut self, line: &'a [u8]) -> Result<Cow<'a, str>, &'static str> {
        let text = match (std::str::from_utf8(line), self.given) {
            (Ok(text), None | Some(Encoding::Utf8)) => Cow::Borrowed(text),
            (Err(_), Some(Encoding::Utf8)) => return Err("it is not valid UTF-8"),
            (_, given) => {
                self.saw_single_bytes |= given.is_none();
                WINDOWS_1252.decode_without_bom_handling(line).0
            }
        };
        // C1 controls are what windows-1252 has no character for.
        match text.chars().any(|c| c.is_control() && c != '\t') {
            true => Err("it has control characters"),
            false => Ok(text),
        }
    }

    /// What was given, or found so far.
    pub(in crate::server) fn encoding(&self) -> Encoding {
        match self.given {
            Some(given) => given,
            None if self.saw_single_bytes => Encoding::Windows1252,
            None => Encoding::Utf8,
        }
    }
}
