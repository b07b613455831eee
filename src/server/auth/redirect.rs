//! Redirect URIs: which one a client may be sent back to, and the address with its answer. Compares strings and never normalises.

/// True where a registered URI covers the one asked for: the same string, or on a loopback IP literal the same but for the port (RFC 8252 §7.3).
pub(super) fn covers(registered: &str, asked: &str) -> bool {
    registered == asked
        || matches!((loopback(registered), loopback(asked)), (Some(registered), Some(asked)) if registered == asked)
}

/// Host and what follows the port of an http URI on a loopback IP literal; a name such as `localhost` may lead anywhere.
fn loopback(uri: &str) -> Option<(&str, &str)> {
    let authority = uri.strip_prefix("http://")?;
    let host = ["127.0.0.1", "[::1]"].into_iter().find(|host| authority.starts_with(host))?;
    let rest = &authority[host.len()..];
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(after) => {
            let digits = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            after[..digits].parse::<u16>().ok().filter(|port| *port > 0)?;
            &after[digits..]
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

/// The URI with an answer in its query.
pub(super) fn with_answer<'a>(uri: &str, answer: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(answer).finish();
    let joint = if uri.contains('?') { '&' } else { '?' };
    format!("{uri}{joint}{query}")
}

/// A text within a path or a query, for readers that take `+` for itself and not for a blank.
pub(in crate::server) fn percent_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a7_any_port_of_a_loopback_ip_literal_and_nothing_else() {
        for asked in ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"] {
            assert!(covers("http://127.0.0.1/cb", asked), "{asked}");
            assert!(covers("http://127.0.0.1:8000/cb", asked), "{asked}");
        }
        assert!(covers("http://[::1]/cb", "http://[::1]:49152/cb"));
        assert!(covers("https://app.example.org/cb", "https://app.example.org/cb"));
        for asked in [
            "http://127.0.0.1:0/cb",
            "http://127.0.0.1:65536/cb",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:80:80/cb",
            "http://127.0.0.1:8000/cb/",
            "http://127.0.0.1:8000/cb?x=1",
            "http://127.0.0.1:8000/cb#f",
            "http://127.0.0.1:8000/a/..;/cb",
            "http://127.0.0.1:8000@evil.test/cb",
            "http://127.0.0.1@evil.test/cb",
            "http://127.0.0.1.evil.test/cb",
            "http://127.0.0.2/cb",
            "http://localhost/cb",
            "http://localhost.evil.test/cb",
            "https://127.0.0.1/cb",
            "HTTP://127.0.0.1/cb",
            "http://[::1]/cb",
            "http://a@127.0.0.1/cb",
            "http://127.0.0.1\\@evil.test/cb",
        ] {
            assert!(!covers("http://127.0.0.1/cb", asked), "{asked}");
        }
        assert!(!covers("http://localhost/cb", "http://localhost:8000/cb"));
        assert!(!covers("https://app.example.org/cb", "https://app.example.org:8443/cb"));
    }

    #[test]
    fn an_answer_joins_what_the_uri_has_already() {
        assert_eq!(with_answer("https://h/cb", [("code", "a&b")]), "https://h/cb?code=a%26b");
        assert_eq!(with_answer("https://h/cb?x=1", [("state", "é")]), "https://h/cb?x=1&state=%C3%A9");
        assert_eq!(with_answer("org.example.app:/cb", [("code", "c")]), "org.example.app:/cb?code=c");
    }
}
