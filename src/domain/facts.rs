//! What the rules need and the ticket does not hold: read in the same transaction as the ticket, never from a cache.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration, Timestamp,
    civil::{Date, Time},
    tz::TimeZone,
};

use super::{
    actor::Person,
    code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
    control_class::Classification,
    quantity::Quantity,
    reason::{Priority, Role},
    refusal::PastChange,
    routing::RoutingRule,
    ticket::{Identifier, TicketId},
};

/// Everything that one decision may look at beside the ticket. What a command does not need stays empty.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The site's rules.
    pub policy: Policy,
    /// The ward that a create names, and its cabinet.
    pub ward: Option<WardFact>,
    /// The site's routing rules, for a create, in their order.
    pub routes: Vec<RouteFact>,
    /// The cabinet that a create names.
    pub cabinet: Option<CabinetFact>,
    /// The medications that a create, amend or pick names or the ticket holds.
    pub items: Vec<ItemFact>,
    /// Open requests for the same destination and medication (and patient, for a missing dose), of other tickets.
    pub open_requests: Vec<OpenRequest>,
    /// Identifiers of the create that another ticket already has.
    pub identifiers_taken: Vec<Identifier>,
    /// The colleague that a reassign names; `None` where there is no such user.
    pub assignee: Option<StaffFact>,
    /// The pharmacy that a transfer names; `None` where there is no such pharmacy.
    pub pharmacy: Option<PharmacyFact>,
    /// The number that a created ticket gets.
    pub number: String,
    /// Id that a created ticket gets.
    pub ticket_id: TicketId,
    /// What happened after the version that the command was based on; empty where it is current.
    pub changes_since: Vec<PastChange>,
}

/// Rules that a site may set.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Recorded in the events that it decided.
    pub version: u32,
    /// The site's zone: a lot is usable through its expiry date there.
    pub time_zone: TimeZone,
    /// Default targets by priority.
    pub targets: [(Priority, SignedDuration); 4],
    /// True where a technician may check what has no controlled line.
    pub technician_may_check: bool,
    /// Priorities whose tickets need a second person whatever their class.
    pub second_person_priorities: BTreeSet<Priority>,
}

impl Policy {
    /// Stat 15 minutes, asap 30, urgent 60, routine 240, around the clock; only pharmacists check; only controlled lines need a second person.
    #[must_use]
    pub fn default_in(time_zone: TimeZone) -> Self {
        Self {
            version: 1,
            time_zone,
            targets: [
                (Priority::Stat, SignedDuration::from_mins(15)),
                (Priority::Asap, SignedDuration::from_mins(30)),
                (Priority::Urgent, SignedDuration::from_mins(60)),
                (Priority::Routine, SignedDuration::from_mins(240)),
            ],
            technician_may_check: false,
            second_person_priorities: BTreeSet::new(),
        }
    }

    /// The time allowed for a priority.
    #[must_use]
    pub fn target(&self, priority: Priority) -> SignedDuration {
        self.targets
            .iter()
            .find(|(listed, _)| *listed == priority)
            .map_or(SignedDuration::from_mins(240), |(_, target)| *target)
    }

    /// The calendar day at the site.
    #[must_use]
    pub fn today(&self, at: Timestamp) -> Date {
        at.to_zoned_datetime(self.time_zone.clone()).date()
    }

    /// The time of day at the site.
    #[must_use]
    pub fn time_of_day(&self, at: Timestamp) -> Time {
        at.to_zoned_datetime(self.time_zone.clone()).time()
    }
}

/// A ward as the rules see it.
#[derive(Debug, Clone)]
pub struct WardFact {
    /// Its code.
    pub code: WardCode,
    /// Where its tickets go.
    pub pharmacy: PharmacyCode,
    /// An inactive pharmacy takes no new tickets.
    pub pharmacy_active: bool,
    /// An inactive ward takes no new tickets.
    pub active: bool,
}

/// A routing rule as it stands now.
#[derive(Debug, Clone)]
pub struct RouteFact {
    /// The rule.
    pub rule: RoutingRule,
    /// A rule whose pharmacy takes no tickets is passed over.
    pub pharmacy_active: bool,
}

/// A cabinet as the rules see it.
#[derive(Debug, Clone)]
pub struct CabinetFact {
    /// Its code.
    pub code: CabinetCode,
    /// The ward it stands in.
    pub ward: WardCode,
    /// An inactive cabinet takes no new tickets.
    pub active: bool,
}

/// A medication as the rules see it, at the destination.
#[derive(Debug, Clone)]
pub struct ItemFact {
    /// Its code.
    pub code: MedicationCode,
    /// Its name.
    pub name: String,
    /// Unit of issue.
    pub unit: String,
    /// Control class now.
    pub classification: Classification,
    /// An inactive medication cannot be asked for.
    pub active: bool,
    /// Pack units with how many units of issue each holds.
    pub packs: Vec<PackFact>,
    /// Most that the destination cabinet holds; `None` without a par level there.
    pub par_max: Option<Quantity>,
}

/// A pack unit.
#[derive(Debug, Clone)]
pub struct PackFact {
    /// Its name: `box`, `carton`, …
    pub unit: String,
    /// Units of issue in one.
    pub factor: Quantity,
}

/// Another ticket's open line for the same need.
#[derive(Debug, Clone)]
pub struct OpenRequest {
    /// That ticket.
    pub ticket: TicketId,
    /// Its number.
    pub number: String,
    /// The medication.
    pub medication: MedicationCode,
}

/// A colleague.
#[derive(Debug, Clone)]
pub struct StaffFact {
    /// Who.
    pub person: Person,
    /// With which roles.
    pub roles: BTreeSet<Role>,
    /// At which pharmacies.
    pub pharmacies: BTreeSet<PharmacyCode>,
    /// False for a disabled user.
    pub active: bool,
}

/// A pharmacy.
#[derive(Debug, Clone)]
pub struct PharmacyFact {
    /// Its code.
    pub code: PharmacyCode,
    /// An inactive pharmacy takes no tickets.
    pub active: bool,
}
