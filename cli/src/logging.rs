//! The log: on stderr, text or JSON. `MEDREQ_LOG` filters it (`debug`, `medreq=debug,info`).

use std::io::IsTerminal as _;

use tracing_subscriber::{EnvFilter, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Starts logging, once for the process.
    pub(crate) fn install(self) {
        let filter = EnvFilter::try_from_env("MEDREQ_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let log = fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self {
            Self::Text => {
                log.with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()).init()
            }
            Self::Json => log.json().flatten_event(true).init(),
        }
    }
}
