//! How a command fails: one enum, one place that prints it and chooses the exit code. Nothing secret is ever in a message.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use medreq::{api::problem::Problem, client::ClientError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The server refused, or was not reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The command line or the configuration is wrong.
    #[error("{0}")]
    Usage(String),
    /// No token is configured, and there is no login.
    #[error("not signed in: run `medreq login`; scripts set MEDREQ_TOKEN or --token-file FILE")]
    NoToken,
    /// Nobody let this device in.
    #[error("{detail}")]
    NotLetIn {
        /// Stable.
        code: &'static str,
        /// What was wrong and what to do.
        detail: String,
    },
    /// A verb on the server itself was refused by a rule.
    #[error("{detail}")]
    Refused {
        /// Stable.
        code: &'static str,
        /// What was wrong and what to do.
        detail: String,
    },
    /// This machine failed.
    #[error("{detail}")]
    Local {
        /// Stable.
        code: &'static str,
        /// What was wrong and what to do.
        detail: String,
    },
    /// The report was printed; only the exit code is left to give.
    #[error("the report says what is to be mended")]
    Reported(u8),
    /// The answer cannot be printed.
    #[error("cannot write the output: {0}")]
    Output(#[source] io::Error),
}

impl Failure {
    /// The command line is wrong.
    pub(crate) fn usage(detail: impl Into<String>) -> Self {
        Self::Usage(detail.into())
    }

    /// A file cannot be read or written.
    pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Self {
        Self::Local { code: "file_error", detail: format!("{}: {error}; check the path and its mode", path.display()) }
    }

    fn code(&self) -> &str {
        match self {
            Self::Client(error) => error.code(),
            Self::Usage(_) => "usage",
            Self::NoToken => "no_token",
            Self::NotLetIn { code, .. } | Self::Refused { code, .. } | Self::Local { code, .. } => code,
            Self::Reported(_) => "reported",
            Self::Output(_) => "output_failed",
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Client(ClientError::Problem(problem)) => match problem.status {
                401 | 403 => 4,
                // 408 and 429 are about the moment, not about the request.
                408 | 429 | 500.. => 1,
                _ => 3,
            },
            Self::Client(ClientError::Setup(_)) | Self::Usage(_) => 2,
            Self::NoToken | Self::NotLetIn { .. } | Self::Client(ClientError::SignedOut(_)) => 4,
            Self::Refused { .. } | Self::Client(ClientError::NoSuchTicket(_)) => 3,
            Self::Reported(code) => *code,
            Self::Client(_) | Self::Local { .. } | Self::Output(_) => 1,
        }
    }

    /// Prints it on stderr and gives the exit code. A reader who went away (`| head`) is no failure.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe) {
            return ExitCode::SUCCESS;
        }
        if let Self::Reported(code) = self {
            return ExitCode::from(*code);
        }
        let text = if json { self.as_json() } else { self.as_text() };
        // Nobody is left to tell where even stderr is closed.
        let _ = writeln!(io::stderr(), "{text}");
        ExitCode::from(self.exit_code())
    }

    fn as_text(&self) -> String {
        let Self::Client(ClientError::Problem(problem)) = self else {
            return crate::output::clean(&format!("error: {self} ({})", self.code()));
        };
        let mut text = crate::output::clean(&format!("error: {problem}"));
        let mut line = |name: &str, value: &str| {
            text.push_str("\n  ");
            text.push_str(&crate::output::clean(&format!("{name}: {value}")));
        };
        if let Some(field) = &problem.field {
            line("field", field);
        }
        if let Some(holder) = problem.more.get("assignee").and_then(|who| who.get("username")?.as_str()) {
            line("assignee", holder);
        }
        if let Some(number) = problem.more.get("ticket").and_then(|ticket| ticket.get("number")?.as_str()) {
            line("ticket", number);
        }
        if let Some(hint) = hint(problem) {
            line("hint", hint);
        }
        if problem.status >= 500
            && let Some(id) = &problem.request_id
        {
            line("request id", id);
        }
        text
    }

    fn as_json(&self) -> String {
        let problem = match self {
            Self::Client(ClientError::Problem(problem)) => serde_json::to_string_pretty(problem),
            other => serde_json::to_string_pretty(&serde_json::json!({
                "type": "about:blank", "code": other.code(), "detail": other.to_string(),
            })),
        };
        problem.expect("a problem always serialises")
    }
}

/// What to do next on the command line, where the server's detail cannot know it.
fn hint(problem: &Problem) -> Option<&'static str> {
    Some(match problem.code.as_str() {
        "duplicate_open_request" => "add to that ticket with `ticket amend`, or send it again with --override REASON",
        "unusual_quantity" => "if it is right, send it again with --confirm unusual_quantity",
        "stale_version" => "look at it with `ticket show`, then repeat the command",
        "second_person_required" => "have another qualified person run `ticket ready`",
        _ if problem.status == 401 => "sign in again with `medreq login`, or get a new token",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;

    use super::*;

    fn problem(status: u16, code: &str) -> Failure {
        let body = json!({
            "type": "about:blank", "title": "t", "status": status, "code": code, "detail": "ana has it",
            "assignee": { "username": "ana" },
        });
        Failure::Client(ClientError::Problem(Box::new(serde_json::from_value(body).unwrap())))
    }

    #[test]
    fn exit_codes_tell_refusals_from_failures() {
        for (status, exit) in [(401, 4), (403, 4), (404, 3), (409, 3), (412, 3), (422, 3), (429, 1), (500, 1), (503, 1)]
        {
            assert_eq!(problem(status, "x").exit_code(), exit, "{status}");
        }
        assert_eq!(Failure::usage("x").exit_code(), 2);
        assert_eq!(Failure::NoToken.exit_code(), 4);
        assert_eq!(Failure::Client(ClientError::NoSuchTicket("NOPE".to_owned())).exit_code(), 3);
    }

    #[test]
    fn a_lost_race_says_who_has_it() {
        let text = problem(409, "already_claimed").as_text();
        assert_eq!(text, "error: ana has it (already_claimed)\n  assignee: ana");
        let json: serde_json::Value = serde_json::from_str(&problem(409, "already_claimed").as_json()).unwrap();
        assert_eq!(json["assignee"]["username"], "ana");
    }
}
