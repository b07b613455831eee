//! The feed of events: without a gap, resumable anywhere, in the log's time.

use futures_util::future::join_all;

use super::{Ports, WAIT, creation, on, pharmacist, refill, supply};
use crate::domain::command::Command;

pub(crate) async fn the_feed_has_no_gap_and_resumes_anywhere(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..30).map(|n| ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))));
    let tickets = join_all(creates).await;
    let claims = tickets
        .iter()
        .map(|ticket| ports.done(on(&format!("c{}", ticket.id), ticket, Command::Claim, pharmacist("bia"))));
    join_all(claims).await;

    let whole = ports.pipeline.events_after(0, 1_000).await.unwrap();
    let sequence: Vec<u64> = whole.iter().map(|event| event.position.seq).collect();
    assert_eq!(sequence, (1..=60).collect::<Vec<_>>());
    let head = ports.pipeline.head().await.unwrap();
    assert_eq!(whole.last().unwrap().position, head);
    let tail = ports.pipeline.tail().await.unwrap();
    assert_eq!((tail.epoch, tail.seq), (head.epoch, 0));

    let mut resumed = vec![];
    while let Some(last) = ports.pipeline.events_after(resumed.len() as u64, 7).await.unwrap().last() {
        let page = ports.pipeline.events_after(resumed.len() as u64, 7).await.unwrap();
        resumed.extend(page.iter().map(|event| (event.position, event.event.clone())));
        assert_eq!(last.position, resumed.last().unwrap().0);
    }
    let expected: Vec<_> = whole.iter().map(|event| (event.position, event.event.clone())).collect();
    assert_eq!(resumed, expected);
    assert!(ports.pipeline.events_after(u64::MAX, 7).await.unwrap().is_empty());
}

pub(crate) async fn watchers_learn_of_commits(ports: Ports) {
    ports.open_hospital().await;
    let mut watch = ports.pipeline.watch();
    assert_eq!(*watch.borrow_and_update(), 0);
    ports.done(creation("k", refill("UTI-01", &["SORO-09"]))).await;
    let seen = tokio::time::timeout(WAIT, watch.wait_for(|seq| *seq == 1)).await;
    assert!(seen.is_ok_and(|seen| seen.is_ok()));
}

pub(crate) async fn time_never_goes_back(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..50).map(|n| ports.done(creation(&n.to_string(), supply("CM", "SORO-09"))));
    join_all(creates).await;
    let events = ports.pipeline.events_after(0, 1_000).await.unwrap();
    assert!(events.is_sorted_by_key(|event| event.event.at));
    assert!(events.iter().all(|event| event.event.at.subsec_nanosecond() % 1_000_000 == 0));
}
