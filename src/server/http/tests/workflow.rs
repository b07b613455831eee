//! The main job over HTTP, from "it is missing" to "it arrived".

use serde_json::{Value, json};

use super::{command, create, made, refill};
use crate::server::http::testing::TestApp;

#[tokio::test]
async fn a_request_goes_all_the_way() {
    let app = TestApp::new().await;
    let mut body = refill("MIDAZ-5");
    body["lines"].as_array_mut().unwrap().push(json!({ "medication": "HEPARINA", "quantity": "4" }));
    body["cabinet"] = json!("uti-01");
    let ticket = create(&app, "ana", "1", body).await.expect(201);
    assert_eq!(
        (&ticket["ward"], &ticket["pharmacy"], &ticket["cabinet"], &ticket["assignee"]),
        (&json!("UTI"), &json!("CENTRAL"), &json!("UTI-01"), &Value::Null)
    );
    assert_eq!(ticket["lines"][0]["control_class"], "CIV");
    assert_eq!(ticket["lines"][1]["control_class"], Value::Null);

    let ticket = command(&app, "paulo", "2", &ticket, "claim", json!({})).await.expect(200);
    let lines = json!({ "lines": [
        { "line": 1, "supplied": "5", "lot": "L42", "expiry": "2099-01-31" },
        { "line": 1, "supplied": "3", "lot": "L43", "expiry": "2099-02-28", "reason": "out_of_stock" },
        { "line": 2, "supplied": "4", "lot": "H1", "expiry": "2099-01-31" },
    ] });
    let ticket = command(&app, "paulo", "3", &ticket, "pick", lines).await.expect(200);
    assert_eq!((&ticket["status"], &ticket["lines"][0]["outstanding"]), (&json!("picked"), &json!("2")));

    let alone = command(&app, "paulo", "4", &ticket, "ready", json!({})).await;
    assert_eq!(alone.refusal(), (422, "second_person_required"));
    let ticket = command(&app, "rita", "5", &ticket, "ready", json!({})).await.expect(200);
    let ticket = command(&app, "tito", "6", &ticket, "dispatch", json!({ "method": "runner" })).await.expect(200);
    let lines = json!({ "lines": [{ "line": 1, "received": "7", "damaged": "1" }, { "line": 2, "received": "4" }] });
    let ticket = command(&app, "ana", "7", &ticket, "receive", lines).await.expect(200);
    assert_eq!(ticket["status"], "delivered");
    assert_eq!((&ticket["lines"][0]["received"], &ticket["lines"][0]["damaged"]), (&json!("7"), &json!("1")));

    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let history = app.get("ana", &format!("{path}/history")).await.expect(200);
    let names: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["created", "claimed", "picked", "ready", "dispatched", "received"]);
    assert_eq!((&history["total"], &history["next"]), (&json!(6), &Value::Null));
    let whole = history.to_string();
    let user = app.state.auth.user("paulo").await.unwrap();
    assert!(!whole.contains(&user.id.0.to_string()), "internal ids stay inside");

    let page = app.get("ana", &format!("{path}/history?limit=4")).await.expect(200);
    let next = page["next"].as_str().unwrap();
    let rest = app.get("ana", &format!("{path}/history?limit=4&cursor={next}")).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_open_ticket_is_changed_and_withdrawn() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let patch = json!({ "priority": "urgent", "note": "for bed 4" });
    let first = [("idempotency-key", "p"), ("if-match", "\"1\"")];
    let ticket = app.call("ana", "PATCH", &path, &first, patch.clone()).await.expect(200);
    assert_eq!(
        (&ticket["priority"], &ticket["note"], &ticket["version"]),
        (&json!("urgent"), &json!("for bed 4"), &json!(2))
    );
    let second = [("idempotency-key", "q"), ("if-match", "\"2\""), ("content-type", "application/merge-patch+json")];
    let request = app.request("ana", "PATCH", &path, &second[..2], &json!({ "note": null }));
    let ticket = app.send(request).await.expect(200);
    assert_eq!(ticket["note"], Value::Null);

    let comment_path = format!("{path}/comment");
    let comment = app.call("ana", "POST", &comment_path, &[("idempotency-key", "c")], json!({ "text": "hurry" })).await;
    assert_eq!(comment.expect(200)["version"], 3);

    let headers = [("idempotency-key", "d"), ("if-match", "\"3\"")];
    assert_eq!(app.call("ana", "DELETE", &path, &headers, Value::Null).await.json["field"], "reason");
    let gone = app.call("ana", "DELETE", &format!("{path}?reason=found"), &headers, Value::Null).await.expect(200);
    assert_eq!((&gone["status"], &gone["lines"][0]["declined"]), (&json!("cancelled"), &json!("10")));
}
