//! Times on the wire: UTC, always with three decimals, so that texts compare as times do. Written truncated; read with any number of them.

use std::fmt;

use jiff::Timestamp;
use serde::{
    Deserializer, Serializer,
    de::{Error, Visitor},
};

/// What a time looks like, for those who sent something else.
pub const NOT_A_TIME: &str = "this is not a time such as 2030-01-15T10:00:00Z";

/// The time as text: `2030-01-15T10:00:00.000Z`.
#[must_use]
pub fn text(at: Timestamp) -> String {
    format!("{:.3}", truncated(at))
}

/// The time without what is finer than a millisecond.
#[must_use]
pub fn truncated(at: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(at.as_millisecond()).unwrap_or(at)
}

/// Writes a time.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*at))
}

/// Reads a time.
///
/// # Errors
/// What it got is no time.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    deserializer.deserialize_str(Time)
}

struct Time;

impl Visitor<'_> for Time {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as 2030-01-15T10:00:00Z")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(|_| E::custom(NOT_A_TIME))
    }
}

/// The same for a time that may be missing; null is none.
pub mod option {
    use std::fmt;

    use jiff::Timestamp;
    use serde::{
        Deserializer, Serializer,
        de::{Error, Visitor},
    };

    /// Writes a time or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match at {
            Some(at) => serializer.serialize_some(&super::text(*at)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads a time or null.
    ///
    /// # Errors
    /// What it got is neither.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        deserializer.deserialize_option(Maybe)
    }

    struct Maybe;

    impl<'de> Visitor<'de> for Maybe {
        type Value = Option<Timestamp>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a time such as 2030-01-15T10:00:00Z, or null")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            super::deserialize(deserializer).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Times {
        #[serde(with = "super")]
        at: Timestamp,
        #[serde(default, with = "super::option")]
        due: Option<Timestamp>,
    }

    fn written(json: &str) -> String {
        serde_json::to_string(&serde_json::from_str::<Times>(json).unwrap()).unwrap()
    }

    #[test]
    fn times_have_three_decimals_whatever_came_in() {
        let at = r#"{"at":"2026-11-24T18:53:56.780Z","due":null}"#;
        assert_eq!(written(r#"{"at":"2026-11-24T18:53:56.78Z"}"#), at);
        assert_eq!(written(r#"{"at":"2026-11-24T18:53:56.780999999Z","due":null}"#), at);
        assert_eq!(
            written(r#"{"at":"2026-11-24T15:53:56-03:00","due":"2026-11-24T18:53:56Z"}"#),
            r#"{"at":"2026-11-24T18:53:56.000Z","due":"2026-11-24T18:53:56.000Z"}"#
        );
    }

    #[test]
    fn what_is_no_time_is_told_without_a_parsers_words() {
        for at in ["garbage", "", "12026-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            let error = serde_json::from_str::<Times>(&format!(r#"{{"at":"{at}"}}"#)).unwrap_err().to_string();
            assert!(error.starts_with(NOT_A_TIME), "{error}");
        }
    }
}
