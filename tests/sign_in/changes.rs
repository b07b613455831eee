//! What is taken from somebody is gone, from their requests and from the streams that they have open; what is given is there.

use std::time::Duration;

use serde_json::{Value, json};

use super::{World, text};
use crate::common::{DEADLINE, Feed, Machine, PASSWORD, wish};

/// What an administrator or the person does, by requests.
type Change = fn(&Person<'_>);

/// What a request of the person is answered before and after.
struct Case {
    name: &'static str,
    role: &'static str,
    wards: &'static [&'static str],
    change: Change,
    asks: &'static str,
    before: u16,
    after: u16,
}

/// Somebody who is signed in and reads along.
struct Person<'a> {
    world: &'a World,
    username: String,
    app: String,
    tokens: Value,
    machine: Machine,
}

impl Person<'_> {
    fn patched(&self, path: &str, body: &Value) {
        self.world.server().call(&self.world.admin, "PATCH", path).json(body).send().expect(200);
    }

    fn user(&self, body: &Value) {
        self.patched(&format!("/auth/v1/users/{}", self.username), body);
    }

    fn own(&self, method: &str, path: &str, body: &Value) {
        let answer = self.machine.call(text(&self.tokens, "access_token"), method, path).json(body).send();
        assert_eq!(answer.status / 100, 2, "{method} {path}: {}", answer.json);
    }

    fn asks(&self, path: &str) -> u16 {
        self.machine.call(text(&self.tokens, "access_token"), "GET", path).send().status
    }
}

/// In place of the ticket of ward PED that all is asked about.
const TICKET: &str = "/v1/tickets/{of PED}";

const CASES: &[Case] = &[
    Case {
        name: "role",
        role: "auditor",
        wards: &["UTI"],
        change: |person| person.user(&json!({"roles": ["nurse"]})),
        asks: TICKET,
        before: 200,
        after: 404,
    },
    Case {
        name: "ward-taken",
        role: "nurse",
        wards: &["UTI", "PED"],
        change: |person| person.user(&json!({"wards": ["UTI"]})),
        asks: TICKET,
        before: 200,
        after: 404,
    },
    Case {
        name: "ward-given",
        role: "nurse",
        wards: &["UTI"],
        change: |person| person.user(&json!({"wards": ["UTI", "PED"]})),
        asks: TICKET,
        before: 404,
        after: 200,
    },
    Case {
        name: "disabled",
        role: "nurse",
        wards: &["PED"],
        change: |person| person.user(&json!({"disabled": true})),
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "own-password",
        role: "nurse",
        wards: &["PED"],
        change: |person| {
            let change = json!({"current_password": PASSWORD, "new_password": "another horse battery"});
            person.own("POST", "/auth/v1/me/password", &change);
        },
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "session-ended",
        role: "nurse",
        wards: &["PED"],
        change: |person| {
            let me = person.machine.call(text(&person.tokens, "access_token"), "GET", "/auth/v1/me/sessions").send();
            let sessions = me.expect(200);
            let own = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true).unwrap();
            let path = format!("/auth/v1/users/{}/sessions/{}", person.username, text(own, "sid"));
            assert_eq!(person.world.server().call(&person.world.admin, "DELETE", &path).send().status, 204);
        },
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "signed-out-everywhere",
        role: "nurse",
        wards: &["PED"],
        change: |person| {
            // By the command line: an app that is not the hospital's own may not.
            let server = person.world.server();
            let ended = server.call(&server.token(&person.username), "DELETE", "/auth/v1/me/sessions").send();
            assert_eq!(ended.status, 204);
        },
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "token-revoked",
        role: "nurse",
        wards: &["PED"],
        change: |person| {
            let fields = [("client_id", person.app.as_str()), ("token", text(&person.tokens, "access_token"))];
            assert_eq!(person.machine.post("/oauth2/revoke", &fields).send().status, 200);
        },
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "app-disabled",
        role: "nurse",
        wards: &["PED"],
        change: |person| person.patched(&format!("/auth/v1/clients/{}", person.app), &json!({"disabled": true})),
        asks: TICKET,
        before: 200,
        after: 401,
    },
    Case {
        name: "app-narrowed",
        role: "nurse",
        wards: &["PED"],
        change: |person| person.patched(&format!("/auth/v1/clients/{}", person.app), &json!({"scopes": ["openid"]})),
        asks: TICKET,
        before: 200,
        after: 403,
    },
];

/// That it takes five seconds at most follows from how often the server looks, which `live.rs` holds against the promise: a clock here would
/// measure the machine.
#[test]
fn a_change_acts_on_requests_and_ends_open_streams() {
    let world = World::shared();
    let server = world.server();
    let medication = "code,name,unit,control_class,packs\nCHG-1,Água,g,none,kg=1000\n";
    server.import(&world.admin, "medications", medication);
    let ticket = server.create(&world.site.token("carla"), &wish("PED", "CHG-1", "1")).expect(201);
    let ticket = format!("/v1/tickets/{}", text(&ticket, "id"));
    let path = |asks: &str| if asks == TICKET { ticket.clone() } else { asks.to_owned() };
    let enter = |n: usize, name: &str, role: &str, wards: &[&str]| {
        let (username, app) = (format!("chg-{name}"), format!("app-{name}"));
        server.person(&world.admin, &username, role, wards);
        server.register(&world.admin, &app);
        let machine = world.at(&format!("10.5.{n}.1"));
        let tokens = machine.tokens(&app, &username);
        let feed = Feed::open(&server.url, text(&tokens, "access_token"), None).unwrap();
        (Person { world: &world, username, app, tokens, machine }, feed)
    };
    let (bystander, mut quiet) = enter(100, "bystander", "nurse", &["PED"]);

    for (n, case) in CASES.iter().enumerate() {
        let (person, mut feed) = enter(n, case.name, case.role, case.wards);
        assert_eq!(person.asks(&path(case.asks)), case.before, "{} before", case.name);
        (case.change)(&person);
        // The stream that ends says so; as long as it does not, there is nothing to tell on it.
        let ended = feed.next(DEADLINE).map(|event| event.map(|event| event.data));
        assert!(ended.is_err(), "{}: the stream goes on: {ended:?}", case.name);
        assert_eq!(person.asks(&path(case.asks)), case.after, "{} after", case.name);
        assert!(feed.retry.is_some(), "{}: nothing says when to come back", case.name);
        let again = Feed::open(&server.url, text(&person.tokens, "access_token"), None).err();
        let refused = matches!(case.after, 401 | 403).then(|| format!("the feed answers {}", case.after));
        assert_eq!(again.map(|text| text[.."the feed answers 401".len()].to_owned()), refused, "{}", case.name);
    }
    assert_eq!(bystander.asks(&ticket), 200);
    assert!(quiet.next(Duration::ZERO).is_ok(), "a stream ended whose reader nobody touched");
}
