//! From a command and what was read for it to what is to be written: the decision, its events and the states that they lead to. It reads and writes
//! nothing.

use jiff::Timestamp;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        apply::apply,
        command::Command,
        decide::decide,
        event::{Change, Event},
        facts::Facts,
        refusal::PastChange,
        ticket::{Ticket, TicketId},
    },
    server::ports::{AuditEntry, Outcome, StoreError, StoreResult, StoredOutcome, Submission},
};

/// A command that was decided.
pub(crate) struct Settled {
    /// What became of it.
    pub(crate) outcome: StoredOutcome,
    /// What happened, each with the ticket as it was after it.
    pub(crate) steps: Vec<(Event, Ticket)>,
}

/// Decides a command on the ticket as it is.
pub(crate) fn settle(
    submission: &Submission,
    ticket: Option<&Ticket>,
    facts: &Facts,
    at: Timestamp,
) -> StoreResult<Settled> {
    let Submission { command, expected, actor, .. } = submission;
    let (outcome, steps) = match decide(ticket, facts, command, *expected, actor, at) {
        Err(refusal) => (Outcome::Refused(refusal), Vec::new()),
        Ok(events) => {
            let steps = fold(ticket, events)?;
            let after = steps.last().map(|(_, after)| after).or(ticket).ok_or_else(|| unsound(&"there is none"))?;
            (Outcome::Applied(Box::new(after.clone())), steps)
        }
    };
    let outcome = StoredOutcome {
        body_hash: submission.body_hash,
        actor: actor.person.id,
        command: command.name(),
        ticket: submission.ticket,
        at,
        outcome,
    };
    Ok(Settled { outcome, steps })
}

fn fold(ticket: Option<&Ticket>, events: Vec<Event>) -> StoreResult<Vec<(Event, Ticket)>> {
    let mut state = ticket.cloned();
    let step = |event: Event| {
        let after = apply(state.take(), &event).map_err(|error| unsound(&error))?;
        state = Some(after.clone());
        Ok((event, after))
    };
    events.into_iter().map(step).collect()
}

fn unsound(error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Broken(format!("a decided event does not fold: {error}"))
}

/// A create carries the id that its command gives: so it can never meet a ticket of another one.
pub(crate) fn check_identity(submission: &Submission) -> StoreResult<()> {
    let Command::Create(create) = &submission.command else { return Ok(()) };
    let derived = TicketId::derive(&submission.ward, submission.command_id.0);
    if submission.ticket == derived && create.ward == submission.ward {
        Ok(())
    } else {
        Err(StoreError::Broken("a create does not carry its own ticket id".to_owned()))
    }
}

/// What an event tells somebody who acted on an older version; comments change nothing.
pub(crate) fn past_change(event: Event) -> Option<PastChange> {
    (event.name() != "commented").then(|| PastChange {
        event: event.name().to_owned(),
        version: event.version,
        actor: event.actor.person,
        at: event.at,
    })
}

/// The audit entry of an erasure among the events, if there is one: then the key of the ticket's texts goes, too.
pub(crate) fn erasure(steps: &[(Event, Ticket)]) -> Option<AuditEntry> {
    steps.iter().find_map(|(event, ticket)| match &event.change {
        Change::Erased { reason } => Some(AuditEntry {
            at: event.at,
            kind: "ticket".to_owned(),
            action: "texts_erased".to_owned(),
            actor: Some(event.actor.person.username.to_string()),
            subject: Some(ticket.number.clone()),
            detail: json!({ "ticket": ticket.id, "reason": reason, "client_id": event.actor.client_id }),
        }),
        _ => None,
    })
}

/// The pharmacies that an event concerns: the current one first, then those before, the last one first.
pub(crate) fn concerned(ticket: &Ticket) -> StoreResult<String> {
    let pharmacies: Vec<_> = std::iter::once(&ticket.pharmacy).chain(ticket.former_pharmacies.iter().rev()).collect();
    Ok(serde_json::to_string(&pharmacies)?)
}

/// What an event's hash covers beside the hash before it: the event as stored.
pub(crate) struct EventLink<'a> {
    pub(crate) seq: u64,
    pub(crate) ticket: &'a str,
    pub(crate) version: u64,
    pub(crate) at: i64,
    pub(crate) status: &'a str,
    pub(crate) pharmacies: &'a str,
    pub(crate) body: &'a str,
}

impl EventLink<'_> {
    /// The hash that this event carries after `previous`.
    pub(crate) fn hash(&self, previous: &[u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new_with_prefix(previous);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.version.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        for text in [self.ticket, self.status, self.pharmacies, self.body] {
            // The length first, so that no byte can move from one field to the next.
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}
