//! What only the stack has: nodes side by side, and engines that are not there. They need `MEDREQ_TEST_STORAGE=stack`, and are asked for by
//! `--include-ignored`.

use std::{collections::BTreeSet, net::TcpListener, path::Path, process::Command};

use rustix::process::Signal;
use serde_json::json;

use crate::common::{Hospital, Server, at_once, eventually, medreq, stack, wish};

#[test]
#[ignore = "needs Kafka and MongoDB; tests/run runs it"]
fn a_node_that_is_killed_under_load_loses_nothing_and_the_other_goes_on() {
    let Hospital { site, carla, iara, .. } = Hospital::new();
    let (first, home) = (site.server, site.home);
    // A second node on the same database and log.
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(home.path().join("second"));
    command.envs(stack(&first.dir));
    let second = Server::launch(command, &home.path().join("second"));

    let (url, token) = (first.url.clone(), carla.clone());
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (url, token) = (url.clone(), token.clone());
            std::thread::spawn(move || {
                let mut taken = Vec::new();
                for n in 0.. {
                    let key = format!("w{writer}-{n}");
                    let call = crate::common::Call::new(&url, &token, "POST", "/v1/tickets").key(&key);
                    // Whatever has no answer is asked for again at the other node, below.
                    match call.json(&wish("UTI", "DIPI-500", "1")).try_send() {
                        Ok(answer) if answer.status == 201 => taken.push((key, Some(answer.json["id"].clone()))),
                        Ok(_) => taken.push((key, None)),
                        Err(_) => {
                            taken.push((key, None));
                            break;
                        }
                    }
                }
                taken
            })
        })
        .collect();
    eventually("that both have work", || {
        (second.get(&iara, "/v1/tickets")["total"].as_u64().unwrap() > 40).then_some(())
    });
    first.end(Signal::KILL);
    let sent: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();

    let mut ids = BTreeSet::new();
    for (key, known) in &sent {
        let ticket = eventually("an answer of the node that is left", || {
            let call = second.call(&carla, "POST", "/v1/tickets").key(key).json(&wish("UTI", "DIPI-500", "1"));
            let answer = call.send();
            (answer.status == 201).then_some(answer.json)
        });
        if let Some(id) = known {
            assert_eq!(&ticket["id"], id, "{key}: what was acknowledged is what is there");
        }
        assert!(ids.insert(ticket["id"].as_str().unwrap().to_owned()), "{key}: one ticket for each key");
    }
    assert_eq!(second.get(&iara, "/v1/tickets")["total"], sent.len());
}

#[test]
#[ignore = "needs Kafka and MongoDB; tests/run runs it"]
fn of_fifty_requests_for_one_need_raced_over_two_nodes_one_passes() {
    let hospital = Hospital::new();
    hospital.medication("RACE");
    let one = hospital.server();
    let home = hospital.site.home.path().join("two");
    let two = node(&home, &stack(&one.dir), "gateway,auth,tickets,processor", &[]);
    let send = |n: usize, to: &Server| {
        let call = to.call(&hospital.ana, "POST", "/v1/tickets").key(&format!("race-{n}"));
        let line = json!({ "medication": "RACE", "quantity": "1" });
        call.json(&json!({ "kind": "supply", "cabinet": "UTI-01", "lines": [line] })).send()
    };
    let answers = at_once(50, |n| send(n, if n % 2 == 0 { one } else { &two }));
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 1);
    let id = &made[0].json["id"];
    for (n, first) in answers.iter().enumerate() {
        // Asked again at the other node, each gets the answer that it had.
        let again = send(n, if n % 2 == 0 { &two } else { one });
        assert_eq!(again.status, first.status);
        if first.status != 201 {
            assert_eq!(&again.problem(409, "duplicate_open_request")["ticket"]["id"], id);
        }
    }
    assert_eq!(hospital.tickets_of("RACE"), 1);
}

/// A node with these roles, on the engines of these settings.
fn node(dir: &Path, settings: &[(&'static str, String)], roles: &str, more: &[(&str, &str)]) -> Server {
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.args(["serve", "--roles", roles, "--listen", "127.0.0.1:0", "--data-dir"]).arg(dir);
    command.envs(settings.iter().cloned()).envs(more.iter().copied());
    Server::launch(command, dir)
}

#[test]
#[ignore = "needs Kafka and MongoDB; tests/run runs it"]
fn a_command_that_waits_is_known_on_every_node_and_over_restarts() {
    let Hospital { site, carla, iara, .. } = Hospital::new();
    let (first, home) = (site.server, site.home);
    let settings = stack(&first.dir);
    first.end(Signal::TERM);
    // Nobody decides.
    let node = |name, roles| node(&home.path().join(name), &settings, roles, &[]);
    let (one, two) = (node("one", "gateway,auth,tickets"), node("two", "gateway,auth,tickets"));
    let send = |to: &Server| {
        let call = to.call(&carla, "POST", "/v1/tickets").key("k").header("prefer", "wait=0");
        call.json(&wish("UTI", "DIPI-500", "1")).send()
    };
    let accepted = send(&one);
    assert_eq!(accepted.status, 202);
    let address = accepted.header("location").to_owned();
    one.end(Signal::KILL);
    assert_eq!(two.get(&carla, &address), json!({ "state": "pending" }));
    two.call(&iara, "GET", &address).send().problem(404, "command_not_found");
    // A retry is a second record of the same command.
    let again = send(&two).header("location").to_owned();

    let _processor = node("processor", "processor");
    let [done, again] = [address, again].map(|address| {
        eventually("the outcome", || {
            let told = two.get(&carla, &address);
            (told["state"] != "pending").then_some(told)
        })
    });
    assert_eq!((&done["state"], &done["status"], &done), (&json!("done"), &json!(201), &again));
    assert_eq!(send(&two).expect(201), done["body"]);
    assert_eq!(two.get(&iara, "/v1/tickets")["total"], 1);
}

#[test]
#[ignore = "needs Kafka and MongoDB; tests/run runs it"]
fn each_role_may_stand_on_a_machine_of_its_own() {
    let Hospital { site, carla, .. } = Hospital::new();
    let (first, home) = (site.server, site.home);
    let settings = stack(&first.dir);
    // Sessions and tickets outlive the node that began them.
    first.end(Signal::TERM);
    let node = |name, roles, more: &[_]| node(&home.path().join(name), &settings, roles, more);
    // Who only signs people in does so while there is no Kafka.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let auth = node("auth", "auth", &[("MEDREQ_KAFKA__BROKERS", &nobody)]);
    let tickets = node("tickets", "tickets", &[]);
    let processor = node("processor", "processor", &[]);
    let hosts = [("MEDREQ_GATEWAY__AUTH", auth.url.as_str()), ("MEDREQ_GATEWAY__TICKETS", tickets.url.as_str())];
    let entry = node("entry", "gateway", &hosts);
    let mixed = node("mixed", "gateway,tickets", &hosts[..1]);

    for (n, entry) in [&entry, &mixed].into_iter().enumerate() {
        let call = entry.call(&carla, "POST", "/v1/tickets").key(&format!("k{n}"));
        call.json(&wish("UTI", "DIPI-500", "1")).send().expect(201);
        assert_eq!(entry.call("", "GET", "/login").send().status, 200);
        assert_eq!(entry.get(&carla, "/v1/tickets")["total"], n + 1);
        assert_eq!(entry.get("", "/readyz")["checks"]["auth"], "ok");
    }
    auth.call(&carla, "GET", "/v1/tickets").send().problem(421, "served_elsewhere");
    tickets.call(&carla, "GET", "/auth/v1/users").send().problem(421, "served_elsewhere");
    for path in ["/auth/v1/users", "/v1/tickets"] {
        processor.call(&carla, "GET", path).send().problem(421, "served_elsewhere");
    }
    for (node, engines) in [
        (&auth, &["mongo"][..]),
        (&tickets, &["mongo", "kafka"]),
        (&processor, &["mongo", "kafka", "processor"]),
        (&mixed, &["mongo", "kafka", "auth"]),
    ] {
        let told = node.get("", "/readyz");
        assert_eq!(told["status"], "ok");
        let checks = told["checks"].as_object().unwrap();
        let known = ["auth", "tickets", "mongo", "kafka", "processor", "store"];
        let known: BTreeSet<_> = known.into_iter().filter(|name| checks.contains_key(*name)).collect();
        assert_eq!(known, engines.iter().copied().collect(), "{told}");
    }
    let counts = |node: &Server| String::from_utf8(node.call("", "GET", "/metrics").send().bytes).unwrap();
    assert!(counts(&tickets).contains("medreq_log_append_seconds_count 1"), "{}", counts(&tickets));
    let decided = counts(&processor);
    for line in
        ["medreq_log_batches_total{ended=\"decided\"}", "medreq_log_lag_seconds{partition=", "medreq_log_halted{"]
    {
        assert!(decided.contains(line), "{line}: {decided}");
    }
}

#[test]
#[ignore = "needs Kafka and MongoDB; tests/run runs it"]
fn engines_that_do_not_answer_are_waited_for_and_what_is_wrong_is_told() {
    let home = tempfile::TempDir::new().unwrap();
    let dir = home.path().join("data");
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let address = nobody.to_string();
    let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.args(["serve", "--listen", &listen, "--data-dir"]).arg(&dir).envs(stack(&dir));
    command.env("MEDREQ_KAFKA__BROKERS", &address).stderr(std::process::Stdio::null());
    let mut node = command.spawn().unwrap();
    let url = format!("http://{listen}");
    let told = eventually("that it says what it waits for", || {
        let answer = crate::common::Call::new(&url, "", "GET", "/readyz").try_send().ok()?;
        answer.json["checks"]["kafka"].as_str().map(|told| (answer.status, told.to_owned()))
    });
    assert!(told.0 == 503 && told.1.contains(&address), "{told:?}");
    let busy = crate::common::Call::new(&url, "", "GET", "/v1/tickets").send();
    assert!(busy.status == 503 && !busy.header("retry-after").is_empty());
    rustix::process::kill_process(rustix::process::Pid::from_child(&node), Signal::TERM).unwrap();
    node.wait().unwrap();

    // The number of partitions is fixed.
    drop(Server::start(&dir, &[]));
    let mut command = medreq();
    let command = command.args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&dir).envs(stack(&dir));
    let output = command.env("MEDREQ_KAFKA__PARTITIONS", "5").output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && told.contains("has 4 partitions and kafka.partitions says 5"), "{told}");
    let output = medreq().args(["up", "--data-dir"]).arg(&dir).envs(stack(&dir)).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", json!(String::from_utf8_lossy(&output.stderr)));
}
