//! The configuration as hospital IT writes it: one file for server and commands, later layers over earlier ones, mistakes named.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Server, medreq};

fn show(file: &str, variables: &[(&str, &str)], args: &[&str]) -> Value {
    let mut command = medreq();
    let output =
        command.envs(variables.iter().copied()).args(["--config", file, "config", "show", "--json"]).args(args);
    let output = output.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn setting<'a>(shown: &'a Value, key: &str) -> (&'a Value, &'a str) {
    let item = shown["items"].as_array().unwrap().iter().find(|item| item["key"] == key).unwrap();
    (&item["value"], item["source"].as_str().unwrap())
}

#[test]
fn what_is_in_force_is_shown_with_its_origin_and_never_a_token() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("medreq.toml");
    let name = file.to_str().unwrap();
    fs::write(
        &file,
        "[server]\nlisten = \"10.0.0.1:80\"\ntime_zone = \"America/Bahia\"\n[client]\ntoken_file = \"t\"\n",
    )
    .unwrap();
    let variables = [
        ("MEDREQ_SERVER__LISTEN", "10.0.0.2:80"),
        ("MEDREQ_URL", "http://127.0.0.1:7"),
        ("MEDREQ_TOKEN", "eyJ-secret"),
        ("MEDREQ_SOMETHING", "of another program"),
    ];
    let shown = show(name, &variables, &["--url", "http://127.0.0.1:8"]);
    assert_eq!(setting(&shown, "server.listen"), (&json!("10.0.0.2:80"), "MEDREQ_SERVER__LISTEN"));
    assert_eq!(setting(&shown, "server.time_zone"), (&json!("America/Bahia"), name));
    assert_eq!(setting(&shown, "client.url"), (&json!("http://127.0.0.1:8"), "--url"));
    assert_eq!(setting(&shown, "client.token_file").0, home.path().join("t").to_str().unwrap());
    assert_eq!(setting(&shown, "limits.streams"), (&json!(2_048), "default"));
    assert!(!shown.to_string().contains("eyJ-secret"));

    // What is printed can be read again, and so can the defaults.
    for printed in [&["config", "show", "--config", name][..], &["config", "default"]] {
        let output = medreq().args(printed).output().unwrap();
        fs::write(home.path().join("again.toml"), output.stdout).unwrap();
        show(home.path().join("again.toml").to_str().unwrap(), &[], &[]);
    }
}

#[test]
fn a_mistake_is_named_with_its_place_before_anything_starts() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("medreq.toml");
    let told = |text: &str, variable: (&str, &str)| {
        fs::write(&file, text).unwrap();
        let data = home.path().join("data");
        let mut command = medreq();
        command.env(variable.0, variable.1).arg("--config").arg(&file).args(["up", "--data-dir"]).arg(&data);
        let output = command.timeout(crate::common::DEADLINE).output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(!data.exists(), "something was made");
        String::from_utf8(output.stderr).unwrap()
    };
    let none = ("MEDREQ_URL", "");
    let unknown = told("[server]\nlissten = \"127.0.0.1:0\"", none);
    assert!(unknown.contains("medreq.toml: there is no setting server.lissten"), "{unknown}");
    let moved = told("url = \"https://medreq.example.org\"", none);
    assert!(moved.contains("url stands below [client]"), "{moved}");
    let variable = told("", ("MEDREQ_SERVER__PASSWORD", "hunter2"));
    assert!(variable.contains("MEDREQ_SERVER__PASSWORD") && !variable.contains("hunter2"), "{variable}");
    let filter = told("[server]\nlog_filter = \"==\"", none);
    assert!(filter.contains("server.log_filter"), "{filter}");
}

#[test]
fn server_and_verbs_beside_it_live_by_the_same_file() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("medreq.toml");
    fs::write(&file, "[server]\ndata_dir = \"data\"\n[limits]\nbody_max_bytes = 1_000\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.env("MEDREQ_CONFIG", &file);
    let server = Server::start_by(command, &home.path().join("data"), &[]);
    let verb = |args: &[&str]| {
        let output = medreq().env("MEDREQ_CONFIG", &file).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    verb(&["user", "add", "marta", "--role", "admin", "--no-password"]);
    let token = verb(&["user", "token", "marta"]);
    let ward = json!({"name": "x".repeat(1_500)});
    server.call(token.trim(), "PUT", "/v1/wards/UTI").json(&ward).send().problem(413, "body_too_large");
    verb(&["backup", "create", "--to", home.path().join("backups").to_str().unwrap()]);
}
