//! Who may do what, where. The table is written out a second time.

use std::collections::BTreeSet;

use super::support::{
    CANCEL, DIPYRONE, DISPATCH, Desk, REJECT, RETURN, comment, create, facts, hold, lot, pick, reassign, receipt,
    receive, transfer, who,
};
use crate::domain::{
    command::{Amend, Command, CommandName},
    control_class::Classification,
    permission::may_ever,
    reason::{HoldReason, Kind, Priority, Role},
    refusal::{Category, RefusalCode},
    ticket::Version,
};

#[test]
fn each_command_is_open_to_the_roles_of_the_table() {
    use CommandName as C;
    use Role::{Admin, ChargeNurse, Manager, Nurse, Pharmacist, Technician};
    for &command in CommandName::ALL {
        let expected: &[Role] = match command {
            C::Create | C::Amend | C::Cancel | C::Return => &[Nurse, ChargeNurse, Technician, Pharmacist],
            C::Claim | C::Release | C::Hold | C::Resume | C::Dispatch => &[Technician, Pharmacist],
            C::Pick | C::Unpick | C::Ready | C::Resolve => &[Technician, Pharmacist],
            C::Reassign | C::Transfer => &[Technician, Pharmacist, Manager],
            C::Receive => &[Nurse, ChargeNurse, Technician],
            C::Reject => &[Pharmacist],
            C::Comment => &[Nurse, ChargeNurse, Technician, Pharmacist, Manager],
            C::Erase => &[Admin],
        };
        for &role in Role::ALL {
            assert_eq!(may_ever(command, &BTreeSet::from([role])), expected.contains(&role), "{role} {command}");
        }
        assert!(!may_ever(command, &BTreeSet::new()));
    }
}

#[test]
fn a_role_that_never_may_is_told_so_before_anything_about_the_ticket() {
    let mut desk = Desk::with_refill();
    for name in ["nina", "mary", "audit", "admin"] {
        let refusal = desk.try_at(&who(name), &Command::Claim, Some(Version(9))).unwrap_err();
        assert_eq!((refusal.code, refusal.category()), (RefusalCode::RoleNotAllowed, Category::Forbidden));
    }
    desk.refuses("audit", comment(), RefusalCode::RoleNotAllowed);
    desk.refuses("admin", comment(), RefusalCode::RoleNotAllowed);
    desk.refuses("tom", REJECT, RefusalCode::RoleNotAllowed);
    desk.refuses("his", Command::Claim, RefusalCode::OnBehalfOfRequired);
}

#[test]
fn a_program_acts_with_the_rights_of_the_person_it_acts_for() {
    let mut desk = Desk::with_refill();
    let mut nina = who("nina");
    nina.delegated = true;
    nina.client_id = "his".to_owned();
    let events = desk.try_as(&nina, &CANCEL).unwrap();
    assert!(events[0].actor.delegated);
    assert_eq!(events[0].actor.person, who("nina").person);
    assert_eq!(events[0].actor.client_id, "his");
}

#[test]
fn nurses_act_in_their_wards_and_staff_in_the_tickets_pharmacy() {
    let mut desk = Desk::with_refill();
    desk.refuses("nurse-elsewhere", CANCEL, RefusalCode::NotYourPlace);
    desk.refuses("satellite", Command::Claim, RefusalCode::NotYourPlace);
    desk.refuses("satellite", comment(), RefusalCode::NotYourPlace);
    for name in ["nina", "carla", "tom", "paul", "mary"] {
        desk.does(name, comment());
    }
    desk.does("mary", transfer("SAT"));
    desk.refuses("tom", Command::Claim, RefusalCode::NotYourPlace);
    // The pharmacy that handed it on may still say something.
    desk.does("tom", comment());
    desk.does("satellite", Command::Claim);
    desk.does("nina", comment());
}

#[test]
fn whoever_is_nurse_and_technician_passes_by_either_side() {
    let mut desk = Desk::with_plain_refill();
    desk.does("both", transfer("SAT"));
    desk.does("both", CANCEL);
    let mut desk = Desk::with_plain_refill();
    desk.does("both", Command::Claim);
}

#[test]
fn the_desk_of_the_pharmacy_asks_for_its_own_wards_only() {
    let order: Command = create(Kind::Refill, &[(DIPYRONE, "1")]).into();
    for name in ["nina", "carla", "tom", "paul"] {
        Desk::new().does(name, order.clone());
    }
    for name in ["nurse-elsewhere", "satellite"] {
        Desk::new().refuses(name, order.clone(), RefusalCode::NotYourPlace);
    }
    for name in ["mary", "audit", "admin"] {
        Desk::new().refuses(name, order.clone(), RefusalCode::RoleNotAllowed);
    }
    Desk::new().refuses("his", order, RefusalCode::OnBehalfOfRequired);
}

#[test]
fn only_the_assignee_picks_and_a_checker_may_put_back() {
    let mut desk = Desk::with_plain_refill();
    desk.does("tom", Command::Claim);
    desk.refuses("tess", pick([lot(1, "20")]), RefusalCode::NotAssignee);
    desk.does("tom", pick([lot(1, "20")]));
    desk.refuses("tess", Command::Unpick, RefusalCode::NotAssignee);
    desk.clone().does("tom", Command::Unpick);
    desk.clone().does("paul", Command::Unpick);
    desk.facts.policy.technician_may_check = true;
    desk.does("tess", Command::Unpick);
}

#[test]
fn a_nurse_or_the_technician_who_stocked_it_confirms_the_receipt() {
    let mut desk = Desk::with_plain_refill();
    desk.does("tom", Command::Claim);
    desk.does("tom", pick([lot(1, "20")]));
    desk.does("paul", Command::Ready);
    desk.does("tess", DISPATCH);
    let all = receive([receipt(1, "20", "0")]);
    desk.refuses("tom", all.clone(), RefusalCode::RoleNotAllowed);
    desk.refuses("paul", all.clone(), RefusalCode::RoleNotAllowed);
    desk.refuses("nurse-elsewhere", all.clone(), RefusalCode::NotYourPlace);
    desk.clone().does("carla", all.clone());
    desk.clone().does("nina", RETURN);
    desk.facts.items[1].classification = Classification::Unreviewed;
    desk.refuses("tess", all.clone(), RefusalCode::RoleNotAllowed);
    desk.facts = facts();
    desk.does("tess", all);
}

/// D12: one function decides for all entrances, so each refusal stands wherever the command comes from.
#[test]
fn refusals_come_in_their_order() {
    let mut desk = Desk::new();
    desk.refuses("audit", Command::Claim, RefusalCode::TicketNotFound);
    let mut desk = Desk::with_refill();
    desk.does("tom", Command::Claim);
    let stale = Some(Version(1));
    let code =
        |desk: &mut Desk, name: &str, command: Command| desk.try_at(&who(name), &command, stale).unwrap_err().code;
    assert_eq!(code(&mut desk, "nina", Command::Claim), RefusalCode::RoleNotAllowed);
    assert_eq!(code(&mut desk, "satellite", Command::Claim), RefusalCode::NotYourPlace);
    assert_eq!(code(&mut desk, "tess", Command::Claim), RefusalCode::AlreadyClaimed);
    assert_eq!(code(&mut desk, "tess", Command::Ready), RefusalCode::RoleNotAllowed);
    assert_eq!(code(&mut desk, "paul", Command::Ready), RefusalCode::StaleVersion);
    desk.refuses("paul", Command::Ready, RefusalCode::InvalidTransition);
    desk.refuses("tess", pick([]), RefusalCode::NotAssignee);
    desk.refuses("tom", pick([]), RefusalCode::LinesRequired);
    desk.refuses("mary", hold(HoldReason::Other), RefusalCode::RoleNotAllowed);
    desk.does("mary", reassign("tess"));
    let amend = Command::Amend(Amend { priority: Some(Priority::Asap), ..Amend::default() });
    desk.refuses("mary", amend.clone(), RefusalCode::RoleNotAllowed);
    desk.refuses("nina", amend, RefusalCode::InvalidTransition);
}
