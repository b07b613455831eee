//! What medreq promises, without any machine: commands decided one after the other. As small as the questions to it allow; it never knows of
//! logs, stores or processors.

use std::collections::BTreeMap;

use stateright::semantics::SequentialSpec;

/// Who sends commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Person {
    /// Asks for medicine.
    Nurse,
    /// Asks for the same medicine.
    OtherNurse,
    /// Claims.
    Ana,
    /// Claims too.
    Bruno,
}

/// A command's identity: from its actor and the idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct CommandId {
    pub(crate) actor: Person,
    pub(crate) key: u8,
}

/// A ticket's identity: its ward, and the command that creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TicketId {
    /// Its ward's partition: here each ward has its own.
    pub(crate) ward: usize,
    pub(crate) created_by: CommandId,
}

/// The wish. All creates of a ward ask for the same medicine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Command {
    Create { quantity: u8 },
    Claim { expected: u8 },
}

/// A command on its way to the decision, which is what a record of the log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Submission {
    pub(crate) command_id: CommandId,
    pub(crate) ticket: TicketId,
    pub(crate) command: Command,
}

impl Submission {
    /// A request for medicine.
    pub(crate) fn create(actor: Person, key: u8, ward: usize, quantity: u8) -> Self {
        let command_id = CommandId { actor, key };
        Self { command_id, ticket: TicketId { ward, created_by: command_id }, command: Command::Create { quantity } }
    }

    /// A claim of the ticket as it was created.
    pub(crate) fn claim(actor: Person, created: &Self) -> Self {
        let command_id = CommandId { actor, key: 1 };
        Self { command_id, ticket: created.ticket, command: Command::Claim { expected: 1 } }
    }

    /// The partition: by ward.
    pub(crate) fn partition(&self) -> usize {
        self.ticket.ward
    }
}

/// A ticket as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Ticket {
    pub(crate) version: u8,
    pub(crate) quantity: u8,
    pub(crate) assignee: Option<Person>,
}

pub(crate) type Tickets = BTreeMap<TicketId, Ticket>;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) ticket: TicketId,
    pub(crate) actor: Person,
    /// The ticket after it.
    pub(crate) after: Ticket,
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Refusal {
    TicketNotFound,
    AlreadyClaimed { assignee: Person },
    StaleVersion,
    InvalidTransition,
    DuplicateOpenRequest { ticket: TicketId },
}

/// What became of a command, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Applied(Ticket),
    Refused(Refusal),
}

/// An outcome as kept by its command's id, with the command as it was read; the product keeps a hash of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct StoredOutcome {
    pub(crate) submission: Submission,
    pub(crate) outcome: Outcome,
}

/// What a client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Answer {
    Done(Outcome),
    KeyReused,
}

/// The pure decision.
pub(crate) fn decide(tickets: &Tickets, submission: &Submission) -> Result<Event, Refusal> {
    let Submission { command_id: CommandId { actor, .. }, ticket: id, command } = *submission;
    let after = match (command, tickets.get(&id)) {
        (Command::Create { .. }, Some(_)) => return Err(Refusal::InvalidTransition),
        (Command::Create { quantity }, None) => match tickets.keys().find(|open| open.ward == id.ward) {
            Some(open) => return Err(Refusal::DuplicateOpenRequest { ticket: *open }),
            None => Ticket { version: 1, quantity, assignee: None },
        },
        (Command::Claim { .. }, None) => return Err(Refusal::TicketNotFound),
        (Command::Claim { expected }, Some(ticket)) => match ticket.assignee {
            Some(assignee) => return Err(Refusal::AlreadyClaimed { assignee }),
            None if ticket.version != expected => return Err(Refusal::StaleVersion),
            None => Ticket { version: expected + 1, assignee: Some(actor), ..*ticket },
        },
    };
    Ok(Event { ticket: id, actor, after })
}

/// All that follows from commands in their order: the sequential specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Fold {
    pub(crate) outcomes: BTreeMap<CommandId, StoredOutcome>,
    pub(crate) tickets: Tickets,
    pub(crate) events: Vec<Event>,
}

impl Fold {
    /// Folds a log from its beginning.
    pub(crate) fn of<'a>(log: impl IntoIterator<Item = &'a Submission>) -> Self {
        let mut fold = Self::default();
        for submission in log {
            fold.take(submission);
        }
        fold
    }

    /// A command has its effect once; whoever sends it again gets the same answer, and whoever sends another under its key is refused.
    pub(crate) fn take(&mut self, submission: &Submission) -> Answer {
        if let Some(stored) = self.outcomes.get(&submission.command_id) {
            return answer(stored, submission);
        }
        let outcome = match decide(&self.tickets, submission) {
            Ok(event) => {
                self.tickets.insert(event.ticket, event.after);
                self.events.push(event);
                Outcome::Applied(event.after)
            }
            Err(refusal) => Outcome::Refused(refusal),
        };
        self.outcomes.insert(submission.command_id, StoredOutcome { submission: *submission, outcome });
        Answer::Done(outcome)
    }
}

/// The answer to a command whose key has an outcome.
pub(crate) fn answer(stored: &StoredOutcome, submission: &Submission) -> Answer {
    if stored.submission == *submission { Answer::Done(stored.outcome) } else { Answer::KeyReused }
}

impl SequentialSpec for Fold {
    type Op = Submission;
    type Ret = Answer;

    fn invoke(&mut self, submission: &Submission) -> Answer {
        self.take(submission)
    }
}
