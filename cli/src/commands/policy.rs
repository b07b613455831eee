//! `medreq policy …`: what the hospital asks of a sign-in.

use clap::{Args, Subcommand};
use medreq::{api::accounts::SignInPolicy, domain::reason::Role};

use crate::{context::Context, failure::Failure, values::code};

/// What the hospital asks of a sign-in.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The policy in force
    #[command(after_help = "Example:\n  medreq policy show")]
    Show,
    /// Say who is to sign in with a second factor; who has none sets it up at their next sign-in
    #[command(after_help = "\
Examples:
  medreq policy set --second-factor admin,auditor
  medreq policy set --no-second-factor")]
    Set {
        /// Roles that sign in with a second factor, in place of those before, by commas or repeated
        #[arg(long = "second-factor", value_name = "ROLE", value_parser = code!(Role), value_delimiter = ',', required_unless_present = "nobody")]
        roles: Vec<Role>,
        /// Nobody has to
        #[arg(long = "no-second-factor", conflicts_with = "roles")]
        nobody: bool,
    },
}

impl Policy {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let policy = match self.command {
            Command::Show => client.policy().await?,
            Command::Set { roles, .. } => {
                let second_factor_required_for = roles.into_iter().collect();
                client.put_policy(&SignInPolicy { second_factor_required_for }).await?
            }
        };
        context.output.show(&policy, |policy| {
            let roles: Vec<&str> = policy.second_factor_required_for.iter().map(|role| role.as_str()).collect();
            let who = if roles.is_empty() { "nobody".to_owned() } else { roles.join(", ") };
            format!("second factor required for: {who}")
        })
    }
}
