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
        contract::{WAIT, at, audit, device_grant, digest, session, sign_in, user},
        ports::{
            AuditQuery, DeviceDecision, DeviceGrant, IdentityStore, NewRefresh, Redemption, Rotation, RotationTimes,
            SessionStore, StoreError, StoreResult,
        },
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

/// Puts the `n`th successor of a session's refresh token in place of the one before.
async fn refresh(store: &MongoStore, sid: u128, n: usize) -> StoreResult<Rotation> {
    let name = |n: usize| format!("{sid}:{n}");
    let next = NewRefresh { hash: digest(&name(n)), idle_until: at(3_600) };
    let times = RotationTimes { now: at(0), repeat_since: at(0), listed_until: at(3_600) };
    let (audit, reused) = (audit("refreshed", 0), audit("reused", 0));
    store.rotate_refresh(digest(&name(n - 1)), next, name(n).into_bytes(), times, audit, reused).await
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
        let device =
            DeviceGrant { decision: Some(DeviceDecision::Approved(sign_in("ana"))), ..device_grant(&sid.to_string()) };
        store.insert_device(digest(&sid.to_string()), device, audit("device", 0)).await.unwrap();
        let first = NewRefresh { hash: digest(&format!("{sid}:0")), idle_until: at(3_600) };
        let opened =
            store.redeem_device(digest(&sid.to_string()), session(sid), Some(first), at(0), audit("opened", 0));
        assert_eq!(opened.await.unwrap(), Redemption::Opened);
        let (store, count) = (Arc::clone(&store), count.clone());
        writers.push(tokio::spawn(async move {
            let mut acknowledged = 0;
            while let Ok(rotation) = refresh(&store, sid, acknowledged + 1).await {
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
        let next = acknowledged + 1;
        let again = refresh(&store, sid, next).await.unwrap();
        let before = Rotation::Repeated(format!("{sid}:{next}").into_bytes());
        assert!(again == Rotation::Rotated || again == before, "session {sid}: {again:?}");
        refreshed += u64::try_from(next).unwrap();
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
