//! The power goes, twenty times, in the middle of the work: what was acknowledged is there, once, and the file is whole.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::{Answer, Call, Feed, Server, Site, eventually, medreq, wish};

const KILLS: usize = 20;
const WRITERS: usize = 16;

/// Chooses the points of the kills, so that a failure can be looked at again; what runs at that moment is chance all the same.
const SEED: u64 = 0x6d65_6472_6571;

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A write that was acknowledged, and what may be sent again.
struct Acknowledged {
    write: Write,
    answer: Value,
}

#[derive(Clone)]
struct Write {
    token: String,
    path: String,
    key: String,
    version: Option<u64>,
    body: Value,
}

impl Write {
    fn send(&self, url: &str) -> Result<Answer, reqwest::Error> {
        let call = Call::new(url, &self.token, "POST", &self.path).key(&self.key).json(&self.body);
        match self.version {
            Some(version) => call.version(version).try_send(),
            None => call.try_send(),
        }
    }
}

/// What the threads share.
struct Run {
    url: RwLock<String>,
    stop: AtomicBool,
    acknowledged: AtomicU64,
    repeated: AtomicU64,
    writes: Mutex<Vec<Acknowledged>>,
    nurse: String,
    pharmacist: String,
}

impl Run {
    fn url(&self) -> String {
        self.url.read().unwrap().clone()
    }

    /// Sends a write under its one key until somebody answers, as an app does whose connection broke.
    fn insist(&self, write: Write) -> Value {
        let answer = eventually("an answer to a write", || match write.send(&self.url()) {
            Ok(answer) if answer.status < 500 => Some(answer),
            Ok(_) | Err(_) => {
                self.repeated.fetch_add(1, Ordering::Relaxed);
                None
            }
        });
        assert!(matches!(answer.status, 200 | 201), "{} {}", write.path, answer.json);
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        self.writes.lock().unwrap().push(Acknowledged { write, answer: answer.json.clone() });
        answer.json
    }

    /// Asks, claims, comments, gives back, until it is told to stop; never leaves a write unanswered.
    fn work(&self, writer: usize) {
        for round in 0.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let key = |step: &str| format!("crash-{writer}-{round}-{step}");
            let ward = ["UTI", "PED"][writer % 2];
            let create = Write {
                token: self.nurse.clone(),
                path: "/v1/tickets".to_owned(),
                key: key("create"),
                version: None,
                body: wish(ward, "DIPI-500", "2"),
            };
            let ticket = self.insist(create);
            let id = ticket["id"].as_str().unwrap();
            let command = |name: &str, version: Option<u64>, body: Value| Write {
                token: self.pharmacist.clone(),
                path: format!("/v1/tickets/{id}/{name}"),
                key: key(name),
                version,
                body,
            };
            let claimed = self.insist(command("claim", Some(1), json!({})));
            assert_eq!((&claimed["status"], &claimed["version"]), (&json!("claimed"), &json!(2)));
            self.insist(command("comment", None, json!({"text": "a caminho"})));
            let released = self.insist(command("release", Some(2), json!({})));
            assert_eq!((&released["status"], &released["version"]), (&json!("open"), &json!(3)));
        }
    }

    /// Reads the feed over all crashes, resuming after the last event seen, until it has seen `seq`.
    fn follow(&self, reader: &str, first: &str, until: &RwLock<Option<u64>>) -> Vec<u64> {
        let (mut seen, mut last) = (Vec::new(), first.to_owned());
        loop {
            let mut feed = eventually("the feed", || Feed::open(&self.url(), reader, Some(&last)).ok());
            loop {
                let end = *until.read().unwrap();
                if end.is_some_and(|end| seen.last().is_some_and(|seen| *seen >= end)) {
                    return seen;
                }
                match feed.next(Duration::from_millis(200)) {
                    Ok(Some(event)) => {
                        seen.push(event.data["seq"].as_u64().unwrap());
                        last = event.id;
                    }
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_goes() {
    let Site { server, home } = Site::stocked();
    let [nurse, pharmacist, auditor] = ["carla", "davi", "iara"].map(|name| server.token(name));
    let mut feed = Feed::open(&server.url, &auditor, None).unwrap();
    server.create(&nurse, &wish("UTI", "HEPA-5000", "1")).expect(201);
    let first = eventually("the first event", || feed.next(Duration::from_secs(1)).unwrap());
    drop(feed);

    let run = Run {
        url: RwLock::new(server.url.clone()),
        stop: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
        repeated: AtomicU64::new(0),
        writes: Mutex::default(),
        nurse,
        pharmacist,
    };
    let last_seq = RwLock::new(None);
    let (server, seen) = std::thread::scope(|scope| {
        let mut server = server;
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                scope.spawn({
                    let run = &run;
                    move || run.work(writer)
                })
            })
            .collect();
        let reader = scope.spawn(|| run.follow(&auditor, &first.id, &last_seq));
        let mut dice = Dice(SEED);
        for kill in 0..KILLS {
            let target = run.acknowledged.load(Ordering::Relaxed) + dice.below(48);
            eventually("more acknowledged writes", || {
                let all = run.acknowledged.load(Ordering::Relaxed);
                let dead = writers.iter().any(std::thread::ScopedJoinHandle::is_finished);
                assert!(!dead, "a writer gave up before kill {kill}");
                (all >= target).then_some(())
            });
            let dir = server.dir.clone();
            server.end(Signal::KILL);
            server = Server::start(&dir, &[]);
            run.url.write().unwrap().clone_from(&server.url);
        }
        run.stop.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        *last_seq.write().unwrap() = Some(events_of(&server).last().unwrap().seq);
        (server, reader.join().unwrap())
    });
    assert!(run.repeated.load(Ordering::Relaxed) > 0, "no crash met a write: the test shows nothing");

    let writes = run.writes.into_inner().unwrap();
    assert_each_is_there_once(&server, &auditor, &writes);
    assert_log_is_whole(&server, &seen, first.data["seq"].as_u64().unwrap());
    assert_backup_proves_it(&server, home.path());
}

/// Sent again under its key each write has its first answer, and there are as many tickets as keys of creates.
fn assert_each_is_there_once(server: &Server, auditor: &str, writes: &[Acknowledged]) {
    let creates = writes.iter().filter(|done| done.write.path == "/v1/tickets").count();
    let ids: BTreeSet<&str> = writes.iter().filter_map(|done| done.answer["id"].as_str()).collect();
    assert_eq!(ids.len(), creates, "two keys have one ticket, or one key two");
    let total = || server.get(auditor, "/v1/tickets?limit=1")["total"].as_u64().unwrap();
    let before = total();
    assert_eq!(before, creates as u64 + 1);
    for done in writes {
        let again = done.write.send(&server.url).unwrap();
        assert_eq!(again.json, done.answer, "{} under {}", done.write.path, done.write.key);
    }
    assert_eq!(total(), before);
    for id in &ids {
        let ticket = server.get(auditor, &format!("/v1/tickets/{id}"));
        assert_eq!((&ticket["version"], &ticket["status"]), (&json!(3), &json!("open")), "{ticket}");
        let history = server.get(auditor, &format!("/v1/tickets/{id}/history"));
        let told: Vec<(&str, u64)> = history["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| (event["event"].as_str().unwrap(), event["version"].as_u64().unwrap()))
            .collect();
        assert_eq!(told, [("created", 1), ("claimed", 2), ("commented", 2), ("released", 3)], "{history}");
    }
}

struct StoredEvent {
    seq: u64,
    ticket: String,
    version: u64,
}

fn database(server: &Server) -> Connection {
    Connection::open_with_flags(server.dir.join("medreq.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn events_of(server: &Server) -> Vec<StoredEvent> {
    let conn = database(server);
    let mut query = conn.prepare("SELECT seq, ticket, version FROM events ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| {
        let number = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
        Ok(StoredEvent { seq: number(0)?, ticket: row.get(1)?, version: number(2)? })
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// No gap in the log, none in a ticket's versions; the feed told every event once; the file is sound.
fn assert_log_is_whole(server: &Server, seen: &[u64], first: u64) {
    let events = events_of(server);
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (1..=events.len() as u64).collect::<Vec<_>>());
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &events {
        let version = versions.entry(&event.ticket).or_default();
        assert!(event.version == *version || event.version == *version + 1, "ticket {} jumps", event.ticket);
        *version = event.version;
    }
    assert_eq!(seen, (first + 1..=events.len() as u64).collect::<Vec<_>>(), "the feed has a gap or a duplicate");
    let sound: String = database(server).query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(sound, "ok");
}

/// A backup's verification folds every event and compares the result with what is stored.
fn assert_backup_proves_it(server: &Server, home: &std::path::Path) {
    let backups = home.join("backups");
    medreq()
        .args(["backup", "create", "--json", "--data-dir"])
        .arg(&server.dir)
        .arg("--to")
        .arg(&backups)
        .assert()
        .success();
    let made = std::fs::read_dir(&backups).unwrap().next().unwrap().unwrap().path();
    medreq().args(["backup", "verify"]).arg(made).assert().success();
}
