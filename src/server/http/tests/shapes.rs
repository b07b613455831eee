//! Odd requests get a problem that names the field, and change nothing.

use std::{io, net::IpAddr, num::NonZeroU32, sync::Arc};

use axum::{body::Body, http::Request};
use futures_util::{FutureExt as _, future::join_all, stream};
use serde_json::{Value, json};

use super::{create, made, refill};
use crate::server::{
    config::Limits,
    http::{
        AppState, Division, Edge, Services,
        extract::Peer,
        router,
        testing::{Answer, TestApp},
    },
};

async fn raw(app: &TestApp, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/v1/tickets")
        .header("authorization", format!("Bearer {}", app.token("ana")))
        .header("idempotency-key", "raw")
        .header("content-type", content_type)
        .body(body.into());
    app.send(request.unwrap()).await
}

#[tokio::test]
async fn bodies_that_are_no_request_are_refused_by_name() {
    let app = TestApp::new().await;
    assert_eq!(raw(&app, "application/json", "{\"kind\":").await.refusal(), (400, "invalid_json"));
    assert_eq!(raw(&app, "application/json", "").await.refusal(), (400, "invalid_json"));
    assert_eq!(raw(&app, "application/json", [0xff, 0xfe].to_vec()).await.refusal(), (400, "invalid_json"));
    assert_eq!(raw(&app, "application/json", "[".repeat(200_000)).await.refusal(), (400, "invalid_json"));
    assert_eq!(raw(&app, "text/plain", "{}").await.refusal(), (415, "unsupported_media_type"));
    assert_eq!(raw(&app, "application/json", " ".repeat(3_000_000)).await.refusal(), (413, "body_too_large"));

    let with = |path: &str, value: Value| {
        let mut body = refill("MIDAZ-5");
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let cases = [
        (with("/kind", json!("wish")), 400, "kind"),
        (with("/priority", json!(1)), 400, "priority"),
        (with("/lines/0/quantity", json!(10)), 400, "lines[0].quantity"),
        (with("/lines/0/quantity", json!("-1")), 400, "lines[0].quantity"),
        (with("/lines/0/quantity", json!("1e3")), 400, "lines[0].quantity"),
        (with("/lines/0/unit", json!("gallon")), 422, "lines[0].unit"),
        (with("/lines/0/medication", json!("NOPE")), 422, "lines[0].medication"),
        (with("/lines/0/medication", json!("a\u{0}b")), 400, "lines[0].medication"),
        (with("/cabinet", json!("NOPE-01")), 422, "cabinet"),
        (with("/cabinet", json!("../..")), 400, "cabinet"),
        (with("/lines", json!([])), 422, "lines"),
        (with("/lines", json!({})), 400, "lines"),
        (json!({ "kind": "refill", "cabinet": "UTI-01", "notes": "x" }), 400, "notes"),
        (json!({ "kind": "supply", "lines": [{ "medication": "MIDAZ-5", "quantity": "1" }] }), 422, "cabinet"),
        (json!({ "kind": "refill", "cabinet": "UTI-01", "note": "a\u{0}b" }), 400, "note"),
        (json!({ "kind": "refill", "cabinet": "UTI-01", "note": "x".repeat(2_001) }), 400, "note"),
        (json!({ "kind": "missing_dose", "ward": "UTI", "lines": [] }), 422, "patient_ref"),
        (json!({ "kind": "assistance", "cabinet": "UTI-01" }), 422, "text"),
        (json!({ "cabinet": "UTI-01" }), 400, "kind"),
        (with("/lines", json!([["MIDAZ-5", "1"]])), 400, "lines[0]"),
        (json!({ "kind": "refill", "cabinet": "UTI-01", "identifiers": [["urn:his", "1"]] }), 400, "identifiers[0]"),
        (json!({ "kind": "missing_dose", "ward": "UTI", "dose_at": "12030-01-15T10:00:00Z" }), 400, "dose_at"),
    ];
    for (index, (body, status, field)) in cases.into_iter().enumerate() {
        let answer = create(&app, "ana", &format!("case-{index}"), body.clone()).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json["field"].as_str()),
            (status, Some(field)),
            "{body} {}",
            answer.json
        );
    }
    assert_eq!(app.get("ana", "/v1/tickets").await.json["total"], 0);
}

#[tokio::test]
async fn odd_unicode_is_kept_as_written() {
    let app = TestApp::new().await;
    let mut body = refill("MIDAZ-5");
    body["note"] = json!("  última — 李雷 👩‍⚕️ \u{202e}xyz  ");
    let ticket = create(&app, "ana", "k", body).await.expect(201);
    assert_eq!(ticket["note"], "última — 李雷 👩‍⚕️ \u{202e}xyz");
}

#[tokio::test]
async fn a_command_without_particulars_needs_no_body_and_takes_no_other() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let path = format!("/v1/tickets/{}/claim", ticket["id"].as_str().unwrap());
    let headers = [("idempotency-key", "a"), ("if-match", "\"1\"")];
    let odd = app.call("paulo", "POST", &path, &headers, json!({ "assignee": "rita" })).await;
    assert_eq!(odd.refusal(), (400, "invalid_body"));
    app.call("paulo", "POST", &path, &headers, Value::Null).await.expect(200);
    let pick = path.replace("claim", "pick");
    let empty = app.call("paulo", "POST", &pick, &[("idempotency-key", "b"), ("if-match", "\"2\"")], Value::Null).await;
    assert_eq!(empty.json["field"], "lines");
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems() {
    let app = TestApp::new().await;
    assert_eq!(app.get("ana", "/v1/nothing").await.refusal(), (404, "resource_not_found"));
    let put = app.call("ana", "PUT", "/v1/tickets", &[], json!({})).await;
    assert_eq!(put.refusal(), (405, "method_not_allowed"));
    assert!(put.header("allow").contains("POST"));
    let traced = app.send(app.request("", "GET", "/healthz", &[("x-request-id", "my-id-1")], &Value::Null)).await;
    assert_eq!(traced.header("x-request-id"), "my-id-1");
    let odd = app.send(app.request("", "GET", "/healthz", &[("x-request-id", "a b")], &Value::Null)).await;
    assert_ne!(odd.header("x-request-id"), "a b");
    assert_eq!(odd.header("x-content-type-options"), "nosniff");
}

#[tokio::test]
async fn strangers_are_slowed_down_and_known_callers_are_not() {
    let app = TestApp::new().await;
    let asked = |path: &str| app.request("", "GET", path, &[("x-forwarded-for", "192.0.2.7")], &Value::Null);
    let held_back = held_back(&app, || asked("/oauth2/jwks")).await;
    assert_eq!((held_back.refusal(), held_back.header("retry-after")), ((429, "too_many_requests"), "1"));
    self::held_back(&app, || asked("/setup/anything")).await;
    assert_eq!(app.get("", "/healthz").await.status.as_u16(), 200);
    assert_eq!(app.get("ana", "/v1/tickets").await.status.as_u16(), 200);

    // Another address has an allowance of its own; one that only a header names is the same address.
    let mut elsewhere = asked("/oauth2/jwks");
    elsewhere.extensions_mut().insert(Peer(IpAddr::from([10, 0, 0, 1])));
    assert_eq!(app.send(elsewhere).await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_program_that_ran_wild_takes_nothing_from_the_others() {
    let mut app = TestApp::new().await;
    let Services { auth, pipeline, tickets, reference, catalog, data_dir, addresses, shutdown, .. } = &*app.state;
    let one = NonZeroU32::MIN;
    let limits = Limits { caller_burst: one, caller_per_second: one, ..Limits::default() };
    app.router = router(AppState::new(Services {
        auth: Arc::clone(auth),
        pipeline: Arc::clone(pipeline),
        tickets: Arc::clone(tickets),
        reference: Arc::clone(reference),
        catalog: Arc::clone(catalog),
        data_dir: data_dir.clone(),
        edge: Edge::new(&[], vec![], limits),
        division: Division::all_here(),
        engines: Vec::new(),
        addresses: addresses.clone(),
        disk_free_min: 0,
        shutdown: shutdown.clone(),
    }));
    let wild = async || app.get("ana", "/v1/tickets").await;
    let held_back = loop {
        let answer = wild().await;
        if answer.status.as_u16() != 200 {
            break answer;
        }
    };
    assert_eq!((held_back.refusal(), held_back.header("retry-after")), ((429, "too_many_requests"), "1"));
    assert_eq!(app.get("bia", "/v1/tickets").await.status.as_u16(), 200);
}

/// The first answer that says "too many": allowances grow again while a test runs, so one request proves nothing.
async fn held_back(app: &TestApp, request: impl Fn() -> Request<Body>) -> Answer {
    for _ in 0..2_000 {
        let answer = app.send(request()).await;
        if answer.status.as_u16() == 429 {
            return answer;
        }
    }
    panic!("no limit");
}

#[tokio::test]
async fn a_stranger_who_dawdles_holds_few_places_and_none_of_the_known() {
    let app = TestApp::new().await;
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let form = Request::post("/oauth2/token").body(Body::from_stream(stream::pending::<io::Result<Vec<u8>>>()));
            Box::pin(app.send(form.unwrap()))
        })
        .collect();
    let mut waiting = join_all(waiting).boxed_local();
    assert!((&mut waiting).now_or_never().is_none());
    assert_eq!(app.get("", "/oauth2/jwks").await.refusal(), (429, "too_many_requests"));
    assert_eq!(app.get("ana", "/v1/tickets").await.status.as_u16(), 200);
    for late in waiting.await {
        assert_eq!(late.status.as_u16(), 408);
    }
    assert_eq!(app.get("", "/oauth2/jwks").await.status.as_u16(), 200);
}

#[tokio::test]
async fn a_body_is_an_object_of_whole_characters() {
    let app = TestApp::new().await;
    for body in [r#"["assistance","UTI-01",null,null,[],"stuck"]"#, "[]", "null", "1", r#""refill""#] {
        let answer = raw(&app, "application/json", body).await;
        assert_eq!(answer.refusal(), (400, "invalid_body"), "{body}");
        assert_eq!(answer.json["detail"], "the body must be a JSON object", "{body}");
    }
    let half = raw(&app, "application/json", r#"{"kind":"refill","note":"\ud800"}"#).await;
    assert_eq!(half.refusal(), (400, "invalid_json"));
    assert!(half.json["detail"].as_str().unwrap().contains("whole characters"), "{}", half.json);
    let odd = raw(&app, "application/json", r#"{"kind":"missing_dose","dose_at":"soon"}"#).await;
    assert!(odd.json["detail"].as_str().unwrap().starts_with("this is not a time such as"), "{}", odd.json);
    let ticket = made(&app, "MIDAZ-5").await;
    let path = format!("/v1/tickets/{}/claim", ticket["id"].as_str().unwrap());
    let headers = [("idempotency-key", "a"), ("if-match", "\"1\"")];
    assert_eq!(app.call("paulo", "POST", &path, &headers, json!([])).await.refusal(), (400, "invalid_body"));
}

#[tokio::test]
async fn counts_of_a_discrepancy_can_be_patched() {
    let app = TestApp::new().await;
    let line = |counted: &str| json!([{ "medication": "MIDAZ-5", "counted": counted, "expected": "5" }]);
    let body = json!({ "kind": "discrepancy", "cabinet": "UTI-01", "lines": line("3") });
    let ticket = create(&app, "ana", "k", body).await.expect(201);
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let patch = |key: &'static str, lines: Value| {
        let (app, path) = (&app, &path);
        let headers = [("idempotency-key", key), ("if-match", "\"1\"")];
        async move { app.call("ana", "PATCH", path, &headers, json!({ "lines": lines })).await }
    };
    let requested = patch("a", json!([{ "medication": "MIDAZ-5", "quantity": "1" }])).await;
    assert_eq!((requested.status.as_u16(), &requested.json["field"]), (422, &json!("lines[0].quantity")));
    let amended = patch("b", line("4")).await.expect(200);
    assert_eq!((&amended["lines"][0]["counted"], &amended["version"]), (&json!("4"), &json!(2)));
}

#[tokio::test]
async fn times_have_three_decimals() {
    let app = TestApp::new().await;
    let ticket = create(
        &app,
        "ana",
        "k",
        json!({
            "kind": "missing_dose", "ward": "UTI", "patient_ref": "P-1", "dose_at": "2030-01-15T10:00:00.1239Z",
            "lines": [{ "medication": "MIDAZ-5", "quantity": "1" }],
        }),
    )
    .await
    .expect(201);
    assert_eq!(ticket["dose_at"], "2030-01-15T10:00:00.123Z");
    let history = app.get("ana", &format!("/v1/tickets/{}/history", ticket["id"].as_str().unwrap())).await.expect(200);
    let me = app.get("ana", "/auth/v1/me").await.expect(200);
    for time in [&ticket["created_at"], &ticket["due_at"], &history["items"][0]["at"], &me["expires_at"]] {
        assert_eq!(time.as_str().map(str::len), Some("2030-01-15T10:00:00.123Z".len()), "{time}");
    }
}
