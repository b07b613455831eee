//! The live feed: resumed without a gap, only for its reader, ended with their authority.

use std::time::Duration;

use axum::{body::BodyDataStream, http::StatusCode};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{command, made};
use crate::{
    domain::reason::Role,
    server::{
        auth::{accounts::Editor, users::UserPatch},
        contract,
        http::testing::TestApp,
    },
};

const SOON: Duration = Duration::from_secs(30);

struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(app: &TestApp, who: &str, path: &str, headers: &[(&str, &str)]) -> Self {
        let request = app.request(who, "GET", path, headers, &Value::Null);
        let response = app.router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body().into_data_stream(), text: String::new() }
    }

    /// The next frame as (event, id, data); `None` at the end.
    async fn frame(&mut self) -> Option<(String, String, Value)> {
        loop {
            if let Some((frame, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                    line.unwrap_or_default().to_owned()
                };
                let found = (field("event"), field("id"), serde_json::from_str(&field("data")).unwrap_or_default());
                self.text = rest.to_owned();
                return Some(found);
            }
            let chunk = tokio::time::timeout(SOON, self.body.next()).await.expect("a frame in time")?;
            self.text.push_str(std::str::from_utf8(&chunk.unwrap()).unwrap());
        }
    }
}

#[tokio::test]
async fn a_stream_tells_what_happens_and_resumes_without_a_gap() {
    let app = TestApp::new().await;
    let mut live = Stream::open(&app, "ana", "/v1/events", &[]).await;
    let (_, start, _) = live.frame().await.unwrap();
    let ticket = made(&app, "MIDAZ-5").await;
    let (event, first, data) = live.frame().await.unwrap();
    assert_eq!(
        (event.as_str(), &data["number"], &data["actor"]["username"]),
        ("created", &ticket["number"], &json!("ana"))
    );
    assert_eq!(data["id"], json!(first));
    let ticket = command(&app, "paulo", "c", &ticket, "claim", json!({})).await.expect(200);
    assert_eq!(live.frame().await.unwrap().0, "claimed");
    drop(live);

    command(&app, "paulo", "r", &ticket, "release", json!({})).await.expect(200);
    made(&app, "HEPARINA").await;
    let mut resumed = Stream::open(&app, "ana", "/v1/events", &[("last-event-id", &first)]).await;
    resumed.frame().await.unwrap();
    for expected in ["claimed", "released", "created"] {
        assert_eq!(resumed.frame().await.unwrap().0, expected);
    }
    let mut whole = Stream::open(&app, "ana", &format!("/v1/events?last_event_id={start}"), &[]).await;
    whole.frame().await.unwrap();
    assert_eq!(whole.frame().await.unwrap().0, "created");
}

#[tokio::test]
async fn a_stream_of_some_kinds_resumes_without_a_gap_and_skips_the_others() {
    let app = TestApp::new().await;
    let supply = json!({
        "kind": "supply", "ward": "UTI", "priority": "routine", "override": "other_patient",
        "lines": [{ "medication": "HEPARINA", "quantity": "1" }],
    });
    let ask = async |key: &str| super::create(&app, "ana", key, supply.clone()).await.expect(201)["number"].clone();
    let path = "/v1/events?kind=supply,missing_dose";
    let mut live = Stream::open(&app, "ana", path, &[]).await;
    live.frame().await.unwrap();
    made(&app, "MIDAZ-5").await;
    let first = ask("s1").await;
    let (_, position, told) = live.frame().await.unwrap();
    assert_eq!(told["number"], first, "the refill before it is of another kind");
    drop(live);

    let second = ask("s2").await;
    made(&app, "HEPARINA").await;
    let third = ask("s3").await;
    let mut resumed = Stream::open(&app, "ana", path, &[("last-event-id", &position)]).await;
    resumed.frame().await.unwrap();
    for expected in [second, third] {
        assert_eq!(resumed.frame().await.unwrap().2["number"], expected);
    }
    let odd = app.get("ana", "/v1/events?kind=teleport").await;
    assert_eq!((odd.refusal(), &odd.json["field"]), ((400, "invalid_parameter"), &json!("kind")));
}

#[tokio::test]
async fn streams_have_a_number_of_places_and_give_them_back() {
    let app = TestApp::new().await;
    let mut streams = Vec::new();
    for _ in 0..app.state.edge.limits().streams {
        streams.push(Stream::open(&app, "ana", "/v1/events", &[]).await);
    }
    let refused = app.get("ana", "/v1/events").await;
    assert_eq!((refused.refusal(), refused.header("retry-after")), ((503, "overloaded"), "5"));
    assert_eq!(app.get("ana", "/v1/tickets").await.status, StatusCode::OK, "only streams are held back");
    streams.pop();
    Stream::open(&app, "ana", "/v1/events", &[]).await;
}

#[tokio::test]
async fn a_reader_is_told_of_their_own_tickets_only() {
    let app = TestApp::new().await;
    let mut other = Stream::open(&app, "bia", "/v1/events", &[]).await;
    other.frame().await.unwrap();
    made(&app, "MIDAZ-5").await;
    let mut body = super::refill("MIDAZ-5");
    body["cabinet"] = json!("CM-01");
    super::create(&app, "bia", "own", body).await.expect(201);
    assert_eq!(other.frame().await.unwrap().2["ward"], "CM");
}

#[tokio::test]
async fn positions_of_another_log_are_reset_and_nonsense_is_refused() {
    let app = TestApp::new().await;
    let foreign = "00000000000080008000000000000000-0-7";
    let mut stream = Stream::open(&app, "ana", "/v1/events", &[("last-event-id", foreign)]).await;
    let (event, id, data) = stream.frame().await.unwrap();
    assert_eq!((event.as_str(), &data["position"]), ("reset", &json!(id)));
    let nonsense = app.send(app.request("ana", "GET", "/v1/events", &[("last-event-id", "7")], &Value::Null)).await;
    assert_eq!(nonsense.refusal(), (400, "invalid_event_id"));
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_may_see_something_else() {
    let mut app = TestApp::new().await;
    app.add_user("eva", Role::Nurse, &["UTI"], &[]).await;
    let mut stream = Stream::open(&app, "eva", "/v1/events", &[]).await;
    stream.frame().await.unwrap();
    let patch = UserPatch { disabled: Some(true), ..Default::default() };
    app.state.auth.patch_user("eva", patch, &Editor::on_server()).await.unwrap();
    assert_eq!(stream.frame().await, None);
}

#[tokio::test]
async fn a_stream_ends_with_its_token_though_requests_have_leeway() {
    let app = TestApp::new().await;
    let brief = app.state.auth.user_token("ana", jiff::SignedDuration::from_secs(1)).await.unwrap();
    let bearer = format!("Bearer {}", brief.access_token);
    let mut stream = Stream::open(&app, "", "/v1/events", &[("authorization", &bearer)]).await;
    stream.frame().await.unwrap();
    assert_eq!(stream.frame().await, None);
    let listed = app.request("", "GET", "/v1/tickets", &[("authorization", &bearer)], &Value::Null);
    app.send(listed).await.expect(200);
}

/// More than one page of the log, told of `UTI`.
async fn backlog(app: &TestApp) {
    let ticket = made(app, "MIDAZ-5").await;
    let path = format!("/v1/tickets/{}/comment", ticket["id"].as_str().unwrap());
    for index in 0..40 {
        let key = format!("comment-{index}");
        let comment = json!({ "text": "still waiting" });
        app.call("ana", "POST", &path, &[("idempotency-key", &key)], comment).await.expect(200);
    }
}

#[tokio::test]
async fn a_backlog_is_not_told_to_whom_has_lost_the_right_to_it() {
    let mut app = TestApp::new().await;
    let mut live = Stream::open(&app, "ana", "/v1/events", &[]).await;
    let (_, start, _) = live.frame().await.unwrap();
    backlog(&app).await;
    let disabled = UserPatch { disabled: Some(true), ..Default::default() };
    let moved = UserPatch { wards: Some([contract::code("CM")].into()), ..Default::default() };
    for (name, patch) in [("eva", disabled), ("ines", moved)] {
        app.add_user(name, Role::Nurse, &["UTI"], &[]).await;
        let mut stream = Stream::open(&app, name, &format!("/v1/events?last_event_id={start}"), &[]).await;
        stream.frame().await.unwrap();
        assert_eq!(stream.frame().await.unwrap().0, "created");
        let mut later = Stream::open(&app, name, "/v1/events", &[]).await;
        app.state.auth.patch_user(name, patch, &Editor::on_server()).await.unwrap();
        // They read nothing until a stream that began later has ended for the same reason.
        while later.frame().await.is_some() {}
        assert_eq!(stream.frame().await, None, "{name}");
    }
}

#[tokio::test]
async fn a_stream_ends_at_once_when_the_server_stops() {
    let app = TestApp::new().await;
    let mut stream = Stream::open(&app, "ana", "/v1/events", &[]).await;
    stream.frame().await.unwrap();
    app.stop.send_replace(true);
    assert_eq!(stream.frame().await, None);
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once() {
    let app = TestApp::new().await;
    let issued = app.call("ana", "POST", "/v1/events/ticket", &[], Value::Null).await.expect(200);
    assert_eq!(issued["expires_in"], 30);
    let path = format!("/v1/events?ticket={}", issued["ticket"].as_str().unwrap());
    Stream::open(&app, "", &path, &[]).await.frame().await.unwrap();
    assert_eq!(app.get("", &path).await.refusal(), (401, "invalid_token"));
}
