//! The contract on a real MongoDB, and what is MongoDB's own. They need `MEDREQ_TEST_MONGO`, as `tests/run` sets it, and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};

use super::{
    testing::{Fresh, LocalLog, address, node, ports_on},
    *,
};
use crate::{
    domain::reason::Role,
    server::{
        contract::{self, Ports, entry, user},
        ports::{AuditQuery, IdentityStore, ReferenceChanges, ReferenceStore, StoreError},
        stored::AuditLink,
    },
};

/// Commands go through a log in this process.
async fn new_ports() -> (Ports, (Fresh, Arc<LocalLog>)) {
    let fresh = Fresh::new().await;
    let log = LocalLog::open(&fresh.store, 3).await;
    log.own(&fresh.store);
    (ports_on(&fresh.store, &log).await, (fresh, log))
}

contract::contract_suite!(new_ports; tickets, reference, identity, sessions; "needs MEDREQ_TEST_MONGO");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn nodes_that_start_together_make_one_schema() {
    let fresh = Fresh::new().await;
    let name = format!("{}_together", fresh.name);
    let nodes = join_all((0..4).map(|_| node(&name))).await;
    let writes =
        nodes.iter().zip(0..).map(|(node, n)| node.insert_users(vec![user(&format!("u{n}"), Role::Nurse)], vec![]));
    assert!(join_all(writes).await.into_iter().all(|written| written.is_ok()));
    assert_eq!(nodes[0].users(9, None).await.unwrap().total, Some(4));
    nodes[0].db.drop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn entries_of_many_nodes_make_one_chain() {
    let fresh = Fresh::new().await;
    let other = node(&fresh.name).await;
    let both = [&*fresh.store, &*other];
    let written = join_all((0..40).map(|n| both[n % 2].audit(entry(&format!("a{n}"))))).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");

    let genesis = fresh.store.find("meta", doc! {}).await.unwrap().unwrap();
    let genesis = genesis.get_binary_generic("genesis").unwrap().clone();
    let mut previous: [u8; 32] = {
        use sha2::{Digest, Sha256};
        Sha256::new_with_prefix(genesis).chain_update("audit").finalize().into()
    };
    let entries = fresh.store.find_all("audit", doc! {}, doc! { "_id": 1 }).await.unwrap();
    assert_eq!(entries.len(), 40);
    for (entry, id) in entries.iter().zip(1..) {
        let text = |name: &str| entry.get_str(name).ok();
        let link = AuditLink {
            id,
            at: entry.get_i64("at").unwrap(),
            kind: text("kind").unwrap(),
            action: text("action").unwrap(),
            actor: text("actor"),
            subject: text("subject"),
            detail: text("detail").unwrap(),
        };
        previous = link.hash(&previous);
        assert_eq!(entry.get_i64("_id").unwrap(), id);
        assert_eq!(entry.get_binary_generic("hash").unwrap(), &previous);
    }
    let page = other.audit_entries(AuditQuery { limit: 1, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(page.total, Some(40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn what_is_certainly_wrong_stops_the_start_and_says_so() {
    let fresh = Fresh::new().await;
    let refused = async |address: &str, database: &str| match MongoStore::connect(address, database).await {
        Ok(_) => panic!("{address} was taken"),
        Err(error) => error,
    };
    let secret = refused("mongodb://ana:p@ss/w0rd@127.0.0.1", "x").await;
    assert!(matches!(&secret, ConnectError::Address) && !secret.to_string().contains("w0rd"), "{secret}");
    let nobody = refused("mongodb://127.0.0.1:1", "x").await;
    assert!(matches!(nobody, ConnectError::Unreachable(StoreError::Unavailable(_))), "{nobody}");

    let foreign = fresh.store.client.database(&format!("{}_foreign", fresh.name));
    foreign.collection("things").insert_one(doc! { "a": 1 }).await.unwrap();
    let error = refused(&address(), foreign.name()).await;
    assert!(matches!(error, ConnectError::NotMedreq { .. }), "{error}");
    assert_eq!(foreign.list_collection_names().await.unwrap(), ["things"], "it is left as it was");
    foreign.drop().await.unwrap();

    let meta = fresh.store.db.collection::<Document>("meta");
    meta.update_one(doc! {}, doc! { "$set": { "schema": 99_i64 } }).await.unwrap();
    let newer = refused(&address(), &fresh.name).await;
    assert!(matches!(newer, ConnectError::NewerSchema { found: 99, .. }), "{newer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn a_record_without_its_fields_is_refused_by_the_server() {
    let fresh = Fresh::new().await;
    let users = fresh.store.db.collection::<Document>("users");
    assert!(users.insert_one(doc! { "_id": "x", "username": "x" }).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn a_long_list_is_written_well_within_the_time_for_an_answer() {
    let fresh = Fresh::new().await;
    let medications: Vec<_> = (0..5_000).map(|n| contract::medication(&format!("M-{n:05}"))).collect();
    for _ in ["new", "replaced"] {
        let changes = ReferenceChanges { medications: medications.clone(), ..ReferenceChanges::default() };
        fresh.store.change_reference(changes).await.unwrap();
    }
    assert_eq!(fresh.store.all_medications().await.unwrap(), medications);
}
