//! `--demo --live`: seeded nurses, technicians and pharmacists go on working, mistakes included. It must never fill the queue, nor touch a
//! ticket that somebody else is working on.

use std::{collections::HashSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    dice::Dice,
    draft::submission,
    moves::{Move, Turn},
    wishes,
    world::World,
};
use crate::{
    domain::{
        actor::{Actor, Reach},
        code::{CabinetCode, MedicationCode, WardCode},
        command::{Command, Create},
        quantity::Quantity,
        reason::{Kind, Priority, Status},
        refusal::RefusalCode,
        ticket::{Ticket, TicketId},
    },
    server::{
        ports::{
            CommandId, IdentityStore, Outcome, Pipeline, ReferenceStore, StoreError, Submission, SubmitError,
            Submitted, TicketQuery, TicketSort, TicketStore, Visibility,
        },
        sqlite::SqliteStore,
    },
};

/// About how long the players wait between two steps.
pub const PACE: Duration = Duration::from_millis(1_500);

/// Below so many tickets that are not at an end, requests come in fast; from `MANY` on, none does.
const FEW: u64 = 30;
const MANY: u64 = 60;

/// After so many steps the players slow down: a demo that was forgotten must not fill a laptop's disk.
const LIVELY_STEPS: u64 = 5_000;
const THEN_SLOWER: u32 = 8;

/// A ticket that the players did not make themselves is theirs only once nobody has changed it for so long.
const LEFT_ALONE: SignedDuration = SignedDuration::from_mins(2);

/// Steps between two readings of places, people and medications.
const RELOAD_EVERY: u64 = 200;

const WAIT: Duration = Duration::from_secs(5);

const UNDER_WAY: [Status; 6] =
    [Status::Open, Status::Claimed, Status::Picked, Status::Ready, Status::Dispatched, Status::OnHold];

/// What the players work through: the ports that the server itself uses.
#[derive(Clone)]
pub struct LivePorts {
    /// Takes their commands.
    pub pipeline: Arc<dyn Pipeline>,
    /// Shows them the queue.
    pub tickets: Arc<dyn TicketStore>,
    /// Places and medications.
    pub reference: Arc<dyn ReferenceStore>,
    /// Who they are.
    pub identity: Arc<dyn IdentityStore>,
}

impl From<Arc<SqliteStore>> for LivePorts {
    fn from(store: Arc<SqliteStore>) -> Self {
        Self { pipeline: store.clone(), tickets: store.clone(), reference: store.clone(), identity: store }
    }
}

/// Plays until told to stop, a step about every `pace`.
pub async fn play(ports: LivePorts, pace: Duration, mut shutdown: watch::Receiver<bool>) {
    let mut stopped = std::pin::pin!(async move {
        // A sender that is gone stops the players too.
        let _ = shutdown.wait_for(|stop| *stop).await;
    });
    let begun = tokio::select! {
        () = &mut stopped => return,
        begun = Players::begin(ports) => begun,
    };
    let mut players = match begun {
        Ok(players) => players,
        Err(error) => {
            tracing::warn!(%error, "the demo's players cannot begin");
            return;
        }
    };
    loop {
        let pause = players.pause(pace);
        tokio::select! {
            biased;
            () = &mut stopped => return,
            () = async {
                tokio::time::sleep(pause).await;
                players.step().await;
            } => {}
        }
    }
}

/// What became of one step's commands; for tests and the log.
pub(super) type Answers = Vec<Result<(), RefusalCode>>;

/// The demo's people at work.
pub(super) struct Players {
    ports: LivePorts,
    world: World,
    dice: Dice,
    /// Tickets that they made and that are not at an end.
    own: HashSet<TicketId>,
    /// Tells this run's commands from those of earlier runs.
    run: Uuid,
    steps: u64,
    sent: u64,
}

impl Players {
    pub(super) async fn begin(ports: LivePorts) -> Result<Self, StoreError> {
        let world = World::load(ports.reference.as_ref(), ports.identity.as_ref()).await?;
        let run = Uuid::new_v4();
        let dice = Dice::new(run.as_u64_pair().0);
        Ok(Self { ports, world, dice, own: HashSet::new(), run, steps: 0, sent: 0 })
    }

    fn pause(&mut self, pace: Duration) -> Duration {
        let pace = if self.steps < LIVELY_STEPS { pace } else { pace * THEN_SLOWER };
        pace * self.dice.between(50, 150) / 100
    }

    /// One thing that happens in the hospital.
    pub(super) async fn step(&mut self) -> Answers {
        self.steps += 1;
        match self.act().await {
            Ok(answers) => {
                for code in answers.iter().filter_map(|answer| answer.err()) {
                    tracing::debug!(%code, "one of the demo's players was refused");
                }
                answers
            }
            Err(error) => {
                tracing::debug!(%error, "one of the demo's players got no answer");
                Vec::new()
            }
        }
    }

    async fn act(&mut self) -> Result<Answers, SubmitError> {
        if self.steps.is_multiple_of(RELOAD_EVERY) {
            self.world = World::load(self.ports.reference.as_ref(), self.ports.identity.as_ref()).await?;
        }
        let (total, tickets) = self.under_way().await?;
        let chance = match total {
            ..FEW => 60,
            FEW..MANY => 25,
            _ => 0,
        };
        if self.dice.percent(chance) {
            return self.request(&tickets).await;
        }
        let now = Timestamp::now();
        let theirs: Vec<&Ticket> = tickets.iter().filter(|ticket| self.may_touch(ticket, now)).collect();
        let Some(ticket) = self.dice.pick(&theirs).copied() else {
            return Ok(Vec::new());
        };
        let mut turn = Turn { world: &self.world, dice: &mut self.dice, ticket, now };
        if turn.dice.percent(15)
            && let Some([one, other]) = turn.race()
        {
            return self.both(ticket, one, other).await;
        }
        let mistake = if turn.dice.percent(12) { turn.mistake() } else { None };
        match mistake.or_else(|| turn.sensible()) {
            Some(next) => Ok(vec![self.send(ticket.id, &ticket.ward, next).await?]),
            None => Ok(Vec::new()),
        }
    }

    /// How many tickets are not at an end, and those of them that are due first.
    async fn under_way(&mut self) -> Result<(u64, Vec<Ticket>), StoreError> {
        let page = self.ports.tickets.tickets(everything_under_way()).await?;
        let total = page.total.unwrap_or(page.items.len() as u64);
        // Bounded by the page: a ticket that fell off it is somebody else's from now on.
        let known: HashSet<TicketId> = page.items.iter().map(|ticket| ticket.id).collect();
        self.own.retain(|id| known.contains(id));
        Ok((total, page.items))
    }

    fn may_touch(&self, ticket: &Ticket, now: Timestamp) -> bool {
        self.own.contains(&ticket.id) || now.duration_since(ticket.updated_at) >= LEFT_ALONE
    }

    /// A nurse sends a request; now and then one that is open already, or for more than the cabinet holds.
    async fn request(&mut self, tickets: &[Ticket]) -> Result<Answers, SubmitError> {
        let Some((create, nurse)) = self.wanted(tickets) else {
            return Ok(Vec::new());
        };
        let command_id = self.next_id();
        let ward = create.ward.clone();
        let id = TicketId::derive(&ward, command_id.0);
        let command = Command::Create(Box::new(create));
        let answer = self.submit(submission(command_id, id, ward, None, &nurse, command)).await?;
        if answer.is_ok() {
            self.own.insert(id);
        }
        Ok(vec![answer])
    }

    fn wanted(&mut self, tickets: &[Ticket]) -> Option<(Create, Actor)> {
        let kind = self.dice.one(&[
            Kind::Refill,
            Kind::Refill,
            Kind::Refill,
            Kind::Supply,
            Kind::MissingDose,
            Kind::Assistance,
            Kind::Discrepancy,
        ]);
        let station = self.dice.pick(&self.world.stations)?;
        let open: HashSet<&MedicationCode> = open_at(tickets, &station.ward, &station.cabinet, kind).collect();
        let again = kind.is_supply() && self.dice.percent(6);
        let fits = |index: &usize| {
            let item = &station.items[*index];
            !item.left_free && open.contains(&item.medication) == again
        };
        let fitting: Vec<usize> = (0..station.items.len()).filter(fits).collect();
        let mut items: Vec<usize> =
            if kind == Kind::Assistance { Vec::new() } else { vec![*self.dice.pick(&fitting)?] };
        if kind == Kind::Refill
            && let Some(second) = self.dice.pick(&fitting).filter(|second| !items.contains(second))
        {
            items.push(*second);
        }
        let priority = wishes::priority(&mut self.dice);
        let mut create = wishes::create(kind, priority, station, &items, Timestamp::now(), &mut self.dice);
        let nurse = self.world.nurse(&station.ward, &mut self.dice)?.clone();
        if kind == Kind::Refill
            && self.dice.percent(4)
            && let Some(line) = create.lines.first_mut()
        {
            line.quantity = Quantity::from(500);
            create.priority = Priority::Routine;
        }
        Some((create, nurse))
    }

    /// Two at the same time: the pipeline says who was first.
    async fn both(&mut self, ticket: &Ticket, one: Move, other: Move) -> Result<Answers, SubmitError> {
        let commands = [one, other].map(|next| {
            let id = self.next_id();
            submission(id, ticket.id, ticket.ward.clone(), Some(next.seen), &next.actor, next.command)
        });
        let [one, other] = commands;
        let (one, other) = tokio::join!(self.submit(one), self.submit(other));
        Ok(vec![one?, other?])
    }

    async fn send(
        &mut self,
        ticket: TicketId,
        ward: &WardCode,
        next: Move,
    ) -> Result<Result<(), RefusalCode>, SubmitError> {
        let expected = (!matches!(next.command, Command::Comment { .. })).then_some(next.seen);
        let id = self.next_id();
        self.submit(submission(id, ticket, ward.clone(), expected, &next.actor, next.command)).await
    }

    async fn submit(&self, submission: Submission) -> Result<Result<(), RefusalCode>, SubmitError> {
        match self.ports.pipeline.submit(submission, WAIT).await? {
            Submitted::Done(done) => Ok(match done.outcome {
                Outcome::Applied(_) => Ok(()),
                Outcome::Refused(refusal) => Err(refusal.code),
            }),
            Submitted::Pending(_) => Ok(Ok(())),
        }
    }

    fn next_id(&mut self) -> CommandId {
        self.sent += 1;
        let (high, low) = self.run.as_u64_pair();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_be_bytes());
        bytes[8..].copy_from_slice(&low.wrapping_add(self.sent).to_be_bytes());
        CommandId(Uuid::new_v8(bytes))
    }
}

fn everything_under_way() -> TicketQuery {
    TicketQuery {
        visibility: Visibility { wards: Reach::All, pharmacies: Reach::All },
        statuses: UNDER_WAY.to_vec(),
        kinds: Vec::new(),
        priorities: Vec::new(),
        wards: Vec::new(),
        cabinets: Vec::new(),
        pharmacies: Vec::new(),
        assignee: None,
        requester: None,
        medications: Vec::new(),
        text: None,
        identifier: None,
        overdue_at: None,
        from: None,
        to: None,
        sort: TicketSort::DueAt,
        limit: 200,
        after: None,
    }
}

/// Medications with an open request where a new one of this kind would go.
fn open_at<'a>(
    tickets: &'a [Ticket],
    ward: &'a WardCode,
    cabinet: &'a CabinetCode,
    kind: Kind,
) -> impl Iterator<Item = &'a MedicationCode> {
    let same = move |ticket: &&Ticket| {
        if kind == Kind::MissingDose {
            ticket.kind == kind && ticket.ward == *ward
        } else {
            ticket.cabinet.as_ref() == Some(cabinet) && ticket.kind.is_supply() == kind.is_supply()
        }
    };
    tickets.iter().filter(same).flat_map(|ticket| &ticket.lines).map(|line| &line.medication)
}
