//! The `medreq` binary: parses, delegates, says how it ended. Nothing else happens here.

mod cli;
mod commands;
mod context;
mod failure;
mod input;
mod lines;
mod logging;
mod login;
mod output;
mod paths;
mod private;
mod stack;
mod table;
mod token;
mod values;
mod zone;

use std::process::ExitCode;

use clap::Parser;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    let json = cli.globals.json;
    match cli.run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
