//! Texts about a patient that must go: an administrator erases them by the command line, and neither people nor files have them any more.

use std::{fs, path::Path};

use rustix::process::Signal;
use serde_json::json;

use crate::common::{Site, medreq};

const PATIENT: &str = "PRONTUARIO-998877";
const NOTE: &str = "Zuleica";

fn texts_in(dir: &Path) -> Vec<&'static str> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let bytes: Vec<u8> = files.flat_map(|path| fs::read(path).unwrap()).collect();
    let holds = |text: &&str| bytes.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text.as_bytes()));
    [PATIENT, NOTE].into_iter().filter(holds).collect()
}

#[test]
fn an_administrator_erases_what_was_written_about_a_patient() {
    let site = Site::stocked();
    let server = &site.server;
    let (ana, admin) = (site.token("ana"), site.token("admin"));
    let note = format!("ask {NOTE}");
    let new = [
        "ticket",
        "new",
        "--kind",
        "missing_dose",
        "--ward",
        "UTI",
        "--line",
        "HEPA-5000=1",
        "--patient-ref",
        PATIENT,
        "--dose-at",
        "2099-01-01T08:00:00Z",
        "--note",
        &note,
        "--idempotency-key",
        "dose-1",
    ];
    let ticket = server.json(&ana, &new);
    let number = ticket["number"].as_str().unwrap();
    server.json(&ana, &["ticket", "comment", number, "--text", &format!("{NOTE} called")]);
    assert_eq!((&ticket["patient_ref"], &ticket["note"]), (&json!(PATIENT), &json!(note)));

    // Not while somebody needs them, not by whoever wrote them, and not by a slip of the finger.
    let erase = ["ticket", "erase", number, "--reason", "protocol 114"];
    let sure = [&erase[..], &["--yes"]].concat();
    assert_eq!(server.refused(&admin, &sure)["code"], "invalid_transition");
    server.json(&ana, &["ticket", "cancel", number, "--reason", "found"]);
    assert_eq!(server.refused(&ana, &sure)["code"], "insufficient_scope");
    let unsure = server.medreq(&admin).args(erase).output().unwrap();
    assert_eq!(unsure.status.code(), Some(2), "{}", String::from_utf8_lossy(&unsure.stderr));
    assert_eq!(server.json(&ana, &["ticket", "show", number])["patient_ref"], PATIENT);

    let erased = server.json(&admin, &sure);
    assert_eq!((&erased["number"], erased["erased_at"].is_string()), (&ticket["number"], true), "{erased}");
    assert_eq!(server.json(&admin, &sure), erased, "asked again, the answer is the same");

    let shown = server.json(&ana, &["ticket", "show", number]);
    assert_eq!((&shown["erased_at"], &shown["note"]), (&erased["erased_at"], &json!(null)));
    let retried = server.json(&ana, &new);
    assert_eq!(retried["id"], ticket["id"], "the retry of the request that made it is still one");
    let history = server.json(&ana, &["ticket", "history", number]);
    for answer in [&shown, &retried, &history, &server.json(&ana, &["ticket", "list", "--query", number])] {
        let answer = answer.to_string();
        assert!(!answer.contains(PATIENT) && !answer.contains(NOTE), "{answer}");
    }
    assert_eq!(server.json(&ana, &["ticket", "list", "--query", NOTE])["total"], 0);
    let print = server.medreq(&ana).args(["ticket", "show", number]).output().unwrap();
    assert!(String::from_utf8_lossy(&print.stdout).contains("texts       erased 20"), "it says why there are none");
    let audit = server.json(&site.token("iara"), &["audit", "list", "--kind", "ticket"]);
    assert_eq!(audit["items"].as_array().unwrap().len(), 1, "{audit}");
    let told = &audit["items"][0];
    assert_eq!(
        (&told["actor"], &told["subject"], &told["detail"]["reason"]),
        (&json!("admin"), &ticket["number"], &json!("protocol 114"))
    );

    // The log of hashes stays whole, and no file ever held the words: not the database, its log, the backup, nor what the server said.
    let (dir, backups) = (server.dir.clone(), site.home.path().join("backups"));
    medreq().args(["backup", "create", "--data-dir"]).arg(&dir).arg("--to").arg(&backups).assert().success();
    let backup = fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path();
    medreq().args(["backup", "verify"]).arg(&backup).assert().success();
    for place in [dir.as_path(), &backup, site.home.path()] {
        assert_eq!(texts_in(place), [""; 0], "{}", place.display());
    }
    assert!(site.server.end(Signal::TERM).0.success());
    assert_eq!(texts_in(&dir), [""; 0]);
}
