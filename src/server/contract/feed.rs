//! The feed of events: without a gap, resumable anywhere, in the log's time.

use futures_util::future::join_all;
use uuid::Uuid;

use super::{Ports, WAIT, creation, on, pharmacist, refill, supply};
use crate::{
    domain::command::Command,
    server::ports::{Cursor, RecordedEvent},
};

pub(crate) async fn the_feed_has_no_gap_and_resumes_anywhere(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..30).map(|n| ports.done(creation(&n.to_string(), supply("UTI", "SORO-09"))));
    let tickets = join_all(creates).await;
    let claims = tickets
        .iter()
        .map(|ticket| ports.done(on(&format!("c{}", ticket.id), ticket, Command::Claim, pharmacist("bia"))));
    join_all(claims).await;

    let head = ports.pipeline.head().await.unwrap();
    assert_eq!(head.events(), 60);
    let whole = ports.feed(1_000).await;
    assert_eq!(whole.len(), 60);
    let mut resumed = ports.feed(7).await;
    let by_id = |told: &RecordedEvent| told.id;
    resumed.sort_by_key(by_id);
    let mut expected = whole.clone();
    expected.sort_by_key(by_id);
    let told = |events: Vec<RecordedEvent>| -> Vec<_> { events.into_iter().map(|it| (it.id, it.event)).collect() };
    assert_eq!(told(resumed), told(expected));

    let mut position = ports.pipeline.tail().await.unwrap();
    assert!(position.is_between(&position, &head) && position.events() == 0);
    for event in whole {
        position.advance(event.id);
    }
    assert_eq!(position, head);
    assert!(ports.pipeline.events_after(&head, 7).await.unwrap().is_empty());
    let beyond = Cursor::new(Uuid::nil(), vec![u64::MAX; head.seqs().len()]);
    assert!(ports.pipeline.events_after(&beyond, 7).await.unwrap().is_empty());
}

pub(crate) async fn watchers_learn_of_commits(ports: Ports) {
    ports.open_hospital().await;
    let mut watch = ports.pipeline.watch();
    assert_eq!(watch.borrow_and_update().events(), 0);
    ports.done(creation("k", refill("UTI-01", &["SORO-09"]))).await;
    let seen = tokio::time::timeout(WAIT, watch.wait_for(|seen| seen.events() == 1)).await;
    assert!(seen.is_ok_and(|seen| seen.is_ok()));
}

pub(crate) async fn time_never_goes_back(ports: Ports) {
    ports.open_hospital().await;
    let creates = (0..50).map(|n| ports.done(creation(&n.to_string(), supply("CM", "SORO-09"))));
    join_all(creates).await;
    let events = ports.feed(1_000).await;
    assert!(events.is_sorted_by_key(|event| event.event.at));
    assert!(events.iter().all(|event| event.event.at.subsec_nanosecond() % 1_000_000 == 0));
}
