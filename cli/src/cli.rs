//! The command line as people see it: global flags and the list of subcommands. No subcommand's own flags stand here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    commands::{
        audit, backup, bench, cabinet, catalog, client, completions, config, keys, login, logout, man, medication,
        pharmacy, policy, preflight, restore, routing, serve, site, ticket, tui, up, user, ward, whoami,
    },
    context::Context,
    failure::Failure,
};

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  the server, the network or this machine failed
  2  the command line or the configuration is wrong
  3  refused: a rule, a conflict, or no such thing (the code in brackets says which)
  4  not authenticated, or not allowed

With --json what fails is told as JSON on stderr, too; but a command line that cannot
be read (exit 2: an unknown flag, a missing or odd value) is always answered in text.

`medreq login` signs in and keeps itself signed in. Before it come MEDREQ_TOKEN and token
files (--token-file, MEDREQ_TOKEN_FILE, token_file of the configuration), for programs; a
token never stands on the command line. The configuration is
/etc/medreq/medreq.toml or the file of --config (MEDREQ_CONFIG), then MEDREQ_… variables,
then flags: `medreq config default` lists every setting, `medreq config show` what is in force.

Examples:
  export MEDREQ_URL=http://127.0.0.1:8080
  medreq login
  medreq ticket new --kind refill --cabinet UTI-01 --priority stat --line MIDAZ-5=10
  medreq ticket list --status open,claimed --ward UTI
  medreq ticket watch --json";

/// Medication-replenishment tickets: from "it is missing" to "it arrived".
#[derive(Debug, Parser)]
#[command(name = "medreq", version, after_help = AFTER_HELP, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    command: Command,
}

/// Flags that every subcommand takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection and output")]
pub(crate) struct Globals {
    /// The server [env: MEDREQ_URL] [default: http://127.0.0.1:8080]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) url: Option<String>,
    /// Read the access token from this file, anew for each call [env: MEDREQ_TOKEN_FILE; MEDREQ_TOKEN holds a token itself]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Configuration file (TOML) [default: /etc/medreq/medreq.toml, where there is one]
    #[arg(long, global = true, env = "MEDREQ_CONFIG", hide_env_values = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Act for this user, with a service account's token [env: MEDREQ_ON_BEHALF_OF]
    #[arg(long, global = true, value_name = "USERNAME")]
    pub(crate) on_behalf_of: Option<String>,
    /// Print the API's JSON in place of tables
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
#[expect(clippy::large_enum_variant, reason = "one is made per process")]
enum Command {
    Up(up::Up),
    Serve(serve::Serve),
    Tui(tui::Tui),
    Login(login::Login),
    Logout(logout::Logout),
    Whoami(whoami::Whoami),
    Ticket(ticket::Ticket),
    Catalog(catalog::Catalog),
    Medication(medication::Medication),
    Site(site::Site),
    Pharmacy(pharmacy::Pharmacy),
    Ward(ward::Ward),
    Cabinet(cabinet::Cabinet),
    Routing(routing::Routing),
    User(user::User),
    Client(client::Client),
    Keys(keys::Keys),
    Policy(policy::Policy),
    Audit(audit::Audit),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Preflight(preflight::Preflight),
    Config(config::Config),
    Bench(bench::Bench),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Cli {
    /// Does what the command line says.
    pub(crate) async fn run(self) -> Result<(), Failure> {
        // The hospital's own settings are not the demo's; and a file that is wrong must not keep anybody from seeing how it should be.
        let site = match &self.command {
            Command::Up(command) => !command.demo,
            Command::Config(command) => command.reads_configuration(),
            _ => true,
        };
        let context = Context::new(self.globals, site)?;
        match self.command {
            Command::Login(command) => command.run(&context).await,
            Command::Logout(command) => command.run(&context).await,
            Command::Whoami(command) => command.run(&context).await,
            Command::Ticket(command) => command.run(&context).await,
            Command::Catalog(command) => command.run(&context).await,
            Command::Medication(command) => command.run(&context).await,
            Command::Site(command) => command.run(&context).await,
            Command::Routing(command) => command.run(&context).await,
            Command::Pharmacy(command) => command.run(&context).await,
            Command::Ward(command) => command.run(&context).await,
            Command::Cabinet(command) => command.run(&context).await,
            Command::User(command) => command.run(&context).await,
            Command::Client(command) => command.run(&context).await,
            Command::Keys(command) => command.run(&context).await,
            Command::Policy(command) => command.run(&context).await,
            Command::Audit(command) => command.run(&context).await,
            Command::Up(command) => command.run(&context).await,
            Command::Serve(command) => command.run(&context).await,
            Command::Tui(command) => command.run(&context).await,
            Command::Backup(command) => command.run(&context),
            Command::Restore(command) => command.run(&context),
            Command::Preflight(command) => command.run(&context),
            Command::Config(command) => command.run(&context),
            Command::Bench(command) => command.run(&context).await,
            Command::Completions(command) => command.run(&context),
            Command::Man(command) => command.run(&context),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn leaves(command: &clap::Command, path: &str, visit: &mut dyn FnMut(&str, &clap::Command)) {
        let path = format!("{path} {}", command.get_name());
        if command.has_subcommands() {
            command.get_subcommands().for_each(|inner| leaves(inner, &path, visit));
        } else {
            visit(path.trim(), command);
        }
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_help_says_what_it_does_and_shows_an_example() {
        leaves(&Cli::command(), "", &mut |path, command| {
            assert!(command.get_about().is_some(), "{path} says nothing");
            let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(path), "{path}: no example among {after:?}");
        });
    }

    #[test]
    fn no_flag_takes_a_secret() {
        leaves(&Cli::command(), "", &mut |path, command| {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                let secret = id.contains("token") || id.contains("password") || id.contains("secret");
                let by_file = id.ends_with("_file") || !argument.get_action().takes_values();
                assert!(!secret || by_file, "{path}: --{id} would put a secret on the command line");
            }
        });
    }
}
