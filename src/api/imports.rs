//! Imports on the wire: a streamed body in, progress and a report out.

use serde::{Deserialize, Serialize};

/// What an import did. All good rows became visible together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ImportReport {
    /// `catalog`, `medications`, `pharmacies`, `wards`, `cabinets`, `par-levels`, `users`.
    pub what: String,
    /// Format found or given.
    pub format: String,
    /// Encoding found or given.
    pub encoding: String,
    /// Rows read.
    pub rows: u64,
    /// New records.
    pub created: u64,
    /// Changed records.
    pub updated: u64,
    /// Records that were already so.
    pub unchanged: u64,
    /// Rows left out.
    pub bad: u64,
    /// The first 1,000 of them.
    pub bad_rows: Vec<BadRow>,
    /// True where nothing was written.
    pub dry_run: bool,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct BadRow {
    /// Line in the file, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A line of the answer where `application/x-ndjson` is accepted: progress as it goes, then one report or problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ImportProgress {
    /// Rows read so far.
    Progress {
        /// Rows.
        rows: u64,
    },
    /// The end.
    Done(ImportReport),
    /// The end: nothing changed.
    Failed(super::problem::Problem),
}
