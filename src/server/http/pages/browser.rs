//! The browser behind a request: its language, its cookies, who is signed in there, and the proof that a form was made for it.
//! No page answers a form without that proof.

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use axum::{
    body::Body,
    extract::FromRequestParts,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};

use super::{
    Halt, PageKey,
    next::Next,
    reply,
    views::{Frame, Who},
    words::{Language, Words},
};
use crate::server::{
    auth::{secrets::Secret, throttle::Source},
    http::{
        AppState,
        error::ApiError,
        extract::{Peer, read_form},
    },
    ports::{Session, User},
};

/// Holds the sign-in of the pages.
const SESSION: &str = "medreq-session";

/// Holds what forms are bound to, also before a sign-in.
const FORM: &str = "medreq-form";

/// A cookie of ours is shorter than this.
const COOKIE_MAX: usize = 128;

/// Who sends a request to a page, as far as the request tells.
pub(super) struct Visitor {
    /// Their language.
    pub(super) w: &'static Words,
    /// Where from, for the throttle.
    pub(super) source: Source,
    /// Their browser, as its owner recognises it.
    pub(super) device: String,
    /// Who is signed in there, maybe with a step still missing: see [`Visitor::settled`].
    pub(super) signed_in: Option<(Session, User)>,
    binding: String,
    binding_is_new: bool,
    secure: bool,
    key: PageKey,
}

impl FromRequestParts<AppState> for Visitor {
    type Rejection = Halt;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Halt> {
        let secure = state.auth.endpoints().starts_with("https://");
        let cookie = |name| cookie(&parts.headers, name, secure);
        let signed_in = match cookie(SESSION) {
            Some(secret) => state.auth.browser_session(secret).await?,
            None => None,
        };
        let binding = cookie(FORM).map(str::to_owned);
        Ok(Self {
            w: words(&parts.headers),
            source: Peer::of(&parts.extensions).source(),
            device: device(&parts.headers),
            signed_in,
            binding_is_new: binding.is_none(),
            binding: binding.unwrap_or_else(|| Secret::random().reveal().to_owned()),
            secure,
            key: state.pages().key(state).await?,
        })
    }
}

impl Visitor {
    /// What stands around a page of this visitor; signing out leads on to `next`.
    pub(super) fn frame(&self, next: &Next) -> Frame {
        let who = self
            .signed_in
            .as_ref()
            .map(|(_, user)| Who { username: user.username.to_string(), sign_out: next.after("/logout") });
        Frame { w: self.w, token: B64.encode(self.proof()), who }
    }

    /// A page for this visitor, with the cookie that its forms are bound to.
    pub(super) fn page(&self, status: StatusCode, page: &impl askama::Template, form_action: &str) -> Response {
        let mut response = reply::page(status, page, form_action);
        if self.binding_is_new {
            self.set(&mut response, FORM, &self.binding);
        }
        response
    }

    /// Takes a form that was made here for this browser.
    ///
    /// # Errors
    /// 403 where it came from elsewhere or lacks the proof; 408 and 413 as any form.
    pub(super) async fn form(&self, headers: &HeaderMap, body: Body) -> Result<Form, Halt> {
        let form = Form(read_form(body).await?);
        let token = B64.decode(form.get("token")).unwrap_or_default();
        if same_origin(headers)
            && !self.binding_is_new
            && verify_slices_are_equal(&token, self.proof().as_ref()).is_ok()
        {
            Ok(form)
        } else {
            Err(ApiError::forbidden("stale_form", "the form is not one that was made for this browser").into())
        }
    }

    /// Leaves the session's secret with the browser, until the browser is closed.
    pub(super) fn keep(&self, mut response: Response, secret: &Secret) -> Response {
        self.set(&mut response, SESSION, secret.reveal());
        response
    }

    /// Takes the session's secret from the browser.
    pub(super) fn forget(&self, mut response: Response) -> Response {
        self.set(&mut response, SESSION, "; Max-Age=0");
        response
    }

    /// Binds a form to the browser and to who is signed in there.
    fn proof(&self) -> hmac::Tag {
        let sid = self.signed_in.as_ref().map(|(session, _)| session.sid).unwrap_or_default();
        hmac::sign(&self.key, format!("form {} {sid}", self.binding).as_bytes())
    }

    fn set(&self, response: &mut Response, name: &str, value: &str) {
        let (prefix, secure) = if self.secure { ("__Host-", "; Secure") } else { ("", "") };
        let cookie = format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}");
        let cookie = HeaderValue::from_str(&cookie).expect("names and secrets are ASCII");
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}

/// The fields of a form. Of a field that comes twice the first counts.
pub(super) struct Form(Vec<u8>);

impl Form {
    /// A field as it was typed; empty where it is missing.
    pub(super) fn get(&self, name: &str) -> String {
        let found = form_urlencoded::parse(&self.0).find(|(key, _)| key == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    }
}

/// A form that anybody may send, as a query.
pub(super) async fn any_form(body: Body) -> Result<String, ApiError> {
    let body = read_form(body).await?;
    Ok(form_urlencoded::Serializer::new(String::new()).extend_pairs(form_urlencoded::parse(&body)).finish())
}

/// The texts in the reader's language.
pub(super) fn words(headers: &HeaderMap) -> &'static Words {
    Language::negotiate(headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok())).words()
}

/// A text within a query.
pub(super) fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// A cookie of ours. Over https it has the prefix that keeps other hosts of the domain and plain http from setting it.
fn cookie<'a>(headers: &'a HeaderMap, name: &str, secure: bool) -> Option<&'a str> {
    let prefix = if secure { "__Host-" } else { "" };
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.strip_prefix(prefix) == Some(name))?;
    let fits = (1..COOKIE_MAX).contains(&value.len())
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    fits.then_some(value)
}

/// A browser says where a form comes from; what says nothing is no browser.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text(HeaderName::from_static("sec-fetch-site")) {
        return site == "same-origin";
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        (Some(_), None) => false,
    }
}

/// A browser and its system, as their owner calls them, from what it says of itself.
fn device(headers: &HeaderMap) -> String {
    let agent = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let first =
        |names: &[(&str, &'static str)]| names.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    // Each says that it is also those below it.
    let browser = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("CriOS/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (browser, system) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => {
            let own: String = agent.chars().take(100).collect();
            if own.is_empty() { "?".to_owned() } else { own }
        }
    }
}

impl IntoResponse for Halt {
    fn into_response(self) -> Response {
        *self.0
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_form_from_another_site_is_refused() {
        assert!(same_origin(&headers(&[("sec-fetch-site", "same-origin")])));
        assert!(!same_origin(&headers(&[("sec-fetch-site", "cross-site"), ("origin", "http://h"), ("host", "h")])));
        assert!(same_origin(&headers(&[("origin", "http://127.0.0.1:8080"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "https://evil.test"), ("host", "127.0.0.1:8080")])));
        assert!(!same_origin(&headers(&[("origin", "null"), ("host", "127.0.0.1:8080")])));
        assert!(same_origin(&headers(&[("host", "127.0.0.1:8080")])));
    }

    #[test]
    fn over_https_only_a_cookie_that_no_other_host_can_set_counts() {
        let sent = headers(&[("cookie", "a=b; medreq-session=plain; __Host-medreq-session=hosted;x")]);
        assert_eq!(cookie(&sent, SESSION, true), Some("hosted"));
        assert_eq!(cookie(&sent, SESSION, false), Some("plain"));
        assert_eq!(cookie(&headers(&[("cookie", "medreq-session=")]), SESSION, false), None);
        assert_eq!(cookie(&headers(&[("cookie", "medreq-session=a b")]), SESSION, false), None);
        assert_eq!(cookie(&headers(&[("cookie", "xmedreq-session=a")]), SESSION, false), None);
    }

    #[test]
    fn a_browser_is_named_as_its_owner_calls_it() {
        let of = |agent: &str| device(&headers(&[("user-agent", agent)]));
        assert_eq!(
            of("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0 Safari/537.36"),
            "Chrome, Linux"
        );
        assert_eq!(
            of("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Safari/604.1"),
            "Safari, iPhone"
        );
        assert_eq!(of("Mozilla/5.0 (Windows NT 10.0) Chrome/150.0 Safari/537.36 Edg/150.0"), "Edge, Windows");
        assert_eq!(of("curl/8.0"), "curl/8.0");
        assert_eq!(device(&HeaderMap::new()), "?");
    }
}
