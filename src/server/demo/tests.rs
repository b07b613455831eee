//! A demo that is seeded once, and what a newcomer finds in it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};

use tempfile::TempDir;

use super::{live::Players, *};
use crate::{
    domain::{
        actor::Reach,
        control_class::Classification,
        reason::{Kind, Role, Status},
        refusal::RefusalCode,
        ticket::Ticket,
    },
    server::{
        auth::PublicUrl,
        ports::{Medication, ParLevel, Pipeline, TicketQuery, TicketSort, TicketStore, Visibility},
        sqlite::OpenMode,
    },
};

const URL: &str = "http://127.0.0.1:8080";

struct Demo {
    _dir: TempDir,
    stores: DemoStores,
    manifest: DemoManifest,
}

async fn demo() -> Demo {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path(), OpenMode::Serve).unwrap());
    let catalog = Arc::new(CatalogStore::open(dir.path()).unwrap());
    let auth = Auth::open(store.clone(), store.clone(), &URL.parse::<PublicUrl>().unwrap()).await.unwrap();
    let stores = DemoStores { store, catalog, auth };
    let manifest = seed(&stores, URL).await.unwrap();
    Demo { _dir: dir, stores, manifest }
}

impl Demo {
    async fn tickets(&self) -> Vec<Ticket> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = self.stores.store.tickets(query(after)).await.unwrap();
            all.extend(page.items);
            after = page.next;
            if after.is_none() {
                return all;
            }
        }
    }

    async fn cabinets(&self) -> Vec<(Cabinet, Vec<ParLevel>)> {
        let store = &self.stores.store;
        let mut cabinets = Vec::new();
        for cabinet in store.cabinets().await.unwrap() {
            cabinets.push(store.cabinet(&cabinet.code).await.unwrap().unwrap());
        }
        cabinets
    }

    async fn medications(&self) -> BTreeMap<String, Medication> {
        let all = self.stores.store.all_medications().await.unwrap();
        all.into_iter().map(|item| (item.code.to_string(), item)).collect()
    }
}

fn query(after: Option<String>) -> TicketQuery {
    TicketQuery {
        visibility: Visibility { wards: Reach::All, pharmacies: Reach::All },
        statuses: Vec::new(),
        kinds: Vec::new(),
        priorities: Vec::new(),
        wards: Vec::new(),
        cabinets: Vec::new(),
        pharmacies: Vec::new(),
        assignee: None,
        requester: None,
        medications: Vec::new(),
        text: None,
        identifier: None,
        overdue_at: None,
        from: None,
        to: None,
        sort: TicketSort::CreatedAsc,
        limit: 200,
        after,
    }
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-')
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_finds_a_hospital() {
    let demo = demo().await;
    places_and_medicines_are_there(&demo).await;
    the_catalogue_holds_what_is_linked_and_nothing_else(&demo).await;
    everybody_can_sign_in(&demo).await;
    every_kind_is_in_every_status(&demo).await;
    the_past_is_whole(&demo).await;
    a_first_request_meets_no_other(&demo).await;
    assert!(matches!(seed(&demo.stores, URL).await, Err(DemoError::NotEmpty)));
}

async fn places_and_medicines_are_there(demo: &Demo) {
    let store = &demo.stores.store;
    let (pharmacies, wards) = (store.pharmacies().await.unwrap(), store.wards().await.unwrap());
    let (cabinets, medications) = (demo.cabinets().await, demo.medications().await);
    assert!(pharmacies.len() >= 2 && wards.len() >= 6 && cabinets.len() >= 20);
    assert!(medications.values().all(|item| item.active && item.classification != Classification::Unreviewed));
    assert!(medications.keys().all(|code| is_code(code)), "{:?}", medications.keys().find(|code| !is_code(code)));
    assert!(pharmacies.iter().all(|it| is_code(it.code.as_str())) && wards.iter().all(|it| is_code(it.code.as_str())));
    let mut held = BTreeSet::new();
    for (cabinet, levels) in &cabinets {
        let free = levels
            .iter()
            .filter(|level| medications[level.medication.as_str()].classification == Classification::NotControlled);
        assert!(is_code(cabinet.code.as_str()) && levels.len() >= 8 && free.count() >= 4, "{}", cabinet.code);
        assert!(levels.iter().all(|level| level.max >= 10_u32.into() && level.min < level.max));
        held.extend(levels.iter().map(|level| level.medication.to_string()));
    }
    assert_eq!(held.len(), medications.len(), "every medication is in a cabinet");
    assert!(held.len() >= 300, "{}", held.len());
    let midazolam = |level: &ParLevel| level.medication.as_str().starts_with("MIDAZOLAM-5MG-ML");
    let with_midazolam = cabinets.iter().filter(|(_, levels)| levels.iter().any(midazolam)).count();
    assert!(with_midazolam >= 3, "{with_midazolam}");
    assert!(cabinets.iter().any(|(cabinet, _)| cabinet.code.as_str() == "UTI-01" && cabinet.ward.as_str() == "UTI"));
    let site = store.site().await.unwrap();
    assert_eq!((site.name.as_str(), site.time_zone.iana_name()), ("Hospital Santa Aurora", Some("America/Sao_Paulo")));
    assert_eq!(site.identifiers.iter().map(|it| it.system.as_str()).collect::<Vec<_>>(), ["cnes", "cnpj"]);
    assert_eq!(store.policy().await.unwrap().time_zone, site.time_zone);
}

async fn the_catalogue_holds_what_is_linked_and_nothing_else(demo: &Demo) {
    let linked: BTreeSet<_> = demo.medications().await.into_values().flat_map(|item| item.products).collect();
    assert!(linked.len() < 1_000);
    assert_eq!(demo.stores.catalog.count().unwrap(), linked.len() as u64);
    // Importing a whole slice finds the demo's rows as they are.
    let slice = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/fda-ndc-product-slice.txt");
    let slice = std::fs::File::open(slice).unwrap();
    let options = crate::server::catalog::ImportOptions { dry_run: true, ..Default::default() };
    let report = demo.stores.catalog.import(slice, options, |_| ()).unwrap();
    assert_eq!((report.unchanged, report.updated, report.bad), (598, 0, 0));
}

async fn everybody_can_sign_in(demo: &Demo) {
    let manifest = &demo.manifest;
    for role in
        [Role::Nurse, Role::ChargeNurse, Role::Technician, Role::Pharmacist, Role::Manager, Role::Auditor, Role::Admin]
    {
        let several = matches!(role, Role::Nurse | Role::Technician | Role::Pharmacist);
        let count = manifest.users.iter().filter(|user| user.roles.contains(&role)).count();
        assert!(count >= if several { 3 } else { 1 }, "{role}");
    }
    let passwords: BTreeSet<_> = manifest.users.iter().map(|user| &user.password).collect();
    assert!(passwords.len() == manifest.users.len() && passwords.iter().all(|password| password.len() >= 12));
    let nurse = manifest.first(Role::Nurse).unwrap();
    let wards = demo.stores.store.wards().await.unwrap();
    let hers = wards.into_iter().filter(|ward| nurse.wards.contains(&ward.code.to_string()));
    let served: BTreeSet<String> = hers.map(|ward| ward.pharmacy.to_string()).collect();
    assert_eq!(served.len(), 1, "her wards have one pharmacy");
    let mut pharmacists = manifest.users.iter().filter(|user| user.roles.contains(&Role::Pharmacist));
    for _ in 0..2 {
        assert!(pharmacists.next().unwrap().pharmacies.iter().any(|pharmacy| served.contains(pharmacy)));
    }
    let source = crate::server::auth::throttle::Source::from("192.0.2.1".parse::<std::net::IpAddr>().unwrap());
    let signed_in = demo.stores.auth.authenticate_password(&nurse.username, &nurse.password, source).await;
    assert_eq!(signed_in.unwrap().username.as_str(), nurse.username);
    let header = curl_header(&demo.stores.auth, manifest).await.unwrap();
    let token = header.strip_prefix("Authorization: Bearer ").unwrap().trim_end();
    let principal = demo.stores.auth.authenticate(token, None).await.unwrap();
    assert_eq!(principal.actor.person.username.as_str(), nurse.username);
    assert_eq!(manifest.clients[0].client_id, "demo-app");
}

async fn every_kind_is_in_every_status(demo: &Demo) {
    let tickets = demo.tickets().await;
    assert!((120..=220).contains(&tickets.len()), "{}", tickets.len());
    let seen: BTreeSet<(Kind, Status)> = tickets.iter().map(|ticket| (ticket.kind, ticket.status)).collect();
    for kind in Kind::ALL {
        let possible = Status::ALL.iter().filter(|status| match status {
            Status::Picked | Status::Ready | Status::Dispatched | Status::Delivered => kind.is_supply(),
            Status::Resolved => !kind.is_supply(),
            _ => true,
        });
        for status in possible {
            assert!(seen.contains(&(*kind, *status)), "no {kind} is {status}");
        }
    }
    let now = Timestamp::now();
    let days: BTreeSet<_> = tickets.iter().map(|ticket| ticket.created_at.as_second() / 86_400).collect();
    assert!(days.len() >= 4 && tickets.iter().all(|ticket| ticket.updated_at < now));
    let open = || tickets.iter().filter(|ticket| ticket.status == Status::Open);
    assert!(open().any(|ticket| ticket.due_at().is_some_and(|due| due < now)), "something is overdue");
    assert!(open().any(|ticket| ticket.due_at().is_some_and(|due| due > now)), "something is in time");
    let lines = || tickets.iter().flat_map(|ticket| &ticket.lines);
    assert!(lines().any(|line| line.reason.is_some() && line.expected_at.is_some()), "a line is short");
    assert!(lines().filter_map(|line| line.receipt.as_ref()).any(|receipt| !receipt.damaged.is_zero()));
    assert!(lines().filter_map(|line| line.receipt.as_ref()).any(|receipt| !receipt.missing.is_zero()));
    let checked = tickets.iter().filter(|ticket| ticket.has_controlled_line());
    assert!(checked.filter_map(|ticket| Some(!ticket.picked_by(ticket.checked_by.as_ref()?))).all(|other| other));
}

async fn the_past_is_whole(demo: &Demo) {
    let proof = demo.stores.store.verify().await.unwrap();
    assert_eq!(proof.tickets, demo.tickets().await.len() as u64);
    let store = demo.stores.store.as_ref();
    let start = store.tail().await.unwrap();
    let events = store.events_after(&start, 10_000).await.unwrap();
    let names: BTreeSet<_> = events.iter().map(|recorded| recorded.event.name()).collect();
    for name in [
        "created",
        "amended",
        "claimed",
        "released",
        "reassigned",
        "transferred",
        "picked",
        "unpicked",
        "picks_discarded",
        "ready",
        "dispatched",
        "returned",
        "received",
        "resolved",
        "held",
        "resumed",
        "rejected",
        "cancelled",
        "commented",
    ] {
        assert!(names.contains(name), "nothing was ever {name}");
    }
}

async fn a_first_request_meets_no_other(demo: &Demo) {
    let (tickets, medications) = (demo.tickets().await, demo.medications().await);
    for (cabinet, levels) in demo.cabinets().await {
        let open: BTreeSet<_> = tickets
            .iter()
            .filter(|ticket| !ticket.status.is_terminal() && ticket.cabinet.as_ref() == Some(&cabinet.code))
            .flat_map(|ticket| &ticket.lines)
            .map(|line| &line.medication)
            .collect();
        let free = levels.iter().filter(|level| {
            !open.contains(&level.medication)
                && medications[level.medication.as_str()].classification == Classification::NotControlled
        });
        assert!(free.count() >= 4, "{}", cabinet.code);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_players_keep_the_queue_moving_and_bounded() {
    let demo = demo().await;
    let before = demo.tickets().await.len();
    let mut players = Players::begin(demo.stores.store.clone().into()).await.unwrap();
    let (mut done, mut refused) = (0, BTreeMap::new());
    for _ in 0..700 {
        for answer in players.step().await {
            match answer {
                Ok(()) => done += 1,
                Err(code) => *refused.entry(code).or_insert(0) += 1,
            }
        }
    }
    assert!(done > 300, "{done} {refused:?}");
    assert!(refused.contains_key(&RefusalCode::AlreadyClaimed), "{refused:?}");
    let tickets = demo.tickets().await;
    assert!(tickets.len() > before + 50, "requests come in");
    let under_way = tickets.iter().filter(|ticket| !ticket.status.is_terminal()).count();
    assert!((15..=62).contains(&under_way), "{under_way}");
    a_first_request_meets_no_other(&demo).await;
    demo.stores.store.verify().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_players_stop_when_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(dir.path(), OpenMode::Serve).unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let players = tokio::spawn(play(store.into(), PACE, stopped));
    stop.send(true).unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(30), players).await.unwrap().unwrap();
}
