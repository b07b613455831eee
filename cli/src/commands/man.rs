//! `medreq man`: the manual pages, made from the same text as `--help`.

use std::path::PathBuf;

use clap::{Args, CommandFactory};

use crate::{cli::Cli, context::Context, failure::Failure};

/// Print the manual page, or write one for every subcommand.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  medreq man | man -l -\n  medreq man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Write a page for every subcommand into this directory
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let Some(dir) = self.out else {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page).map_err(Failure::Output)?;
            return context.output.raw(&page);
        };
        std::fs::create_dir_all(&dir)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), &dir))
            .map_err(|error| Failure::file(&dir, &error))?;
        context.output.hint(&format!("the pages are in {}", dir.display()));
        Ok(())
    }
}
