//! What callers do with tickets: reading what they may see, and sending commands in the order of refusals. It decides nothing.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use uuid::Uuid;

use super::{
    idempotency::{command_id, fingerprint},
    scans,
    ticket_cache::TicketCache,
    ticket_forms::{self, Asked, AskedLine, Form, Misfit},
};
use crate::{
    api::tickets as wire,
    domain::{
        actor::{Actor, UserId},
        code::{MedicationCode, WardCode},
        command::{Command, CommandName},
        number, permission,
        refusal::{Refusal, RefusalCode},
        ticket::{Ticket, TicketId, Version},
    },
    server::{
        auth::Principal,
        ports::{
            Appended, CommandId, Outcome, Page, Pipeline, RecordedEvent, ReferenceStore, StoreError, StoredOutcome,
            Submission, SubmitError, Submitted, TicketQuery, TicketStore, Visibility,
        },
    },
};

/// Why a use case gives no answer.
#[derive(Debug)]
pub(crate) enum DeskError {
    /// A field has not the shape that it must have.
    Shape {
        /// The field.
        field: String,
        /// What is wrong.
        detail: String,
    },
    /// There is no such ticket, or none that the caller may see.
    NoTicket,
    /// There is no such command, or it was somebody else's.
    NoCommand,
    /// The destination is outside of the caller's places.
    OutOfReach(Refusal),
    /// A rule refuses.
    Refused(Refusal),
    /// A change does not say what it is based on.
    VersionMissing,
    /// The version asked for is not here yet.
    NotYet,
    /// A port failed.
    Store(StoreError),
    /// A command has no answer.
    Submit(SubmitError),
}

impl From<Misfit> for DeskError {
    fn from(misfit: Misfit) -> Self {
        match misfit {
            Misfit::Shape { field, detail } => Self::Shape { field, detail },
            Misfit::Rule(refusal) => Self::Refused(refusal),
        }
    }
}

impl From<Refusal> for DeskError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<SubmitError> for DeskError {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

/// How a command was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sending {
    /// The key under which a retry is the same command.
    pub(crate) key: String,
    /// The version that it is based on.
    pub(crate) expected: Option<Version>,
    /// How long to wait for the outcome.
    pub(crate) wait: Duration,
}

/// What became of a command.
#[derive(Debug)]
pub(crate) enum Sent {
    /// Decided.
    Done {
        /// The outcome.
        outcome: StoredOutcome,
        /// True where an earlier request with the same key had it decided.
        replayed: bool,
    },
    /// Durable, not yet decided.
    Pending(Waiting),
}

/// A command that waits to be decided: all that is needed to learn its fate, on any node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// Its identity.
    pub(crate) id: CommandId,
    /// What was asked for: an outcome of the same key may be another's.
    pub(crate) body_hash: [u8; 32],
    /// Who may know.
    pub(crate) actor: UserId,
    /// Where it waits.
    pub(crate) at: Appended,
}

/// What became of a command that waited.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It still waits.
    Pending,
    /// Decided.
    Decided(Box<StoredOutcome>),
    /// Its key stood for another command by then.
    KeyReused,
    /// It took no effect, and never will.
    Lost,
}

/// The use cases around tickets.
pub(crate) struct TicketDesk {
    issuer: String,
    pipeline: Arc<dyn Pipeline>,
    tickets: Arc<dyn TicketStore>,
    reference: Arc<dyn ReferenceStore>,
    /// Tickets as last seen, for reading.
    pub(crate) cache: Arc<TicketCache>,
}

impl TicketDesk {
    /// Over the ports; the issuer is a part of every command's identity.
    pub(crate) fn new(
        issuer: String,
        pipeline: Arc<dyn Pipeline>,
        tickets: Arc<dyn TicketStore>,
        reference: Arc<dyn ReferenceStore>,
    ) -> Self {
        Self { issuer, pipeline, tickets, reference, cache: Arc::default() }
    }

    // ------------------------------------------------------------------------------------------------------ reading

    /// A ticket by id or number, at least at `min_version`.
    pub(crate) async fn ticket(
        &self,
        actor: &Actor,
        id_or_number: &str,
        min_version: Option<Version>,
    ) -> Result<Arc<Ticket>, DeskError> {
        let id = self.resolve(id_or_number).await?;
        let new_enough = |ticket: &Arc<Ticket>| min_version.is_none_or(|version| ticket.version >= version);
        let ticket = match self.cache.get(id).filter(new_enough) {
            Some(ticket) => ticket,
            None => {
                let ticket = Arc::new(self.tickets.ticket(id).await?.ok_or(DeskError::NoTicket)?);
                self.cache.put(Arc::clone(&ticket));
                ticket
            }
        };
        if !Visibility::of(actor).sees(&ticket) {
            return Err(DeskError::NoTicket);
        }
        if new_enough(&ticket) { Ok(ticket) } else { Err(DeskError::NotYet) }
    }

    /// A page of tickets; the query carries the reader's visibility.
    pub(crate) async fn tickets(&self, query: TicketQuery) -> Result<Page<Ticket>, DeskError> {
        Ok(self.tickets.tickets(query).await?)
    }

    /// Everything that happened to a ticket, oldest first.
    pub(crate) async fn history(&self, actor: &Actor, id_or_number: &str) -> Result<Vec<RecordedEvent>, DeskError> {
        let ticket = self.seen(actor, id_or_number).await?;
        Ok(self.tickets.history(ticket.id).await?)
    }

    /// What became of a command that was not decided in time. Whoever may not see its ticket any more is told of an erasure alone, which shows
    /// nothing of it.
    pub(crate) async fn fate(&self, actor: &Actor, waiting: &Waiting) -> Result<Fate, DeskError> {
        if waiting.actor != actor.person.id {
            return Err(DeskError::NoCommand);
        }
        // In this order: what is decided between the two has its outcome when the second is asked for.
        let past = self.pipeline.is_past(&waiting.at).await?;
        let outcome = match self.pipeline.outcome(waiting.id).await? {
            Some(outcome) => outcome,
            None if past => return Ok(Fate::Lost),
            None => return Ok(Fate::Pending),
        };
        if outcome.body_hash != waiting.body_hash {
            return Ok(Fate::KeyReused);
        }
        if outcome.command == CommandName::Erase || self.sees(actor, outcome.ticket).await? {
            Ok(Fate::Decided(Box::new(outcome)))
        } else {
            Err(DeskError::NoCommand)
        }
    }

    /// The id that a path names; whether the caller may see the ticket is not asked here.
    async fn resolve(&self, id_or_number: &str) -> Result<TicketId, DeskError> {
        if let Ok(id) = Uuid::try_parse(id_or_number) {
            return Ok(TicketId(id));
        }
        if !number::check(id_or_number) {
            return Err(DeskError::NoTicket);
        }
        let number = id_or_number.trim().to_ascii_uppercase();
        self.tickets.id_by_number(&number).await?.ok_or(DeskError::NoTicket)
    }

    /// A ticket as the store has it now, if the actor may see it.
    async fn seen(&self, actor: &Actor, id_or_number: &str) -> Result<Ticket, DeskError> {
        let id = self.resolve(id_or_number).await?;
        let ticket = self.tickets.ticket(id).await?.ok_or(DeskError::NoTicket)?;
        if Visibility::of(actor).sees(&ticket) { Ok(ticket) } else { Err(DeskError::NoTicket) }
    }

    /// False of a ticket that there is and that the actor may not see; a refused create made none.
    async fn sees(&self, actor: &Actor, id: TicketId) -> Result<bool, StoreError> {
        let ticket = self.tickets.ticket(id).await?;
        Ok(ticket.is_none_or(|ticket| Visibility::of(actor).sees(&ticket)))
    }

    // ------------------------------------------------------------------------------------------------------ writing

    /// Makes a ticket.
    pub(crate) async fn create(
        &self,
        by: &Principal,
        new: wire::NewTicket,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let request = self.request(by, sending, None, CommandName::Create, &new);
        let asked = well_shaped(ticket_forms::asked(new))?;
        if let Some(outcome) = self.pipeline.outcome(request.id).await? {
            return self.made_before(by, &request, outcome).await;
        }
        let destination = match &asked {
            Ok(asked) => self.destination(&by.actor, asked).await,
            Err(refusal) => Err(refusal.clone().into()),
        };
        if !matches!(destination, Err(DeskError::OutOfReach(_))) {
            permission::check_role(CommandName::Create, &by.actor.roles)?;
        }
        let (ward, asked) = (destination?, asked?);
        let medications = self.medications(&asked.lines).await?;
        let command = Command::Create(Box::new(asked.into_create(ward.clone(), medications)?));
        let ticket = TicketId::derive(&ward, request.id.0);
        self.submit(by, request, (ticket, ward), command, None, sending.wait).await
    }

    /// Changes an open ticket.
    pub(crate) async fn amend(
        &self,
        by: &Principal,
        id_or_number: &str,
        patch: wire::TicketPatch,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let form = ticket_forms::patch(patch.clone())?;
        let ticket = self.seen(&by.actor, id_or_number).await?;
        permission::check_role(CommandName::Amend, &by.actor.roles)?;
        let request = self.request(by, sending, Some(ticket.id), CommandName::Amend, &patch);
        if let Some(answer) = self.answered(&request).await? {
            return Ok(answer);
        }
        let expected = Some(sending.expected.ok_or(DeskError::VersionMissing)?);
        let medications = self.medications(form.lines.as_deref().unwrap_or_default()).await?;
        let command = form.into_command(ticket.kind, medications)?;
        self.submit(by, request, (ticket.id, ticket.ward), command, expected, sending.wait).await
    }

    /// Sends any other command to a ticket; `body` is what it was read from.
    pub(crate) async fn send(
        &self,
        by: &Principal,
        id_or_number: &str,
        body: &(impl Serialize + Sync),
        command: Command,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let ticket = self.seen(&by.actor, id_or_number).await?;
        permission::check_role(command.name(), &by.actor.roles)?;
        let request = self.request(by, sending, Some(ticket.id), command.name(), body);
        if let Some(answer) = self.answered(&request).await? {
            return Ok(answer);
        }
        let expected = match command.name() {
            CommandName::Comment => None,
            _ => Some(sending.expected.ok_or(DeskError::VersionMissing)?),
        };
        self.submit(by, request, (ticket.id, ticket.ward), command, expected, sending.wait).await
    }

    /// Erases the texts of a ticket at its end. Whoever may do that need not be one of those who see the ticket.
    pub(crate) async fn erase(
        &self,
        by: &Principal,
        id_or_number: &str,
        body: &wire::EraseRequest,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        permission::check_role(CommandName::Erase, &by.actor.roles)?;
        let command = body.clone().into_command()?;
        let id = self.resolve(id_or_number).await?;
        let ticket = self.tickets.ticket(id).await?.ok_or(DeskError::NoTicket)?;
        let request = self.request(by, sending, Some(id), CommandName::Erase, body);
        if let Some(answer) = self.answered(&request).await? {
            return Ok(answer);
        }
        self.submit(by, request, (id, ticket.ward), command, None, sending.wait).await
    }

    fn request(
        &self,
        by: &Principal,
        sending: &Sending,
        ticket: Option<TicketId>,
        name: CommandName,
        body: &impl Serialize,
    ) -> Request {
        let id = command_id(&self.issuer, by, &sending.key);
        Request { id, fingerprint: fingerprint(&sending.key, ticket, name, body) }
    }

    /// The first answer, where the request had one.
    async fn answered(&self, request: &Request) -> Result<Option<Sent>, DeskError> {
        let outcome = self.pipeline.outcome(request.id).await?;
        Ok(outcome.map(|outcome| request.replay(outcome)).transpose()?)
    }

    /// The first answer to a create, to a caller who may still see the ticket that it made.
    async fn made_before(&self, by: &Principal, request: &Request, outcome: StoredOutcome) -> Result<Sent, DeskError> {
        if outcome.body_hash == request.fingerprint && !self.sees(&by.actor, outcome.ticket).await? {
            return Err(DeskError::NoTicket);
        }
        permission::check_role(CommandName::Create, &by.actor.roles)?;
        Ok(request.replay(outcome)?)
    }

    async fn submit(
        &self,
        by: &Principal,
        request: Request,
        (ticket, ward): (TicketId, WardCode),
        command: Command,
        expected: Option<Version>,
        wait: Duration,
    ) -> Result<Sent, DeskError> {
        let submission = Submission {
            command_id: request.id,
            body_hash: request.fingerprint,
            ticket,
            ward,
            expected,
            command,
            actor: by.actor.clone(),
        };
        match self.pipeline.submit(submission, wait).await? {
            Submitted::Done(outcome) => {
                if let Outcome::Applied(ticket) = &outcome.outcome {
                    self.cache.put(Arc::new(ticket.as_ref().clone()));
                }
                Ok(Sent::Done { outcome, replayed: false })
            }
            Submitted::Pending(at) => Ok(Sent::Pending(Waiting {
                id: request.id,
                body_hash: request.fingerprint,
                actor: by.actor.person.id,
                at,
            })),
        }
    }

    /// The ward of a new ticket: the one named, or the cabinet's; it must be within the caller's places.
    async fn destination(&self, actor: &Actor, asked: &Asked) -> Result<WardCode, DeskError> {
        let unknown = |code, what: &str, name: &str| {
            Refusal::new(code, format!("there is no {what} {name}, or none of yours; check its code")).at(what)
        };
        let cabinet = |name: &str| unknown(RefusalCode::UnknownCabinet, "cabinet", name);
        let code = match (&asked.ward, &asked.cabinet) {
            (Some(ward), _) => ward.clone(),
            (None, Some(code)) => {
                let found = self.reference.cabinet(code).await?;
                found.ok_or_else(|| cabinet(code.as_str()))?.0.ward
            }
            (None, None) => {
                let detail = "say where it is needed: a cabinet or a ward";
                return Err(Refusal::new(RefusalCode::FieldRequired, detail).at("cabinet").into());
            }
        };
        let wards = self.reference.wards().await?;
        let out_of_reach = match (&asked.ward, &asked.cabinet) {
            (None, Some(code)) => cabinet(code.as_str()),
            _ => unknown(RefusalCode::UnknownWard, "ward", code.as_str()),
        };
        match wards.into_iter().find(|ward| ward.code == code) {
            None => Err(DeskError::Refused(out_of_reach)),
            Some(ward) if Visibility::of(actor).includes(&ward.code, [&ward.pharmacy]) => Ok(ward.code),
            Some(_) => Err(DeskError::OutOfReach(out_of_reach)),
        }
    }

    async fn medications(&self, lines: &[AskedLine]) -> Result<Vec<MedicationCode>, DeskError> {
        let mut codes = Vec::with_capacity(lines.len());
        for (index, line) in lines.iter().enumerate() {
            let field = format!("lines[{index}].medication");
            codes.push(scans::medication(self.reference.as_ref(), &line.medication, &field).await??);
        }
        Ok(codes)
    }
}

/// What makes a retry the same request.
struct Request {
    id: CommandId,
    fingerprint: [u8; 32],
}

impl Request {
    fn replay(&self, outcome: StoredOutcome) -> Result<Sent, SubmitError> {
        match outcome.body_hash == self.fingerprint {
            true => Ok(Sent::Done { outcome, replayed: true }),
            false => Err(SubmitError::KeyReused),
        }
    }
}

/// Lets a form wait that a rule refuses: only its shape comes before the answer that the key may have.
fn well_shaped<T>(formed: Result<T, Misfit>) -> Result<Result<T, Refusal>, DeskError> {
    match formed {
        Ok(form) => Ok(Ok(form)),
        Err(Misfit::Rule(refusal)) => Ok(Err(refusal)),
        Err(shape) => Err(shape.into()),
    }
}
