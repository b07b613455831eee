//! The hospital's profile and its routing rules as apps meet them.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::testing::{Answer, TestApp};

const SITE: &str = "/v1/site";
const RULES: &str = "/v1/routing-rules";

async fn put(app: &TestApp, who: &str, path: &str, body: Value) -> Answer {
    app.call(who, "PUT", path, &[], body).await
}

#[tokio::test]
async fn everybody_reads_the_site_and_an_administrator_writes_it() {
    let app = TestApp::new().await;
    let unsaid = app.get("ana", SITE).await.expect(200);
    assert_eq!(unsaid, json!({ "name": "", "time_zone": "UTC", "languages": ["en", "pt-BR"], "identifiers": [] }));
    let site = json!({
        "name": "Santa Aurora", "time_zone": "america/sao_paulo", "languages": ["pt-BR"],
        "identifiers": [{ "system": "cnes", "value": "0000019" }]
    });
    for who in ["ana", "paulo", "marta", "otto", "his"] {
        assert_eq!(put(&app, who, SITE, site.clone()).await.status, 403, "{who}");
    }
    let written = put(&app, "ada", SITE, site).await.expect(200);
    assert_eq!(written["time_zone"], "America/Sao_Paulo");
    assert_eq!(app.get("his", SITE).await.expect(200), written);
    let audit = app.get("otto", "/auth/v1/audit?kind=reference").await.expect(200);
    let entry = &audit["items"][0];
    assert_eq!((&entry["action"], &entry["actor"]), (&json!("site_changed"), &json!("ada")));
    assert_eq!((&entry["detail"]["was"], &entry["detail"]["now"]), (&unsaid, &written));
}

#[tokio::test]
async fn what_a_site_may_not_be_is_refused_with_its_field() {
    let app = TestApp::new().await;
    for (change, refusal, field) in [
        (json!({ "name": " " }), (422, "invalid_value"), "name"),
        (json!({ "time_zone": "Sao Paulo" }), (422, "invalid_value"), "time_zone"),
        (json!({ "time_zone": "" }), (422, "invalid_value"), "time_zone"),
        (json!({ "languages": [] }), (422, "invalid_value"), "languages"),
        (json!({ "languages": ["en", "en"] }), (422, "invalid_value"), "languages"),
        (json!({ "languages": ["fr"] }), (400, "invalid_body"), "languages[0]"),
        (json!({ "identifiers": [{ "system": "", "value": "1" }] }), (422, "invalid_value"), "identifiers[0].system"),
        (json!({ "beds": 3 }), (400, "invalid_body"), "beds"),
    ] {
        let mut body = json!({ "name": "A", "time_zone": "UTC" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = put(&app, "ada", SITE, body).await;
        assert_eq!((answer.refusal(), &answer.json["field"]), (refusal, &json!(field)), "{change}");
    }
}

/// A lot expires with the day of the hospital as it is set now.
#[tokio::test]
async fn another_zone_holds_at_once() {
    let app = TestApp::new().await;
    // Two zones whose calendars never agree.
    let day = |zone: &str| jiff::Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::get(zone).unwrap()).date();
    let (behind, ahead) = ("Etc/GMT+12", "Etc/GMT-14");
    let expiry = day(behind).to_string();
    let new = json!({ "kind": "supply", "ward": "UTI", "lines": [{ "medication": "SORO-09", "quantity": "1" }] });
    let ticket = app.call("ana", "POST", "/v1/tickets", &[("idempotency-key", "t")], new).await.expect(201);
    let path = |command: &str| format!("/v1/tickets/{}/{command}", ticket["id"].as_str().unwrap());
    let send = async |command: &str, version: &str, key: &str, body: Value| {
        app.call("paulo", "POST", &path(command), &[("idempotency-key", key), ("if-match", version)], body).await
    };
    send("claim", "\"1\"", "claim", json!({})).await.expect(200);
    let pick = json!({ "lines": [{ "line": 1, "supplied": "1", "lot": "L", "expiry": expiry }] });
    for (zone, status) in [(ahead, 422), (behind, 200)] {
        put(&app, "ada", SITE, json!({ "name": "A", "time_zone": zone })).await.expect(200);
        assert_eq!(send("pick", "\"2\"", zone, pick.clone()).await.status, status, "{zone}");
    }
}

#[tokio::test]
async fn rules_choose_the_pharmacy_and_a_retry_has_its_first_answer() {
    let app = TestApp::new().await;
    assert_eq!(app.get("ana", RULES).await.expect(200), json!({ "rules": [] }));
    let rule =
        json!({ "wards": ["uti"], "kinds": ["supply"], "control_classes": ["controlled"], "pharmacy": "satelite" });
    for who in ["ana", "paulo", "marta", "otto", "his"] {
        assert_eq!(put(&app, who, RULES, json!({ "rules": [rule] })).await.status, 403, "{who}");
    }
    let night = json!({ "from": "19:00", "pharmacy": "CENTRAL" });
    let written = put(&app, "ada", RULES, json!({ "rules": [rule, night] })).await.expect(200);
    let shown = json!({
        "wards": ["UTI"], "kinds": ["supply"], "control_classes": ["controlled"], "from": null, "until": null,
        "pharmacy": "SATELITE"
    });
    assert_eq!((&written["rules"][0], &written["rules"][1]["until"]), (&shown, &json!("00:00")));
    assert_eq!(app.get("ana", RULES).await.expect(200), written);

    let ask = async |key: &str, medication: &str| {
        let body = json!({ "kind": "supply", "ward": "UTI", "lines": [{ "medication": medication, "quantity": "1" }] });
        app.call("ana", "POST", "/v1/tickets", &[("idempotency-key", key)], body).await.expect(201)
    };
    let controlled = ask("1", "MIDAZ-5").await;
    assert_eq!(controlled["pharmacy"], "SATELITE");
    assert_eq!(ask("2", "SORO-09").await["pharmacy"], "CENTRAL");
    put(&app, "ada", RULES, json!({ "rules": [] })).await.expect(200);
    assert_eq!(ask("1", "MIDAZ-5").await, controlled);
    assert_eq!(ask("3", "MORFINA-10").await["pharmacy"], "CENTRAL");
}

#[tokio::test]
async fn a_rule_that_cannot_hold_is_refused_with_its_field() {
    let app = TestApp::new().await;
    let closed = json!({ "code": "FECHADA", "name": "Fechada", "active": false });
    put(&app, "ada", "/v1/pharmacies/FECHADA", closed).await.expect(201);
    for (rule, refusal, field) in [
        (json!({ "pharmacy": "NOWHERE" }), (422, "invalid_value"), "rules[1].pharmacy"),
        (json!({ "pharmacy": "FECHADA" }), (422, "invalid_value"), "rules[1].pharmacy"),
        (json!({ "pharmacy": "a b" }), (422, "invalid_value"), "rules[1].pharmacy"),
        (json!({ "pharmacy": "CENTRAL", "wards": ["NONE"] }), (422, "invalid_value"), "rules[1].wards"),
        (
            json!({ "pharmacy": "CENTRAL", "control_classes": ["Z9"] }),
            (422, "invalid_value"),
            "rules[1].control_classes[0]",
        ),
        (json!({ "pharmacy": "CENTRAL", "from": "7pm" }), (422, "invalid_value"), "rules[1].from"),
        (json!({ "pharmacy": "CENTRAL", "from": "24:00" }), (422, "invalid_value"), "rules[1].from"),
        (json!({ "pharmacy": "CENTRAL", "from": "07:00", "until": "7:00" }), (422, "invalid_value"), "rules[1].until"),
        (json!({ "pharmacy": "CENTRAL", "from": "07:00", "until": "07:00" }), (422, "invalid_value"), "rules[1].from"),
        (json!({ "pharmacy": "CENTRAL", "kinds": ["order"] }), (400, "invalid_body"), "rules[1].kinds[0]"),
        (json!({ "wards": ["UTI"] }), (400, "invalid_body"), "rules[1].pharmacy"),
    ] {
        let answer = put(&app, "ada", RULES, json!({ "rules": [{ "pharmacy": "CENTRAL" }, rule] })).await;
        assert_eq!((answer.refusal(), &answer.json["field"]), (refusal, &json!(field)), "{rule}");
    }
    assert_eq!(app.get("ana", RULES).await.expect(200), json!({ "rules": [] }));
}
