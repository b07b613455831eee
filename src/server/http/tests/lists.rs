//! Lists: filters, pages that reach all (D15), and odd parameters.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tower::ServiceExt;

use super::{boxed, command, create, made, refill};
use crate::server::http::testing::TestApp;

async fn ids(app: &TestApp, who: &str, query: &str) -> Vec<String> {
    let list = app.get(who, &format!("/v1/tickets?{query}")).await.expect(200);
    list["items"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn pages_reach_all_and_the_total_is_right() {
    let app = TestApp::new().await;
    for number in 0..23 {
        let body = json!({
            "kind": "supply", "ward": "UTI", "override": "other_patient",
            "lines": [{ "medication": "SORO-09", "quantity": "1" }],
        });
        create(&app, "ana", &format!("k{number}"), body).await.expect(201);
    }
    let (mut seen, mut cursor) = (BTreeSet::new(), String::new());
    loop {
        let page = app.get("ana", &format!("/v1/tickets?limit=5{cursor}")).await.expect(200);
        assert_eq!(page["total"], 23);
        seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen.len(), 23);
}

#[tokio::test]
async fn filters_narrow_and_combine() {
    let app = TestApp::new().await;
    let first = made(&app, "MIDAZ-5").await;
    let second = made(&app, "HEPARINA").await;
    command(&app, "paulo", "c", &second, "claim", json!({})).await.expect(200);
    let (first, second) = (first["id"].as_str().unwrap(), second["id"].as_str().unwrap());
    for (query, expected) in [
        ("status=open", vec![first]),
        ("status=open,claimed&sort=created_at", vec![first, second]),
        ("assignee=paulo", vec![second]),
        ("medication=midaz-5", vec![first]),
        ("cabinet=UTI-01&status=claimed", vec![second]),
        ("ward=CM", vec![]),
        ("kind=refill&priority=stat&sort=-created_at", vec![second, first]),
        ("q=heparina", vec![second]),
        ("overdue=true", vec![]),
        ("from=2100-01-01T00:00:00Z", vec![]),
        ("requester=me&pharmacy=CENTRAL&sort=created_at&status=", vec![first, second]),
    ] {
        assert_eq!(ids(&app, "ana", query).await, expected, "{query}");
    }
    assert_eq!(ids(&app, "paulo", "assignee=me").await, [second]);
    assert_eq!(ids(&app, "bia", "").await, [""; 0]);
}

#[tokio::test]
async fn odd_parameters_are_refused_by_name() {
    let app = TestApp::new().await;
    for (query, field) in [
        ("status=nope", "status"),
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("from=yesterday", "from"),
        ("sort=name", "sort"),
        ("overdue=maybe", "overdue"),
        ("ward=..", "ward"),
        ("assignee=a%20b", "assignee"),
        ("q=a%00b", "q"),
        ("identifier=x", "identifier"),
        ("colour=red", "colour"),
        ("limit=1&limit=2", "limit"),
        ("cursor=%00", "cursor"),
    ] {
        let answer = app.get("ana", &format!("/v1/tickets?{query}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json["field"]), (400, &json!(field)), "{query} {}", answer.json);
    }
    let from = app.get("ana", "/v1/tickets?from=garbage").await.expect(400);
    assert_eq!(from["detail"], "this is not a time such as 2030-01-15T10:00:00Z");
    assert_eq!(app.get("ana", "/v1/tickets?cursor=x").await.refusal(), (400, "invalid_cursor"));
}

#[tokio::test]
async fn an_empty_parameter_is_one_not_given() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let all = "status=open,claimed&kind=&ward=UTI&cabinet=&pharmacy=&assignee=&requester=&medication=&priority=&q=\
               &identifier=&overdue=&from=&to=&sort=due_at&limit=50&cursor=";
    assert_eq!(ids(&app, "ana", all).await, [ticket["id"].as_str().unwrap()]);
    assert_eq!(ids(&app, "ana", "sort=&limit=&status=").await.len(), 1);
    let misspelt = app.get("ana", "/v1/tickets?statsu=&limit=1").await;
    assert_eq!(misspelt.refusal(), (400, "invalid_parameter"));
    assert_eq!(misspelt.json["field"], "statsu");
    for (who, path) in [
        ("ana", "/v1/medications?q=&active=&unreviewed=&limit=&cursor="),
        ("ana", "/v1/catalog?q=&limit=&cursor="),
        ("ana", "/v1/cabinets?ward=&limit=&cursor="),
        ("ana", "/v1/wards?limit=&cursor="),
        ("ana", "/v1/events?ward=&ticket_id=&last_event_id=&ticket="),
        ("ada", "/auth/v1/users?limit=&cursor="),
        ("ada", "/auth/v1/clients?limit=&cursor="),
        ("otto", "/auth/v1/audit?kind=&limit=&cursor="),
    ] {
        let request = app.request(who, "GET", path, &[], &Value::Null);
        let status = app.router.clone().oneshot(request).await.unwrap().status();
        assert_eq!(status.as_u16(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_ticket_is_read_by_id_or_number_and_not_twice() {
    let app = TestApp::new().await;
    let ticket = made(&app, "MIDAZ-5").await;
    let by_number = app.get("ana", &format!("/v1/tickets/{}", ticket["number"].as_str().unwrap())).await;
    assert_eq!(by_number.header("etag"), "\"1\"");
    assert_eq!(by_number.expect(200), ticket);
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let known = app.send(app.request("ana", "GET", &path, &[("if-none-match", "\"1\"")], &Value::Null)).await;
    assert_eq!((known.status.as_u16(), known.bytes.len()), (304, 0));
    command(&app, "paulo", "c", &ticket, "claim", json!({})).await.expect(200);
    let changed = app.send(app.request("ana", "GET", &path, &[("if-none-match", "\"1\"")], &Value::Null)).await;
    assert_eq!(changed.expect(200)["version"], 2);
    assert_eq!(app.get("ana", &format!("{path}?min_version=2")).await.status.as_u16(), 200);
    let early = app.get("ana", &format!("{path}?min_version=3")).await;
    assert_eq!(early.refusal(), (503, "version_not_yet_here"));
    assert_eq!(early.header("retry-after"), "1");
}

#[tokio::test]
async fn a_box_can_be_scanned_in_place_of_the_code() {
    let app = TestApp::new().await;
    boxed(&app, "HEPARINA", &["00312345678906"], true).await;
    let mut body = refill("HEPARINA");
    body["lines"][0]["medication"] = json!("(01)00312345678906(17)300131(10)L42");
    let ticket = create(&app, "ana", "k", body).await.expect(201);
    assert_eq!(ticket["lines"][0]["medication"], "HEPARINA");
}

#[tokio::test]
async fn a_scanned_code_means_the_same_to_a_reader_and_to_a_request() {
    let app = TestApp::new().await;
    let scan = "00312345678906";
    let means = async || app.get("ana", &format!("/v1/medications/{scan}")).await;
    // An item that another replaced keeps its boxes, and stands in nobody's way.
    boxed(&app, "HEPARINA", &[scan], false).await;
    boxed(&app, "SORO-09", &[scan], true).await;
    assert_eq!(means().await.expect(200)["code"], "SORO-09");
    let ticket = create(&app, "ana", "1", refill(scan)).await.expect(201);
    assert_eq!(ticket["lines"][0]["medication"], "SORO-09");

    boxed(&app, "HEPARINA", &[scan], true).await;
    assert_eq!(means().await.refusal(), (409, "ambiguous_code"));
    let ambiguous = create(&app, "ana", "2", refill(scan)).await;
    assert_eq!(ambiguous.refusal(), (409, "ambiguous_code"));
    assert_eq!(ambiguous.json["field"], "lines[0].medication");
}

#[tokio::test]
async fn a_lot_is_as_long_as_the_workflow_allows() {
    let app = TestApp::new().await;
    let ticket = made(&app, "HEPARINA").await;
    let ticket = command(&app, "paulo", "c", &ticket, "claim", json!({})).await.expect(200);
    let lot = |length: usize| {
        let line = json!({ "line": 1, "supplied": "10", "lot": "L".repeat(length), "expiry": "2099-01-31" });
        json!({ "lines": [line] })
    };
    let long = command(&app, "paulo", "1", &ticket, "pick", lot(41)).await;
    assert_eq!((long.refusal(), &long.json["field"]), ((400, "invalid_body"), &json!("lines[0].lot")));
    command(&app, "paulo", "2", &ticket, "pick", lot(40)).await.expect(200);
}
