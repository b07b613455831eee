//! Two nodes on one database: whatever they race for has one winner, and whatever kills a sign-in kills it on both.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures_util::{future::join_all, join};
use mongodb::bson::doc;

use super::{
    MongoStore,
    testing::{Fresh, node, open, refresh, token},
};
use crate::{
    domain::reason::Role,
    server::{
        contract::{entry, session, sign_in, user},
        ports::{AuditQuery, IdentityStore, Rotation, Session, StoreError, User},
    },
};

async fn two_nodes() -> (Fresh, Arc<MongoStore>) {
    let fresh = Fresh::new().await;
    let other = node(&fresh.name).await;
    fresh.store.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    (fresh, other)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn of_refreshes_at_once_one_has_a_successor() {
    let (fresh, other) = two_nodes().await;
    let nodes = [&*fresh.store, &*other];
    open(nodes[0], session(1)).await;
    let names: Vec<String> = (0..50).map(|n| format!("next {n}")).collect();
    let results = join_all((0..50).map(|n| refresh(nodes[n % 2], 1, 0, &names[n]))).await;
    let results: Vec<Rotation> = results.into_iter().map(Result::unwrap).collect();
    let winners: Vec<&String> =
        names.iter().zip(&results).filter(|(_, result)| **result == Rotation::Rotated).map(|(name, _)| name).collect();
    let [winner] = winners[..] else { panic!("{results:?}") };
    let same = Rotation::Repeated(winner.as_bytes().to_vec());
    assert_eq!(results.iter().filter(|result| **result == same).count(), 49, "{results:?}");
    let tokens = nodes[0].find_all("refresh_tokens", doc! {}, doc! {}).await.unwrap();
    assert_eq!(tokens.len(), 2, "the first and its one successor");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn of_changes_at_once_one_is_written_and_the_others_are_told() {
    let (fresh, other) = two_nodes().await;
    let nodes = [&*fresh.store, &*other];
    let ana = user("ana", Role::Nurse);
    let change = |n: usize| {
        let changed = User { name: format!("Ana {n}"), ..ana.clone() };
        nodes[n % 2].update_user(changed, entry("user_changed"))
    };
    let results = join_all((0..20).map(change)).await;
    let written: Vec<&User> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(results.iter().filter(|result| matches!(result, Err(StoreError::Changed))).count(), 19, "{results:?}");
    let stored = nodes[0].user(&ana.username).await.unwrap().unwrap();
    assert_eq!(written, [&stored]);
    let audited = nodes[1].audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(audited.total, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn no_refresh_follows_the_change_that_kills_it() {
    let (fresh, other) = two_nodes().await;
    for sid in 1..=20 {
        let name = format!("u{sid}");
        let person = user(&name, Role::Nurse);
        fresh.store.insert_users(vec![person.clone()], vec![]).await.unwrap();
        open(&fresh.store, Session { sign_in: sign_in(&name), ..session(sid) }).await;
        let next = token(sid, 1);
        let killing = User { generation: 1, ..person };
        let (refreshed, killed) =
            join!(refresh(&other, sid, 0, &next), fresh.store.update_user(killing, entry("user_changed")));
        assert!(matches!(refreshed.unwrap(), Rotation::Rotated | Rotation::Dead));
        killed.unwrap();
        // Whichever was first: the log, which tells the order, never has the refresh after the change.
        let newest = other.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
        assert_eq!(newest.items[0].action, "user_changed", "session {sid}");
        assert_eq!(refresh(&other, sid, 1, "never").await.unwrap(), Rotation::Dead);
    }
}
