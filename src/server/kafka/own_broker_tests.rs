//! What takes a Kafka of a test's own, since it is killed. They need `MEDREQ_TEST_KAFKA_JARS` and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;

use super::{
    testing::{Memory, OwnBroker, append, command, settings, until},
    *,
};
use crate::server::{
    contract::WAIT,
    ports::SubmitError,
    stack::{CommandLog as _, PartitionStore},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_KAFKA_JARS"]
async fn what_was_acknowledged_survives_the_death_of_the_broker() {
    let mut broker = OwnBroker::start();
    let (settings, store) = (settings(broker.brokers()), Memory::new());
    let deadline = Instant::now() + WAIT;
    let log = loop {
        match KafkaLog::open(&settings, &*store, Counts::default()).await {
            Ok(log) => break log,
            Err(error) => assert!(error.may_heal() && Instant::now() < deadline, "{error}"),
        }
    };
    let port: Arc<dyn PartitionStore> = Arc::clone(&store) as _;
    let processor = Processor::start(&settings, &port, Counts::default()).unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let writers = (0..4).map(|writer| {
        let (log, count) = (Arc::clone(&log), Arc::clone(&count));
        tokio::spawn(async move {
            let mut acknowledged = vec![];
            for n in 0.. {
                let next = command(&format!("w{writer}-{n}"), "UTI");
                match log.append(&next).await {
                    Ok(_) => acknowledged.push(next.command_id),
                    Err(error) => {
                        assert!(matches!(error, SubmitError::Unknown(_)), "{error:?}");
                        break;
                    }
                }
                count.fetch_add(1, Ordering::SeqCst);
            }
            acknowledged
        })
    });
    let writers: Vec<_> = writers.collect();
    until("that some are acknowledged", || count.load(Ordering::SeqCst) > 100).await;
    broker.kill();
    let acknowledged: Vec<_> = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    assert!(log.writable().await.is_err());
    broker.restart();

    append(&log, &command("after", "UTI")).await;
    let decided = || {
        let all: Vec<_> = store.decided().into_values().flatten().filter_map(|(_, id)| id).collect();
        acknowledged.iter().all(|id| all.contains(id)) && all.contains(&command("after", "UTI").command_id)
    };
    until("that all of it is decided", decided).await;

    // Without its broker, too, it ends in time.
    broker.kill();
    let began = Instant::now();
    tokio::task::spawn_blocking(move || processor.stop(Duration::from_secs(5))).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
