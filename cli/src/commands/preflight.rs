//! `medreq preflight`: looks at a machine before the first start. Changes nothing.

use std::net::SocketAddr;

use clap::Args;
use medreq_installer::{Check, Site, Status, exit_code, preflight};
use serde_json::json;

use crate::{context::Context, failure::Failure, paths::DataDir};

/// Check disk, memory, limits, port and clock of this machine; exit 0 well, 3 will not work, 4 should be mended
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq preflight --data-dir /var/lib/medreq --listen 0.0.0.0:8080 --json")]
pub(crate) struct Preflight {
    #[command(flatten)]
    data_dir: DataDir,
    /// Where the server will listen [default: that of the configuration]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

impl Preflight {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let listen = self.listen.unwrap_or(context.config.server.listen);
        let checks = preflight(&Site { data_dir: self.data_dir.resolve(context)?, listen });
        context
            .output
            .show(&json!({ "checks": checks }), |_| checks.iter().map(line).collect::<Vec<_>>().join("\n"))?;
        match exit_code(&checks) {
            0 => Ok(()),
            code => Err(Failure::Reported(code)),
        }
    }
}

fn line(check: &Check) -> String {
    let status = match check.status {
        Status::Ok => "ok",
        Status::Warning => "warning",
        Status::Failed => "FAILED",
        Status::Skipped => "skipped",
    };
    let mut text = format!("{status:8} {:22} {}", check.id, check.evidence);
    if !check.remedy.is_empty() {
        text.push_str(&format!("\n{:31} → {}", "", check.remedy));
    }
    text
}
