//! Closed lists of codes: kinds, statuses, priorities and the reasons that people must give. A new code is a new rules version.

/// Declares an enum whose wire form is the snake_case code of each variant, with `ALL`, `as_str`, `Display` and `FromStr`.
// A code is a `tt`: a `literal` reaches the derive for the published schema wrapped, and is not recognised there.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $code:tt),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$vmeta])* #[serde(rename = $code)] $variant,)+
        }

        impl $name {
            /// Every code of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The code as it stands on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::reason::UnknownCode;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text).ok_or_else(|| {
                    $crate::domain::reason::UnknownCode {
                        what: $what,
                        got: text.chars().take(40).collect(),
                        known: Self::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>().join(", "),
                    }
                })
            }
        }
    };
}
pub(crate) use codes;

/// A code that is not in its list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} is not a {what}; use one of: {known}")]
pub struct UnknownCode {
    /// The list's name.
    pub what: &'static str,
    /// The refused text, shortened.
    pub got: String,
    /// The list, comma-separated.
    pub known: String,
}

codes! {
    /// A language that the site's people read (BCP 47).
    Language, "language" {
        /// English.
        English = "en",
        /// Portuguese as in Brazil.
        BrazilianPortuguese = "pt-BR",
    }
}

codes! {
    /// What a ticket asks for (FHIR R4 `SupplyRequest.category`, `Task.code`).
    Kind, "kind" {
        /// Lines that bring a cabinet back to par.
        Refill = "refill",
        /// Anything else that a ward needs.
        Supply = "supply",
        /// A patient's dose that did not arrive.
        MissingDose = "missing_dose",
        /// The cabinet itself needs help.
        Assistance = "assistance",
        /// A count differs from what the cabinet expects.
        Discrepancy = "discrepancy",
    }
}

impl Kind {
    /// The kind's code after its article, for sentences: `a refill`, `an assistance`.
    #[must_use]
    pub fn with_article(self) -> String {
        let article = if self == Self::Assistance { "an" } else { "a" };
        format!("{article} {self}")
    }

    /// True where medicines move: the life cycle ends in `delivered`, not in `resolved`.
    #[must_use]
    pub fn is_supply(self) -> bool {
        matches!(self, Self::Refill | Self::Supply | Self::MissingDose)
    }
}

codes! {
    /// Where a ticket stands (FHIR R4 `Task.status`, in pharmacy words).
    Status, "status" {
        /// Waiting for somebody to take it.
        Open = "open",
        /// Somebody works it.
        Claimed = "claimed",
        /// Every line is settled: supplied, or short with a reason.
        Picked = "picked",
        /// Checked, may leave the pharmacy.
        Ready = "ready",
        /// On its way.
        Dispatched = "dispatched",
        /// The ward confirmed the receipt. End.
        Delivered = "delivered",
        /// A service ticket was settled. End.
        Resolved = "resolved",
        /// Waiting for something, with a reason.
        OnHold = "on_hold",
        /// The pharmacy refused it. End.
        Rejected = "rejected",
        /// Withdrawn. End.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// True for the four ends, from which no command leads out.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Delivered | Self::Resolved | Self::Rejected | Self::Cancelled)
    }
}

codes! {
    /// How soon (FHIR R4 request-priority), with `stat` the most urgent.
    Priority, "priority" {
        /// At once.
        Stat = "stat",
        /// As soon as possible.
        Asap = "asap",
        /// Within the hour.
        Urgent = "urgent",
        /// In the ordinary course.
        Routine = "routine",
    }
}

codes! {
    /// What is wrong with a cabinet.
    AssistanceCategory, "category" {
        /// Something is jammed.
        Jam = "jam",
        /// A drawer does not open or close.
        Drawer = "drawer",
        /// Somebody cannot sign in at the cabinet.
        Login = "login",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why a second request for the same need is right.
    OverrideReason, "override reason" {
        /// It is for another patient.
        OtherPatient = "other_patient",
        /// The first request does not suffice.
        NotEnough = "not_enough",
        /// What was sent has not arrived.
        LostInTransit = "lost_in_transit",
        /// It cannot wait for the first.
        Emergency = "emergency",
        /// Anything else; say it in the note.
        Other = "other",
    }
}

codes! {
    /// Why a line is supplied short.
    ShortReason, "short reason" {
        /// None or too little on the shelf.
        OutOfStock = "out_of_stock",
        /// The supplier does not deliver.
        Backordered = "backordered",
        /// Withdrawn by the maker or the regulator.
        Recalled = "recalled",
        /// What is there expires too soon.
        ShortExpiry = "short_expiry",
        /// What is there is damaged.
        Damaged = "damaged",
        /// A policy limits the amount.
        Restricted = "restricted",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why a ticket waits.
    HoldReason, "hold reason" {
        /// The ward must answer a question.
        AwaitingWard = "awaiting_ward",
        /// The prescriber must clarify; the ward asks.
        AwaitingPrescriber = "awaiting_prescriber",
        /// The ward cannot take it now.
        WardNotReady = "ward_not_ready",
        /// None on the shelf.
        OutOfStock = "out_of_stock",
        /// A delivery is expected.
        AwaitingSupplier = "awaiting_supplier",
        /// A device of the pharmacy fails.
        EquipmentFailure = "equipment_failure",
        /// Anything else on the pharmacy's side.
        Other = "other",
    }
}

impl HoldReason {
    /// True where the ward is waited for: then the clock stands still.
    #[must_use]
    pub fn waits_for_ward(self) -> bool {
        matches!(self, Self::AwaitingWard | Self::AwaitingPrescriber | Self::WardNotReady)
    }
}

codes! {
    /// Why a dispatched ticket comes back.
    ReturnReason, "return reason" {
        /// Nobody was there, or the tube failed.
        Undeliverable = "undeliverable",
        /// Not what was asked for.
        WrongItem = "wrong_item",
        /// The ward did not take it.
        Refused = "refused",
        /// Broken or spoilt on the way.
        Damaged = "damaged",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why the pharmacy refuses a ticket.
    RejectReason, "reject reason" {
        /// Not in the formulary or not kept.
        NotStocked = "not_stocked",
        /// No stock and none to come.
        OutOfStock = "out_of_stock",
        /// Somebody else asked already.
        Duplicate = "duplicate",
        /// Not right for the patient or the ward.
        Inappropriate = "inappropriate",
        /// Needs an authorisation that is missing.
        NotAuthorized = "not_authorized",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why a ticket is withdrawn.
    CancelReason, "cancel reason" {
        /// The need is gone.
        NoLongerNeeded = "no_longer_needed",
        /// It should never have been sent (FHIR `entered-in-error`).
        EnteredInError = "entered_in_error",
        /// Somebody else asked already.
        Duplicate = "duplicate",
        /// The medicine was found.
        Found = "found",
        /// The patient left the ward.
        PatientLeft = "patient_left",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why a ticket moves to another pharmacy.
    TransferReason, "transfer reason" {
        /// None here.
        OutOfStock = "out_of_stock",
        /// This pharmacy closes or is closed.
        Closed = "closed",
        /// Too much work here.
        Workload = "workload",
        /// The other pharmacy serves this destination.
        WrongPharmacy = "wrong_pharmacy",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// Why part of a delivery was not received.
    ReceiptReason, "receipt reason" {
        /// Broken, leaking or spoilt.
        Damaged = "damaged",
        /// Another medicine or strength.
        WrongItem = "wrong_item",
        /// Expired on arrival.
        Expired = "expired",
        /// Not in the delivery.
        NotDelivered = "not_delivered",
        /// Fewer than the label says.
        ShortCount = "short_count",
        /// Anything else.
        Other = "other",
    }
}

codes! {
    /// How a ticket leaves the pharmacy.
    DispatchMethod, "dispatch method" {
        /// A person carries it.
        Runner = "runner",
        /// Pneumatic tube.
        Tube = "tube",
        /// With the next round.
        Round = "round",
        /// The ward fetches it.
        PickUp = "pick_up",
    }
}

codes! {
    /// What somebody must say explicitly before a rule lets them pass.
    Confirmation, "confirmation" {
        /// More than the cabinet's maximum.
        UnusualQuantity = "unusual_quantity",
    }
}

codes! {
    /// What a person or program may do; a user may have several.
    Role, "role" {
        /// Requests and receives for her wards.
        Nurse = "nurse",
        /// A nurse in charge of a ward.
        ChargeNurse = "charge_nurse",
        /// Works the queue of a pharmacy.
        Technician = "technician",
        /// Works, checks and rejects; classifies medications.
        Pharmacist = "pharmacist",
        /// Distributes work and sees reports.
        Manager = "manager",
        /// Reads everything, changes nothing.
        Auditor = "auditor",
        /// Users and reference data; no pharmacy acts.
        Admin = "admin",
        /// A program, for a user.
        Service = "service",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_code_is_answered_with_the_list() {
        let error = "soon".parse::<Priority>().map_err(|e| e.to_string());
        assert_eq!(error, Err("\"soon\" is not a priority; use one of: stat, asap, urgent, routine".to_owned()));
    }
}
