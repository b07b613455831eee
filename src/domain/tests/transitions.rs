//! The life cycles, written out a second time as the workflow's table has them, against every status and command.

use super::support::{
    CANCEL, DIPYRONE, DISPATCH, Desk, REJECT, RESOLVE, RETURN, comment, create, erase, hold, lot, pick, reassign,
    receipt, receive, text, transfer, who,
};
use crate::domain::{
    command::{Amend, Command, CommandName},
    decide::allowed_from,
    reason::{HoldReason, Kind, Priority, Status},
    refusal::{More, RefusalCode},
    text::FreeText,
};

/// A ticket of the kind brought to the status by the all-round `eve`; holds are from `held_from`.
fn at(kind: Kind, status: Status, held_from: Status) -> Option<Desk> {
    let mut desk = Desk::with(create(kind, &[(DIPYRONE, "5")]));
    let steps: Vec<Command> = match status {
        Status::Open => vec![],
        Status::Claimed => vec![Command::Claim],
        Status::Picked => vec![Command::Claim, pick([lot(1, "5")])],
        Status::Ready => vec![Command::Claim, pick([lot(1, "5")]), Command::Ready],
        Status::Dispatched => vec![Command::Claim, pick([lot(1, "5")]), Command::Ready, DISPATCH],
        Status::Delivered => {
            vec![Command::Claim, pick([lot(1, "5")]), Command::Ready, DISPATCH, receive([receipt(1, "5", "0")])]
        }
        Status::Resolved => vec![Command::Claim, RESOLVE],
        Status::Rejected => vec![REJECT],
        Status::Cancelled => vec![CANCEL],
        Status::OnHold => {
            let mut desk = at(kind, held_from, held_from)?;
            desk.does("eve", hold(HoldReason::Other));
            return Some(desk);
        }
    };
    let of_the_kind = match status {
        Status::Picked | Status::Ready | Status::Dispatched | Status::Delivered => kind.is_supply(),
        Status::Resolved => !kind.is_supply(),
        _ => true,
    };
    for step in steps.into_iter().filter(|_| of_the_kind) {
        desk.does("eve", step);
    }
    of_the_kind.then_some(desk)
}

fn command(name: CommandName) -> Command {
    match name {
        CommandName::Create => create(Kind::Refill, &[(DIPYRONE, "5")]).into(),
        CommandName::Amend => Command::Amend(Amend { priority: Some(Priority::Asap), ..Amend::default() }),
        CommandName::Claim => Command::Claim,
        CommandName::Release => Command::Release,
        CommandName::Reassign => reassign("tess"),
        CommandName::Transfer => transfer("SAT"),
        CommandName::Pick => pick([lot(1, "5")]),
        CommandName::Unpick => Command::Unpick,
        CommandName::Ready => Command::Ready,
        CommandName::Dispatch => DISPATCH,
        CommandName::Return => RETURN,
        CommandName::Receive => receive([receipt(1, "5", "0")]),
        CommandName::Resolve => RESOLVE,
        CommandName::Hold => hold(HoldReason::Other),
        CommandName::Resume => Command::Resume,
        CommandName::Reject => REJECT,
        CommandName::Cancel => CANCEL,
        CommandName::Comment => comment(),
        CommandName::Erase => erase(),
    }
}

/// The workflow's table: where a command leads, or `None` where it does not fit.
fn leads_to(supply: bool, from: Status, held_from: Status, name: CommandName) -> Option<Status> {
    use CommandName as C;
    use Status as S;
    match (name, from) {
        (C::Comment, from) => Some(from),
        (C::Erase, from) if from.is_terminal() => Some(from),
        (C::Amend, S::Open) => Some(S::Open),
        (C::Claim, S::Open) => Some(S::Claimed),
        (C::Release, S::Claimed) | (C::Transfer, S::Open | S::Claimed) => Some(S::Open),
        (C::Reassign, S::Claimed) => Some(S::Claimed),
        (C::Pick, S::Claimed) if supply => Some(S::Picked),
        (C::Unpick, S::Picked) | (C::Return, S::Dispatched) => Some(S::Claimed),
        (C::Ready, S::Picked) => Some(S::Ready),
        (C::Dispatch, S::Ready) => Some(S::Dispatched),
        (C::Receive, S::Dispatched) => Some(S::Delivered),
        (C::Resolve, S::Claimed) if !supply => Some(S::Resolved),
        (C::Hold, S::Open | S::Claimed | S::Picked) => Some(S::OnHold),
        (C::Resume, S::OnHold) => Some(held_from),
        (C::Reject, S::Open | S::Claimed) => Some(S::Rejected),
        (C::Cancel, S::Open | S::Claimed) => Some(S::Cancelled),
        (C::Cancel, S::OnHold) if held_from != S::Picked => Some(S::Cancelled),
        _ => None,
    }
}

#[test]
fn every_command_leads_where_the_table_says_and_nowhere_else() {
    let mut seen = 0;
    for &kind in Kind::ALL {
        for (status, held_from) in Status::ALL
            .iter()
            .map(|status| (*status, Status::Open))
            .chain([(Status::OnHold, Status::Claimed), (Status::OnHold, Status::Picked)])
        {
            let Some(desk) = at(kind, status, held_from) else { continue };
            assert_eq!(desk.status(), status);
            for &name in CommandName::ALL {
                let mut desk = desk.clone();
                // The one command that is no act of the workflow.
                let somebody = if name == CommandName::Erase { "admin" } else { "eve" };
                let outcome = desk.try_as(&who(somebody), &command(name));
                let case = format!("{kind} {status} (held from {held_from}): {name}");
                let claimed_by_somebody = name == CommandName::Claim && desk.ticket().assignee.is_some();
                match (leads_to(kind.is_supply(), status, held_from, name), outcome) {
                    (Some(target), Ok(_)) => assert_eq!(desk.status(), target, "{case}"),
                    (None, Err(refusal)) if claimed_by_somebody && !status.is_terminal() => {
                        assert_eq!(refusal.code, RefusalCode::AlreadyClaimed, "{case}");
                    }
                    (None, Err(refusal)) => {
                        assert_eq!(refusal.code, RefusalCode::InvalidTransition, "{case}: {refusal}");
                        let Some(More::Transition { allowed, .. }) = refusal.more else {
                            unreachable!("{case} says what is possible")
                        };
                        let possible =
                            |other: &CommandName| leads_to(kind.is_supply(), status, held_from, *other).is_some();
                        assert!(allowed.iter().all(possible), "{case}: {allowed:?}");
                    }
                    (expected, outcome) => assert_eq!(expected, None, "{case}: {outcome:?}"),
                }
                seen += 1;
            }
        }
    }
    assert!(seen > 700, "{seen}");
}

#[test]
fn the_published_table_is_the_same_one() {
    for &kind in Kind::ALL {
        for &status in Status::ALL.iter().filter(|status| at(kind, **status, Status::Open).is_some()) {
            let published = allowed_from(kind, status);
            for &name in CommandName::ALL {
                let fits = leads_to(kind.is_supply(), status, Status::Open, name).is_some();
                assert_eq!(published.contains(&name), fits, "{kind} {status} {name}");
            }
        }
    }
}

/// D11: what waits for something stays waiting, whatever route is tried.
#[test]
fn a_ticket_on_hold_can_only_be_resumed_cancelled_or_commented() {
    assert_eq!(
        allowed_from(Kind::Refill, Status::OnHold),
        [CommandName::Resume, CommandName::Cancel, CommandName::Comment]
    );
}

/// What is erased is erased once, and nothing is told again beside it.
#[test]
fn an_erased_ticket_has_no_texts_and_takes_none() {
    let mut order = create(Kind::MissingDose, &[(DIPYRONE, "5")]);
    order.note = Some(text("bed 4"));
    let mut desk = Desk::with(order);
    let refused = desk.refuses("admin", erase(), RefusalCode::InvalidTransition);
    assert!(matches!(refused.more, Some(More::Transition { status: Status::Open, .. })));
    desk.does("nina", CANCEL);
    let version = desk.ticket().version;
    for name in ["nina", "paul", "mary", "audit"] {
        desk.refuses(name, erase(), RefusalCode::RoleNotAllowed);
    }
    assert_eq!(desk.does("admin", erase()).len(), 1);
    let mut erased = desk.ticket().clone();
    erased.for_each_text(&mut |text| assert_eq!(*text, FreeText::Erased));
    assert_eq!((erased.note.clone(), erased.version), (Some(FreeText::Erased), version.next()));
    assert_eq!(erased.erased_at, Some(erased.updated_at));
    assert_eq!(desk.does("admin", erase()), [], "asked again");
    desk.refuses("nina", comment(), RefusalCode::TextsErased);
    assert_eq!(*desk.ticket(), erased);
}
