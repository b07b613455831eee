//! How accounts come to be: by the command line on the server and by the first administrator's link (A12).

use serde_json::{Value, json};

use crate::common::{Server, Site, eventually, medreq};

/// A12, by `medreq user add`: one canonical account, nothing without a password, nothing endless.
#[test]
fn accounts_have_one_name_and_a_real_password() {
    let home = tempfile::TempDir::new().unwrap();
    let dir = home.path().join("data");
    let file = home.path().join("password");
    let add = |name: &str, password: &str| {
        std::fs::write(&file, password).unwrap();
        let mut command = medreq();
        command
            .args(["user", "add", name, "--name", "Alguém", "--role", "nurse", "--json", "--password-file"])
            .arg(&file);
        command.arg("--data-dir").arg(&dir).output().unwrap()
    };
    let refused = |name: &str, password: &str| {
        let output = add(name, password);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{name:?} was taken");
        let problem: Value = serde_json::from_str(&error).unwrap_or_else(|_| panic!("{error}"));
        (problem["code"].as_str().unwrap().to_owned(), problem["detail"].as_str().unwrap().to_owned())
    };
    for password in ["", "\n", "1234567", &"x".repeat(513), &"x".repeat(5 * 1024 * 1024)] {
        let (_, detail) = refused("joe", password);
        assert!(detail.contains("password") && !detail.contains("1234567"), "{detail}");
    }

    let joe = add("Joe", "correct horse battery");
    assert!(joe.status.success());
    let joe: Value = serde_json::from_slice(&joe.stdout).unwrap();
    let created_at = joe["created_at"].as_str().unwrap();
    assert!(created_at.len() <= "2030-01-31T12:00:00.000Z".len(), "times have milliseconds: {created_at}");
    for same in ["joe", "JOE", " joe "] {
        let (code, _) = refused(same, "correct horse battery");
        assert_eq!(code, "already_exists", "{same:?}");
    }
    assert!(add("jose\u{301}", "correct horse battery").status.success());
    assert_eq!(refused("JOS\u{c9}", "correct horse battery").0, "already_exists");
    assert!(add("李雷", "correct horse battery").status.success());
    for bad in ["", "a b", "a\u{200b}b", "a:b", "a/b", &"x".repeat(65)] {
        let output = add(bad, "correct horse battery");
        // The command line itself refuses it.
        assert_eq!(output.status.code(), Some(2), "{bad:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    let server = Server::start(&dir, &[]);
    for (typed, canonical) in [("JOE", "joe"), ("Jose\u{301}", "jos\u{e9}"), ("李雷", "李雷")] {
        let whoami = server.get(&server.token(typed), "/auth/v1/me");
        assert_eq!(whoami["username"], canonical);
    }
}

/// A12, by the form of the first administrator; the link works once, whatever was typed before.
#[test]
fn the_setup_link_takes_one_administrator() {
    let home = tempfile::TempDir::new().unwrap();
    let server = Server::start(&home.path().join("data"), &[]);
    let link = {
        let lines = server.lines.lock().unwrap();
        eventually("the setup link", || {
            let line = lines.recv_timeout(std::time::Duration::from_secs(1)).ok()?;
            line.find("http").map(|at| line[at..].trim().to_owned()).filter(|url| url.contains("/setup/"))
        })
    };
    let path = link.strip_prefix(&server.url).unwrap();
    let shown = server.call("", "GET", path).send();
    assert_eq!(shown.status, 200);
    let cookie = shown.header("set-cookie").split(';').next().unwrap().to_owned();
    let html = String::from_utf8(shown.bytes).unwrap();
    let proof = html.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let submit = |path: &str, username: &str, password: &str, repeat: &str| {
        let mut form = reqwest::Url::parse("form:").unwrap();
        form.query_pairs_mut().extend_pairs([
            ("token", proof),
            ("username", username),
            ("name", "José da Silva"),
            ("new_password", password),
            ("repeat", repeat),
        ]);
        let body = form.query().unwrap().to_owned();
        server.call("", "POST", path).header("cookie", &cookie).body("application/x-www-form-urlencoded", body).send()
    };
    let good = "correct horse battery";
    for (username, password, repeat) in [
        ("chefe", "", ""),
        ("chefe", "short", "short"),
        ("", good, good),
        ("a b", good, good),
        ("chefe", good, "other one"),
    ] {
        assert_eq!(submit(path, username, password, repeat).status, 422, "{username:?} {password:?}");
    }
    let huge = "x".repeat(5 * 1024 * 1024);
    assert!(matches!(submit(path, "chefe", &huge, &huge).status, 413 | 422));
    assert_eq!(submit("/setup/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "chefe", good, good).status, 410);
    assert_eq!(submit("/setup/%00%ff", "chefe", good, good).status / 100, 4);

    let done = submit(path, "Jose\u{301}", good, good);
    assert_eq!(done.status, 200, "{}", String::from_utf8_lossy(&done.bytes));
    assert!(!String::from_utf8_lossy(&done.bytes).contains(good));
    assert_eq!(submit(path, "second", good, good).status, 410, "the link works once");
    assert_eq!(server.call("", "GET", path).send().status, 410);
    let me = server.get(&server.token("jos\u{e9}"), "/auth/v1/me");
    assert_eq!((&me["username"], &me["roles"]), (&json!("jos\u{e9}"), &json!(["admin"])));
}

/// Links, secrets and keys as hospital IT handles them: what is secret goes into files that nobody else reads.
#[test]
fn secrets_go_into_private_files() {
    use std::os::unix::fs::PermissionsExt;
    let site = Site::new();
    let (server, admin) = (&site.server, site.token("admin"));
    let file = |name: &str| site.home.path().join(name).to_str().unwrap().to_owned();
    let private = |path: &str| {
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(path).unwrap()
    };

    let links = file("links.csv");
    let make = |names: &[&str]| {
        let mut command = server.medreq(&admin);
        command.args(["user", "reset-link"]).args(names).args(["--out", &links]).output().unwrap()
    };
    let refused = make(&["nobody"]);
    assert_eq!(refused.status.code(), Some(3));
    assert!(!std::path::Path::new(&links).exists(), "nothing is left in the way");
    let made = make(&["ana", "davi"]);
    assert!(made.status.success() && made.stdout.is_empty());
    let lines: Vec<String> = private(&links).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].starts_with(&format!("ana,{}/reset/", server.url)), "{lines:?}");
    assert_eq!(make(&["ana"]).status.code(), Some(1), "no file is overwritten");

    let secret = file("portal.secret");
    let add = ["client", "add", "portal", "--name", "Portal", "--confidential", "--redirect-uri", "https://p.test/cb"];
    let added = server.json(&admin, &[&add[..], &["--secret-file", &secret]].concat());
    assert!(added.get("client_secret").is_none() && added["confidential"] == true);
    let first = private(&secret);
    let again = file("portal.secret.2");
    server.json(&admin, &["client", "rotate-secret", "portal", "--yes", "--secret-file", &again]);
    assert_ne!(private(&again), first);
    let set =
        server.json(&admin, &["client", "set", "portal", "--scope", "openid,tickets:read", "--first-party", "true"]);
    assert_eq!((&set["scopes"], &set["first_party"]), (&json!(["openid", "tickets:read"]), &json!(true)));
    assert_eq!(server.json(&admin, &["client", "disable", "portal"])["disabled"], true);

    let policy = server.json(&admin, &["policy", "set", "--second-factor", "admin"]);
    assert_eq!(policy, server.json(&admin, &["policy", "show"]));
    let keys = |args: &[&str]| server.json(&admin, args)["items"].as_array().unwrap().len();
    let before = eventually("the RS256 key", || Some(keys(&["keys", "list"])).filter(|count| *count == 2));
    assert_eq!(keys(&["keys", "rotate"]), before + 2);
    server.get(&admin, "/auth/v1/me");
    assert_eq!(keys(&["keys", "rotate", "--now", "--yes"]), 2);
    assert_eq!(server.refused(&admin, &["whoami"])["code"], "invalid_token");
    server.get(&site.token("admin"), "/auth/v1/me");
}
