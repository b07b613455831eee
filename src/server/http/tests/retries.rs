//! A retry is answered as the first time: cases D1, D2, P15, and races.

use futures_util::future::join_all;
use serde_json::json;

use super::{boxed, command, create, made, refill};
use crate::{
    domain::reason::Role,
    server::{http::testing::TestApp, ports::ReferenceChanges},
};

#[tokio::test]
async fn a_retry_gets_the_first_answer_byte_for_byte() {
    let app = TestApp::new().await;
    let first = create(&app, "ana", "k1", refill("MIDAZ-5")).await;
    let id = first.json["id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/v1/tickets/{id}"));
    assert_eq!((first.header("etag"), first.header("idempotent-replayed")), ("\"1\"", ""));
    command(&app, "paulo", "k2", &first.json, "claim", json!({})).await.expect(200);

    let again = create(&app, "ana", "k1", refill("MIDAZ-5")).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(app.get("ana", "/v1/tickets").await.json["total"], 1);
}

#[tokio::test]
async fn a_retry_needs_no_fresh_version_and_no_version_at_all() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let claimed = command(&app, "paulo", "c", &ticket, "claim", json!({})).await;
    let path = format!("/v1/tickets/{}/claim", ticket["id"].as_str().unwrap());
    for headers in [vec![], vec![("if-match", "\"1\"")], vec![("if-match", "\"9\"")]] {
        let headers = [vec![("idempotency-key", "c")], headers].concat();
        let again = app.call("paulo", "POST", &path, &headers, json!({})).await;
        assert_eq!((again.status, &again.bytes), (claimed.status, &claimed.bytes));
    }
    // A refusal is an answer, too.
    let refused = command(&app, "rita", "r", &ticket, "claim", json!({})).await;
    let again = command(&app, "rita", "r", &ticket, "claim", json!({})).await;
    assert_eq!(again.refusal(), refused.refusal());
    assert_eq!(again.header("idempotent-replayed"), "true");
}

#[tokio::test]
async fn a_key_is_for_one_request_of_one_person() {
    let app = TestApp::new().await;
    create(&app, "ana", "k", refill("MIDAZ-5")).await.expect(201);
    let other = create(&app, "ana", "k", refill("HEPARINA")).await;
    assert_eq!(other.refusal(), (422, "idempotency_key_reused"));
    // Somebody else's key is another key.
    let mut body = refill("HEPARINA");
    body["cabinet"] = json!("CM-01");
    create(&app, "bia", "k", body).await.expect(201);
}

#[tokio::test]
async fn five_impatient_clicks_make_one_ticket() {
    let app = TestApp::new().await;
    let clicks = (0..5).map(|_| create(&app, "ana", "same", refill("MIDAZ-5")));
    let answers = join_all(clicks).await;
    assert!(answers.iter().all(|answer| answer.status.as_u16() == 201 && answer.bytes == answers[0].bytes));
    let clicks = ["a", "b", "c"].map(|key| create(&app, "ana", key, refill("HEPARINA")));
    let mut codes: Vec<u16> = join_all(clicks).await.iter().map(|answer| answer.status.as_u16()).collect();
    codes.sort_unstable();
    assert_eq!(codes, [201, 409, 409]);
    assert_eq!(app.get("ana", "/v1/tickets").await.json["total"], 2);
}

#[tokio::test]
async fn of_two_who_claim_at_once_one_wins_and_the_other_learns_who() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let claims = ["paulo", "rita"].map(|who| command(&app, who, who, &ticket, "claim", json!({})));
    let answers = join_all(claims).await;
    let winner = answers.iter().find(|answer| answer.status.as_u16() == 200).unwrap();
    let loser = answers.iter().find(|answer| answer.status.as_u16() == 409).unwrap();
    assert_eq!(loser.json["code"], "already_claimed");
    assert_eq!(loser.json["assignee"], winner.json["assignee"]);
}

#[tokio::test]
async fn an_open_request_is_reported_with_its_ticket() {
    let app = TestApp::new().await;
    let first = made(&app, "MIDAZ-5").await;
    let second = create(&app, "ana", "k2", refill("MIDAZ-5")).await;
    assert_eq!(second.refusal(), (409, "duplicate_open_request"));
    assert_eq!(second.json["ticket"], json!({ "id": first["id"], "number": first["number"] }));
    let mut body = refill("MIDAZ-5");
    body["override"] = json!("other_patient");
    create(&app, "ana", "k3", body).await.expect(201);
}

#[tokio::test]
async fn a_delivery_confirmed_from_two_tabs_moves_once() {
    let app = TestApp::new().await;
    let ticket = made(&app, "HEPARINA").await;
    let ticket = command(&app, "paulo", "1", &ticket, "claim", json!({})).await.expect(200);
    let lines = json!({ "lines": [{ "line": 1, "supplied": "10", "lot": "L", "expiry": "2099-01-31" }] });
    let ticket = command(&app, "paulo", "2", &ticket, "pick", lines).await.expect(200);
    let ticket = command(&app, "paulo", "3", &ticket, "ready", json!({})).await.expect(200);
    let ticket = command(&app, "paulo", "4", &ticket, "dispatch", json!({ "method": "tube" })).await.expect(200);
    let lines = json!({ "lines": [{ "line": 1, "received": "10" }] });
    let tabs = ["tab-1", "tab-2"].map(|tab| command(&app, "ana", tab, &ticket, "receive", lines.clone()));
    let answers = join_all(tabs).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412]);
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    assert_eq!(app.get("ana", &path).await.expect(200)["lines"][0]["received"], "10");
}

#[tokio::test]
async fn a_retry_does_not_see_that_a_box_or_a_cabinet_means_something_else_by_now() {
    let app = TestApp::new().await;
    let scan = "(01)00312345678906(17)300131(10)L42";
    boxed(&app, "HEPARINA", &["00312345678906"], true).await;
    let first = create(&app, "ana", "k", refill(scan)).await;
    assert_eq!(first.json["lines"][0]["medication"], "HEPARINA", "{}", first.json);
    let ticket = &first.json;
    let patch = json!({ "lines": [{ "medication": scan, "quantity": "7" }] });
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let headers = [("idempotency-key", "p"), ("if-match", "\"1\"")];
    let amended = app.call("ana", "PATCH", &path, &headers, patch.clone()).await;
    assert_eq!(amended.json["lines"][0]["quantity"], "7", "{}", amended.json);

    boxed(&app, "HEPARINA", &[], true).await;
    boxed(&app, "SORO-09", &["00312345678906"], true).await;
    boxed(&app, "DIPIRONA-500", &["00312345678906"], true).await;
    let mut moved = app.state.reference.cabinet(&"UTI-01".parse().unwrap()).await.unwrap().unwrap().0;
    moved.ward = "CM".parse().unwrap();
    let changes = ReferenceChanges { cabinets: vec![moved], ..Default::default() };
    app.state.reference.change_reference(changes).await.unwrap();

    let again = create(&app, "ana", "k", refill(scan)).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    let again = app.call("ana", "PATCH", &path, &headers[..1], patch).await;
    assert_eq!((again.status, &again.bytes), (amended.status, &amended.bytes));
    // Another request is another, whether it makes sense or not.
    for other in [refill("HEPARINA"), json!({ "kind": "missing_dose", "ward": "NOWHERE" })] {
        assert_eq!(create(&app, "ana", "k", other).await.refusal(), (422, "idempotency_key_reused"));
    }
    let other = json!({ "lines": [{ "medication": "HEPARINA", "quantity": "7" }] });
    let other = app.call("ana", "PATCH", &path, &headers[..1], other).await;
    assert_eq!(other.refusal(), (422, "idempotency_key_reused"));
}

#[tokio::test]
async fn a_ticket_that_was_handed_on_is_still_known_by_its_number() {
    let mut app = TestApp::new().await;
    app.add_user("cris", Role::Pharmacist, &[], &["CENTRAL"]).await;
    let ticket = made(&app, "MIDAZ-5").await;
    let number = ticket["number"].as_str().unwrap().to_lowercase();
    let path = format!("/v1/tickets/{number}/transfer");
    let headers = [("idempotency-key", "t"), ("if-match", "\"1\"")];
    let body = json!({ "pharmacy": "SATELITE", "reason": "out_of_stock" });
    let first = app.call("cris", "POST", &path, &headers, body.clone()).await;
    assert_eq!(first.json["pharmacy"], "SATELITE", "{}", first.json);
    let again = app.call("cris", "POST", &path, &headers, body).await;
    assert_eq!((again.status, &again.bytes), (first.status, &first.bytes));
    assert_eq!(app.get("cris", &format!("/v1/tickets/{number}")).await.expect(200)["id"], ticket["id"]);
    assert_eq!(app.get("bia", &format!("/v1/tickets/{number}")).await.refusal(), (404, "ticket_not_found"));
}
