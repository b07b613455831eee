//! One live stream: what it has told, what it may tell, when it must end. It never tells an event twice and never skips one.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
    response::sse::Event,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::FutureExt as _;
use tokio::{
    sync::{broadcast, watch},
    time::{Interval, MissedTickBehavior, interval_at},
};

use super::{AppState, error::ApiError, metrics::OpenStream};
use crate::{
    domain::{code::WardCode, reason::Kind, ticket::TicketId},
    server::{
        app::{event_view, feed},
        auth::{AuthError, Principal, REFRESH_EVERY, Scope},
        ports::{Cursor, RecordedEvent, Visibility},
    },
};

/// How often a quiet stream is told its position.
const POSITION_EVERY: Duration = Duration::from_secs(15);

/// How often the reader's authority is looked at again.
const AUTHORITY_EVERY: Duration = Duration::from_secs(2);

/// Within so many seconds a stream ends whose reader lost the right to it, whichever node that was written on.
const PROMISED: u64 = 5;
const _: () = assert!(REFRESH_EVERY.as_secs() + AUTHORITY_EVERY.as_secs() < PROMISED);

/// The credentials that a stream lives by.
#[derive(Debug, Clone)]
pub(super) struct Session {
    token: String,
    on_behalf_of: Option<String>,
}

impl Session {
    /// Those of a request's headers, which the guard has checked.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, AuthError> {
        let token = super::guard::bearer(headers)?.to_owned();
        Ok(Self { token, on_behalf_of: super::guard::on_behalf_of(headers)?.map(str::to_owned) })
    }

    /// Who they are, and what they may do now.
    pub(super) async fn authenticate(&self, state: &AppState) -> Result<Principal, AuthError> {
        state.auth.authenticate(&self.token, self.on_behalf_of.as_deref()).await
    }
}

impl FromRequestParts<AppState> for Session {
    type Rejection = ApiError;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        match parts.extensions.get::<Self>() {
            Some(session) => Ok(session.clone()),
            None => Ok(Self::of(&parts.headers)?),
        }
    }
}

/// Single-use tickets in place of a header that a browser's `EventSource` cannot send.
pub(super) struct StreamTickets(moka::sync::Cache<String, (Session, Instant)>);

impl Default for StreamTickets {
    fn default() -> Self {
        Self(moka::sync::Cache::builder().max_capacity(10_000).time_to_live(super::events::TICKET_FOR).build())
    }
}

impl StreamTickets {
    /// A new one.
    pub(super) fn issue(&self, session: Session) -> String {
        let halves = [uuid::Uuid::new_v4().into_bytes(), uuid::Uuid::new_v4().into_bytes()].concat();
        let ticket = URL_SAFE_NO_PAD.encode(halves);
        self.0.insert(ticket.clone(), (session, Instant::now()));
        ticket
    }

    /// What it stands for, once.
    pub(super) fn take(&self, ticket: &str) -> Option<Session> {
        self.take_at(ticket, Instant::now())
    }

    /// The cache gives what is over, too, until it tidies itself up.
    fn take_at(&self, ticket: &str, now: Instant) -> Option<Session> {
        let (session, issued) = self.0.remove(ticket)?;
        (now.saturating_duration_since(issued) < super::events::TICKET_FOR).then_some(session)
    }
}

/// Which events a reader asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// Of this ward.
    pub(super) ward: Option<WardCode>,
    /// Of this ticket.
    pub(super) ticket: Option<TicketId>,
    /// Of tickets of one of these kinds; none asks for all.
    pub(super) kinds: Vec<Kind>,
}

impl Filter {
    fn passes(&self, event: &RecordedEvent) -> bool {
        self.ward.as_ref().is_none_or(|ward| *ward == event.ward)
            && self.ticket.is_none_or(|ticket| ticket == event.ticket)
            && (self.kinds.is_empty() || self.kinds.contains(&event.kind))
    }
}

/// A stream under way.
pub(super) struct Live {
    state: AppState,
    session: Session,
    visibility: Visibility,
    filter: Filter,
    /// Everything up to here was told or is not for this reader.
    position: Cursor,
    first: Option<Event>,
    ready: VecDeque<Arc<RecordedEvent>>,
    /// True while the store has nothing that the tail would not tell.
    caught_up: bool,
    told: broadcast::Receiver<Arc<RecordedEvent>>,
    stop: watch::Receiver<bool>,
    remind: Interval,
    recheck: Interval,
    _open: OpenStream,
}

fn every(period: Duration) -> Interval {
    let mut interval = interval_at(tokio::time::Instant::now() + period, period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Why a waiting stream woke up.
enum Woken {
    Told(Result<Arc<RecordedEvent>, broadcast::error::RecvError>),
    Recheck,
    Remind,
    Stop,
}

impl Live {
    /// Subscribes before anything is read, so that nothing falls between.
    pub(super) fn new(
        state: &AppState,
        by: &Principal,
        session: Session,
        filter: Filter,
        position: Cursor,
        first: Event,
    ) -> Self {
        Self {
            session,
            visibility: Visibility::of(&by.actor),
            filter,
            position,
            first: Some(first),
            ready: VecDeque::new(),
            caught_up: false,
            told: state.feed().subscribe(),
            stop: state.shutdown.clone(),
            remind: every(POSITION_EVERY),
            recheck: every(AUTHORITY_EVERY),
            _open: state.edge.metrics().open_stream(),
            state: state.clone(),
        }
    }

    /// The next frame; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Event> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            // Before anything is told: a reader with a long backlog, or one that paused, must not get the log after they lost the right to it.
            if self.recheck.tick().now_or_never().is_some() {
                self.still_allowed().await?;
            }
            while let Some(event) = self.ready.pop_front() {
                self.position.advance(event.id);
                if self.may_tell(&event) {
                    self.remind.reset();
                    return Some(frame(&event, &self.position));
                }
            }
            if *self.stop.borrow() {
                return None;
            }
            if !self.caught_up {
                self.read_store().await?;
                continue;
            }
            match self.wait().await {
                Woken::Stop => return None,
                Woken::Recheck => self.still_allowed().await?,
                Woken::Remind => return Some(Event::default().id(self.position.to_string())),
                Woken::Told(told) => self.take(told)?,
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        tokio::select! {
            biased;
            _ = self.stop.wait_for(|stopped| *stopped) => Woken::Stop,
            _ = self.recheck.tick() => Woken::Recheck,
            told = self.told.recv() => Woken::Told(told),
            _ = self.remind.tick() => Woken::Remind,
        }
    }

    fn take(&mut self, told: Result<Arc<RecordedEvent>, broadcast::error::RecvError>) -> Option<()> {
        match told {
            Ok(event) if self.position.includes(event.id) => {}
            Ok(event) if self.position.is_before(event.id) => self.ready.push_back(event),
            // Something is missing between: the store has it.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.caught_up = false,
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(())
    }

    async fn read_store(&mut self) -> Option<()> {
        match self.state.pipeline.events_after(&self.position, feed::PAGE).await {
            Ok(page) => {
                self.caught_up = page.is_empty();
                self.ready.extend(page.into_iter().map(Arc::new));
                Some(())
            }
            Err(error) => {
                tracing::warn!(%error, "a live stream ends: the store could not be read");
                None
            }
        }
    }

    /// Ends the stream where its reader may not read any more, or may see something else than before: they connect again and resume.
    /// The token's own end counts here: the leeway of verification is for a request that was late by a clock, and no stream is late.
    async fn still_allowed(&mut self) -> Option<()> {
        let principal = self.session.authenticate(&self.state).await.ok()?;
        principal.require(Scope::TicketsRead).ok()?;
        if principal.token_expires_at <= jiff::Timestamp::now() {
            return None;
        }
        (Visibility::of(&principal.actor) == self.visibility).then_some(())
    }

    fn may_tell(&self, event: &RecordedEvent) -> bool {
        self.visibility.includes(&event.ward, &event.pharmacies) && self.filter.passes(event)
    }
}

fn frame(event: &RecordedEvent, position: &Cursor) -> Event {
    let view = event_view::view(event);
    let data = serde_json::to_string(&view).expect("an event has string keys only");
    Event::default().id(position.to_string()).event(view.event).data(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_over_after_its_time_even_if_nothing_tidied_up() {
        let tickets = StreamTickets::default();
        let session = || Session { token: "t".to_owned(), on_behalf_of: None };
        let [early, late] = [(); 2].map(|()| tickets.issue(session()));
        let life = super::super::events::TICKET_FOR;
        assert!(tickets.take_at(&early, Instant::now() + life / 2).is_some());
        assert!(tickets.take_at(&late, Instant::now() + life).is_none());
    }
}
