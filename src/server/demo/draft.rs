//! One ticket of the demo's past, step by step. It plans commands with their times; nothing is true before the pipeline has decided it.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    dice::Dice,
    wishes::{self, Arrival, Need, Picking},
    words,
    world::{Station, World},
};
use crate::{
    domain::{
        actor::{Actor, UserId},
        code::{PharmacyCode, WardCode},
        command::{Amend, Command},
        reason::{HoldReason, Kind, Priority, Status},
        ticket::{TicketId, Version},
    },
    server::ports::{CommandId, Submission},
};

/// What is out of the ordinary about a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    Plain,
    Comment,
    Amend,
    Release,
    Reassign,
    Transfer,
    WaitForWard,
    WaitForSupplier,
    Short,
    TwoLots,
    Unpick,
    Return,
    Damaged,
    Missing,
}

impl Turn {
    /// Every turn; an ordinary course is the most frequent.
    pub(super) const ALL: [Self; 18] = [
        Self::Plain,
        Self::Short,
        Self::Comment,
        Self::Plain,
        Self::Damaged,
        Self::Release,
        Self::TwoLots,
        Self::Plain,
        Self::WaitForWard,
        Self::Amend,
        Self::Missing,
        Self::Reassign,
        Self::Plain,
        Self::Return,
        Self::Transfer,
        Self::Short,
        Self::Unpick,
        Self::WaitForSupplier,
    ];
}

/// A command at its time.
pub(super) struct Step {
    pub(super) at: Timestamp,
    pub(super) submission: Submission,
}

/// What a ticket asks for, and how it goes.
pub(super) struct Outline<'a> {
    pub(super) kind: Kind,
    pub(super) priority: Priority,
    pub(super) station: &'a Station,
    /// Places of its items in the cabinet.
    pub(super) items: Vec<usize>,
    pub(super) created_at: Timestamp,
    pub(super) status: Status,
    pub(super) turn: Turn,
}

/// A ticket that is being planned.
pub(super) struct Draft<'a> {
    world: &'a World,
    dice: &'a mut Dice,
    number: u64,
    at: Timestamp,
    id: TicketId,
    ward: WardCode,
    pharmacy: PharmacyCode,
    version: u64,
    needs: Vec<Need>,
    supplied: Vec<Need>,
    worker: Option<Actor>,
    steps: Vec<Step>,
}

/// Plans a ticket; `None` where the hospital lacks somebody whom it needs. No step is later than `latest`.
pub(super) fn plan(
    world: &World,
    dice: &mut Dice,
    number: u64,
    outline: &Outline<'_>,
    latest: Timestamp,
) -> Option<Vec<Step>> {
    let ward = outline.station.ward.clone();
    let pharmacy = world.pharmacy_of(&ward)?.clone();
    let mut draft = Draft {
        world,
        dice,
        number,
        at: outline.created_at,
        id: TicketId::derive(&ward, command_id(number, 0).0),
        ward,
        pharmacy,
        version: 0,
        needs: Vec::new(),
        supplied: Vec::new(),
        worker: None,
        steps: Vec::new(),
    };
    draft.play(outline)?;
    Some(fitted(draft.steps, outline.created_at, latest))
}

/// Presses the steps together where they would go on beyond `latest`.
fn fitted(mut steps: Vec<Step>, from: Timestamp, latest: Timestamp) -> Vec<Step> {
    let millis = |until: Timestamp| until.as_millisecond() - from.as_millisecond();
    let (wanted, room) = (steps.last().map_or(0, |last| millis(last.at)), millis(latest));
    if wanted > room {
        for step in &mut steps {
            let share = i128::from(millis(step.at)) * i128::from(room.max(0)) / i128::from(wanted.max(1));
            let share = SignedDuration::from_millis(i64::try_from(share).unwrap_or(0));
            step.at = from.checked_add(share).unwrap_or(from);
        }
    }
    steps
}

fn command_id(ticket: u64, step: u64) -> CommandId {
    let hash =
        Sha256::new_with_prefix(b"medreq demo\0").chain_update(ticket.to_be_bytes()).chain_update(step.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    CommandId(Uuid::new_v8(bytes))
}

impl Draft<'_> {
    fn play(&mut self, outline: &Outline<'_>) -> Option<()> {
        let Outline { kind, status, turn, .. } = *outline;
        self.create(outline)?;
        self.before_claim(turn)?;
        let early = self.dice.percent(50);
        match status {
            Status::Open => return Some(()),
            Status::Cancelled | Status::Rejected | Status::OnHold if early => return self.end_early(status),
            _ => {}
        }
        self.claim(turn)?;
        match (status, kind.is_supply()) {
            (Status::Claimed, _) => Some(()),
            (Status::Cancelled | Status::Rejected | Status::OnHold, _) => self.end_early(status),
            (Status::Resolved, false) => {
                let note = words::end_note(self.dice);
                self.work((10, 60), Command::Resolve { note })
            }
            (_, true) => self.deliver(status, turn),
            (_, false) => None,
        }
    }

    fn create(&mut self, outline: &Outline<'_>) -> Option<()> {
        let Outline { kind, priority, station, ref items, .. } = *outline;
        let nurse = self.world.nurse(&self.ward, self.dice)?.clone();
        let create = wishes::create(kind, priority, station, items, self.at, self.dice);
        let lines = create.lines.iter().zip(1_u16..);
        self.needs = lines.map(|(asked, line)| Need { line, quantity: asked.quantity }).collect();
        self.step((0, 0), &nurse, Command::Create(Box::new(create)));
        Some(())
    }

    fn before_claim(&mut self, turn: Turn) -> Option<()> {
        let nurse = self.world.nurse(&self.ward, self.dice)?.clone();
        match turn {
            Turn::Comment => {
                let text = words::comment(self.dice);
                self.step((1, 4), &nurse, Command::Comment { text });
            }
            Turn::Amend => {
                let amend = Amend { priority: Some(Priority::Stat), ..Amend::default() };
                self.step((1, 5), &nurse, Command::Amend(amend));
            }
            Turn::Transfer => {
                let staff = self.world.staff(&self.pharmacy, &[], self.dice)?.clone();
                let pharmacy = self.world.other_pharmacy(&self.pharmacy, self.dice)?;
                let transfer = wishes::transfer(pharmacy.clone(), self.dice);
                self.step((3, 10), &staff, transfer);
                self.pharmacy = pharmacy;
            }
            _ => {}
        }
        Some(())
    }

    fn end_early(&mut self, status: Status) -> Option<()> {
        let (actor, command) = match status {
            Status::Cancelled => (self.world.nurse(&self.ward, self.dice), wishes::cancel(self.dice)),
            Status::Rejected => (self.world.pharmacist(&self.pharmacy, &[], self.dice), wishes::reject(self.dice)),
            _ => {
                let reason = wishes::hold_reason(self.dice);
                let staff = self.world.staff(&self.pharmacy, &[], self.dice);
                (staff, wishes::hold(reason, wishes::later(self.at, 240), self.dice))
            }
        };
        let actor = actor?.clone();
        self.step((4, 15), &actor, command);
        Some(())
    }

    fn claim(&mut self, turn: Turn) -> Option<()> {
        self.take((2, 18))?;
        match turn {
            Turn::Release => {
                self.work((2, 6), Command::Release)?;
                self.take((3, 10))?;
            }
            Turn::Reassign => {
                let pharmacist = self.world.pharmacist(&self.pharmacy, &[], self.dice)?.clone();
                let colleague =
                    self.world.staff(&self.pharmacy, &[self.worker.as_ref()?.person.id], self.dice)?.clone();
                let assignee = colleague.person.username.clone();
                self.step((2, 6), &pharmacist, Command::Reassign { assignee });
                self.worker = Some(colleague);
            }
            Turn::WaitForWard => self.pause(HoldReason::AwaitingWard)?,
            Turn::WaitForSupplier => self.pause(HoldReason::AwaitingSupplier)?,
            _ => {}
        }
        Some(())
    }

    fn pause(&mut self, reason: HoldReason) -> Option<()> {
        let hold = wishes::hold(reason, self.at, self.dice);
        self.work((2, 6), hold)?;
        self.work((8, 35), Command::Resume)
    }

    /// From the shelf to the ward, as far as `status`.
    fn deliver(&mut self, status: Status, turn: Turn) -> Option<()> {
        let how = match turn {
            Turn::Short => Picking::Short,
            Turn::TwoLots => Picking::TwoLots,
            _ => Picking::Full,
        };
        self.pick(how)?;
        if turn == Turn::Unpick {
            self.work((1, 4), Command::Unpick)?;
            self.pick(how)?;
        }
        if status == Status::Picked {
            return Some(());
        }
        self.check()?;
        if status == Status::Ready {
            return Some(());
        }
        self.send()?;
        if turn == Turn::Return {
            let staff = self.world.staff(&self.pharmacy, &[], self.dice)?.clone();
            let back = wishes::give_back(self.dice);
            self.step((5, 20), &staff, back);
            self.pick(how)?;
            self.check()?;
            self.send()?;
        }
        if status == Status::Dispatched {
            return Some(());
        }
        let arrival = match turn {
            Turn::Damaged => Arrival::Damaged,
            Turn::Missing => Arrival::Missing,
            _ => Arrival::Whole,
        };
        let nurse = self.world.nurse(&self.ward, self.dice)?.clone();
        let receive = wishes::receive(&self.supplied, arrival);
        self.step((4, 25), &nurse, receive);
        Some(())
    }

    fn take(&mut self, minutes: (u32, u32)) -> Option<()> {
        let worker = self.world.staff(&self.pharmacy, &[], self.dice)?.clone();
        self.step(minutes, &worker, Command::Claim);
        self.worker = Some(worker);
        Some(())
    }

    fn pick(&mut self, how: Picking) -> Option<()> {
        let today = self.world.policy.today(self.at);
        let pick = wishes::pick(&self.needs, how, today, self.at, self.dice);
        self.supplied = wishes::supplied_by(&pick);
        self.work((3, 14), pick)
    }

    /// By somebody else than the picker, whether a line is controlled or not: so the demo's people were taught.
    fn check(&mut self) -> Option<()> {
        let picker: UserId = self.worker.as_ref()?.person.id;
        let checker = self.world.pharmacist(&self.pharmacy, &[picker], self.dice)?.clone();
        self.step((2, 9), &checker, Command::Ready);
        Some(())
    }

    fn send(&mut self) -> Option<()> {
        let staff = self.world.staff(&self.pharmacy, &[], self.dice)?.clone();
        let dispatch = wishes::dispatch(self.dice);
        self.step((2, 8), &staff, dispatch);
        Some(())
    }

    /// A step of whoever has the ticket.
    fn work(&mut self, minutes: (u32, u32), command: Command) -> Option<()> {
        let worker = self.worker.clone()?;
        self.step(minutes, &worker, command);
        Some(())
    }

    fn step(&mut self, (least, most): (u32, u32), actor: &Actor, command: Command) {
        let seconds = self.dice.between(least * 60, most * 60);
        self.at = self.at.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(self.at);
        let comment = matches!(command, Command::Comment { .. });
        let expected = (self.version > 0 && !comment).then_some(Version(self.version));
        self.version += u64::from(!comment);
        let command_id = command_id(self.number, self.steps.len() as u64);
        let (ticket, ward) = (self.id, self.ward.clone());
        let submission = submission(command_id, ticket, ward, expected, actor, command);
        self.steps.push(Step { at: self.at, submission });
    }
}

/// A command of one of the demo's people.
pub(super) fn submission(
    command_id: CommandId,
    ticket: TicketId,
    ward: WardCode,
    expected: Option<Version>,
    actor: &Actor,
    command: Command,
) -> Submission {
    let body = serde_json::to_vec(&(ticket, expected, &command)).expect("commands are JSON");
    let actor = actor.clone();
    Submission { command_id, body_hash: Sha256::digest(body).into(), ticket, ward, expected, command, actor }
}
