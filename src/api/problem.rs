//! Errors on the wire: RFC 9457 problem details. Never carries a cause that is not the caller's business.

use serde::{Deserialize, Serialize};

/// An error (RFC 9457) with a stable `code` to program against; further members depend on the code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[error("{detail} ({code})")]
pub struct Problem {
    /// Always `about:blank`: the code says the kind.
    #[serde(rename = "type")]
    pub type_: String,
    /// The HTTP status' phrase.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable, snake_case.
    pub code: String,
    /// What was wrong and what to do.
    pub detail: String,
    /// The offending field, such as `lines[0].quantity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Find the request in the log by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// `already_claimed`: who has it. `stale_version`: `current_version`, `changes`. `invalid_transition`: `ticket_status`, `allowed`. `duplicate_open_request`: `ticket`.
    #[serde(flatten)]
    pub more: serde_json::Map<String, serde_json::Value>,
}
