//! The one place where errors of the inner layers become an HTTP status and a problem document. A cause goes to the log only.

use std::time::Duration;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};

use super::request_id;
use crate::{
    api::{PROBLEM_JSON, millis, problem::Problem, tickets::Person},
    domain::refusal::{Category, More, Refusal},
    server::{
        app::{imports::ImportError, reference::ReferenceError, ticket_forms::Misfit, tickets::DeskError},
        auth::{AuthError, accounts::AccountError},
        ports::{StoreError, SubmitError},
    },
};

/// Why a request is not answered as asked.
#[derive(Debug)]
pub(crate) enum ApiError {
    /// Not let through: 401, or 403 where the caller is known.
    Auth(AuthError),
    /// The workflow refused.
    Refused(Refusal),
    /// An account was not changed.
    Account(AccountError),
    /// A port failed.
    Store(StoreError),
    /// A command has no answer.
    Submit(SubmitError),
    /// There is no such thing, or none that the caller may see.
    NotFound {
        /// What sort of thing; the code is `{what}_not_found`.
        what: &'static str,
    },
    /// The resource knows no such method.
    MethodNotAllowed(String),
    /// A change needs `If-Match`.
    PreconditionRequired,
    /// The body is of another media type.
    UnsupportedMediaType,
    /// The body is too large.
    BodyTooLarge,
    /// The body did not arrive in time.
    BodyTooSlow,
    /// Too much at once, of this client or of all.
    Busy {
        /// True where this client alone is held back (429), false where the system is busy (503).
        client: bool,
        /// When to try again.
        retry_after: Duration,
    },
    /// Anything else that says its own status, code and field.
    Other {
        /// Status.
        status: StatusCode,
        /// Stable code.
        code: &'static str,
        /// The offending field.
        field: Option<String>,
        /// What was wrong and what to do.
        detail: String,
    },
    /// One of these with further members of the problem document.
    With(Box<Self>, Map<String, Value>),
    /// A defect: the text goes to the log.
    Internal(String),
}

impl ApiError {
    /// 400: the request has not the right shape.
    pub(crate) fn bad_request(code: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = Some(field.into()).filter(|field| !field.is_empty());
        Self::Other { status: StatusCode::BAD_REQUEST, code, field, detail: detail.into() }
    }

    /// 403: the caller is known and may not.
    pub(crate) fn forbidden(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Other { status: StatusCode::FORBIDDEN, code, field: None, detail: detail.into() }
    }

    /// 409: another state of affairs stands against it.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::Other { status: StatusCode::CONFLICT, code, field: None, detail: detail.into() }
    }

    /// 422 `invalid_value`: a field breaks a rule.
    pub(crate) fn unprocessable(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::rule("invalid_value", field, detail)
    }

    /// 422 with a code of its own.
    pub(crate) fn rule(code: &'static str, field: impl Into<String>, detail: impl Into<String>) -> Self {
        let field = Some(field.into()).filter(|field| !field.is_empty());
        Self::Other { status: StatusCode::UNPROCESSABLE_ENTITY, code, field, detail: detail.into() }
    }

    /// The answer as parts.
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Auth(error) => of_auth(*error),
            Self::Refused(refusal) => of_refusal(refusal),
            Self::Account(error) => of_account(error),
            Self::Store(error) => of_store(error),
            Self::Submit(error) => of_submit(error),
            Self::NotFound { what } => Answer::new(
                StatusCode::NOT_FOUND,
                &format!("{what}_not_found"),
                format!("there is no such {what}, or none that you may see"),
            ),
            Self::MethodNotAllowed(method) => Answer::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                format!("this resource does not know {method}; see the Allow header"),
            ),
            Self::PreconditionRequired => Answer::new(
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "send If-Match with the version that the change is based on, such as If-Match: \"1\"",
            ),
            Self::UnsupportedMediaType => Answer::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "send the body as application/json",
            ),
            Self::BodyTooLarge => Answer::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body_too_large",
                "the body is larger than this server takes; send less at once",
            ),
            Self::BodyTooSlow => Answer::new(
                StatusCode::REQUEST_TIMEOUT,
                "request_timeout",
                "the body did not arrive in time; send it again",
            ),
            Self::Busy { client: true, retry_after } => {
                Answer::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "too many requests; wait and try again")
                    .retry_after(*retry_after)
            }
            Self::Busy { client: false, retry_after } => Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "overloaded",
                "the server is busy; try again, a write with the same idempotency key",
            )
            .retry_after(*retry_after),
            Self::Other { status, code, field, detail } => Answer {
                field: field.clone(),
                // A 503 always says when to come back.
                retry_after: (*status == StatusCode::SERVICE_UNAVAILABLE).then_some(Duration::from_secs(1)),
                ..Answer::new(*status, code, detail.clone())
            },
            Self::With(error, more) => Answer { more: more.clone(), ..error.answer() },
            Self::Internal(cause) => internal(cause),
        }
    }
}

/// A problem document with its headers, before it is a response.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: StatusCode,
    code: String,
    detail: String,
    field: Option<String>,
    more: Map<String, Value>,
    challenge: Option<String>,
    retry_after: Option<Duration>,
}

impl Answer {
    fn new(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code: code.to_owned(),
            detail: detail.into(),
            field: None,
            more: Map::new(),
            challenge: None,
            retry_after: None,
        }
    }

    fn retry_after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// The document; the request's id is that of the request being answered.
    pub(crate) fn problem(&self) -> Problem {
        Problem {
            type_: "about:blank".to_owned(),
            title: self.status.canonical_reason().unwrap_or("Error").to_owned(),
            status: self.status.as_u16(),
            code: self.code.clone(),
            detail: self.detail.clone(),
            field: self.field.clone(),
            request_id: request_id::current(),
            more: self.more.clone(),
        }
    }
}

/// The `Retry-After` of a wait, in whole seconds: who waits so long does not come too early.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    let begun = u64::from(wait.subsec_nanos() > 0);
    HeaderValue::from(wait.as_secs().saturating_add(begun).max(1))
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.problem()).expect("a problem has string keys only");
        let mut response = (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response();
        let headers = response.headers_mut();
        if let Some(value) = self.challenge.and_then(|challenge| HeaderValue::from_str(&challenge).ok()) {
            headers.insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, retry_after(wait));
        }
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        self.answer().into_response()
    }
}

fn internal(cause: &str) -> Answer {
    tracing::error!(error = %cause, "a request failed");
    Answer::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "something failed here; tell the administrator the request id",
    )
}

fn of_auth(error: AuthError) -> Answer {
    let status = if error.is_unauthenticated() { StatusCode::UNAUTHORIZED } else { StatusCode::FORBIDDEN };
    Answer { challenge: error.challenge(), ..Answer::new(status, error.code(), error.to_string()) }
}

fn of_refusal(refusal: &Refusal) -> Answer {
    let status = match refusal.category() {
        Category::NotFound => StatusCode::NOT_FOUND,
        Category::Forbidden => StatusCode::FORBIDDEN,
        Category::Conflict => StatusCode::CONFLICT,
        Category::Stale => StatusCode::PRECONDITION_FAILED,
        Category::Rule => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let more = refusal.more.as_ref().map(members).unwrap_or_default();
    Answer { field: refusal.field.clone(), more, ..Answer::new(status, refusal.code.as_str(), refusal.detail.clone()) }
}

/// The extension members of a problem.
fn members(more: &More) -> Map<String, Value> {
    let value = match more {
        More::Claimed { assignee } => json!({ "assignee": Person::from(assignee) }),
        More::Stale { current_version, changes } => {
            let changes: Vec<Value> = changes
                .iter()
                .map(|change| {
                    json!({
                        "event": change.event,
                        "version": change.version,
                        "actor": Person::from(&change.actor),
                        "at": millis::text(change.at),
                    })
                })
                .collect();
            json!({ "current_version": current_version, "changes": changes })
        }
        More::Transition { status, allowed } => json!({ "ticket_status": status, "allowed": allowed }),
        More::Duplicate { ticket, number } => json!({ "ticket": { "id": ticket, "number": number } }),
    };
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn of_account(error: &AccountError) -> Answer {
    let text = error.to_string();
    match error {
        AccountError::Invalid { field, .. } => Answer {
            field: Some((*field).to_owned()),
            ..Answer::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_value", text)
        },
        AccountError::NotFound { what, .. } => {
            Answer::new(StatusCode::NOT_FOUND, &format!("{}_not_found", what.replace(' ', "_")), text)
        }
        AccountError::Exists { .. } => Answer::new(StatusCode::CONFLICT, "already_exists", text),
        AccountError::LastAdmin => Answer::new(StatusCode::CONFLICT, "last_admin", text),
        AccountError::AdminOnly => Answer::new(StatusCode::FORBIDDEN, "admin_only", text),
        AccountError::NotOurApp => Answer::new(StatusCode::FORBIDDEN, "not_our_app", text),
        AccountError::WrongPassword => Answer::new(StatusCode::UNPROCESSABLE_ENTITY, "wrong_password", text),
        AccountError::TooSoon(wait) => {
            Answer::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", text).retry_after(*wait)
        }
        AccountError::Changed => Answer::new(StatusCode::CONFLICT, "changed", text),
        AccountError::BuiltIn => Answer::new(StatusCode::CONFLICT, "built_in_client", text),
        AccountError::PublicClient => Answer::new(StatusCode::CONFLICT, "public_client", text),
        AccountError::NoFactor => Answer::new(StatusCode::NOT_FOUND, "second_factor_not_found", text),
        AccountError::Disabled => Answer::new(StatusCode::CONFLICT, "user_disabled", text),
        AccountError::LinkSpent => Answer::new(StatusCode::GONE, "link_spent", text),
        AccountError::Store(error) => of_store(error),
    }
}

fn of_store(error: &StoreError) -> Answer {
    let text = error.to_string();
    match error {
        StoreError::Unavailable(cause) => {
            tracing::warn!(error = %cause, "the store is not available");
            Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "store_unavailable",
                "the store is not available; try again, a write with the same idempotency key",
            )
            .retry_after(Duration::from_secs(1))
        }
        StoreError::Unknown(cause) => outcome_unknown(cause),
        StoreError::DiskFull => {
            tracing::error!("the store's disk is full");
            Answer::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "disk_full",
                "the server's disk is full and nothing was written; tell the administrator",
            )
            .retry_after(Duration::from_secs(30))
        }
        StoreError::Exists { .. } => Answer::new(StatusCode::CONFLICT, "already_exists", text),
        StoreError::Changed => Answer::new(
            StatusCode::CONFLICT,
            "changed",
            "somebody else changed this at the same time; read it again and repeat the change",
        ),
        StoreError::Missing { what: "cursor", .. } => Answer {
            field: Some("cursor".to_owned()),
            ..Answer::new(
                StatusCode::BAD_REQUEST,
                "invalid_cursor",
                "the cursor is not one that this list gave; start again without it",
            )
        },
        StoreError::Missing { what, .. } => Answer {
            field: Some((*what).to_owned()),
            ..Answer::new(StatusCode::UNPROCESSABLE_ENTITY, &format!("unknown_{what}"), text)
        },
        StoreError::Broken(cause) => internal(cause),
    }
}

fn outcome_unknown(cause: &str) -> Answer {
    tracing::error!(error = %cause, "the outcome of a write is not known");
    Answer::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "outcome_unknown",
        "it is not known whether this was done; send it again with the same idempotency key",
    )
    .retry_after(Duration::from_secs(1))
}

fn of_submit(error: &SubmitError) -> Answer {
    match error {
        SubmitError::KeyReused => Answer::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency_key_reused",
            "this Idempotency-Key was used for another request; use a new key for a new request",
        ),
        SubmitError::Overloaded { retry_after } => ApiError::Busy { client: false, retry_after: *retry_after }.answer(),
        SubmitError::Unknown(cause) => outcome_unknown(cause),
        SubmitError::Store(error) => of_store(error),
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        Self::Auth(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<AccountError> for ApiError {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<ReferenceError> for ApiError {
    fn from(error: ReferenceError) -> Self {
        let text = error.to_string();
        match error {
            ReferenceError::RoleRequired(_) => Self::forbidden("role_required", text),
            ReferenceError::NotFound { what, .. } => Self::NotFound { what },
            ReferenceError::Malformed(invalid) => {
                Self::bad_request("invalid_parameter", invalid.field, invalid.message)
            }
            ReferenceError::Invalid(invalid) => Self::unprocessable(invalid.field, invalid.message),
            ReferenceError::Ambiguous { .. } => Self::conflict("ambiguous_code", text),
            ReferenceError::ClassUnreviewed(_) => Self::rule("class_unreviewed", "control_class", text),
            ReferenceError::Store(error) => Self::Store(error),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let text = error.to_string();
        match error {
            ImportError::Format(_) => Self::rule("format_not_recognised", "", text),
            ImportError::NoGoodRow(report) => {
                let more = json!({ "rows": report.rows, "bad": report.bad, "bad_rows": report.bad_rows });
                let more = more.as_object().cloned().unwrap_or_default();
                Self::With(Box::new(Self::rule("no_good_rows", "", text)), more)
            }
            ImportError::TooManyRows(_) => Self::rule("too_many_rows", "", text),
            ImportError::TooLarge(_) => {
                Self::Other { status: StatusCode::PAYLOAD_TOO_LARGE, code: "body_too_large", field: None, detail: text }
            }
            ImportError::Running => Self::conflict("import_running", text),
            ImportError::Reference(error) => error.into(),
            ImportError::Account(error) => Self::Account(error),
            ImportError::Store(error) => Self::Store(error),
            ImportError::Read(_) => Self::Internal(text),
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(error: SubmitError) -> Self {
        Self::Submit(error)
    }
}

impl From<DeskError> for ApiError {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Shape { field, detail } => Self::bad_request("invalid_body", field, detail),
            // A ticket that is not there and one that may not be seen are the same answer.
            DeskError::NoTicket => Self::NotFound { what: "ticket" },
            DeskError::NoCommand => Self::NotFound { what: "command" },
            DeskError::OutOfReach(refusal) => Self::Other {
                status: StatusCode::NOT_FOUND,
                code: refusal.code.as_str(),
                field: refusal.field,
                detail: refusal.detail,
            },
            DeskError::Refused(refusal) => Self::Refused(refusal),
            DeskError::VersionMissing => Self::PreconditionRequired,
            DeskError::NotYet => Self::Other {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "version_not_yet_here",
                field: Some("min_version".to_owned()),
                detail: "this version is not readable here yet; try again".to_owned(),
            },
            DeskError::Store(error) => Self::Store(error),
            DeskError::Submit(error) => Self::Submit(error),
        }
    }
}

impl From<Misfit> for ApiError {
    fn from(misfit: Misfit) -> Self {
        DeskError::from(misfit).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_as_told_does_not_come_too_early() {
        for (wait, told) in [(0, "1"), (400, "1"), (1_000, "1"), (1_001, "2"), (29_999, "30")] {
            assert_eq!(retry_after(Duration::from_millis(wait)), told, "{wait} ms");
        }
    }
}
