//! What hospital IT meets: bad directories, taken ports, full disks, demos, ends, backups. Each failure says what to do and changes nothing.

use std::{
    fs,
    io::Write as _,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use rustix::process::{Signal, geteuid};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Feed, Server, Site, data, eventually, medreq, wish};

/// Fifteen seconds are promised; a busy machine notices the end later. What ends only when a slow client has taken all its time takes longer.
const IN_TIME: Duration = Duration::from_secs(25);

/// How a command that must fail failed.
struct Failed {
    code: i32,
    problem: Value,
}

impl Failed {
    fn detail(&self) -> &str {
        self.problem["detail"].as_str().unwrap()
    }
}

#[track_caller]
fn fails(args: &[&str]) -> Failed {
    fails_by(medreq(), args)
}

#[track_caller]
fn fails_by(mut command: assert_cmd::Command, args: &[&str]) -> Failed {
    let output = command.args(args).arg("--json").timeout(Duration::from_secs(60)).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{args:?} succeeded");
    // The log may stand before it.
    let start = stderr.find("{\n").unwrap_or_else(|| panic!("{args:?}: {stderr}"));
    let problem: Value = serde_json::from_str(&stderr[start..]).unwrap_or_else(|error| panic!("{error}: {stderr}"));
    assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{stderr}");
    Failed { code: output.status.code().unwrap(), problem }
}

#[track_caller]
fn up_fails(dir: &Path, more: &[&str]) -> Failed {
    let args = [&["up", "--listen", "127.0.0.1:0", "--data-dir", dir.to_str().unwrap()], more].concat();
    fails(&args)
}

fn succeeds(args: &[&str]) -> String {
    let output = medreq().args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A directory that a server has served and left.
fn served() -> (TempDir, std::path::PathBuf) {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let (status, _) = Server::start(&dir, &[]).end(Signal::TERM);
    assert!(status.success());
    (home, dir)
}

#[test]
fn a_port_in_use_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let home = TempDir::new().unwrap();
    for profile in [&[][..], &["--demo"]] {
        let dir = home.path().join("data");
        let args = [&["up", "--listen", &address, "--data-dir", dir.to_str().unwrap()], profile].concat();
        let failed = fails(&args);
        assert_eq!(failed.problem["code"], "listen_failed");
        assert!(failed.detail().contains(&address), "{}", failed.detail());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "something was left behind");
    }
}

#[test]
fn a_directory_in_use_is_left_to_its_server() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let server = Server::start(&dir, &[]);
    let failed = up_fails(&dir, &[]);
    assert_eq!(failed.problem["code"], "data_dir_in_use");
    assert!(failed.detail().contains("process"), "{}", failed.detail());
    assert_eq!(server.call("", "GET", "/readyz").send().status, 200, "the first server goes on");
    let backups = home.path().join("backups");
    succeeds(&["backup", "create", "--data-dir", dir.to_str().unwrap(), "--to", backups.to_str().unwrap()]);
    let backup = only_entry(&backups);
    for inside in [dir.clone(), dir.join("new/backups")] {
        let failed =
            fails(&["backup", "create", "--data-dir", dir.to_str().unwrap(), "--to", inside.to_str().unwrap()]);
        assert_eq!(failed.problem["code"], "backup_within_data");
        assert!(!dir.join("new").exists(), "something was made in the data directory");
    }
    let failed = fails(&["restore", backup.to_str().unwrap(), "--replace", "--data-dir", dir.to_str().unwrap()]);
    assert_eq!(failed.problem["code"], "data_dir_in_use");
    assert_eq!(server.call("", "GET", "/readyz").send().status, 200);
}

#[test]
fn a_file_a_stranger_and_a_newer_schema_are_refused() {
    let (home, dir) = served();
    let file = home.path().join("file");
    fs::write(&file, "text").unwrap();
    assert_eq!(up_fails(&file, &[]).problem["code"], "data_dir_not_a_directory");
    assert_eq!(fs::read(&file).unwrap(), b"text");

    let failed = up_fails(Path::new("/proc/medreq"), &[]);
    assert_eq!(failed.problem["code"], "data_dir_not_writable");
    assert!(failed.detail().contains("cannot be made"), "{}", failed.detail());

    let stranger = home.path().join("stranger");
    fs::create_dir(&stranger).unwrap();
    let conn = rusqlite::Connection::open(stranger.join("medreq.db")).unwrap();
    conn.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(conn);
    let before = fs::read(stranger.join("medreq.db")).unwrap();
    assert_eq!(up_fails(&stranger, &[]).problem["code"], "data_dir_not_medreq");
    assert_eq!(fs::read(stranger.join("medreq.db")).unwrap(), before);

    let conn = rusqlite::Connection::open(dir.join("medreq.db")).unwrap();
    conn.pragma_update(None, "user_version", 999).unwrap();
    drop(conn);
    let failed = up_fails(&dir, &[]);
    assert_eq!(failed.problem["code"], "data_dir_newer_schema");
    assert!(failed.detail().contains("999"), "{}", failed.detail());
}

#[test]
fn a_damaged_database_stops_the_start() {
    for damage in ["header", "middle", "empty tail", "text"] {
        let (_home, dir) = served();
        let file = dir.join("medreq.db");
        let mut bytes = fs::read(&file).unwrap();
        let size = bytes.len();
        match damage {
            "header" => bytes[..100].fill(0xa5),
            "middle" => bytes[4_096..].fill(0xa5),
            "empty tail" => bytes.truncate(size / 2 / 4_096 * 4_096),
            _ => bytes = b"this is no database, it is a note that somebody copied here by mistake".to_vec(),
        }
        fs::write(&file, &bytes).unwrap();
        let failed = up_fails(&dir, &[]);
        assert_eq!(failed.problem["code"], "data_dir_corrupted", "{damage}: {}", failed.detail());
        assert!(failed.detail().contains("restore"), "{damage}: {}", failed.detail());
        assert!(fs::read(&file).unwrap() == bytes, "{damage}: the damaged file was changed");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let (home, dir) = served();
    let (program, nobody) = (home.path().join("medreq"), 65_534);
    if geteuid().is_root() {
        // Root writes everywhere: somebody else tries, with a program that they can reach.
        fs::copy(env!("CARGO_BIN_EXE_medreq"), &program).unwrap();
        fs::set_permissions(home.path(), fs::Permissions::from_mode(0o755)).unwrap();
        chown(&dir, Some(nobody), Some(nobody)).unwrap();
        for entry in fs::read_dir(&dir).unwrap() {
            chown(entry.unwrap().path(), Some(nobody), Some(nobody)).unwrap();
        }
    }
    let command = || {
        if !geteuid().is_root() {
            return medreq();
        }
        let mut other = Command::new(&program);
        other.uid(nobody).gid(nobody).current_dir("/");
        assert_cmd::Command::from_std(other)
    };
    let up = ["up", "--listen", "127.0.0.1:0", "--data-dir", dir.to_str().unwrap()];
    for (path, closed, code) in [
        (dir.clone(), 0o500, "data_dir_not_writable"),
        (dir.join("medreq.db"), 0o400, "data_dir_not_writable"),
        (dir.join("catalog.db"), 0o400, "store_unavailable"),
    ] {
        fs::set_permissions(&path, fs::Permissions::from_mode(closed)).unwrap();
        let failed = fails_by(command(), &up);
        assert_eq!(mode(&path), closed, "its mode is its owner's choice");
        fs::set_permissions(&path, fs::Permissions::from_mode(closed | 0o200)).unwrap();
        assert_eq!((failed.problem["code"].as_str(), failed.code), (Some(code), 1), "{}", failed.detail());
        let told = failed.detail();
        assert!(told.contains(path.to_str().unwrap()) && told.contains("check its owner, its mode"), "{told}");
    }
}

/// A small file system in memory, for as long as the test runs.
struct Disk(PathBuf);

impl Disk {
    /// `None`, and a word about it, where this machine does not let the test mount one.
    fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let options = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        // Past the capture of the test runner: nobody should believe that it ran.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no file system can be mounted here; run this test as root");
        None
    }

    fn read_only(&self) {
        let done = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_disk_without_room_is_told_and_outlived() {
    let Site { server, home } = Site::stocked();
    let nurse = server.token("ana");
    let served = server.dir.clone();
    server.end(Signal::TERM);
    let dir = home.path().join("disk");
    let Some(disk) = Disk::mount(&dir, 24) else { return };
    let copied = Command::new("cp").arg("-a").arg(served.join(".")).arg(&dir).status().unwrap();
    assert!(copied.success());
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.env("MEDREQ_SERVER__DISK_FREE_MIN_MIB", "10");
    let server = Server::start_by(command, &dir, &[]);
    let health = readyz_says(&server, 200, "/status", "ok");
    assert_eq!(health["checks"]["disk"], "ok", "{health}");

    // Somebody fills the disk: first nearly, then wholly.
    let ballast = dir.join("ballast");
    let free = rustix::fs::statvfs(&dir).unwrap();
    fs::write(&ballast, vec![0; (free.f_bavail * free.f_frsize) as usize - (6 << 20)]).unwrap();
    readyz_says(&server, 200, "/status", "degraded");
    fs::write(dir.join("more"), vec![0; 16 << 20]).unwrap_err();
    let health = readyz_says(&server, 503, "/status", "unavailable");
    assert!(health["checks"]["disk"].as_str().unwrap().contains("make room"), "{health}");

    let mut body = wish("UTI", "HEPA-5000", "1");
    body["note"] = json!("x".repeat(1_900));
    let (mut taken, mut last) = (0_u64, String::new());
    let refused = eventually("a full disk", || {
        last = format!("full-{taken}");
        let answer = server.call(&nurse, "POST", "/v1/tickets").key(&last).json(&body).send();
        taken += u64::from(answer.status == 201);
        (answer.status != 201).then_some(answer)
    });
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(503, "disk_full");
    assert_eq!(server.get(&nurse, "/v1/tickets")["total"], taken, "something was half done");

    // A backup to such a disk says which it is, and leaves nothing there.
    let backups = dir.join("backups");
    let failed =
        fails(&["backup", "create", "--data-dir", served.to_str().unwrap(), "--to", backups.to_str().unwrap()]);
    assert_eq!(failed.problem["code"], "disk_full");
    assert!(failed.detail().contains(backups.to_str().unwrap()), "{}", failed.detail());
    assert_eq!(fs::read_dir(&backups).unwrap().count(), 0);

    // With room again the same request is taken, without a new start.
    fs::remove_file(&ballast).unwrap();
    fs::remove_file(dir.join("more")).unwrap();
    readyz_says(&server, 200, "/status", "ok");
    server.call(&nurse, "POST", "/v1/tickets").key(&last).json(&body).send().expect(201);
    assert_eq!(server.get(&nurse, "/v1/tickets")["total"], taken + 1);

    assert!(server.end(Signal::TERM).0.success());
    disk.read_only();
    let failed = up_fails(&dir, &[]);
    assert_eq!((failed.problem["code"].as_str(), failed.code), (Some("data_dir_not_writable"), 1));
}

/// A limit on the size of files stands for a disk that refuses to write on, in the middle of a commit, though it shows room: a quota does so.
#[test]
fn a_full_disk_refuses_writes_and_keeps_what_it_promised() {
    let Site { server, home } = Site::stocked();
    let (nurse, dir) = (server.token("ana"), server.dir.clone());
    server.end(Signal::TERM);
    let largest = ["medreq.db", "catalog.db"].map(|name| fs::metadata(dir.join(name)).unwrap().len()).into_iter().max();
    let blocks = largest.unwrap() / 1_024 + 400;
    let mut shell = Command::new("bash");
    // Ignored, the signal becomes an error of the write, as on a full disk. The log is a file, too: it must not be what fills up.
    shell.args([
        "-c",
        &format!("trap '' XFSZ; ulimit -S -f {blocks}; exec \"$0\" \"$@\" 2>/dev/null"),
        env!("CARGO_BIN_EXE_medreq"),
    ]);
    let server = Server::start_by(shell, &dir, &[]);

    let mut body = wish("UTI", "HEPA-5000", "1");
    body["note"] = json!("x".repeat(1_900));
    let (mut kept, mut last) = (Vec::new(), String::new());
    let refused = eventually("a full disk", || {
        last = format!("full-{}", kept.len());
        let answer = server.call(&nurse, "POST", "/v1/tickets").key(&last).json(&body).send();
        if answer.status != 201 {
            return Some(answer);
        }
        kept.push(answer.json);
        None
    });
    let code = refused.json["code"].as_str().unwrap().to_owned();
    assert!(matches!(code.as_str(), "disk_full" | "store_unavailable"), "{code}");
    assert!(!refused.header("retry-after").is_empty());
    refused.problem(503, &code);
    readyz_says(&server, 503, "/checks/store", "unavailable");

    // Reading goes on, and shows nothing of what was refused.
    let newest = kept.last().unwrap();
    assert_eq!(&server.get(&nurse, &format!("/v1/tickets/{}", newest["id"].as_str().unwrap())), newest);
    let total = || server.get(&nurse, "/v1/tickets")["total"].as_u64().unwrap();
    assert_eq!(total(), kept.len() as u64);
    assert_eq!(server.call("", "GET", "/healthz").send().status, 200);

    // With room again it says so by itself, and the same request is taken, without a new start.
    server.limit_files(None);
    readyz_says(&server, 200, "/checks/store", "ok");
    server.call(&nurse, "POST", "/v1/tickets").key(&last).json(&body).send().expect(201);
    assert_eq!(total(), kept.len() as u64 + 1);

    // Full again and ended so: nothing of what was promised is lost.
    server.limit_files(Some(0));
    server.create(&nurse, &body).problem(503, &code);
    let (status, _) = server.end(Signal::TERM);
    assert!(status.success(), "a full disk does not keep it from ending cleanly: {status}");
    let server = Server::start(&dir, &[]);
    assert_eq!(server.get(&nurse, "/v1/tickets")["total"], kept.len() as u64 + 1);
    server.create(&nurse, &body).expect(201);
    let backups = home.path().join("backups");
    succeeds(&["backup", "create", "--data-dir", dir.to_str().unwrap(), "--to", backups.to_str().unwrap()]);
    succeeds(&["backup", "verify", only_entry(&backups).to_str().unwrap()]);
}

/// Waits until `/readyz` says it: an answer may be a second old.
fn readyz_says(server: &Server, status: u16, pointer: &str, wanted: &str) -> Value {
    eventually(&format!("{status} of /readyz with {pointer} {wanted}"), || {
        let answer = server.call("", "GET", "/readyz").send();
        (answer.status == status && answer.json.pointer(pointer)? == wanted).then_some(answer.json)
    })
}

#[test]
fn probes_are_answered_where_every_place_is_taken() {
    let home = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_medreq"));
    command.env("MEDREQ_LIMITS__REQUESTS_AT_ONCE", "1");
    let server = Server::start_by(command, &home.path().join("data"), &[]);
    // Such a request never sends its body to the end, and keeps its place meanwhile. One that comes while the question
    // below has the place is refused, so each try sends another.
    let mut slow = Vec::new();
    eventually("that no place is left", || {
        let mut request = std::net::TcpStream::connect(server.url.strip_prefix("http://").unwrap()).unwrap();
        request.write_all(b"POST /oauth2/token HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\ngrant_type=").unwrap();
        slow.push(request);
        (server.call("", "GET", "/openapi.json").send().status == 503).then_some(())
    });
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(server.call("", "GET", path).send().status, 200, "{path}");
    }
}

#[test]
fn it_ends_in_time_with_open_streams() {
    let site = Site::new();
    let token = site.token("davi");
    let mut feeds: Vec<Feed> = (0..8).map(|_| Feed::open(&site.server.url, &token, None).unwrap()).collect();
    // A client that never finishes its request, too.
    let address = site.server.url.strip_prefix("http://").unwrap().to_owned();
    let mut slow = std::net::TcpStream::connect(&address).unwrap();
    std::io::Write::write_all(&mut slow, b"POST /v1/tickets HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
        .unwrap();
    let Site { server, home: _home } = site;
    let (status, took) = server.end(Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(took < IN_TIME, "{took:?}");
    for feed in &mut feeds {
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until && feed.next(Duration::from_secs(1)).is_ok() {}
        assert!(feed.next(Duration::from_secs(1)).is_err(), "a stream is still open");
    }
}

#[test]
fn an_interrupt_ends_it_as_well() {
    let home = TempDir::new().unwrap();
    let (status, took) = Server::start(&home.path().join("data"), &[]).end(Signal::INT);
    assert_eq!(status.code(), Some(0));
    assert!(took < IN_TIME, "{took:?}");
}

fn only_entry(dir: &Path) -> std::path::PathBuf {
    let mut entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let only = entries.next().unwrap();
    assert!(entries.next().is_none(), "more than one entry in {}", dir.display());
    only
}

/// The pages of a list, to its end.
fn all(server: &Server, token: &str, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let separator = if path.contains('?') { '&' } else { '?' };
        let page = server.get(token, &format!("{path}{separator}limit=200{cursor}"));
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn manifest(dir: &Path) -> Value {
    assert_eq!(mode(&dir.join("demo.json")), 0o600);
    serde_json::from_slice(&fs::read(dir.join("demo.json")).unwrap()).unwrap()
}

fn user_with<'a>(manifest: &'a Value, role: &str) -> Vec<&'a Value> {
    let users = manifest["users"].as_array().unwrap();
    users.iter().filter(|user| texts(&user["roles"]).contains(&role)).collect()
}

/// A demo from its first start to its restore; one test, since filling it is what takes long.
#[test]
fn a_demo_is_a_believable_hospital_and_stays_one() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("demo");
    // One start fills it beside its place: a second one leaves that alone, and the next after a killed one begins anew.
    let staging = home.path().join("demo.filling");
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("medreq.db"), "half a demo").unwrap();
    let other = fs::File::open(&staging).unwrap();
    other.lock().unwrap();
    assert_eq!(up_fails(&dir, &["--demo"]).problem["code"], "demo_being_filled");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1, "the other's work was touched");
    drop(other);
    let server = Server::start(&dir, &["--demo"]);
    assert!(!staging.exists());
    let first = manifest(&dir);
    assert_eq!(first["url"], server.url);
    assert_believable(&server, &first);
    assert_service_account_works(&server, &first);
    assert_log_is_discreet(&dir, &first);
    assert_eq!(server.end(Signal::TERM).0.code(), Some(0));

    // Again on the same directory: as it was, at its new address. Never as what it is not.
    assert_eq!(up_fails(&dir, &[]).problem["code"], "is_a_demo");
    let server = Server::start(&dir, &["--demo"]);
    let second = manifest(&dir);
    assert_eq!(second["url"], server.url);
    assert_eq!((&second["users"], &second["service_account"]), (&first["users"], &first["service_account"]));

    let admin = server.token(user_with(&first, "admin")[0]["username"].as_str().unwrap());
    assert_slices_add_the_rest(&server, &admin);
    assert_backup_and_restore(server, home.path(), &first);
}

#[test]
fn a_demo_is_never_put_over_other_data() {
    let (home, dir) = served();
    assert_eq!(up_fails(&dir, &["--demo"]).problem["code"], "not_a_demo");
    let notes = home.path().join("notes");
    fs::create_dir(&notes).unwrap();
    fs::write(notes.join("thesis.txt"), "years of work").unwrap();
    assert_eq!(up_fails(&notes, &["--demo"]).problem["code"], "not_a_demo");
    assert_eq!(fs::read_dir(&notes).unwrap().count(), 1);
}

fn assert_believable(server: &Server, manifest: &Value) {
    let nurses = user_with(manifest, "nurse");
    let pharmacists = user_with(manifest, "pharmacist");
    for (role, least) in [
        ("nurse", 3),
        ("charge_nurse", 1),
        ("technician", 2),
        ("pharmacist", 2),
        ("manager", 1),
        ("auditor", 1),
        ("admin", 1),
    ] {
        assert!(user_with(manifest, role).len() >= least, "too few of {role}");
    }
    let passwords: std::collections::BTreeSet<_> =
        manifest["users"].as_array().unwrap().iter().map(|user| user["password"].as_str().unwrap()).collect();
    assert_eq!(passwords.len(), manifest["users"].as_array().unwrap().len(), "passwords are drawn for each");
    assert!(!manifest["clients"].as_array().unwrap().is_empty());

    let admin = server.token(user_with(manifest, "admin")[0]["username"].as_str().unwrap());
    let pharmacies = all(server, &admin, "/v1/pharmacies");
    let wards = all(server, &admin, "/v1/wards");
    let cabinets = all(server, &admin, "/v1/cabinets");
    let medications = all(server, &admin, "/v1/medications");
    assert!(pharmacies.len() >= 2 && wards.len() >= 6 && cabinets.len() >= 20 && medications.len() >= 300);
    let code_like = |code: &str| code.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-');
    for thing in pharmacies.iter().chain(&wards).chain(&cabinets).chain(&medications) {
        assert!(code_like(thing["code"].as_str().unwrap()), "{}", thing["code"]);
    }
    let ward_of = |code: &str| wards.iter().find(|ward| ward["code"] == code).unwrap();
    for ward in texts(&nurses[0]["wards"]) {
        let pharmacy = ward_of(ward)["pharmacy"].as_str().unwrap();
        for pharmacist in &pharmacists[..2] {
            assert!(
                texts(&pharmacist["pharmacies"]).contains(&pharmacy),
                "{} is not of {pharmacy}",
                pharmacist["username"]
            );
        }
    }
    let class_of =
        |code: &str| medications.iter().find(|it| it["code"] == code).map(|it| it["control_class"].clone()).unwrap();
    for cabinet in &cabinets {
        let shown = server.get(&admin, &format!("/v1/cabinets/{}", cabinet["code"].as_str().unwrap()));
        let levels = shown["par_levels"].as_array().unwrap();
        assert!(levels.len() >= 8, "{shown}");
        let free = levels.iter().filter(|level| class_of(level["medication"].as_str().unwrap()).is_null());
        let wide = free.filter(|level| level["max"].as_str().unwrap().parse::<f64>().unwrap() >= 10.0);
        assert!(wide.count() >= 4, "{shown}");
    }
    let auditor = server.token(user_with(manifest, "auditor")[0]["username"].as_str().unwrap());
    for (kind, statuses) in [
        ("refill", "open,claimed,picked,ready,dispatched,delivered,on_hold,rejected,cancelled"),
        ("supply", "open,claimed,picked,ready,dispatched,delivered"),
        ("missing_dose", "open,claimed,delivered"),
        ("assistance", "open,claimed,resolved"),
        ("discrepancy", "open,claimed,resolved"),
    ] {
        for status in statuses.split(',') {
            let list = server.get(&auditor, &format!("/v1/tickets?kind={kind}&status={status}&limit=1"));
            assert_ne!(list["total"], 0, "no {kind} is {status}");
        }
    }
    assert_ne!(server.get(&auditor, "/v1/tickets?overdue=true&limit=1")["total"], 0);
}

fn assert_service_account_works(server: &Server, manifest: &Value) {
    let account = &manifest["service_account"];
    let mut form = reqwest::Url::parse("form:").unwrap();
    form.query_pairs_mut().extend_pairs([
        ("grant_type", "client_credentials"),
        ("client_id", account["client_id"].as_str().unwrap()),
        ("client_secret", account["client_secret"].as_str().unwrap()),
    ]);
    let body = form.query().unwrap().to_owned();
    let token =
        server.call("", "POST", "/oauth2/token").body("application/x-www-form-urlencoded", body).send().expect(200);
    let token = token["access_token"].as_str().unwrap();
    let nurse = user_with(manifest, "nurse")[0];
    let ward = texts(&nurse["wards"])[0].to_owned();
    let medication = server.get(token, "/v1/medications?active=true&limit=1")["items"][0]["code"].clone();
    let body = wish(&ward, medication.as_str().unwrap(), "1");
    let call = || server.call(token, "POST", "/v1/tickets").new_key().json(&body);
    call().send().problem(403, "on_behalf_of_required");
    let taken = call().header("x-on-behalf-of", nurse["username"].as_str().unwrap()).send().expect(201);
    assert_eq!(taken["requester"]["username"], nurse["username"]);
}

/// The log names nobody's secret and nothing that people wrote.
fn assert_log_is_discreet(dir: &Path, manifest: &Value) {
    let log = fs::read_to_string(dir.with_extension("log")).unwrap();
    assert!(log.contains("/v1/tickets"), "the log tells of requests");
    let passwords = manifest["users"].as_array().unwrap().iter().map(|user| user["password"].as_str().unwrap());
    let secret = manifest["service_account"]["client_secret"].as_str().unwrap();
    for text in passwords.chain([secret, "eyJ", "Bearer", "other_patient"]) {
        assert!(!log.contains(text), "the log holds {text:?}");
    }
}

/// The demo's catalogue is part of the directories: importing these adds the rest under the same keys.
fn assert_slices_add_the_rest(server: &Server, admin: &str) {
    let total = || server.get(admin, "/v1/catalog?limit=1")["total"].as_u64().unwrap();
    let before = total();
    assert!((1..1_000).contains(&before), "{before} products");
    let report = server.json(admin, &["catalog", "import", data("fda-ndc-product-slice.txt").to_str().unwrap()]);
    let created = report["created"].as_u64().unwrap();
    assert_eq!(report["rows"], 3_149, "{report}");
    assert_eq!(
        created + report["updated"].as_u64().unwrap() + report["unchanged"].as_u64().unwrap(),
        3_149,
        "{report}"
    );
    assert!(created < 3_149, "none of the demo's products was found again");
    assert_eq!(total(), before + created);
}

fn assert_backup_and_restore(server: Server, home: &Path, manifest: &Value) {
    let dir = server.dir.clone();
    let (dir_text, backups) = (dir.to_str().unwrap().to_owned(), home.join("backups"));
    let auditor_name = user_with(manifest, "auditor")[0]["username"].as_str().unwrap();
    let auditor = server.token(auditor_name);
    let before = server.get(&auditor, "/v1/tickets?limit=200&sort=created_at");
    succeeds(&["backup", "create", "--data-dir", &dir_text, "--to", backups.to_str().unwrap()]);
    let backup = only_entry(&backups);
    let listed: Value =
        serde_json::from_str(&succeeds(&["backup", "list", "--json", "--to", backups.to_str().unwrap()])).unwrap();
    assert!(listed.to_string().contains(backup.file_name().unwrap().to_str().unwrap()), "{listed}");
    succeeds(&["backup", "verify", backup.to_str().unwrap()]);

    // After the backup life goes on, and is lost by going back.
    let nurse = user_with(manifest, "nurse")[0];
    let nurse_token = server.token(nurse["username"].as_str().unwrap());
    let medication = server.get(&auditor, "/v1/medications?active=true&limit=1")["items"][0]["code"].clone();
    let late = wish(texts(&nurse["wards"])[0], medication.as_str().unwrap(), "1");
    server.create(&nurse_token, &late).expect(201);
    assert_eq!(server.end(Signal::TERM).0.code(), Some(0));

    let failed = fails(&["restore", backup.to_str().unwrap(), "--data-dir", &dir_text]);
    assert_ne!(failed.code, 0);
    succeeds(&["restore", backup.to_str().unwrap(), "--replace", "--data-dir", &dir_text]);
    let server = Server::start(&dir, &["--demo"]);
    server.call(&nurse_token, "GET", "/v1/tickets").send().problem(401, "invalid_token");
    let auditor = server.token(auditor_name);
    assert_eq!(server.get(&auditor, "/v1/tickets?limit=200&sort=created_at"), before);
    server.create(&server.token(nurse["username"].as_str().unwrap()), &late).expect(201);
    server.end(Signal::TERM);

    let database = backup.join("medreq.db");
    let mut bytes = fs::read(&database).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x01;
    fs::set_permissions(&database, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&database, bytes).unwrap();
    assert_eq!(fails(&["backup", "verify", backup.to_str().unwrap()]).problem["code"], "backup_altered");
    let elsewhere = home.join("elsewhere");
    let failed = fails(&["restore", backup.to_str().unwrap(), "--data-dir", elsewhere.to_str().unwrap()]);
    assert_eq!(failed.problem["code"], "backup_altered");
    assert!(!elsewhere.join("medreq.db").exists());
}

#[test]
fn help_completions_and_manuals_cover_every_subcommand() {
    let completions = succeeds(&["completions", "bash"]);
    assert!(
        completions.contains("medreq__subcmd__ticket") || completions.contains("ticket"),
        "no ticket in the completions"
    );
    let home = TempDir::new().unwrap();
    let pages = home.path().join("man");
    succeeds(&["man", "--out", pages.to_str().unwrap()]);
    for page in ["medreq.1", "medreq-ticket.1", "medreq-ticket-pick.1", "medreq-backup-create.1", "medreq-up.1"] {
        assert!(pages.join(page).is_file(), "no {page}");
    }
    let mut seen = 0;
    assert_helpful(&mut vec![], &mut seen);
    assert!(seen > 50, "only {seen} commands");
}

/// Every leaf has an example; no flag anywhere takes a secret itself.
fn assert_helpful(path: &mut Vec<String>, seen: &mut usize) {
    let args: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = succeeds(&args);
    *seen += 1;
    for flag in ["--token ", "--password ", "--secret ", "--client-secret "] {
        assert!(!help.contains(flag), "{path:?} takes {flag}on the command line");
    }
    let commands: Vec<String> = help
        .split_once("Commands:\n")
        .map(|(_, rest)| rest.lines().take_while(|line| line.starts_with("  ")))
        .into_iter()
        .flatten()
        .filter(|line| line.as_bytes().get(2).is_some_and(u8::is_ascii_lowercase))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    if commands.is_empty() {
        assert!(help.contains("Example"), "{path:?} has no example:\n{help}");
    }
    for command in commands {
        path.push(command);
        assert_helpful(path, seen);
        path.pop();
    }
}
