//! Lots, shortages, expiry and the second person.

use super::support::{
    CANCEL, DIPYRONE, DISPATCH, Desk, MIDAZOLAM, REJECT, create, day, lot, none, pick, q, reassign, short,
};
use crate::domain::{
    command::{Amend, Command, PickLine},
    control_class::{Classification, ControlClass},
    event::Change,
    quantity::Quantity,
    reason::{Kind, Priority, ShortReason, Status},
    refusal::RefusalCode,
};

fn claimed() -> Desk {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk
}

#[track_caller]
fn refused(lines: impl Into<Vec<PickLine>>, code: RefusalCode, field: &str) {
    let refusal = claimed().refuses("tom", pick(lines), code);
    assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
}

#[test]
fn a_ticket_is_picked_once_every_line_is_settled() {
    let mut desk = claimed();
    desk.does("tom", pick([lot(1, "10")]));
    assert_eq!(desk.status(), Status::Claimed);
    desk.does("tom", pick([short(2, "12")]));
    assert_eq!(desk.status(), Status::Picked);
    let line = &desk.ticket().lines[1];
    assert_eq!((line.supplied(), line.outstanding(), line.reason), (q("12"), q("8"), Some(ShortReason::OutOfStock)));
}

#[test]
fn a_repeated_line_is_another_lot_and_replaces_the_earlier_picking() {
    let mut desk = claimed();
    desk.does("tom", pick([short(1, "3")]));
    let mut second = lot(1, "4");
    second.lot = Some(" L9 ".to_owned());
    desk.does("tom", pick([lot(1, "6"), second]));
    let line = &desk.ticket().lines[0];
    let lots: Vec<_> = line.picks.iter().map(|pick| (pick.lot.as_str(), pick.quantity)).collect();
    assert_eq!(lots, [("L1", q("6")), ("L9", q("4"))]);
    assert_eq!((line.reason, line.outstanding()), (None, Quantity::ZERO));
}

#[test]
fn what_is_picked_must_fit_the_line() {
    refused([], RefusalCode::LinesRequired, "lines");
    refused([lot(1, "10"), lot(7, "1")], RefusalCode::UnknownLine, "lines[1].line");
    refused([lot(1, "11")], RefusalCode::Oversupply, "lines[0].supplied");
    refused([lot(1, "6"), lot(1, "5")], RefusalCode::Oversupply, "lines[0].supplied");
    refused([lot(1, "999999999"), lot(1, "999999999")], RefusalCode::Oversupply, "lines[0].supplied");
    refused([lot(1, "9")], RefusalCode::ReasonRequired, "lines[0].reason");
    refused([PickLine { reason: None, ..none(1) }], RefusalCode::ReasonRequired, "lines[0].reason");
    refused([lot(1, "9"), none(1)], RefusalCode::DuplicateLine, "lines[1].supplied");
    refused([none(1), none(1)], RefusalCode::DuplicateLine, "lines[0].supplied");
}

#[test]
fn what_leaves_the_shelf_has_a_lot_and_a_date() {
    for bad in [None, Some("  "), Some("a\tb"), Some("a\0b"), Some("x".repeat(41).as_str())] {
        let line = PickLine { lot: bad.map(str::to_owned), ..lot(1, "10") };
        refused([line], RefusalCode::LotRequired, "lines[0].lot");
    }
    refused([lot(2, "20"), PickLine { expiry: None, ..lot(1, "10") }], RefusalCode::ExpiryRequired, "lines[1].expiry");
}

/// D5: whatever is corrected meanwhile, requested = supplied + outstanding + declined. The desk checks it at every step.
#[test]
fn totals_reconcile_through_corrections() {
    let mut desk = claimed();
    for lines in [vec![short(1, "3")], vec![lot(1, "10")], vec![none(1), short(2, "19.5")], vec![short(1, "0.5")]] {
        if desk.status() == Status::Picked {
            desk.does("tom", Command::Unpick);
        }
        desk.does("tom", pick(lines));
    }
    desk.does("tom", CANCEL);
    assert_eq!(desk.ticket().lines.iter().map(|line| line.declined).collect::<Vec<_>>(), [q("10"), q("20")]);
}

/// D9: a line that has picked stock is not taken away under the picker's hands.
#[test]
fn lines_stay_as_they_are_once_somebody_works_them() {
    let mut desk = claimed();
    desk.does("tom", pick([lot(1, "10")]));
    let fewer = Amend { lines: Some(create(Kind::Refill, &[(DIPYRONE, "1")]).lines), ..Amend::default() };
    desk.refuses("nina", Command::Amend(fewer), RefusalCode::InvalidTransition);
}

/// D13: it is 15 January, 22:07, at the site and already the 16th in Greenwich.
#[test]
fn a_lot_is_usable_through_its_expiry_date_at_the_site() {
    let expiring = |on: &str| PickLine { expiry: Some(day(on)), ..lot(1, "10") };
    let refusal = claimed().refuses("tom", pick([expiring("2027-01-14")]), RefusalCode::ExpiredStock);
    assert!(refusal.detail.contains("L1") && refusal.detail.contains("2027-01-14"), "{refusal}");
    assert!(refusal.detail.contains("today is 2027-01-15"), "{refusal}");
    claimed().does("tom", pick([expiring("2027-01-15")]));
    let mut desk = claimed();
    desk.wait(113);
    desk.refuses("tom", pick([expiring("2027-01-15")]), RefusalCode::ExpiredStock);
}

/// A picked ticket whose lot expires at midnight of the 15th.
fn expiring_today() -> Desk {
    let mut desk = Desk::with_plain_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([PickLine { expiry: Some(day("2027-01-15")), ..lot(1, "20") }]));
    desk
}

#[test]
fn stock_that_expires_before_it_leaves_stays_here_and_goes_back() {
    let mut desk = expiring_today();
    desk.wait(120);
    desk.refuses("paul", Command::Ready, RefusalCode::ExpiredStock);
    let mut desk = expiring_today();
    desk.does("paul", Command::Ready);
    desk.refuses("tom", Command::Unpick, RefusalCode::InvalidTransition);
    desk.wait(120);
    desk.refuses("tom", DISPATCH, RefusalCode::ExpiredStock);
    desk.does("tom", Command::Unpick);
    assert_eq!((desk.status(), &desk.ticket().checked_by), (Status::Claimed, &None));
    desk.does("tom", pick([lot(1, "20")]));
    desk.does("paul", Command::Ready);
    desk.does("tom", DISPATCH);
}

fn picked_by(name: &str, medication: &str) -> Desk {
    let mut desk = Desk::with(create(Kind::Refill, &[(medication, "5")]));
    desk.does(name, Command::Claim);
    desk.does(name, pick([lot(1, "5")]));
    desk
}

#[test]
fn a_controlled_line_needs_a_second_person() {
    let mut desk = picked_by("paul", MIDAZOLAM);
    desk.refuses("paul", Command::Ready, RefusalCode::SecondPersonRequired);
    let changes = desk.does("petra", Command::Ready);
    assert_eq!(changes, [Change::Ready { policy_version: 1, second_person: true }]);
    assert_eq!(
        picked_by("paul", DIPYRONE).does("paul", Command::Ready),
        [Change::Ready { policy_version: 1, second_person: false }]
    );
}

#[test]
fn passing_the_ticket_on_does_not_make_the_picker_a_second_person() {
    let mut desk = Desk::with_refill();
    desk.does("paul", Command::Claim);
    desk.does("paul", pick([lot(1, "10")]));
    desk.does("mary", reassign("tess"));
    desk.does("tess", pick([lot(2, "20")]));
    desk.refuses("paul", Command::Ready, RefusalCode::SecondPersonRequired);
    desk.does("petra", Command::Ready);
}

#[test]
fn a_medication_that_became_controlled_or_is_unreviewed_counts_as_controlled() {
    for classification in [Classification::Unreviewed, ControlClass::A1.into()] {
        let mut desk = picked_by("paul", DIPYRONE);
        desk.facts.items[1].classification = classification;
        desk.refuses("paul", Command::Ready, RefusalCode::SecondPersonRequired);
    }
}

#[test]
fn a_line_that_was_controlled_when_asked_for_stays_so() {
    let mut desk = picked_by("paul", MIDAZOLAM);
    desk.facts.items[0].classification = Classification::NotControlled;
    desk.refuses("paul", Command::Ready, RefusalCode::SecondPersonRequired);
}

#[test]
fn policy_may_ask_for_a_second_person_by_priority() {
    let mut desk = picked_by("paul", DIPYRONE);
    desk.facts.policy.second_person_priorities = [Priority::Stat].into();
    let refusal = desk.refuses("paul", Command::Ready, RefusalCode::SecondPersonRequired);
    assert!(refusal.detail.contains("stat"));
    desk.does("petra", Command::Ready);
}

#[test]
fn a_technician_checks_only_where_policy_allows_and_nothing_is_controlled() {
    let mut desk = picked_by("tom", DIPYRONE);
    desk.refuses("tess", Command::Ready, RefusalCode::RoleNotAllowed);
    desk.facts.policy.technician_may_check = true;
    desk.does("tess", Command::Ready);
    let mut desk = picked_by("tom", MIDAZOLAM);
    desk.facts.policy.technician_may_check = true;
    desk.refuses("tess", Command::Ready, RefusalCode::RoleNotAllowed);
}

#[test]
fn where_nothing_could_be_supplied_nothing_leaves_and_nothing_is_stuck() {
    let mut desk = claimed();
    desk.does("tom", pick([none(1), none(2)]));
    assert_eq!(desk.status(), Status::Picked);
    desk.refuses("paul", Command::Ready, RefusalCode::NothingSupplied);
    desk.does("paul", Command::Unpick);
    desk.does("paul", REJECT);
    assert_eq!(desk.status(), Status::Rejected);
}
