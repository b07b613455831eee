//! The main job, whole: from "it is missing" to "it arrived", through the shipped binary alone.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::common::{Site, data};

fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

/// Code of the one medication whose name has these words.
fn medication(site: &Site, token: &str, query: &str, name: &str) -> String {
    let found = site.server.json(token, &["medication", "list", "--query", query, "--limit", "200"]);
    let items = found["items"].as_array().unwrap();
    let fits = |item: &&Value| item["name"].as_str().unwrap().to_lowercase().contains(name);
    items.iter().find(fits).unwrap_or_else(|| panic!("{name} is not in {found}"))["code"].as_str().unwrap().to_owned()
}

#[test]
fn from_it_is_missing_to_it_arrived() {
    let site = Site::new();
    let server = &site.server;
    let (davi, elisa) = (site.token("davi"), site.token("elisa"));
    let nurse = site.token("ana");

    // The pharmacist loads the drug directories and makes the hospital's list from them.
    for (file, products) in [
        ("fda-ndc-product-slice.txt", 3_149),
        ("fda-ndc-package-slice.txt", 5_730),
        ("anvisa-medicamentos-slice.csv", 5_000),
    ] {
        let report = server.json(&davi, &["catalog", "import", data(file).to_str().unwrap()]);
        assert_eq!(report["rows"], products, "{file}: {report}");
        let again = server.json(&davi, &["catalog", "import", data(file).to_str().unwrap()]);
        assert_eq!((&again["created"], &again["updated"]), (&json!(0), &json!(0)), "{file}: {again}");
    }
    server.json(&davi, &["medication", "adopt", "--query", "midazolam"]);
    server.json(&davi, &["medication", "adopt", "--query", "heparin sodium"]);
    let midazolam = medication(&site, &davi, "midazolam", "5 mg/ml");
    let heparin = medication(&site, &davi, "heparin", "heparin");
    let item = server.json(&davi, &["medication", "show", &midazolam]);
    assert_eq!((&item["control_class"], &item["active"]), (&json!("CIV"), &json!(true)), "{item}");
    for code in [&midazolam, &heparin] {
        server.json(&davi, &["cabinet", "par", "set", "UTI-01", code, "--min", "4", "--max", "20"]);
    }

    // The nurse scans her cabinet and asks for two medicines, at once.
    let (one, two) = (format!("{midazolam}=10"), format!("{heparin}=6"));
    let new = [
        "ticket",
        "new",
        "--kind",
        "refill",
        "--cabinet",
        "uti-01",
        "--priority",
        "stat",
        "--line",
        &one,
        "--line",
        &two,
        "--idempotency-key",
        "story-new",
    ];
    let ticket = server.json(&nurse, &new);
    let id = ticket["id"].as_str().unwrap();
    assert_eq!(
        (&ticket["status"], &ticket["version"], &ticket["pharmacy"], &ticket["cabinet"]),
        (&json!("open"), &json!(1), &json!("CENTRAL"), &json!("UTI-01"))
    );
    assert_eq!(ticket["requester"]["username"], "ana");
    assert_eq!(time(&ticket["due_at"]), time(&ticket["created_at"]) + SignedDuration::from_mins(15));
    assert_eq!(server.json(&nurse, &new), ticket, "a retry gives the first answer");
    let duplicate =
        server.refused(&nurse, &["ticket", "new", "--kind", "supply", "--cabinet", "UTI-01", "--line", &two]);
    assert_eq!((&duplicate["code"], &duplicate["ticket"]["id"]), (&json!("duplicate_open_request"), &json!(id)));

    // Two pharmacists race: one wins, the other is told who has it.
    let claim = |token: &str, key: &str| {
        server
            .medreq(token)
            .args(["ticket", "claim", id, "--if-version", "1", "--json", "--idempotency-key", key])
            .output()
            .unwrap()
    };
    let (by_davi, by_elisa) = std::thread::scope(|scope| {
        let elisa = scope.spawn(|| claim(&elisa, "story-claim-elisa"));
        (claim(&davi, "story-claim-davi"), elisa.join().unwrap())
    });
    let davi_won = by_davi.status.success();
    assert_ne!(davi_won, by_elisa.status.success(), "exactly one wins");
    let (winner, winner_name, other, lost) =
        if davi_won { (&davi, "davi", &elisa, by_elisa) } else { (&elisa, "elisa", &davi, by_davi) };
    let lost: Value = serde_json::from_slice(&lost.stderr).unwrap();
    assert_eq!((&lost["code"], &lost["assignee"]["username"]), (&json!("already_claimed"), &json!(winner_name)));

    // The winner picks: the first line short, with a reason.
    let pick = [
        "ticket",
        "pick",
        id,
        "--line",
        "1=8,lot=L42,expiry=2099-01-31,reason=out_of_stock",
        "--line",
        "2=6,lot=H7,expiry=2099-06-30",
        "--idempotency-key",
        "story-pick",
    ];
    let expired =
        server.refused(winner, &["ticket", "pick", id, "--line", "1=8,lot=L42,expiry=2020-01-31,reason=out_of_stock"]);
    assert_eq!(expired["code"], "expired_stock");
    let picked = server.json(winner, &pick);
    assert_eq!((&picked["status"], &picked["version"]), (&json!("picked"), &json!(3)));
    assert_eq!((&picked["lines"][0]["supplied"], &picked["lines"][0]["outstanding"]), (&json!("8"), &json!("2")));

    // A controlled medicine needs a second person.
    assert_eq!(server.refused(winner, &["ticket", "ready", id])["code"], "second_person_required");
    let ready = server.json(other, &["ticket", "ready", id, "--idempotency-key", "story-ready"]);
    assert_eq!(ready["status"], "ready");
    let sent =
        server.json(winner, &["ticket", "dispatch", id, "--method", "runner", "--idempotency-key", "story-dispatch"]);
    assert_eq!(sent["status"], "dispatched");

    // The nurse confirms what arrived: one broken, one missing.
    let receive = [
        "ticket",
        "receive",
        id,
        "--line",
        "1=7,damaged=1",
        "--line",
        "2=5,missing=1,reason=short_count",
        "--idempotency-key",
        "story-receive",
    ];
    let mismatch = server.refused(&nurse, &["ticket", "receive", id, "--line", "1=7", "--line", "2=6"]);
    assert_eq!(mismatch["code"], "receipt_mismatch");
    let done = server.json(&nurse, &receive);
    assert_eq!((&done["status"], &done["version"]), (&json!("delivered"), &json!(6)));
    assert_totals(&done);

    // Everything is in the history, and doing it all again with the same keys changes nothing.
    let history = server.json(&nurse, &["ticket", "history", id]);
    let events: Vec<&str> =
        history["items"].as_array().unwrap().iter().map(|item| item["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["created", "claimed", "picked", "ready", "dispatched", "received"]);
    let versions: Vec<u64> =
        history["items"].as_array().unwrap().iter().map(|item| item["version"].as_u64().unwrap()).collect();
    assert_eq!(versions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(history["items"][1]["actor"]["username"], winner_name);
    assert_eq!(server.json(&nurse, &new), ticket);
    assert_eq!(server.json(winner, &pick), picked);
    assert_eq!(server.json(other, &["ticket", "ready", id, "--idempotency-key", "story-ready"]), ready);
    assert_eq!(server.json(&nurse, &receive), done);
    assert_eq!(server.json(&nurse, &["ticket", "show", id]), done);
    assert_eq!(server.json(&nurse, &["ticket", "history", id]), history);

    // People read the same as text; the queue is of what is still to be done.
    let text = |args: &[&str]| String::from_utf8(server.medreq(&nurse).args(args).output().unwrap().stdout).unwrap();
    let told = text(&["ticket", "history", id]);
    for part in
        [midazolam.as_str(), "8 of lot L42, expires 2099-01-31, short: out_of_stock", "1 missing", "short_count"]
    {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    assert!(text(&["ticket", "show", id]).contains("receipt: short_count"));
    assert_eq!(server.json(&nurse, &["ticket", "list"])["items"], json!([]));
    assert_eq!(server.json(&nurse, &["ticket", "list", "--all-statuses"])["items"][0]["id"], json!(id));
    assert_eq!(server.refused(&nurse, &["ticket", "show", "NOPE"])["code"], "ticket_not_found");
}

/// Per line: requested = supplied + outstanding + declined, and supplied = received + damaged + wrong + missing.
fn assert_totals(ticket: &Value) {
    for line in ticket["lines"].as_array().unwrap() {
        let of = |name: &str| line[name].as_str().unwrap().parse::<i64>().unwrap();
        assert_eq!(of("quantity"), of("supplied") + of("outstanding") + of("declined"), "{line}");
        assert_eq!(of("supplied"), of("received") + of("damaged") + of("wrong") + of("missing"), "{line}");
    }
}
