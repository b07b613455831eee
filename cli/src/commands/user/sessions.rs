//! `medreq user sessions`: where a user is signed in, and an end to it. Goes through the API; needs an administrator's token.

use clap::Args;
use medreq::api::accounts::SessionView;
use uuid::Uuid;

use crate::{context::Context, failure::Failure, input::confirm, table::Table, zone::Zone};

/// Where a user is signed in, and an end to it
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq user sessions joana
  medreq user sessions joana --end 6f1b8a60-8f6b-4f6e-9a0e-0f6f2f6b1c11
  medreq user sessions joana --end-all --yes")]
pub(super) struct Sessions {
    /// The username
    #[arg(value_name = "USERNAME")]
    username: String,
    /// End this session: what was issued under it stops working within seconds
    #[arg(long, value_name = "SID", conflicts_with = "end_all")]
    end: Option<Uuid>,
    /// Sign the user out everywhere
    #[arg(long)]
    end_all: bool,
    /// Do not ask
    #[arg(long, short = 'y', requires = "end_all")]
    yes: bool,
}

impl Sessions {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let username = &self.username;
        if self.end_all {
            confirm(&format!("{username} is signed out on every device. Go on?"), self.yes)?;
        }
        let client = context.client()?;
        if self.end_all || self.end.is_some() {
            client.end_user_sessions(username, self.end).await?;
            let what = self.end.map_or_else(|| format!("every session of {username}"), |sid| format!("session {sid}"));
            context.output.hint(&format!("{what} has ended"));
            return Ok(());
        }
        context.show(&client.user_sessions(username).await?, |sessions, zone| table(&sessions.items, zone)).await
    }
}

fn table(sessions: &[SessionView], zone: &Zone) -> String {
    let mut table = Table::new(&["SESSION", "APP", "DEVICE", "SIGNED IN", "LAST USED", "ENDS"]);
    for session in sessions {
        table.row([
            session.sid.to_string(),
            session.client_id.clone(),
            session.device.clone(),
            zone.minute(session.created_at),
            zone.minute(session.last_used_at),
            zone.minute(session.expires_at),
        ]);
    }
    table.render()
}
