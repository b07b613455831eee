//! What takes a MongoDB of a test's own, since it is killed or is not what it should be. They need `MEDREQ_TEST_MONGOD` and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::bson::doc;
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, timeout},
};

use super::{
    ConnectError, MongoStore,
    testing::{OwnServer, open, refresh, token},
};
use crate::{
    domain::reason::Role,
    server::{
        contract::{WAIT, session, user},
        ports::{AuditQuery, IdentityStore, Rotation, StoreError},
    },
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGOD"]
async fn a_server_without_a_replica_set_stops_the_start() {
    let server = OwnServer::alone().await;
    let host = server.host();
    for address in [format!("mongodb://{host}"), format!("mongodb://{host}/?replicaSet=rs0")] {
        let refused = MongoStore::connect(&address, "x").await.err().expect("it cannot serve");
        assert!(matches!(refused, ConnectError::Standalone { .. }), "{refused}");
        assert!(refused.to_string().contains(&host) && refused.to_string().contains("--replSet"), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGOD"]
async fn what_was_acknowledged_survives_a_kill() {
    let mut server = OwnServer::replica_set().await;
    let store = Arc::new(MongoStore::connect(&server.address(), "medreq").await.unwrap());
    store.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    let (count, mut counted) = watch::channel(0);
    let mut writers = vec![];
    for sid in 1..=4 {
        open(&store, session(sid)).await;
        let (store, count) = (Arc::clone(&store), count.clone());
        writers.push(tokio::spawn(async move {
            let mut acknowledged = 0;
            while let Ok(rotation) = refresh(&store, sid, acknowledged, &token(sid, acknowledged + 1)).await {
                assert_eq!(rotation, Rotation::Rotated);
                acknowledged += 1;
                count.send_modify(|count| *count += 1);
            }
            acknowledged
        }));
    }
    timeout(WAIT, counted.wait_for(|count| *count >= 40)).await.expect("refreshes are acknowledged").unwrap();
    server.kill();
    let acknowledged: Vec<usize> = join_all(writers).await.into_iter().map(Result::unwrap).collect();
    server.restart().await;

    let mut refreshed = 0;
    for (sid, acknowledged) in (1..).zip(acknowledged) {
        // The refresh that had no answer took place or did not; to ask again gives its successor all the same.
        let next = token(sid, acknowledged + 1);
        let again = refresh(&store, sid, acknowledged, &next).await.unwrap();
        let before = Rotation::Repeated(next.into_bytes());
        assert!(again == Rotation::Rotated || again == before, "session {sid}: {again:?}");
        refreshed += u64::try_from(acknowledged).unwrap() + 1;
    }
    let query = AuditQuery { limit: 1, ..AuditQuery::default() };
    let audited = store.audit_entries(query).await.unwrap().total;
    assert_eq!(audited, Some(8 + refreshed), "each with its entry, and with no other");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGOD"]
async fn a_commit_that_takes_too_long_is_reported_as_unknown() {
    let server = OwnServer::replica_set().await;
    let store = MongoStore::connect(&server.address(), "medreq").await.unwrap();
    let slow = doc! { "failCommands": ["commitTransaction"], "blockConnection": true, "blockTimeMS": 11_000 };
    server.admin(doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": slow }).await.unwrap();
    let ana = user("ana", Role::Nurse);
    let written = store.insert_users(vec![ana.clone()], vec![]).await;
    assert!(matches!(written, Err(StoreError::Unknown(_))), "{written:?}");
    // It goes on by itself, and is there at last.
    let deadline = Instant::now() + WAIT;
    while store.user(&ana.username).await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "it was dropped half way");
        sleep(Duration::from_millis(50)).await;
    }
}
