//! Machines at which people and apps sign in: a browser on the real pages, and an app's requests around its tokens. Runs no script: the pages
//! need none.

use reqwest::Url;
use serde_json::{Value, json};

use super::{Answer, Call, Server};

/// The password of everybody in the tests.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Where apps are answered: nobody listens there, the test reads the address.
pub(crate) const REDIRECT: &str = "http://127.0.0.1:49152/cb";

/// All that an app of a nurse asks for.
const SCOPE: &str = "openid profile offline_access tickets:read tickets:write";

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Pairs as a form or query.
fn form(fields: &[(&str, &str)]) -> String {
    let mut form = Url::parse("form:").unwrap();
    form.query_pairs_mut().extend_pairs(fields);
    form.query().unwrap_or_default().to_owned()
}

/// A machine that reaches a server.
#[derive(Clone)]
pub(crate) struct Machine {
    /// The server.
    pub(crate) url: String,
    /// Its address, as a trusted proxy tells it; else this machine's own.
    address: Option<String>,
}

impl Machine {
    /// This machine.
    pub(crate) fn here(url: &str) -> Self {
        Self { url: url.to_owned(), address: None }
    }

    /// One at another address, where the server trusts this machine as its proxy.
    pub(crate) fn at(url: &str, address: impl Into<String>) -> Self {
        Self { url: url.to_owned(), address: Some(address.into()) }
    }

    /// A request.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str) -> Call {
        let call = Call::new(&self.url, token, method, path);
        self.address.iter().fold(call, |call, address| call.header("x-forwarded-for", address))
    }

    /// A form to an endpoint that is no page.
    pub(crate) fn post(&self, path: &str, fields: &[(&str, &str)]) -> Call {
        self.call("", "POST", path).body("application/x-www-form-urlencoded", form(fields))
    }

    /// An app fetches the tokens for its code.
    pub(crate) fn redeem(&self, app: &str, code: &str) -> Call {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", app),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post("/oauth2/token", &fields)
    }

    /// An app renews its tokens.
    pub(crate) fn refresh(&self, app: &str, token: &str) -> Call {
        let fields = [("grant_type", "refresh_token"), ("client_id", app), ("refresh_token", token)];
        self.post("/oauth2/token", &fields)
    }

    /// A device asks whether somebody has decided about it.
    pub(crate) fn poll(&self, app: &str, device_code: &str) -> Call {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.post("/oauth2/token", &[("grant_type", grant), ("client_id", app), ("device_code", device_code)])
    }

    /// The tokens of somebody who signs in to an app in a new browser.
    pub(crate) fn tokens(&self, app: &str, username: &str) -> Value {
        let code = Browser::signed_in(self, username).code(app);
        self.redeem(app, &code).send().expect(200)
    }
}

/// A browser: keeps cookies, sends forms as the page gave them.
pub(crate) struct Browser {
    /// Where it runs.
    pub(crate) machine: Machine,
    /// Names and values.
    pub(crate) cookies: Vec<(String, String)>,
}

impl Browser {
    /// A new one.
    pub(crate) fn new(machine: &Machine) -> Self {
        Self { machine: machine.clone(), cookies: Vec::new() }
    }

    /// One in which somebody is signed in.
    pub(crate) fn signed_in(machine: &Machine, username: &str) -> Self {
        let mut browser = Self::new(machine);
        let signed_in = browser.sign_in(username, PASSWORD);
        assert_eq!(signed_in.status, 303, "{username}: {}", String::from_utf8_lossy(&signed_in.bytes));
        browser
    }

    /// Sends the form of the login page.
    pub(crate) fn sign_in(&mut self, username: &str, password: &str) -> Answer {
        self.submit("/login", "/login", &[("username", username), ("password", password)])
    }

    /// Says yes or no to a device.
    pub(crate) fn decide(&mut self, user_code: &str, decision: &str) {
        let page = format!("/device?user_code={user_code}");
        let decided = self.submit(&page, "/device", &[("user_code", user_code), ("decision", decision)]);
        assert_eq!(decided.status, 200, "{}", String::from_utf8_lossy(&decided.bytes));
    }

    /// A code for an app, to which its person says yes where they are asked.
    pub(crate) fn code(&mut self, app: &str) -> String {
        self.try_code(app).unwrap()
    }

    /// The same, where the connection may break.
    pub(crate) fn try_code(&mut self, app: &str) -> Result<String, String> {
        let page = request(app, REDIRECT);
        let mut answer = self.send("GET", &page, None)?;
        if answer.status == 200 {
            answer = self.answer(&answer, &page, &[("decision", "allow")])?;
        }
        let location = Url::parse(answer.header("location")).map_err(|_| format!("{page}: {}", answer.status))?;
        let code = location.query_pairs().find(|(name, _)| name == "code");
        code.map(|(_, code)| code.into_owned()).ok_or_else(|| location.to_string())
    }

    /// Opens a page and sends its form.
    pub(crate) fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        self.try_submit(page, action, fields).unwrap()
    }

    /// The same, where the connection may break.
    pub(crate) fn try_submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Result<Answer, String> {
        let shown = self.send("GET", page, None)?;
        self.answer(&shown, action, fields)
    }

    /// Sends the form of a page that is shown.
    pub(crate) fn answer(&mut self, shown: &Answer, action: &str, fields: &[(&str, &str)]) -> Result<Answer, String> {
        let html = String::from_utf8_lossy(&shown.bytes);
        let proof = html.split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
        let proof = proof.ok_or_else(|| format!("a page without a form: {} {html}", shown.status))?;
        let fields = [&[("token", proof)], fields].concat();
        self.send("POST", action, Some(form(&fields)))
    }

    /// Sends a request; an error where no answer came.
    pub(crate) fn send(&mut self, method: &str, path: &str, form: Option<String>) -> Result<Answer, String> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut call = self.machine.call("", method, path).header("cookie", &cookies.join("; "));
        if let Some(form) = form {
            call = call.header("origin", &self.machine.url).body("application/x-www-form-urlencoded", form);
        }
        let answer = call.try_send().map_err(|error| format!("{error:?}"))?;
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        Ok(answer)
    }
}

/// The address of an app's authorization request.
pub(crate) fn request(app: &str, redirect_uri: &str) -> String {
    let parameters = [
        ("response_type", "code"),
        ("client_id", app),
        ("redirect_uri", redirect_uri),
        ("scope", SCOPE),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    format!("/oauth2/authorize?{}", form(&parameters))
}

impl Server {
    /// Registers an app of somebody else, which is answered at [`REDIRECT`].
    pub(crate) fn register(&self, admin: &str, app: &str) {
        let body = json!({"client_id": app, "name": app, "redirect_uris": [REDIRECT, "https://app.example.org/cb"]});
        self.call(admin, "POST", "/auth/v1/clients").json(&body).send().expect(201);
    }

    /// Creates somebody who can sign in with [`PASSWORD`] at once.
    pub(crate) fn person(&self, admin: &str, username: &str, role: &str, wards: &[&str]) {
        let body =
            json!({"username": username, "name": username, "roles": [role], "wards": wards, "password": PASSWORD});
        let user = self.call(admin, "POST", "/auth/v1/users").json(&body).send().expect(201);
        let path =
            format!("/auth/v1/users/{}", form(&[("", user["username"].as_str().unwrap())]).trim_start_matches('='));
        self.call(admin, "PATCH", &path).json(&json!({"must_change_password": false})).send().expect(200);
    }
}
