//! Checks and installation for hospital IT. Knows nothing of tickets, and changes nothing while it checks.

mod checks;

use std::{net::SocketAddr, path::PathBuf};

use serde::Serialize;

/// What a check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be.
    Ok,
    /// Works, but should be mended.
    Warning,
    /// Will not work.
    Failed,
    /// Could not be looked at here.
    Skipped,
}

/// How much a failed check matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Stops an installation.
    Required,
    /// Should be so.
    Recommended,
}

/// One check with its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Stable id.
    pub id: &'static str,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub status: Status,
    /// The measure or text that was found.
    pub evidence: String,
    /// What to do; empty where nothing is to be done.
    pub remedy: String,
}

/// What is about to be run, and where.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where the data will lie.
    pub data_dir: PathBuf,
    /// Where the server will listen.
    pub listen: SocketAddr,
}

/// Runs the whole registry, in a fixed order.
#[must_use]
pub fn preflight(site: &Site) -> Vec<Check> {
    checks::REGISTRY.iter().map(|check| check(site)).collect()
}

/// Exit code of a report: 0 all well, 3 a required check failed, 4 something should be mended.
#[must_use]
pub fn exit_code(checks: &[Check]) -> u8 {
    let any = |status| checks.iter().any(|check| check.status == status);
    match (any(Status::Failed), any(Status::Warning)) {
        (true, _) => 3,
        (false, true) => 4,
        (false, false) => 0,
    }
}
