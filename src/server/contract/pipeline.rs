//! Commands: one effect for one key, one winner of a race, rules across tickets.

use futures_util::future::join_all;

use super::{Ports, creation, missing_dose, nurse, on, pharmacist, refill, supply};
use crate::{
    domain::{
        command::{Command, PickLine, ReceiveLine},
        quantity::Quantity,
        reason::{CancelReason, DispatchMethod, Status},
        refusal::{More, RefusalCode},
        ticket::{Identifier, Version},
    },
    server::ports::{Outcome, StoreError, SubmitError, Submitted},
};

pub(crate) async fn one_create_has_one_ticket_and_one_answer(ports: Ports) {
    ports.open_hospital().await;
    let create = creation("k", refill("UTI-01", &["DIPIRONA-500"]));
    let first = ports.send(create.clone()).await;
    let again = ports.send(create.clone()).await;
    assert_eq!((first.outcome.clone(), first.at), (again.outcome, again.at));
    let kept = ports.pipeline.outcome(create.command_id).await.unwrap().unwrap();
    assert_eq!(kept.outcome, first.outcome);
    assert_eq!(kept.actor, create.actor.person.id);
    let Outcome::Applied(ticket) = first.outcome else { panic!("refused") };
    assert_eq!((ticket.id, ticket.version), (create.ticket, Version(1)));
    assert_eq!(ports.tickets.ticket(ticket.id).await.unwrap(), Some(*ticket));
    assert_eq!(ports.pipeline.head().await.unwrap().events(), 1);
    assert!(ports.pipeline.outcome(super::command_id("other")).await.unwrap().is_none());
}

pub(crate) async fn one_key_sent_at_once_by_many_has_one_effect(ports: Ports) {
    ports.open_hospital().await;
    let create = creation("k", refill("UTI-01", &["DIPIRONA-500"]));
    let answers = join_all((0..20).map(|_| ports.send(create.clone()))).await;
    assert!(answers.iter().all(|answer| answer.outcome == answers[0].outcome));
    let (tickets, total) = ports.all_pages(super::everything()).await;
    assert_eq!((tickets.len(), total), (1, Some(1)));
    assert_eq!(ports.pipeline.head().await.unwrap().events(), 1);
}

pub(crate) async fn a_key_used_for_something_else_is_refused(ports: Ports) {
    ports.open_hospital().await;
    ports.done(creation("k", refill("UTI-01", &["DIPIRONA-500"]))).await;
    let other = ports.try_send(creation("k", refill("UTI-01", &["HEPARINA"]))).await;
    assert!(matches!(other, Err(SubmitError::KeyReused)), "{other:?}");
}

pub(crate) async fn of_racing_claims_one_wins(ports: Ports) {
    ports.open_hospital().await;
    let ticket = ports.done(creation("k", refill("UTI-01", &["DIPIRONA-500"]))).await;
    let names = ["bia", "carl", "davi", "eva", "fabio", "gil", "hugo", "iara"];
    let claims = names.map(|name| ports.send(on(name, &ticket, Command::Claim, pharmacist(name))));
    let answers = join_all(claims).await;
    let after = ports.tickets.ticket(ticket.id).await.unwrap().unwrap();
    let winner = after.assignee.clone().unwrap();
    assert_eq!((after.status, after.version), (Status::Claimed, Version(2)));
    for (name, answer) in names.iter().zip(answers) {
        match answer.outcome {
            Outcome::Applied(_) => assert_eq!(winner.username.as_str(), *name),
            Outcome::Refused(refusal) => {
                assert_eq!(refusal.code, RefusalCode::AlreadyClaimed);
                assert_eq!(refusal.more, Some(More::Claimed { assignee: winner.clone() }));
            }
        }
    }
}

pub(crate) async fn a_stale_command_learns_what_changed(ports: Ports) {
    ports.open_hospital().await;
    let old = ports.done(creation("k", refill("UTI-01", &["DIPIRONA-500"]))).await;
    let claimed = ports.done(on("claim", &old, Command::Claim, pharmacist("bia"))).await;
    let open = ports.done(on("release", &claimed, Command::Release, pharmacist("bia"))).await;
    let cancel = Command::Cancel { reason: CancelReason::ALL[0], note: None };
    let refusal = ports.refused(on("cancel", &old, cancel, nurse())).await;
    assert_eq!(refusal.code, RefusalCode::StaleVersion);
    let Some(More::Stale { current_version, changes }) = refusal.more else { panic!("says what changed") };
    assert_eq!(current_version, open.version);
    let events: Vec<_> = changes.iter().map(|change| (change.event.as_str(), change.version.0)).collect();
    assert_eq!(events, [("claimed", 2), ("released", 3)]);
}

pub(crate) async fn a_command_for_no_ticket_is_refused_for_good(ports: Ports) {
    ports.open_hospital().await;
    let mut ticket = ports.done(creation("k", refill("UTI-01", &["DIPIRONA-500"]))).await;
    ticket.id = creation("never sent", refill("UTI-01", &["DIPIRONA-500"])).ticket;
    let claim = on("claim", &ticket, Command::Claim, pharmacist("bia"));
    assert_eq!(ports.refused(claim.clone()).await.code, RefusalCode::TicketNotFound);
    // The key has its answer, also once there is such a ticket.
    ports.done(creation("never sent", refill("UTI-01", &["HEPARINA"]))).await;
    assert_eq!(ports.refused(claim).await.code, RefusalCode::TicketNotFound);
    // A create cannot take over the id of a ticket that exists.
    let mut thief = creation("thief", refill("UTI-01", &["SORO-09"]));
    thief.ticket = ticket.id;
    assert!(matches!(ports.try_send(thief).await, Err(SubmitError::Store(StoreError::Broken(_)))));
}

pub(crate) async fn the_whole_way_from_request_to_delivery(ports: Ports) {
    ports.open_hospital().await;
    let (bia, carl) = (pharmacist("bia"), pharmacist("carl"));
    let ticket = ports.done(creation("create", refill("UTI-01", &["MIDAZ-5"]))).await;
    assert!(ticket.due_at().is_some());
    let ticket = ports.done(on("claim", &ticket, Command::Claim, bia.clone())).await;
    let lot = PickLine {
        line: 1,
        supplied: Quantity::from(10),
        lot: Some("L42".to_owned()),
        expiry: Some("2199-01-31".parse().unwrap()),
        reason: None,
        expected_at: None,
    };
    let ticket = ports.done(on("pick", &ticket, Command::Pick { lines: vec![lot] }, bia.clone())).await;
    let own = ports.refused(on("own check", &ticket, Command::Ready, bia.clone())).await;
    assert_eq!(own.code, RefusalCode::SecondPersonRequired);
    let ticket = ports.done(on("check", &ticket, Command::Ready, carl)).await;
    let dispatch = Command::Dispatch { method: DispatchMethod::ALL[0] };
    let ticket = ports.done(on("dispatch", &ticket, dispatch, bia)).await;
    let arrived = ReceiveLine {
        line: 1,
        received: Quantity::from(10),
        damaged: Quantity::ZERO,
        wrong: Quantity::ZERO,
        missing: Quantity::ZERO,
        reason: None,
    };
    let ticket = ports.done(on("receive", &ticket, Command::Receive { lines: vec![arrived] }, nurse())).await;
    assert_eq!(ticket.status, Status::Delivered);
    assert_eq!(ports.tickets.ticket(ticket.id).await.unwrap(), Some(ticket.clone()));
    let history = ports.tickets.history(ticket.id).await.unwrap();
    let told: Vec<_> = history.iter().map(|event| (event.event.name(), event.status)).collect();
    assert_eq!(told[0], ("created", Status::Open));
    assert_eq!(told.last(), Some(&("received", Status::Delivered)));
    assert!(history.iter().all(|event| event.number == ticket.number && event.ward == ticket.ward));
    let folded = crate::domain::apply::fold(history.iter().map(|event| &event.event)).unwrap();
    assert_eq!(folded, ticket);
}

pub(crate) async fn an_open_request_is_reported_until_it_ends(ports: Ports) {
    ports.open_hospital().await;
    let first = ports.done(creation("1", refill("UTI-01", &["DIPIRONA-500", "HEPARINA"]))).await;
    let refusal = ports.refused(creation("2", refill("UTI-01", &["SORO-09", "HEPARINA"]))).await;
    assert_eq!(refusal.code, RefusalCode::DuplicateOpenRequest);
    assert_eq!(refusal.more, Some(More::Duplicate { ticket: first.id, number: first.number.clone() }));
    // Another cabinet, and another destination in the same ward, are other needs.
    ports.done(creation("3", refill("UTI-02", &["HEPARINA"]))).await;
    let mut to_ward = supply("UTI", "HEPARINA");
    to_ward.override_reason = None;
    ports.done(creation("4", to_ward)).await;
    let cancel = Command::Cancel { reason: CancelReason::ALL[0], note: None };
    ports.done(on("cancel", &first, cancel, nurse())).await;
    ports.done(creation("5", refill("UTI-01", &["SORO-09", "HEPARINA"]))).await;
}

pub(crate) async fn a_missing_dose_meets_the_same_patient_only(ports: Ports) {
    ports.open_hospital().await;
    ports.done(creation("1", missing_dose("LEITO-7/998877", "HEPARINA"))).await;
    ports.done(creation("2", missing_dose("LEITO-8/112233", "HEPARINA"))).await;
    let same = ports.refused(creation("3", missing_dose("LEITO-7/998877", "HEPARINA"))).await;
    assert_eq!(same.code, RefusalCode::DuplicateOpenRequest);
}

pub(crate) async fn numbers_count_by_ward_without_gap(ports: Ports) {
    ports.open_hospital().await;
    let uti = (0..20).map(|n| ports.done(creation(&format!("u{n}"), supply("UTI", "SORO-09"))));
    let tickets = join_all(uti).await;
    // A refused create uses no number up.
    ports.done(creation("r1", refill("CM-01", &["HEPARINA"]))).await;
    ports.refused(creation("r2", refill("CM-01", &["HEPARINA"]))).await;
    let next = ports.done(creation("r3", refill("CM-01", &["SORO-09"]))).await;
    let mut numbers: Vec<_> = tickets.into_iter().map(|ticket| ticket.number).collect();
    numbers.sort();
    let mut expected: Vec<_> = (1..=20).map(|n| crate::domain::number::ticket_number(&super::code("UTI"), n)).collect();
    expected.sort();
    assert_eq!(numbers, expected);
    assert_eq!(next.number, crate::domain::number::ticket_number(&super::code("CM"), 2));
}

pub(crate) async fn an_identifier_belongs_to_one_ticket(ports: Ports) {
    ports.open_hospital().await;
    let identifier = Identifier { system: "urn:his".to_owned(), value: "Ordem 77".to_owned() };
    let with_identifier = |medication: &str| {
        let mut create = supply("UTI", medication);
        create.identifiers = vec![identifier.clone()];
        create
    };
    let ticket = ports.done(creation("1", with_identifier("SORO-09"))).await;
    let refusal = ports.refused(creation("2", with_identifier("HEPARINA"))).await;
    assert_eq!(refusal.code, RefusalCode::IdentifierTaken);
    let query = crate::server::ports::TicketQuery { identifier: Some(identifier.clone()), ..super::everything() };
    let (found, total) = ports.all_pages(query).await;
    assert_eq!((found[0].id, total), (ticket.id, Some(1)));
    let again = ports.try_send(creation("1", with_identifier("SORO-09"))).await.unwrap();
    assert!(matches!(again, Submitted::Done(_)));
}
