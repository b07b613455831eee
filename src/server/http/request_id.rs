//! The id of a request: taken from the caller where it is sane, else made; it stands in the answer, in problems and in the log.

use axum::{extract::Request, http::HeaderValue, middleware::Next, response::Response};
use tracing::Instrument;
use uuid::Uuid;

const HEADER: &str = "x-request-id";
const MAX: usize = 64;

tokio::task_local! {
    static CURRENT: String;
}

/// The id of the request that this task answers; `None` outside of one.
pub(super) fn current() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok()
}

/// Takes id and span of this task's request along to another task.
pub(super) fn carry<T>(work: impl Future<Output = T>) -> impl Future<Output = T> {
    CURRENT.scope(current().unwrap_or_default(), work).in_current_span()
}

/// Gives the request its id and its span.
pub(super) async fn assign(request: Request, next: Next) -> Response {
    let id = request.headers().get(HEADER).and_then(sane).unwrap_or_else(|| Uuid::new_v4().simple().to_string());
    let trace = request.headers().get("traceparent").and_then(trace_id).unwrap_or_default();
    let span = tracing::info_span!("request", request.id = %id, trace.id = %trace);
    let header = HeaderValue::from_str(&id);
    let mut response = CURRENT.scope(id, next.run(request)).instrument(span).await;
    if let Ok(header) = header {
        response.headers_mut().insert(HEADER, header);
    }
    response
}

fn sane(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let clean = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    (clean && (1..=MAX).contains(&text.len())).then(|| text.to_owned())
}

/// The trace id of a W3C `traceparent`.
fn trace_id(value: &HeaderValue) -> Option<String> {
    let mut parts = value.to_str().ok()?.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let valid = version.len() == 2 && version != "ff" && hex(version) && trace.len() == 32 && hex(trace);
    (valid && trace.bytes().any(|b| b != b'0')).then(|| trace.to_owned())
}
