//! The zone in which people at this terminal read and write times: the hospital's, wherever the machine stands. It is always named.

use jiff::{Timestamp, ZonedDateTime, tz::TimeZone};

/// A zone, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    zone: TimeZone,
    /// False for this machine's, where the server does not say the hospital's.
    pub(crate) of_site: bool,
}

impl Zone {
    /// The hospital's, by its name.
    pub(crate) fn of_site(name: &str) -> Option<Self> {
        TimeZone::get(name).ok().map(|zone| Self { zone, of_site: true })
    }

    /// This machine's.
    pub(crate) fn of_machine() -> Self {
        Self { zone: TimeZone::system(), of_site: false }
    }

    /// An instant to the minute, with the zone's abbreviation or offset.
    pub(crate) fn minute(&self, at: Timestamp) -> String {
        self.at(at).strftime("%Y-%m-%d %H:%M %Z").to_string()
    }

    /// The time of day, with the zone's abbreviation or offset.
    pub(crate) fn clock(&self, at: Timestamp) -> String {
        self.at(at).strftime("%H:%M:%S %Z").to_string()
    }

    /// Now, as clocks there show it.
    pub(crate) fn now(&self) -> ZonedDateTime {
        self.at(Timestamp::now())
    }

    fn at(&self, at: Timestamp) -> ZonedDateTime {
        at.to_zoned_datetime(self.zone.clone())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn times_are_those_of_the_hospital_and_name_their_zone() {
        let at: Timestamp = "2026-01-15T03:07:00Z".parse().unwrap();
        for (zone, minute) in [
            ("America/Sao_Paulo", "2026-01-15 00:07 -03"),
            ("America/New_York", "2026-01-14 22:07 EST"),
            ("UTC", "2026-01-15 03:07 UTC"),
        ] {
            assert_eq!(Zone::of_site(zone).unwrap().minute(at), minute);
        }
        assert_eq!(Zone::of_site("Asia/Kolkata").unwrap().clock(at), "08:37:00 IST");
        assert!(Zone::of_site("Sao Paulo").is_none());
    }
}
