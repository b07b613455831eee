//! The contract on a real MongoDB, and what is MongoDB's own. They need `MEDREQ_TEST_MONGO`, as `tests/run` sets it, and are asked for by `--ignored`.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use tempfile::TempDir;

use super::{
    testing::{Fresh, address, node},
    *,
};
use crate::{
    domain::reason::Role,
    server::{
        contract::{self, Ports, entry, session, user},
        ports::{AuditQuery, IdentityStore, ReferenceChanges, ReferenceStore, Rotation, StoreError},
        sqlite::{OpenMode, SqliteStore},
        stored::AuditLink,
    },
};

/// What has no adapter on MongoDB yet is SQLite's; the parts of the suite that are run here do not touch it.
async fn new_ports() -> (Ports, (Fresh, TempDir)) {
    let fresh = Fresh::new().await;
    let (ports, dir) = ports_of(&fresh.store);
    (ports, (fresh, dir))
}

fn ports_of(store: &Arc<MongoStore>) -> (Ports, TempDir) {
    let dir = TempDir::new().unwrap();
    let rest = Arc::new(SqliteStore::open(dir.path(), OpenMode::Serve).unwrap());
    let ports = Ports {
        pipeline: Arc::clone(&rest) as _,
        tickets: rest as _,
        reference: Arc::clone(store) as _,
        identity: Arc::clone(store) as _,
        sessions: Arc::clone(store) as _,
    };
    (ports, dir)
}

contract::contract_suite!(new_ports; reference, identity, sessions; "needs MEDREQ_TEST_MONGO");

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs MEDREQ_TEST_MONGO"]
async fn of_refreshes_on_two_nodes_at_once_one_has_a_successor() {
    let fresh = Fresh::new().await;
    let other = node(&fresh.name).await;
    let ((here, _here), (there, _there)) = (ports_of(&fresh.store), ports_of(&other));
    let nodes = [&here, &there];
    here.identity.insert_users(vec![user("ana", Role::Nurse)], vec![]).await.unwrap();
    here.open(session(1), "r0").await;
    let names: Vec<String> = (0..50).map(|n| format!("r1-{n}")).collect();
    let results = join_all((0..50).map(|n| nodes[n % 2].rotate("r0", &names[n], 5))).await;
    let winners: Vec<&String> =
        names.iter().zip(&results).filter(|(_, result)| **result == Rotation::Rotated).map(|(name, _)| name).collect();
    let [winner] = winners[..] else { panic!("{results:?}") };
    let same = Rotation::Repeated(winner.as_bytes().to_vec());
    assert_eq!(results.iter().filter(|result| **result == same).count(), 49, "{results:?}");
    let tokens = fresh.store.find_all("refresh_tokens", doc! {}, doc! {}).await.unwrap();
    assert_eq!(tokens.len(), 2, "the first and its one successor");
    assert_eq!(there.rotate(winner, "r2", 6).await, Rotation::Rotated, "nobody was signed out");
}
