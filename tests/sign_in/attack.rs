//! Under attack: guessed passwords by the hundred, and strangers who hammer whatever is open. Others go on meanwhile.

use std::{
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Instant,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{World, text};
use crate::common::{Answer, BEHIND_PROXY, Browser, Machine, PASSWORD, Server, Site, eventually};

/// Memory of one hash, and hashes at a time: what guessing may cost at most, in KiB, beside the requests themselves.
const HASH_KIB: u64 = 19_456;
const HASHES_AT_ONCE: u64 = 2;

/// What a hundred connections and their requests may take, in KiB.
const REQUESTS_KIB: u64 = 48 * 1_024;

/// The most memory that a server ever held, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// How many of the attackers' tries were answered, and how.
#[derive(Default)]
struct Tries {
    wrong: AtomicU64,
    held_back: AtomicU64,
}

impl Tries {
    fn note(&self, answer: &Answer) {
        match answer.status {
            401 | 422 => self.wrong.fetch_add(1, Ordering::Relaxed),
            429 => {
                assert!(!answer.header("retry-after").is_empty());
                self.held_back.fetch_add(1, Ordering::Relaxed)
            }
            status => panic!("a wrong password is answered {status}: {}", String::from_utf8_lossy(&answer.bytes)),
        };
    }

    fn all(&self) -> u64 {
        self.wrong.load(Ordering::Relaxed) + self.held_back.load(Ordering::Relaxed)
    }
}

#[test]
#[expect(clippy::print_stdout, reason = "times depend on the machine: they are told, not asserted")]
fn a_hundred_guessers_keep_nobody_else_out_and_take_no_more_memory_than_two_hashes() {
    let world = World::new();
    ["victim", "other"].iter().for_each(|username| world.person(username));
    let stolen = world.at("10.3.0.1").tokens("nurse-app", "victim");
    let stolen = text(&stolen, "access_token");
    let attacker = world.at("203.0.113.9");
    // Forms are fetched from elsewhere: only guesses are counted here.
    let browsers = (0..60).map(|_| {
        let mut browser = Browser::new(&world.at("203.0.113.8"));
        let shown = browser.send("GET", "/login", None).unwrap();
        browser.machine = attacker.clone();
        (browser, shown)
    });
    let browsers: Vec<_> = browsers.collect();
    let before = peak_kib(world.server());
    let (tries, stop) = (Tries::default(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (tries, stop, attacker) = (&tries, &stop, &attacker);
        let guess = move |guess: &mut dyn FnMut() -> Answer| {
            while !stop.load(Ordering::Relaxed) {
                tries.note(&guess());
            }
        };
        for (n, (mut browser, shown)) in browsers.into_iter().enumerate() {
            let username = if n % 2 == 0 { "victim".to_owned() } else { format!("nobody{n}") };
            scope.spawn(move || {
                let fields = [("username", username.as_str()), ("password", "wrong horse")];
                guess(&mut || browser.answer(&shown, "/login", &fields).unwrap());
            });
        }
        // The other ways to try a password or a secret.
        for n in 0..40 {
            scope.spawn(move || {
                guess(&mut || match n % 2 {
                    0 => {
                        let change =
                            json!({"current_password": "wrong horse", "new_password": "another horse battery"});
                        attacker.call(stolen, "POST", "/auth/v1/me/password").json(&change).send()
                    }
                    _ => {
                        let fields =
                            [("grant_type", "client_credentials"), ("client_id", "his"), ("client_secret", "wrong")];
                        attacker.post("/oauth2/token", &fields).send()
                    }
                })
            });
        }
        eventually("the attack", || (tries.all() >= 20).then_some(()));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (who, address) in [("other", "198.51.100.7"), ("victim", "198.51.100.8")] {
                let (began, machine) = (Instant::now(), world.at(address));
                let tokens = machine.tokens("nurse-app", who);
                println!("{who} signs in during the attack within {} ms", began.elapsed().as_millis());
                assert!(super::lets_in(&machine, &tokens));
            }
            let so_far = tries.all();
            eventually("that the attack goes on", || (tries.all() > so_far + 20).then_some(()));
        }));
        stop.store(true, Ordering::Relaxed);
        ended.unwrap();
    });
    let (wrong, held_back) = (tries.wrong.into_inner(), tries.held_back.into_inner());
    let grown = peak_kib(world.server()) - before;
    println!("{wrong} guesses were looked at, {held_back} held back; memory grew by {grown} KiB from {before} KiB");
    assert!(wrong <= 100 && held_back > wrong, "guessing is not slowed down");
    assert!(grown <= HASH_KIB * HASHES_AT_ONCE + REQUESTS_KIB, "memory grew by {grown} KiB");
}

/// The open operations of the document, as method and path.
fn open_operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap().iter();
    let operations =
        paths.flat_map(|(path, item)| item.as_object().unwrap().iter().map(move |(method, op)| (path, method, op)));
    let open = operations.filter(|(.., operation)| {
        let any = operation["security"].as_array();
        any.is_some_and(|any| any.iter().any(|one| one.as_object().is_some_and(serde_json::Map::is_empty)))
    });
    open.map(|(path, method, _)| (method.to_uppercase(), path.clone())).collect()
}

/// Who watches over the server is not held back: `/metrics` is for known addresses, the others cost nothing.
const WATCHED: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Pages stand in no document.
const PAGES: [(&str, &str); 16] = [
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout"),
    ("GET", "/oauth2/authorize"),
    ("POST", "/oauth2/authorize"),
    ("GET", "/device"),
    ("POST", "/device"),
    ("GET", "/account"),
    ("POST", "/account/sessions/end"),
    ("POST", "/account/sessions/end-all"),
    ("GET", "/account/password"),
    ("POST", "/account/password"),
    ("GET", "/setup/x"),
    ("POST", "/setup/x"),
    ("GET", "/reset/x"),
    ("POST", "/reset/x"),
];

#[test]
fn whatever_is_open_holds_back_who_hammers_it_and_nobody_else() {
    let home = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.env("MEDREQ_LIMITS__OPEN_BURST", "8").env("MEDREQ_LIMITS__OPEN_PER_SECOND", "1");
    let server = Server::start_by(command, &home.path().join("data"), BEHIND_PROXY);
    let site = Site::over(server, home);
    let (server, admin) = (&site.server, site.token("admin"));
    let document = server.get(&admin, "/openapi.json");
    let documented = open_operations(&document);
    assert!(documented.len() > 10, "{documented:?}");
    let pages = PAGES.map(|(method, path)| (method.to_owned(), path.to_owned()));
    for (n, (method, path)) in documented.into_iter().chain(pages).enumerate() {
        let (stranger, other) =
            (Machine::at(&server.url, format!("10.4.{n}.1")), Machine::at(&server.url, format!("10.4.{n}.2")));
        let ask = |machine: &Machine| match method.as_str() {
            "POST" => machine.post(&path, &[("client_id", "nobody")]).send(),
            method => machine.call("", method, &path).send(),
        };
        if WATCHED.contains(&path.as_str()) {
            assert!((0..30).all(|_| ask(&stranger).status != 429), "{path}");
            continue;
        }
        let answers = (0..200).map(|_| ask(&stranger));
        let refused = answers.into_iter().find(|answer| answer.status == 429);
        let refused = refused.unwrap_or_else(|| panic!("{method} {path} holds nobody back"));
        assert!(refused.header("retry-after").parse::<u64>().unwrap() >= 1, "{method} {path}");
        let told = refused.header("content-type").to_owned();
        match path.as_str() {
            "/oauth2/token" | "/oauth2/revoke" | "/oauth2/introspect" | "/oauth2/device_authorization" => {
                assert_eq!(told, "application/json", "{path}: {}", refused.json);
                assert_eq!(refused.expect(429)["error"], "slow_down");
            }
            path if PAGES.iter().any(|(_, page)| *page == path) => {
                assert!(told.starts_with("text/html"), "{path}: {told}")
            }
            _ => drop(refused.problem(429, "too_many_requests")),
        }
        assert_ne!(ask(&other).status, 429, "{method} {path} holds others back, too");
        server.call(&admin, "GET", "/auth/v1/me").header("x-forwarded-for", &format!("10.4.{n}.1")).send().expect(200);
    }
    site.server.person(&admin, "patient", "nurse", &["UTI"]);
    assert_eq!(Browser::new(&Machine::at(&server.url, "10.4.200.1")).sign_in("patient", PASSWORD).status, 303);
}
