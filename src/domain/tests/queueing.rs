//! Claim, release, reassign, transfer: one wins, picks go back, the queue follows.

use super::support::{Desk, lot, pick, reassign, staff, transfer, who};
use crate::domain::{
    command::Command,
    event::Change,
    reason::{Role, Status},
    refusal::{Category, More, PastChange, RefusalCode},
    ticket::Version,
};

#[test]
fn of_two_who_claim_one_wins_and_the_other_learns_who() {
    let mut desk = Desk::with_refill();
    desk.does("paul", Command::Claim);
    let refusal = desk.try_at(&who("petra"), &Command::Claim, Some(Version(1))).unwrap_err();
    assert_eq!((refusal.code, refusal.category()), (RefusalCode::AlreadyClaimed, Category::Conflict));
    assert_eq!(refusal.more, Some(More::Claimed { assignee: who("paul").person }));
    assert!(refusal.detail.contains("paul"));
    desk.refuses("paul", Command::Claim, RefusalCode::AlreadyClaimed);
}

#[test]
fn a_stale_command_learns_what_changed() {
    let mut desk = Desk::with_refill();
    desk.does("paul", Command::Claim);
    let change =
        PastChange { event: "claimed".to_owned(), version: Version(2), actor: who("paul").person, at: desk.now };
    desk.facts.changes_since = vec![change.clone()];
    for version in [1, 3] {
        let refusal = desk.try_at(&who("paul"), &Command::Release, Some(Version(version))).unwrap_err();
        assert_eq!((refusal.code, refusal.category()), (RefusalCode::StaleVersion, Category::Stale));
        assert_eq!(refusal.more, Some(More::Stale { current_version: Version(2), changes: vec![change.clone()] }));
    }
}

#[test]
fn release_puts_the_picks_back_and_the_ticket_into_the_queue() {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    assert_eq!(desk.clone().does("tom", Command::Release), [Change::Released]);
    desk.does("tom", pick([lot(1, "10")]));
    let events = desk.try_as(&who("tess"), &Command::Release).unwrap();
    assert!(matches!(events[0].change, Change::PicksDiscarded) && matches!(events[1].change, Change::Released));
    assert!(events.iter().all(|event| event.version == Version(4)), "one command is one step");
    assert_eq!((desk.ticket().version, desk.status()), (Version(4), Status::Open));
    assert!(desk.ticket().lines.iter().all(|line| line.picks.is_empty() && !line.settled));
}

#[test]
fn a_colleague_must_be_able_to_work_it() {
    let mut desk = Desk::with_refill();
    desk.refuses("mary", reassign("tess"), RefusalCode::InvalidTransition);
    desk.does("tom", Command::Claim);
    desk.does("mary", reassign("tess"));
    assert_eq!(desk.ticket().assignee, Some(who("tess").person));
    assert_eq!(desk.refuses("mary", reassign("tess"), RefusalCode::NothingToChange).field.as_deref(), Some("assignee"));
    let mut disabled = staff("tom");
    disabled.active = false;
    let mut manager = staff("tom");
    manager.roles = [Role::Manager].into();
    for unfit in [None, Some(disabled), Some(manager), Some(staff("satellite"))] {
        desk.facts.assignee = unfit;
        desk.refuses("mary", reassign("tom"), RefusalCode::UnknownAssignee);
    }
}

#[test]
fn a_transfer_opens_the_ticket_at_the_other_pharmacy() {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "10")]));
    let changes = desk.does("tom", transfer("SAT"));
    assert!(matches!(&changes[..], [Change::PicksDiscarded, Change::Transferred { .. }]));
    let ticket = desk.ticket();
    assert_eq!((ticket.status, ticket.pharmacy.as_str(), &ticket.assignee), (Status::Open, "SAT", &None));
    assert_eq!(ticket.former_pharmacies, ["CENTRAL".parse().unwrap()]);
    // And back: each pharmacy stands once.
    desk.facts.pharmacy.as_mut().unwrap().code = "CENTRAL".parse().unwrap();
    desk.does("satellite", transfer("CENTRAL"));
    assert_eq!(desk.ticket().former_pharmacies, ["SAT".parse().unwrap()]);
}

#[test]
fn a_transfer_needs_another_active_pharmacy() {
    let mut desk = Desk::with_refill();
    let refusal = desk.refuses("tom", transfer("CENTRAL"), RefusalCode::UnknownPharmacy);
    assert_eq!(refusal.field.as_deref(), Some("pharmacy"));
    desk.facts.pharmacy.as_mut().unwrap().active = false;
    desk.refuses("tom", transfer("SAT"), RefusalCode::UnknownPharmacy);
    desk.facts.pharmacy = None;
    desk.refuses("tom", transfer("SAT"), RefusalCode::UnknownPharmacy);
}
