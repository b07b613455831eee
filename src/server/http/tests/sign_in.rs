//! Codes, refresh tokens, devices and sessions as apps meet them, by the bug reports that named them (A1 to A11). The pages are tested elsewhere.

use std::{collections::BTreeSet, time::Instant};

use axum::{body::Body, http::Request};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::server::{
    auth::{
        Scope,
        accounts::Editor,
        authorize::{AuthorizationRequest, AuthorizeError, PageError},
        clients::{ClientPatch, NewApp, NewServiceAccount, Sort},
        grants::TokenRequest,
        users::UserPatch,
    },
    http::testing::{Answer, TestApp},
    ports::Session,
};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const REDIRECT: &str = "http://127.0.0.1:49152/callback";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
const EVERYTHING: &str = "openid profile offline_access tickets:read tickets:write";

/// The application with two registered apps, and what their browsers do.
struct Apps(TestApp);

impl Apps {
    async fn new() -> Self {
        let app = TestApp::new().await;
        for client_id in ["nurse-app", "other-app"] {
            let new = NewApp {
                client_id: client_id.into(),
                name: client_id.into(),
                redirect_uris: vec!["http://127.0.0.1/callback".into(), "https://app.example.org/cb".into()],
                ..NewApp::default()
            };
            app.state.auth.create_app(new, &Editor::on_server()).await.unwrap();
        }
        Self(app)
    }

    async fn browser(&self, who: &str) -> Session {
        let user = self.0.state.auth.user(who).await.unwrap();
        self.0.state.auth.open_browser_session(&user, &["pwd"], "Firefox on Linux", here()).await.unwrap().0
    }

    async fn ask(&self, changes: &[(&str, &str)]) -> Result<AuthorizationRequest, AuthorizeError> {
        self.0.state.auth.authorization_request(query(changes).as_bytes()).await
    }

    /// Where an app is told that it asked for the wrong thing.
    async fn refused(&self, changes: &[(&str, &str)]) -> String {
        match self.ask(changes).await {
            Err(AuthorizeError::Redirect { location, .. }) => location,
            other => panic!("{changes:?}: {other:?}"),
        }
    }

    /// A code for `nurse-app`.
    async fn code(&self, who: &str, scope: &str) -> String {
        let request = self.ask(&[("scope", scope)]).await.unwrap();
        let location = self.0.state.auth.grant_code(&request, &self.browser(who).await, "Tablet 3").await.unwrap();
        answered(&location, "code")
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = Request::builder().method("POST").uri(path);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.0.send(request.body(Body::from(form(fields))).unwrap()).await
    }

    async fn redeem(&self, client_id: &str, code: &str) -> Answer {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", VERIFIER),
        ];
        self.post("/oauth2/token", &fields).await
    }

    async fn refresh(&self, client_id: &str, token: &Value) -> Answer {
        let token = token.as_str().unwrap();
        let fields = [("grant_type", "refresh_token"), ("client_id", client_id), ("refresh_token", token)];
        self.post("/oauth2/token", &fields).await
    }

    async fn poll(&self, client_id: &str, device_code: &Value) -> Answer {
        let fields =
            [("grant_type", DEVICE_GRANT), ("client_id", client_id), ("device_code", device_code.as_str().unwrap())];
        self.post("/oauth2/token", &fields).await
    }

    /// The tokens of somebody who signed in to `nurse-app`.
    async fn tokens(&self, who: &str) -> Value {
        self.redeem("nurse-app", &self.code(who, EVERYTHING).await).await.expect(200)
    }

    async fn with(&self, token: &Value, method: &str, path: &str) -> Answer {
        let bearer = format!("Bearer {}", token.as_str().unwrap());
        self.0.call("", method, path, &[("authorization", &bearer)], Value::Null).await
    }

    /// A confidential client that may ask what a token is worth.
    async fn resource_server(&self) -> String {
        let new = NewServiceAccount {
            client_id: Some("gateway".into()),
            name: "Gateway".into(),
            scopes: [Scope::ReportsRead].into(),
            wards: None,
        };
        let (_, secret) = self.0.state.auth.create_service_account(new, &Editor::on_server()).await.unwrap();
        secret.reveal().to_owned()
    }

    async fn introspect(&self, secret: &str, token: &Value) -> Value {
        let token = token.as_str().unwrap();
        let fields = [("client_id", "gateway"), ("client_secret", secret), ("token", token)];
        self.post("/oauth2/introspect", &fields).await.expect(200)
    }

    /// Nothing of these tokens works any more.
    async fn all_dead(&self, tokens: &Value, why: &str) {
        let refused = self.with(&tokens["access_token"], "GET", "/v1/tickets").await;
        assert_eq!(refused.status, 401, "{why}");
        assert_eq!(
            self.refresh("nurse-app", &tokens["refresh_token"]).await.expect(400)["error"],
            "invalid_grant",
            "{why}"
        );
    }
}

fn here() -> crate::server::auth::throttle::Source {
    std::net::IpAddr::from([127, 0, 0, 1]).into()
}

/// An authorization request of `nurse-app` with some parameters changed; an empty one is left out.
fn query(changes: &[(&str, &str)]) -> String {
    let challenge = B64.encode(Sha256::digest(VERIFIER));
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", "nurse-app"),
        ("redirect_uri", REDIRECT),
        ("scope", EVERYTHING),
        ("state", "a state"),
        ("nonce", "n-1"),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    parameters.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    parameters.extend(changes);
    form(&parameters)
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// A parameter of the address that a browser is sent to.
fn answered(location: &str, name: &str) -> String {
    let (_, query) = location.split_once('?').unwrap();
    let found = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name);
    found.map(|(_, value)| value.into_owned()).unwrap_or_default()
}

fn claims(token: &Value) -> Value {
    let payload = token.as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&B64.decode(payload).unwrap()).unwrap()
}

// -------------------------------------------------------------------------------------------------------- asking

#[tokio::test]
async fn an_answer_carries_code_state_and_issuer() {
    let apps = Apps::new().await;
    let request = apps.ask(&[]).await.unwrap();
    assert_eq!((request.scope.as_str(), request.nonce.as_deref()), (EVERYTHING, Some("n-1")));
    let auth = &apps.0.state.auth;
    let location = auth.grant_code(&request, &apps.browser("ana").await, "").await.unwrap();
    assert!(location.starts_with(&format!("{REDIRECT}?code=")), "{location}");
    assert_eq!((answered(&location, "state"), answered(&location, "iss")), ("a state".into(), auth.issuer().into()));
    let refused = auth.refuse_code(&request, "access_denied");
    assert_eq!(answered(&refused, "error"), "access_denied");
    assert_eq!((answered(&refused, "state"), answered(&refused, "iss")), ("a state".into(), auth.issuer().into()));
}

#[tokio::test]
async fn a6_a_wrong_address_is_told_to_the_person_and_never_visited() {
    let apps = Apps::new().await;
    for uri in [
        "",
        "http://localhost:49152/callback",
        "http://localhost.evil.test/callback",
        "http://127.0.0.1:49152@evil.test/callback",
        "http://127.0.0.1@evil.test@127.0.0.1/callback",
        "http://127.0.0.1:49152/a/..;/callback",
        "http://127.0.0.1:49152/callback#f",
        "http://127.0.0.1:49152/callback?x=1",
        "https://app.example.org:8443/cb",
        "https://app.example.org/cb/",
        "https://app.example.org.evil.test/cb",
        "https://user@app.example.org/cb",
        "//app.example.org/cb",
        "javascript:alert(1)",
    ] {
        let refused = apps.ask(&[("redirect_uri", uri)]).await;
        assert!(matches!(refused, Err(AuthorizeError::Page(PageError::UnknownAddress))), "{uri}: {refused:?}");
    }
    let twice = format!("{}&redirect_uri=https://evil.test/", query(&[]));
    let refused = apps.0.state.auth.authorization_request(twice.as_bytes()).await;
    assert!(matches!(refused, Err(AuthorizeError::Page(PageError::UnknownAddress))), "{refused:?}");
    for client in ["", "nobody", "his"] {
        let refused = apps.ask(&[("client_id", client)]).await;
        assert!(matches!(refused, Err(AuthorizeError::Page(PageError::UnknownApp))), "{client}: {refused:?}");
    }
}

#[tokio::test]
async fn what_an_app_asked_wrong_is_told_to_the_app() {
    let apps = Apps::new().await;
    for (name, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("response_type", "", "invalid_request"),
        ("response_mode", "fragment", "invalid_request"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", "short", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("scope", "tickets:read unheard-of", "invalid_scope"),
        ("scope", "admin", "invalid_scope"),
        ("prompt", "none login", "invalid_request"),
        ("max_age", "-1", "invalid_request"),
        ("request", "e30.e30.", "request_not_supported"),
        ("request_uri", "https://evil.test/r", "request_uri_not_supported"),
    ] {
        let location = apps.refused(&[(name, value)]).await;
        assert!(location.starts_with(REDIRECT), "{location}");
        assert_eq!(answered(&location, "error"), error, "{name}={value}");
        assert_eq!(answered(&location, "state"), "a state");
        assert_eq!(answered(&location, "iss"), apps.0.state.auth.issuer());
    }
    let silent = apps.ask(&[("prompt", "none")]).await.unwrap();
    assert!(silent.silent && !silent.sign_in_anew);
}

// --------------------------------------------------------------------------------------------------------- codes

#[tokio::test]
async fn a_code_becomes_tokens_that_work() {
    let apps = Apps::new().await;
    let answer = apps.redeem("nurse-app", &apps.code("ana", EVERYTHING).await).await;
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("application/json", "no-store"));
    let tokens = answer.expect(200);
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_i64()), (Some("Bearer"), Some(1_800)));
    assert_eq!(tokens["scope"], EVERYTHING);
    let (access, id) = (claims(&tokens["access_token"]), claims(&tokens["id_token"]));
    assert_eq!((&id["aud"], &id["nonce"], &id["amr"]), (&json!("nurse-app"), &json!("n-1"), &json!(["pwd"])));
    assert_eq!((&id["sub"], &id["sid"], &id["iss"]), (&access["sub"], &access["sid"], &access["iss"]));
    assert_eq!((&id["preferred_username"], &id["name"]), (&json!("ana"), &json!("ana da Silva")));
    assert!(id["auth_time"].is_i64());

    let listed = apps.with(&tokens["access_token"], "GET", "/v1/tickets").await;
    assert_eq!(listed.status, 200);
    for method in ["GET", "POST"] {
        let person = apps.with(&tokens["access_token"], method, "/oauth2/userinfo").await.expect(200);
        assert_eq!((&person["sub"], &person["preferred_username"]), (&id["sub"], &json!("ana")));
    }
    let as_access = apps.with(&tokens["id_token"], "GET", "/v1/tickets").await;
    assert_eq!(as_access.status, 401, "an ID token opens no API");
}

#[tokio::test]
async fn an_app_gets_no_more_than_was_granted_and_a_person_no_more_than_their_roles_allow() {
    let apps = Apps::new().await;
    let plain = apps.redeem("nurse-app", &apps.code("otto", "tickets:read tickets:write").await).await.expect(200);
    assert!(plain.get("refresh_token").is_none() && plain.get("id_token").is_none());
    assert_eq!(plain["scope"], "tickets:read tickets:write", "as asked: some libraries insist on it");
    let me = apps.with(&plain["access_token"], "GET", "/auth/v1/me").await.expect(200);
    assert_eq!(me["scopes"], json!(["tickets:read"]), "an auditor writes no tickets");
    assert_eq!(apps.with(&plain["access_token"], "GET", "/oauth2/userinfo").await.status, 403);
}

#[tokio::test]
async fn a4_of_parallel_redemptions_one_wins_and_stays_signed_in() {
    let apps = Apps::new().await;
    let code = apps.code("ana", EVERYTHING).await;
    let answers = futures_util::future::join_all((0..20).map(|_| apps.redeem("nurse-app", &code))).await;
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), bad.len()), (1, 19));
    assert!(bad.iter().all(|answer| answer.json["error"] == "invalid_grant"));
    let again = apps.refresh("nurse-app", &good[0].json["refresh_token"]).await.expect(200);
    assert_eq!(apps.with(&again["access_token"], "GET", "/v1/tickets").await.status, 200);
}

#[tokio::test]
async fn a5_a_code_is_worth_nothing_to_another_app_and_its_theft_ends_the_session() {
    let apps = Apps::new().await;
    let code = apps.code("ana", EVERYTHING).await;
    assert_eq!(apps.redeem("other-app", &code).await.expect(400)["error"], "invalid_grant");
    let tokens = apps.redeem("nurse-app", &code).await.expect(200);
    assert_eq!(apps.refresh("other-app", &tokens["refresh_token"]).await.expect(400)["error"], "invalid_grant");
    assert_eq!(apps.with(&tokens["access_token"], "GET", "/v1/tickets").await.status, 200);
    assert_eq!(apps.redeem("other-app", &code).await.expect(400)["error"], "invalid_grant");
    apps.all_dead(&tokens, "the code was stolen").await;
}

#[tokio::test]
async fn a_code_needs_its_verifier_and_its_address() {
    let apps = Apps::new().await;
    let code = apps.code("ana", EVERYTHING).await;
    let other = "x".repeat(43);
    for (redirect_uri, verifier, error) in [
        (REDIRECT, other.as_str(), "invalid_grant"),
        ("http://127.0.0.1:1/callback", VERIFIER, "invalid_grant"),
        (REDIRECT, "", "invalid_request"),
        ("", VERIFIER, "invalid_request"),
    ] {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", "nurse-app"),
            ("code", &code),
            ("redirect_uri", redirect_uri),
            ("code_verifier", verifier),
        ];
        assert_eq!(apps.post("/oauth2/token", &fields).await.expect(400)["error"], error, "{redirect_uri} {verifier}");
    }
    apps.redeem("nurse-app", &code).await.expect(200);
}

// ------------------------------------------------------------------------------------------------------- refresh

#[tokio::test]
async fn a1_fifty_parallel_refreshes_have_one_successor() {
    let apps = Apps::new().await;
    let tokens = apps.tokens("ana").await;
    let answers =
        futures_util::future::join_all((0..50).map(|_| apps.refresh("nurse-app", &tokens["refresh_token"]))).await;
    let successors: BTreeSet<String> =
        answers.into_iter().map(|answer| answer.expect(200)["refresh_token"].as_str().unwrap().to_owned()).collect();
    assert_eq!(successors.len(), 1);
}

#[tokio::test]
async fn a2_a3_a_lost_answer_is_given_again_and_a_stolen_token_ends_the_session() {
    let apps = Apps::new().await;
    let first = apps.tokens("ana").await;
    let lost = apps.refresh("nurse-app", &first["refresh_token"]).await.expect(200);
    let second = apps.refresh("nurse-app", &first["refresh_token"]).await.expect(200);
    assert_eq!(lost["refresh_token"], second["refresh_token"]);
    assert_eq!(claims(&first["access_token"])["sid"], claims(&second["access_token"])["sid"]);
    let third = apps.refresh("nurse-app", &second["refresh_token"]).await.expect(200);
    assert_ne!(second["refresh_token"], third["refresh_token"]);
    // The successor was used: whoever comes with the first token now has stolen it.
    assert_eq!(apps.refresh("nurse-app", &first["refresh_token"]).await.expect(400)["error"], "invalid_grant");
    apps.all_dead(&third, "the first token was stolen").await;
}

#[tokio::test]
async fn what_an_app_had_before_it_was_locked_out_stays_dead() {
    let apps = Apps::new().await;
    let auth = &apps.0.state.auth;
    let (tokens, code, start) =
        (apps.tokens("ana").await, apps.code("ana", EVERYTHING).await, device(&apps, "nurse-app").await);
    let approve = async |start: &Value| {
        let user_code = start["user_code"].as_str().unwrap();
        auth.decide_device(user_code, true, &apps.browser("paulo").await, here()).await.unwrap();
    };
    approve(&start).await;
    for disabled in [true, false] {
        let patch = ClientPatch { disabled: Some(disabled), ..ClientPatch::default() };
        auth.patch_client("nurse-app", Sort::App, patch, &Editor::on_server()).await.unwrap();
    }
    apps.all_dead(&tokens, "the app was locked out meanwhile").await;
    assert_eq!(apps.redeem("nurse-app", &code).await.expect(400)["error"], "invalid_grant");
    assert_eq!(apps.poll("nurse-app", &start["device_code"]).await.expect(400)["error"], "invalid_grant");

    assert_eq!(apps.tokens("ana").await["token_type"], "Bearer", "what is granted since is good");
    let start = device(&apps, "nurse-app").await;
    approve(&start).await;
    assert_eq!(apps.poll("nurse-app", &start["device_code"]).await.expect(200)["token_type"], "Bearer");
}

#[tokio::test]
async fn a_refresh_may_narrow_the_scope_and_never_widen_it() {
    let apps = Apps::new().await;
    let tokens = apps.tokens("ana").await;
    let asked = |scope: &'static str| {
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let apps = &apps;
        async move {
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", "nurse-app"),
                ("refresh_token", &token),
                ("scope", scope),
            ];
            apps.post("/oauth2/token", &fields).await
        }
    };
    assert_eq!(asked("tickets:read reference:read").await.expect(400)["error"], "invalid_scope");
    let narrow = asked("tickets:read").await.expect(200);
    assert_eq!(narrow["scope"], "tickets:read");
    let full = apps.refresh("nurse-app", &narrow["refresh_token"]).await.expect(200);
    assert_eq!(full["scope"], EVERYTHING);
}

// ------------------------------------------------------------------------------------------------------- devices

async fn device(apps: &Apps, client_id: &str) -> Value {
    let fields = [("client_id", client_id), ("scope", "tickets:read offline_access"), ("device_name", "PC 2")];
    apps.post("/oauth2/device_authorization", &fields).await.expect(200)
}

#[tokio::test]
async fn a10_an_eager_device_is_slowed_down_and_still_let_in() {
    let apps = Apps::new().await;
    let start = device(&apps, "medreq-cli").await;
    let user_code = start["user_code"].as_str().unwrap();
    assert!(user_code.len() == 9 && start["verification_uri"].as_str().unwrap().ends_with("/device"));
    assert!(start["verification_uri_complete"].as_str().unwrap().ends_with(user_code));
    assert_eq!((start["expires_in"].as_i64(), start["interval"].as_i64()), (Some(300), Some(5)));
    for error in ["authorization_pending", "slow_down"] {
        assert_eq!(apps.poll("medreq-cli", &start["device_code"]).await.expect(400)["error"], error);
    }

    let auth = &apps.0.state.auth;
    let typed = user_code.to_lowercase().replace('-', " ");
    let waiting = auth.waiting_device(&typed, &apps.browser("paulo").await, here()).await.unwrap();
    assert_eq!((waiting.client_id.as_str(), waiting.device.as_str()), ("medreq-cli", "PC 2"));
    auth.decide_device(&typed, true, &apps.browser("paulo").await, here()).await.unwrap();
    assert!(auth.decide_device(&typed, false, &apps.browser("rita").await, here()).await.is_err(), "decided once");
    assert_eq!(apps.poll("other-app", &start["device_code"]).await.expect(400)["error"], "invalid_grant");

    let body = form(&[
        ("grant_type", DEVICE_GRANT),
        ("client_id", "medreq-cli"),
        ("device_code", start["device_code"].as_str().unwrap()),
    ]);
    let request = TokenRequest { body: body.as_bytes(), authorization: None, source: here() };
    let later = Timestamp::now() + SignedDuration::from_mins(1);
    let issued = auth.token_at(request, later).await.unwrap();
    let me = apps.with(&json!(issued.access_token), "GET", "/auth/v1/me").await.expect(200);
    assert_eq!((me["username"].as_str(), me["client_id"].as_str()), (Some("paulo"), Some("medreq-cli")));
    assert!(issued.refresh_token.is_some());
}

#[tokio::test]
async fn a_stranger_cannot_fill_the_audit_log_with_devices() {
    let apps = Apps::new().await;
    let fields = [("client_id", "medreq-cli"), ("scope", "tickets:read")];
    let (began, mut let_in) = (Instant::now(), 0);
    let refused = loop {
        let answer = apps.post("/oauth2/device_authorization", &fields).await;
        if answer.status != 200 {
            break answer;
        }
        let_in += 1;
        assert!(let_in <= 60 + began.elapsed().as_secs() / 10, "{let_in} at once, and one in each ten seconds");
    };
    assert!(let_in >= 60, "{let_in}");
    assert!((1..=10).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(refused.expect(429)["error"], "slow_down");
    assert_eq!(apps.poll("medreq-cli", &json!("nobody's")).await.status, 400, "whoever has a code goes on");
}

#[tokio::test]
async fn a_refused_device_is_told_and_guesses_are_slowed_down() {
    let apps = Apps::new().await;
    let start = device(&apps, "medreq-cli").await;
    let auth = &apps.0.state.auth;
    let user_code = start["user_code"].as_str().unwrap();
    auth.decide_device(user_code, false, &apps.browser("paulo").await, here()).await.unwrap();
    assert_eq!(apps.poll("medreq-cli", &start["device_code"]).await.expect(400)["error"], "access_denied");
    let (paulo, rita) = (apps.browser("paulo").await, apps.browser("rita").await);
    let waits = async |code: &str, who: &Session| auth.waiting_device(code, who, here()).await.unwrap_err().to_string();
    assert!(waits(user_code, &paulo).await.contains("no device waits"));
    let mut last = String::new();
    for _ in 0..10 {
        last = waits("BCDF-GHJK", &paulo).await;
    }
    assert!(last.contains("wait before"), "{last}");
    assert!(waits(user_code, &rita).await.contains("no device waits"), "another at the same address need not wait");
}

// ------------------------------------------------------------------------------------------- the end of what was issued

#[tokio::test]
async fn a11_disabling_a_new_password_and_a_sign_out_kill_what_was_issued() {
    let apps = Apps::new().await;
    let secret = apps.resource_server().await;
    let auth = &apps.0.state.auth;
    let by = Editor::on_server();
    for why in ["disabled", "password", "signed out everywhere", "session ended", "revoked"] {
        let user = auth.user("ana").await.unwrap();
        let (code, tokens) = (apps.code("ana", EVERYTHING).await, apps.tokens("ana").await);
        let known = apps.introspect(&secret, &tokens["access_token"]).await;
        assert_eq!((&known["active"], &known["username"]), (&json!(true), &json!("ana")), "{why}");
        assert_eq!((&known["client_id"], &known["token_type"]), (&json!("nurse-app"), &json!("Bearer")));
        assert_eq!(known["aud"], format!("{}/v1", auth.issuer()));
        let everything = !matches!(why, "session ended" | "revoked");
        match why {
            "disabled" => {
                let patch = |disabled| UserPatch { disabled: Some(disabled), ..UserPatch::default() };
                auth.patch_user("ana", patch(true), &by).await.unwrap();
                apps.all_dead(&tokens, why).await;
                auth.patch_user("ana", patch(false), &by).await.unwrap();
            }
            "password" => drop(auth.reset_password("ana", "another horse", &by).await.unwrap()),
            "signed out everywhere" => auth.end_all_sessions(&user, &by).await.unwrap(),
            "session ended" => {
                let sid = claims(&tokens["access_token"])["sid"].as_str().unwrap().parse().unwrap();
                auth.end_session(&user, sid, &by).await.unwrap();
            }
            _ => {
                let token = tokens["refresh_token"].as_str().unwrap();
                let fields = [("client_id", "nurse-app"), ("token", token), ("token_type_hint", "access_token")];
                assert_eq!(apps.post("/oauth2/revoke", &fields).await.status, 200);
            }
        }
        apps.all_dead(&tokens, why).await;
        assert_eq!(apps.introspect(&secret, &tokens["access_token"]).await, json!({ "active": false }), "{why}");
        let waiting = apps.redeem("nurse-app", &code).await;
        assert_eq!(waiting.status.as_u16(), if everything { 400 } else { 200 }, "{why}: a code that waited");
    }
}

#[tokio::test]
async fn only_its_own_client_revokes_a_token_and_only_a_known_one_looks_at_it() {
    let apps = Apps::new().await;
    let tokens = apps.tokens("ana").await;
    let access = tokens["access_token"].as_str().unwrap();
    let revoked = |client_id: &'static str, token: &str| {
        let token = token.to_owned();
        let apps = &apps;
        async move { apps.post("/oauth2/revoke", &[("client_id", client_id), ("token", &token)]).await }
    };
    assert_eq!(revoked("other-app", access).await.expect(400)["error"], "unauthorized_client");
    assert_eq!(apps.with(&tokens["access_token"], "GET", "/v1/tickets").await.status, 200);
    for unknown in ["nonsense", "a.b.c", "…"] {
        assert_eq!(revoked("nurse-app", unknown).await.status, 200);
    }
    assert_eq!(revoked("nobody", access).await.expect(401)["error"], "invalid_client");
    let stranger = apps.post("/oauth2/introspect", &[("client_id", "nurse-app"), ("token", access)]).await;
    assert_eq!(stranger.expect(401)["error"], "invalid_client");
    let secret = apps.resource_server().await;
    assert_eq!(apps.introspect(&secret, &tokens["refresh_token"]).await, json!({ "active": false }), "not its own");
    assert_eq!(revoked("nurse-app", access).await.status, 200);
    apps.all_dead(&tokens, "its access token was revoked").await;
}

// ------------------------------------------------------------------------------------------------------ sessions

#[tokio::test]
async fn everybody_sees_and_ends_their_own_sessions() {
    let apps = Apps::new().await;
    let ours = ClientPatch { first_party: Some(true), ..ClientPatch::default() };
    apps.0.state.auth.patch_client("nurse-app", Sort::App, ours, &Editor::on_server()).await.unwrap();
    let (phone, tablet) = (apps.tokens("bia").await, apps.tokens("bia").await);
    let list = apps.with(&phone["access_token"], "GET", "/auth/v1/me/sessions").await.expect(200);
    let sessions = list["items"].as_array().unwrap();
    assert_eq!(
        (sessions.len(), list["total"].as_u64()),
        (4, Some(4)),
        "two apps, and the browsers they were opened in"
    );
    let of = |tokens: &Value| claims(&tokens["access_token"])["sid"].as_str().unwrap().to_owned();
    let current: Vec<&Value> = sessions.iter().filter(|session| session["current"] == true).collect();
    assert_eq!((current.len(), &current[0]["sid"]), (1, &json!(of(&phone))));
    assert_eq!((&current[0]["client_id"], &current[0]["device"]), (&json!("nurse-app"), &json!("Tablet 3")));

    let stranger = apps.tokens("ana").await;
    let path = format!("/auth/v1/me/sessions/{}", of(&tablet));
    assert_eq!(apps.with(&stranger["access_token"], "DELETE", &path).await.refusal(), (404, "session_not_found"));
    assert_eq!(apps.with(&phone["access_token"], "DELETE", &path).await.status, 204);
    apps.all_dead(&tablet, "ended").await;
    assert_eq!(apps.with(&phone["access_token"], "DELETE", "/auth/v1/me/sessions").await.status, 204);
    apps.all_dead(&phone, "all ended").await;
}

#[tokio::test]
async fn anothers_app_sees_and_ends_its_own_session_only() {
    let apps = Apps::new().await;
    let (tokens, elsewhere) = (apps.tokens("bia").await, apps.tokens("bia").await);
    let sid = |tokens: &Value| claims(&tokens["access_token"])["sid"].clone();
    let path = |sid: &Value| format!("/auth/v1/me/sessions/{}", sid.as_str().unwrap());
    let list = apps.with(&tokens["access_token"], "GET", "/auth/v1/me/sessions").await.expect(200);
    assert_eq!((&list["total"], &list["items"][0]["sid"]), (&json!(1), &sid(&tokens)));
    let refused = apps.with(&tokens["access_token"], "DELETE", "/auth/v1/me/sessions").await;
    assert_eq!(refused.refusal(), (403, "not_our_app"));
    let refused = apps.with(&tokens["access_token"], "DELETE", &path(&sid(&elsewhere))).await;
    assert_eq!(refused.refusal(), (404, "session_not_found"));
    assert_eq!(apps.with(&elsewhere["access_token"], "GET", "/v1/tickets").await.status, 200);
    assert_eq!(apps.with(&tokens["access_token"], "DELETE", &path(&sid(&tokens))).await.status, 204);
    apps.all_dead(&tokens, "ended by its app").await;
}

#[tokio::test]
async fn an_administrator_ends_sessions_of_others_and_a_service_has_none() {
    let apps = Apps::new().await;
    let tokens = apps.tokens("bia").await;
    let sid = claims(&tokens["access_token"])["sid"].as_str().unwrap().to_owned();
    let list = apps.0.get("ada", "/auth/v1/users/bia/sessions").await.expect(200);
    assert!(list["items"].as_array().unwrap().iter().any(|session| session["sid"] == sid));
    let path = format!("/auth/v1/users/bia/sessions/{sid}");
    assert_eq!(apps.0.call("ada", "DELETE", &path, &[], Value::Null).await.status, 204);
    apps.all_dead(&tokens, "ended by an administrator").await;
    let tokens = apps.tokens("bia").await;
    assert_eq!(apps.0.call("ada", "DELETE", "/auth/v1/users/bia/sessions", &[], Value::Null).await.status, 204);
    apps.all_dead(&tokens, "all ended by an administrator").await;
    assert_eq!(apps.0.get("his", "/auth/v1/me/sessions").await.refusal(), (403, "not_a_user"));
    let acting = [("x-on-behalf-of", "bia")];
    let acting = apps.0.call("his", "DELETE", "/auth/v1/me/sessions", &acting, Value::Null).await;
    assert_eq!(acting.refusal(), (403, "not_a_user"));
}

#[tokio::test]
async fn an_app_in_a_browser_may_ask_from_its_own_origin() {
    let apps = Apps::new().await;
    let asks = [("origin", "https://app.example.org"), ("access-control-request-method", "POST")];
    let before = apps.0.call("", "OPTIONS", "/oauth2/token", &asks, Value::Null).await;
    assert_eq!(before.header("access-control-allow-origin"), "*");
    assert!(before.header("access-control-allow-methods").contains("POST"));
    assert_eq!(before.header("access-control-allow-credentials"), "");
    let secret = apps.0.call("", "OPTIONS", "/oauth2/introspect", &asks, Value::Null).await;
    assert_eq!(secret.header("access-control-allow-origin"), "", "a secret has no business in a browser");
}
