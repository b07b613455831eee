//! The batch transaction on a real MongoDB: its fence, its second line of defence, and what a kill leaves. They need what `tests/run` sets.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{TryStreamExt, future::join_all};
use jiff::{Timestamp, ToSpan};
use mongodb::bson::{Document, doc};
use tokio::time::{Duration, timeout};

use super::{
    MongoStore,
    events::genesis,
    read::Fields,
    testing::{Fresh, LocalLog, OwnServer, node, ports_on},
};
use crate::{
    domain::{
        apply::fold,
        command::{Amend, Command, Create, RequestLine},
        quantity::Quantity,
        reason::CancelReason,
        refusal::RefusalCode,
        text::FreeText,
        ticket::{Identifier, Ticket},
    },
    server::{
        contract::{Ports, WAIT, administrator, code, creation, missing_dose, nurse, on, pharmacist, refill, supply},
        ports::{Outcome, ReferenceStore, StoredOutcome, Submission, Submitted, TicketStore},
        stack::{CommandLog, CommitError, LogIdentity, LoggedCommand, PartitionStore, Position},
        stored::EventLink,
    },
};

fn cancel() -> Command {
    Command::Cancel { reason: CancelReason::ALL[0], note: None }
}

async fn count(store: &MongoStore, name: &str) -> u64 {
    store.db.collection::<Document>(name).count_documents(doc! {}).await.unwrap()
}

/// What every log must be after whatever happened to it: contiguous, chained, and every ticket the fold of its events.
async fn prove(store: &MongoStore) {
    let progress = store.progress().await.unwrap();
    for (partition, position) in (0_u16..).zip(&progress.positions) {
        let of_it = doc! { "partition": i64::from(partition) };
        let events = store.find_all("events", of_it, doc! { "seq": 1 }).await.unwrap();
        let mut hash = genesis(&store.site.genesis, partition);
        for (event, seq) in events.iter().zip(1_u64..) {
            let text = |name: &str| event.text(name).unwrap();
            let link = EventLink {
                seq,
                ticket: text("ticket"),
                version: event.number("version").unwrap().cast_unsigned(),
                at: event.number("at").unwrap(),
                status: text("status"),
                pharmacies: text("pharmacies"),
                body: text("body"),
            };
            hash = link.hash(&hash);
            assert_eq!(event.number("seq").unwrap().cast_unsigned(), seq);
            assert_eq!(event.blob("hash").unwrap(), hash);
        }
        assert_eq!(position.seq, events.len() as u64);
    }
    let stored = store.find_all("tickets", doc! {}, doc! {}).await.unwrap();
    let versions: Vec<i64> = stored.iter().map(|it| it.number("version").unwrap()).collect();
    for (ticket, version) in store.opened(stored).await.unwrap().into_iter().zip(versions) {
        let history = store.history(ticket.id).await.unwrap();
        assert_eq!(fold(history.iter().map(|told| &told.event)).unwrap(), ticket);
        assert_eq!(ticket.version.0, version.cast_unsigned());
    }
}

/// A hospital, an empty log of one partition, and nobody who decides it.
async fn unowned() -> (Fresh, Ports, Arc<LocalLog>) {
    let fresh = Fresh::new().await;
    let log = LocalLog::open(&fresh.store, 1).await;
    let ports = ports_on(&fresh.store, &log).await;
    ports.open_hospital().await;
    (fresh, ports, log)
}

async fn append(log: &LocalLog, submissions: &[Submission]) -> Vec<LoggedCommand> {
    for submission in submissions {
        log.append(submission).await.unwrap();
    }
    log.records(0)
}

async fn outcome(store: &MongoStore, submission: &Submission) -> StoredOutcome {
    store.outcome(submission.command_id).await.unwrap().expect("it was decided")
}

async fn applied(store: &MongoStore, submission: &Submission) -> Ticket {
    match outcome(store, submission).await.outcome {
        Outcome::Applied(ticket) => *ticket,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn a_stale_owner_commits_nothing() {
    let (fresh, _ports, log) = unowned().await;
    let records = append(&log, &[0, 1, 2].map(|n| creation(&n.to_string(), supply("UTI", "SORO-09")))).await;
    let other = node(&fresh.name).await;
    let stalled = fresh.store.position(0).await.unwrap();
    let taken_over = other.commit(0, &stalled, &records[..2]).await.unwrap();
    assert_eq!((taken_over.next_offset, taken_over.seq), (2, 2));
    assert_eq!(other.position(0).await.unwrap(), taken_over);

    for batch in [&records[..2], &records[..], &records[2..]] {
        let fenced = fresh.store.commit(0, &stalled, batch).await;
        assert!(matches!(fenced, Err(CommitError::Fenced { partition: 0, next_offset: 2 })), "{fenced:?}");
    }
    let foreign = Position { epoch: uuid::Uuid::nil(), ..taken_over };
    assert!(matches!(other.commit(0, &foreign, &records[2..]).await, Err(CommitError::Fenced { .. })));
    assert_eq!((count(&other, "outcomes").await, count(&other, "tickets").await), (2, 2));
    other.commit(0, &taken_over, &records[2..]).await.unwrap();
    prove(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn of_two_owners_each_record_is_applied_once() {
    let fresh = Fresh::new().await;
    let log = LocalLog::open(&fresh.store, 2).await;
    let other = node(&fresh.name).await;
    let (ports, elsewhere) = (ports_on(&fresh.store, &log).await, ports_on(&other, &log).await);
    ports.open_hospital().await;
    log.own(&fresh.store);
    log.own(&other);
    let creates = (0..120).map(|n| {
        let (ports, ward) = if n % 2 == 0 { (&ports, "UTI") } else { (&elsewhere, "CM") };
        ports.done(creation(&n.to_string(), supply(ward, "SORO-09")))
    });
    let tickets = join_all(creates).await;
    let numbers: BTreeSet<String> = tickets.into_iter().map(|ticket| ticket.number).collect();
    assert_eq!(numbers.len(), 120);
    assert!(numbers.iter().any(|number| number.starts_with("CM-60-")), "no number was left out");
    assert_eq!((count(&other, "outcomes").await, count(&other, "events").await), (120, 120));
    prove(&other).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn what_was_written_beside_the_partition_is_an_alarm() {
    let (fresh, _ports, log) = unowned().await;
    let store = &fresh.store;
    let create = creation("k", supply("UTI", "SORO-09"));
    let records = append(&log, std::slice::from_ref(&create)).await;
    let position = store.commit(0, &store.position(0).await.unwrap(), &records).await.unwrap();
    let ticket = applied(store, &create).await;
    let records = append(&log, &[on("c", &ticket, Command::Claim, pharmacist("bia"))]).await;

    let tickets = store.db.collection::<Document>("tickets");
    let version = |version: i64| doc! { "$set": { "version": version } };
    tickets.update_one(doc! {}, version(9)).await.unwrap();
    let refused = store.commit(0, &position, &records[1..]).await;
    assert!(matches!(refused, Err(CommitError::TwoWriters(_))), "{refused:?}");
    tickets.update_one(doc! {}, version(1)).await.unwrap();

    // An event where the next one belongs.
    let events = store.db.collection::<Document>("events");
    let mut foreign = events.find_one(doc! {}).await.unwrap().unwrap();
    foreign.extend(doc! { "_id": "foreign", "seq": 2_i64 });
    events.insert_one(foreign).await.unwrap();
    let refused = store.commit(0, &position, &records[1..]).await;
    assert!(matches!(refused, Err(CommitError::TwoWriters(_))), "{refused:?}");
    events.delete_one(doc! { "_id": "foreign" }).await.unwrap();

    assert_eq!(store.position(0).await.unwrap(), position, "nothing was written");
    assert!(store.outcome(records[1].command.as_ref().unwrap().command_id).await.unwrap().is_none());
    store.commit(0, &position, &records[1..]).await.unwrap();
    prove(store).await;

    // A second open request for a need cannot even be written.
    let create = creation("r", refill("UTI-01", &["HEPARINA"]));
    let records = append(&log, &[create]).await;
    store.commit(0, &store.position(0).await.unwrap(), &records[2..]).await.unwrap();
    let mut second = tickets.find_one(doc! { "sole": { "$exists": true } }).await.unwrap().unwrap();
    second.extend(doc! { "_id": "second", "number": "x", "command_id": "x" });
    assert!(super::transaction::is_taken(&tickets.insert_one(second).await.unwrap_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn what_can_never_be_decided_is_a_dead_letter_and_holds_up_nobody() {
    let (fresh, ports, log) = unowned().await;
    let store = &fresh.store;
    let ticket = creation("k", supply("UTI", "SORO-09"));
    let mut thief = creation("thief", supply("UTI", "SORO-09"));
    thief.ticket = ticket.ticket;
    let mut astray = creation("astray", supply("UTI", "SORO-09"));
    astray.ward = code("CM");
    log.append_garbage(0);
    let records = append(&log, &[thief.clone(), astray.clone(), ticket.clone()]).await;
    log.own(store);
    assert!(matches!(ports.try_send(ticket.clone()).await.unwrap(), Submitted::Done(_)));
    assert_eq!(applied(store, &ticket).await.id, ticket.ticket);
    let dead = store.find_all("dead_letters", doc! {}, doc! { "offset": 1 }).await.unwrap();
    let offsets: Vec<i64> = dead.iter().map(|letter| letter.number("offset").unwrap()).collect();
    assert_eq!(offsets, [0, 1, 2]);
    assert_eq!(dead[0].text("reason").unwrap(), "it does not read");
    for refused in [thief, astray] {
        assert!(store.outcome(refused.command_id).await.unwrap().is_none());
        assert!(ports.try_send(refused).await.is_err(), "the edge does not append it");
    }
    let position = store.position(0).await.unwrap();
    let at = |record: &LoggedCommand, offset| LoggedCommand { offset, ..record.clone() };
    let again = store.commit(0, &position, &[at(&records[3], position.next_offset - 1)]).await;
    assert!(matches!(again, Err(CommitError::Broken(_))), "{again:?}");
    let mut foreign = at(&records[3], position.next_offset);
    foreign.epoch = uuid::Uuid::nil();
    let foreign = store.commit(0, &position, &[foreign]).await;
    assert!(matches!(foreign, Err(CommitError::Broken(_))), "{foreign:?}");
    assert_eq!(store.position(0).await.unwrap(), position);
}

/// Commands that lean on each other in every way that a batch has to remember.
fn entangled() -> Vec<Submission> {
    let made = |submission: &Submission, version: u64| {
        let mut ticket = template();
        ticket.id = submission.ticket;
        ticket.ward = submission.ward.clone();
        ticket.version = crate::domain::ticket::Version(version);
        ticket
    };
    let lines = |medication: &str| Amend {
        lines: Some(vec![RequestLine { medication: code(medication), quantity: Quantity::from(2), unit: None }]),
        ..Amend::default()
    };
    let with_id = |create: Create, value: &str| Create {
        identifiers: vec![Identifier { system: "urn:his".to_owned(), value: value.to_owned() }],
        ..create
    };
    let a = creation("a", with_id(refill("UTI-01", &["HEPARINA", "SORO-09"]), "1"));
    let b = creation("b", refill("UTI-01", &["HEPARINA"]));
    let c = creation("c", refill("UTI-01", &["HEPARINA"]));
    let d = creation("d", with_id(supply("CM", "SORO-09"), "1"));
    let e = creation("e", missing_dose("LEITO 7", "MIDAZ-5"));
    let f = creation("f", missing_dose("LEITO 7", "MIDAZ-5"));
    let g = creation("g", refill("UTI-02", &["MORFINA-10"]));
    let comment = Command::Comment { text: FreeText::new("urgente").unwrap() };
    let erase = Command::Erase { reason: "on request".to_owned() };
    vec![
        a.clone(),
        b, // meets a
        on("a2", &made(&a, 1), cancel(), nurse()),
        c.clone(),                                                 // a is over
        on("a3", &made(&a, 1), Command::Claim, pharmacist("bia")), // stale
        d,                                                         // the identifier is a's for ever
        e.clone(),
        f, // the same patient
        on("e2", &made(&e, 1), comment, nurse()),
        on("e3", &made(&e, 1), cancel(), nurse()),
        on("e4", &made(&e, 2), erase, administrator()),
        g.clone(),
        on("g2", &made(&g, 1), Command::Amend(lines("HEPARINA")), nurse()),
        on("c2", &made(&c, 1), Command::Amend(lines("DIPIRONA-500")), nurse()),
        creation("h", refill("UTI-01", &["HEPARINA"])), // c gave it up
        on("g3", &made(&g, 2), Command::Claim, pharmacist("bia")),
        on("g4", &made(&g, 2), Command::Claim, pharmacist("carl")), // taken
        a,                                                          // again
        creation("i", supply("UTI", "SORO-09")),
        creation("j", supply("CM", "SORO-09")),
    ]
}

/// Any ticket, to name another by.
fn template() -> Ticket {
    let facts = serde_json::json!({
        "id": uuid::Uuid::nil(), "number": "", "kind": "refill", "status": "open", "version": 1, "priority": "stat", "ward": "UTI",
        "cabinet": null, "pharmacy": "CENTRAL", "former_pharmacies": [], "requester": crate::server::contract::person("ana"),
        "assignee": null, "note": null, "identifiers": [], "lines": [], "missing_dose": null, "assistance": null,
        "created_at": Timestamp::UNIX_EPOCH, "updated_at": Timestamp::UNIX_EPOCH, "target": null, "clock_stopped": "PT0S",
        "hold": null, "checked_by": null, "dispatch": null,
    });
    serde_json::from_value(facts).unwrap()
}

/// The same records, at the same times, in batches of this size: what was told and what was answered.
async fn decided(submissions: &[Submission], start: Timestamp, size: usize) -> (Vec<String>, Vec<String>) {
    let (fresh, ports, log) = unowned().await;
    let mut records = append(&log, submissions).await;
    for (record, second) in records.iter_mut().zip(0..) {
        record.at = start.checked_add(second.seconds()).unwrap();
    }
    let mut position = fresh.store.position(0).await.unwrap();
    for batch in records.chunks(size) {
        position = fresh.store.commit(0, &position, batch).await.unwrap();
    }
    prove(&fresh.store).await;
    let told =
        ports.feed(100).await.into_iter().map(|told| format!("{} {} {:?}", told.number, told.id.seq, told.event));
    let mut answers = vec![];
    for submission in submissions {
        answers.push(format!("{:?}", outcome(&fresh.store, submission).await.outcome));
    }
    (told.collect(), answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn a_batch_gives_what_its_records_give_one_by_one() {
    let (submissions, start) = (entangled(), Timestamp::now());
    let (told, one_by_one) = decided(&submissions, start, 1).await;
    let refused = one_by_one.iter().filter(|answer| answer.starts_with("Refused")).count();
    assert_eq!((refused, told.len()), (5, 14));
    for size in [submissions.len(), 12] {
        let (told_together, together) = decided(&submissions, start, size).await;
        // Erased by a later command of the batch or by an earlier one: what is readable afterwards is the same.
        assert_eq!(told_together, told, "batches of {size}");
        assert_eq!(together, one_by_one, "batches of {size}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn partitions_that_collide_fail_nobody() {
    let fresh = Fresh::new().await;
    let log = LocalLog::open(&fresh.store, 2).await;
    let ports = ports_on(&fresh.store, &log).await;
    ports.open_hospital().await;
    log.own(&fresh.store);
    let wards = [("UTI", "u"), ("CM", "c")];
    let partitions = wards.map(|(ward, _)| log.partition(&creation("k", supply(ward, "SORO-09"))));
    assert_ne!(partitions[0], partitions[1], "the wards of this hospital have partitions of their own");
    // One identifier asked for from both at once; and erasures, which all extend the one audit log.
    let both = (0..25).flat_map(|n| {
        wards.map(|(ward, key)| {
            let ports = &ports;
            async move {
                let identifiers = vec![Identifier { system: "urn:his".to_owned(), value: n.to_string() }];
                let create = Create { identifiers, ..supply(ward, "SORO-09") };
                let key = |step: &str| format!("{step}{key}{n}");
                let taken = match ports.send(creation(&key("k"), create)).await.outcome {
                    Outcome::Applied(_) => 0,
                    Outcome::Refused(refusal) => {
                        assert_eq!(refusal.code, RefusalCode::IdentifierTaken);
                        1
                    }
                };
                let mut create = supply(ward, "HEPARINA");
                create.note = FreeText::new("leito 4").ok();
                let ticket = ports.done(creation(&key("n"), create)).await;
                let ended = ports.done(on(&key("c"), &ticket, cancel(), nurse())).await;
                let erase = Command::Erase { reason: "on request".to_owned() };
                ports.done(on(&key("e"), &ended, erase, administrator())).await;
                taken
            }
        })
    });
    let taken: usize = join_all(both).await.into_iter().sum();
    assert_eq!(taken, 25, "each identifier is one ticket's");
    assert_eq!((count(&fresh.store, "identifiers").await, count(&fresh.store, "audit").await), (25, 50));
    assert_eq!(count(&fresh.store, "ticket_keys").await, 0);
    prove(&fresh.store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn no_document_shows_a_free_text() {
    let (fresh, ports, log) = unowned().await;
    log.own(&fresh.store);
    let mut create = missing_dose("PRONTUARIO998877", "HEPARINA");
    create.note = FreeText::new("Zuleica viu ontem").ok();
    let ticket = ports.done(creation("k", create)).await;
    let comment = Command::Comment { text: FreeText::new("paciente alergico").unwrap() };
    ports.done(on("c", &ticket, comment, nurse())).await;
    assert_eq!(fresh.store.ticket(ticket.id).await.unwrap(), Some(ticket));
    let mut seen = 0;
    for name in fresh.store.db.list_collection_names().await.unwrap() {
        let mut documents = fresh.store.db.collection::<Document>(&name).find(doc! {}).await.unwrap();
        while let Some(document) = documents.try_next().await.unwrap() {
            let text = document.to_string().to_lowercase();
            for secret in ["prontuario998877", "zuleica", "ontem", "alergico", "gaveta do leito"] {
                assert!(!text.contains(secret), "{secret} in {name}");
            }
            seen += 1;
        }
    }
    assert!(seen > 20, "there is something to look at: {seen}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn a_command_that_waits_too_long_is_pending_and_done_later() {
    let (fresh, ports, log) = unowned().await;
    let create = creation("k", supply("UTI", "SORO-09"));
    let early = ports.pipeline.submit(create.clone(), Duration::ZERO).await.unwrap();
    assert!(matches!(early, Submitted::Pending(_)));
    let mut watch = ports.pipeline.watch();
    // Decided by another node: only the store tells of it.
    log.own(&node(&fresh.name).await);
    let heard = timeout(WAIT, watch.wait_for(|head| head.events() == 1)).await;
    assert!(heard.is_ok_and(|heard| heard.is_ok()));
    let first = outcome(&fresh.store, &create).await;
    assert_eq!(ports.send(create).await.at, first.at);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGOD"]
async fn after_a_kill_every_command_has_one_outcome() {
    let mut server = OwnServer::replica_set().await;
    let store = Arc::new(MongoStore::connect(&server.address(), "medreq").await.unwrap());
    let identity = LogIdentity { cluster: "here".to_owned(), partitions: 2 };
    let log = LocalLog::open(&store, identity.partitions).await;
    store.change_reference(crate::server::contract::hospital()).await.unwrap();
    let submissions: Vec<Submission> =
        (0..400).map(|n| creation(&n.to_string(), supply(if n % 2 == 0 { "UTI" } else { "CM" }, "SORO-09"))).collect();
    for submission in &submissions {
        log.append(submission).await.unwrap();
    }
    let ports = ports_on(&store, &log).await;
    let mut head = ports.pipeline.watch();
    log.own(&store);
    for past in [1, 150] {
        let underway = timeout(WAIT, head.wait_for(|head| head.events() >= past)).await;
        assert!(underway.is_ok_and(|underway| underway.is_ok()));
        server.kill();
        server.restart().await;
    }
    let done = timeout(WAIT, head.wait_for(|head| head.events() >= 400)).await;
    assert!(done.is_ok_and(|done| done.is_ok()), "the owners went on");
    assert_eq!(store.open_log(LogIdentity { partitions: 9, ..identity.clone() }).await.unwrap(), identity);
    assert_eq!((count(&store, "outcomes").await, count(&store, "events").await), (400, 400));
    for submission in &submissions {
        applied(&store, submission).await;
    }
    prove(&store).await;
}
