//! What every `… import FILE` does: streams the file, shows progress, lists bad rows, sums up.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::Args;
use futures_util::stream::try_unfold;
use medreq::{
    api::imports::{BadRow, ImportReport},
    client::{Body, ClientError, Import, ImportOptions},
};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::{context::Context, failure::Failure, output::Output};

/// Bytes read at a time.
const PIECE: usize = 64 * 1024;

/// A file to import.
#[derive(Debug, Args)]
pub(super) struct ImportFile {
    /// The file, or stdin with `-`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Its encoding, such as utf-8 or windows-1252 [default: found out]
    #[arg(long, value_name = "NAME")]
    encoding: Option<String>,
    /// Read and report, write nothing
    #[arg(long)]
    dry_run: bool,
}

impl ImportFile {
    /// Imports it.
    pub(super) async fn run(self, context: &Context, what: Import, format: Option<String>) -> Result<(), Failure> {
        let client = context.client()?;
        let body = open(&self.file).await?;
        let options = ImportOptions { format, encoding: self.encoding, dry_run: self.dry_run };
        let mut progress = Progress { shown: context.output.interactive && !context.output.json, rows: 0 };
        let report = client.import(what, body, &options, |rows| progress.update(rows)).await;
        progress.clear();
        let report = report.inspect_err(|error| tell_why_none_is_good(&context.output, error))?;
        tell_bad_rows(&context.output, report.bad, &report.bad_rows);
        context.output.show(&report, summary)
    }
}

async fn open(path: &Path) -> Result<Body, Failure> {
    if path == Path::new("-") {
        return Ok(streamed(tokio::io::stdin()));
    }
    let file = tokio::fs::File::open(path).await.map_err(|error| Failure::file(path, &error))?;
    let about = file.metadata().await.map_err(|error| Failure::file(path, &error))?;
    if about.is_dir() {
        return Err(Failure::usage(format!("{} is a directory; name a file", path.display())));
    }
    Ok(streamed(file))
}

/// Never more than one piece of the file in memory.
fn streamed(reader: impl AsyncRead + Unpin + Send + 'static) -> Body {
    Body::wrap_stream(try_unfold(reader, |mut reader| async move {
        let mut piece = vec![0; PIECE];
        let size = reader.read(&mut piece).await?;
        piece.truncate(size);
        Ok::<_, io::Error>((size > 0).then_some((piece, reader)))
    }))
}

/// Rows so far, on one line of a terminal that is written over.
struct Progress {
    shown: bool,
    rows: u64,
}

impl Progress {
    fn update(&mut self, rows: u64) {
        self.rows = rows;
        self.draw(&format!("\r{rows} rows …"));
    }

    fn clear(&mut self) {
        if self.rows > 0 {
            self.draw("\r\x1b[K");
        }
    }

    fn draw(&self, text: &str) {
        if self.shown {
            let mut screen = io::stderr();
            // Progress that cannot be shown must not end the import.
            let _ = write!(screen, "{text}").and_then(|()| screen.flush());
        }
    }
}

/// The rows of a file that changed nothing stand in the problem, which `--json` prints whole.
fn tell_why_none_is_good(output: &Output, error: &ClientError) {
    let ClientError::Problem(problem) = error else { return };
    if problem.code == "no_good_rows" && !output.json {
        let rows = problem.more.get("bad_rows").cloned().unwrap_or_default();
        let rows: Vec<BadRow> = serde_json::from_value(rows).unwrap_or_default();
        tell_bad_rows(output, problem.more.get("bad").and_then(Value::as_u64).unwrap_or_default(), &rows);
    }
}

fn tell_bad_rows(output: &Output, bad: u64, rows: &[BadRow]) {
    for row in rows {
        output.note(&format!("line {}: {}", row.line, row.reason));
    }
    let untold = bad.saturating_sub(rows.len() as u64);
    if untold > 0 {
        output.note(&format!("… and {untold} bad rows more"));
    }
}

fn summary(report: &ImportReport) -> String {
    let would = if report.dry_run { " (dry run: nothing was written)" } else { "" };
    format!(
        "{}: {} rows read as {} in {}: {} new, {} changed, {} as they were, {} bad{would}",
        report.what,
        report.rows,
        report.format,
        report.encoding,
        report.created,
        report.updated,
        report.unchanged,
        report.bad
    )
}
