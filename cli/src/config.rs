//! The client's configuration file. Holds the place of a token, never the token; an unknown key is an error.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;

/// What the file may hold.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The server.
    pub(crate) url: Option<String>,
    /// Where the access token is; relative to the file itself.
    pub(crate) token_file: Option<PathBuf>,
    /// The user to act for.
    pub(crate) on_behalf_of: Option<String>,
    /// `,` or `.`: how people here write decimals.
    pub(crate) decimal_separator: Option<char>,
}

impl Config {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let refuse = |why: String| Failure::usage(format!("the configuration {} {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
        let mut config = Self::parse(&text).map_err(refuse)?;
        if let (Some(file), Some(dir)) = (&config.token_file, path.parent()) {
            config.token_file = Some(dir.join(file));
        }
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| format!("is not valid: {}", error.message()))?;
        match config.decimal_separator {
            None | Some(',' | '.') => Ok(config),
            Some(other) => Err(format!("has the decimal_separator {other:?}; use \",\" or \".\"")),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn unknown_keys_and_odd_separators_are_refused() {
        let good = "url = \"https://medreq.example.org\"\ndecimal_separator = \",\"";
        assert_eq!(Config::parse(good).unwrap().decimal_separator, Some(','));
        assert!(Config::parse("token = \"x\"").unwrap_err().contains("unknown field"));
        assert!(Config::parse("decimal_separator = \";\"").unwrap_err().contains("use"));
    }
}
