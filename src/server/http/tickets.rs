//! Tickets over HTTP: asking for them, reading, changing, withdrawing. Translates; the use cases stand in `app::tickets`.

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, Path, Query},
    headers::{VersionHeader, Write, WriteHeaders, etag, none_match},
    list::ListParameters,
};
use crate::{
    api::{
        List,
        events::TicketEvent,
        problem::Problem,
        tickets::{CancelRequest, Erasure, NewTicket, Ticket, TicketPatch},
    },
    domain::{
        command::CommandName,
        reason::CancelReason,
        ticket::{self, Version},
    },
    server::{
        app::{event_view, ticket_forms::Form, tickets::Sent},
        ports::Outcome,
    },
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(create, list)).routes(routes!(read, amend, withdraw)).routes(routes!(history))
}

/// Asks for something: makes a ticket.
///
/// A create that meets an open request for the same medication and destination is refused with that ticket (409 `duplicate_open_request`);
/// sent again with `override` it passes.
#[utoipa::path(
    post, path = "/v1/tickets", tag = "tickets", operation_id = "create_ticket", security(("bearer" = ["tickets:write"])),
    params(WriteHeaders),
    request_body(content = NewTicket, example = json!({
        "kind": "refill", "cabinet": "UTI-01", "priority": "stat",
        "lines": [{ "medication": "MIDAZ-5", "quantity": "10", "unit": "vial" }], "note": "two left",
    })),
    responses(
        (status = 201, description = "Made", body = Ticket, headers(
            ("Location" = String, description = "The ticket"), ("ETag" = String, description = "Its version, quoted")
        )),
        (status = 202, description = "Durable, not decided yet: ask at Location", headers(("Location" = String), ("Retry-After" = String))),
        (status = 404, description = "The destination is not in your places", body = Problem),
        (status = 409, description = "`duplicate_open_request`, `identifier_taken`, `ambiguous_code`", body = Problem),
        (status = 422, description = "A rule refuses, or the key was used for another request", body = Problem),
    )
)]
async fn create(
    State(state): State<AppState>,
    Caller(by): Caller,
    Write(sending): Write,
    Json(new): Json<NewTicket>,
) -> Result<Response, ApiError> {
    Ok(answer(&state, state.desk().create(&by, new, &sending).await?))
}

/// Lists the tickets that you may see, those with the least time left first.
#[utoipa::path(
    get, path = "/v1/tickets", tag = "tickets", operation_id = "list_tickets", security(("bearer" = ["tickets:read"])),
    params(ListParameters),
    responses((status = 200, description = "A page", body = List<Ticket>))
)]
async fn list(
    State(state): State<AppState>,
    Caller(by): Caller,
    Query(parameters): Query<ListParameters>,
) -> Result<Json<List<Ticket>>, ApiError> {
    let query = parameters.into_query(&by.actor, Timestamp::now())?;
    let page = state.desk().tickets(query).await?;
    Ok(Json(List { items: page.items.iter().map(Ticket::from).collect(), next: page.next, total: page.total }))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct ReadParameters {
    /// Not older than this version; 503 where it is not readable here yet.
    #[serde(default)]
    #[param(minimum = 1)]
    min_version: Option<u64>,
}

/// Reads a ticket by its id or its number.
#[utoipa::path(
    get, path = "/v1/tickets/{id}", tag = "tickets", operation_id = "read_ticket", security(("bearer" = ["tickets:read"])),
    params(
        ("id" = String, Path, description = "Id or number"),
        ("If-None-Match" = Option<String>, Header, description = "304 where this is still its version"),
        ReadParameters
    ),
    responses(
        (status = 200, description = "The ticket", body = Ticket, headers(("ETag" = String, description = "Its version, quoted"))),
        (status = 304, description = "You have this version already"),
        (status = 404, description = "No such ticket, or none that you may see", body = Problem),
    )
)]
async fn read(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(parameters): Query<ReadParameters>,
) -> Result<Response, ApiError> {
    let ticket = state.desk().ticket(&by.actor, &id, parameters.min_version.map(Version)).await?;
    let tags = [(header::ETAG, etag(ticket.version)), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if none_match(&headers, ticket.version) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    Ok((tags, Json(Ticket::from(ticket.as_ref()))).into_response())
}

/// Changes priority, note or lines while it is open (merge patch, RFC 7396).
#[utoipa::path(
    patch, path = "/v1/tickets/{id}", tag = "tickets", operation_id = "amend_ticket", security(("bearer" = ["tickets:write"])),
    params(("id" = String, Path, description = "Id or number"), WriteHeaders, VersionHeader),
    request_body(content = TicketPatch, example = json!({ "priority": "urgent", "note": null })),
    responses(
        (status = 200, description = "Changed", body = Ticket, headers(("ETag" = String, description = "Its version, quoted"))),
        (status = 202, description = "Durable, not decided yet: ask at Location", headers(("Location" = String), ("Retry-After" = String))),
        (status = 404, description = "No such ticket, or none that you may see", body = Problem),
        (status = 409, description = "`invalid_transition`, `duplicate_open_request`, `ambiguous_code`", body = Problem),
        (status = 412, description = "`stale_version` with `current_version` and `changes`", body = Problem),
        (status = 422, description = "A rule refuses, or the key was used for another request", body = Problem),
        (status = 428, description = "If-Match is missing", body = Problem),
    )
)]
async fn amend(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Write(sending): Write,
    Json(patch): Json<TicketPatch>,
) -> Result<Response, ApiError> {
    Ok(answer(&state, state.desk().amend(&by, &id, patch, &sending).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct WithdrawParameters {
    /// Why.
    reason: CancelReason,
}

/// Withdraws a ticket: the same as its command `cancel`. Nothing is ever deleted.
#[utoipa::path(
    delete, path = "/v1/tickets/{id}", tag = "tickets", operation_id = "withdraw_ticket", security(("bearer" = ["tickets:write"])),
    params(("id" = String, Path, description = "Id or number"), WithdrawParameters, WriteHeaders, VersionHeader),
    responses(
        (status = 200, description = "Withdrawn", body = Ticket, headers(("ETag" = String, description = "Its version, quoted"))),
        (status = 202, description = "Durable, not decided yet: ask at Location", headers(("Location" = String), ("Retry-After" = String))),
        (status = 404, description = "No such ticket, or none that you may see", body = Problem),
        (status = 409, description = "`invalid_transition`", body = Problem),
        (status = 412, description = "`stale_version` with `current_version` and `changes`", body = Problem),
        (status = 422, description = "A rule refuses, or the key was used for another request", body = Problem),
        (status = 428, description = "If-Match is missing", body = Problem),
    )
)]
async fn withdraw(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Write(sending): Write,
    Query(parameters): Query<WithdrawParameters>,
) -> Result<Response, ApiError> {
    let body = CancelRequest { reason: parameters.reason, note: None };
    let command = body.clone().into_command()?;
    Ok(answer(&state, state.desk().send(&by, &id, &body, command, &sending).await?))
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct HistoryParameters {
    /// At most this many.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200, default = 200)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[serde(default)]
    cursor: Option<String>,
}

/// Everything that happened to a ticket, oldest first.
#[utoipa::path(
    get, path = "/v1/tickets/{id}/history", tag = "tickets", operation_id = "read_history",
    security(("bearer" = ["tickets:read"])),
    params(("id" = String, Path, description = "Id or number"), HistoryParameters),
    responses(
        (status = 200, description = "A page", body = List<TicketEvent>),
        (status = 404, description = "No such ticket, or none that you may see", body = Problem),
    )
)]
async fn history(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Query(parameters): Query<HistoryParameters>,
) -> Result<Json<List<TicketEvent>>, ApiError> {
    let limit = super::list::limit(parameters.limit.or(Some(super::list::LIMIT_MAX)))?;
    let after = match &parameters.cursor {
        None => 0,
        Some(cursor) => cursor.parse::<u64>().map_err(|_| super::list::invalid_cursor())?,
    };
    let events = state.desk().history(&by.actor, &id).await?;
    let total = Some(events.len() as u64);
    let mut rest = events.iter().filter(|event| event.id.seq > after);
    let items: Vec<TicketEvent> = rest.by_ref().take(limit).map(event_view::view).collect();
    let next = rest.next().and_then(|_| items.last()).map(|last| last.seq.to_string());
    Ok(Json(List { items, next, total }))
}

/// What whoever sent a command is shown of its ticket.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Shown {
    Ticket(Box<Ticket>),
    /// Who may erase need not be one of those who see the ticket.
    Erasure(Erasure),
}

impl Shown {
    pub(super) fn of(command: CommandName, ticket: &ticket::Ticket) -> Self {
        if command != CommandName::Erase {
            return Self::Ticket(Box::new(ticket.into()));
        }
        let erased_at = ticket.erased_at.unwrap_or(ticket.updated_at);
        Self::Erasure(Erasure { id: ticket.id.to_string(), number: ticket.number.clone(), erased_at })
    }
}

pub(super) fn done_status(command: CommandName) -> StatusCode {
    if command == CommandName::Create { StatusCode::CREATED } else { StatusCode::OK }
}

/// The answer to a write: the same for a first request and for its retries.
pub(super) fn answer(state: &AppState, sent: Sent) -> Response {
    match sent {
        Sent::Pending(waiting) => {
            state.edge.metrics().command("any", "pending");
            let address = format!("/v1/commands/{}", state.addresses.write(&waiting));
            let headers = [(header::LOCATION, address), (header::RETRY_AFTER, "1".to_owned())];
            (StatusCode::ACCEPTED, headers).into_response()
        }
        Sent::Done { outcome, replayed } => {
            let mut response = match &outcome.outcome {
                Outcome::Applied(ticket) => done(outcome.command, ticket),
                Outcome::Refused(refusal) => ApiError::from(refusal.clone()).into_response(),
            };
            let outcome_label = match &outcome.outcome {
                _ if replayed => "replayed",
                Outcome::Applied(_) => "applied",
                Outcome::Refused(refusal) => refusal.code.as_str(),
            };
            state.edge.metrics().command(outcome.command.as_str(), outcome_label);
            if replayed {
                response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
            }
            response
        }
    }
}

fn done(command: CommandName, ticket: &ticket::Ticket) -> Response {
    let status = done_status(command);
    let body = Json(Shown::of(command, ticket));
    let mut response = (status, [(header::ETAG, etag(ticket.version))], body).into_response();
    if status == StatusCode::CREATED {
        let location = HeaderValue::from_str(&format!("/v1/tickets/{}", ticket.id)).expect("an id is a header value");
        response.headers_mut().insert(header::LOCATION, location);
    }
    response
}
