//! The filters of ticket lists, from query parameters to a query. An odd value is refused by name, never ignored.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::error::ApiError;
use crate::{
    api::millis::NOT_A_TIME,
    domain::{
        actor::Actor,
        code::Username,
        text::{REFERENCE_MAX, clean},
        ticket::Identifier,
    },
    server::ports::{TicketQuery, TicketSort, Visibility},
};

/// Entries of a page, unless the caller says otherwise.
const LIMIT: usize = 50;

/// Most entries of a page.
pub(super) const LIMIT_MAX: usize = 200;

const VALUES_MAX: usize = 100;

/// The filters; lists are comma-separated and mean any of them.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ListParameters {
    /// Statuses.
    #[param(example = "open,claimed")]
    status: Option<String>,
    /// Kinds.
    kind: Option<String>,
    /// Priorities.
    priority: Option<String>,
    /// Codes of wards.
    #[param(example = "UTI")]
    ward: Option<String>,
    /// Codes of cabinets.
    cabinet: Option<String>,
    /// Codes of pharmacies.
    pharmacy: Option<String>,
    /// Username of who works it, or `me`.
    assignee: Option<String>,
    /// Username of who asked, or `me`.
    requester: Option<String>,
    /// Codes of medications.
    medication: Option<String>,
    /// Words in number, places, names, medications, identifiers or note; case and accents do not matter.
    q: Option<String>,
    /// An id that another system gave it, as `system|value`.
    identifier: Option<String>,
    /// True: past due and not at an end.
    #[param(value_type = Option<bool>)]
    overdue: Option<String>,
    /// Created at or after.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// Created before.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
    /// `due_at` (least time left first), `created_at`, `-created_at` or `-updated_at`.
    #[param(example = "due_at")]
    sort: Option<String>,
    /// At most this many.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<usize>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

impl ListParameters {
    /// The query, within what the reader may see.
    pub(super) fn into_query(self, reader: &Actor, now: Timestamp) -> Result<TicketQuery, ApiError> {
        let person = |field, text: Option<String>| text.map(|text| person(field, &text, reader)).transpose();
        Ok(TicketQuery {
            visibility: Visibility::of(reader),
            statuses: any_of("status", self.status.as_deref())?,
            kinds: any_of("kind", self.kind.as_deref())?,
            priorities: any_of("priority", self.priority.as_deref())?,
            wards: any_of("ward", self.ward.as_deref())?,
            cabinets: any_of("cabinet", self.cabinet.as_deref())?,
            pharmacies: any_of("pharmacy", self.pharmacy.as_deref())?,
            assignee: person("assignee", self.assignee)?,
            requester: person("requester", self.requester)?,
            medications: any_of("medication", self.medication.as_deref())?,
            text: self.q.filter(|text| !text.trim().is_empty()).map(|text| words(&text)).transpose()?,
            identifier: self.identifier.as_deref().map(identifier).transpose()?,
            overdue_at: overdue(self.overdue.as_deref())?.then_some(now),
            from: self.from.map(|text| time("from", &text)).transpose()?,
            to: self.to.map(|text| time("to", &text)).transpose()?,
            sort: sort(self.sort.as_deref())?,
            limit: limit(self.limit)?,
            after: self.cursor,
        })
    }
}

fn odd(field: &str, detail: impl Display) -> ApiError {
    ApiError::bad_request("invalid_parameter", field, detail.to_string())
}

/// That of a cursor which no list gave.
pub(super) fn invalid_cursor() -> ApiError {
    let detail = "the cursor is not one that this list gave; start again without it";
    ApiError::bad_request("invalid_cursor", "cursor", detail)
}

/// The entries of a page that a caller asks for; every list asks here.
pub(super) fn limit(asked: Option<usize>) -> Result<usize, ApiError> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(odd("limit", format_args!("limit is 1 to {LIMIT_MAX}"))),
    }
}

fn value<T: FromStr<Err: Display>>(field: &str, text: &str) -> Result<T, ApiError> {
    text.parse().map_err(|error| odd(field, error))
}

fn time(field: &str, text: &str) -> Result<Timestamp, ApiError> {
    text.parse().map_err(|_| odd(field, NOT_A_TIME))
}

/// The values of a comma-separated list; one that is odd is refused under the parameter's name.
pub(super) fn any_of<T: FromStr<Err: Display>>(field: &str, list: Option<&str>) -> Result<Vec<T>, ApiError> {
    let values: Vec<&str> = list.map(|list| list.split(',').collect()).unwrap_or_default();
    if values.len() > VALUES_MAX {
        return Err(odd(field, format_args!("at most {VALUES_MAX} values; ask for fewer")));
    }
    values.into_iter().map(|text| value(field, text.trim())).collect()
}

fn person(field: &str, text: &str, reader: &Actor) -> Result<Username, ApiError> {
    if text == "me" { Ok(reader.person.username.clone()) } else { value(field, text) }
}

fn words(text: &str) -> Result<String, ApiError> {
    clean(text, 2 * REFERENCE_MAX).map_err(|error| odd("q", error))
}

/// An id that another system gave to something, as `system|value`.
pub(super) fn identifier(text: &str) -> Result<Identifier, ApiError> {
    let (system, value) = text.split_once('|').ok_or_else(|| odd("identifier", "write it as system|value"))?;
    Ok(Identifier { system: system.to_owned(), value: value.to_owned() })
}

fn overdue(text: Option<&str>) -> Result<bool, ApiError> {
    match text {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(odd("overdue", "overdue is true or false")),
    }
}

fn sort(text: Option<&str>) -> Result<TicketSort, ApiError> {
    match text {
        None | Some("due_at") => Ok(TicketSort::DueAt),
        Some("created_at") => Ok(TicketSort::CreatedAsc),
        Some("-created_at") => Ok(TicketSort::CreatedDesc),
        Some("-updated_at") => Ok(TicketSort::UpdatedDesc),
        Some(_) => Err(odd("sort", "sort is due_at, created_at, -created_at or -updated_at")),
    }
}
