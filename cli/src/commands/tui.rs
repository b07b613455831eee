//! `medreq tui`: the pharmacist's console.

use clap::Args;

use crate::{context::Context, failure::Failure};

/// Shows the live queue in the terminal; `q` leaves it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq tui")]
pub(crate) struct Tui;

impl Tui {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let failed = |error: anyhow::Error| Failure::Local { code: "console_failed", detail: format!("{error:#}") };
        medreq_tui::run(context.client()?).await.map_err(failed)
    }
}
