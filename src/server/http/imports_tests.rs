//! Imports and adoption as apps meet them: the real slices, mixed rows, files that must change nothing.
#![expect(clippy::unwrap_used, reason = "tests")]

use axum::body::{Body, Bytes};
use futures_util::stream;
use serde_json::{Value, json};

use super::testing::{Answer, TestApp};
use crate::server::ports::AuditQuery;

const SLICES: [(&str, u64); 3] = [
    ("fda-ndc-product-slice.txt", 3_149),
    ("fda-ndc-package-slice.txt", 5_730),
    ("anvisa-medicamentos-slice.csv", 5_000),
];

async fn import(app: &TestApp, who: &str, what: &str, file: impl Into<Body>) -> Answer {
    let mut request = app.request(who, "POST", &format!("/v1/imports/{what}"), &[], &Value::Null);
    *request.body_mut() = file.into();
    app.send(request).await
}

fn counts(report: &Value) -> [u64; 5] {
    ["rows", "created", "updated", "unchanged", "bad"].map(|name| report[name].as_u64().unwrap())
}

fn slice(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

async fn with_slices() -> TestApp {
    let app = TestApp::new().await;
    for (name, rows) in SLICES {
        let report = import(&app, "paulo", "catalog", slice(name)).await.expect(200);
        assert_eq!(counts(&report), [rows, rows, 0, 0, 0], "{name}");
        let again = import(&app, "ada", "catalog", slice(name)).await.expect(200);
        assert_eq!(counts(&again), [rows, 0, 0, rows, 0], "{name}");
    }
    app
}

#[tokio::test]
async fn lists_make_a_hospital_and_say_the_same_again_without_change() {
    let app = TestApp::new().await;
    let files = [
        ("pharmacies", "code,name,satellite,hours,active\nNOVA,Farmácia Nova,sim,07:00-19:00,\n"),
        ("wards", "code;name;pharmacy\r\nPED;\"Pediatria; ala B\";NOVA\r\n\r\nNEO;Neonatal;nova\r\n"),
        ("cabinets", "\u{feff}CODE,Name,Ward\nPED-01,Posto,PED\n"),
        (
            "medications",
            "code,name,unit,control_class,ingredients,packs,flags,active\n\
             DIP,Dipirona 500 mg,tablet,none,DIPIRONA 500 mg,box=20;carton=100,high_alert,\n\
             MID,Midazolam 5 mg/mL,vial,,CLORIDRATO DE MIDAZOLAM 5 mg/mL,,,true\n\
             XYZ,Novidade,vial,,,,,true\n",
        ),
        ("par-levels", "cabinet,medication,min,max\nped-01,dip,4,20\nPED-01,MID,0.5,2.50\n"),
        ("users", "username,name,roles,wards,pharmacies\nnina,Nina,nurse,PED|NEO,\n"),
    ];
    for (what, file) in files {
        let rows = u64::try_from(file.lines().filter(|line| !line.is_empty()).count()).unwrap() - 1;
        let dry = import(&app, "ada", &format!("{what}?dry_run=true"), file).await.expect(200);
        assert_eq!((counts(&dry), &dry["dry_run"]), ([rows, rows, 0, 0, 0], &json!(true)), "{what}");
        let report = import(&app, "ada", what, file).await.expect(200);
        assert_eq!((counts(&report), &report["format"]), ([rows, rows, 0, 0, 0], &json!("csv")), "{what}: {report}");
        let again = import(&app, "ada", what, file).await.expect(200);
        assert_eq!(counts(&again), [rows, 0, 0, rows, 0], "{what}");
    }
    let ward = app.get("ana", "/v1/wards/PED").await.expect(200);
    assert_eq!((&ward["name"], &ward["pharmacy"]), (&json!("Pediatria; ala B"), &json!("NOVA")));
    let levels = &app.get("ana", "/v1/cabinets/PED-01").await.expect(200)["par_levels"];
    assert_eq!(levels[1], json!({ "medication": "MID", "min": "0.5", "max": "2.5" }));
    let class = async |code: &str| {
        let item = app.get("ana", &format!("/v1/medications/{code}")).await.expect(200);
        (item["control_class"].clone(), item["class_source"].clone(), item["active"].clone())
    };
    assert_eq!(class("DIP").await, (Value::Null, json!("directory"), json!(true)));
    assert_eq!(class("MID").await, (json!("B1"), json!("substance_table"), json!(true)));
    assert_eq!(class("XYZ").await, (json!("unreviewed"), Value::Null, json!(false)));
    let packs = &app.get("ana", "/v1/medications/DIP").await.expect(200)["packs"];
    assert_eq!(packs, &json!([{ "unit": "box", "factor": "20" }, { "unit": "carton", "factor": "100" }]));

    // What a pharmacist set by hand outlives the list; a column that is left out leaves what is stored.
    let body = json!({ "control_class": "none", "reason": "reviewed" });
    app.call("paulo", "PUT", "/v1/medications/MID/class", &[], body).await.expect(200);
    assert_eq!(counts(&import(&app, "ada", "medications", files[3].1).await.expect(200)), [3, 0, 0, 3, 0]);
    let renamed = import(&app, "ada", "medications", "code,name,unit\nDIP,Dipirona,tablet\n").await.expect(200);
    assert_eq!(counts(&renamed), [1, 0, 1, 0, 0]);
    let item = app.get("ana", "/v1/medications/DIP").await.expect(200);
    assert_eq!((&item["packs"], &item["flags"], &item["name"]), (packs, &json!(["high_alert"]), &json!("Dipirona")));
}

#[tokio::test]
async fn good_rows_go_in_and_bad_ones_are_told_by_line() {
    let app = TestApp::new().await;
    let file = "code,name,unit,packs,control_class,gtin\n\
                OK-1,Um,vial,box=10,none,00304092308014\n\
                BAD-0,Zero,vial,box=0,none,\n\
                BAD-NEG,Negativo,vial,box=-5,none,\n\
                ,Sem,vial,,none,\n\
                OK-1,Outra vez,vial,,none,\n\
                B AD,Espaço,vial,,none,\n\
                SHORT,Curta\n\
                CLASS,Classe,vial,,C4,\n\
                GTIN,Gtin,vial,,none,00304092308015\n\
                \"OPEN,Aspas,vial,,none,\n\
                OK-2,Dois,vial,,none,\n";
    let report = import(&app, "paulo", "medications", file).await.expect(200);
    assert_eq!(counts(&report), [11, 2, 0, 0, 9], "{report}");
    let lines: Vec<u64> =
        report["bad_rows"].as_array().unwrap().iter().map(|row| row["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [3, 4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(app.get("ana", "/v1/medications/00304092308014").await.expect(200)["code"], "OK-1");
    assert_eq!(app.get("ana", "/v1/medications/BAD-0").await.status, 404);

    let latin = b"code,name,pharmacy\nPED,Pediatria \xe1rea,CENTRAL\nNEO,Neonatal,NENHURES\n".to_vec();
    let report = import(&app, "ada", "wards", latin).await.expect(200);
    assert_eq!((counts(&report), &report["encoding"]), ([2, 1, 0, 0, 1], &json!("windows-1252")));
    assert!(report["bad_rows"][0]["reason"].as_str().unwrap().contains("NENHURES"), "{report}");
    assert_eq!(app.get("ana", "/v1/wards/PED").await.expect(200)["name"], "Pediatria área");

    let many: String = (0..1_500).map(|_| "B AD,x,CENTRAL\n").collect();
    let report =
        import(&app, "ada", "wards", format!("code,name,pharmacy\n{many}CM,Ala CM,CENTRAL\n")).await.expect(200);
    assert_eq!((report["bad"].as_u64(), report["bad_rows"].as_array().unwrap().len()), (Some(1_500), 1_000));
}

#[tokio::test]
async fn a_refused_file_changes_nothing() {
    let app = TestApp::new().await;
    let before = app.get("ana", "/v1/wards").await.json;
    let table: [(&str, &[u8], (u16, &str)); 11] = [
        ("wards", b"", (422, "format_not_recognised")),
        ("wards", b"code,name\nPED,P\n", (422, "format_not_recognised")),
        ("wards", b"code,name,pharmacy,beds\nPED,P,CENTRAL,3\n", (422, "format_not_recognised")),
        ("wards", b"code,code,name,pharmacy\nPED,PED,P,CENTRAL\n", (422, "format_not_recognised")),
        ("wards", b"\x00\x01\x02", (422, "format_not_recognised")),
        ("wards", b"code,name,pharmacy\n", (422, "no_good_rows")),
        ("wards", b"code,name,pharmacy\nPED,P,NENHURES\n", (422, "no_good_rows")),
        ("wards?format=xlsx", b"code,name,pharmacy\nPED,P,CENTRAL\n", (400, "invalid_parameter")),
        ("wards?encoding=utf-7", b"code,name,pharmacy\nPED,P,CENTRAL\n", (400, "invalid_parameter")),
        ("catalog", b"code,name\nA,B\n", (422, "format_not_recognised")),
        ("beds", b"code,name\nA,B\n", (404, "import_not_found")),
    ];
    for (what, file, refusal) in table {
        let answer = import(&app, "ada", what, file.to_vec()).await;
        assert_eq!(answer.refusal(), refusal, "{what} {}", String::from_utf8_lossy(file));
    }
    let none = import(&app, "ada", "wards", "code,name,pharmacy\nPED,P,NENHURES\n").await;
    assert_eq!((&none.json["bad"], &none.json["bad_rows"][0]["line"]), (&json!(1), &json!(2)));

    let pieces = [Ok(Bytes::from("code,name,pharmacy\nPED,P,CENTRAL\n")), Err(std::io::Error::other("gone"))];
    let broken = import(&app, "ada", "wards", Body::from_stream(stream::iter(pieces))).await;
    assert_eq!(broken.refusal(), (400, "incomplete_body"));
    assert_eq!(app.get("ana", "/v1/wards").await.json, before);
    let left: Vec<_> = std::fs::read_dir(app.dir()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("tmp")), "{left:?}");
}

#[tokio::test]
async fn the_audit_tells_who_imported_what() {
    let app = TestApp::new().await;
    import(&app, "ada", "wards?dry_run=true", "code,name,pharmacy\nPED,P,CENTRAL\n").await.expect(200);
    import(&app, "ada", "wards", "code,name,pharmacy\nPED,P,CENTRAL\nNEO,N,NONE\n").await.expect(200);
    import(&app, "paulo", "catalog", slice("anvisa-medicamentos-slice.csv")).await.expect(200);
    let query = AuditQuery { kind: Some("reference".into()), limit: 50, after: None };
    let entries = app.state.auth.audit_entries(query).await.unwrap().items;
    let told: Vec<_> =
        entries.iter().map(|it| (it.action.as_str(), it.actor.as_deref(), it.subject.as_deref())).collect();
    let expected = [("imported", Some("paulo"), Some("catalog")), ("imported", Some("ada"), Some("wards"))];
    assert_eq!(told[..2], expected, "{told:?}");
    assert!(told.len() == 2 || !told[2..].contains(&expected[1]), "a dry run is no import: {told:?}");
    let detail = &entries[1].detail;
    assert_eq!(
        (&detail["created"], &detail["bad"], detail["file"]["sha256"].as_str().unwrap().len()),
        (&json!(1), &json!(1), 64)
    );
}

#[tokio::test]
async fn each_role_imports_what_it_may() {
    let app = TestApp::new().await;
    let everything = ["catalog", "medications", "par-levels", "pharmacies", "wards", "cabinets", "users"];
    for what in everything {
        for who in ["ana", "tito", "marta", "otto", "his", "paulo", "ada"] {
            let may = who == "ada" || (who == "paulo" && ["catalog", "medications", "par-levels"].contains(&what));
            let answer = import(&app, who, what, "x").await;
            assert_eq!(answer.status, if may { 422 } else { 403 }, "{who} {what}: {}", answer.json);
        }
        assert_eq!(import(&app, "", what, "x").await.status, 401);
    }
}

#[tokio::test]
async fn lines_of_progress_end_with_the_report_or_a_problem() {
    let app = TestApp::new().await;
    let lines = async |file: Vec<u8>| {
        let accept = [("accept", "application/x-ndjson, application/problem+json")];
        let mut request = app.request("paulo", "POST", "/v1/imports/catalog", &accept, &Value::Null);
        *request.body_mut() = file.into();
        let answer = app.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/x-ndjson"));
        let text = String::from_utf8(answer.bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    let done = lines(slice("fda-ndc-product-slice.txt")).await;
    assert_eq!(done[0], json!({ "progress": { "rows": 1_000 } }));
    assert_eq!(done.last().unwrap()["done"]["created"], 3_149);
    let failed = lines(b"nothing".to_vec()).await;
    assert_eq!((failed.len(), &failed[0]["failed"]["code"]), (1, &json!("format_not_recognised")));
    assert!(failed[0]["failed"]["request_id"].is_string());
}

#[tokio::test]
async fn the_slices_become_a_formulary_once() {
    let app = with_slices().await;
    let adopt = async |body: Value| app.call("paulo", "POST", "/v1/medications/adopt", &[], body).await;
    for bad in [json!({}), json!({ "query": "x", "all": true }), json!({ "query": " " })] {
        assert_eq!(adopt(bad).await.refusal(), (400, "invalid_parameter"));
    }
    let total = async || app.get("ana", "/v1/medications").await.expect(200)["total"].as_u64().unwrap();
    let (before, dry) = (total().await, adopt(json!({ "query": "midazolam", "dry_run": true })).await.expect(200));
    assert_eq!((total().await, &dry["dry_run"]), (before, &json!(true)));
    let made = adopt(json!({ "query": "midazolam" })).await.expect(200);
    assert_eq!(made["created"], dry["created"]);
    assert_eq!(total().await, before + made["created"].as_u64().unwrap());

    // A vial's code stands only inside its tray's description.
    let item = app.get("ana", "/v1/medications/0641-6056-01").await.expect(200);
    assert_eq!((&item["control_class"], &item["active"], &item["unit"]), (&json!("CIV"), &json!(true), &json!("vial")));
    let code = item["code"].as_str().unwrap();

    // What people say stays.
    let class = json!({ "control_class": "CII", "reason": "policy of the house" });
    app.call("paulo", "PUT", &format!("/v1/medications/{code}/class"), &[], class).await.expect(200);
    app.call("ada", "POST", &format!("/v1/medications/{code}/deactivate"), &[], Value::Null).await.expect(200);

    let all = adopt(json!({ "all": true })).await.expect(200);
    assert_eq!(all["unchanged"], made["created"]);
    assert!(all["unreviewed"].as_u64().unwrap() > 1_000 && all["medications"].as_array().unwrap().len() == 200);
    let again = adopt(json!({ "all": true })).await.expect(200);
    assert_eq!((&again["created"], &again["updated"]), (&json!(0), &json!(0)));
    assert_eq!(again["unchanged"].as_u64().unwrap(), total().await - before);
    let kept = app.get("ana", &format!("/v1/medications/{code}")).await.expect(200);
    assert_eq!((&kept["control_class"], &kept["active"]), (&json!("CII"), &json!(false)));
    let unreviewed = app.get("ana", "/v1/medications?unreviewed=true&active=true").await.expect(200);
    assert_eq!(unreviewed["total"], 0);
    let accents = app.get("ana", "/v1/medications?q=acido%20acetilsalicilico").await.expect(200);
    assert!(accents["total"].as_u64().unwrap() > 0);
    let products = app.get("ana", "/v1/catalog?q=%C3%A1cido%20acetilsalicilico&limit=1").await.expect(200);
    assert!(products["total"].as_u64().unwrap() > 1 && products["next"].is_string());
    let product = &products["items"][0];
    let path = format!("/v1/catalog/{}/{}", product["directory"].as_str().unwrap(), product["key"].as_str().unwrap());
    assert_eq!(&app.get("ana", &path).await.expect(200), product);
    assert_eq!(app.get("ana", "/v1/catalog?cursor=zz").await.refusal(), (400, "invalid_cursor"));
}

#[tokio::test]
async fn an_item_of_the_hospitals_own_is_not_made_twice() {
    let app = with_slices().await;
    let list = "code,name,unit,control_class,ndc\nMIDAZOLAM,Midazolam nosso,vial,CIV,0409-2308-01\n";
    import(&app, "paulo", "medications", list).await.expect(200);
    let report =
        app.call("paulo", "POST", "/v1/medications/adopt", &[], json!({ "query": "0409-2308" })).await.expect(200);
    assert_eq!((&report["created"], &report["updated"]), (&json!(0), &json!(1)), "{report}");
    let item = app.get("ana", "/v1/medications/MIDAZOLAM").await.expect(200);
    assert_eq!(item["name"], "Midazolam nosso");
    assert_eq!(item["products"].as_array().unwrap().len(), 24);
    // The list again takes no link away.
    assert_eq!(counts(&import(&app, "paulo", "medications", list).await.expect(200)), [1, 0, 0, 1, 0]);
}

#[tokio::test]
async fn adoption_and_lists_make_no_class_laxer_nor_doubt_what_the_hospital_said() {
    let app = with_slices().await;
    let wire = |path: &'static str| app.get("ana", path);
    let product = |found: &Value| {
        let free =
            found["items"].as_array().unwrap().iter().find(|it| it["control_class"].as_str() == Some("unreviewed"));
        let free = free.expect("the directory has a product in no list");
        (free["key"].as_str().unwrap().to_owned(), free["name"].as_str().unwrap().to_owned())
    };
    let (key, name) = product(&wire("/v1/catalog?q=dipirona&limit=50").await.expect(200));
    let list = format!("code,name,unit,control_class,products\nOURS,Dipirona nossa,vial,none,anvisa:{key}\n");
    import(&app, "paulo", "medications", list).await.expect(200);
    let adopted = app.call("paulo", "POST", "/v1/medications/adopt", &[], json!({ "query": name })).await.expect(200);
    assert!(adopted["updated"].as_u64().unwrap() > 0, "{adopted}");
    let item = wire("/v1/medications/OURS").await.expect(200);
    assert_eq!((&item["control_class"], &item["active"]), (&Value::Null, &json!(true)), "{item}");

    let with = |class: &str| format!("code,name,unit,control_class\nMID,Midazolam,vial,{class}\n");
    import(&app, "paulo", "medications", with("B1")).await.expect(200);
    let laxer = import(&app, "paulo", "medications", with("none")).await.expect(422);
    assert_eq!((&laxer["code"], &laxer["bad"]), (&json!("no_good_rows"), &json!(1)));
    assert!(laxer["bad_rows"][0]["reason"].as_str().unwrap().contains("medication set-class"), "{laxer}");
    assert_eq!(wire("/v1/medications/MID").await.expect(200)["control_class"], "B1");
    // An empty cell says nothing; a stricter class is taken.
    assert_eq!(counts(&import(&app, "paulo", "medications", with("")).await.expect(200)), [1, 0, 0, 1, 0]);
    assert_eq!(counts(&import(&app, "paulo", "medications", with("A1")).await.expect(200)), [1, 0, 1, 0, 0]);
}

#[tokio::test]
async fn a_list_that_would_hold_up_the_tickets_is_refused_whole() {
    let app = TestApp::new().await;
    let mut list = String::from("code,name,ward\n");
    (0..20_001).for_each(|row| list.push_str(&format!("C-{row},Cabinet {row},UTI\n")));
    let refused = import(&app, "ada", "cabinets", list).await;
    assert_eq!(refused.refusal(), (422, "too_many_rows"));
    assert!(refused.json["detail"].as_str().unwrap().contains("20000"), "{}", refused.json);
    assert_eq!(app.get("ada", "/v1/cabinets/C-0").await.refusal(), (404, "cabinet_not_found"));
}
