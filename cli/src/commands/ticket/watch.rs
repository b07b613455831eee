//! `medreq ticket watch`: the live feed as lines. Goes on until it is stopped or refused; after a break it misses nothing.

use clap::Args;
use medreq::{
    client::{EventFilter, FeedItem},
    domain::reason::Kind,
};

use super::text;
use crate::{context::Context, failure::Failure, values::code};

/// What happens to tickets, as it happens.
#[derive(Debug, Args)]
#[command(after_help = "\
With --json each line is one event; its `id` is the cursor that --since takes, to go on after it without a gap.

Examples:
  medreq ticket watch
  medreq ticket watch UTI-42-K
  medreq ticket watch --json --since 0d7f0f6a0b3e4f55a3d1b1a0a8f7c5d2-0-1041")]
pub(super) struct Watch {
    /// Only this ticket, by id or number
    #[arg(value_name = "TICKET")]
    ticket: Option<String>,
    /// Only tickets of this ward
    #[arg(long, value_name = "CODE")]
    ward: Option<String>,
    /// Only tickets of these kinds, by commas or repeated
    #[arg(long, value_parser = code!(Kind), value_delimiter = ',')]
    kind: Vec<Kind>,
    /// Begin after this event instead of now
    #[arg(long, value_name = "CURSOR")]
    since: Option<String>,
}

impl Watch {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let ticket = match &self.ticket {
            Some(ticket) => Some(client.find_ticket(ticket).await?.id),
            None => None,
        };
        let zone = context.shown_zone().await;
        let mut feed = client.events(EventFilter { ward: self.ward, ticket, kinds: self.kind }, self.since);
        while let Some(item) = feed.next().await {
            match item? {
                FeedItem::Event { event, .. } if context.output.json => context.output.json_line(&event)?,
                FeedItem::Event { event, .. } => context.output.line(&text::event(&event, &zone))?,
                FeedItem::Connected if context.output.interactive => context.output.hint("watching; Ctrl-C ends it"),
                FeedItem::Connected => {}
                FeedItem::Reset { cursor } => {
                    context
                        .output
                        .note(&format!("what happened before {cursor} is not kept any more; `ticket list` has it"));
                }
                FeedItem::Waiting { reason, delay } => {
                    context.output.note(&format!("{reason}; trying again in {:.1} s", delay.as_secs_f32()));
                }
            }
        }
        Ok(())
    }
}
