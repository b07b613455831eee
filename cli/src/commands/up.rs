//! `medreq up`: serves embedded mode in the foreground. An on-the-server verb; prints the ready line on stdout and nothing secret in the log.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use medreq::server::{
    auth::PublicUrl,
    config::{LogFormat, Storage, ZoneName},
    http::TlsFiles,
    sqlite::owner,
    up::{Options, Profile, Ready, up},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{context::Context, failure::Failure, logging, paths, paths::DataDir};

/// Serve a hospital from one directory, in the foreground
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq up --demo
  medreq up --demo --live --listen 127.0.0.1:0
  medreq up --data-dir /var/lib/medreq --public-url https://medreq.example.org

What flags leave out the configuration says: `medreq config default` shows every setting. A demo reads none of
/etc/medreq/medreq.toml, which is the hospital's.

INT or TERM ends it within 15 seconds, open streams included.")]
pub(crate) struct Up {
    #[command(flatten)]
    data_dir: DataDir,
    #[command(flatten)]
    node: NodeFlags,
    /// Fill an empty directory with a believable hospital, and serve it
    #[arg(long)]
    pub(crate) demo: bool,
    /// Let the demo's nurses and pharmacists go on working
    #[arg(long, requires = "demo")]
    live: bool,
}

/// What every node is told on its command line.
#[derive(Debug, Args)]
pub(super) struct NodeFlags {
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// Certificate in PEM form, with those that lead to its root: serves https, and nothing else
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// Its private key in PEM form, not readable by everybody
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The origin that users type; https unless loopback. Fixed as the tokens' issuer at the first start
    #[arg(long, value_name = "URL")]
    pub(super) public_url: Option<PublicUrl>,
    /// The hospital's time zone at the first start, such as America/Sao_Paulo; `medreq site set` changes it later [default: this machine's]
    #[arg(long, value_name = "ZONE")]
    pub(super) time_zone: Option<ZoneName>,
    /// Address of a proxy whose X-Forwarded-For is believed; may be repeated
    #[arg(long = "trusted-proxy", value_name = "IP")]
    trusted_proxies: Vec<IpAddr>,
    /// How the log on stderr looks [env: MEDREQ_LOG_FORMAT] [default: text]
    #[arg(long, value_parser = PossibleValuesParser::new(["text", "json"]).map(log_format))]
    log_format: Option<LogFormat>,
}

impl Up {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        if !self.demo && context.config.server.storage == Storage::Stack {
            return Err(Failure::usage(
                "the configuration keeps everything in MongoDB (server.storage); `medreq serve` serves that, `up` a data directory",
            ));
        }
        let data_dir = &self.data_dir;
        let data_dir =
            if self.demo { data_dir.resolve_or(context, paths::demo_dir)? } else { data_dir.resolve(context)? };
        let profile = if self.demo { Profile::Demo { live: self.live } } else { Profile::Site };
        embedded(context, data_dir, self.node, profile).await
    }
}

/// Serves everything from one directory.
pub(super) async fn embedded(
    context: &Context,
    data_dir: PathBuf,
    node: NodeFlags,
    profile: Profile,
) -> Result<(), Failure> {
    let (server, config) = (context.config.server.clone(), &context.config);
    owner::act_as_owner(&data_dir).map_err(|error| Failure::file(&data_dir, &error))?;
    let Node { listen, tls, trusted_proxies } = node.settle(context)?;
    let options = Options {
        data_dir,
        listen,
        tls,
        public_url: node.public_url.or(server.public_url),
        time_zone: node.time_zone.or(server.time_zone).map(String::from),
        trusted_proxies,
        scrapers: config.metrics.allow.clone(),
        limits: config.limits,
        disk_free_min: u64::from(server.disk_free_min_mib) << 20,
        profile,
    };
    up(options, stop_by_signal()?, print_ready)
        .await
        .map_err(|error| Failure::Local { code: error.code(), detail: error.to_string() })
}

/// What a node is to the network: flags over the configuration.
pub(super) struct Node {
    pub(super) listen: SocketAddr,
    pub(super) tls: Option<TlsFiles>,
    pub(super) trusted_proxies: Vec<IpAddr>,
}

impl NodeFlags {
    /// Starts the log, too: from here on something may be told.
    pub(super) fn settle(&self, context: &Context) -> Result<Node, Failure> {
        let server = &context.config.server;
        logging::install(self.log_format.unwrap_or(server.log_format), &server.log_filter)?;
        let or = |flag: &Option<PathBuf>, setting: &Option<PathBuf>| flag.clone().or_else(|| setting.clone());
        let tls = tls_files(or(&self.tls_certificate, &server.tls_certificate), or(&self.tls_key, &server.tls_key))?;
        let proxies = if self.trusted_proxies.is_empty() { &server.trusted_proxies } else { &self.trusted_proxies };
        Ok(Node { listen: self.listen.unwrap_or(server.listen), tls, trusted_proxies: proxies.clone() })
    }
}

fn tls_files(certificate: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<TlsFiles>, Failure> {
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (None, None) => Ok(None),
        _ => Err(Failure::usage("server.tls_certificate and server.tls_key go together: set both, or neither")),
    }
}

fn log_format(name: String) -> LogFormat {
    if name == "json" { LogFormat::Json } else { LogFormat::Text }
}

/// Tells whoever started it.
pub(super) fn print_ready(ready: Ready) {
    let mut out = std::io::stdout().lock();
    let mut text = format!("medreq is ready at {}\n", ready.url);
    if let Some(link) = ready.setup_link {
        text.push_str("\nThere is no administrator yet. Open this link once, within 24 hours, to make the first:\n  ");
        text.push_str(&link);
        text.push('\n');
    }
    if let Some(greeting) = ready.greeting {
        text.push('\n');
        text.push_str(&greeting);
        text.push('\n');
    }
    // Whoever reads may have gone; serving goes on.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Turns true at the first INT or TERM; a second one, or 14 seconds, ends the process as it is: every acknowledged write is on disk.
pub(super) fn stop_by_signal() -> Result<watch::Receiver<bool>, Failure> {
    let failed = |error: std::io::Error| Failure::Local { code: "signals", detail: error.to_string() };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let (send, stop) = watch::channel(false);
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => (),
                _ = terminate.recv() => (),
            }
        };
        next().await;
        tracing::info!("stopping");
        send.send_replace(true);
        // The deadline is an end in good order, too: nothing acknowledged can be lost by it.
        let code = tokio::select! {
            () = next() => 130,
            () = tokio::time::sleep(Duration::from_secs(14)) => 0,
        };
        std::process::exit(code);
    });
    Ok(stop)
}
