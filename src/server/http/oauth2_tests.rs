//! The token endpoint and the metadata, as a client meets them.
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
