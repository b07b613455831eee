//! What happened to a ticket. An event carries all that `apply` needs and the facts that were decisive; it is never changed once stored.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    actor::Person,
    code::PharmacyCode,
    reason::{
        CancelReason, DispatchMethod, HoldReason, OverrideReason, Priority, RejectReason, ReturnReason, ShortReason,
        TransferReason,
    },
    text::FreeText,
    ticket::{Line, Pick, Receipt, Ticket, Version},
};

/// One change of one ticket, at one time, by one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The log's time.
    pub at: Timestamp,
    /// Who.
    pub actor: EventActor,
    /// The ticket's version after it; a comment leaves it as it is.
    pub version: Version,
    /// What.
    #[serde(flatten)]
    pub change: Change,
}

/// Who caused an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventActor {
    /// The person.
    #[serde(flatten)]
    pub person: Person,
    /// The OAuth2 client.
    pub client_id: String,
    /// True where the client acted for the person.
    pub delegated: bool,
}

/// What an event changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants are the workflow's words, the fields' types say the rest")]
pub enum Change {
    /// The first state, whole; with the policy that gave its target and the reason that let it pass beside an open request.
    Created {
        ticket: Box<Ticket>,
        policy_version: u32,
        override_reason: Option<OverrideReason>,
    },
    /// Only what changed is `Some`; `target` goes with a new priority.
    Amended {
        priority: Option<Priority>,
        target: Option<SignedDuration>,
        note: Option<Option<FreeText>>,
        lines: Option<Vec<Line>>,
        override_reason: Option<OverrideReason>,
        policy_version: u32,
    },
    Claimed,
    /// Everything picked went back on the shelf; accompanies what made it necessary, at the same version.
    PicksDiscarded,
    Released,
    Reassigned {
        assignee: Person,
    },
    Transferred {
        pharmacy: PharmacyCode,
        reason: TransferReason,
        note: Option<FreeText>,
    },
    /// `complete` where every line is settled: the ticket is picked.
    Picked {
        lines: Vec<PickedLine>,
        complete: bool,
    },
    Unpicked,
    Ready {
        policy_version: u32,
        second_person: bool,
    },
    Dispatched {
        method: DispatchMethod,
    },
    Returned {
        reason: ReturnReason,
        note: Option<FreeText>,
    },
    Received {
        lines: Vec<ReceivedLine>,
    },
    Resolved {
        note: Option<FreeText>,
    },
    Held {
        reason: HoldReason,
        note: Option<FreeText>,
        resume_by: Timestamp,
    },
    Resumed,
    Rejected {
        reason: RejectReason,
        note: Option<FreeText>,
    },
    Cancelled {
        reason: CancelReason,
        note: Option<FreeText>,
    },
    Commented {
        text: FreeText,
    },
    /// The key of all its texts is gone; the reason is kept and holds nothing personal.
    Erased {
        reason: String,
    },
}

/// A line's picking, whole: it replaces what was picked for the line before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickedLine {
    /// The line's number.
    pub line: u16,
    /// Its lots.
    pub picks: Vec<Pick>,
    /// Why it stays short.
    pub reason: Option<ShortReason>,
    /// When the rest is expected.
    pub expected_at: Option<Timestamp>,
}

/// A line's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedLine {
    /// The line's number.
    pub line: u16,
    /// What arrived.
    #[serde(flatten)]
    pub receipt: Receipt,
}

impl Event {
    /// The event's name as it stands on the wire: `created`, `claimed`, …
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.change {
            Change::Created { .. } => "created",
            Change::Amended { .. } => "amended",
            Change::Claimed => "claimed",
            Change::PicksDiscarded => "picks_discarded",
            Change::Released => "released",
            Change::Reassigned { .. } => "reassigned",
            Change::Transferred { .. } => "transferred",
            Change::Picked { .. } => "picked",
            Change::Unpicked => "unpicked",
            Change::Ready { .. } => "ready",
            Change::Dispatched { .. } => "dispatched",
            Change::Returned { .. } => "returned",
            Change::Received { .. } => "received",
            Change::Resolved { .. } => "resolved",
            Change::Held { .. } => "held",
            Change::Resumed => "resumed",
            Change::Rejected { .. } => "rejected",
            Change::Cancelled { .. } => "cancelled",
            Change::Commented { .. } => "commented",
            Change::Erased { .. } => "erased",
        }
    }

    /// Visits every erasable text, so that a store can seal or open it.
    pub fn for_each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText)) {
        match &mut self.change {
            Change::Created { ticket, .. } => ticket.for_each_text(visit),
            Change::Amended { note, .. } => note.iter_mut().flatten().for_each(visit),
            Change::Transferred { note, .. }
            | Change::Returned { note, .. }
            | Change::Resolved { note }
            | Change::Held { note, .. }
            | Change::Rejected { note, .. }
            | Change::Cancelled { note, .. } => note.iter_mut().for_each(visit),
            Change::Commented { text } => visit(text),
            Change::Claimed
            | Change::PicksDiscarded
            | Change::Released
            | Change::Reassigned { .. }
            | Change::Picked { .. }
            | Change::Unpicked
            | Change::Ready { .. }
            | Change::Dispatched { .. }
            | Change::Received { .. }
            | Change::Resumed
            | Change::Erased { .. } => {}
        }
    }
}
