//! Places, par levels and medications as apps meet them.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use super::testing::TestApp;

async fn put(app: &TestApp, who: &str, path: &str, body: Value) -> super::testing::Answer {
    app.call(who, "PUT", path, &[], body).await
}

fn codes(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["code"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn places_are_created_replaced_and_read_back() {
    let app = TestApp::new().await;
    let pharmacy = json!({ "code": "NOVA", "name": "Farmácia Nova", "satellite": true, "hours": "07:00-19:00" });
    let created = put(&app, "ada", "/v1/pharmacies/nova", pharmacy).await;
    assert_eq!(created.header("location"), "/v1/pharmacies/NOVA");
    let created = created.expect(201);
    assert_eq!(app.get("ana", "/v1/pharmacies/Nova").await.expect(200), created);
    let renamed = put(&app, "ada", "/v1/pharmacies/NOVA", json!({ "code": "nova", "name": "Nova" })).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["hours"], &renamed["active"]), (&json!("Nova"), &Value::Null, &json!(true)));

    put(&app, "ada", "/v1/wards/PED", json!({ "code": "PED", "name": "Pediatria", "pharmacy": "NOVA" }))
        .await
        .expect(201);
    let levels = json!([{ "medication": "MIDAZ-5", "min": "2", "max": "10.0" }]);
    let cabinet = json!({ "code": "PED-01", "name": "Posto", "ward": "PED", "par_levels": levels });
    put(&app, "ada", "/v1/cabinets/PED-01", cabinet).await.expect(201);
    let again = json!({ "code": "PED-01", "name": "Posto 1", "ward": "PED" });
    let kept = put(&app, "ada", "/v1/cabinets/PED-01", again).await.expect(200);
    assert_eq!(kept["par_levels"], json!([{ "medication": "MIDAZ-5", "min": "2", "max": "10" }]));
    assert_eq!(app.get("ana", "/v1/cabinets/ped-01").await.expect(200), kept);
    let without = json!({ "code": "PED-01", "name": "Posto 1", "ward": "PED", "par_levels": [] });
    let without = put(&app, "ada", "/v1/cabinets/PED-01", without).await.expect(200);
    assert_eq!(without["par_levels"], json!([]));
    let audit = app.get("otto", "/v1/pharmacies/NOBODY").await;
    assert_eq!(audit.refusal(), (404, "pharmacy_not_found"));
}

#[tokio::test]
async fn what_a_place_may_not_be_is_refused_with_its_field() {
    let app = TestApp::new().await;
    let table = [
        (
            "/v1/wards/PED",
            json!({ "code": "PED", "name": "P", "pharmacy": "NOWHERE" }),
            (422, "unknown_pharmacy"),
            "pharmacy",
        ),
        ("/v1/wards/PED", json!({ "code": "UTI", "name": "P", "pharmacy": "CENTRAL" }), (422, "invalid_value"), "code"),
        (
            "/v1/wards/P%20D",
            json!({ "code": "P D", "name": "P", "pharmacy": "CENTRAL" }),
            (422, "invalid_value"),
            "code",
        ),
        ("/v1/wards/PED", json!({ "code": "PED", "name": " ", "pharmacy": "CENTRAL" }), (422, "invalid_value"), "name"),
        ("/v1/wards/PED", json!({ "code": "PED", "name": 7, "pharmacy": "CENTRAL" }), (400, "invalid_body"), "name"),
        (
            "/v1/wards/PED",
            json!({ "code": "PED", "name": "P", "pharmacy": "CENTRAL", "beds": 3 }),
            (400, "invalid_body"),
            "beds",
        ),
        ("/v1/cabinets/X-1", json!({ "code": "X-1", "name": "X", "ward": "NONE" }), (422, "unknown_ward"), "ward"),
        (
            "/v1/cabinets/X-1",
            json!({ "code": "X-1", "name": "X", "ward": "UTI", "par_levels": [{ "medication": "MIDAZ-5", "min": "9", "max": "3" }] }),
            (422, "invalid_value"),
            "par_levels[0].min",
        ),
        ("/v1/cabinets/UTI-01/par-levels/MIDAZ-5", json!({ "min": "0", "max": "0" }), (422, "invalid_value"), "max"),
        ("/v1/cabinets/UTI-01/par-levels/MIDAZ-5", json!({ "min": "-1", "max": "2" }), (400, "invalid_body"), "min"),
        (
            "/v1/cabinets/UTI-01/par-levels/NONE",
            json!({ "min": "1", "max": "2" }),
            (422, "unknown_medication"),
            "medication",
        ),
    ];
    for (path, body, refusal, field) in table {
        let answer = put(&app, "ada", path, body.clone()).await;
        assert_eq!(answer.refusal(), refusal, "{path} {body}");
        assert_eq!(answer.json["field"], field, "{path} {body}: {}", answer.json);
    }
    let nowhere = put(&app, "ada", "/v1/cabinets/NONE/par-levels/MIDAZ-5", json!({ "min": "1", "max": "2" })).await;
    assert_eq!(nowhere.refusal(), (404, "cabinet_not_found"));
    assert_eq!(codes(&app.get("ana", "/v1/wards").await.expect(200)), ["CM", "UTI"]);
}

#[tokio::test]
async fn lists_are_paged_with_the_right_total() {
    let app = TestApp::new().await;
    let first = app.get("ana", "/v1/cabinets?limit=2").await.expect(200);
    assert_eq!((codes(&first), &first["total"]), (vec!["CM-01", "UTI-01"], &json!(3)));
    let next = first["next"].as_str().unwrap();
    let rest = app.get("ana", &format!("/v1/cabinets?limit=2&cursor={next}")).await.expect(200);
    assert_eq!((codes(&rest), &rest["next"]), (vec!["UTI-02"], &Value::Null));
    let ward = app.get("ana", "/v1/cabinets?ward=uti").await.expect(200);
    assert_eq!((codes(&ward), &ward["total"]), (vec!["UTI-01", "UTI-02"], &json!(2)));
    let none = app.get("ana", "/v1/cabinets?ward=NONE").await.expect(200);
    assert_eq!((codes(&none).len(), &none["total"]), (0, &json!(0)));
    for bad in ["limit=0", "limit=201", "limit=x", "ward=a%20b", "wrad=UTI"] {
        let answer = app.get("ana", &format!("/v1/cabinets?{bad}")).await;
        assert_eq!(answer.refusal(), (400, "invalid_parameter"), "{bad}");
    }
    for path in ["/v1/pharmacies", "/v1/wards", "/v1/medications", "/v1/catalog"] {
        let all = app.get("ana", path).await.expect(200);
        assert_eq!(all["total"], all["items"].as_array().unwrap().len(), "{path}");
    }
}

/// A hospital information system knows things by its own ids, each of one thing of its sort.
#[tokio::test]
async fn what_another_system_knows_is_found_by_its_id() {
    let app = TestApp::new().await;
    let id = json!([{ "system": "urn:his", "value": "47|11" }]);
    for (path, body) in [
        ("pharmacies", json!({ "code": "CENTRAL", "name": "C", "identifiers": id })),
        ("wards", json!({ "code": "UTI", "name": "U", "pharmacy": "CENTRAL", "identifiers": id })),
        ("cabinets", json!({ "code": "UTI-01", "name": "1", "ward": "UTI", "identifiers": id })),
        ("medications", json!({ "name": "Midazolam", "unit": "ampoule", "identifiers": id })),
    ] {
        let code = body["code"].as_str().unwrap_or("MIDAZ-5").to_owned();
        put(&app, "ada", &format!("/v1/{path}/{code}"), body.clone()).await.expect(200);
        for (asked, found) in [("urn:his%7C47%7C11", 1), ("urn:his%7C47", 0), ("urn:other%7C47%7C11", 0)] {
            let list = app.get("ana", &format!("/v1/{path}?identifier={asked}")).await.expect(200);
            assert_eq!(list["total"], found, "{path} {asked}");
            assert!(found == 0 || codes(&list) == [code.as_str()]);
        }
        assert_eq!(app.get("ana", &format!("/v1/{path}?identifier=4711")).await.refusal(), (400, "invalid_parameter"));
    }
    let taken = json!({ "code": "CM", "name": "CM", "pharmacy": "CENTRAL", "identifiers": id });
    assert_eq!(put(&app, "ada", "/v1/wards/CM", taken).await.status, 409);
}

#[tokio::test]
async fn each_role_changes_what_it_may_and_no_more() {
    let app = TestApp::new().await;
    let ward = json!({ "code": "UTI", "name": "UTI", "pharmacy": "CENTRAL" });
    let level = json!({ "min": "1", "max": "2" });
    let item = json!({ "name": "Novo", "unit": "vial" });
    let class = json!({ "control_class": "B1", "reason": "lista B1" });
    let adopt = json!({ "all": true, "dry_run": true });
    let table = [
        ("PUT", "/v1/wards/UTI", ward, &["ada"][..]),
        ("PUT", "/v1/cabinets/UTI-01/par-levels/MIDAZ-5", level, &["ada", "paulo"]),
        ("PUT", "/v1/medications/NOVO", item, &["ada", "paulo"]),
        ("POST", "/v1/medications/MIDAZ-5/deactivate", Value::Null, &["ada", "paulo"]),
        ("POST", "/v1/medications/MIDAZ-5/activate", Value::Null, &["ada", "paulo"]),
        ("PUT", "/v1/medications/MIDAZ-5/class", class.clone(), &["paulo"]),
        ("POST", "/v1/medications/MIDAZ-5/class", class, &["paulo"]),
        ("POST", "/v1/medications/adopt", adopt, &["ada", "paulo"]),
        ("DELETE", "/v1/cabinets/UTI-01/par-levels/HEPARINA", Value::Null, &["paulo"]),
    ];
    for (method, path, body, may) in table {
        assert_eq!(app.call("", method, path, &[], body.clone()).await.status, 401);
        for who in ["ana", "tito", "marta", "otto", "his", "ada", "paulo"] {
            if method == "DELETE" && who == "ada" {
                continue;
            }
            let answer = app.call(who, method, path, &[], body.clone()).await;
            match may.contains(&who) {
                true => assert!(answer.status.is_success(), "{who} {path}: {}", answer.json),
                false => assert_eq!(answer.status, 403, "{who} {path}: {}", answer.json),
            }
        }
    }
    let refused = app
        .call("ada", "PUT", "/v1/medications/MIDAZ-5/class", &[], json!({ "control_class": "none", "reason": "x" }))
        .await;
    assert_eq!(refused.refusal(), (403, "role_required"));
    let gone = app.call("paulo", "DELETE", "/v1/cabinets/UTI-01/par-levels/HEPARINA", &[], Value::Null).await;
    assert_eq!(gone.refusal(), (404, "par_level_not_found"));
}

#[tokio::test]
async fn a_medication_is_asked_for_only_once_somebody_said_its_class() {
    let app = TestApp::new().await;
    let item = json!({ "name": "Dipirona 1 g", "unit": "ampoule", "packs": [{ "unit": "box", "factor": "50" }] });
    let created = put(&app, "paulo", "/v1/medications/DIP-1G", item.clone()).await.expect(201);
    assert_eq!((&created["control_class"], &created["active"]), (&json!("unreviewed"), &json!(false)));
    let activate = || app.call("paulo", "POST", "/v1/medications/DIP-1G/activate", &[], json!({}));
    assert_eq!(activate().await.refusal(), (422, "class_unreviewed"));
    for (class, reason) in [("unreviewed", "x"), ("C4", "x"), ("", "x"), ("none", " ")] {
        let body = json!({ "control_class": class, "reason": reason });
        let answer = put(&app, "paulo", "/v1/medications/DIP-1G/class", body).await;
        assert_eq!(answer.refusal(), (422, "invalid_value"), "{class:?} {reason:?}");
    }
    let body = json!({ "control_class": "none", "reason": "in no list" });
    let said = put(&app, "paulo", "/v1/medications/DIP-1G/class", body).await.expect(200);
    assert_eq!((&said["control_class"], &said["class_source"]), (&Value::Null, &json!("person")));
    assert_eq!(activate().await.expect(200)["active"], true);

    // Writing it again changes neither its class nor its activity.
    let again = put(&app, "ada", "/v1/medications/dip-1g", item).await.expect(200);
    assert_eq!(
        (&again["control_class"], &again["active"], &again["packs"][0]["factor"]),
        (&Value::Null, &json!(true), &json!("50"))
    );
    for packs in [json!([{ "unit": "box", "factor": "0" }]), json!([{ "unit": "ampoule", "factor": "2" }])] {
        let body = json!({ "name": "x", "unit": "ampoule", "packs": packs });
        assert_eq!(put(&app, "paulo", "/v1/medications/DIP-1G", body).await.refusal(), (422, "invalid_value"));
    }
    let negative = json!({ "name": "x", "unit": "ampoule", "packs": [{ "unit": "box", "factor": "-5" }] });
    assert_eq!(put(&app, "paulo", "/v1/medications/DIP-1G", negative).await.refusal(), (400, "invalid_body"));
}

#[tokio::test]
async fn a_scanned_box_finds_its_medication_and_an_ambiguous_one_says_so() {
    let app = TestApp::new().await;
    let item = |code: &str| json!({ "name": code, "unit": "vial", "scan_codes": ["0409-2308-01", "00304092308014", "154230123"] });
    put(&app, "paulo", "/v1/medications/A", item("A")).await.expect(201);
    for scan in [
        "00304092308014",
        "304092308014",
        "0409-2308-01",
        "0409230801",
        "1.5423.0123",
        "(01)00304092308014(17)270131(10)L42",
    ] {
        let found = app.get("ana", &format!("/v1/medications/{scan}")).await.expect(200);
        assert_eq!(found["code"], "A", "{scan}");
    }
    put(&app, "paulo", "/v1/medications/B", item("B")).await.expect(201);
    assert_eq!(app.get("ana", "/v1/medications/0409230801").await.refusal(), (409, "ambiguous_code"));
    // Of two, the one that can be asked for is meant.
    let body = json!({ "control_class": "none", "reason": "in no list" });
    put(&app, "paulo", "/v1/medications/B/class", body).await.expect(200);
    app.call("paulo", "POST", "/v1/medications/B/activate", &[], Value::Null).await.expect(200);
    assert_eq!(app.get("ana", "/v1/medications/0409230801").await.expect(200)["code"], "B");
    for nothing in ["0409230802", "NONE", "%00", "a%20b", "00304092308015"] {
        assert_eq!(
            app.get("ana", &format!("/v1/medications/{nothing}")).await.refusal(),
            (404, "medication_not_found")
        );
    }
    let found = app.get("ana", "/v1/medications?q=solu%C3%A7ao%20dipir%C3%B4na&active=true").await.expect(200);
    assert_eq!(codes(&found), ["DIPIRONA-500"]);
}
