//! `medreq ticket …`: asking, looking, and one subcommand per command of the workflow.

mod act;
mod erase;
mod list;
mod new;
mod particulars;
mod settle;
mod show;
mod text;
mod watch;

use clap::{Args, Subcommand};
use medreq::{
    api::tickets,
    client::{Client, TicketCommand, Write},
};
use uuid::Uuid;

use crate::{context::Context, failure::Failure};

/// Ask for medicines, work the queue, see what became of it.
#[derive(Debug, Args)]
pub(crate) struct Ticket {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    List(list::TicketList),
    Show(show::Show),
    History(show::History),
    Watch(watch::Watch),
    Amend(new::Amend),
    Claim(act::Claim),
    Release(act::Release),
    Reassign(act::Reassign),
    Transfer(act::Transfer),
    Hold(act::Hold),
    Resume(act::Resume),
    Pick(settle::Pick),
    Unpick(act::Unpick),
    Ready(act::Ready),
    Dispatch(act::Dispatch),
    Return(act::Return),
    Receive(settle::Receive),
    Resolve(act::Resolve),
    Reject(act::Reject),
    Cancel(act::Cancel),
    Comment(act::Comment),
    Erase(erase::Erase),
}

impl Ticket {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::New(command) => command.run(context).await,
            Command::List(command) => command.run(context).await,
            Command::Show(command) => command.run(context).await,
            Command::History(command) => command.run(context).await,
            Command::Watch(command) => command.run(context).await,
            Command::Amend(command) => command.run(context).await,
            Command::Claim(command) => command.run(context).await,
            Command::Release(command) => command.run(context).await,
            Command::Reassign(command) => command.run(context).await,
            Command::Transfer(command) => command.run(context).await,
            Command::Hold(command) => command.run(context).await,
            Command::Resume(command) => command.run(context).await,
            Command::Pick(command) => command.run(context).await,
            Command::Unpick(command) => command.run(context).await,
            Command::Ready(command) => command.run(context).await,
            Command::Dispatch(command) => command.run(context).await,
            Command::Return(command) => command.run(context).await,
            Command::Receive(command) => command.run(context).await,
            Command::Resolve(command) => command.run(context).await,
            Command::Reject(command) => command.run(context).await,
            Command::Cancel(command) => command.run(context).await,
            Command::Comment(command) => command.run(context).await,
            Command::Erase(command) => command.run(context).await,
        }
    }
}

/// Which ticket, on which version the change is based, and under which key it is sent.
#[derive(Debug, Clone, Args)]
struct Target {
    /// The ticket's id or number
    #[arg(value_name = "TICKET")]
    ticket: String,
    /// Refuse where the ticket has changed since this version [default: the current one]
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
    /// Repeating the command under the same key does nothing twice [default: a random one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// A ticket to change: its id, and the ticket itself where it had to be read.
struct Found {
    id: String,
    ticket: Option<tickets::Ticket>,
    write: Write,
}

impl Target {
    /// Finds the ticket; it is read only where its version or its id is not known yet.
    async fn find(&self, client: &Client) -> Result<Found, Failure> {
        let mut write =
            Write { if_version: self.if_version, idempotency_key: self.idempotency_key.clone(), ..Write::default() };
        if let (Some(_), Ok(id)) = (self.if_version, Uuid::try_parse(self.ticket.trim())) {
            return Ok(Found { id: id.to_string(), ticket: None, write });
        }
        let ticket = client.find_ticket(&self.ticket).await?;
        write.if_version = write.if_version.or(Some(ticket.version));
        Ok(Found { id: ticket.id.clone(), ticket: Some(ticket), write })
    }

    /// Sends a command and shows the ticket as it is then.
    async fn send(&self, context: &Context, command: TicketCommand) -> Result<(), Failure> {
        let client = context.client()?;
        let found = self.find(&client).await?;
        let ticket = client.command(&found.id, &command, &found.write).await?;
        context.output.show(&ticket, |ticket| text::outcome(ticket, &context.output))
    }
}
