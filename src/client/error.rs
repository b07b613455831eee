//! What can go wrong between a client and the server, told so that a person knows what to do. Never holds a token.

use std::{error::Error, fmt::Write as _};

use crate::api::problem::Problem;

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused, and says why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// The server was not reached, or the connection broke.
    #[error("{message}")]
    Transport {
        /// What happened and what to do.
        message: String,
        /// The server may have acted all the same: repeat a write only with the same idempotency key.
        outcome_unknown: bool,
    },
    /// Accepted and durable, but not decided within the time that the client follows it.
    #[error(
        "the command was accepted but is not decided yet; repeat it with --idempotency-key {key} to learn its outcome"
    )]
    Pending {
        /// The key under which it was sent.
        key: String,
    },
    /// The answer is not medreq's.
    #[error("{url} answered {status}, but not as medreq does ({reason}); check the server's URL and version")]
    Decode {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What did not fit.
        reason: String,
    },
    /// The client itself cannot work: a wrong URL, no token where one is needed, a text that no header can carry.
    #[error("{0}")]
    Setup(String),
    /// There was a session, and it is over: the caller signs in anew.
    #[error("{0}")]
    SignedOut(String),
    /// Neither an id nor a number: no ticket can have that name.
    #[error(
        "no such ticket: {0:?} is neither an id nor a number such as UTI-42-K (its last letter checks the rest); look it up with `ticket list`"
    )]
    NoSuchTicket(String),
}

impl ClientError {
    /// The stable code: the problem's, or one of the client's own.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Problem(problem) => &problem.code,
            Self::Transport { .. } => "server_unreachable",
            Self::Pending { .. } => "outcome_pending",
            Self::Decode { .. } => "unexpected_answer",
            Self::Setup(_) => "client_setup",
            Self::SignedOut(_) => "signed_out",
            Self::NoSuchTicket(_) => "ticket_not_found",
        }
    }

    /// The problem document, where the server gave one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    pub(super) fn transport(base: &reqwest::Url, error: &reqwest::Error) -> Self {
        let (cause, base) = (cause(error), base.as_str().trim_end_matches('/'));
        // What rustls says of every certificate that it does not take.
        if cause.contains("invalid peer certificate") {
            return Self::Setup(format!(
                "{base} shows a certificate that is not trusted ({cause}); have client.ca_file (MEDREQ_CA_FILE) name the certificate of its authority, or use the name that the certificate is for"
            ));
        }
        if error.is_connect() {
            let message =
                format!("no medreq server answers at {base} ({cause}); start it with `medreq up`, or set --url");
            return Self::Transport { message, outcome_unknown: false };
        }
        let happened = if error.is_timeout() { "did not answer in time" } else { "broke the connection" };
        let message = format!(
            "the server at {base} {happened} ({cause}); check it, then repeat; under the same idempotency key nothing happens twice"
        );
        Self::Transport { message, outcome_unknown: true }
    }
}

/// The innermost cause, which is the one that tells something; without the URL, whose query may hold what somebody searched for.
pub(super) fn cause(error: &reqwest::Error) -> String {
    let mut text = String::new();
    let mut source = error.source();
    while let Some(inner) = source {
        text.clear();
        // Writing to a String cannot fail.
        let _ = write!(text, "{inner}");
        source = inner.source();
    }
    if text.is_empty() { if error.is_timeout() { "timed out".into() } else { "no cause given".into() } } else { text }
}
