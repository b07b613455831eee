//! `medreq bench`: how fast this machine takes and shows requests, beside the floor that its disk sets. Measures, never judges.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use jiff::SignedDuration;
use medreq::{
    api::tickets::{NewLine, NewTicket},
    client::Write,
    domain::{
        control_class::Classification,
        reason::{Kind, OverrideReason, Role},
    },
};
use medreq::{
    client::{Client, Settings, TokenSource},
    server::{
        auth::{Auth, accounts::Editor, users::NewUser},
        ports::{Cabinet, Medication, Pharmacy, ReferenceChanges, ReferenceStore, Ward},
        sqlite::{OpenMode, SqliteStore},
    },
};
use serde::Serialize;

use crate::{context::Context, failure::Failure};

const WARDS: usize = 8;
const CABINETS_PER_WARD: usize = 8;
const MEDICATIONS: usize = 50;

/// Measure durable creates and cached reads over loopback, with a server of its own in a directory of its own
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  medreq bench\n  medreq bench --connections 64 --seconds 10 --json")]
pub(crate) struct Bench {
    /// Requests under way at once.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// How long each measure lasts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=600))]
    seconds: u16,
    /// Where to put the data: measure the disk that will hold it.
    #[arg(long)]
    dir: Option<std::path::PathBuf>,
}

/// What was measured; times in milliseconds.
#[derive(Debug, Serialize)]
struct Figures {
    start_ms: f64,
    idle_memory_kib: u64,
    floor_fsyncs_per_second: f64,
    floor_fsync_p99_ms: f64,
    creates: Load,
    reads: Load,
}

#[derive(Debug, Serialize)]
struct Load {
    connections: u16,
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

impl Bench {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let failed = |error: anyhow::Error| Failure::Local { code: "bench_failed", detail: format!("{error:#}") };
        let figures = measure(&self).await.map_err(failed)?;
        context.output.show(&figures, table)
    }
}

async fn measure(args: &Bench) -> anyhow::Result<Figures> {
    let base = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let home = tempfile::Builder::new().prefix("medreq-bench-").tempdir_in(base)?;
    let time = Duration::from_secs(args.seconds.into());
    let (floor_fsyncs_per_second, floor_fsync_p99_ms) = floor(home.path(), time.min(Duration::from_secs(3)))?;

    let data = home.path().join("data");
    fill(&data).await?;
    let (server, url, start) = start(&data)?;
    let token = token(&data).await?;
    let client = Client::new(&url, TokenSource::fixed(&token), Settings::default())?;
    client.whoami().await?;
    let idle_memory_kib = resident_kib(server.0.id())?;

    let creator = client.clone();
    let creates = load(args.connections, time, move |n| {
        let client = creator.clone();
        async move { client.create_ticket(&request(n), &Write::default()).await.map(drop) }
    })
    .await?;
    let one = client.create_ticket(&request(0), &Write::default()).await?.id;
    let reads = load(args.connections, time, move |_| {
        let (client, one) = (client.clone(), one.clone());
        async move { client.ticket(&one).await.map(drop) }
    })
    .await?;

    Ok(Figures { start_ms: ms(start), idle_memory_kib, floor_fsyncs_per_second, floor_fsync_p99_ms, creates, reads })
}

fn table(figures: &Figures) -> String {
    let load = |load: &Load| {
        let Load { connections, per_second, p50_ms, p99_ms } = load;
        format!("{per_second:>9.0}/s   p50 {p50_ms:.2} ms   p99 {p99_ms:.2} ms   {connections} connections")
    };
    [
        format!("start to ready   {:>9.0} ms", figures.start_ms),
        format!("memory, idle     {:>9} KiB", figures.idle_memory_kib),
        format!(
            "floor: fsyncs    {:>9.0}/s   p99 {:.2} ms   one writer",
            figures.floor_fsyncs_per_second, figures.floor_fsync_p99_ms
        ),
        format!("durable creates  {}", load(&figures.creates)),
        format!("cached reads     {}", load(&figures.reads)),
    ]
    .join("\n")
}

/// What the disk alone does: 600 bytes appended and synced, again and again.
fn floor(dir: &Path, time: Duration) -> anyhow::Result<(f64, f64)> {
    let mut file = std::fs::File::create(dir.join("floor"))?;
    let (start, mut spans) = (Instant::now(), Vec::new());
    while start.elapsed() < time {
        let before = Instant::now();
        file.write_all(&[b'x'; 600])?;
        file.sync_data()?;
        spans.push(before.elapsed());
    }
    let per_second = spans.len() as f64 / start.elapsed().as_secs_f64();
    Ok((per_second, percentile(&mut spans, 99)))
}

async fn fill(dir: &Path) -> anyhow::Result<()> {
    let store = Arc::new(SqliteStore::open(dir, OpenMode::Beside { create: true })?);
    let mut changes = ReferenceChanges {
        pharmacies: vec![Pharmacy {
            code: "P".parse()?,
            name: "Pharmacy".into(),
            satellite: false,
            hours: None,
            active: true,
            identifiers: Vec::new(),
        }],
        medications: (0..MEDICATIONS).map(medication).collect::<anyhow::Result<_>>()?,
        ..ReferenceChanges::default()
    };
    for ward in 0..WARDS {
        changes.wards.push(Ward {
            code: format!("W{ward}").parse()?,
            name: format!("Ward {ward}"),
            pharmacy: "P".parse()?,
            active: true,
            identifiers: Vec::new(),
        });
        for cabinet in 0..CABINETS_PER_WARD {
            changes.cabinets.push(Cabinet {
                code: format!("W{ward}-{cabinet}").parse()?,
                name: "Cabinet".into(),
                ward: format!("W{ward}").parse()?,
                active: true,
                identifiers: Vec::new(),
            });
        }
    }
    let wards: BTreeSet<_> = changes.wards.iter().map(|ward| ward.code.clone()).collect();
    store.change_reference(changes).await?;
    let auth = Auth::beside(store.clone(), store).await?;
    let nurse = NewUser {
        username: "nurse".parse()?,
        name: "Nurse".into(),
        roles: BTreeSet::from([Role::Nurse]),
        wards,
        pharmacies: BTreeSet::new(),
        password: None,
        must_change_password: false,
    };
    auth.create_user(nurse, &Editor::on_server()).await?;
    Ok(())
}

fn medication(n: usize) -> anyhow::Result<Medication> {
    Ok(Medication {
        code: format!("M{n}").parse()?,
        name: format!("Medication {n} 5 mg/mL injection"),
        ingredients: Vec::new(),
        dosage_form: None,
        routes: Vec::new(),
        unit: "vial".into(),
        packs: Vec::new(),
        classification: Classification::NotControlled,
        class_source: None,
        flags: BTreeSet::new(),
        tall_man: None,
        shelf: None,
        active: true,
        products: Vec::new(),
        scan_codes: Vec::new(),
        group_key: None,
        identifiers: Vec::new(),
    })
}

/// The server under measure; ends with its owner.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; there is nobody to tell.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &Path) -> anyhow::Result<(Server, String, Duration)> {
    let begun = Instant::now();
    let mut child = Command::new(std::env::current_exe()?)
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .env("MEDREQ_LOG", "error")
        // It measures the server, not what one caller may ask of it.
        .envs(["MEDREQ_LIMITS__CALLER_BURST", "MEDREQ_LIMITS__CALLER_PER_SECOND"].map(|name| (name, "1000000")))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let stdout = child.stdout.take().context("the server has no output")?;
    let server = Server(child);
    for line in BufReader::new(stdout).lines() {
        if let Some(url) = line?.strip_prefix("medreq is ready at ") {
            return Ok((server, url.to_owned(), begun.elapsed()));
        }
    }
    anyhow::bail!("the server ended before it was ready")
}

async fn token(dir: &Path) -> anyhow::Result<String> {
    let store = Arc::new(SqliteStore::open(dir, OpenMode::Beside { create: false })?);
    let auth = Auth::beside(store.clone(), store).await?;
    Ok(auth.user_token("nurse", SignedDuration::from_hours(1)).await?.access_token)
}

/// The n-th request: spread over all cabinets, never stopped by an open one for the same need.
fn request(n: u64) -> NewTicket {
    let at = |count: usize| (n % count as u64) as usize;
    let cabinet = at(WARDS * CABINETS_PER_WARD);
    NewTicket {
        kind: Some(Kind::Supply),
        cabinet: Some(format!("W{}-{}", cabinet / CABINETS_PER_WARD, cabinet % CABINETS_PER_WARD)),
        lines: vec![NewLine {
            medication: format!("M{}", at(MEDICATIONS)),
            quantity: Some(4.into()),
            ..NewLine::default()
        }],
        override_reason: Some(OverrideReason::OtherPatient),
        ..NewTicket::default()
    }
}

async fn load<F, W>(connections: u16, time: Duration, work: W) -> anyhow::Result<Load>
where
    F: Future<Output = Result<(), medreq::client::ClientError>> + Send + 'static,
    W: Fn(u64) -> F + Clone + Send + Sync + 'static,
{
    let counter = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (counter, work) = (counter.clone(), work.clone());
        workers.spawn(async move {
            let mut spans = Vec::new();
            while start.elapsed() < time {
                let before = Instant::now();
                work(counter.fetch_add(1, Ordering::Relaxed)).await?;
                spans.push(before.elapsed());
            }
            Ok::<_, medreq::client::ClientError>(spans)
        });
    }
    let mut spans = Vec::new();
    while let Some(worker) = workers.join_next().await {
        spans.extend(worker??);
    }
    let per_second = spans.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Load { connections, per_second, p50_ms: percentile(&mut spans, 50), p99_ms: percentile(&mut spans, 99) })
}

fn percentile(spans: &mut [Duration], percent: usize) -> f64 {
    spans.sort_unstable();
    let at = (spans.len() * percent / 100).min(spans.len().saturating_sub(1));
    spans.get(at).copied().map_or(0.0, ms)
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

fn resident_kib(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
}
