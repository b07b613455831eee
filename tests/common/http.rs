//! Requests by hand, as an app's developer writes them: every header and byte is the test's own choice. Repeats nothing by itself.

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder, Response, header::HeaderMap};
use serde_json::Value;
use tokio::runtime::Runtime;
use uuid::Uuid;

use super::{DEADLINE, Server};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only(std::iter::empty())
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
});

/// A request that is being written.
pub(crate) struct Call(RequestBuilder);

impl Call {
    /// A request to a server; no token where it is empty.
    pub(crate) fn new(url: &str, token: &str, method: &str, path: &str) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let request = CLIENT.request(method, format!("{url}{path}")).timeout(DEADLINE);
        Self(if token.is_empty() { request } else { request.bearer_auth(token) })
    }

    /// Adds a header.
    pub(crate) fn header(self, name: &str, value: &str) -> Self {
        Self(self.0.header(name, value))
    }

    /// Names the idempotency key.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    /// Names a key that nobody used.
    pub(crate) fn new_key(self) -> Self {
        self.key(&Uuid::new_v4().to_string())
    }

    /// Names the version that the change is based on.
    pub(crate) fn version(self, version: u64) -> Self {
        self.header("if-match", &format!("\"{version}\""))
    }

    /// A JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// Any body.
    pub(crate) fn body(self, media_type: &str, body: impl Into<reqwest::Body>) -> Self {
        Self(self.0.header("content-type", media_type).body(body))
    }

    /// Sends it; the connection must hold.
    #[track_caller]
    pub(crate) fn send(self) -> Answer {
        self.try_send().unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends it and learns the status alone: the body of a stream never ends.
    #[track_caller]
    pub(crate) fn status(self) -> u16 {
        // The answer is dropped inside the runtime too: that ends its connection.
        let sent = RUNTIME.block_on(async { self.0.send().await.map(|answer| answer.status().as_u16()) });
        sent.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends it once.
    pub(crate) fn try_send(self) -> Result<Answer, reqwest::Error> {
        RUNTIME.block_on(async {
            let response = self.0.send().await?;
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let bytes = response.bytes().await?.to_vec();
            let json = serde_json::from_slice(&bytes).unwrap_or_default();
            Ok(Answer { status, headers, bytes, json })
        })
    }
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: u16,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// The bytes of the body.
    pub(crate) bytes: Vec<u8>,
    /// The body as JSON; null where it is none.
    pub(crate) json: Value,
}

impl Answer {
    /// A header as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json
    }

    /// The problem of a refusal: well-formed in every respect, with this status and code.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Value {
        let text = String::from_utf8_lossy(&self.bytes);
        assert_eq!((self.status, self.json["code"].as_str()), (status, Some(code)), "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        assert_eq!(self.json["status"], status, "{text}");
        for member in ["type", "title", "detail"] {
            assert!(self.json[member].as_str().is_some_and(|text| !text.is_empty()), "no {member} in {text}");
        }
        assert_eq!(self.json["request_id"].as_str(), Some(self.header("x-request-id")), "{text}");
        self.json
    }
}

impl Server {
    /// A request to it.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str) -> Call {
        Call::new(&self.url, token, method, path)
    }

    /// Reads; it must succeed.
    #[track_caller]
    pub(crate) fn get(&self, token: &str, path: &str) -> Value {
        self.call(token, "GET", path).send().expect(200)
    }

    /// Sends a new ticket under a new key.
    #[track_caller]
    pub(crate) fn create(&self, token: &str, body: &Value) -> Answer {
        self.call(token, "POST", "/v1/tickets").new_key().json(body).send()
    }

    /// Sends a command on a version of a ticket under a new key.
    #[track_caller]
    pub(crate) fn command(&self, token: &str, ticket: &Value, command: &str, body: &Value) -> Answer {
        let (id, version) = (ticket["id"].as_str().unwrap(), ticket["version"].as_u64().unwrap());
        self.call(token, "POST", &format!("/v1/tickets/{id}/{command}")).version(version).new_key().json(body).send()
    }

    /// Imports a list by the API; it must succeed.
    #[track_caller]
    pub(crate) fn import(&self, token: &str, what: &str, file: &str) -> Value {
        self.call(token, "POST", &format!("/v1/imports/{what}")).body("text/csv", file.to_owned()).send().expect(200)
    }
}

/// A connection to the event feed.
pub(crate) struct Feed {
    response: Response,
    buffer: Vec<u8>,
    last_id: Option<String>,
    /// When to come back after its end, in milliseconds, as the server said.
    pub(crate) retry: Option<u64>,
}

/// An event as the feed tells it.
#[derive(Debug)]
pub(crate) struct FeedEvent {
    /// Where to resume after it.
    pub(crate) id: String,
    /// The event.
    pub(crate) data: Value,
}

impl Feed {
    /// Connects, after an event or from now on.
    pub(crate) fn open(url: &str, token: &str, after: Option<&str>) -> Result<Self, String> {
        let mut request = CLIENT.get(format!("{url}/v1/events")).bearer_auth(token);
        if let Some(id) = after {
            request = request.header("last-event-id", id);
        }
        let response = RUNTIME.block_on(request.send()).map_err(|error| error.to_string())?;
        if response.status() != 200 {
            return Err(format!("the feed answers {}", response.status()));
        }
        Ok(Self { response, buffer: Vec::new(), last_id: None, retry: None })
    }

    /// The next event; `None` where none came within the time given, an error where the connection ended.
    pub(crate) fn next(&mut self, within: Duration) -> Result<Option<FeedEvent>, String> {
        let until = Instant::now() + within;
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let frame: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(event) = self.read(std::str::from_utf8(&frame).unwrap()) {
                    return Ok(Some(event));
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            match RUNTIME.block_on(async { tokio::time::timeout(left, self.response.chunk()).await }) {
                Err(_) => return Ok(None),
                Ok(Ok(Some(bytes))) => self.buffer.extend_from_slice(&bytes),
                Ok(Ok(None)) => return Err("the feed ended".to_owned()),
                Ok(Err(error)) => return Err(error.to_string()),
            }
        }
    }

    fn read(&mut self, frame: &str) -> Option<FeedEvent> {
        let mut data = String::new();
        for line in frame.lines() {
            if let Some(id) = line.strip_prefix("id:") {
                self.last_id = Some(id.trim().to_owned());
            } else if let Some(text) = line.strip_prefix("data:") {
                data.push_str(text.trim_start());
            } else if let Some(time) = line.strip_prefix("retry:") {
                self.retry = time.trim().parse().ok();
            }
        }
        let data: Value = serde_json::from_str(&data).ok()?;
        data.get("seq")?;
        Some(FeedEvent { id: self.last_id.clone()?, data })
    }
}
