//! The gateway on a machine of its own: the single entry, in front of hosts that come and go.

use std::{net::TcpListener, path::Path, process::Command, time::Duration};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::{BEHIND_PROXY, DEADLINE, Feed, Server, Site, eventually, medreq};

/// A gateway in front of these hosts, both for sign-in and for tickets.
fn gateway(dir: &Path, hosts: &[&str]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.args(["serve", "--roles", "gateway", "--listen", "127.0.0.1:0"]);
    let hosts = hosts.join(",");
    command.env("MEDREQ_GATEWAY__AUTH", &hosts).env("MEDREQ_GATEWAY__TICKETS", &hosts);
    Server::launch(command, dir)
}

/// An origin where nothing listens.
fn nobody() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn request() -> Value {
    json!({ "kind": "supply", "cabinet": "UTI-01", "lines": [{ "medication": "MIDAZ-5", "quantity": "5" }] })
}

#[test]
fn everything_passes_through_it_and_nobody_makes_up_where_he_comes_from() {
    let site = Site::behind_proxy();
    let admin = site.token("admin");
    site.server.import(&admin, "medications", "code,name,unit,control_class,packs\nMIDAZ-5,Midazolam,ampola,B1,\n");
    let entry = gateway(&site.home.path().join("gateway"), &[&site.server.url]);
    let (nurse, auditor) = (site.token("ana"), site.token("iara"));

    // Reading, writing, a retry, a command of the command line, a file and a stream.
    let mut feed = Feed::open(&entry.url, &nurse, None).unwrap();
    let made = entry.call(&nurse, "POST", "/v1/tickets").key("k").json(&request()).send();
    let ticket = made.expect(201);
    let again = entry.call(&nurse, "POST", "/v1/tickets").key("k").json(&request()).send().expect(201);
    assert_eq!(again["id"], ticket["id"]);
    let event = feed.next(DEADLINE).unwrap().unwrap();
    assert_eq!(event.data["ticket"], ticket["id"], "{}", event.data);
    assert_eq!(entry.json(&nurse, &["ticket", "show", ticket["number"].as_str().unwrap()])["id"], ticket["id"]);
    entry.import(&admin, "medications", "code,name,unit,control_class,packs\nDIPI-500,Dipirona,comprimido,none,\n");
    assert_eq!(entry.call("", "GET", "/login").send().status, 200);
    assert_eq!(entry.get("", "/openapi.json"), site.server.get("", "/openapi.json"));
    entry.call("", "GET", "/v1/tickets").send().problem(401, "missing_token");
    assert_eq!(entry.get("", "/readyz")["checks"], json!({ "auth": "ok", "tickets": "ok", "server": "ok" }));

    // The id of a request is the same on both machines; what a sender says of his way is not believed.
    let wrong = "grant_type=client_credentials&client_id=nobody&client_secret=x";
    let answer = entry
        .call("", "POST", "/oauth2/token")
        .header("x-request-id", "asked-from-outside")
        .header("x-forwarded-for", "203.0.113.9")
        .body("application/x-www-form-urlencoded", wrong)
        .send();
    assert_eq!((answer.status, answer.header("x-request-id")), (401, "asked-from-outside"));
    let log = std::fs::read_to_string(site.server.dir.with_extension("log")).unwrap();
    assert!(log.contains("asked-from-outside"), "{log}");
    let audit = site.server.get(&auditor, "/auth/v1/audit?kind=auth&limit=50").to_string();
    assert!(audit.contains("127.0.0.1") && !audit.contains("203.0.113.9"), "{audit}");

    let (status, took) = entry.end(Signal::TERM);
    assert!(status.success() && took < Duration::from_secs(15), "{status} after {took:?}");
}

#[test]
fn a_host_that_falls_silent_is_passed_over_and_taken_back_by_itself() {
    let site = Site::behind_proxy();
    let admin = site.token("admin");
    site.server.import(&admin, "medications", "code,name,unit,control_class,packs\nMIDAZ-5,Midazolam,ampola,B1,\n");
    let nurse = site.token("ana");
    let (gone, live) = (nobody(), site.server.url.clone());
    let entry = gateway(&site.home.path().join("gateway"), &[&gone, &live]);
    for _ in 0..20 {
        entry.get(&nurse, "/v1/tickets");
    }
    let ready = eventually("that the lost host is named", || {
        let answer = entry.call("", "GET", "/readyz").send();
        (answer.json["status"] == "degraded").then_some(answer)
    });
    assert!(ready.status == 200 && ready.json["checks"]["tickets"].as_str().unwrap().contains(&gone), "{}", ready.json);

    // Stopped in its tracks: its connections stand, and nothing answers.
    let pid = Pid::from_raw(site.server.pid().cast_signed()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    entry.call(&nurse, "POST", "/v1/tickets").key("k").json(&request()).send().problem(503, "upstream_unavailable");
    let unsure = entry.call(&admin, "POST", "/auth/v1/keys").send();
    assert_eq!(unsure.status, 503, "{}", unsure.json);
    assert_eq!(entry.call("", "GET", "/readyz").send().status, 503);
    kill_process(pid, Signal::CONT).unwrap();
    let made = eventually("that it is taken back", || {
        let answer = entry.call(&nurse, "POST", "/v1/tickets").key("k").json(&request()).send();
        (answer.status == 201).then_some(answer.json)
    });

    // Killed and started again at the same address: what was acknowledged is there, and the same key makes nothing new.
    let Site { server, home } = site;
    let (dir, address) = (server.dir.clone(), live.strip_prefix("http://").unwrap().to_owned());
    server.end(Signal::KILL);
    entry.call(&nurse, "GET", "/v1/tickets").send().problem(503, "upstream_unavailable");
    let _server = Server::start(&dir, &[BEHIND_PROXY, &["--listen", &address]].concat());
    let again = eventually("that it is found again", || {
        let answer = entry.call(&nurse, "POST", "/v1/tickets").key("k").json(&request()).send();
        (answer.status == 201).then_some(answer.json)
    });
    assert_eq!(again["id"], made["id"]);
    assert_eq!(entry.get(&nurse, "/v1/tickets")["total"], 1);
    drop(home);
}

#[test]
fn a_gateway_without_hosts_says_which_setting_is_wrong() {
    let told = |auth: &str, roles: &str| {
        let mut command = medreq();
        let command =
            command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "/nonexistent", "--roles", roles]);
        let output = command.env("MEDREQ_GATEWAY__AUTH", auth).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (auth, roles, expected) in [
        ("", "gateway", "gateway.auth names no host"),
        ("http://10.0.0.5:8080/medreq", "gateway", "gateway.auth: \"http://10.0.0.5:8080/medreq\" is no origin"),
        ("https://10.0.0.5", "gateway", "gateway.ca_file must name the certificate"),
        ("http://10.0.0.5", "gateway", "gateway.tickets names no host"),
        ("", "auth,tickets", "served by one node with all roles"),
        ("", "gateways", "there are gateway, auth, tickets and processor"),
    ] {
        let text = told(auth, roles);
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[test]
fn gateways_that_lead_to_each_other_say_so() {
    let home = tempfile::TempDir::new().unwrap();
    // A gateway must know the other's address before that one starts.
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let one = gateway(&home.path().join("one"), &[&format!("http://{listen}")]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.args(["serve", "--roles", "gateway", "--listen", &listen]);
    command.env("MEDREQ_GATEWAY__AUTH", &one.url).env("MEDREQ_GATEWAY__TICKETS", &one.url);
    let two = Server::launch(command, &home.path().join("two"));
    two.call("", "GET", "/v1/tickets").send().problem(508, "gateway_loop");
}
