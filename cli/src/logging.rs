//! The log: on stderr, text or JSON. The configuration says how it looks and what it tells.

use std::io::IsTerminal as _;

use medreq::server::config::LogFormat;
use tracing_subscriber::{EnvFilter, fmt};

use crate::failure::Failure;

/// Starts logging, once for the process.
pub(crate) fn install(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let refuse = |error| Failure::usage(format!("server.log_filter: {error}; use info, debug or medreq=debug,info"));
    let filter = EnvFilter::try_new(filter).map_err(refuse)?;
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => {
            log.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init()
        }
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    Ok(())
}
