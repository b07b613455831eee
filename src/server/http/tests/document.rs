//! The published document says what the server does; health and metrics say how it is.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::made;
use crate::{
    domain::{command::Command, ticket::TicketId},
    server::{
        contract::{WAIT, on, pharmacist},
        http::{extract::Peer, testing::TestApp},
        ports::{Outcome, Submitted},
    },
};

/// Operations that nobody needs a token for.
const OPEN: &[&str] = &[
    "/.well-known/oauth-authorization-server",
    "/.well-known/openid-configuration",
    "/healthz",
    "/metrics",
    "/oauth2/jwks",
    "/oauth2/device_authorization",
    "/oauth2/introspect",
    "/oauth2/revoke",
    "/oauth2/token",
    "/openapi.json",
    "/readyz",
    "/setup/{token}",
];

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    })
}

#[tokio::test]
async fn every_operation_says_who_may_and_how_it_fails() {
    let app = TestApp::new().await;
    let document = app.get("", "/openapi.json").await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&document) {
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap().to_owned()),
            "{method} {path}: the id stands twice"
        );
        let responses = operation["responses"].as_object().unwrap();
        if OPEN.contains(&path.as_str()) {
            assert_eq!(operation["security"], json!([{}]), "{method} {path}");
        } else {
            assert!(
                operation["security"].as_array().is_some_and(|any| any.iter().all(|one| *one != json!({}))),
                "{method} {path}"
            );
            for status in ["401", "403"] {
                let content = &responses[status]["content"];
                assert!(content.get("application/problem+json").is_some(), "{method} {path} {status}");
            }
        }
    }
    let statuses = document["components"]["schemas"]["Status"]["enum"].as_array().unwrap();
    assert!(statuses.contains(&json!("on_hold")), "codes are published as they stand on the wire: {statuses:?}");
    for command in ["claim", "pick", "return", "comment", "transfer"] {
        assert!(document["paths"][format!("/v1/tickets/{{id}}/{command}")]["post"].is_object(), "{command}");
    }
    assert_eq!(document["paths"]["/v1/tickets"]["post"]["security"][0], json!({ "bearer": ["tickets:write"] }));
}

#[tokio::test]
async fn every_reference_leads_somewhere() {
    fn walk(value: &Value, document: &Value) {
        match value {
            Value::Object(members) => {
                if let Some(target) = members.get("$ref").and_then(Value::as_str) {
                    assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                }
                members.values().for_each(|value| walk(value, document));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
            _ => {}
        }
    }
    let app = TestApp::new().await;
    let document = app.get("", "/openapi.json").await.expect(200);
    walk(&document, &document);
}

#[tokio::test]
async fn every_protected_operation_refuses_strangers() {
    let app = TestApp::new().await;
    let document = app.get("", "/openapi.json").await.expect(200);
    for (path, method, _) in operations(&document).filter(|(path, ..)| !OPEN.contains(&path.as_str())) {
        let path = path.replace(['{', '}'], "");
        let answer = app.call("", &method.to_uppercase(), &path, &[], Value::Null).await;
        assert_eq!(answer.status.as_u16(), 401, "{method} {path}");
    }
}

#[tokio::test]
async fn docs_health_and_metrics_answer() {
    let app = TestApp::new().await;
    made(&app, "MIDAZ-5").await;
    let docs = app.get("", "/docs/").await;
    assert_eq!(docs.status.as_u16(), 200);
    assert!(docs.header("content-security-policy").contains("script-src 'self'"));
    assert_eq!(app.get("", "/healthz").await.expect(200)["status"], "ok");
    assert_eq!(app.get("", "/readyz").await.expect(200)["checks"]["store"], "ok");
    let metrics = app.get("", "/metrics").await;
    let text = String::from_utf8(metrics.bytes).unwrap();
    assert!(text.contains("medreq_commands_total{command=\"create\",outcome=\"applied\"} 1"), "{text}");
    assert!(text.contains("route=\"/v1/tickets\""), "{text}");
    let forwarded =
        app.send(app.request("", "GET", "/metrics", &[("x-forwarded-for", "10.0.0.9")], &Value::Null)).await;
    assert_eq!(forwarded.refusal(), (403, "scraper_not_allowed"));
    for (from, expected) in [("10.1.2.3", 200), ("10.2.0.1", 403)] {
        let mut request = app.request("", "GET", "/metrics", &[], &Value::Null);
        request.extensions_mut().insert(Peer(from.parse().unwrap()));
        assert_eq!(app.send(request).await.status.as_u16(), expected, "{from}");
    }
    app.stop.send_replace(true);
    assert_eq!(app.get("", "/readyz").await.expect(503)["checks"]["server"], "unavailable");
}

#[tokio::test]
async fn a_log_ahead_of_the_clock_is_not_ready_and_says_so() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    assert_eq!(app.get("", "/readyz").await.expect(200)["checks"]["clock"], "ok");
    let ticket =
        app.state.tickets.ticket(TicketId(ticket["id"].as_str().unwrap().parse().unwrap())).await.unwrap().unwrap();
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let claim = on("claim", &ticket, Command::Claim, pharmacist("bia"));
    let done = app.store.submit_at(claim, Some(tomorrow), WAIT).await.unwrap();
    assert!(matches!(&done, Submitted::Done(done) if matches!(done.outcome, Outcome::Applied(_))), "{done:?}");
    // An answer may be a second old.
    let health = tokio::time::timeout(WAIT, async {
        loop {
            let answer = app.get("", "/readyz").await;
            if answer.status.as_u16() == 503 {
                break answer.json;
            }
        }
    });
    let health = health.await.unwrap();
    assert!(health["checks"]["clock"].as_str().unwrap().contains("set the clock right"), "{health}");
    assert_eq!(health["checks"]["store"], "ok");
}

#[tokio::test]
async fn every_body_has_an_example() {
    let app = TestApp::new().await;
    let document = app.get("", "/openapi.json").await.expect(200);
    for (path, method, operation) in operations(&document) {
        let contents = operation["requestBody"]["content"].as_object().into_iter().flatten();
        for (media_type, content) in contents {
            let shown = content.get("example").or_else(|| content.get("examples"));
            let nothing = content["schema"]["$ref"].as_str().is_some_and(|schema| schema.ends_with("/Nothing"));
            assert!(shown.is_some() || nothing, "{method} {path} {media_type}");
        }
    }
}
