//! Imports: a file streamed up, progress and a report streamed down. A broken import changed nothing, and may simply be run again.

use std::{fmt, time::Duration};

use reqwest::{Method, Response, header};
use tokio::time::timeout;

use super::{
    Body, Client, ClientError,
    call::{Call, Query, decode, problem},
};
use crate::api::imports::{ImportProgress, ImportReport};

/// Longest silence before an import is taken for dead: a big file is written in one transaction, which tells nothing while it lasts.
const SILENCE: Duration = Duration::from_secs(600);

/// Longest line of progress; the report names up to 1,000 bad rows.
const LINE_MAX: usize = 4 * 1024 * 1024;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Import {
    Catalog,
    Medications,
    Pharmacies,
    Wards,
    Cabinets,
    ParLevels,
    Users,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Catalog => "catalog",
            Self::Medications => "medications",
            Self::Pharmacies => "pharmacies",
            Self::Wards => "wards",
            Self::Cabinets => "cabinets",
            Self::ParLevels => "par-levels",
            Self::Users => "users",
        })
    }
}

/// How to read a file; the server finds out what is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// `fda-product`, `fda-package`, `anvisa`.
    pub format: Option<String>,
    /// Such as `utf-8`, `windows-1252`.
    pub encoding: Option<String>,
    /// Reads and reports, writes nothing.
    pub dry_run: bool,
}

impl Client {
    /// Imports a file; `progress` hears how many rows were read so far.
    ///
    /// # Errors
    /// [`ClientError`]: the format is not recognised, no row is good, or the connection broke.
    pub async fn import(
        &self,
        what: Import,
        file: impl Into<Body>,
        options: &ImportOptions,
        mut progress: impl FnMut(u64),
    ) -> Result<ImportReport, ClientError> {
        let query = Query::default()
            .some("format", options.format.as_ref())
            .some("encoding", options.encoding.as_ref())
            .flag("dry_run", options.dry_run);
        let call = Call::new(self, Method::POST, &["v1", "imports", &what.to_string()]).query(&query);
        let request = self
            .request(&call)
            .await?
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(header::ACCEPT, "application/x-ndjson, application/problem+json")
            .body(file);
        let mut response = request.send().await.map_err(|error| self.broken(&error))?;
        let (status, url) = (response.status(), response.url().clone());
        let is_lines = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-ndjson"));
        if !status.is_success() || !is_lines {
            let body = response.bytes().await.map_err(|error| self.broken(&error))?;
            return if status.is_success() { decode(&url, status, &body) } else { Err(problem(&url, status, &body)) };
        }
        let mut lines = Lines::default();
        while let Some(line) = lines.next(&mut response, self).await? {
            match decode(&url, status, &line)? {
                ImportProgress::Progress { rows } => progress(rows),
                ImportProgress::Done(report) => return Ok(report),
                ImportProgress::Failed(problem) => return Err(ClientError::Problem(Box::new(problem))),
            }
        }
        Err(unfinished("the answer ended before its report"))
    }

    fn broken(&self, error: &reqwest::Error) -> ClientError {
        match ClientError::transport(&self.shared.base, error) {
            ClientError::Transport { outcome_unknown: true, .. } => unfinished(&super::error::cause(error)),
            other => other,
        }
    }
}

fn unfinished(why: &str) -> ClientError {
    let message = format!("the import was cut off ({why}); run it again: rows that are there already do no harm");
    ClientError::Transport { message, outcome_unknown: true }
}

/// Cuts an answer into lines as it comes.
#[derive(Default)]
struct Lines {
    buffer: Vec<u8>,
    ended: bool,
}

impl Lines {
    async fn next(&mut self, response: &mut Response, client: &Client) -> Result<Option<Vec<u8>>, ClientError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let rest = self.buffer.split_off(end + 1);
                let line = std::mem::replace(&mut self.buffer, rest);
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(Some(line));
            }
            if self.ended {
                let line = std::mem::take(&mut self.buffer);
                return Ok((!line.is_empty()).then_some(line));
            }
            if self.buffer.len() > LINE_MAX {
                return Err(unfinished("a line of the answer is too long"));
            }
            match timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk),
                Ok(Ok(None)) => self.ended = true,
                Ok(Err(error)) => return Err(client.broken(&error)),
                Err(_) => return Err(unfinished("the server fell silent")),
            }
        }
    }
}
