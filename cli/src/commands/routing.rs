//! `medreq routing …`: the rules that choose a new ticket's pharmacy. They are replaced whole, from a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use medreq::{api::routing::RoutingRules, client::Write};

use crate::{
    context::Context,
    failure::Failure,
    input::{body, confirm},
    table::Table,
};

/// The rules that choose a new ticket's pharmacy: the first that fits, else the ward's own.
#[derive(Debug, Args)]
pub(crate) struct Routing {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The rules, in their order; with --json as `set` takes them
    #[command(after_help = "Example:\n  medreq routing list --json > rules.json")]
    List,
    /// Replace all rules by those of a file
    #[command(after_help = "\
A rule names its pharmacy and, as far as it matters, wards, kinds, control_classes (A1, CII, …, or controlled
for any) and the hours in the hospital's zone, over midnight too; what it leaves out it does not ask for:

  {\"rules\": [
    {\"control_classes\": [\"controlled\"], \"pharmacy\": \"CENTRAL\"},
    {\"wards\": [\"CC\", \"RPA\"], \"from\": \"22:00\", \"until\": \"06:00\", \"pharmacy\": \"CENTRAL\"}
  ]}

Example:
  medreq routing set rules.json")]
    Set {
        /// The rules as JSON, from a file or from stdin with `-`
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove all rules: every ticket goes to its ward's own pharmacy
    #[command(after_help = "Example:\n  medreq routing clear --yes")]
    Clear {
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

impl Routing {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let rules = match self.command {
            Command::List => client.routing_rules().await?,
            Command::Set { file } => client.put_routing_rules(&body(&file)?, &Write::default()).await?,
            Command::Clear { yes } => {
                confirm("Every new ticket goes to its ward's own pharmacy from now on. Go on?", yes)?;
                client.put_routing_rules(&RoutingRules::default(), &Write::default()).await?
            }
        };
        context.output.show(&rules, table)
    }
}

fn table(rules: &RoutingRules) -> String {
    let any = |codes: Vec<&str>| if codes.is_empty() { "any".to_owned() } else { codes.join(",") };
    let mut table = Table::new(&["RULE", "WARDS", "KINDS", "CLASSES", "HOURS", "PHARMACY"]);
    for (number, rule) in (1..).zip(&rules.rules) {
        let hours = rule.from.as_ref().zip(rule.until.as_ref());
        table.row([
            format!("{number}"),
            any(rule.wards.iter().map(String::as_str).collect()),
            any(rule.kinds.iter().map(|kind| kind.as_str()).collect()),
            any(rule.control_classes.iter().map(String::as_str).collect()),
            hours.map_or_else(|| "any".to_owned(), |(from, until)| format!("{from}-{until}")),
            rule.pharmacy.clone(),
        ]);
    }
    table.render()
}
