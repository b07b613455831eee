//! What a decision may look at beside the ticket, read inside the deciding transaction. Nothing here comes from a cache.

use rusqlite::{Connection, OptionalExtension};

use super::{
    events, identity, medications,
    reference::policy,
    rows::{identifier_owner, patient_salt},
    site,
    stored::{Need, Needs, named_by_amend, named_by_create, to_uuid, unreadable},
};
use crate::{
    domain::{
        actor::Person,
        code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
        command::{Amend, Command, Create},
        facts::{CabinetFact, Facts, ItemFact, OpenRequest, PackFact, PharmacyFact, RouteFact, StaffFact, WardFact},
        number::ticket_number,
        quantity::Quantity,
        ticket::{Ticket, TicketId},
    },
    server::ports::{Cabinet, Pharmacy, StoreResult, Submission, Ward},
};

/// Reads what the command needs, and no more.
pub(super) fn gather(conn: &Connection, submission: &Submission, ticket: Option<&Ticket>) -> StoreResult<Facts> {
    let mut facts = Facts {
        policy: policy(conn)?,
        ward: None,
        routes: Vec::new(),
        cabinet: None,
        items: Vec::new(),
        open_requests: Vec::new(),
        identifiers_taken: Vec::new(),
        assignee: None,
        pharmacy: None,
        number: String::new(),
        ticket_id: submission.ticket,
        changes_since: Vec::new(),
    };
    if let (Some(ticket), Some(expected)) = (ticket, submission.expected)
        && ticket.version != expected
    {
        facts.changes_since = events::changes_since(conn, ticket.id, expected)?;
    }
    match (&submission.command, ticket) {
        (Command::Create(create), _) => for_create(conn, &mut facts, create)?,
        (Command::Amend(amend), Some(ticket)) => for_amend(conn, &mut facts, ticket, amend)?,
        (Command::Pick { .. } | Command::Ready | Command::Dispatch { .. } | Command::Receive { .. }, Some(ticket)) => {
            let held = ticket.lines.iter().map(|line| &line.medication);
            facts.items = items(conn, held, ticket.cabinet.as_ref())?;
        }
        (Command::Reassign { assignee }, _) => facts.assignee = staff(conn, assignee)?,
        (Command::Transfer { pharmacy, .. }, _) => {
            let found = find_pharmacy(conn, pharmacy)?;
            facts.pharmacy = found.map(|found| PharmacyFact { code: found.code, active: found.active });
        }
        _ => {}
    }
    Ok(facts)
}

fn for_create(conn: &Connection, facts: &mut Facts, create: &Create) -> StoreResult<()> {
    let ward: Option<Ward> = identity::one_body(conn, "SELECT body FROM wards WHERE code = ?1", create.ward.as_str())?;
    if let Some(ward) = ward {
        let pharmacy_active = find_pharmacy(conn, &ward.pharmacy)?.is_some_and(|found| found.active);
        let Ward { code, pharmacy, active, .. } = ward;
        facts.ward = Some(WardFact { code, pharmacy, pharmacy_active, active });
    }
    for rule in site::routing_rules(conn)? {
        let pharmacy_active = find_pharmacy(conn, &rule.pharmacy)?.is_some_and(|found| found.active);
        facts.routes.push(RouteFact { rule, pharmacy_active });
    }
    if let Some(code) = &create.cabinet {
        let cabinet = identity::one_body(conn, "SELECT body FROM cabinets WHERE code = ?1", code.as_str())?;
        facts.cabinet = cabinet.map(|cabinet: Cabinet| CabinetFact {
            code: cabinet.code,
            ward: cabinet.ward,
            active: cabinet.active,
        });
    }
    facts.items = items(conn, named_by_create(create), create.cabinet.as_ref())?;
    let salt = patient_salt(conn)?;
    for need in Needs::of_create(&salt, facts.ticket_id, create).each(named_by_create(create)) {
        facts.open_requests.extend(open_request(conn, need, facts.ticket_id)?);
    }
    for identifier in &create.identifiers {
        if identifier_owner(conn, &identifier.system, &identifier.value)?.is_some() {
            facts.identifiers_taken.push(identifier.clone());
        }
    }
    facts.number = ticket_number(&create.ward, last_number(conn, &create.ward)? + 1);
    Ok(())
}

fn find_pharmacy(conn: &Connection, code: &PharmacyCode) -> StoreResult<Option<Pharmacy>> {
    identity::one_body(conn, "SELECT body FROM pharmacies WHERE code = ?1", code.as_str())
}

fn for_amend(conn: &Connection, facts: &mut Facts, ticket: &Ticket, amend: &Amend) -> StoreResult<()> {
    let held = ticket.lines.iter().map(|line| &line.medication);
    facts.items = items(conn, held.chain(named_by_amend(amend)), ticket.cabinet.as_ref())?;
    let salt = patient_salt(conn)?;
    for need in Needs::of_ticket(&salt, ticket).each(named_by_amend(amend)) {
        facts.open_requests.extend(open_request(conn, need, ticket.id)?);
    }
    Ok(())
}

fn items<'a>(
    conn: &Connection,
    codes: impl Iterator<Item = &'a MedicationCode>,
    cabinet: Option<&CabinetCode>,
) -> StoreResult<Vec<ItemFact>> {
    let mut items: Vec<ItemFact> = Vec::new();
    for code in codes {
        if items.iter().any(|item| item.code == *code) {
            continue;
        }
        let Some(medication) = medications::find(conn, code)? else {
            continue;
        };
        items.push(ItemFact {
            code: medication.code,
            name: medication.name,
            unit: medication.unit,
            classification: medication.classification,
            active: medication.active,
            packs: medication.packs.into_iter().map(|pack| PackFact { unit: pack.unit, factor: pack.factor }).collect(),
            par_max: cabinet.map(|cabinet| par_max(conn, cabinet, code)).transpose()?.flatten(),
        });
    }
    Ok(items)
}

fn par_max(conn: &Connection, cabinet: &CabinetCode, code: &MedicationCode) -> StoreResult<Option<Quantity>> {
    let max: Option<String> = conn
        .prepare_cached("SELECT max FROM par_levels WHERE cabinet = ?1 AND medication = ?2")?
        .query_row((cabinet.as_str(), code.as_str()), |row| row.get(0))
        .optional()?;
    max.map(|max| max.parse().map_err(|_| unreadable("par level"))).transpose()
}

/// The oldest open request for a need: one is enough to be told.
fn open_request(conn: &Connection, need: Need, own: TicketId) -> StoreResult<Option<OpenRequest>> {
    let Need { destination, medication, patient, supply } = need;
    let mut statement = conn.prepare_cached(
        "SELECT t.id, t.number FROM open_lines l JOIN tickets t ON t.row = l.ticket
         WHERE l.destination = ?1 AND l.medication = ?2 AND l.patient = ?3 AND l.supply = ?4 AND t.id <> ?5
         ORDER BY l.ticket LIMIT 1",
    )?;
    let mut rows = statement.query((destination, medication.as_str(), patient, supply, own.to_string()))?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(OpenRequest { ticket: TicketId(to_uuid(&row.get::<_, String>(0)?)?), number: row.get(1)?, medication }))
}

fn staff(conn: &Connection, username: &Username) -> StoreResult<Option<StaffFact>> {
    let user = identity::find_user(conn, username)?;
    Ok(user.map(|user| StaffFact {
        person: Person { id: user.id, username: user.username, name: user.name },
        roles: user.roles,
        pharmacies: user.pharmacies,
        active: !user.disabled,
    }))
}

fn last_number(conn: &Connection, ward: &WardCode) -> StoreResult<u64> {
    let last: Option<i64> = conn
        .prepare_cached("SELECT last FROM ward_sequences WHERE ward = ?1")?
        .query_row([ward.as_str()], |row| row.get(0))
        .optional()?;
    Ok(last.unwrap_or(0).cast_unsigned())
}

/// Uses up the number that [`gather`] gave to a create.
pub(super) fn use_number(conn: &Connection, ward: &WardCode) -> StoreResult<()> {
    conn.prepare_cached(
        "INSERT INTO ward_sequences (ward, last) VALUES (?1, 1) ON CONFLICT (ward) DO UPDATE SET last = last + 1",
    )?
    .execute([ward.as_str()])?;
    Ok(())
}
