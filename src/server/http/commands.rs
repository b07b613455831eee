//! The commands on a ticket, one operation each: `POST /v1/tickets/{id}/{command}`. Translates; it decides nothing.

use axum::{extract::State, response::Response};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{Caller, Json, LaxJson, Path},
    headers::{VersionHeader, Write, WriteHeaders},
    tickets::answer,
};
use crate::{
    api::{
        problem::Problem,
        tickets::{
            CancelRequest, CommentRequest, DispatchRequest, EraseRequest, Erasure, HoldRequest, Nothing, PickRequest,
            Reassign, ReceiveRequest, RejectRequest, ResolveRequest, ReturnRequest, Ticket, Transfer,
        },
    },
    domain::command::Command,
    server::app::ticket_forms::Form,
};

pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(claim))
        .routes(routes!(release))
        .routes(routes!(reassign))
        .routes(routes!(transfer))
        .routes(routes!(pick))
        .routes(routes!(unpick))
        .routes(routes!(ready))
        .routes(routes!(dispatch))
        .routes(routes!(take_back))
        .routes(routes!(receive))
        .routes(routes!(resolve))
        .routes(routes!(hold))
        .routes(routes!(resume))
        .routes(routes!(reject))
        .routes(routes!(cancel))
        .routes(routes!(comment))
        .routes(routes!(erase))
}

/// Declares the operation of one command: `parse` makes the command of the body.
macro_rules! command {
    ($(#[$doc:meta])* $name:ident, $path:tt, $id:tt, $body:ident, $example:tt, params($($params:tt)*), $parse:expr) => {
        $(#[$doc])*
        #[utoipa::path(
            post, path = $path, tag = "tickets", operation_id = $id, security(("bearer" = ["tickets:write"])),
            params(("id" = String, Path, description = "Id or number"), $($params)*),
            request_body(content = $body, example = json!($example)),
            responses(
                (status = 200, description = "Done", body = Ticket, headers(("ETag" = String, description = "Its version, quoted"))),
                (status = 202, description = "Durable, not decided yet: ask at Location", headers(("Location" = String), ("Retry-After" = String))),
                (status = 404, description = "No such ticket, or none that you may see", body = Problem),
                (status = 409, description = "`already_claimed` with `assignee`, `invalid_transition` with `ticket_status` and `allowed`", body = Problem),
                (status = 412, description = "`stale_version` with `current_version` and `changes`", body = Problem),
                (status = 422, description = "A rule refuses, or the key was used for another request", body = Problem),
                (status = 428, description = "If-Match is missing", body = Problem),
            )
        )]
        async fn $name(
            State(state): State<AppState>,
            Caller(by): Caller,
            Path(id): Path<String>,
            Write(sending): Write,
            LaxJson(body): LaxJson<$body>,
        ) -> Result<Response, ApiError> {
            let parse: fn($body) -> Result<Command, ApiError> = $parse;
            let command = parse(body.clone())?;
            Ok(answer(&state, state.desk().send(&by, &id, &body, command, &sending).await?))
        }
    };
}

fn form<T: Form>(body: T) -> Result<Command, ApiError> {
    Ok(body.into_command()?)
}

command! {
    /// Takes an open ticket.
    ///
    /// Of two who try, one wins; the other is told who has it.
    claim, "/v1/tickets/{id}/claim", "claim_ticket", Nothing, {}, params(WriteHeaders, VersionHeader), |_| Ok(Command::Claim)
}
command! {
    /// Puts a claimed ticket back into the queue.
    release, "/v1/tickets/{id}/release", "release_ticket", Nothing, {}, params(WriteHeaders, VersionHeader), |_| Ok(Command::Release)
}
command! {
    /// Gives a claimed ticket to a colleague.
    reassign, "/v1/tickets/{id}/reassign", "reassign_ticket", Reassign, { "assignee": "rita" }, params(WriteHeaders, VersionHeader), form
}
command! {
    /// Gives a ticket to another pharmacy.
    transfer, "/v1/tickets/{id}/transfer", "transfer_ticket", Transfer, { "pharmacy": "SATELITE", "reason": "out_of_stock" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// Settles lines: in full, or short with a reason.
    ///
    /// A repeated line is another lot. Replaces the named lines' earlier picking.
    pick, "/v1/tickets/{id}/pick", "pick_ticket", PickRequest,
    { "lines": [{ "line": 1, "supplied": "8", "lot": "L42", "expiry": "2030-01-31", "reason": "out_of_stock" }] },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// Takes the picking back.
    unpick, "/v1/tickets/{id}/unpick", "unpick_ticket", Nothing, {}, params(WriteHeaders, VersionHeader), |_| Ok(Command::Unpick)
}
command! {
    /// The check before it may leave; a controlled line needs another person than the picker.
    ready, "/v1/tickets/{id}/ready", "ready_ticket", Nothing, {}, params(WriteHeaders, VersionHeader), |_| Ok(Command::Ready)
}
command! {
    /// Sends it to the ward.
    dispatch, "/v1/tickets/{id}/dispatch", "dispatch_ticket", DispatchRequest, { "method": "runner" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// It came back, or the ward sends it back.
    take_back, "/v1/tickets/{id}/return", "return_ticket", ReturnRequest, { "reason": "wrong_item" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// The ward confirms what arrived.
    receive, "/v1/tickets/{id}/receive", "receive_ticket", ReceiveRequest,
    { "lines": [{ "line": 1, "received": "7", "damaged": "1" }] }, params(WriteHeaders, VersionHeader), form
}
command! {
    /// Settles a service ticket.
    resolve, "/v1/tickets/{id}/resolve", "resolve_ticket", ResolveRequest, { "note": "drawer realigned" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// Pauses it; reasons that wait for the ward stop the clock.
    hold, "/v1/tickets/{id}/hold", "hold_ticket", HoldRequest,
    { "reason": "awaiting_ward", "resume_by": "2030-01-31T12:00:00Z" }, params(WriteHeaders, VersionHeader), form
}
command! {
    /// Goes on with a paused ticket.
    resume, "/v1/tickets/{id}/resume", "resume_ticket", Nothing, {}, params(WriteHeaders, VersionHeader), |_| Ok(Command::Resume)
}
command! {
    /// The pharmacy refuses it.
    reject, "/v1/tickets/{id}/reject", "reject_ticket", RejectRequest, { "reason": "not_stocked" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// Withdraws it.
    cancel, "/v1/tickets/{id}/cancel", "cancel_ticket", CancelRequest, { "reason": "no_longer_needed" },
    params(WriteHeaders, VersionHeader), form
}
command! {
    /// Says something about it; needs no version and gives none.
    comment, "/v1/tickets/{id}/comment", "comment_ticket", CommentRequest, { "text": "please leave it at the desk" },
    params(WriteHeaders), form
}

/// Erases the texts of a ticket that is at its end: note, patient reference, places searched, comments.
///
/// They are gone for good from the ticket, its history, the feed, searches and the answers that were given under an idempotency key; the
/// ticket, its lines and who did what stay, and so do the log's hashes. For administrators, who see no more of the ticket than its number. Asked
/// again, the answer is the same. Backups made before still hold the texts.
#[utoipa::path(
    post, path = "/v1/tickets/{id}/erase", tag = "tickets", operation_id = "erase_ticket", security(("bearer" = ["admin"])),
    params(("id" = String, Path, description = "Id or number"), WriteHeaders),
    request_body(content = EraseRequest, example = json!({ "reason": "request of the patient, protocol 2026/114" })),
    responses(
        (status = 200, description = "Erased", body = Erasure, headers(("ETag" = String, description = "The ticket's version, quoted"))),
        (status = 202, description = "Durable, not decided yet: ask at Location", headers(("Location" = String), ("Retry-After" = String))),
        (status = 404, description = "No such ticket", body = Problem),
        (status = 409, description = "`invalid_transition`: it is not at its end; with `ticket_status` and `allowed`", body = Problem),
        (status = 422, description = "The key was used for another request", body = Problem),
    )
)]
async fn erase(
    State(state): State<AppState>,
    Caller(by): Caller,
    Path(id): Path<String>,
    Write(sending): Write,
    Json(body): Json<EraseRequest>,
) -> Result<Response, ApiError> {
    Ok(answer(&state, state.desk().erase(&by, &id, &body, &sending).await?))
}
