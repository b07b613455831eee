//! `medreq ticket erase`: the texts of a ticket gone for good, for administrators. It never shows the ticket.

use clap::Args;
use medreq::{api::tickets::EraseRequest, client::Write};

use crate::{context::Context, failure::Failure, input::confirm};

/// Erase the texts of a ticket that is at its end: note, patient reference, comments. They cannot be brought back.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  medreq ticket erase UTI-42-K --reason 'request of the patient, protocol 2026/114' --yes"
)]
pub(super) struct Erase {
    /// The ticket's id or number
    #[arg(value_name = "TICKET")]
    ticket: String,
    /// Why; kept for ever, so nothing personal belongs here
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Do not ask before erasing
    #[arg(long, short = 'y')]
    yes: bool,
    /// Repeating the command under the same key does nothing twice [default: a random one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Erase {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        confirm(&format!("Erase the texts of {} for good?", self.ticket.trim()), self.yes)?;
        let write = Write { idempotency_key: self.idempotency_key, ..Write::default() };
        let request = EraseRequest { reason: self.reason };
        let erased = context.client()?.erase_ticket(self.ticket.trim(), &request, &write).await?;
        context
            .show(&erased, |erased, zone| {
                let at = zone.minute(erased.erased_at);
                format!("{}: texts erased at {at}; backups made before still hold them", erased.number)
            })
            .await
    }
}
