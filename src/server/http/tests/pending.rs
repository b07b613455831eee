//! A log that decides later: 202 with a status to ask for, by its sender alone.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::json;
use tokio::sync::watch;
use uuid::Uuid;

use super::{command, create, refill};
use crate::{
    domain::reason::Role,
    server::{
        auth::users::UserPatch,
        contract::code,
        http::{AppState, Division, Services, router, testing::TestApp},
        ports::{
            Appended, CommandId, Cursor, Pipeline, RecordedEvent, StoreResult, StoredOutcome, Submission, SubmitError,
            Submitted,
        },
    },
};

/// Takes every command at once and decides it behind the caller's back, when told to.
struct Later {
    store: Arc<dyn Pipeline>,
    taken: tokio::sync::Mutex<Vec<Submission>>,
    /// Everything before this offset is decided, or lost.
    past: AtomicU64,
}

impl Later {
    async fn decide(&self) {
        for submission in self.taken.lock().await.drain(..) {
            let decided = self.store.submit(submission, Duration::from_secs(30)).await;
            assert!(matches!(decided, Ok(_) | Err(SubmitError::KeyReused)), "{decided:?}");
        }
    }
}

#[async_trait]
impl Pipeline for Later {
    async fn submit(&self, submission: Submission, _: Duration) -> Result<Submitted, SubmitError> {
        let mut taken = self.taken.lock().await;
        taken.push(submission);
        Ok(Submitted::Pending(Appended { epoch: Uuid::nil(), partition: 0, offset: taken.len() as u64 }))
    }
    async fn outcome(&self, id: CommandId) -> StoreResult<Option<StoredOutcome>> {
        self.store.outcome(id).await
    }
    async fn is_past(&self, appended: &Appended) -> StoreResult<bool> {
        Ok(appended.offset < self.past.load(Ordering::Relaxed))
    }
    async fn head(&self) -> StoreResult<Cursor> {
        self.store.head().await
    }
    async fn newest_at(&self) -> StoreResult<Option<Timestamp>> {
        self.store.newest_at().await
    }
    async fn writable(&self) -> StoreResult<()> {
        self.store.writable().await
    }
    async fn tail(&self) -> StoreResult<Cursor> {
        self.store.tail().await
    }
    async fn events_after(&self, position: &Cursor, limit: usize) -> StoreResult<Vec<RecordedEvent>> {
        self.store.events_after(position, limit).await
    }
    fn watch(&self) -> watch::Receiver<Cursor> {
        self.store.watch()
    }
}

/// The test hospital over such a log.
async fn deciding_later() -> (TestApp, Arc<Later>) {
    let mut app = TestApp::new().await;
    let later = Arc::new(Later {
        store: Arc::clone(&app.state.pipeline),
        taken: tokio::sync::Mutex::default(),
        past: AtomicU64::new(0),
    });
    let Services { auth, tickets, reference, catalog, data_dir, addresses, edge, shutdown, .. } = &*app.state;
    app.router = router(AppState::new(Services {
        auth: Arc::clone(auth),
        pipeline: Arc::clone(&later) as _,
        tickets: Arc::clone(tickets),
        reference: Arc::clone(reference),
        catalog: Arc::clone(catalog),
        data_dir: data_dir.clone(),
        edge: Arc::clone(edge),
        division: Division::all_here(),
        engines: Vec::new(),
        addresses: addresses.clone(),
        disk_free_min: 0,
        shutdown: shutdown.clone(),
    }));
    (app, later)
}

#[tokio::test]
async fn what_is_not_decided_in_time_is_accepted_and_told_later() {
    let (app, later) = deciding_later().await;
    let accepted = create(&app, "ana", "k", refill("MIDAZ-5")).await;
    let other_body = create(&app, "ana", "k", refill("DIPI-500")).await.header("location").to_owned();
    assert_eq!((accepted.status.as_u16(), accepted.header("retry-after")), (202, "1"));
    let status = accepted.header("location").to_owned();
    assert_eq!(app.get("ana", &status).await.expect(200), json!({ "state": "pending" }));
    assert_eq!(app.get("paulo", &status).await.refusal(), (404, "command_not_found"));

    later.decide().await;
    let done = app.get("ana", &status).await.expect(200);
    assert_eq!(
        (&done["state"], &done["status"], &done["body"]["kind"]),
        (&json!("done"), &json!(201), &json!("refill"))
    );
    assert_eq!(app.get("paulo", &status).await.refusal(), (404, "command_not_found"));
    // The retry is answered as the first request would have been.
    assert_eq!(create(&app, "ana", "k", refill("MIDAZ-5")).await.expect(201), done["body"]);

    let reused = app.get("ana", &other_body).await.expect(200);
    assert_eq!((&reused["state"], &reused["body"]["code"]), (&json!("refused"), &json!("idempotency_key_reused")));

    let refused = create(&app, "ana", "k2", refill("MIDAZ-5")).await;
    later.decide().await;
    let refused = app.get("ana", refused.header("location")).await.expect(200);
    assert_eq!((&refused["state"], &refused["status"]), (&json!("refused"), &json!(409)));
    assert_eq!(refused["body"]["code"], "duplicate_open_request");
}

#[tokio::test]
async fn what_the_log_has_passed_without_an_outcome_is_lost() {
    let (app, later) = deciding_later().await;
    let status = create(&app, "ana", "k", refill("MIDAZ-5")).await.header("location").to_owned();
    later.taken.lock().await.clear();
    assert_eq!(app.get("ana", &status).await.expect(200), json!({ "state": "pending" }));
    later.past.store(2, Ordering::Relaxed);
    assert_eq!(app.get("ana", &status).await.expect(200), json!({ "state": "lost" }));
    // An address that was not given is none, whatever it says.
    for made_up in ["/v1/commands/x".to_owned(), format!("/v1/commands/{}", Uuid::nil()), format!("{status}A")] {
        assert_eq!(app.get("ana", &made_up).await.refusal(), (404, "command_not_found"));
    }
}

#[tokio::test]
async fn an_eraser_is_told_no_more_later_than_at_once() {
    let (mut app, later) = deciding_later().await;
    let created = create(&app, "ana", "k", refill("MIDAZ-5")).await;
    later.decide().await;
    let ticket = app.get("ana", created.header("location")).await.expect(200)["body"].clone();
    command(&app, "ana", "c", &ticket, "cancel", json!({ "reason": "found" })).await;
    later.decide().await;
    // Reads tickets as a nurse, but none of this ward.
    app.add_user("eva", Role::Admin, &["CM"], &[]).await;
    app.change_user("eva", UserPatch { roles: Some([Role::Admin, Role::Nurse].into()), ..UserPatch::default() }).await;
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    assert_eq!(app.get("eva", &path).await.refusal(), (404, "ticket_not_found"));

    let body = json!({ "reason": "protocol 114" });
    let erase = app.call("eva", "POST", &format!("{path}/erase"), &[("idempotency-key", "e")], body).await;
    assert_eq!(erase.status.as_u16(), 202);
    later.decide().await;
    let told = app.get("eva", erase.header("location")).await.expect(200);
    let members: Vec<_> = told["body"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!((&told["state"], members), (&json!("done"), vec!["erased_at", "id", "number"]), "{told}");
}

#[tokio::test]
async fn who_sees_a_ticket_no_more_is_not_told_of_it_by_their_old_commands() {
    let (mut app, later) = deciding_later().await;
    let created = create(&app, "ana", "k", refill("MIDAZ-5")).await;
    later.decide().await;
    let status = created.header("location").to_owned();
    app.get("ana", &status).await.expect(200);
    let elsewhere = UserPatch { wards: Some([code("CM")].into()), ..UserPatch::default() };
    app.change_user("ana", elsewhere).await;
    assert_eq!(app.get("ana", &status).await.refusal(), (404, "command_not_found"));
}
