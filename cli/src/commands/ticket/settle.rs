//! `medreq ticket pick` and `receive`: the two commands that speak of lines.

use std::path::PathBuf;

use clap::Args;
use medreq::{
    api::tickets::{self, PickRequest, ReceiveLine, ReceiveRequest},
    client::TicketCommand,
    domain::quantity::Quantity,
};

use super::{Target, text};
use crate::{
    context::Context,
    failure::Failure,
    input::body,
    lines::{pick_line, receive_line},
};

/// Say what was taken from the shelf, by lot; a line that stays short needs a reason.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket pick UTI-42-K --line 1=8,lot=L42,expiry=2027-01-31,reason=out_of_stock --line 2=6,lot=H7,expiry=2027-06-30
  medreq ticket pick UTI-42-K --line 1=0,reason=backordered,expected_at=+2h")]
pub(super) struct Pick {
    #[command(flatten)]
    target: Target,
    /// LINE=SUPPLIED[,lot=…][,expiry=YYYY-MM-DD][,reason=…][,expected_at=…]; a repeated line is another lot
    #[arg(long = "line", value_name = "LINE", required_unless_present = "file")]
    lines: Vec<String>,
    /// The whole body as JSON, from a file or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with = "lines")]
    file: Option<PathBuf>,
}

impl Pick {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let request = match &self.file {
            Some(file) => body(file)?,
            None => {
                let mut lines = Vec::with_capacity(self.lines.len());
                for text in &self.lines {
                    let (mut line, expected) = pick_line(text, context.decimal_separator()).map_err(Failure::Usage)?;
                    line.expected_at = context.instant_if(expected).await?;
                    lines.push(line);
                }
                PickRequest { lines }
            }
        };
        self.target.send(context, TicketCommand::Pick(request)).await
    }
}

/// Confirm what arrived, line by line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket receive UTI-42-K --all
  medreq ticket receive UTI-42-K --line 1=7,damaged=1 --line 2=5,missing=1,reason=short_count
  medreq ticket receive UTI-42-K --all --line 2=5,missing=1")]
pub(super) struct Receive {
    #[command(flatten)]
    target: Target,
    /// LINE=RECEIVED[,damaged=…][,wrong=…][,missing=…][,reason=…]; repeatable
    #[arg(long = "line", value_name = "LINE", required_unless_present_any = ["file", "everything"])]
    lines: Vec<String>,
    /// Everything arrived, but for what --line says
    #[arg(long = "all")]
    everything: bool,
    /// The whole body as JSON, from a file or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["lines", "everything"])]
    file: Option<PathBuf>,
}

impl Receive {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut request = match &self.file {
            Some(file) => body(file)?,
            None => {
                let read = |text: &String| receive_line(text, context.decimal_separator()).map_err(Failure::Usage);
                ReceiveRequest { lines: self.lines.iter().map(read).collect::<Result<_, _>>()? }
            }
        };
        let client = context.client()?;
        let found = self.target.find(&client).await?;
        if self.everything {
            let ticket = match found.ticket {
                Some(ticket) => ticket,
                None => client.ticket(&found.id).await?,
            };
            complete(&mut request.lines, &ticket.lines);
        }
        let ticket = client.command(&found.id, &TicketCommand::Receive(request), &found.write).await?;
        context.output.show(&ticket, |ticket| text::outcome(ticket, &context.output))
    }
}

/// Adds every line that was supplied and is not named yet, as arrived in full.
fn complete(named: &mut Vec<ReceiveLine>, lines: &[tickets::Line]) {
    for line in lines {
        if line.supplied.is_zero() || named.iter().any(|earlier| earlier.line == line.line) {
            continue;
        }
        named.push(ReceiveLine {
            line: line.line,
            received: line.supplied,
            damaged: Quantity::ZERO,
            wrong: Quantity::ZERO,
            missing: Quantity::ZERO,
            reason: None,
        });
    }
}
