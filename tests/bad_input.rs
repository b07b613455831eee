//! Whatever comes in over HTTP: a clear problem with a stable code, and nothing half done.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};

use crate::common::{Hospital, Site, wish};

/// A create that would be good, with one member changed.
fn create_with(member: &str, value: Value) -> Value {
    let mut body = wish("PED", "DIPI-500", "2");
    body[member] = value;
    body
}

fn line_with(member: &str, value: Value) -> Value {
    let mut body = wish("PED", "DIPI-500", "2");
    body["lines"][0][member] = value;
    body
}

#[test]
fn bodies_of_the_wrong_shape_are_refused_whole() {
    // A hospital of its own: here the whole list is compared.
    let site = Site::stocked();
    let server = &site.server;
    let (nurse, auditor) = (site.token("bia"), site.token("iara"));
    let post = |text: &[u8]| {
        server.call(&nurse, "POST", "/v1/tickets").new_key().body("application/json", text.to_vec()).send()
    };
    for text in [
        &b""[..],
        b"{",
        b"{\"kind\":\"supply\",}",
        b"nonsense",
        b"\x00\x01\x02",
        b"{\"kind\":\"supply\"} and more",
        b"{\"note\":\"\xff\xfe\"}",
        b"{\"note\":\"\\ud800\"}",
        b"{\"note\":\"a\x00b\"}",
    ] {
        let refused = post(text);
        let code = if refused.json["code"] == "invalid_body" { "invalid_body" } else { "invalid_json" };
        refused.problem(400, code);
    }
    let deep = format!("{{\"note\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let refused = post(deep.as_bytes());
    assert!(matches!(refused.status, 400), "{}", refused.status);
    let code = refused.json["code"].as_str().unwrap().to_owned();
    refused.problem(400, &code);

    for body in [
        json!(null),
        json!([]),
        json!("supply"),
        json!(7),
        create_with("kind", json!(5)),
        create_with("kind", json!("teleport")),
        create_with("kind", json!({"supply": 1})),
        create_with("ward", json!(["PED"])),
        create_with("ward", json!("")),
        create_with("ward", json!("P E D")),
        create_with("ward", json!("PED/../UTI")),
        create_with("ward", json!("Ｐ\u{202e}ED")),
        create_with("priority", json!("soon")),
        create_with("lines", json!("DIPI-500")),
        create_with("lines", json!({"medication": "DIPI-500"})),
        create_with("lines", json!([null])),
        create_with("note", json!(12)),
        create_with("note", json!("a\u{0}b")),
        create_with("note", json!("bell \u{7}")),
        create_with("note", json!("x".repeat(100_000))),
        create_with("nota", json!("misspelt")),
        create_with("requester", json!("somebody else")),
        create_with("override", json!("because")),
        create_with("confirm", json!("unusual_quantity")),
        create_with("confirm", json!(["everything"])),
        create_with("identifiers", json!([{"system": "his"}])),
        line_with("medication", json!(500)),
        line_with("medication", json!("")),
        line_with("medication", json!("DIPI\u{0}500")),
        line_with("quantity", json!("")),
        line_with("quantity", json!("-1")),
        line_with("quantity", json!("1e3")),
        line_with("quantity", json!("1,5")),
        line_with("quantity", json!("NaN")),
        line_with("quantity", json!("٣")),
        line_with("quantity", json!("9".repeat(400))),
        line_with("quantity", json!("0.00000000000000000000000000001")),
        line_with("quantity", json!(true)),
        line_with("unit", json!(3)),
        line_with("lot", json!("L42")),
    ] {
        let text = body.to_string();
        let refused = post(text.as_bytes());
        let shown = text.chars().take(120).collect::<String>();
        assert!(matches!(refused.status, 400 | 422), "{shown}: {} {}", refused.status, refused.json);
        let (status, code) = (refused.status, refused.json["code"].as_str().unwrap().to_owned());
        refused.problem(status, &code);
    }
    let mut many = wish("PED", "DIPI-500", "2");
    many["lines"] = (0..5_000).map(|_| json!({"medication": "DIPI-500", "quantity": "1"})).collect();
    let refused = post(many.to_string().as_bytes());
    assert!(matches!(refused.status, 400 | 422), "{}", refused.status);

    let huge = create_with("note", json!("x".repeat(3 * 1024 * 1024)));
    post(huge.to_string().as_bytes()).problem(413, "body_too_large");

    let empty = server.get(&auditor, "/v1/tickets");
    assert_eq!((&empty["items"], &empty["total"]), (&json!([]), &json!(0)), "something was half done");

    // What is only unusual goes through as it was written.
    let note = "Ação de João — 李雷 🩺 e\u{301}\nsegunda linha\t\"aspas\" <b>";
    let taken = server.create(&nurse, &create_with("note", json!(note))).expect(201);
    assert_eq!(taken["note"], note.replace("e\u{301}", "é"));
    let read = server.get(&auditor, &format!("/v1/tickets/{}", taken["id"].as_str().unwrap()));
    assert_eq!(read, taken);
}

#[test]
fn headers_that_a_write_needs_are_asked_for() {
    let hospital = Hospital::shared();
    let (server, ana, davi) = (hospital.server(), &hospital.ana, &hospital.davi);
    let body = wish("UTI", "HEPA-5000", "1");
    server.call(ana, "POST", "/v1/tickets").json(&body).send().problem(400, "idempotency_key_required");
    for bad in ["", " ", &"k".repeat(1_000)] {
        let refused = server.call(ana, "POST", "/v1/tickets").key(bad).json(&body).send();
        assert_eq!(refused.status, 400, "{bad:?}: {}", refused.json);
    }
    let ticket = server.call(ana, "POST", "/v1/tickets").key("headers-1").json(&body).send().expect(201);
    let other = wish("UTI", "HEPA-5000", "2");
    server.call(ana, "POST", "/v1/tickets").key("headers-1").json(&other).send().problem(422, "idempotency_key_reused");
    // A key belongs to who sent it.
    server.call(davi, "POST", "/v1/tickets").key("headers-1").json(&other).send().expect(201);

    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let claim = format!("{path}/claim");
    server.call(davi, "POST", &claim).new_key().json(&json!({})).send().problem(428, "precondition_required");
    server.call(davi, "POST", &claim).version(1).json(&json!({})).send().problem(400, "idempotency_key_required");
    server.call(ana, "PATCH", &path).new_key().json(&json!({"note": "x"})).send().problem(428, "precondition_required");
    let cancel = format!("{path}?reason=found");
    server.call(ana, "DELETE", &cancel).version(1).send().problem(400, "idempotency_key_required");
    for bad in ["1", "\"one\"", "W/\"1\"", "\"1\", \"2\"", "\"-1\"", "\"99999999999999999999\""] {
        let refused = server.call(davi, "POST", &claim).header("if-match", bad).new_key().json(&json!({})).send();
        assert!(matches!(refused.status, 400 | 412), "{bad}: {} {}", refused.status, refused.json);
    }
    for media in ["text/plain", "application/x-www-form-urlencoded", "application/xml"] {
        let refused = server.call(ana, "POST", "/v1/tickets").new_key().body(media, body.to_string()).send();
        refused.problem(415, "unsupported_media_type");
    }
    assert_eq!(server.get(ana, &path), ticket, "nothing of this changed it");
}

/// Sends a request as it stands and reads the whole answer.
fn raw(url: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(crate::common::DEADLINE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn headers_and_addresses_too_large_are_told_so() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    let end = "host: x\r\nconnection: close\r\n";
    let long = "x".repeat(60_000);
    let many: String = (0..300).map(|index| format!("x-{index}: y\r\n")).collect();
    for (request, status, code) in [
        (format!("GET /healthz HTTP/1.1\r\n{end}cookie: {long}\r\n\r\n"), "431", "headers_too_large"),
        (format!("GET /healthz HTTP/1.1\r\n{end}{many}\r\n"), "431", "headers_too_large"),
        (format!("GET /healthz?{long} HTTP/1.1\r\n{end}\r\n"), "414", "uri_too_long"),
        (format!("GET /healthz HTTP/1.1\r\n{end}cookie: {}\r\n\r\n", "x".repeat(30_000)), "200", "ok"),
    ] {
        let answer = raw(&server.url, &request);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
        let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {head}"));
        if status == "200" {
            assert_eq!(body["status"], code);
            continue;
        }
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert_eq!((&body["code"], body["request_id"].is_string()), (&json!(code), true), "{body}");
    }
}

#[test]
fn a_stale_change_is_told_what_happened_since() {
    let hospital = Hospital::shared();
    let (server, ana, davi) = (hospital.server(), &hospital.ana, &hospital.davi);
    let ticket = server.create(ana, &wish("UTI", "HEPA-5000", "3")).expect(201);
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
    let amend = json!({"priority": "urgent"});
    server.call(ana, "PATCH", &path).version(1).new_key().json(&amend).send().expect(200);
    let stale = server.command(davi, &ticket, "claim", &json!({})).problem(412, "stale_version");
    assert_eq!(stale["current_version"], 2, "{stale}");
    let change = &stale["changes"][0];
    assert_eq!((&change["event"], &change["version"]), (&json!("amended"), &json!(2)), "{stale}");
    assert_eq!(change["actor"]["username"], "ana");
    let now = server.get(ana, &path);
    assert_eq!((&now["version"], &now["status"], &now["priority"]), (&json!(2), &json!("open"), &json!("urgent")));
}

#[test]
fn who_may_not_is_refused_and_learns_nothing() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    let ticket = server.create(&hospital.ana, &wish("UTI", "HEPA-5000", "4")).expect(201);
    let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());

    // Another ward's nurse: as if it did not exist, by every door.
    let unknown = "/v1/tickets/0191e4a2-0000-8000-8000-000000000000";
    for path in [path.as_str(), unknown] {
        server.call(&hospital.bia, "GET", path).send().problem(404, "ticket_not_found");
        server.call(&hospital.bia, "GET", &format!("{path}/history")).send().problem(404, "ticket_not_found");
        let comment = format!("{path}/comment");
        let comment = server.call(&hospital.bia, "POST", &comment).new_key().json(&json!({"text": "?"}));
        comment.send().problem(404, "ticket_not_found");
        let amend = server.call(&hospital.bia, "PATCH", path).version(1).new_key().json(&json!({"note": "x"}));
        amend.send().problem(404, "ticket_not_found");
        let cancel = server.call(&hospital.bia, "DELETE", &format!("{path}?reason=found")).version(1).new_key();
        cancel.send().problem(404, "ticket_not_found");
    }
    assert_eq!(server.get(&hospital.bia, "/v1/tickets?ward=UTI")["items"], json!([]));
    let foreign = server.create(&hospital.bia, &wish("UTI", "HEPA-5000", "4"));
    assert!(matches!(foreign.status, 403 | 404), "{} {}", foreign.status, foreign.json);

    // Another role: known, and refused.
    for (who, command, body, code) in [
        (&hospital.ana, "claim", json!({}), "role_not_allowed"),
        (&hospital.ana, "reject", json!({"reason": "duplicate"}), "role_not_allowed"),
        (&hospital.iara, "claim", json!({}), "insufficient_scope"),
        (&hospital.admin, "claim", json!({}), "insufficient_scope"),
    ] {
        let refused = server.command(who, &ticket, command, &body);
        // Which of the two gates says so is not the point here; that one does, is.
        assert_eq!(refused.status, 403, "{command}: {}", refused.json);
        let got = refused.json["code"].as_str().unwrap().to_owned();
        assert!(got == code || got == "role_not_allowed", "{got}");
        refused.problem(403, &got);
    }
    server.call(&hospital.ana, "GET", "/auth/v1/users").send().problem(403, "insufficient_scope");
    let import = server.call(&hospital.ana, "POST", "/v1/imports/wards").body("text/csv", "code,name,pharmacy\n");
    import.send().problem(403, "insufficient_scope");
    let delegated = server.call(&hospital.ana, "GET", &path).header("x-on-behalf-of", "davi").send();
    delegated.problem(403, "delegation_not_allowed");
    assert_eq!(server.get(&hospital.ana, &path), ticket);
}

#[test]
fn addresses_methods_and_queries_that_do_not_exist() {
    let hospital = Hospital::shared();
    let (server, davi) = (hospital.server(), &hospital.davi);
    for path in ["/v1/nothing", "/v2/tickets", "/v1/tickets/x/y/z", "/%00", "/v1/../etc/passwd"] {
        let refused = server.call(davi, "GET", path).send();
        assert!(matches!(refused.status, 400 | 404), "{path}: {}", refused.status);
        assert_eq!(refused.header("content-type"), "application/problem+json", "{path}");
    }
    server.call(davi, "GET", "/v1/nothing").send().problem(404, "resource_not_found");
    for (method, path) in
        [("PUT", "/v1/tickets"), ("DELETE", "/v1/wards"), ("POST", "/healthz"), ("TRACE", "/v1/tickets")]
    {
        let refused = server.call(davi, method, path).send();
        assert!(!refused.header("allow").is_empty(), "{method} {path} has no Allow");
        refused.problem(405, "method_not_allowed");
    }
    for id in ["not-a-uuid", "0191e4a2", "%00", "'%20OR%201=1", &"9".repeat(4_000)] {
        let refused = server.call(davi, "GET", &format!("/v1/tickets/{id}")).send();
        assert!(matches!(refused.status, 400 | 404), "{id}: {}", refused.status);
        let (status, code) = (refused.status, refused.json["code"].as_str().unwrap().to_owned());
        refused.problem(status, &code);
    }
    for query in [
        "status=lost",
        "kind=teleport",
        "priority=soon",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=ten",
        "overdue=maybe",
        "from=yesterday",
        "to=2026-13-45T00:00:00Z",
        "sort=mood",
        "statsu=open",
        "ward=A%20B",
        "cursor=%00",
        "cursor=zzz",
        "cursor=eyJhIjoxfQ",
        "status=open&status=claimed&status=lost",
    ] {
        let refused = server.call(davi, "GET", &format!("/v1/tickets?{query}")).send();
        assert_eq!(refused.status, 400, "{query}: {} {}", refused.status, refused.json);
        let code = refused.json["code"].as_str().unwrap().to_owned();
        refused.problem(400, &code);
    }
    for path in ["/v1/medications", "/v1/catalog", "/v1/wards", "/v1/cabinets", "/v1/pharmacies"] {
        server.call(davi, "GET", &format!("{path}?cursor=%00%2F%20zzz")).send().problem(400, "invalid_cursor");
        server.call(davi, "GET", &format!("{path}?limit=1000000")).send().problem(400, "invalid_parameter");
    }
    for path in ["/auth/v1/users", "/auth/v1/audit"] {
        let refused = server.call(&hospital.admin, "GET", &format!("{path}?cursor=%00%2F%20zzz")).send();
        refused.problem(400, "invalid_cursor");
    }
    for (path, code) in [
        ("/v1/medications/NOPE-1", "medication_not_found"),
        ("/v1/wards/NOPE", "ward_not_found"),
        ("/v1/cabinets/NOPE", "cabinet_not_found"),
        ("/v1/pharmacies/NOPE", "pharmacy_not_found"),
    ] {
        server.call(davi, "GET", path).send().problem(404, code);
    }
}

#[test]
fn codes_that_name_nothing_are_told_apart() {
    let hospital = Hospital::shared();
    let (server, ana) = (hospital.server(), &hospital.ana);
    let before = server.get(&hospital.iara, "/v1/tickets?ward=UTI&kind=refill")["total"].clone();
    let refill = |cabinet: &str, medication: &str| json!({"kind": "refill", "cabinet": cabinet, "lines": [{"medication": medication, "quantity": "1"}]});
    server.create(ana, &wish("NOPE", "DIPI-500", "1")).problem(422, "unknown_ward");
    server.create(ana, &refill("NOPE-01", "DIPI-500")).problem(422, "unknown_cabinet");
    server.create(ana, &refill("UTI-01", "NOPE-500")).problem(422, "unknown_medication");
    server.create(ana, &refill("UTI-02", "DIPI-500")).problem(422, "no_par_level");
    let mut both = refill("PED-01", "DIPI-500");
    both["ward"] = json!("UTI");
    let mismatch = server.create(ana, &both);
    assert!(matches!(mismatch.json["code"].as_str(), Some("destination_mismatch")), "{}", mismatch.json);
    assert_eq!(server.get(&hospital.iara, "/v1/tickets?ward=UTI&kind=refill")["total"], before);
}
