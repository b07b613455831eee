//! How flags are read into types that cannot be wrong: codes from their lists, times as people say them.

use jiff::{
    SignedDuration, Timestamp, ZonedDateTime,
    civil::{Date, DateTime, Time},
};
use medreq::{client::ClientError, domain::ticket::Identifier};

/// A clap parser of one of the domain's lists: help and completions show the list.
macro_rules! code {
    ($type:ty) => {
        ::clap::builder::TypedValueParser::try_map(
            ::clap::builder::PossibleValuesParser::new(<$type>::ALL.iter().map(|code| code.as_str())),
            |text: String| text.parse::<$type>(),
        )
    };
}
pub(crate) use code;

/// An instant as people say it: which one it is, is known once the zone is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// With an offset.
    Instant(Timestamp),
    /// From now.
    FromNow(SignedDuration),
    /// A time of today.
    Today(Time),
    /// A date and a time.
    Local(DateTime),
}

/// Reads RFC 3339, a local date with or without a time, a time of today, or `+30m`, `-2h` from now.
pub(crate) fn when(text: &str) -> Result<When, String> {
    let text = text.trim();
    let refuse =
        || format!("{text:?} is no time; use 2026-11-25T14:30:00Z, \"2026-11-25 14:30\", 14:30 (today), +30m or -2h");
    if let Ok(instant) = text.parse() {
        return Ok(When::Instant(instant));
    }
    if text.starts_with(['+', '-']) {
        return text.parse().map(When::FromNow).map_err(|_| refuse());
    }
    if text.len() <= 8 {
        text.parse().map(When::Today).map_err(|_| refuse())
    } else if text.contains([' ', 'T', 't', ':']) {
        text.parse().map(When::Local).map_err(|_| refuse())
    } else {
        text.parse::<Date>().map(|date| When::Local(date.to_datetime(Time::midnight()))).map_err(|_| refuse())
    }
}

impl When {
    /// True where it depends on the zone.
    pub(crate) fn is_local(self) -> bool {
        matches!(self, Self::Today(_) | Self::Local(_))
    }

    /// The instant, as somebody says it at this time in this zone.
    pub(crate) fn instant(self, now: &ZonedDateTime) -> Result<Timestamp, String> {
        let civil = match self {
            Self::Instant(instant) => return Ok(instant),
            Self::FromNow(offset) => return now.timestamp().checked_add(offset).map_err(|error| error.to_string()),
            Self::Today(time) => now.date().to_datetime(time),
            Self::Local(civil) => civil,
        };
        // Where clocks go back the first of both, where they go forward the time that follows: as calendars do.
        let zoned = civil.to_zoned_datetime(now.time_zone().clone());
        zoned.map(|zoned| zoned.timestamp()).map_err(|error| error.to_string())
    }
}

/// How long a token lives: `10m`, `24h`, `90s`.
pub(crate) fn lifetime(text: &str) -> Result<SignedDuration, String> {
    let refuse = || format!("{text:?} is no length of time; use 10m, 90s or 24h");
    text.trim().parse::<SignedDuration>().ok().filter(SignedDuration::is_positive).ok_or_else(refuse)
}

/// `system=value`: the last `=` parts them, since a system is usually a URI.
pub(crate) fn identifier(text: &str) -> Result<Identifier, String> {
    match text.rsplit_once('=') {
        Some((system, value)) if !system.is_empty() && !value.is_empty() => {
            Ok(Identifier { system: system.to_owned(), value: value.to_owned() })
        }
        _ => Err(format!("{text:?} is no identifier; use SYSTEM=VALUE, such as https://his.example.org/orders=4711")),
    }
}

/// `None` where the server says that there is no such thing.
pub(crate) fn if_exists<T>(answer: Result<T, ClientError>) -> Result<Option<T>, ClientError> {
    match answer {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if error.problem().is_some_and(|problem| problem.status == 404) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_are_read_in_the_zone_that_is_given() {
        let now: ZonedDateTime = "2026-11-25T10:00:00-03:00[-03:00]".parse().unwrap();
        for (text, expected) in [
            ("2026-11-25T14:30:00Z", "2026-11-25T14:30:00Z"),
            ("2026-11-25 14:30", "2026-11-25T17:30:00Z"),
            ("2026-11-25T14:30", "2026-11-25T17:30:00Z"),
            ("2026-11-25", "2026-11-25T03:00:00Z"),
            ("14:30", "2026-11-25T17:30:00Z"),
            ("+30m", "2026-11-25T13:30:00Z"),
            ("-2h", "2026-11-25T11:00:00Z"),
        ] {
            assert_eq!(when(text).unwrap().instant(&now).unwrap(), expected.parse().unwrap(), "{text}");
        }
        for bad in ["", "soon", "30m", "25:00", "2026-13-01", "+soon"] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lifetimes_are_positive() {
        assert_eq!(lifetime("10m").unwrap(), SignedDuration::from_mins(10));
        assert!(lifetime("-10m").is_err() && lifetime("0s").is_err() && lifetime("long").is_err());
    }

    #[test]
    fn an_identifier_is_a_system_and_a_value() {
        let read = identifier("https://his.example.org/?a=b=4711").unwrap();
        assert_eq!((read.system.as_str(), read.value.as_str()), ("https://his.example.org/?a=b", "4711"));
        assert!(identifier("4711").is_err() && identifier("=1").is_err());
    }
}
