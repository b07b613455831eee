//! Erasing a ticket's texts, as everybody sees it who has seen them before: the app, its retries, the history, the feed.

use axum::body::Body;
use serde_json::{Value, json};

use super::{command, create, refill};
use crate::server::http::testing::{Answer, TestApp};

const SECRET: &str = "Zuleica";

async fn erase(app: &TestApp, who: &str, key: &str, id: &str) -> Answer {
    let body = json!({ "reason": "protocol 114" });
    app.call(who, "POST", &format!("/v1/tickets/{id}/erase"), &[("idempotency-key", key)], body).await
}

/// The first bytes of the feed from its beginning, up to the event of that name.
async fn feed_until(app: &TestApp, name: &str) -> String {
    use futures_util::StreamExt as _;
    use tower::ServiceExt as _;
    let start = app.state.pipeline.tail().await.unwrap().to_string();
    let request = app.request("ana", "GET", "/v1/events", &[("last-event-id", &start)], &Value::Null);
    let body: Body = app.router.clone().oneshot(request).await.unwrap().into_body();
    let (mut stream, mut text) = (body.into_data_stream(), String::new());
    while !text.contains(&format!("event: {name}")) {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(30), stream.next()).await.unwrap();
        text.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
    text
}

#[tokio::test]
async fn erased_texts_are_shown_to_nobody_by_no_way() {
    let app = TestApp::new().await;
    let mut new = refill("MIDAZ-5");
    new["note"] = json!(format!("ask {SECRET}"));
    let ticket = create(&app, "ana", "k", new.clone()).await.expect(201);
    command(&app, "ana", "c", &ticket, "comment", json!({ "text": format!("{SECRET} called") })).await.expect(200);
    let id = ticket["id"].as_str().unwrap();
    let path = format!("/v1/tickets/{id}");
    let early = erase(&app, "ada", "early", id).await;
    assert_eq!(early.refusal(), (409, "invalid_transition"));
    assert_eq!(early.json["ticket_status"], "open");
    let ended = command(&app, "ana", "end", &ticket, "cancel", json!({ "reason": "found" })).await.expect(200);
    assert_eq!(app.get("ana", &path).await.expect(200)["note"], new["note"], "and the cache has it now");
    for who in ["ana", "paulo", "otto"] {
        assert_eq!(erase(&app, who, "mine", id).await.refusal(), (403, "insufficient_scope"), "{who}");
    }

    let erased = erase(&app, "ada", "e", ticket["number"].as_str().unwrap()).await.expect(200);
    assert_eq!((&erased["id"], &erased["number"]), (&ticket["id"], &ticket["number"]));
    assert_eq!(erased.as_object().unwrap().len(), 3, "the administrator is told no more: {erased}");
    let replayed = erase(&app, "ada", "e", ticket["number"].as_str().unwrap()).await;
    assert_eq!((replayed.header("idempotent-replayed"), &replayed.json), ("true", &erased));
    assert_eq!(erase(&app, "ada", "another-key", id).await.expect(200), erased);

    let etag = format!("\"{}\"", ended["version"]);
    let request = app.request("ana", "GET", &path, &[("if-none-match", &etag)], &Value::Null);
    let now = app.send(request).await.expect(200);
    assert_eq!((&now["note"], &now["erased_at"]), (&Value::Null, &erased["erased_at"]));
    let retried = create(&app, "ana", "k", new).await;
    assert_eq!(retried.header("idempotent-replayed"), "true");
    let answers = [
        now,
        retried.expect(201),
        app.get("ana", "/v1/tickets").await.expect(200),
        app.get("ana", &format!("{path}/history")).await.expect(200),
        app.get("otto", "/auth/v1/audit").await.expect(200),
    ];
    for answer in &answers {
        assert!(!answer.to_string().contains(SECRET), "{answer}");
    }
    let feed = feed_until(&app, "erased").await;
    assert!(feed.contains("event: commented") && !feed.contains(SECRET), "{feed}");
    assert_eq!(app.get("ana", &format!("/v1/tickets?q={SECRET}")).await.expect(200)["total"], 0);
    let audit = &answers[4]["items"].as_array().unwrap();
    let told = audit.iter().find(|entry| entry["action"] == "texts_erased").unwrap();
    assert_eq!((&told["actor"], &told["detail"]["reason"]), (&json!("ada"), &json!("protocol 114")));
    let late = command(&app, "ana", "late", &ended, "comment", json!({ "text": SECRET })).await;
    assert_eq!(late.refusal(), (409, "texts_erased"));
}
