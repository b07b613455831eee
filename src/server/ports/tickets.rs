//! The port that reads tickets. What a reader may not see is filtered here, never after paging.

use async_trait::async_trait;
use jiff::Timestamp;

use super::{Page, RecordedEvent, StoreResult};
use crate::domain::{
    actor::{Actor, Reach},
    code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
    reason::{Kind, Priority, Role, Status},
    ticket::{Identifier, Ticket, TicketId},
};

/// Which tickets a reader may see at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    /// Tickets of these wards …
    pub wards: Reach<WardCode>,
    /// … and tickets that are or were in the queues of these pharmacies.
    pub pharmacies: Reach<PharmacyCode>,
}

impl Visibility {
    /// What an actor's roles and places let them see: nurses their wards, pharmacy staff their queues, managers both, auditors everything.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        if actor.has_any(&[Role::Auditor]) {
            return Self { wards: Reach::All, pharmacies: Reach::All };
        }
        let wards = actor.has_any(&[Role::Nurse, Role::ChargeNurse, Role::Manager, Role::Service]);
        let pharmacies = actor.has_any(&[Role::Technician, Role::Pharmacist, Role::Manager]);
        Self {
            wards: if wards { actor.wards.clone() } else { Reach::none() },
            pharmacies: if pharmacies { actor.pharmacies.clone() } else { Reach::none() },
        }
    }

    /// True where a ticket of this ward, handled by these pharmacies, may be seen.
    #[must_use]
    pub fn includes<'a>(&self, ward: &WardCode, pharmacies: impl IntoIterator<Item = &'a PharmacyCode>) -> bool {
        self.wards.includes(ward) || pharmacies.into_iter().any(|code| self.pharmacies.includes(code))
    }

    /// True where the ticket may be seen, also by a pharmacy that handed it on.
    #[must_use]
    pub fn sees(&self, ticket: &Ticket) -> bool {
        self.includes(&ticket.ward, std::iter::once(&ticket.pharmacy).chain(&ticket.former_pharmacies))
    }
}

/// How a list of tickets is ordered; ties are broken by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TicketSort {
    /// Least time left first; without a due time last.
    #[default]
    DueAt,
    /// Newest first.
    CreatedDesc,
    /// Oldest first.
    CreatedAsc,
    /// Last changed first.
    UpdatedDesc,
}

/// Which tickets to list. Empty parts do not filter.
#[derive(Debug, Clone)]
pub struct TicketQuery {
    /// What the reader may see.
    pub visibility: Visibility,
    /// Any of these.
    pub statuses: Vec<Status>,
    /// Any of these.
    pub kinds: Vec<Kind>,
    /// Any of these.
    pub priorities: Vec<Priority>,
    /// In any of these wards.
    pub wards: Vec<WardCode>,
    /// For any of these cabinets.
    pub cabinets: Vec<CabinetCode>,
    /// In any of these queues.
    pub pharmacies: Vec<PharmacyCode>,
    /// Worked by this user.
    pub assignee: Option<Username>,
    /// Asked for by this user.
    pub requester: Option<Username>,
    /// With a line of any of these.
    pub medications: Vec<MedicationCode>,
    /// Words that all stand in number, places, names, medications, identifiers or note; case and accents ignored; the last may be a prefix.
    pub text: Option<String>,
    /// With this identifier.
    pub identifier: Option<Identifier>,
    /// Due before this time and not at an end: the reader's now.
    pub overdue_at: Option<Timestamp>,
    /// Created at or after.
    pub from: Option<Timestamp>,
    /// Created before.
    pub to: Option<Timestamp>,
    /// Order.
    pub sort: TicketSort,
    /// At most this many, 1 to 200.
    pub limit: usize,
    /// Where the page before ended: what the last answer's `next` said.
    pub after: Option<String>,
}

/// Reads tickets.
#[async_trait]
pub trait TicketStore: Send + Sync {
    /// One ticket.
    async fn ticket(&self, id: TicketId) -> StoreResult<Option<Ticket>>;

    /// The ticket with exactly this number, in upper case, whoever may see it.
    async fn id_by_number(&self, number: &str) -> StoreResult<Option<TicketId>>;

    /// A page of tickets. A malformed `after` is [`StoreError::Missing`](super::StoreError::Missing) with what `cursor`.
    async fn tickets(&self, query: TicketQuery) -> StoreResult<Page<Ticket>>;

    /// Everything that happened to a ticket, oldest first.
    async fn history(&self, id: TicketId) -> StoreResult<Vec<RecordedEvent>>;
}
