//! `medreq audit …`: who administered what, who signed in, what was refused. Read only.

use clap::{Args, Subcommand};
use medreq::api::accounts::AuditView;

use super::paging::{Paging, tell_more};
use crate::{context::Context, failure::Failure, table::Table, zone::Zone};

/// The audit log.
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What was written into it, newest first
    #[command(after_help = "Example:\n  medreq audit list --kind auth --limit 20")]
    List {
        /// Only this kind: auth, reference, user, client, ticket, admin
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Audit {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Command::List { kind, paging } = self.command;
        let client = context.client()?;
        let page = |limit, cursor: Option<String>| {
            let (client, kind) = (&client, kind.as_deref());
            async move { client.audit(kind, limit, cursor.as_deref()).await }
        };
        let entries = paging.fetch(page).await?;
        context.show(&entries, |entries, zone| table(&entries.items, zone)).await?;
        tell_more(&context.output, &entries);
        Ok(())
    }
}

fn table(entries: &[AuditView], zone: &Zone) -> String {
    let mut table = Table::new(&["AT", "KIND", "ACTION", "ACTOR", "SUBJECT", "DETAIL"]);
    for entry in entries {
        table.row([
            zone.minute(entry.at),
            entry.kind.clone(),
            entry.action.clone(),
            entry.actor.clone().unwrap_or_default(),
            entry.subject.clone().unwrap_or_default(),
            entry.detail.to_string(),
        ]);
    }
    table.render()
}
