//! The command log on a real Kafka. They need `MEDREQ_TEST_KAFKA`, as `tests/run` sets it, and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::BTreeSet,
    num::NonZeroU16,
    sync::{Arc, atomic::Ordering},
};

use futures_util::future::join_all;

use super::{
    testing::{Memory, append, brokers, command, settings, until, write},
    *,
};
use crate::server::{
    contract::WAIT,
    ports::{CommandId, SubmitError},
    stack::{Anchor, CommandLog as _, PartitionStore},
};

const WARDS: [&str; 6] = ["UTI", "CM", "PED", "CC", "PS", "MAT"];

fn port(store: &Arc<Memory>) -> Arc<dyn PartitionStore> {
    Arc::clone(store) as _
}

fn ids(store: &Memory) -> BTreeSet<CommandId> {
    store.decided().into_values().flatten().filter_map(|(_, id)| id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn what_is_appended_is_decided_once_and_in_order_also_by_the_next_owner() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let commands: Vec<_> = (0..300).map(|n| command(&format!("k{n}"), WARDS[n % WARDS.len()])).collect();
    let places = join_all(commands[..150].iter().map(|it| log.append(it))).await;
    let places: BTreeSet<_> = places.into_iter().map(|it| it.map(|it| (it.partition, it.offset)).unwrap()).collect();
    assert_eq!(places.len(), 150, "each has a place of its own");

    let first = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    until("the first half", || store.count() == 150).await;
    assert_eq!(first.states().now().len(), 4);
    assert!(tokio::task::spawn_blocking(move || first.stop(WAIT)).await.unwrap());
    for submission in &commands[150..] {
        append(&log, submission).await;
    }
    let _second = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    until("the second half", || store.count() == 300).await;
    assert_eq!(ids(&store), commands.iter().map(|it| it.command_id).collect());
    // A retry stands in the log as well: that it has an outcome is the store's to see.
    append(&log, &commands[0]).await;
    until("the retry", || store.count() == 301).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn partitions_change_hands_under_load_and_nothing_is_decided_twice() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let sender = tokio::spawn({
        let log = Arc::clone(&log);
        async move {
            for n in 0..600 {
                append(&log, &command(&format!("k{n}"), WARDS[n % WARDS.len()])).await;
            }
        }
    });
    let first = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    until("that one works alone", || store.count() > 20).await;
    let second = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    until("that they share the work", || !second.states().now().is_empty() && first.states().now().len() < 4).await;
    assert!(tokio::task::spawn_blocking(move || first.stop(WAIT)).await.unwrap());
    sender.await.unwrap();
    until("that the other does all of it", || store.count() == 600 && second.states().now().len() == 4).await;
    assert_eq!(ids(&store).len(), 600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn an_owner_that_stalls_in_its_commit_decides_nothing_after_another_went_on() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    // It holds the position of before, as one does who was stopped between reading and writing.
    let stale = store.position(0).await.unwrap();
    let _processor = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    let many: Vec<_> = (0..40).map(|n| command(&format!("k{n}"), WARDS[n % WARDS.len()])).collect();
    for submission in &many {
        append(&log, submission).await;
    }
    until("all of them", || store.count() == 40).await;
    let before = store.decided();
    let late: Vec<_> = before
        .keys()
        .map(|partition| {
            let late = stack::LoggedCommand {
                offset: 0,
                at: jiff::Timestamp::now(),
                epoch: stale.epoch,
                checksum: [0; 32],
                command: Ok(many[0].clone()),
            };
            let store = Arc::clone(&store);
            async move { store.commit(*partition, &stale, &[late]).await }
        })
        .collect();
    for refused in join_all(late).await {
        assert!(matches!(refused, Err(stack::CommitError::Fenced { .. })), "{refused:?}");
    }
    assert_eq!(store.decided(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn while_the_store_is_away_commands_are_taken_and_decided_when_it_is_back() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let processor = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    append(&log, &command("first", "UTI")).await;
    until("the first", || store.count() == 1).await;
    store.down.store(true, Ordering::SeqCst);
    for n in 0..20 {
        append(&log, &command(&format!("k{n}"), "UTI")).await;
    }
    until("that it waits", || {
        processor
            .states()
            .now()
            .values()
            .any(|state| matches!(state, PartitionState::Waiting(why) if why.contains("the test says so")))
    })
    .await;
    assert_eq!(store.count(), 1);
    // It comes back, but takes one at a time: a batch that is too much for it is halved.
    store.largest.store(1, Ordering::SeqCst);
    store.down.store(false, Ordering::SeqCst);
    until("all of them", || store.count() == 21).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn garbage_is_one_dead_letter_and_what_is_too_new_halts() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let processor = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    let place = log.append(&command("before", "UTI")).await.unwrap();
    for garbage in [&b"\xff\x00garbage"[..], b"", b"{\"format\":1}", b"[1]", b"{\"format\":0,\"epoch\":7}"] {
        write(&settings, place.partition.into(), garbage).await;
    }
    append(&log, &command("after", "UTI")).await;
    until("all of them", || store.count() == 7).await;
    let decided = &store.decided()[&place.partition];
    let kinds: Vec<bool> = decided.iter().map(|(_, id)| id.is_some()).collect();
    assert_eq!(kinds, [true, false, false, false, false, false, true]);

    let newer = format!(r#"{{"format":9,"epoch":"{}","more":[]}}"#, place.epoch);
    write(&settings, place.partition.into(), newer.as_bytes()).await;
    append(&log, &command("never", "UTI")).await;
    until("that it halts", || {
        let state = processor.states().now().remove(&place.partition);
        matches!(state, Some(PartitionState::Halted(why)) if why.contains("a newer medreq (format 9); upgrade"))
    })
    .await;
    assert_eq!(store.count(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn another_log_than_the_one_that_was_decided_halts_its_partitions() {
    let (settings, store) = (settings(brokers()), Memory::new());
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let place = log.append(&command("first", "UTI")).await.unwrap();
    let others: Vec<u16> = (0..4).filter(|partition| *partition != place.partition).collect();
    // Stores that decided another log: one that went further, one whose last record was another; and a record of another epoch.
    let further = Anchor { offset: 6, checksum: [1; 32] };
    store.stand(others[0], 7, further);
    store.stand(place.partition, 1, Anchor { offset: 0, checksum: [1; 32] });
    let foreign = format!(r#"{{"format":1,"epoch":"{}"}}"#, uuid::Uuid::new_v4());
    write(&settings, others[1].into(), foreign.as_bytes()).await;
    let processor = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    for (partition, told) in [
        (others[0], "decided all before offset 7, and the log ends at 0"),
        (place.partition, "record 0 is not the one that the store decided"),
        (others[1], "written for another log"),
    ] {
        until(told, || {
            let state = processor.states().now().remove(&partition);
            matches!(state, Some(PartitionState::Halted(why)) if why.contains(told))
        })
        .await;
    }
    until("that the rest works", || {
        matches!(processor.states().now().get(&others[2]), Some(PartitionState::Working { next_offset: 0 }))
    })
    .await;
    assert_eq!(store.count(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn a_log_that_is_not_what_it_must_be_stops_the_start() {
    let (settings, store) = (settings(brokers()), Memory::new());
    KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let told = async |settings: &KafkaSettings, store: &Memory| {
        KafkaLog::open(settings, store, Counts::default()).await.err().expect("it is refused")
    };
    let other_count = KafkaSettings { partitions: NonZeroU16::new(5).unwrap(), ..settings.clone() };
    let error = told(&other_count, &store).await;
    assert!(error.to_string().contains("has 4 partitions and kafka.partitions says 5") && !error.may_heal(), "{error}");

    let elsewhere = Memory::new();
    let log = stack::LogIdentity { cluster: "another".to_owned(), partitions: 4 };
    elsewhere.open_log(log).await.unwrap();
    let error = told(&settings, &elsewhere).await;
    assert!(error.to_string().contains("decides the log of cluster another") && !error.may_heal(), "{error}");

    let misspelt = KafkaSettings { client: vec![("sasl.mechanisme".into(), "PLAIN".into())], ..settings.clone() };
    let error = told(&misspelt, &store).await;
    assert!(error.to_string().contains("sasl.mechanisme") && !error.may_heal(), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA"]
async fn a_full_queue_says_when_to_come_back_and_loses_nothing_that_was_taken() {
    let (mut settings, store) = (settings(brokers()), Memory::new());
    settings.client = vec![("queue.buffering.max.messages".into(), "8".into()), ("linger.ms".into(), "50".into())];
    let log = KafkaLog::open(&settings, &*store, Counts::default()).await.unwrap();
    let all: Vec<_> = (0..200).map(|n| command(&format!("k{n}"), "UTI")).collect();
    let answers = join_all(all.iter().map(|it| log.append(it))).await;
    let taken: BTreeSet<_> =
        all.iter().zip(&answers).filter(|(_, answer)| answer.is_ok()).map(|(it, _)| it.command_id).collect();
    let held_back = answers.iter().filter(|answer| matches!(answer, Err(SubmitError::Overloaded { .. }))).count();
    assert!(!taken.is_empty() && held_back > 0 && taken.len() + held_back == 200, "{} {held_back}", taken.len());
    let _processor = Processor::start(&settings, &port(&store), Counts::default()).unwrap();
    until("all that was taken", || ids(&store) == taken).await;
}
