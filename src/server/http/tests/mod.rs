//! The tickets API as its clients see it, over SQLite: requests in, answers out.
#![expect(clippy::unwrap_used, reason = "tests")]

mod document;
mod erasure;
mod events;
mod lists;
mod order;
mod pending;
mod replies;
mod retries;
mod shapes;
mod sign_in;
mod workflow;

use serde_json::{Value, json};

use super::testing::{Answer, TestApp};
use crate::server::ports::ReferenceChanges;

/// The body of a request for a medication.
fn refill(medication: &str) -> Value {
    json!({
        "kind": "refill", "cabinet": "UTI-01", "priority": "stat",
        "lines": [{ "medication": medication, "quantity": "10", "unit": "vial" }],
    })
}

/// Asks for something under a key.
async fn create(app: &TestApp, who: &str, key: &str, body: Value) -> Answer {
    app.call(who, "POST", "/v1/tickets", &[("idempotency-key", key)], body).await
}

/// A ticket that was made.
async fn made(app: &TestApp, medication: &str) -> Value {
    create(app, "ana", &format!("make {medication}").replace(' ', "-"), refill(medication)).await.expect(201)
}

/// Sends a command on the ticket as given.
async fn command(app: &TestApp, who: &str, key: &str, ticket: &Value, name: &str, body: Value) -> Answer {
    let path = format!("/v1/tickets/{}/{name}", ticket["id"].as_str().unwrap());
    let version = format!("\"{}\"", ticket["version"]);
    app.call(who, "POST", &path, &[("idempotency-key", key), ("if-match", &version)], body).await
}

/// Says which codes stand on a medication's boxes, and whether it can be asked for.
async fn boxed(app: &TestApp, medication: &str, codes: &[&str], active: bool) {
    let mut item = app.state.reference.medication(&medication.parse().unwrap()).await.unwrap().unwrap();
    item.scan_codes = codes.iter().map(|&code| code.to_owned()).collect();
    item.active = active;
    let changes = ReferenceChanges { medications: vec![item], ..ReferenceChanges::default() };
    app.state.reference.change_reference(changes).await.unwrap();
}
