//! The live feed as server-sent events: resumable without a gap, only what its reader may see, for as long as they may see it.

use std::{convert::Infallible, time::Duration};

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{
        IntoResponse, Response,
        sse::{Event, Sse},
    },
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Query},
    list,
    live::{Filter, Live, Session},
};
use crate::{api::events::StreamTicket, domain::ticket::TicketId, server::ports::Cursor};

/// How long a stream ticket lives unused.
pub(super) const TICKET_FOR: Duration = Duration::from_secs(30);

/// When an `EventSource` should come back after the end of a stream.
const RETRY: Duration = Duration::from_secs(2);

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(stream_events)).routes(routes!(issue_ticket))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct StreamParameters {
    /// Where to resume, for those who cannot send `Last-Event-ID`: the `id` of the last event seen.
    #[serde(default)]
    last_event_id: Option<String>,
    /// Only events of this ward.
    #[serde(default)]
    ward: Option<String>,
    /// Only events of the ticket with this id.
    #[serde(default)]
    ticket_id: Option<String>,
    /// Only events of tickets of these kinds, by commas.
    #[param(example = "refill,missing_dose")]
    #[serde(default)]
    kind: Option<String>,
    /// A single-use ticket in place of the `Authorization` header; see `POST /v1/events/ticket`.
    #[serde(default)]
    #[expect(dead_code, reason = "the guard takes it")]
    ticket: Option<String>,
}

/// What happens, as it happens (server-sent events).
///
/// Each frame's name is the event's, its data a `TicketEvent`, its `id` the position after it, to resume from. Without a position it starts now. A position of
/// another log or one that is too old is answered by a frame `reset` with the new position: read the lists again. A quiet stream is told
/// its position every 15 seconds. It ends when the token does, or within 5 seconds when what its owner may see changes: then connect again.
#[utoipa::path(
    get, path = "/v1/events", tag = "events", operation_id = "stream_events",
    security(("bearer" = ["tickets:read"]), ("stream_ticket" = [])),
    params(("Last-Event-ID" = Option<String>, Header, description = "Where to resume"), StreamParameters),
    responses((status = 200, description = "Events, without end", body = String, content_type = "text/event-stream"))
)]
async fn stream_events(
    State(state): State<AppState>,
    Caller(by): Caller,
    session: Session,
    headers: HeaderMap,
    Query(parameters): Query<StreamParameters>,
) -> Result<Response, ApiError> {
    let filter = filter(&parameters)?;
    let place = state.stream_place()?;
    let asked = asked_position(&headers, parameters.last_event_id.as_deref())?;
    let start = start(&state, asked).await?;
    let first = match &start {
        Start::At(position) => Event::default().id(position.to_string()),
        Start::Reset(position) => {
            let position = position.to_string();
            let data = json!({ "position": position }).to_string();
            Event::default().event("reset").id(position).data(data)
        }
    };
    let (Start::At(position) | Start::Reset(position)) = start;
    let live = Live::new(&state, &by, session, filter, position, first.retry(RETRY));
    let frames = stream::unfold((live, place), async |(mut live, place)| {
        live.next().await.map(|frame| (Ok::<_, Infallible>(frame), (live, place)))
    });
    let mut response = Sse::new(Box::pin(frames)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// Where a stream begins.
#[derive(Debug)]
enum Start {
    At(Cursor),
    Reset(Cursor),
}

async fn start(state: &AppState, asked: Option<Cursor>) -> Result<Start, ApiError> {
    let head = state.pipeline.head().await?;
    let Some(asked) = asked else { return Ok(Start::At(head)) };
    let tail = state.pipeline.tail().await?;
    Ok(if asked.is_between(&tail, &head) { Start::At(asked) } else { Start::Reset(head) })
}

fn asked_position(headers: &HeaderMap, parameter: Option<&str>) -> Result<Option<Cursor>, ApiError> {
    let header = headers.get("last-event-id").map(|value| value.to_str().unwrap_or("?"));
    let Some(text) = header.or(parameter).filter(|text| !text.is_empty()) else { return Ok(None) };
    let malformed = |()| {
        let detail = "the position is not the id of an event; leave it out to start now";
        ApiError::bad_request("invalid_event_id", "Last-Event-ID", detail)
    };
    text.parse().map(Some).map_err(malformed)
}

fn filter(parameters: &StreamParameters) -> Result<Filter, ApiError> {
    let odd = |field: &str, detail: String| ApiError::bad_request("invalid_parameter", field, detail);
    let ward = parameters.ward.as_deref().map(|ward| ward.parse().map_err(|error| odd("ward", format!("{error}"))));
    let ticket = parameters.ticket_id.as_deref().map(|id| {
        uuid::Uuid::try_parse(id).map(TicketId).map_err(|_| odd("ticket_id", "it is not the id of a ticket".to_owned()))
    });
    let kinds = list::any_of("kind", parameters.kind.as_deref())?;
    Ok(Filter { ward: ward.transpose()?, ticket: ticket.transpose()?, kinds })
}

/// Gives a single-use ticket for a browser's `EventSource`, which cannot send a header.
#[utoipa::path(
    post, path = "/v1/events/ticket", tag = "events", operation_id = "issue_stream_ticket",
    security(("bearer" = ["tickets:read"])),
    responses((status = 200, description = "Pass it as `?ticket=` within 30 seconds", body = StreamTicket))
)]
async fn issue_ticket(State(state): State<AppState>, session: Session) -> Json<StreamTicket> {
    Json(StreamTicket { ticket: state.stream_tickets().issue(session), expires_in: TICKET_FOR.as_secs() })
}
