//! Writes of places and medications under an idempotency key: done once, answered as the first time.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::server::http::testing::{Answer, TestApp};

const WARD: &str = "/v1/wards/ZZ-8";

fn ward(name: &str) -> Value {
    json!({ "code": "ZZ-8", "name": name, "pharmacy": "CENTRAL" })
}

async fn put(app: &TestApp, who: &str, key: &str, path: &str, body: Value) -> Answer {
    app.call(who, "PUT", path, &[("idempotency-key", key)], body).await
}

/// How often the audit tells of a change of this thing.
async fn audited(app: &TestApp, subject: &str) -> usize {
    let audit = app.get("otto", "/auth/v1/audit?kind=reference&limit=200").await.expect(200);
    audit["items"].as_array().unwrap().iter().filter(|entry| entry["subject"] == subject).count()
}

fn assert_replays(again: &Answer, first: &Answer) {
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    for name in ["content-type", "location"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!((first.header("idempotent-replayed"), again.header("idempotent-replayed")), ("", "true"));
}

#[tokio::test]
async fn a_ward_that_is_put_again_is_answered_as_the_first_time() {
    let app = TestApp::new().await;
    let first = put(&app, "ada", "k", WARD, ward("Ala 8")).await;
    assert_eq!((first.status.as_u16(), first.header("location")), (201, WARD));
    put(&app, "ada", "k2", WARD, ward("Ala 8 B")).await.expect(200);
    assert_replays(&put(&app, "ada", "k", WARD, ward("Ala 8")).await, &first);
    assert_eq!(app.get("ana", WARD).await.expect(200)["name"], "Ala 8 B");

    let other = put(&app, "ada", "k", WARD, ward("Ala 9")).await;
    assert_eq!(other.refusal(), (422, "idempotency_key_reused"));
    let elsewhere = put(&app, "ada", "k", "/v1/wards/ZZ-9", ward("Ala 8")).await;
    assert_eq!(elsewhere.refusal(), (422, "idempotency_key_reused"));
    // Without a key each one is a request of its own.
    app.call("ada", "PUT", WARD, &[], ward("Ala 8")).await.expect(200);
}

#[tokio::test]
async fn a_class_that_is_sent_twice_is_audited_once() {
    let app = TestApp::new().await;
    let (path, before) = ("/v1/medications/MIDAZ-5/class", audited(&app, "MIDAZ-5").await);
    let class = json!({ "control_class": "B1", "reason": "lista B1" });
    // Who may not is told so each time: they may be allowed to by then.
    for _ in 0..2 {
        assert_eq!(put(&app, "ada", "k", path, class.clone()).await.refusal(), (403, "role_required"));
    }
    let first = put(&app, "paulo", "k", path, class.clone()).await;
    assert_eq!(first.status.as_u16(), 200);
    assert_replays(&put(&app, "paulo", "k", path, class.clone()).await, &first);
    assert_eq!(audited(&app, "MIDAZ-5").await, before + 1);
    // Somebody else's key is another key.
    let other = put(&app, "rita", "k", path, class).await;
    assert_eq!((other.status.as_u16(), other.header("idempotent-replayed")), (200, ""));
    assert_eq!(audited(&app, "MIDAZ-5").await, before + 2);
}

#[tokio::test]
async fn refusals_and_empty_answers_are_answers_too() {
    let app = TestApp::new().await;
    put(&app, "paulo", "set", "/v1/cabinets/UTI-01/par-levels/MIDAZ-5", json!({ "min": "1", "max": "2" })).await;
    let key = [("idempotency-key", "k")];
    let path = "/v1/cabinets/UTI-01/par-levels/MIDAZ-5";
    let gone = app.call("paulo", "DELETE", path, &key, Value::Null).await;
    assert_eq!(gone.status.as_u16(), 204);
    assert_replays(&app.call("paulo", "DELETE", path, &key, Value::Null).await, &gone);
    assert_eq!(app.call("paulo", "DELETE", path, &[], Value::Null).await.status.as_u16(), 404);
    let refused = put(&app, "ada", "r", WARD, ward(" ")).await;
    assert_eq!(refused.refusal(), (422, "invalid_value"));
    assert_replays(&put(&app, "ada", "r", WARD, ward(" ")).await, &refused);
    for bad in ["a b", "", &"k".repeat(256)] {
        let answer = put(&app, "ada", bad, WARD, ward("Ala 8")).await;
        assert_eq!(answer.refusal(), (400, "idempotency_key_required"), "{bad:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_under_one_key_one_runs() {
    let app = TestApp::new().await;
    let answers = join_all((0..8).map(|_| put(&app, "ada", "same", WARD, ward("Ala 8")))).await;
    assert!(answers.iter().all(|answer| answer.status.as_u16() == 201 && answer.bytes == answers[0].bytes));
    let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed") == "true").count();
    assert_eq!((replayed, audited(&app, "ZZ-8").await), (7, 1));
}

#[tokio::test]
async fn a_request_that_its_sender_gave_up_is_done_once() {
    let app = TestApp::new().await;
    for yields in [0, 1, 2, 4, 8, 16, 64, 256] {
        let code = format!("ZZ-{yields}");
        let (path, body) = (format!("/v1/wards/{code}"), json!({ "code": code, "name": "Ala", "pharmacy": "CENTRAL" }));
        let request = app.request("ada", "PUT", &path, &[("idempotency-key", &code)], &body);
        let given_up = tokio::spawn(tower::ServiceExt::oneshot(app.router.clone(), request));
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        given_up.abort();
        put(&app, "ada", &code, &path, body).await.expect(201);
        assert_eq!(audited(&app, &code).await, 1, "{code}");
    }
}

#[tokio::test]
async fn the_document_tells_where_a_key_may_be_sent() {
    let app = TestApp::new().await;
    let document = app.get("", "/openapi.json").await.expect(200);
    let required = |path: &str, method: &str| {
        let parameters = document["paths"][path][method]["parameters"].as_array().unwrap();
        parameters.iter().find(|it| it["name"] == "Idempotency-Key").map(|it| it["required"].as_bool().unwrap())
    };
    assert_eq!(required("/v1/wards/{code}", "put"), Some(false));
    assert_eq!(required("/v1/medications/adopt", "post"), Some(false));
    assert_eq!(required("/v1/tickets", "post"), Some(true));
    assert_eq!(required("/v1/wards/{code}", "get"), None);
    assert_eq!(required("/v1/imports/{what}", "post"), None);
    for (path, method) in [("/v1/wards/{code}", "put"), ("/v1/medications/adopt", "post")] {
        let refusal = document["paths"][path][method]["responses"]["422"].to_string();
        assert!(refusal.contains("idempotency_key_reused") && refusal.contains("problem+json"), "{refusal}");
    }
}
