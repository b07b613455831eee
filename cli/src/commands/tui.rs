//! `medreq tui`: the pharmacist's console.

use clap::Args;
use medreq::client::ClientError;

use crate::{context::Context, failure::Failure};

/// Show the live queue in the terminal; `q` leaves it
#[derive(Debug, Args)]
#[command(after_help = "It uses the sign-in of `medreq login`, and renews it by itself.\n\nExample:\n  medreq tui")]
pub(crate) struct Tui;

impl Tui {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let failed = |error: anyhow::Error| match error.downcast::<ClientError>() {
            Ok(error) => error.into(),
            Err(error) => Failure::Local { code: "console_failed", detail: format!("{error:#}") },
        };
        medreq_tui::run(context.client()?).await.map_err(failed)
    }
}
