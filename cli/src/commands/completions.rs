//! `medreq completions SHELL`: a script that a shell reads.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{cli::Cli, context::Context, failure::Failure};

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq completions bash > ~/.local/share/bash-completion/completions/medreq
  medreq completions fish > ~/.config/fish/completions/medreq.fish")]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "medreq", &mut script);
        context.output.raw(&script)
    }
}
