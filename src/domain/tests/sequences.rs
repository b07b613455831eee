//! Random commands by random people: whatever they try, the log folds, the equations hold and the table is kept.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::support::{
    CANCEL, DIPYRONE, DISPATCH, Desk, GLUCOSE, MIDAZOLAM, REJECT, RESOLVE, RETURN, START, check_invariants, comment,
    create, day, erase, hold, pick, reassign, receipt, receive, request, staff, transfer, who,
};
use crate::domain::{
    apply::fold,
    command::{Amend, Command, CommandName, PickLine, ReceiveLine},
    decide::allowed_from,
    event::Event,
    facts::PharmacyFact,
    quantity::Quantity,
    reason::{HoldReason, Kind, Priority, ShortReason, Status},
    ticket::{Ticket, Version},
};

const PEOPLE: &[&str] = &[
    "nina",
    "carla",
    "nurse-elsewhere",
    "tom",
    "tess",
    "paul",
    "petra",
    "satellite",
    "mary",
    "both",
    "eve",
    "audit",
    "admin",
    "his",
];

/// What somebody tries: anything at all, or what would be natural now.
#[derive(Debug, Clone)]
enum Wish {
    Any(&'static str, Box<Command>),
    Natural { detour: u8, amounts: u8 },
}

#[derive(Debug, Clone)]
struct Step {
    wish: Wish,
    stale: bool,
    minutes: i64,
}

fn pick_lines() -> impl Strategy<Value = Vec<PickLine>> {
    let line = (0_u16..4, 0_u32..12, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(line, supplied, lot, fresh, reason)| PickLine {
            line,
            supplied: Quantity::from(supplied),
            lot: lot.then(|| "L".to_owned()),
            expiry: Some(day(if fresh { "2027-09-30" } else { "2027-01-15" })),
            reason: reason.then_some(ShortReason::Recalled),
            expected_at: None,
        },
    );
    prop::collection::vec(line, 0..4)
}

fn receive_lines() -> impl Strategy<Value = Vec<ReceiveLine>> {
    let line = (0_u16..4, 0_u32..12, 0_u32..2)
        .prop_map(|(line, received, damaged)| receipt(line, &received.to_string(), &damaged.to_string()));
    prop::collection::vec(line, 0..4)
}

fn create_of(kind: Kind, code: &str, quantity: u32) -> Command {
    create(kind, &[(code, &quantity.to_string()), (GLUCOSE, "7.5")]).into()
}

fn command() -> impl Strategy<Value = Command> {
    let medication = prop::sample::select(vec![MIDAZOLAM, DIPYRONE, "NOPE"]);
    let amend = (prop::option::of(prop::sample::select(Priority::ALL)), prop::option::of(0_u32..4)).prop_map(
        |(priority, quantity)| {
            let lines = quantity.map(|quantity| vec![request(DIPYRONE, &quantity.to_string())]);
            Command::Amend(Amend { priority, lines, ..Amend::default() })
        },
    );
    prop_oneof![
        (prop::sample::select(Kind::ALL), medication, 0_u32..40).prop_map(|(kind, code, n)| create_of(kind, code, n)),
        amend,
        prop::sample::select(vec!["tom", "tess", "mary"]).prop_map(reassign),
        prop::sample::select(vec!["SAT", "CENTRAL"]).prop_map(transfer),
        pick_lines().prop_map(pick),
        receive_lines().prop_map(receive),
        (prop::sample::select(HoldReason::ALL), -2_i64..100).prop_map(|(reason, days)| Command::Hold {
            reason,
            note: None,
            resume_by: START.parse::<jiff::Timestamp>().unwrap() + SignedDuration::from_hours(24 * days),
        }),
        prop::sample::select(vec![
            Command::Claim,
            Command::Release,
            Command::Unpick,
            Command::Ready,
            DISPATCH,
            RETURN,
            RESOLVE,
            Command::Resume,
            REJECT,
            CANCEL,
            comment(),
            erase(),
        ]),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let any_wish = (prop::sample::select(PEOPLE), command()).prop_map(|(name, c)| Wish::Any(name, Box::new(c)));
    let natural = (any::<u8>(), any::<u8>()).prop_map(|(detour, amounts)| Wish::Natural { detour, amounts });
    (prop_oneof![2 => any_wish, 3 => natural], prop::bool::weighted(0.05), 0_i64..300)
        .prop_map(|(wish, stale, minutes)| Step { wish, stale, minutes })
}

fn steps() -> impl Strategy<Value = (Kind, Vec<Step>)> {
    (prop::sample::select(Kind::ALL), prop::collection::vec(step(), 1..40))
}

/// Who would do what next, so that sequences get far; now and then a detour.
fn natural(kind: Kind, ticket: Option<&Ticket>, detour: u8, amounts: u8) -> (&'static str, Command) {
    let Some(ticket) = ticket else { return ("nina", create_of(kind, MIDAZOLAM, 10)) };
    let assignee = ticket.assignee.as_ref().and_then(|a| PEOPLE.iter().find(|name| **name == a.username.as_str()));
    let home = ticket.pharmacy.as_str() == "CENTRAL";
    let worker = assignee.copied().unwrap_or(if home { "tom" } else { "satellite" });
    let checker = if home { "petra" } else { "satellite" };
    match (ticket.status, detour % 16) {
        (Status::Open | Status::Claimed | Status::Picked, 0) => (worker, hold(HoldReason::AwaitingWard)),
        (Status::Open, 1) => (checker, REJECT),
        (Status::Claimed, 1) => ("nina", CANCEL),
        (Status::Claimed, 2) => (worker, Command::Release),
        (Status::Picked, 1) => (checker, Command::Unpick),
        (Status::Dispatched, 0..4) => ("nina", RETURN),
        (Status::Open, _) => (if home { "tom" } else { "satellite" }, Command::Claim),
        (Status::Claimed, _) if kind.is_supply() => (worker, pick(natural_picks(ticket, amounts))),
        (Status::Claimed, _) => (worker, RESOLVE),
        (Status::Picked, _) => (checker, Command::Ready),
        (Status::Ready, _) => (worker, DISPATCH),
        (Status::Dispatched, _) => ("nina", receive(natural_receipt(ticket, amounts))),
        (Status::OnHold, _) => (worker, Command::Resume),
        (_, 0..4) => ("admin", erase()),
        _ => ("nina", comment()),
    }
}

fn natural_picks(ticket: &Ticket, amounts: u8) -> Vec<PickLine> {
    let missing = Quantity::from(u32::from(amounts % 3));
    ticket
        .lines
        .iter()
        .map(|line| PickLine {
            line: line.line,
            supplied: line.quantity.saturating_sub(missing),
            lot: Some("L1".to_owned()),
            expiry: Some(day(if amounts < 200 { "2027-12-31" } else { "2027-01-20" })),
            reason: Some(ShortReason::Backordered),
            expected_at: None,
        })
        .collect()
}

fn natural_receipt(ticket: &Ticket, amounts: u8) -> Vec<ReceiveLine> {
    let lines = ticket.lines.iter().filter(|line| !line.supplied().is_zero());
    lines
        .map(|line| {
            let damaged = Quantity::from(u32::from(amounts % 2)).min(line.supplied());
            let received = line.supplied().saturating_sub(damaged);
            receipt(line.line, &received.to_string(), &damaged.to_string())
        })
        .collect()
}

/// Reads the facts that a command needs, as a store would.
fn read_facts(desk: &mut Desk, command: &Command) {
    match command {
        Command::Reassign { assignee } => desk.facts.assignee = Some(staff(assignee.as_str())),
        Command::Transfer { pharmacy, .. } => {
            desk.facts.pharmacy = Some(PharmacyFact { code: pharmacy.clone(), active: true });
        }
        _ => {}
    }
}

/// Plays the steps and checks each; gives the statuses that were reached and the commands that passed.
fn play(kind: Kind, steps: &[Step]) -> (BTreeSet<Status>, BTreeSet<CommandName>) {
    let (mut reached, mut passed) = (BTreeSet::new(), BTreeSet::new());
    let mut desk = Desk::new();
    for step in steps {
        desk.wait(step.minutes);
        let (name, command) = match &step.wish {
            Wish::Any(name, command) => (*name, command.as_ref().clone()),
            Wish::Natural { detour, amounts } => natural(kind, desk.ticket.as_ref(), *detour, *amounts),
        };
        read_facts(&mut desk, &command);
        let before = desk.ticket.clone();
        let version = before.as_ref().map_or(Version(0), |ticket| ticket.version);
        let expected = Some(if step.stale { version.next() } else { version });
        match desk.try_at(&who(name), &command, expected) {
            Ok(events) => {
                check_step(before.as_ref(), desk.ticket(), &command, &events);
                reached.insert(desk.status());
                passed.insert(command.name());
            }
            Err(refusal) => {
                assert_eq!(desk.ticket, before);
                assert!(!refusal.detail.is_empty() && !refusal.detail.ends_with('.'), "{refusal}");
            }
        }
    }
    check_replay(&desk);
    (reached, passed)
}

fn check_step(before: Option<&Ticket>, after: &Ticket, command: &Command, events: &[Event]) {
    check_invariants(after);
    if before.is_some_and(|ticket| ticket.erased_at.is_some()) {
        assert_eq!((command.name(), events, Some(after)), (CommandName::Erase, &[][..], before), "nothing comes after");
        return;
    }
    assert!(!events.is_empty() && events.iter().all(|event| event.version == after.version), "one step, one version");
    let Some(before) = before else { return assert_eq!(after.version, Version(1)) };
    if command.name() == CommandName::Comment {
        return assert_eq!(before, after);
    }
    assert_eq!(after.version, before.version.next());
    let unpicked_while_ready = (before.status, command.name()) == (Status::Ready, CommandName::Unpick);
    assert!(allowed_from(before.kind, before.status).contains(&command.name()) || unpicked_while_ready);
    assert_eq!((&before.ward, &before.id, before.created_at), (&after.ward, &after.id, after.created_at));
}

/// The stored events give the same state again, also after a trip through their stored form.
fn check_replay(desk: &Desk) {
    let Some(ticket) = &desk.ticket else { return };
    let stored: Vec<Event> =
        desk.events.iter().map(|event| serde_json::from_str(&serde_json::to_string(event).unwrap()).unwrap()).collect();
    let replayed = fold(&stored).unwrap();
    assert_eq!(&replayed, ticket);
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn whatever_people_try_the_rules_hold((kind, steps) in steps()) {
        play(kind, &steps);
    }
}

/// The property above would be worth little if its sequences stayed near `open`.
#[test]
fn random_sequences_reach_every_status_by_every_command() {
    let mut runner = TestRunner::deterministic();
    let (mut reached, mut passed) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..300 {
        let (kind, steps) = steps().new_tree(&mut runner).unwrap().current();
        let (statuses, commands) = play(kind, &steps);
        reached.extend(statuses);
        passed.extend(commands);
    }
    assert_eq!(reached, Status::ALL.iter().copied().collect());
    assert_eq!(passed, CommandName::ALL.iter().copied().collect());
}

#[test]
fn events_that_are_not_one_whole_history_do_not_fold() {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", Command::Release);
    let events = &desk.events;
    assert!(fold(events).is_ok());
    assert!(fold([]).is_err());
    assert!(fold(&events[1..]).is_err());
    assert!(fold([&events[0], &events[2]]).is_err(), "a gap");
    assert!(fold([&events[0], &events[0]]).is_err());
}
