//! What a ticket stands open for: a request for the same need is reported. Patients stand here only as salted hashes.

use std::{collections::BTreeSet, fmt};

use sha2::{Digest, Sha256};

use crate::domain::{
    code::{CabinetCode, MedicationCode, WardCode},
    command::Create,
    text::FreeText,
    ticket::{Ticket, TicketId},
};
use crate::server::hex::hex;

/// A line that must not be asked for twice.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Need {
    pub(crate) destination: String,
    pub(crate) medication: MedicationCode,
    /// Empty where the need is no patient's.
    pub(crate) patient: Vec<u8>,
    /// What is asked for; a count of the same pocket is no request.
    pub(crate) supply: bool,
}

/// Where something goes, and for whom.
pub(crate) struct Needs<'a> {
    salt: &'a [u8; 32],
    ticket: TicketId,
    destination: String,
    patient: Option<&'a FreeText>,
    supply: bool,
}

impl<'a> Needs<'a> {
    /// Those of a create, which will have this id.
    pub(crate) fn of_create(salt: &'a [u8; 32], ticket: TicketId, create: &'a Create) -> Self {
        Self {
            salt,
            ticket,
            destination: destination(&create.ward, create.cabinet.as_ref()),
            patient: create.missing_dose.as_ref().map(|dose| &dose.patient_ref),
            supply: create.kind.is_supply(),
        }
    }

    /// Those of a ticket.
    pub(crate) fn of_ticket(salt: &'a [u8; 32], ticket: &'a Ticket) -> Self {
        Self {
            salt,
            ticket: ticket.id,
            destination: destination(&ticket.ward, ticket.cabinet.as_ref()),
            patient: ticket.missing_dose.as_ref().map(|dose| &dose.patient_ref),
            supply: ticket.kind.is_supply(),
        }
    }

    /// The need for each of these medications.
    pub(crate) fn each<'m>(&self, medications: impl IntoIterator<Item = &'m MedicationCode>) -> BTreeSet<Need> {
        let patient = self.patient.map(|patient| self.patient_key(patient)).unwrap_or_default();
        let need = |medication: &MedicationCode| Need {
            destination: self.destination.clone(),
            medication: medication.clone(),
            patient: patient.clone(),
            supply: self.supply,
        };
        medications.into_iter().map(need).collect()
    }

    /// Stands for a patient at a destination.
    fn patient_key(&self, patient: &FreeText) -> Vec<u8> {
        let hash = Sha256::new_with_prefix(self.salt).chain_update(&self.destination).chain_update([0]);
        // An erased reference equals no other.
        let hash = match patient.plain() {
            Some(reference) => hash.chain_update(reference),
            None => hash.chain_update([0]).chain_update(self.ticket.0),
        };
        hash.finalize().to_vec()
    }
}

/// What a ticket stands open for: nothing once it is at its end.
pub(crate) fn open_needs(salt: &[u8; 32], ticket: &Ticket) -> BTreeSet<Need> {
    if ticket.status.is_terminal() {
        return BTreeSet::new();
    }
    Needs::of_ticket(salt, ticket).each(ticket.lines.iter().map(|line| &line.medication))
}

fn destination(ward: &WardCode, cabinet: Option<&CabinetCode>) -> String {
    cabinet.map_or_else(|| format!("ward:{ward}"), |cabinet| format!("cabinet:{cabinet}"))
}

/// As one word of an index.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { destination, medication, patient, supply } = self;
        write!(f, "{destination} {medication} {}", if *supply { "supply" } else { "count" })?;
        if patient.is_empty() { Ok(()) } else { write!(f, " {}", hex(patient)) }
    }
}
