//! Holds and their clock, reject and cancel.

use super::support::{CANCEL, DIPYRONE, Desk, REJECT, create, hold, lot, pick, q};
use crate::domain::{
    command::{Command, CommandName},
    event::Change,
    reason::{HoldReason, Kind, Status},
    refusal::{More, RefusalCode},
};

#[test]
fn the_clock_stands_still_only_while_the_ward_is_waited_for() {
    let mut desk = Desk::with_refill();
    desk.wait(5);
    desk.does("tom", hold(HoldReason::AwaitingWard));
    assert_eq!(desk.due_in(), None);
    desk.wait(20);
    desk.does("tom", Command::Resume);
    assert_eq!((desk.status(), desk.due_in()), (Status::Open, Some(35)));
    desk.does("tom", hold(HoldReason::OutOfStock));
    assert_eq!(desk.due_in(), Some(35));
    desk.wait(60);
    desk.does("tom", Command::Resume);
    assert_eq!(desk.due_in(), Some(35));
    desk.does("tom", hold(HoldReason::WardNotReady));
    desk.wait(10);
    desk.does("tom", Command::Resume);
    assert_eq!(desk.due_in(), Some(45), "holds add up");
}

#[test]
fn a_missing_dose_waits_like_any_other() {
    let mut desk = Desk::with(create(Kind::MissingDose, &[(DIPYRONE, "1")]));
    let due = desk.due_in().unwrap();
    desk.does("tom", hold(HoldReason::AwaitingPrescriber));
    desk.wait(7);
    desk.does("tom", Command::Resume);
    assert_eq!(desk.due_in(), Some(due + 7));
}

#[test]
fn a_pause_ends_where_it_began_with_everything_picked() {
    let mut desk = Desk::with_plain_refill();
    desk.does("tom", Command::Claim);
    desk.does("tess", hold(HoldReason::Other));
    desk.does("tess", Command::Resume);
    assert_eq!(desk.status(), Status::Claimed);
    desk.does("tom", pick([lot(1, "20")]));
    desk.does("tess", hold(HoldReason::Other));
    desk.does("tess", Command::Resume);
    assert_eq!((desk.status(), desk.ticket().lines[0].supplied()), (Status::Picked, q("20")));
}

#[test]
fn the_time_to_resume_by_lies_ahead() {
    let mut desk = Desk::with_refill();
    let now = desk.now;
    let until_now = Command::Hold { reason: HoldReason::Other, note: None, resume_by: now };
    let refusal = desk.refuses("tom", until_now, RefusalCode::TimeInPast);
    assert_eq!(refusal.field.as_deref(), Some("resume_by"));
}

#[test]
fn what_was_picked_before_the_pause_is_put_back_before_the_cancel() {
    let mut desk = Desk::with_plain_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "20")]));
    desk.refuses("nina", CANCEL, RefusalCode::InvalidTransition);
    desk.does("tom", hold(HoldReason::Other));
    let refusal = desk.refuses("nina", CANCEL, RefusalCode::InvalidTransition);
    assert!(refusal.detail.contains("resume and unpick"), "{refusal}");
    let allowed = vec![CommandName::Resume, CommandName::Comment];
    assert_eq!(refusal.more, Some(More::Transition { status: Status::OnHold, allowed }));
    desk.does("tom", Command::Resume);
    desk.does("tom", Command::Unpick);
    desk.does("nina", CANCEL);
}

#[test]
fn an_end_declines_what_was_not_supplied_and_puts_the_picks_back() {
    for (name, command, status) in [("nina", CANCEL, Status::Cancelled), ("paul", REJECT, Status::Rejected)] {
        let mut desk = Desk::with_refill();
        desk.does("tom", Command::Claim);
        desk.does("tom", pick([lot(1, "10")]));
        let changes = desk.does(name, command);
        assert_eq!((&changes[0], changes.len(), desk.status()), (&Change::PicksDiscarded, 2, status));
        assert_eq!(desk.ticket().lines.iter().map(|line| line.declined).collect::<Vec<_>>(), [q("10"), q("20")]);
    }
}

#[test]
fn a_paused_ticket_is_cancelled_with_its_pause() {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "10")]));
    desk.does("tom", hold(HoldReason::AwaitingWard));
    desk.wait(30);
    desk.does("carla", CANCEL);
    assert_eq!((desk.status(), &desk.ticket().hold, desk.due_in()), (Status::Cancelled, &None, Some(45)));
}
