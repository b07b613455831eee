//! The demo's last five days: tickets of every kind in every status. They go through the real decision, each at its own time.

use std::{collections::HashMap, future::Future, pin::Pin, task::Poll, time::Duration};

use jiff::{SignedDuration, Timestamp, civil::Time};

use super::{
    DemoError,
    dice::Dice,
    draft::{self, Outline, Step, Turn},
    wishes,
    world::{Station, World},
};
use crate::{
    domain::{
        code::MedicationCode,
        reason::{Kind, Priority, Status},
    },
    server::{
        ports::{Outcome, SubmitError, Submitted},
        sqlite::SqliteStore,
    },
};

/// Always the same content.
const SEED: u64 = 0x6d65_6472_6571;

/// Tickets that came to an end on the days before.
const ENDED: usize = 120;

const DAYS: i64 = 5;

/// The ended tickets are older than this, so that none meets a present one.
const ENDED_BEFORE_HOURS: i64 = 6;

/// Longer than any ended ticket takes.
const LONGEST_HOURS: i64 = 5;

/// Commands that wait for the store at a time; it commits them together.
const AT_ONCE: usize = 200;

const WAIT: Duration = Duration::from_secs(60);

const IN_FLIGHT: [Status; 6] =
    [Status::Open, Status::Claimed, Status::Picked, Status::Ready, Status::Dispatched, Status::OnHold];

/// Requests that have just come in, and some that nobody took in time: priority and minutes ago.
const WAITING: [(Kind, Priority, u32); 12] = [
    (Kind::Refill, Priority::Stat, 3),
    (Kind::Supply, Priority::Stat, 6),
    (Kind::MissingDose, Priority::Stat, 9),
    (Kind::Refill, Priority::Asap, 12),
    (Kind::Supply, Priority::Asap, 20),
    (Kind::Refill, Priority::Urgent, 31),
    (Kind::Refill, Priority::Stat, 24),
    (Kind::Supply, Priority::Urgent, 85),
    (Kind::Refill, Priority::Asap, 47),
    (Kind::Supply, Priority::Routine, 290),
    (Kind::Refill, Priority::Routine, 35),
    (Kind::Refill, Priority::Routine, 110),
];

/// Plans and submits the history.
pub(super) async fn write(store: &SqliteStore, world: &World, now: Timestamp) -> Result<(), DemoError> {
    let mut steps = Planner::new(world, now).plan().ok_or(DemoError::Incomplete)?;
    steps.sort_by_key(|step| step.at);
    let mut waiting = steps.into_iter().peekable();
    while waiting.peek().is_some() {
        submit(store, waiting.by_ref().take(AT_ONCE)).await?;
    }
    Ok(())
}

/// Submits commands in their order without waiting for each commit.
async fn submit(store: &SqliteStore, steps: impl Iterator<Item = Step>) -> Result<(), DemoError> {
    let mut answers = Vec::new();
    for Step { at, submission } in steps {
        let name = submission.command.name();
        answers.push((name, queued(store.submit_at(submission, Some(at), WAIT)).await));
    }
    for (name, answer) in answers {
        match answer.await? {
            Submitted::Done(done) => {
                if let Outcome::Refused(refusal) = done.outcome {
                    return Err(DemoError::Refused { command: name, code: refusal.code });
                }
            }
            Submitted::Pending(_) => return Err(SubmitError::Unknown("a command of the history".to_owned()).into()),
        }
    }
    Ok(())
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Submitted, SubmitError>> + Send + 'a>>;

/// Polls a submission once: from then on it stands in the writer's queue, in front of those that are made later.
async fn queued<'a>(submission: impl Future<Output = Result<Submitted, SubmitError>> + Send + 'a) -> Answer<'a> {
    let mut submission: Answer<'a> = Box::pin(submission);
    let mut early = None;
    std::future::poll_fn(|context| {
        if let Poll::Ready(answer) = submission.as_mut().poll(context) {
            early = Some(answer);
        }
        Poll::Ready(())
    })
    .await;
    match early {
        Some(answer) => Box::pin(std::future::ready(answer)),
        None => submission,
    }
}

struct Planner<'a> {
    world: &'a World,
    now: Timestamp,
    dice: Dice,
    /// Until when a destination has an open request for a medication.
    taken: HashMap<(String, MedicationCode), Timestamp>,
    planned: u64,
    steps: Vec<Step>,
}

impl<'a> Planner<'a> {
    fn new(world: &'a World, now: Timestamp) -> Self {
        Self { world, now, dice: Dice::new(SEED), taken: HashMap::new(), planned: 0, steps: Vec::new() }
    }

    fn plan(mut self) -> Option<Vec<Step>> {
        self.ended()?;
        self.present()?;
        Some(self.steps)
    }

    fn ended(&mut self) -> Option<()> {
        let mut times: Vec<Timestamp> = (0..ENDED).map(|_| self.working_time()).collect();
        times.sort();
        for (index, created_at) in times.into_iter().enumerate() {
            let kind = self.dice.one(&[
                Kind::Refill,
                Kind::Refill,
                Kind::Refill,
                Kind::Supply,
                Kind::Supply,
                Kind::MissingDose,
                Kind::Assistance,
                Kind::Discrepancy,
            ]);
            let done = if kind.is_supply() { Status::Delivered } else { Status::Resolved };
            let status = match self.dice.between(1, 100) {
                1..=8 => Status::Cancelled,
                9..=14 => Status::Rejected,
                _ => done,
            };
            let turn = Turn::ALL[index % Turn::ALL.len()];
            let priority = self.priority(turn);
            self.ticket(kind, priority, created_at, status, turn)?;
        }
        Some(())
    }

    /// A time in the last days, seldom at night.
    fn working_time(&mut self) -> Timestamp {
        let oldest = DAYS * 24 * 60;
        loop {
            let minutes = self.dice.between(0, u32::try_from(oldest - ENDED_BEFORE_HOURS * 60).unwrap_or(0));
            let at = wishes::later(self.now, i64::from(minutes) - oldest);
            let hour = at.to_zoned_datetime(self.world.policy.time_zone.clone()).time();
            let day = (Time::constant(7, 0, 0, 0)..Time::constant(22, 0, 0, 0)).contains(&hour);
            if day || self.dice.percent(25) {
                return at;
            }
        }
    }

    fn priority(&mut self, turn: Turn) -> Priority {
        // What is made urgent later was routine at first.
        if turn == Turn::Amend { Priority::Routine } else { wishes::priority(&mut self.dice) }
    }

    /// What is going on now, and what ended today: every kind in every status that it can have.
    fn present(&mut self) -> Option<()> {
        let kinds = [Kind::Refill, Kind::Supply, Kind::MissingDose, Kind::Assistance, Kind::Discrepancy];
        let mut outlines = Vec::new();
        for kind in kinds {
            let done = if kind.is_supply() { Status::Delivered } else { Status::Resolved };
            for (status, minutes) in [(done, 210), (Status::Rejected, 150), (Status::Cancelled, 120)] {
                outlines.push((minutes + self.dice.between(0, 90), kind, status, Turn::Plain));
            }
            for (status, minutes) in IN_FLIGHT.into_iter().zip([14, 26, 38, 49, 62, 95]) {
                let possible = kind.is_supply() || matches!(status, Status::Open | Status::Claimed | Status::OnHold);
                if possible {
                    let turn = self.dice.one(&[Turn::Plain, Turn::Plain, Turn::Short, Turn::Comment, Turn::TwoLots]);
                    outlines.push((minutes + self.dice.between(0, 20), kind, status, turn));
                }
            }
        }
        outlines.push((130, Kind::Refill, Status::OnHold, Turn::Comment));
        outlines.push((75, Kind::Supply, Status::Claimed, Turn::Transfer));
        outlines.push((88, Kind::Refill, Status::Dispatched, Turn::Return));
        let waiting =
            WAITING.map(|(kind, priority, minutes)| (minutes, kind, Status::Open, Turn::Plain, Some(priority)));
        let others = outlines.into_iter().map(|(minutes, kind, status, turn)| (minutes, kind, status, turn, None));
        let mut all: Vec<_> = others.chain(waiting).collect();
        all.sort_by_key(|(minutes, ..)| std::cmp::Reverse(*minutes));
        for (minutes, kind, status, turn, priority) in all {
            let created_at = wishes::later(self.now, -i64::from(minutes));
            let priority = priority.unwrap_or_else(|| wishes::priority(&mut self.dice));
            self.ticket(kind, priority, created_at, status, turn)?;
        }
        Some(())
    }

    fn ticket(
        &mut self,
        kind: Kind,
        priority: Priority,
        created_at: Timestamp,
        status: Status,
        turn: Turn,
    ) -> Option<()> {
        let world = self.world;
        let station = self.dice.pick(&world.stations)?;
        let items = self.items(kind, station, created_at, status);
        let outline = Outline { kind, priority, station, items, created_at, status, turn };
        let latest = wishes::later(self.now, -1);
        self.planned += 1;
        let steps = draft::plan(world, &mut self.dice, self.planned, &outline, latest)?;
        self.steps.extend(steps);
        Some(())
    }

    /// Items of a cabinet for which nothing is open at that time; the request keeps them until its ticket has ended.
    fn items(&mut self, kind: Kind, station: &Station, at: Timestamp, status: Status) -> Vec<usize> {
        if kind == Kind::Assistance {
            return Vec::new();
        }
        let place = destination(kind, station);
        let free = |index: &usize| {
            let item = &station.items[*index];
            let until = self.taken.get(&(place.clone(), item.medication.clone()));
            (status.is_terminal() || !item.left_free) && until.is_none_or(|until| *until < at)
        };
        let mut free: Vec<usize> = (0..station.items.len()).filter(free).collect();
        let count = if kind == Kind::MissingDose { 1 } else { self.dice.below(3) + 1 };
        let mut chosen = Vec::with_capacity(count);
        while chosen.len() < count && !free.is_empty() {
            chosen.push(free.swap_remove(self.dice.below(free.len())));
        }
        let until = if status.is_terminal() {
            at.checked_add(SignedDuration::from_hours(LONGEST_HOURS)).unwrap_or(at)
        } else {
            Timestamp::MAX
        };
        for index in &chosen {
            self.taken.insert((place.clone(), station.items[*index].medication.clone()), until);
        }
        chosen
    }
}

fn destination(kind: Kind, station: &Station) -> String {
    if kind == Kind::MissingDose { format!("ward {}", station.ward) } else { format!("cabinet {}", station.cabinet) }
}
