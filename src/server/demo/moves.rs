//! What one of the demo's people would do next about a ticket, and what goes wrong in a hospital. It only proposes; nothing is sent here.

use jiff::Timestamp;

use super::{
    dice::Dice,
    wishes::{self, Arrival, Need, Picking},
    words,
    world::World,
};
use crate::domain::{
    actor::{Actor, UserId},
    command::{Amend, Command},
    reason::{Kind, Priority, Status},
    ticket::{Ticket, Version},
};

/// A command that somebody is about to send.
#[derive(Debug, Clone)]
pub(super) struct Move {
    pub(super) actor: Actor,
    pub(super) command: Command,
    /// The version that the sender has seen.
    pub(super) seen: Version,
}

/// Everything that a proposal looks at.
pub(super) struct Turn<'a> {
    pub(super) world: &'a World,
    pub(super) dice: &'a mut Dice,
    pub(super) ticket: &'a Ticket,
    pub(super) now: Timestamp,
}

impl Turn<'_> {
    /// A sensible next step; `None` where nobody has one.
    pub(super) fn sensible(&mut self) -> Option<Move> {
        match self.ticket.status {
            Status::Open => self.open(),
            Status::Claimed => self.claimed(),
            Status::Picked => self.picked(),
            Status::Ready => {
                let dispatch = wishes::dispatch(self.dice);
                self.by_staff(dispatch)
            }
            Status::Dispatched => self.dispatched(),
            Status::OnHold => self.on_hold(),
            Status::Delivered | Status::Resolved | Status::Rejected | Status::Cancelled => None,
        }
    }

    /// Two colleagues reach for the same open ticket at the same time.
    pub(super) fn race(&mut self) -> Option<[Move; 2]> {
        if self.ticket.status != Status::Open {
            return None;
        }
        let one = self.world.staff(&self.ticket.pharmacy, &[], self.dice)?.clone();
        let other = self.world.staff(&self.ticket.pharmacy, &[one.person.id], self.dice)?.clone();
        Some([one, other].map(|actor| Move { actor, command: Command::Claim, seen: self.ticket.version }))
    }

    /// Something that a rule refuses.
    pub(super) fn mistake(&mut self) -> Option<Move> {
        if self.dice.percent(30) {
            return self.unchecked();
        }
        self.alone().or_else(|| self.expired()).or_else(|| self.stale())
    }

    /// Sends what nobody has checked.
    fn unchecked(&mut self) -> Option<Move> {
        let early = matches!(self.ticket.status, Status::Open | Status::Claimed | Status::Picked);
        let dispatch = wishes::dispatch(self.dice);
        if early { self.by_staff(dispatch) } else { None }
    }

    /// Decides by what was on the screen before somebody else's change.
    fn stale(&mut self) -> Option<Move> {
        let seen = self.ticket.version.0.checked_sub(1).filter(|version| *version > 0)?;
        let reason = wishes::hold_reason(self.dice);
        let hold = wishes::hold(reason, self.now, self.dice);
        Some(Move { seen: Version(seen), ..self.by_staff(hold)? })
    }

    /// Checks what she picked herself.
    fn alone(&mut self) -> Option<Move> {
        let waits = self.ticket.status == Status::Picked && self.ticket.has_controlled_line();
        let picker = self.ticket.lines.iter().flat_map(|line| &line.picks).next().filter(|_| waits)?;
        let picker = self.world.person(picker.by.id)?.clone();
        Some(self.by(picker, Command::Ready))
    }

    fn expired(&mut self) -> Option<Move> {
        let need = self.needs().first().copied().filter(|_| self.ticket.status == Status::Claimed)?;
        let pick = wishes::pick_expired(need, self.world.policy.today(self.now), self.dice);
        self.by_assignee(pick)
    }

    fn open(&mut self) -> Option<Move> {
        match self.dice.between(1, 100) {
            1..=72 => self.by_staff(Command::Claim),
            73..=78 => {
                let text = words::comment(self.dice);
                self.by_nurse(Command::Comment { text })
            }
            79..=83 => {
                let priority = self.dice.one(&[Priority::Stat, Priority::Asap, Priority::Urgent]);
                self.by_nurse(Command::Amend(Amend { priority: Some(priority), ..Amend::default() }))
            }
            84..=87 => self.hold(),
            88..=90 => {
                let pharmacy = self.world.other_pharmacy(&self.ticket.pharmacy, self.dice)?;
                let transfer = wishes::transfer(pharmacy, self.dice);
                self.by_staff(transfer)
            }
            91..=95 => {
                let reject = wishes::reject(self.dice);
                self.by_pharmacist(&[], reject)
            }
            _ => {
                let cancel = wishes::cancel(self.dice);
                self.by_nurse(cancel)
            }
        }
    }

    fn claimed(&mut self) -> Option<Move> {
        match self.dice.between(1, 100) {
            1..=4 => self.by_assignee(Command::Release),
            5..=8 => {
                let assignee = self.ticket.assignee.as_ref()?.id;
                let colleague = self.world.staff(&self.ticket.pharmacy, &[assignee], self.dice)?;
                let assignee = colleague.person.username.clone();
                self.by_pharmacist(&[], Command::Reassign { assignee })
            }
            9..=13 => self.hold(),
            14..=16 => {
                let cancel = wishes::cancel(self.dice);
                self.by_nurse(cancel)
            }
            _ if self.ticket.kind.is_supply() => {
                let how = self.dice.one(&[Picking::Full, Picking::Full, Picking::Short, Picking::TwoLots]);
                let today = self.world.policy.today(self.now);
                let needs = self.needs();
                let pick = wishes::pick(&needs, how, today, self.now, self.dice);
                self.by_assignee(pick)
            }
            _ => {
                let note = words::end_note(self.dice);
                self.by_assignee(Command::Resolve { note })
            }
        }
    }

    fn picked(&mut self) -> Option<Move> {
        match self.dice.between(1, 100) {
            1..=6 => self.by_assignee(Command::Unpick),
            7..=10 => self.hold(),
            _ => {
                let pickers: Vec<UserId> =
                    self.ticket.lines.iter().flat_map(|line| &line.picks).map(|pick| pick.by.id).collect();
                self.by_pharmacist(&pickers, Command::Ready)
            }
        }
    }

    fn dispatched(&mut self) -> Option<Move> {
        if self.dice.percent(9) {
            let back = wishes::give_back(self.dice);
            return self.by_staff(back);
        }
        let supplied = self.ticket.lines.iter().map(|line| Need { line: line.line, quantity: line.supplied() });
        let supplied: Vec<Need> = supplied.filter(|need| !need.quantity.is_zero()).collect();
        let how = self.dice.one(&[Arrival::Whole, Arrival::Whole, Arrival::Whole, Arrival::Damaged, Arrival::Missing]);
        self.by_nurse(wishes::receive(&supplied, how))
    }

    fn on_hold(&mut self) -> Option<Move> {
        let hold = self.ticket.hold.as_ref()?;
        if hold.from != Status::Picked && self.dice.percent(15) {
            let cancel = wishes::cancel(self.dice);
            return self.by_nurse(cancel);
        }
        self.by_staff(Command::Resume)
    }

    fn hold(&mut self) -> Option<Move> {
        let reason = wishes::hold_reason(self.dice);
        let hold = wishes::hold(reason, self.now, self.dice);
        self.by_staff(hold)
    }

    fn needs(&self) -> Vec<Need> {
        let lines = self.ticket.lines.iter().filter(|_| self.ticket.kind != Kind::Discrepancy);
        lines.map(|line| Need { line: line.line, quantity: line.quantity }).collect()
    }

    fn by_staff(&mut self, command: Command) -> Option<Move> {
        let actor = self.world.staff(&self.ticket.pharmacy, &[], self.dice)?.clone();
        Some(self.by(actor, command))
    }

    fn by_pharmacist(&mut self, but: &[UserId], command: Command) -> Option<Move> {
        let actor = self.world.pharmacist(&self.ticket.pharmacy, but, self.dice)?.clone();
        Some(self.by(actor, command))
    }

    fn by_nurse(&mut self, command: Command) -> Option<Move> {
        let actor = self.world.nurse(&self.ticket.ward, self.dice)?.clone();
        Some(self.by(actor, command))
    }

    /// By whoever works it; a ticket that a person outside the demo took is left to them.
    fn by_assignee(&mut self, command: Command) -> Option<Move> {
        let actor = self.world.person(self.ticket.assignee.as_ref()?.id)?.clone();
        Some(self.by(actor, command))
    }

    fn by(&self, actor: Actor, command: Command) -> Move {
        Move { actor, command, seen: self.ticket.version }
    }
}
