//! What callers do with tickets: reading what they may see, and sending commands in the order of refusals. It decides nothing.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    scans,
    ticket_cache::TicketCache,
    ticket_forms::{Asked, AskedLine, Misfit, Patch},
};
use crate::{
    domain::{
        actor::Actor,
        code::{MedicationCode, WardCode},
        command::{Command, CommandName},
        number, permission,
        refusal::{Refusal, RefusalCode},
        ticket::{Ticket, TicketId, Version},
    },
    server::{
        auth::Principal,
        ports::{
            CommandId, Outcome, Page, Pipeline, RecordedEvent, ReferenceStore, StoreError, StoredOutcome, Submission,
            SubmitError, Submitted, TicketQuery, TicketSort, TicketStore, Visibility,
        },
    },
};

/// How long a command that was not decided in time is known by its id here.
const PENDING_FOR: Duration = Duration::from_secs(24 * 60 * 60);

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
    Pending(CommandId),
}

/// The use cases around tickets.
pub(crate) struct TicketDesk {
    issuer: String,
    pipeline: Arc<dyn Pipeline>,
    tickets: Arc<dyn TicketStore>,
    reference: Arc<dyn ReferenceStore>,
    /// Tickets as last seen, for reading.
    pub(crate) cache: Arc<TicketCache>,
    pending: moka::sync::Cache<CommandId, Uuid>,
}

impl TicketDesk {
    /// Over the ports; the issuer is a part of every command's identity.
    pub(crate) fn new(
        issuer: String,
        pipeline: Arc<dyn Pipeline>,
        tickets: Arc<dyn TicketStore>,
        reference: Arc<dyn ReferenceStore>,
    ) -> Self {
        let pending = moka::sync::Cache::builder().max_capacity(100_000).time_to_live(PENDING_FOR).build();
        Self { issuer, pipeline, tickets, reference, cache: Arc::default(), pending }
    }

    // ------------------------------------------------------------------------------------------------------ reading

    /// A ticket by id or number, at least at `min_version`.
    pub(crate) async fn ticket(
        &self,
        actor: &Actor,
        id_or_number: &str,
        min_version: Option<Version>,
    ) -> Result<Arc<Ticket>, DeskError> {
        let id = self.resolve(actor, id_or_number).await?;
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

    /// What became of a command that was not decided in time; `None` while it is not.
    pub(crate) async fn command(&self, actor: &Actor, id: CommandId) -> Result<Option<StoredOutcome>, DeskError> {
        match self.pipeline.outcome(id).await? {
            Some(outcome) if outcome.actor == actor.person.id => Ok(Some(outcome)),
            Some(_) => Err(DeskError::NoCommand),
            None if self.pending.get(&id) == Some(actor.person.id.0) => Ok(None),
            None => Err(DeskError::NoCommand),
        }
    }

    async fn resolve(&self, actor: &Actor, id_or_number: &str) -> Result<TicketId, DeskError> {
        if let Ok(id) = Uuid::try_parse(id_or_number) {
            return Ok(TicketId(id));
        }
        if !number::check(id_or_number) {
            return Err(DeskError::NoTicket);
        }
        let number = id_or_number.trim();
        let mut query = by_words(Visibility::of(actor), number);
        loop {
            let page = self.tickets.tickets(query.clone()).await?;
            if let Some(ticket) = page.items.iter().find(|ticket| ticket.number.eq_ignore_ascii_case(number)) {
                return Ok(ticket.id);
            }
            query.after = Some(page.next.ok_or(DeskError::NoTicket)?);
        }
    }

    /// A ticket as the store has it now, if the actor may see it.
    async fn seen(&self, actor: &Actor, id_or_number: &str) -> Result<Ticket, DeskError> {
        let id = self.resolve(actor, id_or_number).await?;
        let ticket = self.tickets.ticket(id).await?.ok_or(DeskError::NoTicket)?;
        if Visibility::of(actor).sees(&ticket) { Ok(ticket) } else { Err(DeskError::NoTicket) }
    }

    // ------------------------------------------------------------------------------------------------------ writing

    /// Makes a ticket.
    pub(crate) async fn create(&self, by: &Principal, asked: Asked, sending: &Sending) -> Result<Sent, DeskError> {
        let destination = self.destination(&by.actor, &asked).await;
        if !matches!(destination, Err(DeskError::OutOfReach(_))) {
            permission::check_role(CommandName::Create, &by.actor.roles)?;
        }
        let ward = destination?;
        let medications = self.medications(&asked.lines).await?;
        let command_id = self.command_id(by, &sending.key);
        let command = Command::Create(Box::new(asked.into_create(ward.clone(), medications)?));
        let submission = Submission {
            command_id,
            body_hash: body_hash(None, &command),
            ticket: TicketId::derive(&ward, command_id.0),
            ward,
            expected: None,
            command,
            actor: by.actor.clone(),
        };
        self.submit(submission, sending.wait).await
    }

    /// Changes an open ticket.
    pub(crate) async fn amend(
        &self,
        by: &Principal,
        id_or_number: &str,
        patch: Patch,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let ticket = self.seen(&by.actor, id_or_number).await?;
        permission::check_role(CommandName::Amend, &by.actor.roles)?;
        let medications = self.medications(patch.lines.as_deref().unwrap_or_default()).await?;
        let command = patch.into_command(ticket.kind, medications)?;
        self.submit_to(by, &ticket, command, sending).await
    }

    /// Sends any other command to a ticket.
    pub(crate) async fn send(
        &self,
        by: &Principal,
        id_or_number: &str,
        command: Command,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let ticket = self.seen(&by.actor, id_or_number).await?;
        permission::check_role(command.name(), &by.actor.roles)?;
        self.submit_to(by, &ticket, command, sending).await
    }

    async fn submit_to(
        &self,
        by: &Principal,
        ticket: &Ticket,
        command: Command,
        sending: &Sending,
    ) -> Result<Sent, DeskError> {
        let comment = command.name() == CommandName::Comment;
        let submission = Submission {
            command_id: self.command_id(by, &sending.key),
            body_hash: body_hash(Some(ticket.id), &command),
            ticket: ticket.id,
            ward: ticket.ward.clone(),
            expected: sending.expected.filter(|_| !comment),
            command,
            actor: by.actor.clone(),
        };
        self.submit(submission, sending.wait).await
    }

    /// The stored outcome of the key comes first, then the version that must be said, then the pipeline.
    async fn submit(&self, submission: Submission, wait: Duration) -> Result<Sent, DeskError> {
        if let Some(outcome) = self.pipeline.outcome(submission.command_id).await? {
            if outcome.body_hash != submission.body_hash {
                return Err(SubmitError::KeyReused.into());
            }
            return Ok(Sent::Done { outcome, replayed: true });
        }
        let unconditional = matches!(submission.command.name(), CommandName::Create | CommandName::Comment);
        if submission.expected.is_none() && !unconditional {
            return Err(DeskError::VersionMissing);
        }
        let (id, actor) = (submission.command_id, submission.actor.person.id.0);
        match self.pipeline.submit(submission, wait).await? {
            Submitted::Done(outcome) => {
                if let Outcome::Applied(ticket) = &outcome.outcome {
                    self.cache.put(Arc::new(ticket.as_ref().clone()));
                }
                Ok(Sent::Done { outcome, replayed: false })
            }
            Submitted::Pending => {
                self.pending.insert(id, actor);
                Ok(Sent::Pending(id))
            }
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

    fn command_id(&self, by: &Principal, key: &str) -> CommandId {
        let subject = by.subject.0.to_string();
        let mut hash = Sha256::new_with_prefix(b"medreq command id\0");
        for part in [self.issuer.as_str(), &by.client_id, &subject, key] {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.finalize()[..16]);
        CommandId(Uuid::new_v8(bytes))
    }
}

/// Tells a retry from another command under the same key; the expected version is no part of it.
fn body_hash(ticket: Option<TicketId>, command: &Command) -> [u8; 32] {
    let parsed = serde_json::to_vec(&(ticket, command)).expect("a command has string keys only");
    Sha256::digest(parsed).into()
}

fn by_words(visibility: Visibility, text: &str) -> TicketQuery {
    TicketQuery {
        visibility,
        statuses: vec![],
        kinds: vec![],
        priorities: vec![],
        wards: vec![],
        cabinets: vec![],
        pharmacies: vec![],
        assignee: None,
        requester: None,
        medications: vec![],
        text: Some(text.to_owned()),
        identifier: None,
        overdue_at: None,
        from: None,
        to: None,
        sort: TicketSort::default(),
        limit: 200,
        after: None,
    }
}
