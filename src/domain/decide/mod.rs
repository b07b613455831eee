//! The one decision: may this command be, and what happens then. Pure: it reads no clock, does no I/O and changes nothing.

mod create;
mod delivery;
mod lines;
mod pause;
mod picking;
mod queue;
mod transition;

use jiff::{Timestamp, civil::Date};

pub use self::transition::allowed_from;
use super::{
    actor::Actor,
    command::{Command, CommandName},
    event::{Change, Event, EventActor},
    facts::{Facts, ItemFact},
    permission,
    reason::{Role, Status},
    refusal::{More, Refusal, RefusalCode},
    ticket::{Line, Pick, Ticket, Version},
};

type Changes = Result<Vec<Change>, Refusal>;

/// Decides a command on a ticket (`None` where there is none yet) as its actor, at the log's time.
///
/// All events of one command carry the ticket's next version; a comment carries the present one. An erasure of what is erased gives none. Without an `expected`
/// version none is checked: that a change must name one is the edge's rule.
///
/// # Errors
/// The first [`Refusal`] in this order: the ticket exists, the role, the place, `already_claimed`, the version, the
/// transition, the assignee, the rules.
pub fn decide(
    ticket: Option<&Ticket>,
    facts: &Facts,
    command: &Command,
    expected: Option<Version>,
    actor: &Actor,
    at: Timestamp,
) -> Result<Vec<Event>, Refusal> {
    let (changes, version) = match (ticket, command) {
        (None, Command::Create(create)) => (create::create(facts, create, actor, at)?, Version(1)),
        (None, _) => {
            return Err(Refusal::new(RefusalCode::TicketNotFound, "there is no such ticket; check its id or number"));
        }
        (Some(ticket), _) => {
            let scene = Scene { ticket, facts, actor, at };
            scene.admit(command.name(), expected)?;
            let comment = matches!(command, Command::Comment { .. });
            let version = if comment { ticket.version } else { ticket.version.next() };
            (scene.changes(command)?, version)
        }
    };
    let actor =
        EventActor { person: actor.person.clone(), client_id: actor.client_id.clone(), delegated: actor.delegated };
    Ok(changes.into_iter().map(|change| Event { at, actor: actor.clone(), version, change }).collect())
}

/// What one decision about a ticket looks at.
#[derive(Clone, Copy)]
struct Scene<'a> {
    ticket: &'a Ticket,
    facts: &'a Facts,
    actor: &'a Actor,
    at: Timestamp,
}

impl<'a> Scene<'a> {
    fn changes(self, command: &Command) -> Changes {
        match command {
            // No status takes a create: `admit` has refused it with what is possible instead.
            Command::Create(_) => {
                Err(Refusal::new(RefusalCode::InvalidTransition, "the ticket exists already; amend it"))
            }
            Command::Amend(amend) => create::amend(self, amend),
            Command::Claim => Ok(vec![Change::Claimed]),
            Command::Release => Ok(self.discarding(Change::Released)),
            Command::Reassign { .. } => queue::reassign(self),
            Command::Transfer { pharmacy, reason, note } => queue::transfer(self, pharmacy, *reason, note.clone()),
            Command::Pick { lines } => picking::pick(self, lines),
            Command::Unpick => picking::unpick(self),
            Command::Ready => picking::ready(self),
            Command::Dispatch { method } => delivery::dispatch(self, *method),
            Command::Return { reason, note } => {
                Ok(self.discarding(Change::Returned { reason: *reason, note: note.clone() }))
            }
            Command::Receive { lines } => delivery::receive(self, lines),
            Command::Resolve { note } => Ok(vec![Change::Resolved { note: note.clone() }]),
            Command::Hold { reason, note, resume_by } => pause::hold(self, *reason, note.clone(), *resume_by),
            Command::Resume => Ok(vec![Change::Resumed]),
            Command::Reject { reason, note } => {
                Ok(self.discarding(Change::Rejected { reason: *reason, note: note.clone() }))
            }
            Command::Cancel { reason, note } => {
                Ok(self.discarding(Change::Cancelled { reason: *reason, note: note.clone() }))
            }
            Command::Comment { text } => Ok(vec![Change::Commented { text: text.clone() }]),
            // Asked again, nothing is left to erase: the answer is the same.
            Command::Erase { .. } if self.ticket.erased_at.is_some() => Ok(Vec::new()),
            Command::Erase { reason } => Ok(vec![Change::Erased { reason: reason.clone() }]),
        }
    }

    /// The refusals that come before any rule of the single command.
    fn admit(self, command: CommandName, expected: Option<Version>) -> Result<(), Refusal> {
        permission::check_role(command, &self.actor.roles)?;
        if command == CommandName::Ready && !self.may_check() {
            return Err(Refusal::new(
                RefusalCode::RoleNotAllowed,
                "a pharmacist checks this ticket; a technician may where policy allows and no line is controlled",
            ));
        }
        let former = if command == CommandName::Comment { self.ticket.former_pharmacies.as_slice() } else { &[] };
        let pharmacies = std::iter::once(&self.ticket.pharmacy).chain(former);
        permission::check_place(command, self.actor, &self.ticket.ward, pharmacies)?;
        if command == CommandName::Comment {
            return self.check_takes_texts();
        }
        self.check_unclaimed(command)?;
        self.check_version(expected)?;
        self.check_transition(command)?;
        self.check_assignee(command)
    }

    /// What was erased must not be told again beside it.
    fn check_takes_texts(self) -> Result<(), Refusal> {
        match self.ticket.erased_at {
            None => Ok(()),
            Some(_) => Err(Refusal::new(
                RefusalCode::TextsErased,
                "the texts of this ticket were erased on request and it takes no new ones; say it elsewhere",
            )),
        }
    }

    fn check_unclaimed(self, command: CommandName) -> Result<(), Refusal> {
        match &self.ticket.assignee {
            Some(assignee) if command == CommandName::Claim && !self.ticket.status.is_terminal() => {
                let who = if assignee.id == self.actor.person.id { "you have" } else { "somebody has" };
                Err(Refusal::new(
                    RefusalCode::AlreadyClaimed,
                    format!("{who} this ticket already; its assignee is {}", assignee.username),
                )
                .with(More::Claimed { assignee: assignee.clone() }))
            }
            _ => Ok(()),
        }
    }

    fn check_version(self, expected: Option<Version>) -> Result<(), Refusal> {
        let current = self.ticket.version;
        match expected {
            Some(version) if version != current => Err(Refusal::new(
                RefusalCode::StaleVersion,
                format!("the ticket is at version {current}, not {version}; read what changed, then decide again"),
            )
            .with(More::Stale { current_version: current, changes: self.facts.changes_since.clone() })),
            _ => Ok(()),
        }
    }

    fn check_transition(self, command: CommandName) -> Result<(), Refusal> {
        let status = self.ticket.status;
        let mut allowed = allowed_from(self.ticket.kind, status).to_vec();
        let held_from_picked = self.ticket.hold.as_ref().is_some_and(|hold| hold.from == Status::Picked);
        if held_from_picked {
            allowed.retain(|name| *name != CommandName::Cancel);
        }
        // Expired stock may not leave: without a way back the ticket would stay `ready` for ever.
        if status == Status::Ready && self.expired_lot().is_some() {
            allowed.push(CommandName::Unpick);
        }
        if allowed.contains(&command) {
            return Ok(());
        }
        let detail = if held_from_picked && command == CommandName::Cancel {
            "the ticket was picked before it was put on hold; resume and unpick it, then cancel".to_owned()
        } else if status.is_terminal() {
            format!("the ticket is {status}, which is its end; only a comment or the erasure of its texts is possible")
        } else {
            let list = allowed.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
            format!(
                "{} ticket that is {status} cannot take {command}; possible are: {list}",
                self.ticket.kind.with_article()
            )
        };
        Err(Refusal::new(RefusalCode::InvalidTransition, detail).with(More::Transition { status, allowed }))
    }

    fn check_assignee(self, command: CommandName) -> Result<(), Refusal> {
        let allowed = match command {
            CommandName::Pick | CommandName::Resolve => self.is_assignee(),
            CommandName::Unpick => self.is_assignee() || self.may_check(),
            _ => true,
        };
        if allowed {
            return Ok(());
        }
        let whose = self.ticket.assignee.as_ref().map_or("nobody", |assignee| assignee.username.as_str());
        Err(Refusal::new(
            RefusalCode::NotAssignee,
            format!("only the assignee may {command} and that is {whose}; reassign or release the ticket first"),
        ))
    }

    fn is_assignee(self) -> bool {
        self.ticket.assignee.as_ref().is_some_and(|assignee| assignee.id == self.actor.person.id)
    }

    /// True where the actor may do the check: a pharmacist, or a technician where policy allows and nothing is controlled.
    fn may_check(self) -> bool {
        self.actor.has_any(&[Role::Pharmacist])
            || (self.actor.has_any(&[Role::Technician])
                && self.facts.policy.technician_may_check
                && !self.has_controlled_line())
    }

    /// True where a line was controlled when it was asked for, or its medication is now.
    fn has_controlled_line(self) -> bool {
        let now = |line: &Line| item(self.facts, line).is_some_and(|item| item.classification.needs_second_person());
        self.ticket.has_controlled_line() || self.ticket.lines.iter().any(now)
    }

    fn today(self) -> Date {
        self.facts.policy.today(self.at)
    }

    /// The first picked lot that is past its expiry date at the site.
    fn expired_lot(self) -> Option<(u16, &'a Pick)> {
        let today = self.today();
        self.ticket
            .lines
            .iter()
            .flat_map(|line| line.picks.iter().map(|pick| (line.line, pick)))
            .find(|(_, pick)| pick.expiry < today)
    }

    /// Refuses to go on with a lot that expired since it was picked.
    fn check_expiry(self) -> Result<(), Refusal> {
        match self.expired_lot() {
            None => Ok(()),
            Some((line, pick)) => Err(Refusal::new(
                RefusalCode::ExpiredStock,
                format!(
                    "lot {} of line {line} expired on {} and today is {}; unpick the ticket and pick another lot",
                    pick.lot,
                    pick.expiry,
                    self.today()
                ),
            )),
        }
    }

    /// The change, after the picks went back on the shelf if there are any.
    fn discarding(self, change: Change) -> Vec<Change> {
        if self.ticket.has_picks() { vec![Change::PicksDiscarded, change] } else { vec![change] }
    }
}

fn item<'a>(facts: &'a Facts, line: &Line) -> Option<&'a ItemFact> {
    facts.items.iter().find(|item| item.code == line.medication)
}
