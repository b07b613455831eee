//! Signing in through the shipped binary over real sockets, by the bug reports of others (A1 to A12; A8 and A9 stand in `tokens.rs`).
//! Each test comes from an address of its own, so that none waits for another's mistakes.

mod attack;
mod audit;
mod changes;
mod crash;

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{Answer, BEHIND_PROXY, Browser, Machine, PASSWORD, REDIRECT, Server, Site, eventually, request};

/// What may come again within this time is a lost answer and no theft.
const AGAIN: Duration = Duration::from_secs(10);

/// A hospital behind a proxy, where `nurse-app` and `other-app` are registered.
struct World {
    site: Site,
    admin: String,
}

/// Weak, so that the last test to use it ends its server.
static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());

impl World {
    fn new() -> Self {
        let site = Site::behind_proxy();
        let admin = site.token("admin");
        ["nurse-app", "other-app"].iter().for_each(|app| site.server.register(&admin, app));
        Self { site, admin }
    }

    fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let world = Arc::new(Self::new());
            *shared = Arc::downgrade(&world);
            world
        })
    }

    fn server(&self) -> &Server {
        &self.site.server
    }

    fn person(&self, username: &str) {
        self.server().person(&self.admin, username, "nurse", &["UTI"]);
    }

    fn at(&self, address: &str) -> Machine {
        Machine::at(&self.server().url, address)
    }

    /// The power goes, and comes back.
    fn killed_and_restarted(self) -> Self {
        let Self { site: Site { server, home }, admin } = self;
        let dir = server.dir.clone();
        server.end(Signal::KILL);
        Self { site: Site { server: Server::start(&dir, BEHIND_PROXY), home }, admin }
    }
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[track_caller]
fn invalid_grant(answer: Answer) {
    assert_eq!(answer.expect(400)["error"], "invalid_grant");
}

fn lets_in(machine: &Machine, tokens: &Value) -> bool {
    machine.call(text(tokens, "access_token"), "GET", "/v1/tickets").send().status == 200
}

/// Nothing of these tokens works any more.
#[track_caller]
fn all_dead(machine: &Machine, tokens: &Value) {
    machine.call(text(tokens, "access_token"), "GET", "/v1/tickets").send().problem(401, "invalid_token");
    invalid_grant(machine.refresh("nurse-app", text(tokens, "refresh_token")).send());
}

/// So many at the same time.
fn parallel(times: usize, send: impl Fn(usize) -> Answer + Sync) -> Vec<Answer> {
    let send = &send;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..times).map(|n| scope.spawn(move || send(n))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn a1_of_fifty_parallel_refreshes_one_successor_comes_and_no_fork() {
    let world = World::shared();
    world.person("a1");
    let machine = world.at("10.1.1.1");
    let tokens = machine.tokens("nurse-app", "a1");
    let answers = parallel(50, |_| machine.refresh("nurse-app", text(&tokens, "refresh_token")).send());
    let successors: std::collections::BTreeSet<String> =
        answers.into_iter().map(|answer| text(&answer.expect(200), "refresh_token").to_owned()).collect();
    assert_eq!(successors.len(), 1, "the family has forked");
    let next = machine.refresh("nurse-app", successors.first().unwrap()).send().expect(200);
    assert!(lets_in(&machine, &next));
}

#[test]
fn a2_a_used_token_that_comes_again_after_a_crash_ends_the_family() {
    let world = World::new();
    world.person("a2");
    let machine = world.at("10.1.2.1");
    let first = machine.tokens("nurse-app", "a2");
    let second = machine.refresh("nurse-app", text(&first, "refresh_token")).send().expect(200);
    let third = machine.refresh("nurse-app", text(&second, "refresh_token")).send().expect(200);
    let other = machine.tokens("nurse-app", "a2");

    let world = world.killed_and_restarted();
    let machine = world.at("10.1.2.1");
    invalid_grant(machine.refresh("nurse-app", text(&first, "refresh_token")).send());
    all_dead(&machine, &third);
    all_dead(&machine, &second);

    let world = world.killed_and_restarted();
    let machine = world.at("10.1.2.1");
    all_dead(&machine, &third);
    assert!(lets_in(&machine, &other), "another sign-in of the same person goes on");
    machine.refresh("nurse-app", text(&other, "refresh_token")).send().expect(200);
}

#[test]
fn a3_a_lost_answer_is_given_again_also_after_a_crash() {
    let mut world = World::new();
    world.person("a3");
    for attempt in 1.. {
        let machine = world.at("10.1.3.1");
        let first = machine.tokens("nurse-app", "a3");
        let began = Instant::now();
        let lost = machine.refresh("nurse-app", text(&first, "refresh_token")).send().expect(200);
        let again = machine.refresh("nurse-app", text(&first, "refresh_token")).send().expect(200);
        assert_eq!(again["refresh_token"], lost["refresh_token"]);
        world = world.killed_and_restarted();
        let machine = world.at("10.1.3.1");
        let again = machine.refresh("nurse-app", text(&first, "refresh_token")).send();
        // On a machine too slow to start within the time there is nothing to see.
        if began.elapsed() >= AGAIN && attempt < 3 {
            continue;
        }
        let again = again.expect(200);
        assert_eq!(again["refresh_token"], lost["refresh_token"]);
        assert!(lets_in(&machine, &again) && lets_in(&machine, &lost));
        let next = machine.refresh("nurse-app", text(&lost, "refresh_token")).send().expect(200);
        invalid_grant(machine.refresh("nurse-app", text(&first, "refresh_token")).send());
        all_dead(&machine, &next);
        return;
    }
}

/// That a replay by the same app ends the session when it is late is proven in process, with a clock of the test's own.
#[test]
fn a4_a_code_is_redeemed_once_and_ends_its_session_in_other_hands() {
    let world = World::shared();
    world.person("a4");
    let machine = world.at("10.1.4.1");
    let code = Browser::signed_in(&machine, "a4").code("nurse-app");
    let (won, lost): (Vec<_>, Vec<_>) = parallel(20, |_| machine.redeem("nurse-app", &code).send())
        .into_iter()
        .partition(|answer| answer.status == 200);
    assert_eq!((won.len(), lost.len()), (1, 19));
    lost.into_iter().for_each(invalid_grant);
    assert!(lets_in(&machine, &won[0].json), "the winner stays signed in");
    let next = machine.refresh("nurse-app", text(&won[0].json, "refresh_token")).send().expect(200);

    invalid_grant(machine.redeem("other-app", &code).send());
    all_dead(&machine, &next);
}

#[test]
fn a5_a_code_of_one_app_or_device_is_worth_nothing_to_another() {
    let world = World::shared();
    world.person("a5");
    let machine = world.at("10.1.5.1");
    let mut browser = Browser::signed_in(&machine, "a5");
    let code = browser.code("nurse-app");
    invalid_grant(machine.redeem("other-app", &code).send());
    let tokens = machine.redeem("nurse-app", &code).send().expect(200);
    invalid_grant(machine.refresh("other-app", text(&tokens, "refresh_token")).send());
    assert!(lets_in(&machine, &tokens));

    let device = machine.post("/oauth2/device_authorization", &[("client_id", "nurse-app")]).send().expect(200);
    browser.decide(text(&device, "user_code"), "allow");
    invalid_grant(machine.poll("other-app", text(&device, "device_code")).send());
    let own = machine.poll("nurse-app", text(&device, "device_code")).send().expect(200);
    assert!(lets_in(&machine, &own));
    assert_eq!(machine.poll("nurse-app", text(&device, "device_code")).send().status, 400, "a device is let in once");
}

#[test]
fn a6_a7_only_a_registered_address_is_answered_and_a_port_is_free_on_loopback_alone() {
    let world = World::shared();
    world.person("a6");
    let machine = world.at("10.1.6.1");
    let mut browser = Browser::signed_in(&machine, "a6");
    let mut ask = |redirect_uri: &str| {
        let page = request("nurse-app", redirect_uri);
        let answer = browser.send("GET", &page, None).unwrap();
        if answer.status != 200 { answer } else { browser.answer(&answer, &page, &[("decision", "allow")]).unwrap() }
    };
    for astray in [
        "http://localhost:49152/cb",
        "http://localhost.evil.test/cb",
        "http://127.0.0.1.evil.test/cb",
        "http://127.0.0.1:49152@evil.test/cb",
        "http://a@b@127.0.0.1/cb",
        "http://127.0.0.1@evil.test@127.0.0.1:49152/cb",
        "http://127.0.0.1:49152/x/..;/cb",
        "http://127.0.0.1:49152/x/../cb",
        "http://127.0.0.1:49152/cb/",
        "http://127.0.0.1:49152/cb?next=http://evil.test",
        "http://127.0.0.1:49152/cb#x",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.2:49152/cb",
        "http://[::1]:49152/cb",
        "http://2130706433:49152/cb",
        "https://127.0.0.1:49152/cb",
        "https://app.example.org:8443/cb",
        "https://app.example.org.evil.test/cb",
        "https://app.example.org@evil.test/cb",
        "javascript:alert(1)//127.0.0.1/cb",
    ] {
        let answer = ask(astray);
        assert_eq!(answer.status, 400, "{astray}: {}", answer.header("location"));
        assert!(answer.header("location").is_empty() && answer.header("content-type").starts_with("text/html"));
        assert!(!String::from_utf8_lossy(&answer.bytes).contains("evil.test"), "no page leads there: {astray}");
    }
    for good in [REDIRECT, "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb", "http://127.0.0.1/cb"] {
        let answer = ask(good);
        assert_eq!(answer.status, 303, "{good}");
        assert!(answer.header("location").starts_with(&format!("{good}?code=")), "{}", answer.header("location"));
    }
    assert!(ask("https://app.example.org/cb").header("location").starts_with("https://app.example.org/cb?code="));
}

#[test]
fn a10_a_device_that_asks_too_often_is_slowed_down_and_still_let_in() {
    let world = World::shared();
    world.person("a10");
    let machine = world.at("10.1.10.1");
    let fields = [("client_id", "nurse-app"), ("device_name", "Tablet 3")];
    let device = machine.post("/oauth2/device_authorization", &fields).send().expect(200);
    let asked = || machine.poll("nurse-app", text(&device, "device_code")).send();
    assert_eq!(asked().expect(400)["error"], "authorization_pending");
    // On a machine so slow that the interval is over it asks again. The time is taken after the answer, when the server has long noted its own.
    let last = eventually("a hurry", || (asked().expect(400)["error"] == "slow_down").then(Instant::now));
    Browser::signed_in(&machine, "a10").decide(text(&device, "user_code"), "allow");
    // Five seconds, and five for the hurry.
    let tokens = eventually("the end of the back-off", || (last.elapsed() > AGAIN).then(asked)).expect(200);
    assert!(lets_in(&machine, &tokens));
}

#[test]
fn a11_what_a_disabled_account_or_an_old_password_got_is_dead() {
    let world = World::shared();
    let (server, machine) = (world.server(), world.at("10.1.11.1"));
    let service = |id: &str| {
        let body = json!({"client_id": id, "name": id, "scopes": ["tickets:read"]});
        let secret = server.call(&world.admin, "POST", "/auth/v1/service-accounts").json(&body).send().expect(201);
        text(&secret, "client_secret").to_owned()
    };
    let secret = service("a11-gateway");
    let is_active = |token: &str| {
        let fields = [("client_id", "a11-gateway"), ("client_secret", secret.as_str()), ("token", token)];
        machine.post("/oauth2/introspect", &fields).send().expect(200)["active"] == true
    };
    for (username, path, body) in [
        ("a11-disabled", "/auth/v1/users/a11-disabled", json!({"disabled": true})),
        ("a11-reset", "/auth/v1/users/a11-reset/password", json!({"password": "another horse battery"})),
    ] {
        world.person(username);
        let tokens = machine.tokens("nurse-app", username);
        assert!(is_active(text(&tokens, "access_token")));
        let method = if path.ends_with("password") { "POST" } else { "PATCH" };
        let changed = server.call(&world.admin, method, path).json(&body).send();
        assert_eq!(changed.status / 100, 2, "{path}: {}", changed.json);
        all_dead(&machine, &tokens);
        assert!(!is_active(text(&tokens, "access_token")), "{username}");
        let refused = Browser::new(&machine).sign_in(username, PASSWORD);
        assert_eq!(refused.status, 422, "{username}: {}", refused.header("location"));
    }
    let robot = service("a11-robot");
    let ask = || {
        let fields =
            [("grant_type", "client_credentials"), ("client_id", "a11-robot"), ("client_secret", robot.as_str())];
        machine.post("/oauth2/token", &fields).send()
    };
    let token = ask().expect(200);
    let disabled = server.call(&world.admin, "PATCH", "/auth/v1/service-accounts/a11-robot");
    disabled.json(&json!({"disabled": true})).send().expect(200);
    assert!(!lets_in(&machine, &token) && !is_active(text(&token, "access_token")));
    assert_eq!(ask().expect(401)["error"], "invalid_client");
}

/// That each refusal costs the same, and nothing where the password cannot be one, is proven in process by counting hashes.
#[test]
fn a12_one_person_has_one_name_and_no_odd_password_gets_in_or_costs_anything() {
    let world = World::shared();
    let machine = world.at("10.1.12.1");
    for username in ["a12joe", "jos\u{e9}12", "李雷12"] {
        world.person(username);
    }
    for (typed, canonical) in
        [("a12JOE", "a12joe"), (" a12Joe ", "a12joe"), ("JOSE\u{301}12", "jos\u{e9}12"), ("李雷12", "李雷12")]
    {
        let code = Browser::signed_in(&machine, typed).code("nurse-app");
        let tokens = machine.redeem("nurse-app", &code).send().expect(200);
        let me = machine.call(text(&tokens, "access_token"), "GET", "/auth/v1/me").send().expect(200);
        assert_eq!(me["username"], canonical, "{typed}");
    }
    let page = |username: &str, password: &str, status: u16| {
        let answer = Browser::new(&machine).sign_in(username, password);
        assert_eq!(answer.status, status, "{username:?}");
        String::from_utf8_lossy(&answer.bytes).into_owned()
    };
    let told = page("a12joe", "wrong horse", 422);
    for (username, password) in [("a12joe", ""), ("a12nobody", PASSWORD), ("a12nobody", ""), ("", "")] {
        let again = page(username, password, 422);
        let fault =
            |html: &str| html.split("id=\"fault\"").nth(1).map(|rest| rest[..rest.find("</").unwrap()].to_owned());
        assert!(fault(&told).is_some() && fault(&again) == fault(&told), "{username:?} {password:?}: {again}");
    }
    page("a12joe", &"x".repeat(513), 422);
    let huge = "x".repeat(5 * 1024 * 1024);
    page("a12joe", &huge, 413);
    // The same password to the API, whose bodies may be larger than a form, but not so large.
    let tokens = machine.tokens("nurse-app", "a12joe");
    let change = json!({"current_password": huge, "new_password": "another horse battery"});
    let refused = machine.call(text(&tokens, "access_token"), "POST", "/auth/v1/me/password").json(&change).send();
    assert_eq!(refused.status, 413);
    let change = json!({"current_password": "x".repeat(1_000_000), "new_password": "another horse battery"});
    let refused = machine.call(text(&tokens, "access_token"), "POST", "/auth/v1/me/password").json(&change).send();
    assert_eq!(refused.status, 422, "{}", refused.json);
    assert!(lets_in(&machine, &tokens));
}
