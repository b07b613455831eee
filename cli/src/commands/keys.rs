//! `medreq keys …`: the keys that sign tokens. Their private parts never leave the server.

use clap::{Args, Subcommand};
use jiff::Timestamp;
use medreq::api::accounts::{KeyView, RotateKeys};

use crate::{context::Context, failure::Failure, input::confirm, table::Table, zone::Zone};

/// The keys that sign tokens.
#[derive(Debug, Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The keys, and until when each is believed
    #[command(after_help = "Example:\n  medreq keys list")]
    List,
    /// Replace the keys; nobody is logged out. They are replaced every 90 days by themselves, too
    #[command(after_help = "\
The new keys are published at once and sign 90 seconds later; the old ones are believed until their last token has
expired. With --now the old ones are deleted and every token that they signed is dead: for keys that others know.

Examples:
  medreq keys rotate
  medreq keys rotate --now --yes")]
    Rotate {
        /// Somebody else has the keys: stop believing them at once
        #[arg(long)]
        now: bool,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

impl Keys {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let keys = match self.command {
            Command::List => client.keys().await?,
            Command::Rotate { now, yes } => {
                if now {
                    confirm("Every access token in use dies at once; apps have to fetch new ones. Go on?", yes)?;
                }
                client.rotate_keys(&RotateKeys { compromised: now }).await?
            }
        };
        context.show(&keys, |keys, zone| table(&keys.items, zone)).await
    }
}

fn table(keys: &[KeyView], zone: &Zone) -> String {
    let mut table = Table::new(&["KEY", "ALGORITHM", "STAGE", "SIGNS FROM", "SIGNS UNTIL", "BELIEVED UNTIL"]);
    let when = |at: Option<Timestamp>| at.map(|at| zone.minute(at)).unwrap_or_default();
    for key in keys {
        table.row([
            key.kid.clone(),
            key.algorithm.clone(),
            key.stage.clone(),
            zone.minute(key.signs_from),
            when(key.retired_at),
            when(key.gone_at),
        ]);
    }
    table.render()
}
