//! The pages as a browser meets them: what it sends, which cookies it keeps, where it is led.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use axum::{
    body::Body,
    http::{Request, header},
};

use super::browser::encoded;
use crate::{
    domain::reason::Role,
    server::{
        auth::{PublicUrl, accounts::Editor, clients::NewApp, users::NewUser},
        contract,
        http::testing::{Answer, TestApp},
        ports::User,
    },
};

mod account;
mod astray;
mod factor;
mod signing_in;

const PASSWORD: &str = "correct horse";
const CALLBACK: &str = "http://127.0.0.1:4711/cb";

/// Keeps cookies and follows forms, as browsers do.
pub(super) struct Browser<'a> {
    app: &'a TestApp,
    cookies: BTreeMap<String, String>,
    language: &'static str,
    /// The page that is shown, for its forms.
    page: String,
}

impl<'a> Browser<'a> {
    pub(super) fn new(app: &'a TestApp) -> Self {
        Self { app, cookies: BTreeMap::new(), language: "en", page: String::new() }
    }

    async fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: String) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("accept-language", self.language);
        if !self.cookies.is_empty() {
            let pairs: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
            request = request.header(header::COOKIE, pairs.join("; "));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.app.send(request.body(Body::from(body)).unwrap()).await;
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; Path=/; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        if answer.header("content-type").starts_with("text/html") {
            self.page = String::from_utf8(answer.bytes.clone()).unwrap();
            assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"));
            assert!(answer.header("content-security-policy").contains("default-src 'none'"));
            assert_eq!((answer.header("cache-control"), answer.header("x-frame-options")), ("no-store", "DENY"));
            assert!(!self.page.contains("<script"), "{}", self.page);
        }
        answer
    }

    pub(super) async fn open(&mut self, path: &str) -> Answer {
        self.send("GET", path, &[], String::new()).await
    }

    /// The proof in the forms of the page that is shown.
    fn token(&self) -> String {
        let after = self.page.split("name=\"token\" value=\"").nth(1).expect("a page with a form");
        after.split('"').next().unwrap().to_owned()
    }

    async fn submit(&mut self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = self.token();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("token", &token).extend_pairs(fields);
        self.send("POST", path, &[("sec-fetch-site", "same-origin")], body.finish()).await
    }

    async fn sign_in(&mut self, username: &str, next: &str) -> Answer {
        let login = if next.is_empty() { "/login".to_owned() } else { format!("/login?next={}", encoded(next)) };
        self.open(&login).await;
        self.submit(&login, &[("username", username), ("password", PASSWORD)]).await
    }

    #[track_caller]
    pub(super) fn sees(&self, text: &str) {
        assert!(self.page.contains(text), "{text:?} is not on the page:\n{}", self.page);
    }
}

/// Where an answer leads.
#[track_caller]
fn leads_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", String::from_utf8_lossy(&answer.bytes));
    answer.header("location")
}

/// A parameter of an address.
fn parameter(address: &str, name: &str) -> Option<String> {
    let query = address.split_once('?')?.1;
    form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// A form from a program, which needs no proof.
async fn post(app: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    let request = Request::builder().method("POST").uri(path);
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    app.send(request.body(Body::from(body)).unwrap()).await
}

/// Somebody with a password.
async fn person(app: &TestApp, username: &str, must_change_password: bool) -> User {
    let new = NewUser {
        username: contract::code(username),
        name: format!("{username} <b>Souza</b>"),
        roles: [Role::Nurse].into(),
        wards: [contract::code("UTI")].into(),
        pharmacies: Default::default(),
        password: Some(PASSWORD.to_owned()),
        must_change_password,
    };
    app.state.auth.create_user(new, &Editor::on_server()).await.unwrap()
}

/// Somebody else's app.
async fn register(app: &TestApp, client_id: &str, name: &str) {
    let redirect_uris = vec![CALLBACK.into()];
    let new = NewApp { client_id: client_id.into(), name: name.into(), redirect_uris, ..NewApp::default() };
    app.state.auth.create_app(new, &Editor::on_server()).await.unwrap();
}

fn authorize(client_id: &str, more: &str) -> String {
    format!(
        "/oauth2/authorize?response_type=code&client_id={client_id}&redirect_uri={}&scope=openid+tickets%3Aread&state=s%26t\
         &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256{more}",
        encoded(CALLBACK)
    )
}
