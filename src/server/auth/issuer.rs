//! The public URL and the rules that make it fit to be an issuer. Never derived from a request's `Host`.

use std::net::IpAddr;

/// Why a URL cannot be the public URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    /// Neither http nor https with a host.
    #[error("{0:?} is not a URL such as https://medreq.example.org; give scheme, host and, where needed, port")]
    Malformed(String),
    /// Tokens would travel in clear.
    #[error("{0:?} is http and not a loopback address; use https")]
    NotHttps(String),
    /// The issuer is compared as a string.
    #[error("{0:?} has more than scheme, host and port; leave path, query, user and the trailing slash out")]
    MoreThanOrigin(String),
}

/// An origin: https, or http for loopback; no path, no trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for PublicUrl {
    type Err = InvalidPublicUrl;

    fn from_str(text: &str) -> Result<Self, InvalidPublicUrl> {
        let shown = || text.chars().take(200).collect::<String>();
        let malformed = || InvalidPublicUrl::Malformed(shown());
        let (scheme, authority) = text.split_once("://").ok_or_else(malformed)?;
        if authority.contains(['/', '?', '#', '@', '\\']) {
            return Err(InvalidPublicUrl::MoreThanOrigin(shown()));
        }
        let host = host_of(authority).ok_or_else(malformed)?;
        match scheme {
            "https" => Ok(Self(text.to_owned())),
            "http" if is_loopback(host) => Ok(Self(text.to_owned())),
            "http" => Err(InvalidPublicUrl::NotHttps(shown())),
            _ => Err(malformed()),
        }
    }
}

/// The host of `host`, `host:port` or `[v6]:port`, in lower case as browsers send it.
fn host_of(authority: &str) -> Option<&str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (v6, after) = rest.split_once(']')?;
            v6.parse::<std::net::Ipv6Addr>().ok()?;
            (v6, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port_fits = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0) && !port.starts_with('+'));
    let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':');
    (!host.is_empty() && port_fits && host.bytes().all(clean)).then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_and_anything_more_is_refused() {
        for good in [
            "https://medreq.example.org",
            "https://h:8443",
            "http://127.0.0.1:8080",
            "http://[::1]:1",
            "http://localhost",
        ] {
            assert_eq!(good.parse::<PublicUrl>().as_ref().map(PublicUrl::as_str), Ok(good));
        }
        let refused = [
            "",
            "medreq",
            "ftp://h",
            "https://",
            "https://h/",
            "https://h/path",
            "https://h?x",
            "https://u@h",
            "http://10.0.0.1",
            "http://localhost.evil.test",
            "http://127.0.0.1@evil.test",
            "https://h:0",
            "https://h:99999",
            "https://h:",
            "https://H",
            "https://a b",
        ];
        for bad in refused {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }
}
