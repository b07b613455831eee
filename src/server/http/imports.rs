//! Imports over HTTP: an upload of any size in, one report or lines of progress out. A client that goes away before its file is whole changes nothing.

use std::convert::Infallible;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use tokio::{sync::mpsc, task::JoinHandle};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    AppState,
    error::ApiError,
    extract::{self, Caller, Json, Path, Query},
    request_id,
};
use crate::{
    api::{
        imports::{ImportProgress, ImportReport},
        problem::Problem,
    },
    server::app::imports::{ImportError, ImportOptions, Upload, What},
};

const NDJSON: &str = "application/x-ndjson";

/// The operations.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(import_file))
}

/// How to read the file.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct Reading {
    /// `csv`; of a catalogue `fda_product`, `fda_package` or `anvisa`. Left out, it is recognised.
    format: Option<String>,
    /// `utf-8`, `windows-1252` or `iso-8859-1`. Left out, it is recognised.
    encoding: Option<String>,
    /// True does everything but keeps nothing.
    dry_run: Option<bool>,
}

/// Imports a file: all its good rows become visible together, bad ones are listed with line and reason.
///
/// `what` is `catalog`, `medications` or `par-levels` (for administrators and pharmacists), `pharmacies`, `wards` or `cabinets`
/// (for administrators), all with the scope `reference:write`; or `users` (for administrators, with `users:write`). The body is the file
/// itself, of any media type. What a file lacks stays.
/// An import is idempotent by its content, so it takes no `Idempotency-Key`: a row that says what is stored already counts as unchanged, and a file may be sent again.
/// With `Accept: application/x-ndjson` the answer is lines: `progress` as it goes, then `done` with the report or `failed` with a problem.
#[utoipa::path(
    post, path = "/v1/imports/{what}", tag = "imports", operation_id = "import_file",
    params(("what" = String, Path, example = "wards"), Reading),
    request_body(content = String, content_type = "text/csv", example = json!("code,name,pharmacy\nUTI,Terapia Intensiva,CENTRAL\n")),
    responses(
        (status = 200, description = "What was done, or would be", content((ImportReport = "application/json"), (ImportProgress = "application/x-ndjson"))),
        (status = 404, description = "Nothing of that name can be imported", body = Problem),
        (status = 409, description = "Another catalogue import is running: `import_running`; or the users changed meanwhile", body = Problem),
        (status = 413, description = "The file is too large", body = Problem),
        (status = 422, description = "`format_not_recognised`, `no_good_rows` or `too_many_rows` (a list has at most 20,000): nothing changed", body = Problem)
    )
)]
async fn import_file(
    State(state): State<AppState>,
    caller: Caller,
    Path(what): Path<String>,
    Query(reading): Query<Reading>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let what = match admitted(&state, &caller, &what) {
        Ok(what) => what,
        Err(error) => {
            extract::drain(body).await;
            return Err(error);
        }
    };
    let upload = receive(&state, body).await?;
    let options = ImportOptions {
        format: reading.format,
        encoding: reading.encoding,
        dry_run: reading.dry_run.unwrap_or_default(),
    };
    let (told, progress) = mpsc::unbounded_channel();
    // On a task of its own: a whole file is imported whether or not its sender waits for the answer.
    let imports = state.imports().clone();
    let tell = Box::new(move |rows| {
        // Nobody listens where one report was asked for.
        let _ = told.send(rows);
    });
    let work = tokio::spawn(async move { imports.run(&caller.0, what, upload, options, tell).await });
    if wants_lines(&headers) {
        return Ok(lines(progress, work));
    }
    drop(progress);
    Ok(Json(finished(work).await?).into_response())
}

fn admitted(state: &AppState, caller: &Caller, what: &str) -> Result<What, ApiError> {
    let what: What = what.parse().map_err(|()| ApiError::NotFound { what: "import" })?;
    caller.require(what.scope())?;
    state.imports().permit(&caller.0, what)?;
    Ok(what)
}

/// Takes the whole file. One that breaks off or stands still is dropped.
async fn receive(state: &AppState, body: Body) -> Result<Upload, ApiError> {
    let mut spool = state.imports().spool()?;
    let mut pieces = body.into_data_stream();
    loop {
        let piece = tokio::time::timeout(extract::BODY_WITHIN, pieces.next()).await;
        match piece.map_err(|_| ApiError::BodyTooSlow)? {
            None => return Ok(spool.finish().await?),
            Some(Ok(piece)) => spool.push(&piece).await?,
            Some(Err(_)) => return Err(ApiError::bad_request("incomplete_body", "", "the body broke off")),
        }
    }
}

fn wants_lines(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|value| value.split(',')).any(|kind| kind.split(';').next().unwrap_or_default().trim() == NDJSON)
}

type Work = JoinHandle<Result<ImportReport, ImportError>>;

async fn finished(work: Work) -> Result<ImportReport, ApiError> {
    let done = work.await.map_err(|error| ApiError::Internal(format!("an import failed: {error}")))?;
    Ok(done?)
}

fn lines(progress: mpsc::UnboundedReceiver<u64>, work: Work) -> Response {
    // The stream runs when the request is answered already, and its id with it.
    let request_id = request_id::current();
    let going = stream::unfold(progress, |mut progress| async {
        progress.recv().await.map(|rows| (ImportProgress::Progress { rows }, progress))
    });
    let end = stream::once(async {
        match finished(work).await {
            Ok(report) => ImportProgress::Done(report),
            Err(error) => ImportProgress::Failed(Problem { request_id, ..error.answer().problem() }),
        }
    });
    let lines = going.chain(end).map(|line| {
        let mut text = serde_json::to_vec(&line).expect("progress has string keys only");
        text.push(b'\n');
        Ok::<_, Infallible>(Bytes::from(text))
    });
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(lines)).into_response()
}
