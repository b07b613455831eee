//! `medreq ticket show` and `history`: one ticket as it is, and how it came to be so.

use clap::Args;

use super::text;
use crate::{context::Context, failure::Failure};

/// One ticket, whole.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  medreq ticket show UTI-42-K\n  medreq ticket show 5e0c9f6a-0d5b-4f0e-9a61-0c2f4f1c2b7d --json"
)]
pub(super) struct Show {
    /// The ticket's id or number
    #[arg(value_name = "TICKET")]
    ticket: String,
}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let ticket = context.client()?.find_ticket(&self.ticket).await?;
        context.show(&ticket, |ticket, zone| text::whole(ticket, &context.output, zone)).await
    }
}

/// Who did what to a ticket, oldest first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq ticket history UTI-42-K")]
pub(super) struct History {
    /// The ticket's id or number
    #[arg(value_name = "TICKET")]
    ticket: String,
}

impl History {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let id = match uuid::Uuid::try_parse(self.ticket.trim()) {
            Ok(id) => id.to_string(),
            Err(_) => client.find_ticket(&self.ticket).await?.id,
        };
        let mut history = client.history(&id, None).await?;
        while let Some(next) = history.next.take() {
            let more = client.history(&id, Some(&next)).await?;
            history.items.extend(more.items);
            history.next = more.next;
        }
        context.show(&history, |history, zone| text::history(&history.items, zone)).await
    }
}
