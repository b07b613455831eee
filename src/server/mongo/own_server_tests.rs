//! What takes a MongoDB of a test's own, since it is killed or is not what it should be. They need `MEDREQ_TEST_MONGOD` and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::bson::doc;
use tokio::{
    sync::watch,
    time::{Duration, Instant, sleep, timeout},
};

use super::{ConnectError, MongoStore, testing::OwnServer};
use crate::{
    domain::reason::Role,
    server::{
        contract::{WAIT, entry, user},
        ports::{AuditQuery, IdentityStore, StoreError, User},
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
    let (count, mut counted) = watch::channel(0);
    let writers = (0..4).map(|writer| {
        let (store, count) = (Arc::clone(&store), count.clone());
        tokio::spawn(async move {
            let mut acknowledged: Vec<User> = vec![];
            loop {
                let next = user(&format!("w{writer}-{}", acknowledged.len()), Role::Nurse);
                if store.insert_users(vec![next.clone()], vec![entry("user_created")]).await.is_err() {
                    return acknowledged;
                }
                acknowledged.push(next);
                count.send_modify(|count| *count += 1);
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    timeout(WAIT, counted.wait_for(|count| *count >= 40)).await.expect("writes are acknowledged").unwrap();
    server.kill();
    let acknowledged: Vec<User> = join_all(writers).await.into_iter().flat_map(Result::unwrap).collect();
    server.restart().await;

    for user in &acknowledged {
        assert_eq!(store.user(&user.username).await.unwrap().as_ref(), Some(user));
    }
    // What was written without an answer in time may be there too: with its audit entry, as everything.
    let there = store.users(1, None).await.unwrap().total;
    let audited = store.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap().total;
    assert_eq!(there, audited);
    store.insert_users(vec![user("after", Role::Nurse)], vec![entry("user_created")]).await.unwrap();
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
