//! Tickets: asking for them, their commands, their history. Each write is one call under one idempotency key.

use jiff::Timestamp;
use reqwest::Method;
use uuid::Uuid;

use super::{
    Client, ClientError, Write,
    call::{Call, Query},
};
use crate::{
    api::{
        List,
        events::TicketEvent,
        tickets::{
            CancelRequest, CommentRequest, DispatchRequest, EraseRequest, Erasure, HoldRequest, NewTicket, Nothing,
            PickRequest, Reassign, ReceiveRequest, RejectRequest, ResolveRequest, ReturnRequest, Ticket, TicketPatch,
            Transfer,
        },
    },
    domain::{
        number,
        reason::{Kind, Priority, Status},
        ticket::Identifier,
    },
};

const TICKETS: &[&str] = &["v1", "tickets"];

/// Which tickets to list; what is empty does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TicketFilter {
    /// Any of these.
    pub status: Vec<Status>,
    /// Any of these.
    pub kind: Vec<Kind>,
    /// Any of these.
    pub priority: Vec<Priority>,
    /// Codes; any of these.
    pub ward: Vec<String>,
    /// Codes; any of these.
    pub cabinet: Vec<String>,
    /// Codes; any of these.
    pub pharmacy: Vec<String>,
    /// Codes; any of these.
    pub medication: Vec<String>,
    /// Username of who works it.
    pub assignee: Option<String>,
    /// Username of who asked.
    pub requester: Option<String>,
    /// Words in number, places, names, medications, identifiers or note.
    pub q: Option<String>,
    /// An id that another system gave it.
    pub identifier: Option<Identifier>,
    /// Past due and not at an end.
    pub overdue: bool,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Order, such as `due_at`.
    pub sort: Option<String>,
    /// At most this many on a page, 200 at most.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl TicketFilter {
    fn query(&self) -> Query {
        Query::default()
            .any("status", &self.status)
            .any("kind", &self.kind)
            .any("priority", &self.priority)
            .any("ward", &self.ward)
            .any("cabinet", &self.cabinet)
            .any("pharmacy", &self.pharmacy)
            .any("medication", &self.medication)
            .some("assignee", self.assignee.as_ref())
            .some("requester", self.requester.as_ref())
            .some("q", self.q.as_ref())
            .identifier(self.identifier.as_ref())
            .flag("overdue", self.overdue)
            .some("from", self.from)
            .some("to", self.to)
            .some("sort", self.sort.as_ref())
            .some("limit", self.limit)
            .some("cursor", self.cursor.as_ref())
    }
}

/// A command on a ticket with what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TicketCommand {
    /// Take it.
    Claim,
    /// Put it back into the queue.
    Release,
    /// Give it to a colleague.
    Reassign(Reassign),
    /// Give it to another pharmacy.
    Transfer(Transfer),
    /// Pause it.
    Hold(HoldRequest),
    /// Go on.
    Resume,
    /// Settle lines.
    Pick(PickRequest),
    /// Take the picking back.
    Unpick,
    /// The check.
    Ready,
    /// Send it.
    Dispatch(DispatchRequest),
    /// It came back.
    Return(ReturnRequest),
    /// What arrived.
    Receive(ReceiveRequest),
    /// A service ticket is settled.
    Resolve(ResolveRequest),
    /// The pharmacy refuses it.
    Reject(RejectRequest),
    /// Withdraw it.
    Cancel(CancelRequest),
    /// Say something; needs no version.
    Comment(CommentRequest),
}

impl TicketCommand {
    /// Its name in the URL.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Release => "release",
            Self::Reassign(_) => "reassign",
            Self::Transfer(_) => "transfer",
            Self::Hold(_) => "hold",
            Self::Resume => "resume",
            Self::Pick(_) => "pick",
            Self::Unpick => "unpick",
            Self::Ready => "ready",
            Self::Dispatch(_) => "dispatch",
            Self::Return(_) => "return",
            Self::Receive(_) => "receive",
            Self::Resolve(_) => "resolve",
            Self::Reject(_) => "reject",
            Self::Cancel(_) => "cancel",
            Self::Comment(_) => "comment",
        }
    }

    fn body(&self, call: Call) -> Call {
        match self {
            Self::Claim | Self::Release | Self::Resume | Self::Unpick | Self::Ready => call.json(&Nothing {}),
            Self::Reassign(body) => call.json(body),
            Self::Transfer(body) => call.json(body),
            Self::Hold(body) => call.json(body),
            Self::Pick(body) => call.json(body),
            Self::Dispatch(body) => call.json(body),
            Self::Return(body) => call.json(body),
            Self::Receive(body) => call.json(body),
            Self::Resolve(body) => call.json(body),
            Self::Reject(body) => call.json(body),
            Self::Cancel(body) => call.json(body),
            Self::Comment(body) => call.json(body),
        }
    }
}

impl Client {
    /// Asks for something.
    ///
    /// # Errors
    /// [`ClientError`]; among its problems `duplicate_open_request`, `unusual_quantity`.
    pub async fn create_ticket(&self, ticket: &NewTicket, write: &Write) -> Result<Ticket, ClientError> {
        self.fetch(Call::new(self, Method::POST, TICKETS).json(ticket).write(write)?).await
    }

    /// One page of tickets.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn tickets(&self, filter: &TicketFilter) -> Result<List<Ticket>, ClientError> {
        self.fetch(Call::get(self, TICKETS).query(&filter.query())).await
    }

    /// All tickets that the filter lets through, page after page, as one list.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn all_tickets(&self, filter: &TicketFilter) -> Result<List<Ticket>, ClientError> {
        let mut filter = TicketFilter { limit: Some(200), ..filter.clone() };
        let mut all = self.tickets(&filter).await?;
        while let Some(next) = all.next.take() {
            filter.cursor = Some(next);
            let page = self.tickets(&filter).await?;
            all.items.extend(page.items);
            all.next = page.next;
        }
        Ok(all)
    }

    /// A ticket by its id or number.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn ticket(&self, id: &str) -> Result<Ticket, ClientError> {
        self.fetch(Call::get(self, &["v1", "tickets", id])).await
    }

    /// A ticket by its id or by the number that people say on the phone.
    ///
    /// # Errors
    /// [`ClientError`]; `NoSuchTicket` where the text is neither.
    pub async fn find_ticket(&self, id_or_number: &str) -> Result<Ticket, ClientError> {
        let text = id_or_number.trim();
        // Looked at before it is sent: a misheard number is caught by its check letter.
        if Uuid::try_parse(text).is_ok() || number::check(text) {
            return self.ticket(text).await;
        }
        Err(ClientError::NoSuchTicket(text.to_owned()))
    }

    /// Changes an open ticket; needs [`Write::if_version`].
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn amend_ticket(&self, id: &str, patch: &TicketPatch, write: &Write) -> Result<Ticket, ClientError> {
        self.fetch(Call::new(self, Method::PATCH, &["v1", "tickets", id]).json(patch).write(write)?).await
    }

    /// Sends a command; needs [`Write::if_version`], a comment excepted.
    ///
    /// # Errors
    /// [`ClientError`]; among its problems `already_claimed`, `stale_version`, `invalid_transition`.
    pub async fn command(&self, id: &str, command: &TicketCommand, write: &Write) -> Result<Ticket, ClientError> {
        let call = Call::new(self, Method::POST, &["v1", "tickets", id, command.name()]);
        self.fetch(command.body(call).write(write)?).await
    }

    /// Erases the texts of a ticket at its end, for good; by its id or number, for administrators.
    ///
    /// # Errors
    /// [`ClientError`]; among its problems `invalid_transition` where it is not at its end.
    pub async fn erase_ticket(&self, id: &str, request: &EraseRequest, write: &Write) -> Result<Erasure, ClientError> {
        self.fetch(Call::new(self, Method::POST, &["v1", "tickets", id, "erase"]).json(request).write(write)?).await
    }

    /// What happened to a ticket, oldest first: one page.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self, id: &str, cursor: Option<&str>) -> Result<List<TicketEvent>, ClientError> {
        let query = Query::default().some("limit", Some(200)).some("cursor", cursor);
        self.fetch(Call::get(self, &["v1", "tickets", id, "history"]).query(&query)).await
    }
}
