//! Dispatch, return, receive: every unit that left is accounted for, once.

use super::support::{
    DISPATCH, Desk, RESOLVE, RETURN, comment, create, lot, none, pick, q, receipt, receive, short, who,
};
use crate::domain::{
    command::{Command, ReceiveLine},
    event::Change,
    quantity::Quantity,
    reason::{DispatchMethod, Kind, ReceiptReason, Status},
    refusal::RefusalCode,
    ticket::Version,
};

/// Line 1 is supplied 10 of 10, line 2 8 of 20.
fn dispatched() -> Desk {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "10"), short(2, "8")]));
    desk.does("paul", Command::Ready);
    desk.does("tess", DISPATCH);
    desk
}

#[test]
fn it_is_known_how_and_by_whom_it_left() {
    let desk = dispatched();
    let sent = desk.ticket().dispatch.clone().unwrap();
    assert_eq!((sent.method, sent.by, sent.at), (DispatchMethod::Runner, who("tess").person, desk.now));
    assert_eq!(desk.ticket().checked_by, Some(who("paul").person));
}

#[test]
fn the_ward_confirms_what_arrived_and_what_did_not() {
    let mut desk = dispatched();
    let missing = ReceiveLine { missing: q("1"), reason: Some(ReceiptReason::NotDelivered), ..receipt(2, "6", "1") };
    desk.does("nina", receive([receipt(1, "10", "0"), missing]));
    assert_eq!(desk.status(), Status::Delivered);
    let line = &desk.ticket().lines[1];
    let arrived = line.receipt.as_ref().unwrap();
    assert_eq!((arrived.received, arrived.damaged, arrived.missing), (q("6"), q("1"), q("1")));
    assert_eq!(line.outstanding(), q("12"), "the rest stays outstanding, with its reason");
    assert!(line.reason.is_some());
}

#[test]
fn a_receipt_adds_up_to_what_was_supplied() {
    let cases: [(Vec<ReceiveLine>, RefusalCode, &str); 6] = [
        (vec![receipt(1, "10", "0")], RefusalCode::ReceiptMismatch, "lines"),
        (vec![], RefusalCode::ReceiptMismatch, "lines"),
        (vec![receipt(1, "10", "0"), receipt(2, "7", "0")], RefusalCode::ReceiptMismatch, "lines[1]"),
        (vec![receipt(1, "10", "1"), receipt(2, "8", "0")], RefusalCode::ReceiptMismatch, "lines[0]"),
        (
            vec![receipt(1, "10", "0"), receipt(2, "4", "0"), receipt(2, "4", "0")],
            RefusalCode::ReceiptMismatch,
            "lines[1]",
        ),
        (
            vec![receipt(1, "10", "0"), receipt(2, "8", "0"), receipt(3, "0", "0")],
            RefusalCode::UnknownLine,
            "lines[2].line",
        ),
    ];
    for (lines, code, field) in cases {
        let refusal = dispatched().refuses("nina", receive(lines), code);
        assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    }
    let twice = receive([receipt(1, "10", "0"), receipt(2, "8", "0"), receipt(2, "8", "0")]);
    dispatched().refuses("nina", twice, RefusalCode::DuplicateLine);
    let off = receive([receipt(1, "10", "0"), receipt(2, "5", "1")]);
    let refusal = dispatched().refuses("nina", off, RefusalCode::ReceiptMismatch);
    assert!(refusal.detail.contains("supplied 8") && refusal.detail.contains("add up to 6"), "{refusal}");
}

#[test]
fn a_line_of_which_nothing_came_may_be_left_out() {
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "10"), none(2)]));
    desk.does("paul", Command::Ready);
    desk.does("tom", DISPATCH);
    let full = receipt(1, "10", "0");
    desk.refuses("nina", receive([full.clone(), receipt(2, "1", "0")]), RefusalCode::ReceiptMismatch);
    desk.clone().does("nina", receive([full.clone(), receipt(2, "0", "0")]));
    desk.does("nina", receive([full]));
    assert_eq!(desk.ticket().lines[1].receipt, None);
    assert_eq!(desk.ticket().lines[1].outstanding(), q("20"));
}

/// D3: the same delivery confirmed from two tabs.
#[test]
fn a_delivery_is_confirmed_once() {
    let mut desk = dispatched();
    let seen = Some(desk.ticket().version);
    let all = receive([receipt(1, "10", "0"), receipt(2, "8", "0")]);
    desk.try_at(&who("nina"), &all, seen).unwrap();
    let after = desk.ticket.clone();
    assert_eq!(desk.try_at(&who("nina"), &all, seen).unwrap_err().code, RefusalCode::StaleVersion);
    assert_eq!(desk.ticket, after);
    desk.refuses("nina", all, RefusalCode::InvalidTransition);
}

#[test]
fn what_comes_back_is_picked_and_checked_anew() {
    let mut desk = dispatched();
    let changes = desk.does("tess", RETURN);
    assert!(matches!(&changes[..], [Change::PicksDiscarded, Change::Returned { .. }]));
    let ticket = desk.ticket();
    assert_eq!((ticket.status, &ticket.assignee), (Status::Claimed, &Some(who("tom").person)));
    assert_eq!((&ticket.checked_by, &ticket.dispatch), (&None, &None));
    assert!(ticket.lines.iter().all(|line| line.supplied() == Quantity::ZERO && line.reason.is_none()));
    desk.does("tom", pick([lot(1, "10"), lot(2, "20")]));
    desk.does("paul", Command::Ready);
}

#[test]
fn a_service_ticket_is_resolved_by_its_assignee() {
    for kind in [Kind::Assistance, Kind::Discrepancy] {
        let mut desk = Desk::with(create(kind, &[]));
        desk.does("tom", Command::Claim);
        desk.refuses("tom", pick([lot(1, "1")]), RefusalCode::InvalidTransition);
        desk.refuses("tess", RESOLVE, RefusalCode::NotAssignee);
        desk.does("tom", RESOLVE);
        assert_eq!(desk.status(), Status::Resolved);
    }
}

/// D4: a comment begun earlier and saved later carries no old status.
#[test]
fn a_comment_changes_neither_the_ticket_nor_its_version() {
    let mut desk = dispatched();
    let before = desk.ticket.clone();
    desk.wait(5);
    let events = desk.try_at(&who("nina"), &comment(), Some(Version(1))).unwrap();
    assert_eq!(events[0].version, before.as_ref().unwrap().version);
    assert_eq!(desk.ticket, before);
    desk.does("nina", receive([receipt(1, "10", "0"), receipt(2, "8", "0")]));
    desk.does("nina", comment());
}
