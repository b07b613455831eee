//! The client against small servers that fail in the ways that real ones do.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpListener};

use super::{
    Client, ClientError, EventFilter, FeedItem, Import, ImportOptions, Settings, TicketCommand, TokenSource, Write,
};
use crate::api::{accounts::PatchUser, tickets::NewTicket};

/// What was asked: method and path, and the headers.
type Seen = Arc<Mutex<Vec<(String, HeaderMap)>>>;

/// A server that gives these answers in turn, and a client of it.
struct Script {
    client: Client,
    seen: Seen,
}

#[derive(Clone)]
struct Answers {
    left: Arc<Mutex<VecDeque<Response>>>,
    seen: Seen,
}

async fn answer(State(answers): State<Answers>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri());
    answers.seen.lock().unwrap().push((asked, request.headers().clone()));
    let _body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    answers.left.lock().unwrap().pop_front().unwrap_or_else(|| StatusCode::IM_A_TEAPOT.into_response())
}

fn client(listener: &TcpListener) -> Client {
    client_with(listener, TokenSource::fixed("secret-token"))
}

fn client_with(listener: &TcpListener, token: TokenSource) -> Client {
    let url = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { timeout: Duration::from_secs(10), ..Settings::default() };
    Client::new(&url, token, settings).unwrap()
}

impl Script {
    async fn new(answers: Vec<Response>) -> Self {
        Self::with_token(answers, TokenSource::fixed("secret-token")).await
    }

    async fn with_token(answers: Vec<Response>, token: TokenSource) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client_with(&listener, token);
        let seen = Seen::default();
        let state = Answers { left: Arc::new(Mutex::new(answers.into())), seen: seen.clone() };
        let app = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { client, seen }
    }

    fn asked(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|(asked, _)| asked.clone()).collect()
    }

    fn header(&self, name: &str) -> Vec<Option<String>> {
        let text = |headers: &HeaderMap| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        self.seen.lock().unwrap().iter().map(|(_, headers)| text(headers)).collect()
    }
}

fn reply(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

fn with(mut response: Response, name: header::HeaderName, value: &'static str) -> Response {
    response.headers_mut().insert(name, value.parse().unwrap());
    response
}

fn ticket() -> Value {
    json!({
        "id": "5e0c9f6a-0d5b-4f0e-9a61-0c2f4f1c2b7d", "number": "UTI-1-A", "kind": "refill", "status": "open",
        "version": 1, "priority": "stat", "created_at": "2026-11-25T12:00:00Z", "updated_at": "2026-11-25T12:00:00Z",
        "due_at": null, "pharmacy": "CENTRAL", "ward": "UTI", "cabinet": "UTI-01",
        "requester": { "username": "ana", "name": "Ana" }, "assignee": null, "note": null, "identifiers": [], "lines": [],
    })
}

fn problem(status: u16, code: &str) -> Value {
    json!({ "type": "about:blank", "title": "t", "status": status, "code": code, "detail": "d" })
}

fn event(seq: u64) -> String {
    let event = json!({
        "id": format!("log-0-{seq}"), "seq": seq, "at": "2026-11-25T12:00:00Z", "event": "claimed", "version": 2,
        "actor": { "username": "davi", "name": "Davi", "client_id": "c", "on_behalf": false }, "ticket": "t",
        "number": "UTI-1-A", "ward": "UTI", "pharmacy": "CENTRAL", "status": "claimed", "data": {},
    });
    format!("id: log-0-{seq}\nevent: claimed\ndata: {event}\n\n")
}

fn stream(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/event-stream")], text).into_response()
}

#[tokio::test]
async fn an_overloaded_server_is_asked_again_under_the_same_key() {
    let busy = || with(reply(503, problem(503, "overloaded")), header::RETRY_AFTER, "0");
    let script = Script::new(vec![busy(), busy(), reply(201, ticket())]).await;
    let created = script.client.create_ticket(&NewTicket::default(), &Write::default()).await.unwrap();
    assert_eq!(created.number, "UTI-1-A");
    let keys = script.header("idempotency-key");
    assert_eq!(keys.len(), 3);
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_keeps_what_it_says() {
    let mut refused = problem(409, "already_claimed");
    refused["assignee"] = json!({ "username": "davi" });
    let script = Script::new(vec![reply(409, refused)]).await;
    let error = script.client.command("x/y", &TicketCommand::Claim, &Write::at(1).key("k")).await.unwrap_err();
    assert_eq!(
        (error.code(), error.problem().unwrap().more["assignee"]["username"].as_str()),
        ("already_claimed", Some("davi"))
    );
    assert_eq!(script.asked(), ["POST /v1/tickets/x%2Fy/claim"]);
    assert_eq!(script.header("if-match"), [Some("\"1\"".to_owned())]);
}

/// Takes connections, reads a request and hangs up; counts them.
async fn hangs_up() -> (Client, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener);
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4_096]).await;
            *counted.lock().unwrap() += 1;
        }
    });
    (client, count)
}

#[tokio::test]
async fn a_lost_connection_is_repeated_only_where_a_key_makes_it_safe() {
    let (client, count) = hangs_up().await;
    let error = client.create_ticket(&NewTicket::default(), &Write::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Transport { outcome_unknown: true, .. }), "{error}");
    assert_eq!(*count.lock().unwrap(), Settings::default().attempts);

    let (client, count) = hangs_up().await;
    client.patch_user("ana", &PatchUser::default()).await.unwrap_err();
    assert_eq!(*count.lock().unwrap(), 1, "a write without a key may have happened");
}

#[tokio::test]
async fn an_accepted_command_is_followed_to_its_outcome_on_the_same_server() {
    let accepted =
        || with(StatusCode::ACCEPTED.into_response(), header::LOCATION, "https://evil.example.org/v1/commands/c1");
    let done = json!({ "state": "done", "status": 201, "body": ticket() });
    let script = Script::new(vec![accepted(), reply(200, json!({ "state": "pending" })), reply(200, done)]).await;
    let created = script.client.create_ticket(&NewTicket::default(), &Write::default()).await.unwrap();
    assert_eq!(created.version, 1);
    assert_eq!(script.asked(), ["POST /v1/tickets", "GET /v1/commands/c1", "GET /v1/commands/c1"]);

    let refused = json!({ "state": "refused", "status": 422, "body": problem(422, "unusual_quantity") });
    let script = Script::new(vec![accepted(), reply(200, refused)]).await;
    let error = script.client.create_ticket(&NewTicket::default(), &Write::default()).await.unwrap_err();
    assert_eq!(error.code(), "unusual_quantity");
}

/// A source that gives the token `old` until that is refused, then `new`.
fn renewing() -> TokenSource {
    TokenSource::callback(|refused| async move { Ok(if refused.is_some() { "new" } else { "old" }.to_owned()) })
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_for_calls_and_feeds() {
    let expired = || reply(401, problem(401, "token_expired"));
    let answers = vec![expired(), reply(201, ticket()), expired(), expired(), expired(), stream(event(7))];
    let script = Script::with_token(answers, renewing()).await;
    script.client.create_ticket(&NewTicket::default(), &Write::default()).await.unwrap();
    let error = script.client.whoami().await.unwrap_err();
    assert_eq!(error.code(), "token_expired", "a second refusal is an answer");
    let mut feed = script.client.events(EventFilter::default(), None);
    assert_eq!(feed.next().await.unwrap().unwrap(), FeedItem::Connected);
    let sent: Vec<_> = script.header("authorization").into_iter().map(Option::unwrap).collect();
    assert_eq!(sent, ["Bearer old", "Bearer new"].repeat(3));
    let keys = script.header("idempotency-key");
    assert_eq!(keys[0], keys[1], "it is the same write");
}

#[tokio::test]
async fn a_lost_refresh_is_asked_for_again_and_a_lost_poll_is_not() {
    let (client, count) = hangs_up().await;
    client.refresh("medreq-cli", "secret-refresh").await.unwrap_err();
    assert!(*count.lock().unwrap() > 1);
    let (client, count) = hangs_up().await;
    let error = client.poll_device("medreq-cli", "secret-device").await.unwrap_err();
    assert_eq!(*count.lock().unwrap(), 1);
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn the_feed_resumes_after_the_last_event_and_ends_with_a_refusal() {
    let first = format!("retry: 1\nid: log-0-6\n\n{}", event(7));
    let reset = "id: log-0-9\nevent: reset\ndata: {}\n\n".to_owned();
    let script = Script::new(vec![
        stream("retry: 1\nid: log-0-6\n\n".into()),
        stream(first),
        stream(format!("{}: still here\n\n", event(8))),
        reply(503, problem(503, "overloaded")),
        stream(reset),
        reply(401, problem(401, "token_expired")),
    ])
    .await;
    let mut feed = script.client.events(EventFilter { ward: Some("UTI".into()), ..EventFilter::default() }, None);
    let (mut told, mut end) = (Vec::new(), None);
    while let Some(item) = feed.next().await {
        match item {
            Ok(FeedItem::Event { event, .. }) => told.push(event.id),
            Ok(FeedItem::Reset { cursor }) => told.push(format!("reset {cursor}")),
            Ok(FeedItem::Connected | FeedItem::Waiting { .. }) => {}
            Err(error) => end = Some(error.code().to_owned()),
        }
    }
    assert_eq!(told, ["log-0-7", "log-0-8", "reset log-0-9"]);
    assert_eq!(end.as_deref(), Some("token_expired"));
    let resumed: Vec<_> = script.header("last-event-id").into_iter().map(Option::unwrap_or_default).collect();
    assert_eq!(resumed, ["", "log-0-6", "log-0-7", "log-0-8", "log-0-8", "log-0-9"]);
    assert!(script.asked().iter().all(|asked| asked == "GET /v1/events?ward=UTI"));
}

#[tokio::test]
async fn an_import_tells_its_progress_and_its_report() {
    let report = json!({
        "what": "wards", "format": "csv", "encoding": "utf-8", "rows": 2, "created": 1, "updated": 0, "unchanged": 0,
        "bad": 1, "bad_rows": [{ "line": 3, "reason": "no code" }], "dry_run": true,
    });
    let lines = |last: Value| {
        let text = format!("{}\n\n{last}\n", json!({ "progress": { "rows": 1 } }));
        ([(header::CONTENT_TYPE, "application/x-ndjson")], text).into_response()
    };
    let failed = json!({ "failed": problem(422, "no_good_rows") });
    let cut = ([(header::CONTENT_TYPE, "application/x-ndjson")], "").into_response();
    let script = Script::new(vec![lines(json!({ "done": report })), lines(failed), cut]).await;
    let options = ImportOptions { dry_run: true, ..ImportOptions::default() };
    let mut heard = Vec::new();
    let done = script.client.import(Import::Wards, "code\nUTI\n\n", &options, |rows| heard.push(rows)).await.unwrap();
    assert_eq!((heard, done.bad_rows[0].line), (vec![1], 3));
    let error = script.client.import(Import::Wards, "code\n", &options, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "no_good_rows");
    let error = script.client.import(Import::ParLevels, "code\n", &options, |_| {}).await.unwrap_err();
    assert_eq!(error.code(), "server_unreachable");
    let wards = "POST /v1/imports/wards?dry_run=true";
    assert_eq!(script.asked(), [wards, wards, "POST /v1/imports/par-levels?dry_run=true"]);
}

#[tokio::test]
async fn it_says_for_whom_it_acts_and_never_shows_its_token() {
    let script = Script::new(vec![reply(200, ticket()), reply(200, ticket())]).await;
    let acting = script.client.on_behalf_of("joão");
    acting.find_ticket("5e0c9f6a-0d5b-4f0e-9a61-0c2f4f1c2b7d").await.unwrap();
    let (_, headers) = script.seen.lock().unwrap()[0].clone();
    assert_eq!(headers["x-on-behalf-of"].as_bytes(), "joão".as_bytes());
    assert_eq!(headers["authorization"], "Bearer secret-token");
    assert!(!format!("{acting:?} {:?}", TokenSource::fixed("secret-token")).contains("secret"));
    let error = acting.find_ticket("UTI-1-Z").await.unwrap_err();
    assert!(error.to_string().contains("neither"), "{error}");
    assert_eq!(error.code(), "ticket_not_found");
}

#[tokio::test]
async fn no_server_at_all_is_told_with_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client(&listener);
    drop(listener);
    let error = client.whoami().await.unwrap_err();
    assert!(error.to_string().contains("medreq up"), "{error}");
    for bad in ["", "localhost:8080", "ftp://host", "http://user:secret@host"] {
        let error = Client::new(bad, TokenSource::None, Settings::default()).unwrap_err();
        assert!(matches!(error, ClientError::Setup(_)) && !error.to_string().contains("secret"), "{bad}: {error}");
    }
}
