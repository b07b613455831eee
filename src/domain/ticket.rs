//! A ticket's state: what folding its events gives. Changed by `apply` alone.

use std::fmt;

use jiff::{SignedDuration, Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::{
    actor::Person,
    code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
    control_class::Classification,
    quantity::Quantity,
    reason::{AssistanceCategory, DispatchMethod, HoldReason, Kind, Priority, ReceiptReason, ShortReason, Status},
    text::FreeText,
};

/// Most lines of one ticket.
pub const LINES_MAX: usize = 100;

/// Longest lot number, in characters.
pub const LOT_MAX: usize = 40;

/// A ticket's identity: a UUIDv8 that carries 16 bits of its ward's hash, so that routing needs no look-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TicketId(pub Uuid);

impl TicketId {
    /// Makes the id of the ticket that a create command gives: the same ward and command always give the same id.
    #[must_use]
    pub fn derive(ward: &WardCode, command_id: Uuid) -> Self {
        let ward_hash = Sha256::digest(ward.as_str());
        let command_hash = Sha256::new_with_prefix(b"medreq ticket id\0").chain_update(command_id).finalize();
        let mut bytes = [0; 16];
        bytes[..2].copy_from_slice(&ward_hash[..2]);
        bytes[2..].copy_from_slice(&command_hash[..14]);
        Self(Uuid::new_v8(bytes))
    }
}

impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How often a ticket changed; the create gives 1. A comment changes no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u64);

impl Version {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An id that another system (HIS, cabinet vendor) gave, unique per system (FHIR `Identifier`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Identifier {
    /// The namespace, usually a URI; 1 to 100 characters.
    pub system: String,
    /// The id within it; 1 to 100 characters.
    pub value: String,
}

/// What a ticket asks for and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// Identity.
    pub id: TicketId,
    /// Number that people say on the phone: ward, sequence, check letter.
    pub number: String,
    /// What it asks for.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Changes so far.
    pub version: Version,
    /// How soon.
    pub priority: Priority,
    /// The ward: it never changes.
    pub ward: WardCode,
    /// The cabinet, where that is the destination.
    pub cabinet: Option<CabinetCode>,
    /// The pharmacy in whose queue it stands.
    pub pharmacy: PharmacyCode,
    /// Pharmacies that handled it before; they go on seeing it, without acting.
    pub former_pharmacies: Vec<PharmacyCode>,
    /// Who asked.
    pub requester: Person,
    /// Who works it.
    pub assignee: Option<Person>,
    /// What the requester added.
    pub note: Option<FreeText>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
    /// Medicines, in the order asked for; numbered from 1.
    pub lines: Vec<Line>,
    /// The patient and dose, for a missing dose.
    pub missing_dose: Option<MissingDose>,
    /// What is wrong, for an assistance request.
    pub assistance: Option<Assistance>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// The time allowed when it was created or its priority last changed; `None` where the dose time is the due time.
    pub target: Option<SignedDuration>,
    /// How long the clock has stood still so far, over all finished holds that wait for the ward.
    pub clock_stopped: SignedDuration,
    /// The hold in force.
    pub hold: Option<Hold>,
    /// Who checked it before it may leave.
    pub checked_by: Option<Person>,
    /// How and by whom it left.
    pub dispatch: Option<Dispatch>,
    /// When its texts were erased.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

/// One medicine of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// 1, 2, …
    pub line: u16,
    /// Code of the medication.
    pub medication: MedicationCode,
    /// Its name when it was asked for.
    pub name: String,
    /// Unit of issue, of every quantity in this line.
    pub unit: String,
    /// Control class when it was asked for.
    pub classification: Classification,
    /// Requested; zero for a discrepancy.
    pub quantity: Quantity,
    /// What a reject or cancel ended.
    pub declined: Quantity,
    /// Why it stays short.
    pub reason: Option<ShortReason>,
    /// When the rest is expected.
    pub expected_at: Option<Timestamp>,
    /// True once the picker settled it: in full, or short with a reason.
    pub settled: bool,
    /// What was picked, a lot each.
    pub picks: Vec<Pick>,
    /// What the ward confirmed.
    pub receipt: Option<Receipt>,
    /// Counted against expected, for a discrepancy.
    pub count: Option<Count>,
}

impl Line {
    /// The sum of its picks.
    #[must_use]
    pub fn supplied(&self) -> Quantity {
        self.picks.iter().map(|pick| pick.quantity).sum()
    }

    /// Requested, neither supplied nor declined: `quantity = supplied + outstanding + declined`, always.
    #[must_use]
    pub fn outstanding(&self) -> Quantity {
        self.quantity.saturating_sub(self.supplied()).saturating_sub(self.declined)
    }
}

/// One lot taken for a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pick {
    /// Amount, greater than zero.
    pub quantity: Quantity,
    /// The maker's lot.
    pub lot: String,
    /// Last day on which it may be used, in the site's zone.
    pub expiry: Date,
    /// Who took it: may not check a controlled line.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// What arrived of a line: the four add up to what was supplied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Usable and put into stock.
    pub received: Quantity,
    /// Arrived damaged.
    pub damaged: Quantity,
    /// Arrived, but something else.
    pub wrong: Quantity,
    /// Did not arrive.
    pub missing: Quantity,
    /// Why not all of it.
    pub reason: Option<ReceiptReason>,
}

/// A count of a cabinet's pocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// What is there.
    pub counted: Quantity,
    /// What the cabinet says should be.
    pub expected: Quantity,
}

/// What a missing dose is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingDose {
    /// The hospital's reference of the patient; erasable.
    pub patient_ref: FreeText,
    /// When it should be given: the due time.
    pub dose_at: Timestamp,
    /// Where it was looked for; erasable.
    pub searched: Vec<FreeText>,
}

/// What an assistance request is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assistance {
    /// In the requester's words; erasable.
    pub text: FreeText,
    /// What kind of trouble.
    pub category: AssistanceCategory,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The status to return to.
    pub from: Status,
    /// Why.
    pub reason: HoldReason,
    /// In the holder's words; erasable.
    pub note: Option<FreeText>,
    /// When it should go on.
    pub resume_by: Timestamp,
    /// Since when.
    pub since: Timestamp,
}

/// How it left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch {
    /// By which way.
    pub method: DispatchMethod,
    /// Who sent or carried it.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

impl Ticket {
    /// When it is due: creation plus target plus stopped time, or the dose time; `None` while a hold stops the clock.
    #[must_use]
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.hold.as_ref().is_some_and(|hold| hold.reason.waits_for_ward()) {
            return None;
        }
        let base = match (&self.missing_dose, self.target) {
            (Some(dose), _) => dose.dose_at,
            (None, Some(target)) => self.created_at.checked_add(target).ok()?,
            (None, None) => return None,
        };
        base.checked_add(self.clock_stopped).ok()
    }

    /// True where a line needs a second person before it may leave; an unreviewed class counts as controlled.
    #[must_use]
    pub fn has_controlled_line(&self) -> bool {
        self.lines.iter().any(|line| line.classification.needs_second_person())
    }

    /// True where the person picked any lot of it.
    #[must_use]
    pub fn picked_by(&self, person: &Person) -> bool {
        self.lines.iter().flat_map(|line| &line.picks).any(|pick| pick.by.id == person.id)
    }

    /// True where something is picked.
    #[must_use]
    pub fn has_picks(&self) -> bool {
        self.lines.iter().any(|line| line.settled)
    }

    /// Visits every erasable text, so that a store can seal or open it.
    pub fn for_each_text(&mut self, visit: &mut dyn FnMut(&mut FreeText)) {
        self.note.iter_mut().for_each(&mut *visit);
        if let Some(dose) = &mut self.missing_dose {
            visit(&mut dose.patient_ref);
            dose.searched.iter_mut().for_each(&mut *visit);
        }
        if let Some(assistance) = &mut self.assistance {
            visit(&mut assistance.text);
        }
        if let Some(hold) = &mut self.hold {
            hold.note.iter_mut().for_each(visit);
        }
    }
}
