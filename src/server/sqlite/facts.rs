//! What a decision may look at beside the ticket, read inside the deciding transaction. Nothing here comes from a cache.

use rusqlite::{Connection, OptionalExtension};

use super::{
    events, identity, medications, reference,
    rows::{identifier_owner, patient_salt},
    site,
    stored::{Need, Sources, to_uuid, unreadable},
};
use crate::{
    domain::{
        code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
        facts::{OpenRequest, Policy},
        quantity::Quantity,
        refusal::PastChange,
        routing::RoutingRule,
        ticket::{Identifier, TicketId, Version},
    },
    server::ports::{Cabinet, Medication, Pharmacy, StoreResult, User, Ward},
};

/// A transaction that decides.
pub(super) struct Deciding<'a>(pub(super) &'a Connection);

impl Sources for Deciding<'_> {
    fn policy(&self) -> StoreResult<Policy> {
        reference::policy(self.0)
    }

    fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>> {
        site::routing_rules(self.0)
    }

    fn ward(&self, code: &WardCode) -> StoreResult<Option<Ward>> {
        identity::one_body(self.0, "SELECT body FROM wards WHERE code = ?1", code.as_str())
    }

    fn pharmacy(&self, code: &PharmacyCode) -> StoreResult<Option<Pharmacy>> {
        identity::one_body(self.0, "SELECT body FROM pharmacies WHERE code = ?1", code.as_str())
    }

    fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<Cabinet>> {
        identity::one_body(self.0, "SELECT body FROM cabinets WHERE code = ?1", code.as_str())
    }

    fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>> {
        medications::find(self.0, code)
    }

    fn par_max(&self, cabinet: &CabinetCode, medication: &MedicationCode) -> StoreResult<Option<Quantity>> {
        let max: Option<String> = self
            .0
            .prepare_cached("SELECT max FROM par_levels WHERE cabinet = ?1 AND medication = ?2")?
            .query_row((cabinet.as_str(), medication.as_str()), |row| row.get(0))
            .optional()?;
        max.map(|max| max.parse().map_err(|_| unreadable("par level"))).transpose()
    }

    fn user(&self, username: &Username) -> StoreResult<Option<User>> {
        identity::find_user(self.0, username)
    }

    fn patient_salt(&self) -> StoreResult<[u8; 32]> {
        patient_salt(self.0)
    }

    fn open_request(&self, need: Need, own: TicketId) -> StoreResult<Option<OpenRequest>> {
        let Need { destination, medication, patient, supply } = need;
        let mut statement = self.0.prepare_cached(
            "SELECT t.id, t.number FROM open_lines l JOIN tickets t ON t.row = l.ticket
             WHERE l.destination = ?1 AND l.medication = ?2 AND l.patient = ?3 AND l.supply = ?4 AND t.id <> ?5
             ORDER BY l.ticket LIMIT 1",
        )?;
        let mut rows = statement.query((destination, medication.as_str(), patient, supply, own.to_string()))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let ticket = TicketId(to_uuid(&row.get::<_, String>(0)?)?);
        Ok(Some(OpenRequest { ticket, number: row.get(1)?, medication }))
    }

    fn is_taken(&self, identifier: &Identifier) -> StoreResult<bool> {
        Ok(identifier_owner(self.0, &identifier.system, &identifier.value)?.is_some())
    }

    fn last_number(&self, ward: &WardCode) -> StoreResult<u64> {
        let last: Option<i64> = self
            .0
            .prepare_cached("SELECT last FROM ward_sequences WHERE ward = ?1")?
            .query_row([ward.as_str()], |row| row.get(0))
            .optional()?;
        Ok(last.unwrap_or(0).cast_unsigned())
    }

    fn changes_since(&self, ticket: TicketId, version: Version) -> StoreResult<Vec<PastChange>> {
        events::changes_since(self.0, ticket, version)
    }
}

/// Uses up the number of a create.
pub(super) fn use_number(conn: &Connection, ward: &WardCode) -> StoreResult<()> {
    conn.prepare_cached(
        "INSERT INTO ward_sequences (ward, last) VALUES (?1, 1) ON CONFLICT (ward) DO UPDATE SET last = last + 1",
    )?
    .execute([ward.as_str()])?;
    Ok(())
}
