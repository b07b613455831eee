//! The live feed: connects, resumes after the last event seen, waits longer while the server is away. Skips nothing, gives nothing twice.

use std::{collections::VecDeque, time::Duration};

use reqwest::{
    Response,
    header::{self, HeaderName},
};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    Client, ClientError,
    call::{Call, Query, problem},
    retry::{Backoff, retry_after},
    sse::{Frame, Parser},
};
use crate::{
    api::{events::TicketEvent, problem::Problem},
    domain::reason::Kind,
};

/// Longest silence of a stream that lives: the server sends a comment more often than that.
const SILENCE: Duration = Duration::from_secs(60);

/// Longest wait for the stream's head.
const OPENING: Duration = Duration::from_secs(15);

/// What the feed tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedItem {
    /// Connected: what follows is live, after what was missed.
    Connected,
    /// Something happened. `cursor` resumes after it.
    Event {
        /// Where to resume.
        cursor: String,
        /// What happened.
        event: Box<TicketEvent>,
    },
    /// What happened since the position asked for is not kept any more: read the lists again, then go on from `cursor`.
    Reset {
        /// Where the feed goes on.
        cursor: String,
    },
    /// The connection is gone; it is tried again after `delay`.
    Waiting {
        /// What happened.
        reason: String,
        /// When it is tried again.
        delay: Duration,
    },
}

/// What a feed tells of; what is left out does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Code of a ward.
    pub ward: Option<String>,
    /// Id of a ticket.
    pub ticket: Option<String>,
    /// Kinds of tickets; none means all.
    pub kinds: Vec<Kind>,
}

/// A feed that keeps itself alive; ends only with a refusal that waiting does not cure, such as an expired token.
pub struct EventStream {
    client: Client,
    filter: EventFilter,
    cursor: Option<String>,
    connection: Option<Connection>,
    ready: VecDeque<FeedItem>,
    backoff: Backoff,
    not_before: Option<Instant>,
    end: End,
}

/// Whether the feed goes on.
#[derive(Debug, Default)]
enum End {
    #[default]
    Alive,
    /// Ends with this, once what came before it is given out.
    With(Box<ClientError>),
    Over,
}

struct Connection {
    response: Response,
    parser: Parser,
}

impl Client {
    /// The live feed, from after `cursor` (the `id` of the last event seen) or from now.
    #[must_use]
    pub fn events(&self, filter: EventFilter, cursor: Option<String>) -> EventStream {
        EventStream {
            client: self.clone(),
            filter,
            cursor,
            connection: None,
            ready: VecDeque::new(),
            backoff: Backoff::new(),
            not_before: None,
            end: End::Alive,
        }
    }
}

impl EventStream {
    /// Where to resume after what was given out so far.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref()
    }

    /// The next item; `None` after an error. May be cancelled and called again without losing anything.
    pub async fn next(&mut self) -> Option<Result<FeedItem, ClientError>> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                if let FeedItem::Event { cursor, .. } | FeedItem::Reset { cursor } = &item {
                    self.cursor = Some(cursor.clone());
                }
                return Some(Ok(item));
            }
            match std::mem::replace(&mut self.end, End::Over) {
                End::Alive => self.end = End::Alive,
                End::With(error) => return Some(Err(*error)),
                End::Over => return None,
            }
            let step = if self.connection.is_some() { self.read().await } else { self.connect().await };
            if let Err(error) = step {
                self.connection = None;
                if is_final(&error) {
                    self.end = End::With(Box::new(error));
                } else {
                    self.wait(error.to_string(), None);
                }
            }
        }
    }

    fn wait(&mut self, reason: String, asked: Option<Duration>) {
        let delay = asked.unwrap_or_default().max(self.backoff.delay());
        self.not_before = Some(Instant::now() + delay);
        self.ready.push_back(FeedItem::Waiting { reason, delay });
    }

    async fn connect(&mut self) -> Result<(), ClientError> {
        if let Some(at) = self.not_before {
            sleep_until(at).await;
        }
        let query = Query::default()
            .some("ward", self.filter.ward.as_ref())
            .some("ticket_id", self.filter.ticket.as_ref())
            .any("kind", &self.filter.kinds);
        let mut call = Call::get(&self.client, &["v1", "events"]).query(&query);
        call = call.header(header::ACCEPT, "media type", "text/event-stream")?;
        if let Some(cursor) = &self.cursor {
            call = call.header(HeaderName::from_static("last-event-id"), "cursor", cursor)?;
        }
        let response = match timeout(OPENING, self.client.respond(&call, None)).await {
            Ok(opened) => opened?,
            Err(_) => return Err(gone("the server did not open the feed in time")),
        };
        let (status, url) = (response.status(), response.url().clone());
        if status.is_success() {
            self.connection = Some(Connection { response, parser: Parser::default() });
            self.not_before = None;
            self.ready.push_back(FeedItem::Connected);
            return Ok(());
        }
        let asked = retry_after(response.headers());
        let body = response.bytes().await.unwrap_or_default();
        let refusal = problem(&url, status, &body);
        if is_final(&refusal) {
            return Err(refusal);
        }
        self.wait(refusal.to_string(), asked);
        Ok(())
    }

    async fn read(&mut self) -> Result<(), ClientError> {
        let Some(Connection { response, parser }) = &mut self.connection else { return Ok(()) };
        let chunk = match timeout(SILENCE, response.chunk()).await {
            Ok(read) => read.map_err(|error| ClientError::transport(self.client.base(), &error))?,
            Err(_) => return Err(gone("the feed fell silent")),
        };
        let chunk = chunk.ok_or_else(|| gone("the server ended the feed"))?;
        let parsed = parser.feed(&chunk).map_err(|_| gone("the feed sent an event without end"))?;
        if let Some(first) = parsed.retry {
            self.backoff.set_first(first);
        }
        if let (true, Some(position)) = (parsed.frames.is_empty() && self.ready.is_empty(), parsed.position) {
            self.cursor = Some(position);
        }
        for frame in parsed.frames {
            self.take(frame)?;
        }
        Ok(())
    }

    fn take(&mut self, frame: Frame) -> Result<(), ClientError> {
        if let ("reset", Some(cursor)) = (frame.event.as_str(), &frame.id) {
            self.ready.push_back(FeedItem::Reset { cursor: cursor.clone() });
            return Ok(());
        }
        if let Ok(event) = serde_json::from_str::<TicketEvent>(&frame.data) {
            self.backoff.reset();
            let cursor = frame.id.unwrap_or_else(|| event.id.clone());
            self.ready.push_back(FeedItem::Event { cursor, event: Box::new(event) });
            return Ok(());
        }
        match serde_json::from_str::<Problem>(&frame.data) {
            Ok(problem) => Err(ClientError::Problem(Box::new(problem))),
            // A later server may tell more than tickets; who does not know it may pass it over.
            Err(_) => Ok(()),
        }
    }
}

fn gone(message: &str) -> ClientError {
    ClientError::Transport { message: message.to_owned(), outcome_unknown: true }
}

/// True where the same again would be refused again.
fn is_final(error: &ClientError) -> bool {
    match error {
        ClientError::Problem(problem) => (400..500).contains(&problem.status) && problem.status != 429,
        ClientError::Decode { status, .. } => (400..500).contains(status),
        ClientError::Setup(_) | ClientError::SignedOut(_) | ClientError::NoSuchTicket(_) => true,
        ClientError::Transport { .. } | ClientError::Pending { .. } => false,
    }
}
