//! The headers of writes: idempotency key, If-Match, Prefer; and the entity tags of tickets. Malformed ones are refused, never ignored.

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{AppState, error::ApiError};
use crate::{api::IDEMPOTENCY_KEY, domain::ticket::Version, server::app::tickets::Sending};

const KEY_MAX: usize = 255;

/// How long a write waits for its outcome where the caller does not say.
const WAIT_DEFAULT: Duration = Duration::from_secs(5);

const WAIT_MAX_SECONDS: u64 = 60;

/// The headers of a write without a version, as documented.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation only; `Write` reads them")]
pub(super) struct WriteHeaders {
    /// A key of your choice, new for each new request: a retry with the same key and body is answered as the first time.
    #[serde(rename = "Idempotency-Key")]
    #[param(min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "7f9c24e8-3b12-4fef-91b0-d1a3f0c1a8d1")]
    idempotency_key: String,
    /// `wait=N`: wait at most N seconds (0 to 60) for the outcome; 5 where left out. After that: 202.
    #[serde(rename = "Prefer")]
    #[param(example = "wait=10")]
    prefer: Option<String>,
}

/// The version that a change is based on, as documented.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "documentation only; `Write` reads it")]
pub(super) struct VersionHeader {
    /// The version that the change is based on, quoted, as the ETag gave it. Without it: 428.
    #[serde(rename = "If-Match")]
    #[param(example = "\"1\"", pattern = "^\"[0-9]{1,18}\"$")]
    if_match: Option<String>,
}

/// The headers of a write.
#[derive(Debug)]
pub(super) struct Write(pub(super) Sending);

impl FromRequestParts<AppState> for Write {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        let headers = &parts.headers;
        Ok(Self(Sending {
            key: idempotency_key(headers)?,
            expected: if_match(headers)?,
            wait: preferred_wait(headers)?.unwrap_or(WAIT_DEFAULT),
        }))
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, ApiError> {
    let refused = |detail| ApiError::bad_request("idempotency_key_required", "Idempotency-Key", detail);
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (None, _) => Err(refused("send an Idempotency-Key of your choice, so that a retry is safe")),
        (Some(key), None) => visible_ascii(key)
            .ok_or_else(|| refused("an Idempotency-Key is 1 to 255 visible ASCII characters without blanks")),
        (Some(_), Some(_)) => Err(refused("send one Idempotency-Key, not several")),
    }
}

/// The key of a write that may go without one.
pub(super) fn optional_key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    headers.contains_key(IDEMPOTENCY_KEY).then(|| idempotency_key(headers)).transpose()
}

fn visible_ascii(value: &HeaderValue) -> Option<String> {
    let bytes = value.as_bytes();
    let fits = (1..=KEY_MAX).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    fits.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn if_match(headers: &HeaderMap) -> Result<Option<Version>, ApiError> {
    let malformed = || {
        let detail = "If-Match is one version in double quotes, such as \"1\"";
        ApiError::bad_request("invalid_if_match", "If-Match", detail)
    };
    let mut values = headers.get_all(header::IF_MATCH).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(version_of).map(Some).ok_or_else(malformed),
        (Some(_), Some(_)) => Err(malformed()),
    }
}

fn version_of(tag: &str) -> Option<Version> {
    let digits = tag.trim().strip_prefix('"')?.strip_suffix('"')?;
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    if plain { digits.parse().ok().map(Version) } else { None }
}

fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, ApiError> {
    let mut wait = None;
    for value in headers.get_all("prefer") {
        let text = value.to_str().unwrap_or_default();
        // Other preferences may be ignored (RFC 7240 §2).
        for preference in text.split([',', ';']) {
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            if name.trim().eq_ignore_ascii_case("wait") {
                wait = Some(seconds(value.trim().trim_matches('"'))?);
            }
        }
    }
    Ok(wait)
}

fn seconds(text: &str) -> Result<Duration, ApiError> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seconds = if plain { text.parse::<u64>().ok() } else { None };
    seconds
        .filter(|seconds| *seconds <= WAIT_MAX_SECONDS)
        .map(Duration::from_secs)
        .ok_or_else(|| ApiError::bad_request("invalid_prefer", "Prefer", "Prefer: wait=N takes 0 to 60 seconds"))
}

/// The entity tag of a version.
pub(super) fn etag(version: Version) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).expect("digits and quotes are a header value")
}

/// True where the caller has this version already.
pub(super) fn none_match(headers: &HeaderMap, version: Version) -> bool {
    let tags = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(',')).map(str::trim).any(|tag| {
        // Comparison is weak here (RFC 9110 §13.1.2).
        tag == "*" || version_of(tag.strip_prefix("W/").unwrap_or(tag)) == Some(version)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn with(name: &'static str, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_version_is_one_strong_quoted_number() {
        assert_eq!(if_match(&with("if-match", &["\"12\""])).unwrap(), Some(Version(12)));
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        for bad in ["1", "*", "W/\"1\"", "\"\"", "\"+1\"", "\"1\", \"2\"", "\"99999999999999999999\""] {
            assert!(if_match(&with("if-match", &[bad])).is_err(), "{bad}");
        }
        assert!(if_match(&with("if-match", &["\"1\"", "\"2\""])).is_err());
    }

    #[test]
    fn a_key_is_visible_ascii_of_sane_length() {
        assert_eq!(idempotency_key(&with(IDEMPOTENCY_KEY, &["7f-~!"])).unwrap(), "7f-~!");
        assert!(idempotency_key(&with(IDEMPOTENCY_KEY, &[&"k".repeat(255)])).is_ok());
        for bad in [vec![], vec![""], vec!["a b"], vec!["a", "b"], vec![&*"k".repeat(256)]] {
            assert!(idempotency_key(&with(IDEMPOTENCY_KEY, &bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_wait_is_at_most_a_minute() {
        let wait = |text| preferred_wait(&with("prefer", &[text]));
        assert_eq!(wait("respond-async, wait=10").unwrap(), Some(Duration::from_secs(10)));
        assert_eq!(wait("wait=0").unwrap(), Some(Duration::ZERO));
        assert_eq!(wait("return=minimal").unwrap(), None);
        for bad in ["wait=61", "wait=-1", "wait=", "wait=soon"] {
            assert!(wait(bad).is_err(), "{bad}");
        }
    }
}
