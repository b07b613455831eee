//! Where to go on after signing in: an address of these pages and nothing else, so that no link can lead astray.

use super::{browser::encoded, password::CHANGE};

/// Longest address to come back to, in bytes: an authorization request fits.
const NEXT_MAX: usize = 4_096;

/// Where somebody goes who came for nothing else.
pub(super) const HOME: &str = "/account";

/// The authorization endpoint.
pub(super) const AUTHORIZE: &str = "/oauth2/authorize";

/// The page of devices.
pub(super) const DEVICE: &str = "/device";

/// A path and query of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next(String);

impl Next {
    /// That of a `next` parameter in a query; home where there is none that is ours.
    pub(super) fn of_query(query: Option<&str>) -> Self {
        let given = form_urlencoded::parse(query.unwrap_or_default().as_bytes()).find(|(name, _)| name == "next");
        let ours = given.map(|(_, value)| value.into_owned()).filter(|target| is_ours(target));
        Self(ours.unwrap_or_else(|| HOME.to_owned()))
    }

    /// A page with its query.
    pub(super) fn to(path: &str, query: Option<&str>) -> Self {
        let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        Self(if is_ours(&target) { target } else { HOME.to_owned() })
    }

    /// The address.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The query of the authorization request that waits, if one does.
    pub(super) fn request(&self) -> Option<&str> {
        self.0.strip_prefix(AUTHORIZE)?.strip_prefix('?')
    }

    /// A page that comes back here afterwards.
    pub(super) fn after(&self, page: &str) -> String {
        if self.0 == HOME { page.to_owned() } else { format!("{page}?next={}", encoded(&self.0)) }
    }
}

fn is_ours(target: &str) -> bool {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let known = match path {
        AUTHORIZE => query.is_some(),
        DEVICE | HOME | CHANGE => true,
        _ => false,
    };
    known && target.len() <= NEXT_MAX && target.bytes().all(|b| b.is_ascii_graphic() && b != b'\\' && b != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(target: &str) -> String {
        Next::of_query(Some(&format!("x=1&next={}", encoded(target)))).0
    }

    #[test]
    fn only_our_own_pages_are_come_back_to() {
        for good in ["/oauth2/authorize?client_id=a&state=%20", "/device", "/device?user_code=BCDF-GHJK", "/account"] {
            assert_eq!(next(good), good);
        }
        let astray = [
            "",
            "https://evil.test/",
            "//evil.test",
            "/\\evil.test",
            "/oauth2/authorize",
            "/oauth2/token?x",
            "/device/../logout",
            "/device?x\r\nSet-Cookie:a=b",
            "/device#x",
            "/device?x\\",
            "/logout",
            "javascript:alert(1)",
        ];
        for bad in astray {
            assert_eq!(next(bad), HOME, "{bad}");
        }
        assert_eq!(next(&format!("/device?{}", "a".repeat(5_000))), HOME);
        assert_eq!(Next::of_query(None).as_str(), HOME);
    }

    #[test]
    fn the_way_back_survives_the_trip() {
        let target = Next::to(AUTHORIZE, Some("client_id=a&redirect_uri=http%3A%2F%2F127.0.0.1%2Fcb"));
        let login = target.after("/login");
        assert_eq!(Next::of_query(login.split_once('?').map(|(_, query)| query)), target);
        assert_eq!(Next::of_query(None).after("/login"), "/login");
    }
}
