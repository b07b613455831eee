//! Refusals come in the documented order, each with its status and code.

use serde_json::json;

use super::{command, create, made, refill};
use crate::server::{auth::Scope, http::testing::TestApp};

#[tokio::test]
async fn who_comes_before_what() {
    let mut app = TestApp::new().await;
    app.add_service("reader", &[Scope::TicketsRead]).await;
    let nobody = create(&app, "", "k", json!(7)).await;
    assert_eq!(nobody.refusal(), (401, "missing_token"));
    assert_eq!(nobody.header("www-authenticate"), "Bearer realm=\"medreq\"");
    assert_eq!(nobody.header("content-type"), "application/problem+json");
    assert_eq!(nobody.json["request_id"], nobody.header("x-request-id"));

    let forged =
        app.send(app.request("", "GET", "/v1/tickets", &[("authorization", "Bearer a.b.c")], &json!(null))).await;
    assert_eq!(forged.refusal(), (401, "invalid_token"));

    // The scope is looked at before the body and the key are.
    let reader = app.call("reader", "POST", "/v1/tickets", &[], json!(7)).await;
    assert_eq!(reader.refusal(), (403, "insufficient_scope"));
    assert!(reader.header("www-authenticate").contains("tickets:write"));

    let keyless = app.call("ana", "POST", "/v1/tickets", &[], refill("MIDAZ-5")).await;
    assert_eq!(keyless.refusal(), (400, "idempotency_key_required"));
}

#[tokio::test]
async fn a_ticket_outside_of_ones_wards_does_not_exist() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let id = ticket["id"].as_str().unwrap();
    assert_eq!(app.get("bia", &format!("/v1/tickets/{id}")).await.refusal(), (404, "ticket_not_found"));
    assert_eq!(app.get("bia", &format!("/v1/tickets/{id}/history")).await.refusal(), (404, "ticket_not_found"));
    // Visibility comes before the role and before If-Match.
    let claim =
        app.call("bia", "POST", &format!("/v1/tickets/{id}/claim"), &[("idempotency-key", "k")], json!({})).await;
    assert_eq!(claim.refusal(), (404, "ticket_not_found"));
    let elsewhere = create(&app, "bia", "k2", refill("MIDAZ-5")).await;
    assert_eq!(elsewhere.refusal(), (404, "unknown_cabinet"));
    assert_eq!(
        app.get("ana", "/v1/tickets/5f0f4a4e-0000-8000-8000-000000000000").await.refusal(),
        (404, "ticket_not_found")
    );
    assert_eq!(app.get("ana", "/v1/tickets/%F0%9F%92%8A").await.refusal(), (404, "ticket_not_found"));
}

#[tokio::test]
async fn role_then_version_then_the_workflow() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let path = format!("/v1/tickets/{}/claim", ticket["id"].as_str().unwrap());
    let nurse = app.call("ana", "POST", &path, &[("idempotency-key", "a")], json!({})).await;
    assert_eq!(nurse.refusal(), (403, "role_not_allowed"));
    let unconditional = app.call("paulo", "POST", &path, &[("idempotency-key", "b")], json!({})).await;
    assert_eq!(unconditional.refusal(), (428, "precondition_required"));
    let weak = app.call("paulo", "POST", &path, &[("idempotency-key", "b"), ("if-match", "1")], json!({})).await;
    assert_eq!(weak.refusal(), (400, "invalid_if_match"));

    let claimed = command(&app, "paulo", "c", &ticket, "claim", json!({})).await;
    assert_eq!((claimed.status.as_u16(), claimed.header("etag")), (200, "\"2\""));
    assert_eq!(claimed.json["assignee"]["username"], "paulo");

    let late = command(&app, "rita", "d", &ticket, "claim", json!({})).await;
    assert_eq!(late.refusal(), (409, "already_claimed"));
    assert_eq!(late.json["assignee"]["username"], "paulo");

    let stale = command(&app, "paulo", "e", &ticket, "release", json!({})).await;
    assert_eq!(stale.refusal(), (412, "stale_version"));
    assert_eq!(stale.json["current_version"], 2);
    assert_eq!(stale.json["changes"][0]["event"], "claimed");
    assert_eq!(stale.json["changes"][0]["actor"], json!({ "username": "paulo", "name": "paulo da Silva" }));

    let wrong = command(&app, "paulo", "f", &claimed.json, "dispatch", json!({ "method": "runner" })).await;
    assert_eq!(wrong.refusal(), (409, "invalid_transition"));
    assert_eq!(wrong.json["ticket_status"], "claimed");
    assert!(wrong.json["allowed"].as_array().unwrap().contains(&json!("pick")));
}

#[tokio::test]
async fn a_service_acts_for_a_user_or_not_at_all() {
    let app = TestApp::new().await;
    let alone = create(&app, "his", "k", refill("MIDAZ-5")).await;
    assert_eq!(alone.refusal(), (403, "on_behalf_of_required"));
    let headers = [("idempotency-key", "k2"), ("x-on-behalf-of", "ana")];
    let ticket = app.call("his", "POST", "/v1/tickets", &headers, refill("MIDAZ-5")).await.expect(201);
    assert_eq!(ticket["requester"]["username"], "ana");
    let headers = [("idempotency-key", "k3"), ("x-on-behalf-of", "bia")];
    let outside = app.call("his", "POST", "/v1/tickets", &headers, refill("HEPARINA")).await;
    assert_eq!(outside.refusal(), (404, "unknown_cabinet"));
    let headers = [("x-on-behalf-of", "niemand")];
    let unknown = app.send(app.request("his", "GET", "/v1/tickets", &headers, &json!(null))).await;
    assert_eq!(unknown.refusal(), (403, "unknown_on_behalf_of"));
}
