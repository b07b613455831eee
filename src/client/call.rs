//! One call: built once, sent as often as is safe, its answer decoded. Only what may be repeated is repeated, always under the same key.

use std::time::Duration;

use reqwest::{
    Method, RequestBuilder, Response, StatusCode, Url,
    header::{self, HeaderMap, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::{Client, ClientError, retry::Backoff, retry::retry_after};
use crate::{
    api::{self, accounts::TokenProblem, problem::Problem, tickets::CommandStatus},
    domain::ticket::Identifier,
};

/// How a write is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Write {
    /// Makes it repeatable; a random one where left out.
    pub idempotency_key: Option<String>,
    /// The version that the change is based on (`If-Match`).
    pub if_version: Option<u64>,
    /// How long the server may take before it answers "accepted" (`Prefer: wait`).
    pub wait: Option<Duration>,
}

impl Write {
    /// Based on this version.
    #[must_use]
    pub fn at(version: u64) -> Self {
        Self { if_version: Some(version), ..Self::default() }
    }

    /// Under this key.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

/// How long an attempt of a call over a whole directory of medicines may take.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// A call as it will be sent.
#[derive(Debug)]
pub(super) struct Call {
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    key: Option<String>,
    /// Done twice it is as if it had been done once.
    repeatable: bool,
    headers: HeaderMap,
    /// How long an attempt may take.
    within: Duration,
}

/// An answer, read whole.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Query parameters; what is not asked for is left out.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    pub(super) fn some(mut self, name: &'static str, value: Option<impl ToString>) -> Self {
        self.0.extend(value.map(|value| (name, value.to_string())));
        self
    }

    /// Any of several: joined by commas.
    pub(super) fn any(self, name: &'static str, values: &[impl ToString]) -> Self {
        let joined = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        self.some(name, (!joined.is_empty()).then_some(joined))
    }

    pub(super) fn identifier(self, id: Option<&Identifier>) -> Self {
        self.some("identifier", id.map(|id| format!("{}|{}", id.system, id.value)))
    }

    pub(super) fn flag(self, name: &'static str, set: bool) -> Self {
        self.some(name, set.then_some("true"))
    }
}

impl Call {
    /// A read.
    pub(super) fn get(client: &Client, path: &[&str]) -> Self {
        Self::new(client, Method::GET, path)
    }

    pub(super) fn new(client: &Client, method: Method, path: &[&str]) -> Self {
        let mut url = client.shared.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        Self::to(client, method, url)
    }

    fn to(client: &Client, method: Method, url: Url) -> Self {
        let (repeatable, within) = (method.is_safe(), client.shared.settings.timeout);
        Self { method, url, body: None, key: None, repeatable, headers: HeaderMap::new(), within }
    }

    pub(super) fn query(mut self, query: &Query) -> Self {
        if !query.0.is_empty() {
            self.url.query_pairs_mut().extend_pairs(&query.0);
        }
        self
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_vec(body).expect("wire types always serialise"));
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self
    }

    pub(super) fn form(mut self, fields: &[(&str, &str)]) -> Self {
        // Only its encoder is wanted: a query is form-urlencoded too.
        let mut form = Url::parse("form:").expect("a constant");
        form.query_pairs_mut().extend_pairs(fields);
        self.body = Some(form.query().unwrap_or_default().as_bytes().to_vec());
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        self
    }

    /// A write under `/v1`: repeatable by its key.
    pub(super) fn write(mut self, write: &Write) -> Result<Self, ClientError> {
        let key = write.idempotency_key.clone().unwrap_or_else(|| Uuid::new_v4().to_string());
        self.headers.insert(api::IDEMPOTENCY_KEY, header_value("idempotency key", &key)?);
        self.key = Some(key);
        if let Some(version) = write.if_version {
            self.headers.insert(header::IF_MATCH, header_value("version", &format!("\"{version}\""))?);
        }
        if let Some(wait) = write.wait {
            self.headers.insert("prefer", header_value("wait", &format!("wait={}", wait.as_secs()))?);
        }
        Ok(self)
    }

    /// May be repeated without a key.
    pub(super) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Sends this header; `what` names its value in an error.
    pub(super) fn header(mut self, name: HeaderName, what: &str, value: &str) -> Result<Self, ClientError> {
        self.headers.insert(name, header_value(what, value)?);
        Ok(self)
    }

    /// Takes as long as it takes on a whole directory of medicines.
    pub(super) fn patient(mut self) -> Self {
        self.within = PATIENCE;
        self
    }

    fn may_repeat(&self) -> bool {
        self.repeatable || self.key.is_some()
    }
}

fn header_value(what: &str, text: &str) -> Result<HeaderValue, ClientError> {
    let printable = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b));
    match HeaderValue::from_str(text) {
        Ok(value) if printable => Ok(value),
        _ => Err(ClientError::Setup(format!("the {what} holds characters that no header can carry; use ASCII"))),
    }
}

impl Client {
    /// Sends a call and decodes its answer.
    pub(super) async fn fetch<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let url = call.url.clone();
        let key = call.key.clone();
        let answer = self.send(call).await?;
        if answer.status == StatusCode::ACCEPTED {
            return self.follow(&url, &answer, key.unwrap_or_default()).await;
        }
        decode(&url, answer.status, &answer.body)
    }

    /// Sends a call whose answer says nothing more than that it was done.
    pub(super) async fn done(&self, call: Call) -> Result<(), ClientError> {
        self.send(call).await.map(drop)
    }

    /// Sends a call, again where that is safe and may help. An answer is a success; a refusal is an error.
    async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        let settings = &self.shared.settings;
        let last_start = Instant::now() + settings.retry_within;
        let mut backoff = Backoff::new();
        for attempt in 1.. {
            let outcome = self.attempt(&call).await;
            let wait = match &outcome {
                Ok(answer) => wait_asked_for(&call, answer),
                // Where no connection came about nothing was sent, so even what has no key may be repeated.
                Err(ClientError::Transport { outcome_unknown, .. }) if call.may_repeat() || !outcome_unknown => {
                    Some(backoff.delay())
                }
                Err(_) => None,
            };
            match wait {
                Some(wait) if attempt < settings.attempts && Instant::now() + wait <= last_start => sleep(wait).await,
                _ => return outcome.and_then(|answer| refusal(&call.url, answer)),
            }
        }
        unreachable!("the last attempt returns")
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, ClientError> {
        let broken = |error: reqwest::Error| ClientError::transport(&self.shared.base, &error);
        let response = self.respond(call, Some(call.within)).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = response.bytes().await.map_err(broken)?;
        Ok(Answer { status, headers, body: body.into() })
    }

    /// Sends a call once, its body still to be read; again where its token is refused and another is to be had: nothing happened by the first.
    pub(super) async fn respond(&self, call: &Call, within: Option<Duration>) -> Result<Response, ClientError> {
        let send = async |token: Option<&str>| {
            let request = self.request_with(call, token)?;
            let request = within.into_iter().fold(request, RequestBuilder::timeout);
            request.send().await.map_err(|error| ClientError::transport(&self.shared.base, &error))
        };
        let token = self.shared.token.token(None).await?;
        let response = send(token.as_deref()).await?;
        if response.status() == StatusCode::UNAUTHORIZED && token.is_some() {
            let another = self.shared.token.token(token.as_deref()).await?;
            if another != token {
                return send(another.as_deref()).await;
            }
        }
        Ok(response)
    }

    /// The call with its token and for whom it is made.
    pub(super) async fn request(&self, call: &Call) -> Result<RequestBuilder, ClientError> {
        self.request_with(call, self.shared.token.token(None).await?.as_deref())
    }

    fn request_with(&self, call: &Call, token: Option<&str>) -> Result<RequestBuilder, ClientError> {
        let mut request = self.shared.http.request(call.method.clone(), call.url.clone()).headers(call.headers.clone());
        if let Some(token) = token {
            let mut value = header_value("access token", &format!("Bearer {token}"))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        if let Some(user) = &self.on_behalf_of {
            // As UTF-8: a username may hold letters that ASCII lacks.
            let value = HeaderValue::from_bytes(user.as_bytes())
                .map_err(|_| ClientError::Setup(format!("{user:?} is not a username to act for")))?;
            request = request.header(api::ON_BEHALF_OF, value);
        }
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        Ok(request)
    }

    /// Asks for the outcome of an accepted command until it is known.
    async fn follow<T: DeserializeOwned>(&self, asked: &Url, answer: &Answer, key: String) -> Result<T, ClientError> {
        let url = self.status_url(asked, &answer.headers)?;
        let until = Instant::now() + self.shared.settings.follow_within;
        let mut backoff = Backoff::new();
        while Instant::now() < until {
            sleep(backoff.delay().min(Duration::from_secs(1))).await;
            let answer = self.send(Call::to(self, Method::GET, url.clone())).await?;
            let status: CommandStatus = decode(&url, answer.status, &answer.body)?;
            let code = status.status.and_then(|code| StatusCode::from_u16(code).ok());
            let body = || serde_json::to_vec(&status.body).unwrap_or_default();
            match status.state.as_str() {
                "pending" => {}
                "done" => return decode(&url, code.unwrap_or(StatusCode::OK), &body()),
                "refused" => return Err(problem(&url, code.unwrap_or(StatusCode::CONFLICT), &body())),
                _ => {
                    let message =
                        format!("the server lost the command before it was decided; repeat it with the key {key}");
                    return Err(ClientError::Transport { message, outcome_unknown: true });
                }
            }
        }
        Err(ClientError::Pending { key })
    }

    /// Where the outcome will stand: on this server, whatever address it gives itself, so that the token goes nowhere else.
    fn status_url(&self, asked: &Url, headers: &HeaderMap) -> Result<Url, ClientError> {
        let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let named = location.and_then(|location| asked.join(location).ok()).ok_or_else(|| ClientError::Decode {
            url: shown(asked),
            status: 202,
            reason: "no status URL in Location".into(),
        })?;
        let mut url = self.shared.base.clone();
        url.set_path(named.path());
        url.set_query(named.query());
        Ok(url)
    }
}

/// How long the server asks to wait before the same again, where the same again is safe.
fn wait_asked_for(call: &Call, answer: &Answer) -> Option<Duration> {
    match answer.status {
        StatusCode::TOO_MANY_REQUESTS => retry_after(&answer.headers),
        StatusCode::SERVICE_UNAVAILABLE if call.may_repeat() => retry_after(&answer.headers),
        _ => None,
    }
}

fn refusal(url: &Url, answer: Answer) -> Result<Answer, ClientError> {
    if answer.status.is_success() { Ok(answer) } else { Err(problem(url, answer.status, &answer.body)) }
}

/// The problem that a refusal states, or that it states none.
pub(super) fn problem(url: &Url, status: StatusCode, body: &[u8]) -> ClientError {
    if let Ok(problem) = serde_json::from_slice::<Problem>(body) {
        return ClientError::Problem(Box::new(problem));
    }
    if let Ok(TokenProblem { error, error_description }) = serde_json::from_slice(body) {
        return ClientError::Problem(Box::new(Problem {
            type_: "about:blank".into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            code: error,
            detail: error_description,
            field: None,
            request_id: None,
            more: serde_json::Map::new(),
        }));
    }
    ClientError::Decode { url: shown(url), status: status.as_u16(), reason: "the answer is no problem document".into() }
}

pub(super) fn decode<T: DeserializeOwned>(url: &Url, status: StatusCode, body: &[u8]) -> Result<T, ClientError> {
    serde_json::from_slice(body).map_err(|error| ClientError::Decode {
        url: shown(url),
        status: status.as_u16(),
        reason: error.to_string(),
    })
}

/// The URL without its query, which may hold what somebody searched for.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}
