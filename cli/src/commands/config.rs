//! `medreq config`: what is in force and where it comes from, and the commented defaults. No setting is a secret, so nothing is left out.

use clap::{Args, Subcommand};
use medreq::server::config::{DEFAULT, Setting};
use serde_json::json;

use crate::{context::Context, failure::Failure};

/// Show the configuration
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq config show
  medreq config default

Later wins: the defaults, then /etc/medreq/medreq.toml or the file of --config, then the
environment, then flags. [server] listen is MEDREQ_SERVER__LISTEN in the environment; lists
are parted by commas. A key, or a variable with __, that names no setting is refused; other
variables that begin with MEDREQ_ are left alone.")]
pub(crate) struct Config {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Every setting in force, as TOML, with where it comes from
    #[command(after_help = "Example:\n  medreq config show --config medreq.toml")]
    Show,
    /// The commented defaults: every setting and what it means
    #[command(after_help = "Example:\n  medreq config default")]
    Default,
}

impl Config {
    /// False where it must work whatever the machine's file holds.
    pub(crate) fn reads_configuration(&self) -> bool {
        matches!(self.verb, Verb::Show)
    }

    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self.verb {
            Verb::Default => context.output.raw(DEFAULT.as_bytes()),
            Verb::Show => {
                let items: Vec<_> = context
                    .layers
                    .settings()
                    .map(|(key, Setting { value, source })| json!({ "key": key, "value": value, "source": source.to_string() }))
                    .collect();
                let list = json!({ "total": items.len(), "items": items, "next": null });
                context.output.show(&list, |_| toml(context))
            }
        }
    }
}

fn toml(context: &Context) -> String {
    let (mut text, mut current) = (String::new(), "");
    for (name, Setting { value, source }) in context.layers.settings() {
        let (table, key) = name.split_once('.').unwrap_or(("", name));
        if table != current {
            let before = if current.is_empty() { "" } else { "\n" };
            text.push_str(&format!("{before}[{table}]\n"));
            current = table;
        }
        text.push_str(&format!("{key} = {value}  # {source}\n"));
    }
    text.truncate(text.trim_end().len());
    text
}
