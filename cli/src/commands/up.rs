//! `medreq up`: serves embedded mode in the foreground. An on-the-server verb; prints the ready line on stdout and nothing secret in the log.

use std::{
    io::Write as _,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use clap::Args;
use medreq::server::{
    auth::PublicUrl,
    sqlite::owner,
    up::{Options, Profile, Ready, up},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use crate::{failure::Failure, logging::LogFormat, paths, paths::DataDir};

/// Serves a hospital from one directory, in the foreground.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  medreq up --demo
  medreq up --demo --live --listen 127.0.0.1:0
  medreq up --data-dir /var/lib/medreq --public-url https://medreq.example.org

INT or TERM ends it within 15 seconds, open streams included.")]
pub(crate) struct Up {
    #[command(flatten)]
    data_dir: DataDir,
    /// Address and port to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "ADDR")]
    listen: SocketAddr,
    /// The origin that users type; https unless loopback. Fixed as the tokens' issuer at the first start.
    #[arg(long, value_name = "URL")]
    public_url: Option<PublicUrl>,
    /// The hospital's time zone, such as America/Sao_Paulo; kept from then on [default: this machine's, at the first start]
    #[arg(long, value_name = "ZONE", value_parser = zone)]
    time_zone: Option<String>,
    /// Address of a proxy whose X-Forwarded-For is believed; may be repeated.
    #[arg(long = "trusted-proxy", value_name = "IP")]
    trusted_proxies: Vec<IpAddr>,
    /// Fill an empty directory with a believable hospital, and serve it.
    #[arg(long)]
    demo: bool,
    /// Let the demo's nurses and pharmacists go on working.
    #[arg(long, requires = "demo")]
    live: bool,
    /// How the log on stderr looks.
    #[arg(long, default_value = "text", env = "MEDREQ_LOG_FORMAT")]
    log_format: LogFormat,
}

impl Up {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let data_dir = if self.demo { self.data_dir.resolve_or(paths::demo_dir)? } else { self.data_dir.resolve()? };
        owner::act_as_owner(&data_dir).map_err(|error| Failure::file(&data_dir, &error))?;
        self.log_format.install();
        let profile = if self.demo { Profile::Demo { live: self.live } } else { Profile::Site };
        let Self { listen, public_url, time_zone, trusted_proxies, .. } = self;
        let options = Options { data_dir, listen, public_url, time_zone, trusted_proxies, profile };
        let stop = stop_by_signal().map_err(|error| Failure::Local { code: "signals", detail: error.to_string() })?;
        up(options, stop, print_ready)
            .await
            .map_err(|error| Failure::Local { code: error.code(), detail: error.to_string() })
    }
}

/// Takes the name of a zone that this machine knows.
fn zone(name: &str) -> Result<String, String> {
    let found =
        jiff::tz::TimeZone::get(name).map_err(|_| format!("{name:?} is not a zone such as America/Sao_Paulo"))?;
    Ok(found.iana_name().unwrap_or(name).to_owned())
}

fn print_ready(ready: Ready) {
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
fn stop_by_signal() -> std::io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
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
