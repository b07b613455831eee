//! Cases from public bug reports of other systems, end to end: each a kind of fault that has hurt somebody. The report stands with each.

use std::{collections::BTreeSet, io::Write, net::TcpStream};

use jiff::{Timestamp, tz::TimeZone};
use serde_json::{Value, json};

use crate::common::{Answer, Hospital, at_once, medreq, plain, wish};

/// D1 (zammad #5628): the client gives up before the answer and cannot tell whether the ticket exists.
#[test]
fn d1_a_create_whose_answer_was_lost_is_retried_into_one_ticket() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.medication("D1");
    let body = plain("D1", "3").to_string();
    let address = server.url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).unwrap();
    write!(
        connection,
        "POST /v1/tickets HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\nidempotency-key: d1\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        hospital.ana,
        body.len()
    )
    .unwrap();
    drop(connection);
    let retry = || server.call(&hospital.ana, "POST", "/v1/tickets").key("d1").json(&plain("D1", "3")).send();
    let first = retry().expect(201);
    let again = retry();
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(again.header("location"), format!("/v1/tickets/{}", first["id"].as_str().unwrap()));
    assert_eq!(again.expect(201), first);
    assert_eq!(hospital.tickets_of("D1"), 1);
    // The first answer stays the first answer, whatever happened to the ticket since.
    server.command(&hospital.davi, &first, "claim", &json!({})).expect(200);
    assert_eq!(retry().expect(201), first);
}

/// D2 (glpi #19726): submit clicked five times quickly. P15 (mastodon #37879): the second comes before the first has ended.
#[test]
fn d2_p15_five_clicks_are_one_ticket() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.medication("D2");
    let click = |_| server.call(&hospital.ana, "POST", "/v1/tickets").key("d2").json(&plain("D2", "3")).send();
    let answers: Vec<Value> = at_once(5, click).into_iter().map(|answer| answer.expect(201)).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "two answers for one key");
    assert_eq!(hospital.tickets_of("D2"), 1);

    // Without a common key the open request is reported to all but one.
    hospital.medication("D2-B");
    let answers: Vec<Answer> = at_once(5, |_| server.create(&hospital.ana, &plain("D2-B", "3")));
    let (made, met): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(made.len(), 1);
    for refused in met {
        assert_eq!(refused.problem(409, "duplicate_open_request")["ticket"]["id"], made[0].json["id"]);
    }
    assert_eq!(hospital.tickets_of("D2-B"), 1);
}

/// D3 (odoo #27456): the same delivery confirmed from two tabs.
#[test]
fn d3_a_delivery_is_confirmed_once() {
    let hospital = Hospital::shared();
    hospital.medication("D3");
    let sent = hospital.worked("D3", "dispatched");
    let receipt = json!({"lines": [{"line": 1, "received": "4"}]});
    let tabs = at_once(2, |_| hospital.server().command(&hospital.ana, &sent, "receive", &receipt));
    let (done, refused): (Vec<_>, Vec<_>) = tabs.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((done.len(), refused.len()), (1, 1));
    for refused in refused {
        let stale = refused.problem(412, "stale_version");
        assert_eq!(stale["changes"][0]["event"], "received");
    }
    let now = hospital.read(&sent);
    assert_eq!((&now["status"], &now["lines"][0]["received"]), (&json!("delivered"), &json!("4")));
}

/// D4 (glpi #3578): a comment begun earlier and saved later must not bring back an old status.
#[test]
fn d4_a_late_comment_leaves_the_newer_status() {
    let hospital = Hospital::shared();
    hospital.medication("D4");
    let old = hospital.server().create(&hospital.ana, &plain("D4", "4")).expect(201);
    let claimed = hospital.server().command(&hospital.davi, &old, "claim", &json!({})).expect(200);
    let path = format!("/v1/tickets/{}/comment", old["id"].as_str().unwrap());
    let comment = json!({"text": "deixar na sala 2"});
    let after = hospital.server().call(&hospital.ana, "POST", &path).new_key().json(&comment).send().expect(200);
    assert_eq!((&after["status"], &after["version"]), (&json!("claimed"), &claimed["version"]));
    assert_eq!(hospital.read(&old)["assignee"]["username"], "davi");
}

/// D5 (odoo #62139): picking in parallel; totals reconcile whoever comes first.
#[test]
fn d5_parallel_picks_never_break_the_totals() {
    let hospital = Hospital::shared();
    hospital.medication("D5");
    let claimed = hospital.worked("D5", "claimed");
    let picks = at_once(6, |index| {
        let short = json!({
            "lines": [{"line": 1, "supplied": index.to_string(), "lot": "L1", "expiry": "2099-01-31", "reason": "out_of_stock"}],
        });
        hospital.server().command(&hospital.davi, &claimed, "pick", &short).status
    });
    assert!(picks.iter().all(|status| matches!(status, 200 | 412 | 422)), "{picks:?}");
    assert_eq!(picks.iter().filter(|status| **status == 200).count(), 1, "{picks:?}");
    let line = hospital.read(&claimed)["lines"][0].clone();
    let of = |name: &str| line[name].as_str().unwrap().parse::<u32>().unwrap();
    assert_eq!(of("quantity"), of("supplied") + of("outstanding") + of("declined"), "{line}");
}

/// D6 (erpnext #37164): 0.150 kg became 150 kg: units are converted once, exactly, where they come in.
#[test]
fn d6_pack_units_are_converted_exactly() {
    let hospital = Hospital::shared();
    for (code, quantity, unit, expected) in [
        ("D6-A", "0.150", "kg", "150"),
        ("D6-B", "2", "caixa", "24"),
        ("D6-C", "0.5", "caixa", "6"),
        ("D6-D", "0.001", "kg", "1"),
        ("D6-E", "7", "g", "7"),
    ] {
        hospital.medication(code);
        let mut body = plain(code, quantity);
        body["lines"][0]["unit"] = json!(unit);
        let ticket = hospital.server().create(&hospital.ana, &body).expect(201);
        let line = &ticket["lines"][0];
        assert_eq!((&line["quantity"], &line["unit"]), (&json!(expected), &json!("g")), "{quantity} {unit}");
        assert_eq!(line["outstanding"], expected);
    }
    hospital.medication("D6-F");
    for unit in ["mg", "box", "KGS", "1000"] {
        let mut body = plain("D6-F", "1");
        body["lines"][0]["unit"] = json!(unit);
        let refused = hospital.server().create(&hospital.ana, &body).problem(422, "unknown_unit");
        assert_eq!(refused["field"], "lines[0].unit");
    }
}

/// D7 (open-msupply #6459): a request with no lines, or whose lines are all zero.
#[test]
fn d7_a_request_for_nothing_is_refused() {
    let hospital = Hospital::shared();
    hospital.medication("D7");
    let mut none = plain("D7", "1");
    none["lines"] = json!([]);
    hospital.server().create(&hospital.ana, &none).problem(422, "lines_required");
    none.as_object_mut().unwrap().remove("lines");
    hospital.server().create(&hospital.ana, &none).problem(422, "lines_required");
    for zero in ["0", "0.000"] {
        let refused = hospital.server().create(&hospital.ana, &plain("D7", zero));
        assert_eq!(refused.json["field"], "lines[0].quantity", "{}", refused.json);
        refused.problem(422, "invalid_quantity");
    }
    assert_eq!(hospital.tickets_of("D7"), 0);
}

/// D8 (open-msupply #9349): an import takes what the form refuses.
#[test]
fn d8_an_import_takes_what_the_api_takes_and_nothing_else() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.medication("D8");
    for factor in ["0", "-5", "1e3", "NaN"] {
        let list = format!("code,name,unit,control_class,packs\nD8,Água,g,none,caixa={factor}\nD8-GOOD,Água,g,none,\n");
        let report = server.import(&hospital.admin, "medications", &list);
        assert_eq!((&report["bad"], &report["bad_rows"][0]["line"]), (&json!(1), &json!(2)), "{report}");
        let mut item = server.get(&hospital.admin, "/v1/medications/D8");
        item["packs"] = json!([{"unit": "caixa", "factor": factor}]);
        let put = server.call(&hospital.admin, "PUT", "/v1/medications/D8").json(&json!({
            "name": item["name"], "unit": item["unit"], "packs": item["packs"],
        }));
        let refused = put.send();
        assert!(matches!(refused.status, 400 | 422), "{factor}: {} {}", refused.status, refused.json);
    }
    for (min, max) in [("-1", "10"), ("5", "0"), ("10", "5"), ("", "5"), ("x", "5")] {
        let list = format!("cabinet,medication,min,max\nUTI-02,D8,{min},{max}\nUTI-02,HEPA-5000,1,9\n");
        let report = server.import(&hospital.admin, "par-levels", &list);
        assert_eq!((&report["bad"], &report["bad_rows"][0]["line"]), (&json!(1), &json!(2)), "{min} {max}: {report}");
    }
    assert_eq!(server.get(&hospital.admin, "/v1/medications/D8")["packs"][1]["factor"], "12");
}

/// D9 (open-msupply #5516), D11 (#9813), D12 (glpi #1919): what the life cycle forbids no entrance allows.
#[test]
fn d9_d11_d12_no_entrance_allows_what_the_life_cycle_forbids() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.medication("D12");
    let bodies = [
        ("claim", json!({})),
        ("unpick", json!({})),
        ("ready", json!({})),
        ("dispatch", json!({"method": "runner"})),
        ("return", json!({"reason": "refused"})),
        ("receive", json!({"lines": [{"line": 1, "received": "4"}]})),
        ("resolve", json!({})),
        ("resume", json!({})),
        ("release", json!({})),
        ("reject", json!({"reason": "duplicate"})),
    ];
    let refused_in = |ticket: &Value, commands: &[&str]| {
        for (command, body) in bodies.iter().filter(|(command, _)| commands.contains(command)) {
            let answer = server.command(&hospital.davi, ticket, command, body);
            let code = answer.json["code"].as_str().unwrap_or_default().to_owned();
            assert!(
                matches!(code.as_str(), "invalid_transition" | "already_claimed" | "role_not_allowed"),
                "{command}: {}",
                answer.json
            );
            if code == "invalid_transition" {
                assert_eq!(answer.problem(409, &code)["ticket_status"], ticket["status"]);
            }
            // The command line is told the same.
            let id = ticket["id"].as_str().unwrap();
            let by_cli: Option<&[&str]> = match *command {
                "ready" => Some(&[]),
                "dispatch" => Some(&["--method", "runner"]),
                "resume" => Some(&[]),
                _ => None,
            };
            if let Some(more) = by_cli {
                let args = [&["ticket", command, id], more].concat();
                assert_eq!(server.refused(&hospital.davi, &args)["code"], code, "{command}");
            }
        }
        assert_eq!(&hospital.read(ticket), ticket, "a refused command changed something");
    };
    let amended = |ticket: &Value, who: &str| {
        let path = format!("/v1/tickets/{}", ticket["id"].as_str().unwrap());
        let version = ticket["version"].as_u64().unwrap();
        let body = json!({"lines": [], "priority": "stat"});
        server.call(who, "PATCH", &path).version(version).new_key().json(&body).send()
    };
    let open = server.create(&hospital.ana, &plain("D12", "4")).expect(201);
    refused_in(&open, &["unpick", "ready", "dispatch", "return", "receive", "resolve", "resume", "release"]);

    let resume_by = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2)).to_string();
    let held = server
        .command(&hospital.davi, &open, "hold", &json!({"reason": "awaiting_ward", "resume_by": resume_by}))
        .expect(200);
    assert_eq!((&held["status"], &held["due_at"]), (&json!("on_hold"), &Value::Null));
    refused_in(&held, &["claim", "ready", "dispatch", "receive", "release", "reject"]);
    amended(&held, &hospital.ana).problem(409, "invalid_transition");
    let open = server.command(&hospital.davi, &held, "resume", &json!({})).expect(200);
    assert_eq!(open["status"], "open");

    let claimed = server.command(&hospital.davi, &open, "claim", &json!({})).expect(200);
    refused_in(&claimed, &["ready", "dispatch", "return", "receive", "resume"]);
    let pick = json!({"lines": [{"line": 1, "supplied": "4", "lot": "L1", "expiry": "2099-01-31"}]});
    let picked = server.command(&hospital.davi, &claimed, "pick", &pick).expect(200);
    // D9: a line that holds picked stock cannot be taken away.
    amended(&picked, &hospital.ana).problem(409, "invalid_transition");
    refused_in(&picked, &["dispatch", "return", "receive", "release", "reject"]);
    let cancel =
        server.call(&hospital.ana, "DELETE", &format!("/v1/tickets/{}?reason=found", picked["id"].as_str().unwrap()));
    let cancelled = cancel.version(picked["version"].as_u64().unwrap()).new_key().send();
    cancelled.problem(409, "invalid_transition");
    assert_eq!(hospital.read(&picked), picked);
}

/// D10 (erpnext #43329): a second request for the same need passes silently.
#[test]
fn d10_a_second_request_is_reported_and_passes_with_a_reason() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.medication("D10");
    let first = server.create(&hospital.ana, &plain("D10", "1")).expect(201);
    // Another nurse of the ward, another quantity, a pack unit: the same need all the same.
    let mut second = plain("D10", "1");
    second["lines"][0]["unit"] = json!("caixa");
    let met = server.create(&hospital.carla, &second).problem(409, "duplicate_open_request");
    assert_eq!((&met["ticket"]["id"], &met["ticket"]["number"]), (&first["id"], &first["number"]));
    second["override"] = json!("because");
    assert_eq!(server.create(&hospital.carla, &second).status, 400);
    second["override"] = json!("other_patient");
    let passed = server.create(&hospital.carla, &second).expect(201);
    let path = format!("/v1/tickets/{}/history", passed["id"].as_str().unwrap());
    let history = server.get(&hospital.iara, &path);
    assert!(history["items"][0]["data"].to_string().contains("other_patient"), "the reason is kept: {history}");
    // What has ended stands in nobody's way.
    for ticket in [&first, &passed] {
        let path = format!("/v1/tickets/{}?reason=found", ticket["id"].as_str().unwrap());
        server.call(&hospital.ana, "DELETE", &path).version(1).new_key().send().expect(200);
    }
    server.create(&hospital.ana, &plain("D10", "1")).expect(201);
}

/// D13 (open-msupply #6056): created on 15 January at the hospital, printed as the 14th where the reader's machine stands elsewhere.
#[test]
fn d13_times_are_those_of_the_hospital_wherever_they_are_read() {
    // Their calendars never show the same day.
    let (site, machine) = ("Pacific/Kiritimati", "Etc/GMT+12");
    let hospital = Hospital::new();
    let server = hospital.server();
    let run = |token: &str, args: &[&str]| {
        let output = server.medreq(token).args(args).env("TZ", machine).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = run(&hospital.admin, &["site", "set", "--name", "Santa Aurora", "--time-zone", site]);
    assert!(shown.contains(site), "{shown}");
    let at_site = |instant: &Value| {
        let instant: Timestamp = instant.as_str().unwrap().parse().unwrap();
        instant.to_zoned_datetime(TimeZone::get(site).unwrap()).strftime("%Y-%m-%d %H:%M +14").to_string()
    };

    let ticket = server.create(&hospital.ana, &plain("DIPI-500", "4")).expect(201);
    let number = ticket["number"].as_str().unwrap();
    let hold = ["ticket", "hold", number, "--reason", "other", "--note", "x", "--resume-by", "2099-01-15 10:07"];
    run(&hospital.davi, &hold);
    let held = hospital.read(&ticket);
    assert_eq!(held["hold"]["resume_by"], "2099-01-14T20:07:00.000Z");
    let audit = server.json(&hospital.admin, &["audit", "list", "--limit", "1"]);
    for (token, args, times) in [
        (
            &hospital.ana,
            &["ticket", "show", number][..],
            &[at_site(&held["created_at"]), "2099-01-15 10:07 +14".into()],
        ),
        (&hospital.ana, &["ticket", "history", number], &[at_site(&held["created_at"]), at_site(&held["updated_at"])]),
        (&hospital.admin, &["audit", "list", "--limit", "1"], &[at_site(&audit["items"][0]["at"]), String::new()]),
    ] {
        let text = run(token, args);
        assert!(times.iter().all(|time| text.contains(time)), "{args:?} shows not {times:?}:\n{text}");
        assert!(!text.contains(" -12"), "{args:?} shows this machine's time:\n{text}");
    }
    // What programs read stays UTC.
    let json = run(&hospital.ana, &["ticket", "show", number, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["created_at"], ticket["created_at"]);
    // The hospital's day began before this machine's: midnight there is before the ticket, the next one after it.
    let day = &at_site(&held["created_at"])[..10];
    let found = run(&hospital.ana, &["ticket", "list", "--from", &format!("{day} 00:00"), "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["total"], 1);

    // Whom the server does not tell it sees this machine's zone, named too.
    let add = ["client", "add", "reader", "--service", "--name", "Reader", "--scope", "tickets:read"];
    let added = server.json(&hospital.admin, &add);
    let secret = added["client_secret"].as_str().unwrap();
    let grant = format!("grant_type=client_credentials&client_id=reader&client_secret={secret}");
    let granted = server.call("", "POST", "/oauth2/token").body("application/x-www-form-urlencoded", grant).send();
    let token = granted.expect(200)["access_token"].as_str().unwrap().to_owned();
    assert!(run(&token, &["whoami"]).contains(" -12"));
}

/// D15 (zammad #803): 12 of 500 open tickets. P14 (grappa-irc #524): a busy database reaches a user.
#[test]
fn d15_p14_five_hundred_tickets_made_at_once_are_all_found() {
    const THREADS: usize = 16;
    const EACH: usize = 33;
    let hospital = Hospital::new();
    let server = hospital.server();
    let backups = hospital.site.home.path().join("backups");
    let made: BTreeSet<String> = std::thread::scope(|scope| {
        // Others write and read the same file meanwhile.
        let beside = scope.spawn(|| {
            for _ in 0..3 {
                server.token("davi");
                medreq()
                    .args(["backup", "create", "--data-dir"])
                    .arg(&server.dir)
                    .arg("--to")
                    .arg(&backups)
                    .assert()
                    .success();
            }
        });
        let made = at_once(THREADS, |thread| {
            let create = |index: usize| {
                let ward = ["UTI", "PED"][index % 2];
                let answer = server.create(&hospital.carla, &wish(ward, "DIPI-500", "1"));
                if index.is_multiple_of(8) {
                    assert_eq!(
                        server.call(&hospital.davi, "GET", "/v1/tickets?limit=5").send().status,
                        200,
                        "{thread}"
                    );
                }
                answer.expect(201)["id"].as_str().unwrap().to_owned()
            };
            (0..EACH).map(create).collect::<Vec<_>>()
        });
        beside.join().unwrap();
        made.into_iter().flatten().collect()
    });
    assert_eq!(made.len(), THREADS * EACH);

    for sort in ["due_at", "created_at", "-created_at", "-updated_at"] {
        for limit in [7, 200] {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page =
                    server.get(&hospital.davi, &format!("/v1/tickets?status=open&sort={sort}&limit={limit}{cursor}"));
                assert_eq!(page["total"], made.len());
                found.extend(page["items"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()));
                match page["next"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(found.len(), made.len(), "{sort}, {limit} a page: one twice or one not at all");
            assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), made);
        }
    }
    let of_ward = server.get(&hospital.davi, "/v1/tickets?ward=UTI&q=dipirona&limit=1");
    assert!(
        of_ward["total"].is_null() || of_ward["total"] == made.len() as u64 / 2 + THREADS as u64 / 2,
        "{}",
        of_ward["total"]
    );
    let listed = server.json(&hospital.davi, &["ticket", "list", "--status", "open", "--limit", "200"]);
    let numbers: BTreeSet<&str> =
        listed["items"].as_array().unwrap().iter().map(|ticket| ticket["number"].as_str().unwrap()).collect();
    assert_eq!(numbers.len(), 200, "a number is given twice");
}
