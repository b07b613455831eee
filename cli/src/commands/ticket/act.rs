//! The commands of the workflow that name a ticket and a reason or two. One struct each; what they mean, the server decides.

use std::path::PathBuf;

use clap::Args;
use medreq::{
    api::tickets,
    client::{TicketCommand, Write},
    domain::reason::{CancelReason, DispatchMethod, HoldReason, RejectReason, ReturnReason, TransferReason},
};

use super::{Target, text};
use crate::{
    context::Context,
    failure::Failure,
    input::{Note, text_or_file},
    values::{When, code, when},
};

/// Commands that say nothing but their name.
macro_rules! plain {
    ($(#[doc = $about:literal] $name:ident $word:literal),+ $(,)?) => {$(
        #[doc = $about]
        #[derive(Debug, Args)]
        #[command(after_help = concat!("Example:\n  medreq ticket ", $word, " UTI-42-K --if-version 2"))]
        pub(super) struct $name {
            #[command(flatten)]
            target: Target,
        }

        impl $name {
            pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
                self.target.send(context, TicketCommand::$name).await
            }
        }
    )+};
}
plain! {
    /// Take an open ticket: it is yours to work.
    Claim "claim",
    /// Put a claimed ticket back into the queue; what was picked goes back on the shelf.
    Release "release",
    /// Go on with a ticket that was on hold.
    Resume "resume",
    /// Take the picking back, to change it.
    Unpick "unpick",
    /// The check: what was picked is right and may leave. By another person than the picker where a line is controlled.
    Ready "ready",
}

/// Commands with a coded reason and a note.
macro_rules! reasoned {
    ($(#[doc = $about:literal] $name:ident($reason:ty, $request:ident) $word:literal $example:literal),+ $(,)?) => {$(
        #[doc = $about]
        #[derive(Debug, Args)]
        #[command(after_help = concat!("Example:\n  medreq ticket ", $word, " UTI-42-K --reason ", $example))]
        pub(super) struct $name {
            #[command(flatten)]
            target: Target,
            /// Why
            #[arg(long, value_parser = code!($reason))]
            reason: $reason,
            #[command(flatten)]
            note: Note,
        }

        impl $name {
            pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
                let request = tickets::$request { reason: self.reason, note: self.note.read()? };
                self.target.send(context, TicketCommand::$name(request)).await
            }
        }
    )+};
}
reasoned! {
    /// A dispatched ticket came back.
    Return(ReturnReason, ReturnRequest) "return" "undeliverable",
    /// The pharmacy refuses a ticket.
    Reject(RejectReason, RejectRequest) "reject" "not_stocked --note 'ask for the 10 mg vial'",
    /// Withdraw a ticket; nothing is deleted.
    Cancel(CancelReason, CancelRequest) "cancel" "found",
}

/// Give a claimed ticket to a colleague.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq ticket reassign UTI-42-K --assignee elisa")]
pub(super) struct Reassign {
    #[command(flatten)]
    target: Target,
    /// The colleague
    #[arg(long, visible_alias = "to", value_name = "USERNAME")]
    assignee: String,
}

impl Reassign {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        self.target.send(context, TicketCommand::Reassign(tickets::Reassign { assignee: self.assignee })).await
    }
}

/// Give a ticket to another pharmacy.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq ticket transfer UTI-42-K --pharmacy SAT-2 --reason out_of_stock")]
pub(super) struct Transfer {
    #[command(flatten)]
    target: Target,
    /// The other pharmacy
    #[arg(long, visible_alias = "to", value_name = "CODE")]
    pharmacy: String,
    /// Why
    #[arg(long, value_parser = code!(TransferReason))]
    reason: TransferReason,
    #[command(flatten)]
    note: Note,
}

impl Transfer {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let request = tickets::Transfer { pharmacy: self.pharmacy, reason: self.reason, note: self.note.read()? };
        self.target.send(context, TicketCommand::Transfer(request)).await
    }
}

/// Pause a ticket; the clock stands still where the ward is waited for.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket hold UTI-42-K --reason awaiting_ward --resume-by +30m --note 'which strength?'
  medreq ticket hold UTI-42-K --reason out_of_stock --resume-by '2026-11-26 08:00'")]
pub(super) struct Hold {
    #[command(flatten)]
    target: Target,
    /// Why
    #[arg(long, value_parser = code!(HoldReason))]
    reason: HoldReason,
    /// When it should go on: a time, or +30m
    #[arg(long, value_name = "TIME", value_parser = when)]
    resume_by: When,
    #[command(flatten)]
    note: Note,
}

impl Hold {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let resume_by = context.instant(self.resume_by).await?;
        let request = tickets::HoldRequest { reason: self.reason, note: self.note.read()?, resume_by };
        self.target.send(context, TicketCommand::Hold(request)).await
    }
}

/// Send it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq ticket dispatch UTI-42-K --method runner")]
pub(super) struct Dispatch {
    #[command(flatten)]
    target: Target,
    /// By which way
    #[arg(long, value_parser = code!(DispatchMethod))]
    method: DispatchMethod,
}

impl Dispatch {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        self.target.send(context, TicketCommand::Dispatch(tickets::DispatchRequest { method: self.method })).await
    }
}

/// Settle an assistance or discrepancy ticket.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq ticket resolve UTI-43-B --note 'drawer freed'")]
pub(super) struct Resolve {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    note: Note,
}

impl Resolve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let request = tickets::ResolveRequest { note: self.note.read()? };
        self.target.send(context, TicketCommand::Resolve(request)).await
    }
}

/// Say something about a ticket; changes nothing else.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket comment UTI-42-K --text 'on its way up'
  medreq ticket comment UTI-42-K --text-file -")]
pub(super) struct Comment {
    /// The ticket's id or number
    #[arg(value_name = "TICKET")]
    ticket: String,
    /// What to say
    #[arg(long, value_name = "TEXT", required_unless_present = "text_file")]
    text: Option<String>,
    /// Read it from a file, or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
    /// Repeating the command under the same key says nothing twice [default: a random one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Comment {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let said = text_or_file(self.text.as_deref(), self.text_file.as_deref())?.unwrap_or_default();
        let client = context.client()?;
        let id = match uuid::Uuid::try_parse(self.ticket.trim()) {
            Ok(id) => id.to_string(),
            Err(_) => client.find_ticket(&self.ticket).await?.id,
        };
        let command = TicketCommand::Comment(tickets::CommentRequest { text: said });
        let write = Write { idempotency_key: self.idempotency_key, ..Write::default() };
        let ticket = client.command(&id, &command, &write).await?;
        context.output.show(&ticket, |ticket| text::outcome(ticket, &context.output))
    }
}
