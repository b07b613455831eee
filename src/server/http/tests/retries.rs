//! A retry is answered as the first time: cases D1, D2, P15, and races.

use futures_util::future::join_all;
use serde_json::json;

use super::{command, create, made, refill};
use crate::server::http::testing::TestApp;

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
