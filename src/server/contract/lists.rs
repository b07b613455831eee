//! Lists: every page reached, every filter as a naive one would have it, nobody sees another's tickets.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{CABINETS, MEDICATIONS, Ports, creation, everything, missing_dose, nurse, on, pharmacist, refill, supply};
use crate::{
    domain::{
        actor::Reach,
        code::PharmacyCode,
        command::{AssistanceRequest, Command, Create},
        reason::{AssistanceCategory, CancelReason, HoldReason, Kind, Priority, Status, TransferReason},
        text::{FreeText, fold},
        ticket::{Ticket, TicketId},
    },
    server::ports::{StoreError, TicketQuery, TicketSort, Visibility},
};

pub(crate) async fn every_page_is_reached_and_the_total_is_right(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..520).map(|n| ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))));
    let made: BTreeSet<TicketId> = join_all(creates).await.into_iter().map(|ticket| ticket.id).collect();
    for sort in [TicketSort::DueAt, TicketSort::CreatedAsc, TicketSort::CreatedDesc, TicketSort::UpdatedDesc] {
        let (found, total) = ports.all_pages(TicketQuery { sort, limit: 70, ..everything() }).await;
        assert_eq!((found.len(), total), (520, Some(520)), "{sort:?}");
        assert_eq!(found.iter().map(|ticket| ticket.id).collect::<BTreeSet<_>>(), made);
    }
    let searched = TicketQuery { text: Some("soro".to_owned()), statuses: vec![Status::Open], ..everything() };
    assert_eq!(ports.all_pages(searched).await.0.len(), 520);
}

/// A reproducible source of choices.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())].clone()
    }

    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        let count = if self.roll(3) == 0 { 1 + self.roll(2) } else { 0 };
        (0..count).map(|_| self.pick(of)).collect()
    }
}

fn anything(dice: &mut Dice, n: usize) -> Create {
    let medication = dice.pick(&MEDICATIONS);
    let mut create = match dice.roll(4) {
        0 => missing_dose(&format!("paciente {n}"), medication),
        1 => Create {
            kind: Kind::Assistance,
            lines: vec![],
            assistance: Some(AssistanceRequest {
                text: FreeText::new("Gaveta emperrada, não abre").unwrap(),
                category: AssistanceCategory::Jam,
            }),
            ..refill(dice.pick(&CABINETS).0, &[])
        },
        2 => Create {
            override_reason: supply("UTI", medication).override_reason,
            ..refill(dice.pick(&CABINETS).0, &[medication])
        },
        _ => supply(dice.pick(&["UTI", "CM"]), medication),
    };
    create.priority = dice.pick(Priority::ALL);
    if dice.roll(3) == 0 {
        create.note = Some(FreeText::new(dice.pick(&["Órgão de choque", "leito 7; à direita", "URGENTE!!"])).unwrap());
    }
    create
}

async fn fill(ports: &Ports, dice: &mut Dice) -> Vec<Ticket> {
    for n in 0..80 {
        let ticket = ports.done(creation(&n.to_string(), anything(dice, n))).await;
        let name = dice.pick(&["bia", "carl"]);
        let key = |step: &str| format!("{step}{n}");
        match dice.roll(6) {
            5 => {
                let elsewhere = if ticket.pharmacy.as_str() == "CENTRAL" { "SATELITE" } else { "CENTRAL" };
                let reason = dice.pick(TransferReason::ALL);
                let transfer = Command::Transfer { pharmacy: super::code(elsewhere), reason, note: None };
                ports.done(on(&key("transfer"), &ticket, transfer, pharmacist(name))).await;
            }
            0 => drop(ports.done(on(&key("claim"), &ticket, Command::Claim, pharmacist(name))).await),
            1 => {
                let cancel = Command::Cancel { reason: CancelReason::ALL[0], note: None };
                ports.done(on(&key("cancel"), &ticket, cancel, nurse())).await;
            }
            2 => {
                let resume_by = ticket.created_at.checked_add(SignedDuration::from_hours(9)).unwrap();
                let hold = Command::Hold { reason: dice.pick(HoldReason::ALL), note: None, resume_by };
                ports.done(on(&key("hold"), &ticket, hold, pharmacist(name))).await;
            }
            _ => {}
        }
    }
    ports.all_pages(everything()).await.0
}

fn random_query(dice: &mut Dice, tickets: &[Ticket]) -> TicketQuery {
    let some_time = |dice: &mut Dice| (dice.roll(4) == 0).then(|| dice.pick(tickets).created_at);
    let reach = |dice: &mut Dice| dice.roll(3) > 0;
    let wards = ["UTI", "CM"].map(super::code);
    let pharmacies = ["CENTRAL", "SATELITE"].map(super::code);
    let texts = ["dipi", "SOLUCAO uti", "orgao", "Órgão cho", "emperr", "bia", "cm 1", "leito 7", "xyz", "inj sol"];
    let visibility = Visibility {
        wards: if reach(dice) { Reach::All } else { dice.some(&wards).into_iter().collect() },
        pharmacies: if reach(dice) { Reach::All } else { dice.some(&pharmacies).into_iter().collect() },
    };
    TicketQuery {
        visibility,
        statuses: dice.some(Status::ALL),
        kinds: dice.some(Kind::ALL),
        priorities: dice.some(Priority::ALL),
        wards: dice.some(&wards),
        cabinets: dice.some(&CABINETS.map(|(cabinet, _)| Ports::cabinet_code(cabinet))),
        pharmacies: dice.some(&pharmacies),
        assignee: (dice.roll(6) == 0).then(|| super::code("bia")),
        requester: (dice.roll(6) == 0).then(|| super::code("ana")),
        medications: dice.some(&MEDICATIONS.map(Ports::medication_code)),
        text: (dice.roll(3) == 0).then(|| dice.pick(&texts).to_owned()),
        identifier: None,
        overdue_at: (dice.roll(4) == 0).then(|| dice.pick(tickets).due_at()).flatten(),
        from: some_time(dice),
        to: some_time(dice),
        sort: dice.pick(&[TicketSort::DueAt, TicketSort::CreatedAsc, TicketSort::CreatedDesc, TicketSort::UpdatedDesc]),
        limit: 1 + dice.roll(40),
        after: None,
    }
}

fn has_words(ticket: &Ticket, text: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        fold(text).split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let mut texts = vec![ticket.number.clone(), ticket.ward.to_string(), ticket.pharmacy.to_string()];
    texts.extend(ticket.cabinet.as_ref().map(ToString::to_string));
    for person in std::iter::once(&ticket.requester).chain(&ticket.assignee) {
        texts.extend([person.username.to_string(), person.name.clone()]);
    }
    texts.extend(ticket.lines.iter().flat_map(|line| [line.medication.to_string(), line.name.clone()]));
    texts.extend(ticket.note.iter().filter_map(FreeText::plain).map(str::to_owned));
    texts.extend(ticket.assistance.iter().filter_map(|it| it.text.plain()).map(str::to_owned));
    let have: Vec<String> = texts.iter().flat_map(|text| words(text)).collect();
    words(text).iter().all(|word| have.iter().any(|had| had.starts_with(word)))
}

fn matches(query: &TicketQuery, ticket: &Ticket) -> bool {
    fn among<T: PartialEq>(allowed: &[T], value: Option<&T>) -> bool {
        allowed.is_empty() || value.is_some_and(|value| allowed.contains(value))
    }
    let assignee = ticket.assignee.as_ref().map(|person| &person.username);
    let medications = &query.medications;
    query.visibility.sees(ticket)
        && among(&query.statuses, Some(&ticket.status))
        && among(&query.kinds, Some(&ticket.kind))
        && among(&query.priorities, Some(&ticket.priority))
        && among(&query.wards, Some(&ticket.ward))
        && among(&query.cabinets, ticket.cabinet.as_ref())
        && among(&query.pharmacies, Some(&ticket.pharmacy))
        && among(query.assignee.as_slice(), assignee)
        && among(query.requester.as_slice(), Some(&ticket.requester.username))
        && (medications.is_empty() || ticket.lines.iter().any(|line| medications.contains(&line.medication)))
        && query.text.as_ref().is_none_or(|text| has_words(ticket, text))
        && query
            .overdue_at
            .is_none_or(|now| !ticket.status.is_terminal() && ticket.due_at().is_some_and(|due| due < now))
        && query.from.is_none_or(|from| ticket.created_at >= from)
        && query.to.is_none_or(|to| ticket.created_at < to)
}

fn sorted(mut tickets: Vec<Ticket>, sort: TicketSort) -> Vec<TicketId> {
    tickets.sort_by(|a, b| {
        let (first, last) =
            if matches!(sort, TicketSort::CreatedDesc | TicketSort::UpdatedDesc) { (b, a) } else { (a, b) };
        let key = |ticket: &Ticket| match sort {
            TicketSort::DueAt => ticket.due_at().map_or((1, ticket.created_at), |due| (0, due)),
            TicketSort::CreatedAsc | TicketSort::CreatedDesc => (0, ticket.created_at),
            TicketSort::UpdatedDesc => (0, ticket.updated_at),
        };
        // Without a due time only the id decides.
        let tie = |ticket: &Ticket| match key(ticket) {
            (1, _) => (1, None),
            (_, at) => (0, Some(at)),
        };
        tie(first).cmp(&tie(last)).then(first.id.to_string().cmp(&last.id.to_string()))
    });
    tickets.into_iter().map(|ticket| ticket.id).collect()
}

pub(crate) async fn filters_agree_with_a_naive_one(ports: Ports) {
    ports.open_hospital().await;
    let mut dice = Dice(0x5eed_cafe);
    let tickets = fill(&ports, &mut dice).await;
    assert_eq!(tickets.len(), 80);
    let mut hits = 0;
    for round in 0..300 {
        let query = random_query(&mut dice, &tickets);
        let expected: Vec<Ticket> = tickets.iter().filter(|ticket| matches(&query, ticket)).cloned().collect();
        let (found, total) = ports.all_pages(query.clone()).await;
        let found: Vec<TicketId> = found.into_iter().map(|ticket| ticket.id).collect();
        hits += found.len();
        assert_eq!(total.unwrap_or(expected.len() as u64), expected.len() as u64, "round {round}: {query:?}");
        assert_eq!(found, sorted(expected, query.sort), "round {round}: {query:?}");
    }
    assert!(hits > 300, "the queries find something: {hits}");
}

pub(crate) async fn search_ignores_case_and_accents_and_survives_any_text(ports: Ports) {
    ports.open_hospital().await;
    let mut create = refill("UTI-01", &["DIPIRONA-500"]);
    create.note = Some(FreeText::new("Paciente com reação: trocar até às 14h").unwrap());
    let ticket = ports.done(creation("k", create)).await;
    let number_typed_plainly = ticket.number.replace('-', "").to_lowercase();
    let finds = [
        "dipirona",
        "DIPIRÓNA 500",
        "solucao",
        "reacao",
        "REAÇÃO troc",
        "uti-01",
        "central",
        "silva ana",
        &ticket.number,
        &number_typed_plainly,
    ];
    let misses = [
        "dipironas",
        "morfina",
        "eacao",
        "dipirona nada",
        "\"",
        "*",
        "%",
        "'; DROP TABLE tickets; --",
        "(",
        "\u{200b}",
    ];
    for (texts, expected) in [(finds.as_slice(), 1), (misses.as_slice(), 0)] {
        for text in texts {
            let query = TicketQuery { text: Some((*text).to_owned()), ..everything() };
            assert_eq!(ports.all_pages(query).await.0.len(), expected, "{text:?}");
        }
    }
    let odd = [
        "",
        "  ",
        "\0",
        "NEAR(a b)",
        "a OR b",
        "-x",
        "^x",
        "col:x",
        "🦀 \u{202e}",
        &"é".repeat(5_000),
        &"w ".repeat(3_000),
    ];
    for text in odd {
        let query = TicketQuery { text: Some(text.to_owned()), ..everything() };
        ports.tickets.tickets(query).await.unwrap();
    }
}

pub(crate) async fn a_reader_sees_their_places_only(ports: Ports) {
    ports.open_hospital().await;
    let uti = ports.done(creation("1", refill("UTI-01", &["SORO-09"]))).await;
    let cm = ports.done(creation("2", refill("CM-01", &["SORO-09"]))).await;
    let list = async |wards: Reach<_>, pharmacies: Reach<_>| {
        let query = TicketQuery { visibility: Visibility { wards, pharmacies }, ..everything() };
        let (found, total) = ports.all_pages(query).await;
        assert_eq!(total, Some(found.len() as u64));
        found.into_iter().map(|ticket| ticket.id).collect::<BTreeSet<_>>()
    };
    let only = |name: &str| [super::code(name)].into_iter().collect::<Reach<_>>();
    assert_eq!(list(only("UTI"), Reach::none()).await, [uti.id].into());
    assert_eq!(list(Reach::none(), [super::code("SATELITE")].into_iter().collect()).await, [cm.id].into());
    assert_eq!(list(only("UTI"), [super::code("SATELITE")].into_iter().collect()).await, [uti.id, cm.id].into());
    assert_eq!(list(Reach::none(), Reach::none()).await, [].into());

    // A pharmacy that handed a ticket on goes on seeing it, in lists as by itself.
    let reason = TransferReason::ALL[0];
    let to = |name: &str| Command::Transfer { pharmacy: super::code(name), reason, note: None };
    let uti = ports.done(on("away", &uti, to("SATELITE"), pharmacist("bia"))).await;
    for (name, sees) in [("CENTRAL", vec![uti.id]), ("SATELITE", vec![uti.id, cm.id])] {
        let visibility = Visibility { wards: Reach::none(), pharmacies: only_pharmacy(name) };
        assert_eq!(list(Reach::none(), only_pharmacy(name)).await, sees.iter().copied().collect(), "{name}");
        assert_eq!([&uti, &cm].map(|ticket| visibility.sees(ticket)), [&uti, &cm].map(|it| sees.contains(&it.id)));
    }
    let back = ports.done(on("back", &uti, to("CENTRAL"), pharmacist("bia"))).await;
    assert_eq!(list(Reach::none(), only_pharmacy("SATELITE")).await, [back.id, cm.id].into());
}

fn only_pharmacy(name: &str) -> Reach<PharmacyCode> {
    [super::code(name)].into_iter().collect()
}

pub(crate) async fn cursors_are_bound_to_their_order(ports: Ports) {
    ports.open_hospital().await;
    for n in 0..3 {
        ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))).await;
    }
    let page = ports.tickets.tickets(TicketQuery { limit: 1, ..everything() }).await.unwrap();
    let other_order = TicketQuery { after: page.next, sort: TicketSort::CreatedAsc, ..everything() };
    let garbage =
        ["", "x", "eyJ9", "' OR 1=1"].map(|after| TicketQuery { after: Some(after.to_owned()), ..everything() });
    for query in garbage.into_iter().chain([other_order]) {
        let answer = ports.tickets.tickets(query).await;
        assert!(matches!(answer, Err(StoreError::Missing { what: "cursor", .. })), "{answer:?}");
    }
}

pub(crate) async fn a_number_is_of_one_ticket(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..12).map(|n| ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))));
    for ticket in join_all(creates).await {
        assert_eq!(ports.tickets.id_by_number(&ticket.number).await.unwrap(), Some(ticket.id));
        let beginning = &ticket.number[..ticket.number.len() - 1];
        assert_eq!(ports.tickets.id_by_number(beginning).await.unwrap(), None, "{beginning}");
    }
    for nothing in ["", "1", "UTI", "%", "CM-1"] {
        assert_eq!(ports.tickets.id_by_number(nothing).await.unwrap(), None, "{nothing:?}");
    }
}
