//! The power goes in the middle of signing in, renewing, revoking and ending: what was acknowledged holds, and nothing is given twice.

use std::{
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use super::{AGAIN, World, text};
use crate::common::{Answer, Browser, Call, Machine, PASSWORD, eventually};

const KILLS: u64 = 5;

/// The first two revoke, end and keep; the others change their passwords, which ends all else of theirs.
const PEOPLE: usize = 4;

/// What somebody was told, and what must be true from then on.
#[derive(Clone)]
enum Fact {
    /// These tokens are dead.
    Dead { access: String, refresh: String },
    /// This password is the only one of this person: the one before, and the new one.
    Password { username: String, old: String, new: String },
}

/// What the threads share.
struct Run {
    url: RwLock<String>,
    stop: AtomicBool,
    acknowledged: AtomicU64,
    broken: AtomicU64,
    facts: Mutex<Vec<Fact>>,
    /// Refresh tokens that were given and not used.
    leaves: Mutex<Vec<String>>,
}

/// How a request that may be sent again was answered at last.
struct Told {
    answer: Answer,
    /// An earlier sending may have taken effect unseen.
    again: bool,
    /// Since the first sending.
    began: Instant,
}

impl Run {
    fn machine(&self, address: &str) -> Machine {
        Machine::at(&self.url.read().unwrap(), address)
    }

    /// Does something until the server has taken it whole.
    fn insist<T>(&self, what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
        eventually(what, || {
            let done = attempt();
            let counter = if done.is_some() { &self.acknowledged } else { &self.broken };
            counter.fetch_add(1, Ordering::Relaxed);
            done
        })
    }

    /// Sends a request until somebody answers it, as an app does whose connection broke.
    fn send(&self, what: &str, call: impl Fn() -> Call) -> Told {
        let (began, mut again) = (Instant::now(), false);
        let answer = self.insist(what, || match call().try_send() {
            Ok(answer) if answer.status < 500 => Some(answer),
            Ok(_) | Err(_) => {
                again = true;
                None
            }
        });
        Told { answer, again, began }
    }

    /// Signs in, renews, and ends what it got, in each way in turn.
    fn live(&self, n: usize) {
        let (username, address) = (format!("person{n}"), format!("10.2.{n}.1"));
        let mut password = PASSWORD.to_owned();
        for round in n.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let Some((access, refresh)) = self.session(&username, &password, &address) else { continue };
            let send = |method: &'static str, path: &str, body: &Value| {
                self.send(path, || self.machine(&address).call(&access, method, path).json(body))
            };
            let ended = match (n < PEOPLE / 2, round % 3) {
                (false, _) => {
                    let new = format!("{PASSWORD} {n} {round}");
                    let change = json!({"current_password": password, "new_password": new});
                    let ended = send("POST", "/auth/v1/me/password", &change);
                    let (username, old) = (username.clone(), std::mem::replace(&mut password, new.clone()));
                    self.facts.lock().unwrap().push(Fact::Password { username, old, new });
                    ended
                }
                (true, 0) => {
                    let me = self
                        .send("the sessions", || self.machine(&address).call(&access, "GET", "/auth/v1/me/sessions"));
                    let sessions = me.answer.expect(200);
                    let own = sessions["items"].as_array().unwrap().iter().find(|session| session["current"] == true);
                    send("DELETE", &format!("/auth/v1/me/sessions/{}", text(own.unwrap(), "sid")), &json!({}))
                }
                (true, 1) => {
                    let fields = [("client_id", "nurse-app"), ("token", refresh.as_str())];
                    self.send("a revocation", || self.machine(&address).post("/oauth2/revoke", &fields))
                }
                (true, _) => {
                    self.leaves.lock().unwrap().push(refresh);
                    continue;
                }
            };
            // Sent again it finds its token dead: it was done.
            let done = ended.answer.status / 100 == 2 || (ended.again && ended.answer.status == 401);
            assert!(done, "{username} {round}: {} {}", ended.answer.status, ended.answer.json);
            self.facts.lock().unwrap().push(Fact::Dead { access, refresh });
        }
    }

    /// A sign-in with its code redeemed and renewed three times; `None` where a crash was longer than what is forgiven.
    fn session(&self, username: &str, password: &str, address: &str) -> Option<(String, String)> {
        let mut browser = self.insist("a sign-in", || {
            let mut browser = Browser::new(&self.machine(address));
            let fields = [("username", username), ("password", password)];
            let answer = browser.try_submit("/login", "/login", &fields).ok()?;
            assert_ne!(answer.status, 422, "{username} is refused with the password that was acknowledged last");
            (answer.status == 303).then_some(browser)
        });
        let code = self.insist("a code", || {
            browser.machine = self.machine(address);
            browser.try_code("nurse-app").ok()
        });
        let redeem = || self.send("a redemption", || self.machine(address).redeem("nurse-app", &code));
        let first = redeem();
        if first.again && first.answer.status == 400 {
            // It was redeemed, and the answer is lost with its tokens: that is for the app to start anew.
            return None;
        }
        let mut tokens = first.answer.expect(200);
        let second = redeem();
        assert_eq!(second.answer.expect(400)["error"], "invalid_grant", "a code was redeemed twice");
        if first.began.elapsed() >= AGAIN {
            return None;
        }
        for _ in 0..3 {
            let refresh = text(&tokens, "refresh_token");
            let told = self.send("a refresh", || self.machine(address).refresh("nurse-app", refresh));
            if told.again && told.began.elapsed() >= AGAIN {
                return None;
            }
            tokens = told.answer.expect(200);
        }
        Some((text(&tokens, "access_token").to_owned(), text(&tokens, "refresh_token").to_owned()))
    }

    /// Looks whether all that was acknowledged is still so.
    fn check(&self, address: &str) {
        let machine = self.machine(address);
        let facts = self.facts.lock().unwrap().clone();
        for fact in facts.iter().rev().take(30) {
            let Fact::Dead { access, refresh } = fact else { continue };
            assert_eq!(machine.call(access, "GET", "/auth/v1/me").send().status, 401, "a dead token lives again");
            let refused = machine.refresh("nurse-app", refresh).send();
            assert_eq!(refused.expect(400)["error"], "invalid_grant", "a dead session is renewed");
        }
        let leaves = std::mem::take(&mut *self.leaves.lock().unwrap());
        let renewed = leaves.iter().map(|leaf| {
            let tokens = machine.refresh("nurse-app", leaf).send().expect(200);
            assert_eq!(machine.call(text(&tokens, "access_token"), "GET", "/auth/v1/me").send().status, 200);
            text(&tokens, "refresh_token").to_owned()
        });
        let renewed: Vec<_> = renewed.collect();
        self.leaves.lock().unwrap().extend(renewed);
    }

    /// The newest password of each person works, and the one before does not.
    fn check_passwords(&self) {
        let mut newest = std::collections::BTreeMap::new();
        for fact in &*self.facts.lock().unwrap() {
            if let Fact::Password { username, old, new } = fact {
                newest.insert(username.clone(), (old.clone(), new.clone()));
            }
        }
        assert!(!newest.is_empty(), "nobody changed a password: the test shows nothing");
        for (username, (old, new)) in newest {
            let machine = self.machine("10.2.99.1");
            assert_eq!(
                Browser::new(&machine).sign_in(&username, &old).status,
                422,
                "{username}: an old password works"
            );
            assert_eq!(Browser::new(&machine).sign_in(&username, &new).status, 303, "{username}: the new one is lost");
        }
    }
}

#[test]
fn what_was_acknowledged_of_a_sign_in_holds_when_the_power_goes() {
    let world = World::new();
    (0..PEOPLE).for_each(|n| world.person(&format!("person{n}")));
    let run = Run {
        url: RwLock::new(world.server().url.clone()),
        stop: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        broken: AtomicU64::new(0),
        facts: Mutex::default(),
        leaves: Mutex::default(),
    };
    let world = std::thread::scope(|scope| {
        let mut world = world;
        let people: Vec<_> = (0..PEOPLE)
            .map(|n| {
                scope.spawn({
                    let run = &run;
                    move || run.live(n)
                })
            })
            .collect();
        for kill in 0..KILLS {
            let target = run.acknowledged.load(Ordering::Relaxed) + 40 + 7 * kill;
            eventually("more acknowledged steps", || {
                let dead = people.iter().any(std::thread::ScopedJoinHandle::is_finished);
                assert!(!dead, "somebody gave up before kill {kill}");
                (run.acknowledged.load(Ordering::Relaxed) >= target).then_some(())
            });
            world = world.killed_and_restarted();
            run.url.write().unwrap().clone_from(&world.server().url);
            run.check(&format!("10.2.100.{kill}"));
        }
        run.stop.store(true, Ordering::Relaxed);
        people.into_iter().for_each(|person| person.join().unwrap());
        world
    });
    assert!(run.broken.load(Ordering::Relaxed) > 0, "no crash met a request: the test shows nothing");
    let world = world.killed_and_restarted();
    run.url.write().unwrap().clone_from(&world.server().url);
    run.check("10.2.101.1");
    run.check_passwords();

    let path = world.server().dir.join("medreq.db");
    let conn = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let forked =
        "SELECT count(*) FROM (SELECT sid FROM refresh_tokens WHERE used_at IS NULL GROUP BY sid HAVING count(*) > 1)";
    assert_eq!(count(forked), 0, "a family has two living leaves");
    let doubled = "SELECT count(*) FROM (SELECT sid FROM codes WHERE sid IS NOT NULL GROUP BY sid HAVING count(*) > 1)";
    assert_eq!(count(doubled), 0, "two codes opened one session");
    assert!(count("SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL") > 0);
    let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}
