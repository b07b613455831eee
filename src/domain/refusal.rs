//! Why a command is refused: a stable code, a sentence, and what the caller needs to go on. Never an HTTP status.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    actor::Person,
    command::CommandName,
    reason::{Status, codes},
    ticket::{TicketId, Version},
};

codes! {
    /// Stable codes of refusals by the workflow.
    RefusalCode, "refusal code" {
        /// There is no such ticket.
        TicketNotFound = "ticket_not_found",
        /// The role may never do this.
        RoleNotAllowed = "role_not_allowed",
        /// The ticket belongs to a pharmacy or ward that is not the actor's.
        NotYourPlace = "not_your_place",
        /// Only the assignee may do this.
        NotAssignee = "not_assignee",
        /// A service client acts only for a user.
        OnBehalfOfRequired = "on_behalf_of_required",
        /// Somebody has it.
        AlreadyClaimed = "already_claimed",
        /// The ticket changed since.
        StaleVersion = "stale_version",
        /// The command does not fit the status.
        InvalidTransition = "invalid_transition",
        /// The same is already asked for.
        DuplicateOpenRequest = "duplicate_open_request",
        /// Another ticket has that identifier.
        IdentifierTaken = "identifier_taken",
        /// A controlled line needs another person.
        SecondPersonRequired = "second_person_required",
        /// No such ward, or an inactive one.
        UnknownWard = "unknown_ward",
        /// No such cabinet, or an inactive one.
        UnknownCabinet = "unknown_cabinet",
        /// The kind has another destination.
        DestinationMismatch = "destination_mismatch",
        /// No such medication.
        UnknownMedication = "unknown_medication",
        /// The code stands on boxes of several medications.
        AmbiguousCode = "ambiguous_code",
        /// The medication is not active.
        InactiveMedication = "inactive_medication",
        /// A refill needs a par level.
        NoParLevel = "no_par_level",
        /// More than the cabinet holds.
        UnusualQuantity = "unusual_quantity",
        /// Not a unit of the medication.
        UnknownUnit = "unknown_unit",
        /// Zero, or out of range after conversion.
        InvalidQuantity = "invalid_quantity",
        /// A supply kind needs at least one line.
        LinesRequired = "lines_required",
        /// More lines than a ticket may have.
        TooManyLines = "too_many_lines",
        /// The kind has no such field.
        UnexpectedField = "unexpected_field",
        /// The kind needs this field.
        FieldRequired = "field_required",
        /// A medication stands twice.
        DuplicateLine = "duplicate_line",
        /// The ticket has no such line.
        UnknownLine = "unknown_line",
        /// More than was asked for.
        Oversupply = "oversupply",
        /// The line stays short without a reason.
        ReasonRequired = "reason_required",
        /// The lot is missing.
        LotRequired = "lot_required",
        /// The expiry date is missing.
        ExpiryRequired = "expiry_required",
        /// The lot is past its expiry date.
        ExpiredStock = "expired_stock",
        /// Every line is short to zero: there is nothing to send.
        NothingSupplied = "nothing_supplied",
        /// The receipt does not add up to what was supplied.
        ReceiptMismatch = "receipt_mismatch",
        /// The colleague cannot work it.
        UnknownAssignee = "unknown_assignee",
        /// No such pharmacy, an inactive one, or the same.
        UnknownPharmacy = "unknown_pharmacy",
        /// The time lies in the past.
        TimeInPast = "time_in_past",
        /// The ticket's texts were erased: it takes no new ones.
        TextsErased = "texts_erased",
        /// The change changes nothing.
        NothingToChange = "nothing_to_change",
    }
}

/// What sort of refusal a code is; each adapter maps it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    /// No such thing, or none that the actor may see.
    NotFound,
    /// The actor may not.
    Forbidden,
    /// Another state of affairs stands against it.
    Conflict,
    /// Based on an old version.
    Stale,
    /// A rule says no.
    Rule,
}

/// A refused command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{detail}")]
pub struct Refusal {
    /// Stable code.
    pub code: RefusalCode,
    /// What was wrong and what to do, in one sentence.
    pub detail: String,
    /// The offending field, as a path such as `lines[0].quantity`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What the caller needs to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<More>,
}

/// Particulars of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields are the API's extension members")]
pub enum More {
    /// Who has it.
    Claimed { assignee: Person },
    /// Where it stands, and what happened since.
    Stale { current_version: Version, changes: Vec<PastChange> },
    /// What could be done instead.
    Transition { status: Status, allowed: Vec<CommandName> },
    /// The ticket it met.
    Duplicate { ticket: TicketId, number: String },
}

/// One change that a stale command did not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastChange {
    /// The event's name.
    pub event: String,
    /// The version it gave.
    pub version: Version,
    /// Who.
    pub actor: Person,
    /// When.
    pub at: Timestamp,
}

impl Refusal {
    /// A refusal without particulars.
    #[must_use]
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), field: None, more: None }
    }

    /// The same, naming the offending field.
    #[must_use]
    pub fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The same, with particulars.
    #[must_use]
    pub fn with(mut self, more: More) -> Self {
        self.more = Some(more);
        self
    }

    /// The sort of refusal.
    #[must_use]
    pub fn category(&self) -> Category {
        use RefusalCode as C;
        match self.code {
            C::TicketNotFound => Category::NotFound,
            C::RoleNotAllowed | C::NotYourPlace | C::NotAssignee | C::OnBehalfOfRequired => Category::Forbidden,
            C::AlreadyClaimed
            | C::InvalidTransition
            | C::DuplicateOpenRequest
            | C::IdentifierTaken
            | C::TextsErased
            | C::AmbiguousCode => Category::Conflict,
            C::StaleVersion => Category::Stale,
            _ => Category::Rule,
        }
    }
}
