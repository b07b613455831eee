//! Create and amend: destinations, fields, medications, units, par levels, open requests.

use uuid::Uuid;

use super::support::{DIPYRONE, Desk, GLUCOSE, MIDAZOLAM, SALINE, create, q, request, text};
use crate::domain::{
    command::{Amend, Command, CommandName, CountLine, Create},
    event::Change,
    facts::OpenRequest,
    quantity::Quantity,
    reason::{Confirmation, Kind, OverrideReason, Priority, Status},
    refusal::{Category, More, Refusal, RefusalCode},
    ticket::{Count, Identifier, TicketId, Version},
};

#[track_caller]
fn refused(create: Create, code: RefusalCode, field: &str) -> Refusal {
    let refusal = Desk::new().refuses("nina", create, code);
    assert_eq!(refusal.field.as_deref(), Some(field), "{refusal}");
    refusal
}

fn refill(lines: &[(&str, &str)]) -> Create {
    create(Kind::Refill, lines)
}

#[test]
fn a_new_ticket_is_open_at_the_wards_pharmacy_and_due_by_its_priority() {
    let desk = Desk::with_refill();
    let ticket = desk.ticket();
    assert_eq!((ticket.status, ticket.version, ticket.pharmacy.as_str()), (Status::Open, Version(1), "CENTRAL"));
    assert_eq!((ticket.requester.username.as_str(), ticket.number.as_str()), ("nina", "UTI-42-K"));
    assert_eq!(ticket.lines.iter().map(|line| line.line).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(desk.due_in(), Some(15));
    let minutes = [(Priority::Stat, 15), (Priority::Asap, 30), (Priority::Urgent, 60), (Priority::Routine, 240)];
    for (priority, due_in) in minutes {
        assert_eq!(Desk::with(Create { priority, ..refill(&[(DIPYRONE, "1")]) }).due_in(), Some(due_in));
    }
}

#[test]
fn a_missing_dose_is_due_at_its_dose_time() {
    let desk = Desk::with(create(Kind::MissingDose, &[(DIPYRONE, "1")]));
    assert_eq!(desk.ticket().due_at(), Some("2027-01-16T03:00:00Z".parse().unwrap()));
}

/// D7: a request with no lines, or whose lines are zero.
#[test]
fn a_request_for_nothing_is_refused() {
    for kind in [Kind::Refill, Kind::Supply, Kind::MissingDose] {
        refused(create(kind, &[]), RefusalCode::LinesRequired, "lines");
    }
    refused(refill(&[(DIPYRONE, "0"), (MIDAZOLAM, "0")]), RefusalCode::InvalidQuantity, "lines[0].quantity");
    refused(refill(&[(DIPYRONE, "1"), (MIDAZOLAM, "0")]), RefusalCode::InvalidQuantity, "lines[1].quantity");
    refused(Create { counts: vec![], ..create(Kind::Discrepancy, &[]) }, RefusalCode::LinesRequired, "lines");
    let many = (0..101).map(|_| request(DIPYRONE, "1")).collect();
    refused(Create { lines: many, ..refill(&[]) }, RefusalCode::TooManyLines, "lines");
}

#[test]
fn each_kind_has_its_destination() {
    for kind in [Kind::Refill, Kind::Assistance, Kind::Discrepancy] {
        let without = Create { cabinet: None, ..create(kind, &[(DIPYRONE, "1")]) };
        refused(without, RefusalCode::DestinationMismatch, "cabinet");
    }
    let dose = create(Kind::MissingDose, &[(DIPYRONE, "1")]);
    let cabinet = Some("UTI-01".parse().unwrap());
    refused(Create { cabinet, ..dose }, RefusalCode::DestinationMismatch, "cabinet");
    let supply = create(Kind::Supply, &[(DIPYRONE, "1")]);
    Desk::with(Create { cabinet: None, ..supply.clone() });
    Desk::with(supply);
}

#[test]
fn the_destination_must_exist_and_take_tickets() {
    type Spoil = fn(&mut Desk);
    let cases: [(Spoil, RefusalCode, &str); 6] = [
        (|desk| desk.facts.ward = None, RefusalCode::UnknownWard, "ward"),
        (|desk| desk.facts.ward.as_mut().unwrap().active = false, RefusalCode::UnknownWard, "ward"),
        (|desk| desk.facts.ward.as_mut().unwrap().pharmacy_active = false, RefusalCode::UnknownPharmacy, "ward"),
        (|desk| desk.facts.cabinet = None, RefusalCode::UnknownCabinet, "cabinet"),
        (|desk| desk.facts.cabinet.as_mut().unwrap().active = false, RefusalCode::UnknownCabinet, "cabinet"),
        (
            |desk| desk.facts.cabinet.as_mut().unwrap().ward = "PED".parse().unwrap(),
            RefusalCode::DestinationMismatch,
            "cabinet",
        ),
    ];
    for (spoil, code, field) in cases {
        let mut desk = Desk::new();
        spoil(&mut desk);
        assert_eq!(desk.refuses("nina", refill(&[(DIPYRONE, "1")]), code).field.as_deref(), Some(field));
    }
}

#[test]
fn fields_of_another_kind_are_refused_not_dropped() {
    let (dose, help) = (create(Kind::MissingDose, &[(DIPYRONE, "1")]), create(Kind::Assistance, &[]));
    let count = create(Kind::Discrepancy, &[]);
    let order = refill(&[(DIPYRONE, "1")]);
    let unexpected = RefusalCode::UnexpectedField;
    refused(Create { missing_dose: dose.missing_dose.clone(), ..order.clone() }, unexpected, "patient_ref");
    refused(Create { assistance: help.assistance.clone(), ..order.clone() }, unexpected, "text");
    refused(Create { counts: count.counts.clone(), ..order.clone() }, unexpected, "lines[0].counted");
    refused(Create { counts: count.counts.clone(), ..help.clone() }, unexpected, "lines");
    refused(Create { lines: order.lines.clone(), ..help.clone() }, unexpected, "lines");
    refused(Create { lines: order.lines, ..count }, unexpected, "lines[0].quantity");
    refused(Create { missing_dose: None, ..dose }, RefusalCode::FieldRequired, "patient_ref");
    refused(Create { assistance: None, ..help }, RefusalCode::FieldRequired, "text");
}

#[test]
fn a_counted_pocket_may_be_empty() {
    let desk = Desk::with(create(Kind::Discrepancy, &[]));
    let line = &desk.ticket().lines[0];
    assert_eq!(line.count.map(|count| (count.counted, count.expected)), Some((Quantity::ZERO, q("4"))));
    assert!(line.quantity.is_zero());
}

#[test]
fn only_active_medications_are_asked_for_each_once() {
    refused(refill(&[(DIPYRONE, "1"), ("NOPE", "1")]), RefusalCode::UnknownMedication, "lines[1].medication");
    refused(refill(&[(DIPYRONE, "1"), (DIPYRONE, "2")]), RefusalCode::DuplicateLine, "lines[1].medication");
    let mut desk = Desk::new();
    desk.facts.items[1].active = false;
    desk.refuses("nina", refill(&[(DIPYRONE, "1")]), RefusalCode::InactiveMedication);
}

#[test]
fn a_refill_needs_a_par_level_and_a_supply_does_not() {
    let refusal = refused(refill(&[(SALINE, "1")]), RefusalCode::NoParLevel, "lines[0].medication");
    assert!(refusal.detail.contains("supply"));
    Desk::with(create(Kind::Supply, &[(SALINE, "1")]));
}

#[test]
fn more_than_the_cabinet_holds_is_confirmed_first() {
    for kind in [Kind::Refill, Kind::Supply] {
        let much = create(kind, &[(SALINE, "500"), (DIPYRONE, "31")]);
        let much = Create { lines: much.lines[usize::from(kind == Kind::Refill)..].to_vec(), ..much };
        let field = if kind == Kind::Refill { "lines[0].quantity" } else { "lines[1].quantity" };
        let refusal = refused(much.clone(), RefusalCode::UnusualQuantity, field);
        assert!(refusal.detail.contains("31 ampoule") && refusal.detail.contains("30"), "{refusal}");
        Desk::with(Create { confirm: vec![Confirmation::UnusualQuantity], ..much });
    }
    Desk::with(refill(&[(DIPYRONE, "30")]));
}

/// D6: 0.150 kg is 150 g, never 150 kg.
#[test]
fn packs_are_converted_once_and_exactly() {
    let asked = |quantity: &str, unit: Option<&str>| {
        let mut order = refill(&[(GLUCOSE, quantity)]);
        order.lines[0].unit = unit.map(str::to_owned);
        order
    };
    for (quantity, unit, in_grams) in [
        ("0.150", Some("kg"), "150"),
        ("150", None, "150"),
        ("150", Some("g"), "150"),
        ("2", Some(" KG "), "2000"),
        ("3", Some("box"), "30"),
    ] {
        let desk = Desk::with(asked(quantity, unit));
        assert_eq!((desk.ticket().lines[0].quantity, desk.ticket().lines[0].unit.as_str()), (q(in_grams), "g"));
    }
    let refusal = refused(asked("1", Some("carton")), RefusalCode::UnknownUnit, "lines[0].unit");
    assert!(refusal.detail.contains("g, Box, kg"), "{refusal}");
    refused(asked("999999999", Some("kg")), RefusalCode::InvalidQuantity, "lines[0].quantity");
}

fn met(desk: &mut Desk) {
    desk.facts.open_requests = vec![OpenRequest {
        ticket: TicketId(Uuid::max()),
        number: "UTI-7-X".to_owned(),
        medication: DIPYRONE.parse().unwrap(),
    }];
}

/// D10: the second request for the same need.
#[test]
fn a_second_request_for_the_same_need_is_reported_and_overridden_by_a_reason() {
    let mut desk = Desk::new();
    met(&mut desk);
    let order = refill(&[(MIDAZOLAM, "1"), (DIPYRONE, "1")]);
    let refusal = desk.refuses("nina", order.clone(), RefusalCode::DuplicateOpenRequest);
    let other = More::Duplicate { ticket: TicketId(Uuid::max()), number: "UTI-7-X".to_owned() };
    assert_eq!((refusal.category(), refusal.more), (Category::Conflict, Some(other)));
    let reason = Some(OverrideReason::OtherPatient);
    let changes = desk.does("nina", Create { override_reason: reason, ..order.clone() });
    assert!(matches!(&changes[..], [Change::Created { override_reason, .. }] if *override_reason == reason));
    // Where none was met, none was needed.
    let changes = Desk::new().does("nina", Create { override_reason: reason, ..order });
    assert!(matches!(&changes[..], [Change::Created { override_reason: None, .. }]));
}

#[test]
fn an_identifier_belongs_to_one_ticket() {
    let id = |value: &str| Identifier { system: "urn:his".to_owned(), value: value.to_owned() };
    let order = Create { identifiers: vec![id("1"), id("2"), id("1")], ..refill(&[(DIPYRONE, "1")]) };
    let mut desk = Desk::new();
    desk.facts.identifiers_taken = vec![id("2")];
    let refusal = desk.refuses("nina", order.clone(), RefusalCode::IdentifierTaken);
    assert_eq!(refusal.field.as_deref(), Some("identifiers[1]"));
    assert_eq!(Desk::with(order).ticket().identifiers, [id("1"), id("2")]);
}

#[test]
fn a_create_of_an_existing_ticket_is_no_second_create() {
    let refusal = Desk::with_refill().refuses("nina", refill(&[(DIPYRONE, "1")]), RefusalCode::InvalidTransition);
    assert!(matches!(refusal.more, Some(More::Transition { allowed, .. }) if allowed.contains(&CommandName::Amend)));
}

#[test]
fn an_open_ticket_is_amended_part_by_part() {
    let mut desk = Desk::with(Create { note: Some(text("bed 4")), ..refill(&[(DIPYRONE, "1")]) });
    desk.refuses("nina", Command::Amend(Amend::default()), RefusalCode::NothingToChange);
    desk.does("carla", Command::Amend(Amend { note: Some(None), ..Amend::default() }));
    assert_eq!(desk.ticket().note, None);
    let lines = vec![request(MIDAZOLAM, "2"), request(DIPYRONE, "3")];
    desk.does("nina", Command::Amend(Amend { lines: Some(lines), ..Amend::default() }));
    let ticket = desk.ticket();
    assert_eq!(
        ticket.lines.iter().map(|line| (line.line, line.quantity)).collect::<Vec<_>>(),
        [(1, q("2")), (2, q("3"))]
    );
    assert_eq!((ticket.priority, ticket.version), (Priority::Stat, Version(3)));
}

#[test]
fn amended_lines_obey_the_rules_of_new_ones() {
    let lines = |lines: &[(&str, &str)]| Amend { lines: Some(refill(lines).lines), ..Amend::default() };
    let mut desk = Desk::with_refill();
    desk.refuses("nina", Command::Amend(lines(&[])), RefusalCode::LinesRequired);
    desk.refuses("nina", Command::Amend(lines(&[(SALINE, "1")])), RefusalCode::NoParLevel);
    desk.refuses("nina", Command::Amend(lines(&[(DIPYRONE, "31")])), RefusalCode::UnusualQuantity);
    met(&mut desk);
    desk.refuses("nina", Command::Amend(lines(&[(DIPYRONE, "1")])), RefusalCode::DuplicateOpenRequest);
    let reason = Some(OverrideReason::NotEnough);
    desk.does("nina", Command::Amend(Amend { override_reason: reason, ..lines(&[(DIPYRONE, "1")]) }));
    let mut desk = Desk::with(create(Kind::Discrepancy, &[]));
    desk.refuses("nina", Command::Amend(lines(&[(DIPYRONE, "1")])), RefusalCode::UnexpectedField);
}

#[test]
fn counts_of_a_discrepancy_are_amended_by_the_rules_of_new_ones() {
    let count = |code: &str, counted: &str, expected: &str| CountLine {
        medication: code.parse().unwrap(),
        counted: q(counted),
        expected: q(expected),
    };
    let amend = |counts: Vec<CountLine>| Amend { counts: Some(counts), ..Amend::default() };
    let mut desk = Desk::with(create(Kind::Discrepancy, &[]));
    desk.refuses("nina", Command::Amend(amend(vec![])), RefusalCode::LinesRequired);
    desk.refuses("nina", Command::Amend(amend(vec![count("NOPE", "1", "2")])), RefusalCode::UnknownMedication);
    let twice = vec![count(DIPYRONE, "1", "2"), count(DIPYRONE, "1", "2")];
    desk.refuses("nina", Command::Amend(amend(twice)), RefusalCode::DuplicateLine);
    desk.does("nina", Command::Amend(amend(vec![count(MIDAZOLAM, "4", "5"), count(DIPYRONE, "0", "3")])));
    let counts: Vec<_> = desk.ticket().lines.iter().map(|line| (line.line, line.count)).collect();
    let counted = |counted, expected| Some(Count { counted: q(counted), expected: q(expected) });
    assert_eq!(counts, [(1, counted("4", "5")), (2, counted("0", "3"))]);
    let refusal = Desk::with_refill().refuses(
        "nina",
        Command::Amend(amend(vec![count(DIPYRONE, "1", "2")])),
        RefusalCode::UnexpectedField,
    );
    assert_eq!(refusal.field.as_deref(), Some("lines[0].counted"));
    let refusal = Desk::with(create(Kind::Assistance, &[])).refuses(
        "nina",
        Command::Amend(amend(vec![count(DIPYRONE, "1", "2")])),
        RefusalCode::UnexpectedField,
    );
    assert!(refusal.detail.starts_with("an assistance ticket has no lines"), "{}", refusal.detail);
}

#[test]
fn a_changed_priority_counts_from_creation() {
    let mut desk = Desk::with_refill();
    let amend = |priority| Command::Amend(Amend { priority: Some(priority), ..Amend::default() });
    desk.wait(10);
    desk.does("nina", amend(Priority::Urgent));
    assert_eq!(desk.due_in(), Some(60));
    desk.wait(100);
    desk.does("nina", amend(Priority::Stat));
    assert_eq!(desk.due_in(), Some(15));
    let mut desk = Desk::with(create(Kind::MissingDose, &[(DIPYRONE, "1")]));
    let due = desk.ticket().due_at();
    desk.does("nina", amend(Priority::Routine));
    assert_eq!((desk.ticket().due_at(), desk.ticket().priority), (due, Priority::Routine));
}
