//! What the pages say, in English and Brazilian Portuguese. A text that is missing in one language does not compile; no text is built elsewhere.

mod english;
mod portuguese;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use crate::server::auth::Scope;

/// Languages that staff read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server::http) enum Language {
    English,
    Portuguese,
}

impl Language {
    /// The first of ours in an `Accept-Language` header, by weight.
    pub(in crate::server::http) fn negotiate(header: Option<&str>) -> Self {
        let mut best = (0.0_f32, Self::English);
        for item in header.unwrap_or_default().split(',').take(20) {
            let mut parts = item.split(';');
            let tag = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
            let weight = parts.find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
            let language = match tag.split('-').next() {
                Some("pt") => Self::Portuguese,
                Some("en") => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }

    /// Its texts.
    pub(in crate::server::http) fn words(self) -> &'static Words {
        match self {
            Self::English => &english::WORDS,
            Self::Portuguese => &portuguese::WORDS,
        }
    }
}

macro_rules! words {
    ($($name:ident),* $(,)?) => {
        /// The texts of one language. `{}` in one stands for what the page puts there.
        #[derive(Debug)]
        pub(in crate::server::http) struct Words {
            /// For `<html lang>`.
            pub(super) lang: &'static str,
            /// How a moment is written.
            pub(super) moment: &'static str,
            /// What an app may do by each scope, as the end of "It may …".
            pub(super) scopes: fn(Scope) -> &'static str,
            $(pub(super) $name: &'static str,)*
        }

        #[cfg(test)]
        impl Words {
            /// Every plain text with its name.
            fn all(&self) -> Vec<(&'static str, &'static str)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }
    };
}

words! {
    fault, go_on, back, signed_in_as, not_you, seconds, minutes, at_least_8,
    username, name, password, new_password, repeat, current_password,
    bad_username, taken_username, bad_name, bad_password, differ, wrong_current,
    login, login_to, login_button, login_wrong, too_soon,
    change, change_must, change_intro, change_button,
    reset, reset_intro, reset_button, reset_done, reset_spent, reset_spent_next,
    setup, setup_intro, setup_button, setup_done, setup_done_next, setup_spent, setup_spent_next,
    consent, consent_asks, consent_goes, consent_own, consent_first, allow, deny,
    device, device_intro, user_code, device_unknown, device_sure, device_warn, device_app, device_on, device_from,
    device_asks, device_asked, device_yes, device_no, device_done, device_done_next, device_not, device_not_next, device_late,
    account, account_done_password, account_done_session, sessions, sessions_intro, this_one, browser,
    last_used, signed_in_since, end, end_all, end_all_hint, account_done_factor,
    factor, factor_intro, factor_lost, factor_code, factor_code_hint, factor_wrong, factor_on, factor_off,
    factor_set_up, factor_must, factor_begin, factor_scan, factor_qr, factor_key, factor_confirm, factor_confirm_button,
    factor_renew, factor_renew_intro, factor_renew_button, factor_remove, factor_remove_intro, factor_remove_button,
    codes, codes_done, codes_renewed, codes_intro, codes_once, codes_kept,

    oops_request, oops_request_next, oops_stale, oops_stale_next, oops_missing, oops_missing_next, oops_large, oops_large_next,
    oops_slow, oops_slow_next, oops_often, oops_often_next, oops_broken, oops_broken_next, oops_busy, oops_busy_next,
}

impl Words {
    /// A time to wait, rounded up.
    pub(super) fn wait(&self, wait: Duration) -> String {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let (text, count) = if seconds < 120 { (self.seconds, seconds) } else { (self.minutes, seconds.div_ceil(60)) };
        filled(text, &count.to_string())
    }

    /// A moment in the hospital's zone.
    pub(super) fn moment(&self, at: Timestamp, zone: &TimeZone) -> String {
        at.to_zoned_datetime(zone.clone()).strftime(self.moment).to_string()
    }

    /// What an app may do by the scopes that it asks for, in the order of [`Scope::ALL`].
    pub(super) fn scopes_of(&self, scope: &str) -> Vec<&'static str> {
        let asked = crate::server::auth::scopes::parse_claim(scope);
        Scope::ALL.iter().filter(|known| asked.contains(known)).map(|known| (self.scopes)(*known)).collect()
    }
}

/// A text with something put in its place.
pub(super) fn filled(text: &str, with: &str) -> String {
    text.replacen("{}", with, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_readers() {
        assert_eq!(Language::negotiate(Some("pt-BR,pt;q=0.9,en;q=0.8")), Language::Portuguese);
        assert_eq!(Language::negotiate(Some("de,en;q=0.5,pt;q=0.4")), Language::English);
        assert_eq!(Language::negotiate(Some("fr")), Language::English);
        assert_eq!(Language::negotiate(None), Language::English);
    }

    #[test]
    fn no_text_is_empty_and_both_languages_leave_room_for_the_same() {
        let (english, portuguese) = (Language::English.words(), Language::Portuguese.words());
        for ((name, one), (_, other)) in english.all().into_iter().zip(portuguese.all()) {
            assert!(!one.is_empty() && !other.is_empty(), "{name}");
            assert_eq!(one.matches("{}").count(), other.matches("{}").count(), "{name}");
        }
        for scope in Scope::ALL {
            assert_ne!((english.scopes)(*scope), (portuguese.scopes)(*scope), "{scope}");
        }
    }

    #[test]
    fn waits_and_moments_are_told_as_people_say_them() {
        let (english, portuguese) = (Language::English.words(), Language::Portuguese.words());
        assert_eq!(english.wait(Duration::from_millis(1_200)), "2 s");
        assert_eq!(portuguese.wait(Duration::from_secs(300)), "5 min");
        let at: Timestamp = "2026-01-31T22:05:00Z".parse().expect("a timestamp");
        assert_eq!(english.moment(at, &TimeZone::UTC), "2026-01-31 22:05");
        assert_eq!(portuguese.moment(at, &TimeZone::UTC), "31/01/2026 22:05");
    }
}
