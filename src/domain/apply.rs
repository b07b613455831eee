//! Folds events into tickets. It never decides: an event happened, whatever the rules say now.

use jiff::Timestamp;

use super::{
    event::{Change, Event, PickedLine, ReceivedLine},
    reason::Status,
    text::FreeText,
    ticket::{Dispatch, Hold, Line, Ticket, Version},
};

/// Why an event does not fit the ticket: the store is damaged or events are missing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Something happened to a ticket before it was created.
    #[error("the first event of a ticket must be created, not {0}")]
    NotCreated(&'static str),
    /// It was created twice.
    #[error("a ticket is created once")]
    CreatedTwice,
    /// There was no event at all.
    #[error("a ticket has at least one event")]
    NoEvents,
    /// An event is missing or stands twice.
    #[error("version {got} does not follow version {current}")]
    Version {
        /// The ticket's.
        current: Version,
        /// The event's.
        got: Version,
    },
    /// The event is about a line that the ticket lacks.
    #[error("the ticket has no line {0}")]
    UnknownLine(u16),
    /// It went on without having been paused.
    #[error("the ticket is not on hold")]
    NotOnHold,
}

/// Folds all events of one ticket, from its creation on.
///
/// # Errors
/// [`ApplyError`] where the events are not one ticket's whole history.
pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Result<Ticket, ApplyError> {
    events.into_iter().try_fold(None, |ticket, event| apply(ticket, event).map(Some))?.ok_or(ApplyError::NoEvents)
}

/// Folds one event. A comment leaves the ticket as it was.
///
/// # Errors
/// [`ApplyError`] where the event cannot have happened to this ticket.
pub fn apply(ticket: Option<Ticket>, event: &Event) -> Result<Ticket, ApplyError> {
    let mut ticket = match (ticket, &event.change) {
        (None, Change::Created { ticket, .. }) => return Ok(ticket.as_ref().clone()),
        (None, _) => return Err(ApplyError::NotCreated(event.name())),
        (Some(_), Change::Created { .. }) => return Err(ApplyError::CreatedTwice),
        (Some(ticket), _) => ticket,
    };
    let current = ticket.version;
    let comment = matches!(event.change, Change::Commented { .. });
    // Several events of one command carry one version.
    if event.version != current && (comment || event.version != current.next()) {
        return Err(ApplyError::Version { current, got: event.version });
    }
    if !comment {
        change(&mut ticket, event)?;
        ticket.version = event.version;
        ticket.updated_at = event.at;
    }
    Ok(ticket)
}

fn change(ticket: &mut Ticket, event: &Event) -> Result<(), ApplyError> {
    let person = &event.actor.person;
    match &event.change {
        Change::Created { .. } | Change::Commented { .. } => {}
        Change::Amended { priority, target, note, lines, .. } => {
            ticket.priority = priority.unwrap_or(ticket.priority);
            ticket.target = target.or(ticket.target);
            if let Some(note) = note {
                ticket.note.clone_from(note);
            }
            if let Some(lines) = lines {
                ticket.lines.clone_from(lines);
            }
        }
        Change::Claimed => {
            ticket.status = Status::Claimed;
            ticket.assignee = Some(person.clone());
        }
        Change::PicksDiscarded => ticket.lines.iter_mut().for_each(discard_picks),
        Change::Released => back_to_queue(ticket),
        Change::Reassigned { assignee } => ticket.assignee = Some(assignee.clone()),
        Change::Transferred { pharmacy, .. } => {
            let former = std::mem::replace(&mut ticket.pharmacy, pharmacy.clone());
            ticket.former_pharmacies.retain(|code| code != pharmacy && *code != former);
            ticket.former_pharmacies.push(former);
            back_to_queue(ticket);
        }
        Change::Picked { lines, complete } => {
            picked(ticket, lines)?;
            if *complete {
                ticket.status = Status::Picked;
            }
        }
        Change::Unpicked | Change::Returned { .. } => {
            ticket.status = Status::Claimed;
            ticket.checked_by = None;
            ticket.dispatch = None;
        }
        Change::Ready { .. } => {
            ticket.status = Status::Ready;
            ticket.checked_by = Some(person.clone());
        }
        Change::Dispatched { method } => {
            ticket.status = Status::Dispatched;
            ticket.dispatch = Some(Dispatch { method: *method, by: person.clone(), at: event.at });
        }
        Change::Received { lines } => {
            received(ticket, lines)?;
            ticket.status = Status::Delivered;
        }
        Change::Resolved { .. } => ticket.status = Status::Resolved,
        Change::Held { reason, note, resume_by } => {
            let hold = Hold {
                from: ticket.status,
                reason: *reason,
                note: note.clone(),
                resume_by: *resume_by,
                since: event.at,
            };
            ticket.hold = Some(hold);
            ticket.status = Status::OnHold;
        }
        Change::Resumed => ticket.status = end_hold(ticket, event.at).ok_or(ApplyError::NotOnHold)?,
        Change::Rejected { .. } => end(ticket, Status::Rejected, event.at),
        Change::Cancelled { .. } => end(ticket, Status::Cancelled, event.at),
        Change::Erased { .. } => {
            ticket.for_each_text(&mut |text| *text = FreeText::Erased);
            ticket.erased_at = Some(event.at);
        }
    }
    Ok(())
}

fn discard_picks(line: &mut Line) {
    line.picks.clear();
    line.settled = false;
    line.reason = None;
    line.expected_at = None;
}

fn back_to_queue(ticket: &mut Ticket) {
    ticket.status = Status::Open;
    ticket.assignee = None;
}

fn line_mut(ticket: &mut Ticket, number: u16) -> Result<&mut Line, ApplyError> {
    ticket.lines.iter_mut().find(|line| line.line == number).ok_or(ApplyError::UnknownLine(number))
}

fn picked(ticket: &mut Ticket, lines: &[PickedLine]) -> Result<(), ApplyError> {
    for picked in lines {
        let line = line_mut(ticket, picked.line)?;
        line.picks.clone_from(&picked.picks);
        line.reason = picked.reason;
        line.expected_at = picked.expected_at;
        line.settled = true;
    }
    Ok(())
}

fn received(ticket: &mut Ticket, lines: &[ReceivedLine]) -> Result<(), ApplyError> {
    for received in lines {
        line_mut(ticket, received.line)?.receipt = Some(received.receipt.clone());
    }
    Ok(())
}

/// Ends the hold, if there is one, and says from which status it was made.
fn end_hold(ticket: &mut Ticket, at: Timestamp) -> Option<Status> {
    let hold = ticket.hold.take()?;
    if hold.reason.waits_for_ward() && at > hold.since {
        ticket.clock_stopped = ticket.clock_stopped.saturating_add(at.duration_since(hold.since));
    }
    Some(hold.from)
}

fn end(ticket: &mut Ticket, status: Status, at: Timestamp) {
    end_hold(ticket, at);
    ticket.status = status;
    for line in &mut ticket.lines {
        line.declined = line.quantity.saturating_sub(line.supplied());
    }
}
