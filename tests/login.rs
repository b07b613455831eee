//! Signing in on the command line (RFC 8628): the code, the browser that approves it, the tokens that are kept, renewed and ended.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Browser, Machine, Site, eventually, medreq};

/// A machine on which somebody uses the command line.
struct Desk {
    home: TempDir,
    url: String,
}

/// How a command ended, and what it said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn done(self) -> Self {
        assert_eq!(self.code, 0, "{}", self.err);
        self
    }

    /// The exit code and the code of a problem told with `--json`, after whatever was told before it.
    #[track_caller]
    fn refused(&self) -> (i32, String) {
        let start = self.err.find("{\n").unwrap_or_else(|| panic!("no problem: {} {}", self.out, self.err));
        let problem: Value = serde_json::from_str(&self.err[start..]).unwrap();
        (self.code, problem["code"].as_str().unwrap().to_owned())
    }
}

impl Desk {
    fn new(url: &str) -> Self {
        Self { home: TempDir::new().unwrap(), url: url.to_owned() }
    }

    fn run(&self, args: &[&str]) -> Said {
        let output =
            medreq().env("MEDREQ_URL", &self.url).env("XDG_STATE_HOME", self.home.path()).args(args).output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn file(&self) -> PathBuf {
        let address = self.url.strip_prefix("http://").unwrap().replace(':', "_");
        self.home.path().join("medreq/login").join(format!("{address}.json"))
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap()
    }

    /// Changes what is kept, as time or another machine would.
    fn change(&self, name: &str, value: Value) {
        let mut kept = self.kept();
        kept[name] = value;
        fs::write(self.file(), kept.to_string()).unwrap();
    }

    /// Tokens as `medreq login` keeps them.
    fn plant(&self, access: &str, expires_in: i64) {
        fs::create_dir_all(self.file().parent().unwrap()).unwrap();
        let expires_at = Timestamp::now() + SignedDuration::from_secs(expires_in);
        let kept =
            json!({ "origin": self.url, "access_token": access, "expires_at": expires_at, "refresh_token": "r" });
        fs::write(self.file(), kept.to_string()).unwrap();
    }

    fn login(&self, args: &[&str]) -> Waiting {
        Waiting::new(self, args)
    }

    /// Signs in as `admin`, who approves at once.
    fn signed_in(&self, browser: &mut Browser) -> Said {
        let waiting = self.login(&[]);
        browser.decide(&waiting.code, "allow");
        waiting.end().done()
    }
}

/// A `medreq login` that waits for somebody's word.
struct Waiting {
    child: Child,
    /// What the person is to type.
    code: String,
    told: String,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Waiting {
    fn new(desk: &Desk, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_medreq"))
            .args(["login", "--json"])
            .args(args)
            .env("MEDREQ_URL", &desk.url)
            .env("XDG_STATE_HOME", desk.home.path())
            .env_remove("MEDREQ_TOKEN")
            .env_remove("MEDREQ_TOKEN_FILE")
            .env_remove("MEDREQ_CONFIG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut told = String::new();
        let code = loop {
            let mut line = String::new();
            assert!(stderr.read_line(&mut line).unwrap() > 0, "no code: {told}");
            told.push_str(&line);
            let word = line.trim();
            if word.len() == 9 && word.chars().nth(4) == Some('-') {
                break word.to_owned();
            }
        };
        Self { child, code, told, stderr }
    }

    fn end(mut self) -> Said {
        let (mut out, mut err) = (String::new(), std::mem::take(&mut self.told));
        self.stderr.read_to_string(&mut err).unwrap();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        Said { code: self.child.wait().unwrap().code().unwrap(), out, err }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // It has ended, unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn refreshes(site: &Site) -> usize {
    let entries = site.server.get(&site.token("admin"), "/auth/v1/audit?kind=auth&limit=200");
    entries["items"].as_array().unwrap().iter().filter(|entry| entry["action"] == "token_refreshed").count()
}

#[test]
fn a_code_signs_in_and_stays_signed_in_until_the_logout() {
    let site = Site::new();
    let mut browser = Browser::signed_in(&Machine::here(&site.server.url), "admin");
    let desk = Desk::new(&site.server.url);
    let refused = desk.run(&["whoami", "--json"]);
    assert_eq!(refused.refused(), (4, "no_token".to_owned()));
    assert!(refused.err.contains("medreq login"), "{}", refused.err);

    let said = desk.signed_in(&mut browser);
    let kept = desk.kept();
    let (access, refresh) = (kept["access_token"].as_str().unwrap(), kept["refresh_token"].as_str().unwrap());
    assert!(
        said.out.contains("\"admin\"") && said.err.contains(&format!("{}/device", site.server.url)),
        "{}",
        said.err
    );
    for secret in [access, refresh] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret));
    }
    let dir = desk.file().parent().unwrap().to_owned();
    assert_eq!((mode(&desk.file()), mode(&dir)), (0o600, 0o700));
    let who: Value = serde_json::from_str(&desk.run(&["whoami", "--json"]).done().out).unwrap();
    assert_eq!(
        (&who["username"], &who["token_from"], &who["client_id"]),
        (&json!("admin"), &json!("login"), &json!("medreq-cli"))
    );
    assert!(who["session"]["device"].as_str().unwrap().starts_with("medreq on "), "{who}");

    // Twenty commands find the token about to expire: one renews it, the others wait and use what it got.
    desk.change("expires_at", json!(Timestamp::now() + SignedDuration::from_secs(5)));
    let before = refreshes(&site);
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..20).map(|_| scope.spawn(|| desk.run(&["whoami"]))).collect();
        running.into_iter().for_each(|run| drop(run.join().unwrap().done()));
    });
    assert_eq!(refreshes(&site) - before, 1);
    assert_eq!(mode(&desk.file()), 0o600);
    // What the server refuses is renewed too, whatever this machine's clock says.
    desk.change("access_token", json!("not.a.token"));
    desk.run(&["user", "list"]).done();

    // Whoever signs in again leaves no session behind.
    let replaced = desk.kept();
    desk.signed_in(&mut browser);
    let dead = |token: &str| site.server.call(token, "GET", "/auth/v1/me").send().status == 401;
    eventually("the end of the session that was replaced", || {
        dead(replaced["access_token"].as_str().unwrap()).then_some(())
    });

    let last = desk.kept();
    desk.run(&["logout"]).done();
    assert!(!desk.file().exists());
    eventually("the end of the session", || dead(last["access_token"].as_str().unwrap()).then_some(()));
    let form = format!(
        "grant_type=refresh_token&client_id=medreq-cli&refresh_token={}",
        last["refresh_token"].as_str().unwrap()
    );
    let refused = site.server.call("", "POST", "/oauth2/token").body("application/x-www-form-urlencoded", form).send();
    assert_eq!(refused.expect(400)["error"], "invalid_grant");
    desk.run(&["logout"]).done();
}

#[test]
fn who_is_refused_or_signed_out_elsewhere_is_told_to_sign_in() {
    let site = Site::new();
    let mut browser = Browser::signed_in(&Machine::here(&site.server.url), "admin");
    let (here, there) = (Desk::new(&site.server.url), Desk::new(&site.server.url));
    let waiting = here.login(&["--scope", "audit:read"]);
    browser.decide(&waiting.code, "deny");
    assert_eq!(waiting.end().refused(), (4, "access_denied".to_owned()));
    assert!(!here.file().exists());

    let waiting = here.login(&["--scope", "audit:read"]);
    browser.decide(&waiting.code, "allow");
    waiting.end().done();
    let who: Value = serde_json::from_str(&here.run(&["whoami", "--json"]).done().out).unwrap();
    assert_eq!(who["scopes"], json!(["openid", "profile", "offline_access", "audit:read"]));
    there.signed_in(&mut browser);

    there.run(&["logout", "--all"]).done();
    assert!(!there.file().exists());
    let ended = eventually("the end of the other session", || {
        Some(here.run(&["whoami", "--json"])).filter(|said| said.code != 0)
    });
    assert_eq!(ended.refused(), (4, "signed_out".to_owned()));
    assert!(ended.err.contains("run `medreq login`") && !here.file().exists(), "{}", ended.err);
}

/// A server that gives scripted answers by path, and notes what it was asked.
struct Fake {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn new(answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for mut connection in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(connection.try_clone().unwrap());
                let Some(asked) = read_request(&mut reader) else { continue };
                let (status, body) = answer(&asked);
                noted.lock().unwrap().push(asked);
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status} x\r\ncontent-type: application/json\r\nconnection: close\r\n");
                let _ = write!(connection, "{head}content-length: {}\r\n\r\n{body}", body.len());
            }
        });
        Self { url, asked }
    }

    fn times(&self, asked: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|one| *one == asked).count()
    }
}

/// Method and path of a request, read whole: what is left unread would break the connection.
fn read_request(reader: &mut impl BufRead) -> Option<String> {
    let mut head = reader.by_ref().lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let asked = head.next()?.rsplit_once(' ')?.0.to_owned();
    let length = |line: String| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok();
    let length: u64 = head.filter_map(length).last().unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink()).ok()?;
    Some(asked)
}

fn refusal(error: &str) -> (u16, Value) {
    (400, json!({ "error": error, "error_description": "d" }))
}

/// A server on which devices wait, with what it says when they ask for their token.
fn waits(expires_in: u32, said: &'static str) -> Fake {
    Fake::new(move |asked| match asked {
        "GET /.well-known/oauth-authorization-server" => {
            let grants = ["urn:ietf:params:oauth:grant-type:device_code"];
            (200, json!({ "issuer": "http://127.0.0.1:1", "grant_types_supported": grants }))
        }
        "POST /oauth2/device_authorization" => {
            let uri = "http://127.0.0.1:1/device";
            let answer = json!({
                "device_code": "secret", "user_code": "BCDF-GHJK", "verification_uri": uri,
                "verification_uri_complete": format!("{uri}?user_code=BCDF-GHJK"), "expires_in": expires_in, "interval": 1,
            });
            (200, answer)
        }
        _ => refusal(said),
    })
}

#[test]
fn a_code_that_nobody_approves_expires_and_is_not_asked_for_too_often() {
    for (expires_in, said) in [(60, "expired_token"), (2, "authorization_pending")] {
        let desk = Desk::new(&waits(expires_in, said).url);
        let waiting = desk.login(&[]);
        assert_eq!(waiting.code, "BCDF-GHJK");
        let ended = waiting.end();
        assert_eq!(ended.refused(), (4, "expired_token".to_owned()), "{said}");
        assert!(!ended.err.contains("secret"), "{}", ended.err);
    }
    let server = waits(5, "slow_down");
    let desk = Desk::new(&server.url);
    let ended = desk.login(&[]).end();
    assert_eq!(ended.refused(), (4, "expired_token".to_owned()));
    assert_eq!(server.times("POST /oauth2/token"), 1, "the second question would come 6 seconds later");
}

#[test]
fn a_server_that_cannot_renew_is_sent_the_old_token_while_that_is_good() {
    let me = json!({
        "username": "ana", "name": "Ana", "roles": [], "wards": [], "pharmacies": [], "scopes": [], "client_id": "medreq-cli",
        "second_factor": false, "expires_at": "2030-01-31T12:00:00Z",
    });
    let server = Fake::new(move |asked| match asked {
        "GET /auth/v1/me" => (200, me.clone()),
        "GET /auth/v1/me/sessions" => (200, json!({ "items": [], "next": null, "total": 0 })),
        _ => (503, json!({ "error": "temporarily_unavailable", "error_description": "the store is not available" })),
    });
    let desk = Desk::new(&server.url);
    desk.plant("a", 29);
    desk.run(&["whoami"]).done();
    assert!(server.times("POST /oauth2/token") > 0);

    desk.plant("a", -20);
    assert_eq!(desk.run(&["whoami", "--json"]).refused(), (1, "temporarily_unavailable".to_owned()));
    assert!(desk.file().exists(), "a server in trouble signs nobody out");
    let failed = desk.run(&["logout", "--json"]);
    assert_eq!(failed.refused(), (1, "not_revoked".to_owned()));
    assert!(!desk.file().exists(), "{}", failed.err);
}
