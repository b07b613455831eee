//! The token endpoint, the metadata and the first administrator's page, as a client or browser meets them.
#![expect(clippy::unwrap_used, reason = "tests")]

use axum::http::Request;

use super::*;
use crate::server::{
    auth::{Scope, accounts::Editor, clients::NewServiceAccount},
    http::testing::{Answer, TestApp},
};

const FORM: &str = "application/x-www-form-urlencoded";

async fn post(app: &TestApp, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method("POST").uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn service(app: &TestApp) -> String {
    let new = NewServiceAccount {
        client_id: Some("bridge".into()),
        name: "Bridge".into(),
        scopes: [Scope::TicketsRead].into(),
        wards: None,
    };
    let (_, secret) = app.state.auth.create_service_account(new, &Editor::on_server()).await.unwrap();
    secret.reveal().to_owned()
}

#[tokio::test]
async fn a_service_account_gets_a_token_that_works() {
    let app = TestApp::new().await;
    let secret = service(&app).await;
    let body = format!("grant_type=client_credentials&client_id=bridge&client_secret={secret}&scope=tickets:read");
    let answer = post(&app, "/oauth2/token", &[("content-type", FORM)], &body).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("content-type"), "application/json");
    let token = answer.expect(200);
    assert_eq!((token["token_type"].as_str(), token["expires_in"].as_i64()), (Some("Bearer"), Some(600)));
    assert_eq!(token["scope"], "tickets:read");
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let me = app.call("", "GET", "/auth/v1/me", &[("authorization", &bearer)], Value::Null).await.expect(200);
    assert_eq!((me["username"].as_str(), me["client_id"].as_str()), (Some("bridge"), Some("bridge")));
}

#[tokio::test]
async fn refusals_are_those_of_rfc_6749() {
    let app = TestApp::new().await;
    let wrong = post(
        &app,
        "/oauth2/token",
        &[("content-type", FORM), ("authorization", "Basic YTpi")],
        "grant_type=client_credentials",
    )
    .await;
    assert!(wrong.header("www-authenticate").starts_with("Basic "));
    assert_eq!(wrong.expect(401)["error"], "invalid_client");
    for (headers, body, status, error) in [
        (vec![("content-type", "application/json")], "{}", 400, "invalid_request"),
        (vec![], "grant_type=client_credentials", 400, "invalid_request"),
        (vec![("content-type", FORM)], "", 400, "invalid_request"),
        (vec![("content-type", FORM)], "grant_type=password", 400, "unsupported_grant_type"),
        (
            vec![("content-type", FORM), ("authorization", "Basic YTpi"), ("authorization", "Basic YTpi")],
            "grant_type=client_credentials",
            400,
            "invalid_request",
        ),
    ] {
        let answer = post(&app, "/oauth2/token", &headers, body).await;
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.expect(status)["error"], error, "{headers:?} {body}");
    }
    let huge = "x".repeat(3_000_000);
    let answer = post(&app, "/oauth2/token", &[("content-type", FORM)], &huge).await;
    assert_eq!(answer.expect(413)["error"], "invalid_request");
}

#[tokio::test]
async fn guessing_a_secret_is_told_to_wait() {
    let app = TestApp::new().await;
    let body = "grant_type=client_credentials&client_id=his&client_secret=wrong";
    let mut last = post(&app, "/oauth2/token", &[("content-type", FORM)], body).await;
    for _ in 0..8 {
        last = post(&app, "/oauth2/token", &[("content-type", FORM)], body).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
}

#[tokio::test]
async fn the_metadata_names_endpoints_that_answer() {
    let app = TestApp::new().await;
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
        let metadata = app.get("", path).await.expect(200);
        let issuer = metadata["issuer"].as_str().unwrap();
        let jwks = metadata["jwks_uri"].as_str().unwrap().strip_prefix(issuer).unwrap();
        let keys = app.get("", jwks).await.expect(200);
        assert_eq!(keys["keys"][0]["alg"], "ES256");
        for (name, answer) in [
            ("token_endpoint", 400),
            ("device_authorization_endpoint", 401),
            ("revocation_endpoint", 401),
            ("introspection_endpoint", 401),
        ] {
            let endpoint = metadata[name].as_str().unwrap().strip_prefix(issuer).unwrap();
            assert_eq!(post(&app, endpoint, &[("content-type", FORM)], "").await.status, answer, "{name}");
        }
    }
}

#[tokio::test]
async fn a_setup_link_is_spent_where_an_administrator_exists() {
    let app = TestApp::new().await;
    let page = app.call("", "GET", "/setup/anything", &[("accept-language", "pt-BR")], Value::Null).await;
    assert_eq!(page.status, 410);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "same-origin"));
    assert!(String::from_utf8(page.bytes).unwrap().contains("não é mais válido"));
    let form = "username=eve&name=Eve&password=correct+horse&repeat=correct+horse";
    let cross = post(&app, "/setup/anything", &[("content-type", FORM), ("sec-fetch-site", "cross-site")], form).await;
    assert_eq!(cross.status, 403);
    let late = post(&app, "/setup/anything", &[("content-type", FORM)], form).await;
    assert_eq!(late.status, 410);
}

#[tokio::test]
async fn the_first_administrator_is_made_on_the_page() {
    let app = TestApp::new().await;
    // A hospital without an administrator: past the rule that keeps the last one.
    let ada = app.state.auth.user("ada").await.unwrap();
    let entry = crate::server::ports::AuditEntry {
        at: ada.created_at,
        kind: "user".into(),
        action: "user_changed".into(),
        actor: None,
        subject: None,
        detail: Value::Null,
    };
    let gone = crate::server::ports::User { disabled: true, ..ada };
    app.state.identity.update_user(gone, 1, entry).await.unwrap();

    let link = app.state.auth.setup_link().await.unwrap().unwrap();
    let path = link.strip_prefix("http://127.0.0.1:8080").unwrap();
    let page = app.call("", "GET", path, &[], Value::Null).await;
    assert_eq!(page.status, 200);
    let html = String::from_utf8(page.bytes).unwrap();
    assert!(html.contains("<form method=post>") && !html.contains("<script"));

    let browser = [("content-type", FORM), ("sec-fetch-site", "same-origin")];
    let form = |password: &str, repeat: &str| format!("username=Root&name=R%26D&password={password}&repeat={repeat}");
    for (form, told) in [(form("correct+horse", "other+horse"), "differ"), (form("short", "short"), "at least 8")] {
        let again = post(&app, path, &browser, &form).await;
        assert_eq!(again.status, 422);
        let html = String::from_utf8(again.bytes).unwrap();
        assert!(html.contains(told) && html.contains("R&amp;D") && !html.contains("horse"), "{html}");
    }
    let good = form("correct+horse", "correct+horse");
    assert_eq!(post(&app, path, &browser, &good).await.status, 200);
    assert_eq!(post(&app, path, &browser, &good).await.status, 410);
    let here = std::net::IpAddr::from([127, 0, 0, 1]).into();
    app.state.auth.authenticate_password("root", "correct horse", here).await.unwrap();
}
