//! What the tests of the binary share: a server on a free port, commands against it, requests by hand. Ends what it starts.

mod browser;
mod hospital;
mod http;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use self::{
    browser::{Browser, Machine, PASSWORD, REDIRECT, request},
    hospital::{Hospital, plain, wish},
    http::{Answer, Call, Feed},
};

/// How long anything may take before a test gives up; generous, since test machines are slow and busy.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// Has a server believe this machine where a request comes from.
pub(crate) const BEHIND_PROXY: &[&str] = &["--trusted-proxy", "127.0.0.1"];

/// The repository's test data.
pub(crate) fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

/// Waits until a condition gives something, with a deadline instead of a sleep.
pub(crate) fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "did not happen in time: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// The same by several threads at once.
pub(crate) fn at_once<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let act = &act;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|index| scope.spawn(move || act(index))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// A running `medreq up`.
pub(crate) struct Server {
    child: Child,
    /// Where it answers.
    pub(crate) url: String,
    /// Its data directory.
    pub(crate) dir: PathBuf,
    /// What it prints on stdout after its ready line.
    pub(crate) lines: Mutex<mpsc::Receiver<String>>,
}

impl Server {
    /// Starts `medreq up` with more arguments and waits for its ready line.
    pub(crate) fn start(dir: &Path, args: &[&str]) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_medreq")), dir, args)
    }

    /// The same by a command of the test's own, such as a shell that sets limits first.
    pub(crate) fn start_by(mut command: Command, dir: &Path, args: &[&str]) -> Self {
        let stack = stack(dir);
        command.arg(if stack.is_empty() { "up" } else { "serve" }).arg("--data-dir").arg(dir).args(args).envs(stack);
        if !args.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
        Self::launch(command, dir)
    }

    /// Starts any command that serves and waits for its ready line; its log is beside `dir`.
    pub(crate) fn launch(mut command: Command, dir: &Path) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(dir.with_extension("log")).unwrap())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| drop(send.send(line)))
        });
        let url = loop {
            let line = lines.recv_timeout(DEADLINE * 3).unwrap_or_else(|_| {
                panic!("not ready: {}", std::fs::read_to_string(dir.with_extension("log")).unwrap_or_default())
            });
            if let Some(url) = line.strip_prefix("medreq is ready at ") {
                break url.to_owned();
            }
        };
        Self { child, url, dir: dir.to_owned(), lines: Mutex::new(lines) }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, Duration) {
        let start = Instant::now();
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        let status = self.child.wait().unwrap();
        (status, start.elapsed())
    }

    /// Lets it write no file beyond so many bytes, or any again.
    pub(crate) fn limit_files(&self, bytes: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        let maximum = getrlimit(Resource::Fsize).maximum;
        prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes.or(maximum), maximum }).unwrap();
    }

    /// A command against this server, as the owner of a token.
    pub(crate) fn medreq(&self, token: &str) -> assert_cmd::Command {
        let mut command = medreq();
        command.env("MEDREQ_URL", &self.url).env("MEDREQ_TOKEN", token);
        command
    }

    /// What a command with `--json` printed; it must succeed.
    pub(crate) fn json(&self, token: &str, args: &[&str]) -> Value {
        let output = self.medreq(token).args(args).arg("--json").output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}"))
    }

    /// The problem that a refused command printed on stderr with `--json`.
    pub(crate) fn refused(&self, token: &str, args: &[&str]) -> Value {
        let output = self.medreq(token).args(args).arg("--json").output().unwrap();
        assert!(!output.status.success(), "{args:?} was not refused: {}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stderr)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// A token of a user, made on the server itself.
    pub(crate) fn token(&self, username: &str) -> String {
        let output = on_server(&self.dir).args(["user", "token", username, "--ttl", "60m"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The shipped binary, without the caller's own settings.
pub(crate) fn medreq() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_medreq"));
    for name in ["MEDREQ_URL", "MEDREQ_TOKEN", "MEDREQ_TOKEN_FILE", "MEDREQ_CONFIG", "MEDREQ_DATA_DIR"] {
        command.env_remove(name);
    }
    command.env("XDG_CONFIG_HOME", "/nonexistent").env("XDG_STATE_HOME", "/nonexistent").env("NO_COLOR", "1");
    command
}

/// A verb on the server itself, on the store of this directory.
pub(crate) fn on_server(dir: &Path) -> assert_cmd::Command {
    let mut command = medreq();
    command.env("MEDREQ_DATA_DIR", dir).envs(stack(dir));
    command
}

/// True where servers under test keep everything in the stack.
fn is_stack() -> bool {
    std::env::var("MEDREQ_TEST_STORAGE").as_deref() == Ok("stack")
}

/// With `MEDREQ_TEST_STORAGE=stack` the settings of a database and a log that belong to this directory; else none.
pub(crate) fn stack(dir: &Path) -> Vec<(&'static str, String)> {
    if !is_stack() {
        return vec![];
    }
    let engine = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} names none; see tests/engines"));
    let mut hash = DefaultHasher::new();
    dir.hash(&mut hash);
    let name = format!("medreq_test_{:x}", hash.finish());
    vec![
        ("MEDREQ_SERVER__STORAGE", "stack".to_owned()),
        ("MEDREQ_MONGO__URL", engine("MEDREQ_TEST_MONGO")),
        ("MEDREQ_MONGO__DATABASE", name.clone()),
        ("MEDREQ_KAFKA__BROKERS", engine("MEDREQ_TEST_KAFKA")),
        ("MEDREQ_KAFKA__PREFIX", name),
        ("MEDREQ_KAFKA__PARTITIONS", "4".to_owned()),
    ]
}

/// A hospital of its own: places and people of `tests/data/site`, and a server on it. The admin is `admin`.
pub(crate) struct Site {
    /// The server.
    pub(crate) server: Server,
    /// Keeps the directory.
    pub(crate) home: TempDir,
}

impl Site {
    /// Starts from an empty directory and imports places and people by the command line, as hospital IT would.
    pub(crate) fn new() -> Self {
        let home = TempDir::new().unwrap();
        let server = Server::start(&home.path().join("data"), &[]);
        Self::over(server, home)
    }

    /// One that trusts this machine as its proxy, so that requests come from where a test says.
    pub(crate) fn behind_proxy() -> Self {
        let home = TempDir::new().unwrap();
        let server = Server::start(&home.path().join("data"), BEHIND_PROXY);
        Self::over(server, home)
    }

    /// The same over a server of the test's own, on an empty directory in `home`.
    pub(crate) fn over(server: Server, home: TempDir) -> Self {
        let dir = server.dir.clone();
        let password = home.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        on_server(&dir)
            .args(["user", "add", "admin", "--name", "Administrador", "--role", "admin", "--password-file"])
            .arg(&password)
            .assert()
            .success();
        let site = Self { server, home };
        let admin = site.token("admin");
        for what in ["pharmacy", "ward", "cabinet", "user"] {
            let file = data("site").join(match what {
                "pharmacy" => "pharmacies.csv",
                "ward" => "wards.csv",
                "cabinet" => "cabinets.csv",
                _ => "users.csv",
            });
            site.server.json(&admin, &[what, "import", file.to_str().unwrap()]);
        }
        site
    }

    /// A token of one of its people.
    pub(crate) fn token(&self, username: &str) -> String {
        self.server.token(username)
    }
}

/// Medications of the tests' own, where no directory is needed: two plain ones, two controlled ones.
const MEDICATIONS: &str = "\
code,name,unit,control_class,packs
DIPI-500,Dipirona sódica 500 mg,comprimido,none,caixa=20;display=200
HEPA-5000,Heparina sódica 5.000 UI/mL,frasco,none,caixa=25
MIDAZ-5,Midazolam 5 mg/mL,ampola,B1,caixa=10
MORF-10,Morfina 10 mg/mL,ampola,A1,caixa=50
";

const PAR_LEVELS: &str = "\
cabinet,medication,min,max
UTI-01,DIPI-500,20,100
UTI-01,HEPA-5000,4,20
UTI-01,MIDAZ-5,4,20
UTI-02,MIDAZ-5,4,20
PED-01,DIPI-500,20,60
CC-01,MORF-10,2,10
";

impl Site {
    /// A hospital that also has medications and par levels.
    pub(crate) fn stocked() -> Self {
        let site = Self::new();
        let admin = site.token("admin");
        site.server.import(&admin, "medications", MEDICATIONS);
        site.server.import(&admin, "par-levels", PAR_LEVELS);
        site
    }
}
