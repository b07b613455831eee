//! Lists in, words and codes found: what the hospital knows of its places, people and medicines.

use serde_json::{Value, json};

use crate::common::{Hospital, Site, data, plain, wish};

/// Words are found with and without their accents, in every list.
#[test]
fn search_ignores_accents_and_case() {
    let hospital = Hospital::shared();
    let server = hospital.server();
    hospital.server().import(
        &hospital.admin,
        "medications",
        "code,name,unit,control_class\nACENTO-1,Solução de hipoclorito de sódio,frasco,none\n",
    );
    let mut body = plain("ACENTO-1", "1");
    body["note"] = json!("Paciente João, leito à esquerda");
    let ticket = server.create(&hospital.ana, &body).expect(201);
    for words in
        ["solucao", "SOLUÇÃO", "soluc\u{327}a\u{303}o", "sodio hipoclorito", "joao", "JOÃO esquerda", "acento-1"]
    {
        let query = url_words(words);
        let found = server.get(&hospital.davi, &format!("/v1/tickets?q={query}"));
        let ids: Vec<&Value> = found["items"].as_array().unwrap().iter().map(|item| &item["id"]).collect();
        assert!(ids.contains(&&ticket["id"]), "{words}: {found}");
    }
    for words in ["solucao", "SODIO", "hipoclorito sódio"] {
        let found = server.get(&hospital.ana, &format!("/v1/medications?q={}", url_words(words)));
        assert_eq!(found["items"][0]["code"], "ACENTO-1", "{words}: {found}");
    }
    let file = data("anvisa-medicamentos-slice.csv");
    let report = server.json(&hospital.davi, &["catalog", "import", file.to_str().unwrap()]);
    assert_eq!(report["rows"], 5_000, "{report}");
    let total = |words: &str| {
        server.get(&hospital.davi, &format!("/v1/catalog?limit=1&q={}", url_words(words)))["total"].clone()
    };
    for (with, without) in
        [("dipirona sódica", "DIPIRONA SODICA"), ("ácido", "acido"), ("cloreto de sódio", "CLORETO DE SÓDIO")]
    {
        assert_eq!(total(with), total(without));
        assert_ne!(total(with), 0, "{with}");
    }
}

fn url_words(words: &str) -> String {
    let mut url = reqwest::Url::parse("http://x/").unwrap();
    url.query_pairs_mut().append_pair("q", words);
    url.query().unwrap().strip_prefix("q=").unwrap().to_owned()
}

/// The code on an inner package is what a nurse scans: the box is in the pharmacy.
#[test]
fn an_inner_package_finds_its_medication() {
    let hospital = Hospital::new();
    let server = hospital.server();
    for file in ["fda-ndc-product-slice.txt", "fda-ndc-package-slice.txt"] {
        server.json(&hospital.davi, &["catalog", "import", data(file).to_str().unwrap()]);
    }
    server.json(&hospital.davi, &["medication", "adopt", "--query", "midazolam"]);
    let products = server.get(&hospital.davi, "/v1/catalog?q=midazolam&limit=200");
    let inner: Vec<(&str, &str)> = products["items"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|product| product["packages"].as_array().unwrap().iter().map(move |package| (product, package)))
        .filter(|(_, package)| package["inner"] == true)
        .filter_map(|(product, package)| Some((package["gtin"].as_str()?, product["key"].as_str()?)))
        .collect();
    assert!(!inner.is_empty(), "the slice has inner packages of midazolam");
    for (gtin, key) in inner.iter().take(5) {
        assert!(gtin.starts_with("003") && gtin.len() == 14, "{gtin}");
        let found = server.get(&hospital.ana, &format!("/v1/medications?q={gtin}"));
        assert_eq!(found["total"], 1, "{gtin}: {found}");
        for scan in [(*gtin).to_owned(), format!("01{gtin}17991231"), format!("(01){gtin}(10)L42")] {
            let item = server.get(&hospital.ana, &format!("/v1/medications/{}", url_words(&scan)));
            assert_eq!(item["code"], found["items"][0]["code"], "{scan}");
            let linked = item["products"].as_array().unwrap().iter().any(|product| product["key"] == *key);
            assert!(linked, "{scan} leads to another product");
        }
        let asked = server.create(&hospital.ana, &wish("UTI", gtin, "2")).expect(201);
        let of = server
            .get(&hospital.ana, &format!("/v1/medications/{}", asked["lines"][0]["medication"].as_str().unwrap()));
        assert!(of["name"].as_str().unwrap().to_lowercase().contains("midazolam"), "{of}");
    }
    let nothing = server.create(&hospital.ana, &wish("UTI", "00312345678906", "2"));
    nothing.problem(422, "unknown_medication");
}

/// A list with good and bad rows, by the command line: the good are taken, the bad are told.
#[test]
fn lists_are_imported_row_by_row() {
    let site = Site::new();
    let server = &site.server;
    let admin = site.token("admin");
    let file = site.home.path().join("list.csv");
    let run = |what: &[&str], text: &[u8], more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        let args = [what, &["import", file.to_str().unwrap()], more].concat();
        server.medreq(&admin).args(args).arg("--json").output().unwrap()
    };
    let lists: [(&[&str], &str, usize, &str); 6] = [
        (&["pharmacy"], "code,name\nNOVA,Farmácia Nova\nB AD,x\n,y\nNOVA-2,\nOK-2,Outra\n", 2, "line 3:"),
        (
            &["ward"],
            "code,name,pharmacy\nW-1,Ala 1,CENTRAL\nW-2,Ala 2,NOPE\nW-3,Ala 3\nW-4,Ala 4,SAT-CC\n",
            2,
            "line 3:",
        ),
        (&["cabinet"], "code;name;ward\nC-1;Posto;UTI\nC-2;Posto;NOPE\nC-3;\"Posto; fundo\";PED\n", 2, "line 3:"),
        (
            &["medication"],
            "code,name,unit,control_class\nM-1,Soro,frasco,none\nM-2,,frasco,none\nM-3,Morfina,ampola,Z9\nM-4,Diazepam,cp,B1\n",
            2,
            "line 3:",
        ),
        (
            &["cabinet", "par"],
            "cabinet,medication,min,max\nUTI-01,M-1,2,10\nUTI-01,NOPE,2,10\nUTI-01,M-4,9,3\n",
            1,
            "line 3:",
        ),
        (
            &["user"],
            "username,name,roles,wards,pharmacies\nnova,Nova Silva,nurse,UTI,\nruim,Ruim,king,UTI,\n\
             outra,Outra,technician,,NOPE\nA b,Nome,nurse,UTI,\nze,Zé,technician,,CENTRAL\n",
            2,
            "line 3:",
        ),
    ];
    for (what, text, good, bad) in &lists {
        let dry = run(what, text.as_bytes(), &["--dry-run"]);
        assert!(dry.status.success(), "{what:?}: {}", String::from_utf8_lossy(&dry.stderr));
        let output = run(what, text.as_bytes(), &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{what:?}: {stderr}");
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(report["created"], *good, "{what:?}: after a dry run all of it is still new: {report}");
        let rows = report["rows"].as_u64().unwrap();
        assert_eq!(report["bad"], rows - *good as u64, "{what:?}: {report}");
        assert!(stderr.contains(bad), "{what:?}: {stderr}");
        assert_eq!(
            stderr.lines().filter(|line| line.contains("line ")).count() as u64,
            rows - *good as u64,
            "{stderr}"
        );
        let again: Value = serde_json::from_slice(&run(what, text.as_bytes(), &[]).stdout).unwrap();
        assert_eq!(
            (&again["created"], &again["updated"], &again["unchanged"]),
            (&json!(0), &json!(0), &json!(good)),
            "{what:?}"
        );
    }
    let users_before = server.get(&admin, "/auth/v1/users?limit=1")["total"].clone();
    for (what, text, code) in [
        (&["ward"][..], &b"nothing,of,this\n1,2,3\n"[..], "format_not_recognised"),
        (&["ward"], b"", "format_not_recognised"),
        (&["ward"], b"\x89PNG\r\n\x1a\n\x00\x00\x00", "format_not_recognised"),
        (&["ward"], b"code,name,pharmacy\nW-9,Ala 9,NOPE\n", "no_good_rows"),
        (&["user"], b"username,name,roles\na b,x,nurse\n", "no_good_rows"),
        (&["medication"], b"code,name,unit\n,,\n", "no_good_rows"),
        (&["catalog"], b"code,name,unit\nA,B,C\n", "format_not_recognised"),
    ] {
        let output = run(what, text, &[]);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{what:?} {code}: succeeded");
        assert!(stderr.contains(code), "{what:?}: {stderr}");
    }
    server.call(&admin, "GET", "/v1/wards/W-9").send().problem(404, "ward_not_found");
    assert_eq!(server.get(&admin, "/auth/v1/users?limit=1")["total"], users_before);
    let cabinet = server.get(&admin, "/v1/cabinets/C-3");
    assert_eq!((&cabinet["name"], &cabinet["ward"]), (&json!("Posto; fundo"), &json!("PED")));
    // People are told each row even where none is good.
    std::fs::write(&file, "code,name,pharmacy\nW-9,Ala 9,NOPE\n").unwrap();
    let told = server.medreq(&admin).args(["ward", "import", file.to_str().unwrap()]).output().unwrap();
    assert!(String::from_utf8_lossy(&told.stderr).starts_with("line 2: "), "{told:?}");
    // A list in windows-1252, as spreadsheets write it, says the same.
    let latin: Vec<u8> = "code,name\nLATIN,Farmácia São João\n".chars().map(|c| c as u8).collect();
    assert!(run(&["pharmacy"], &latin, &[]).status.success());
    assert_eq!(server.get(&admin, "/v1/pharmacies/LATIN")["name"], "Farmácia São João");
}

/// Rules go in from a file, come out as they went in, and choose the pharmacy of what is asked from then on.
#[test]
fn routing_rules_send_tickets_elsewhere_until_they_are_cleared() {
    let hospital = Hospital::new();
    let server = hospital.server();
    let file = hospital.site.home.path().join("rules.json");
    let rules = json!({ "rules": [
        { "wards": ["UTI"], "control_classes": ["controlled"], "pharmacy": "SAT-CC" },
        { "kinds": ["missing_dose"], "from": "22:00", "until": "06:00", "pharmacy": "SAT-CC" },
    ] });
    std::fs::write(&file, rules.to_string()).unwrap();
    let set = ["routing", "set", file.to_str().unwrap()];
    assert_eq!(server.refused(&hospital.davi, &set)["code"], "role_required");
    let written = server.json(&hospital.admin, &set);
    assert_eq!(server.json(&hospital.ana, &["routing", "list"]), written);
    let table = server.medreq(&hospital.ana).args(["routing", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&table.stdout).contains("22:00-06:00"));

    let pharmacy = |medication: &str| {
        server.create(&hospital.ana, &plain(medication, "1")).expect(201)["pharmacy"].as_str().unwrap().to_owned()
    };
    assert_eq!((pharmacy("MIDAZ-5"), pharmacy("DIPI-500")), ("SAT-CC".to_owned(), "CENTRAL".to_owned()));
    assert_eq!(server.json(&hospital.admin, &["routing", "clear", "--yes"]), json!({ "rules": [] }));
    assert_eq!(pharmacy("MORF-10"), "CENTRAL");
}
