//! The facts of a decision, gathered alike from every store: what the command needs and no more.

use crate::{
    domain::{
        actor::Person,
        code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
        command::{Amend, Command, Create},
        facts::{
            CabinetFact, Facts, ItemFact, OpenRequest, PackFact, PharmacyFact, Policy, RouteFact, StaffFact, WardFact,
        },
        number::ticket_number,
        quantity::Quantity,
        refusal::PastChange,
        routing::RoutingRule,
        ticket::{Identifier, Ticket, TicketId, Version},
    },
    server::{
        ports::{Cabinet, Medication, Pharmacy, StoreResult, Submission, User, Ward},
        stored::{Need, Needs},
    },
};

/// What facts are made of, as the deciding transaction sees it. Nothing here comes from a cache.
pub(crate) trait Sources {
    /// The site's rules.
    fn policy(&self) -> StoreResult<Policy>;
    /// The site's routing rules, in their order.
    fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>>;
    /// A ward.
    fn ward(&self, code: &WardCode) -> StoreResult<Option<Ward>>;
    /// A pharmacy.
    fn pharmacy(&self, code: &PharmacyCode) -> StoreResult<Option<Pharmacy>>;
    /// A cabinet.
    fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<Cabinet>>;
    /// A medication.
    fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>>;
    /// The most of a medication that a cabinet holds.
    fn par_max(&self, cabinet: &CabinetCode, medication: &MedicationCode) -> StoreResult<Option<Quantity>>;
    /// A user.
    fn user(&self, username: &Username) -> StoreResult<Option<User>>;
    /// Keeps patients apart without naming them.
    fn patient_salt(&self) -> StoreResult<[u8; 32]>;
    /// The oldest open request for a need, of another ticket than this: one is enough to be told.
    fn open_request(&self, need: Need, own: TicketId) -> StoreResult<Option<OpenRequest>>;
    /// True where a ticket has the identifier.
    fn is_taken(&self, identifier: &Identifier) -> StoreResult<bool>;
    /// The newest number of a ward; 0 before the first.
    fn last_number(&self, ward: &WardCode) -> StoreResult<u64>;
    /// What changed a ticket after a version, in order.
    fn changes_since(&self, ticket: TicketId, version: Version) -> StoreResult<Vec<PastChange>>;
}

/// Gathers the facts for a command on the ticket as it is.
pub(crate) fn gather(sources: &impl Sources, submission: &Submission, ticket: Option<&Ticket>) -> StoreResult<Facts> {
    let mut facts = Facts {
        policy: sources.policy()?,
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
        facts.changes_since = sources.changes_since(ticket.id, expected)?;
    }
    match (&submission.command, ticket) {
        (Command::Create(create), _) => for_create(sources, &mut facts, create)?,
        (Command::Amend(amend), Some(ticket)) => for_amend(sources, &mut facts, ticket, amend)?,
        (Command::Pick { .. } | Command::Ready | Command::Dispatch { .. } | Command::Receive { .. }, Some(ticket)) => {
            facts.items = items(sources, held_by(ticket), ticket.cabinet.as_ref())?;
        }
        (Command::Reassign { assignee }, _) => facts.assignee = sources.user(assignee)?.map(staff),
        (Command::Transfer { pharmacy, .. }, _) => {
            let found = sources.pharmacy(pharmacy)?;
            facts.pharmacy = found.map(|found| PharmacyFact { code: found.code, active: found.active });
        }
        _ => {}
    }
    Ok(facts)
}

fn for_create(sources: &impl Sources, facts: &mut Facts, create: &Create) -> StoreResult<()> {
    if let Some(Ward { code, pharmacy, active, .. }) = sources.ward(&create.ward)? {
        let pharmacy_active = is_active(sources, &pharmacy)?;
        facts.ward = Some(WardFact { code, pharmacy, pharmacy_active, active });
    }
    for rule in sources.routing_rules()? {
        let pharmacy_active = is_active(sources, &rule.pharmacy)?;
        facts.routes.push(RouteFact { rule, pharmacy_active });
    }
    if let Some(code) = &create.cabinet {
        let found = sources.cabinet(code)?;
        facts.cabinet = found.map(|Cabinet { code, ward, active, .. }| CabinetFact { code, ward, active });
    }
    facts.items = items(sources, named_by_create(create), create.cabinet.as_ref())?;
    let salt = sources.patient_salt()?;
    for need in Needs::of_create(&salt, facts.ticket_id, create).each(named_by_create(create)) {
        facts.open_requests.extend(sources.open_request(need, facts.ticket_id)?);
    }
    for identifier in &create.identifiers {
        if sources.is_taken(identifier)? {
            facts.identifiers_taken.push(identifier.clone());
        }
    }
    facts.number = ticket_number(&create.ward, sources.last_number(&create.ward)? + 1);
    Ok(())
}

/// False also where there is none.
fn is_active(sources: &impl Sources, code: &PharmacyCode) -> StoreResult<bool> {
    Ok(sources.pharmacy(code)?.is_some_and(|found| found.active))
}

fn for_amend(sources: &impl Sources, facts: &mut Facts, ticket: &Ticket, amend: &Amend) -> StoreResult<()> {
    facts.items = items(sources, held_by(ticket).chain(named_by_amend(amend)), ticket.cabinet.as_ref())?;
    let salt = sources.patient_salt()?;
    for need in Needs::of_ticket(&salt, ticket).each(named_by_amend(amend)) {
        facts.open_requests.extend(sources.open_request(need, ticket.id)?);
    }
    Ok(())
}

fn items<'a>(
    sources: &impl Sources,
    codes: impl Iterator<Item = &'a MedicationCode>,
    cabinet: Option<&CabinetCode>,
) -> StoreResult<Vec<ItemFact>> {
    let mut items: Vec<ItemFact> = Vec::new();
    for code in codes {
        if items.iter().any(|item| item.code == *code) {
            continue;
        }
        let Some(medication) = sources.medication(code)? else {
            continue;
        };
        items.push(ItemFact {
            code: medication.code,
            name: medication.name,
            unit: medication.unit,
            classification: medication.classification,
            active: medication.active,
            packs: medication.packs.into_iter().map(|pack| PackFact { unit: pack.unit, factor: pack.factor }).collect(),
            par_max: cabinet.map(|cabinet| sources.par_max(cabinet, code)).transpose()?.flatten(),
        });
    }
    Ok(items)
}

fn staff(user: User) -> StaffFact {
    StaffFact {
        person: Person { id: user.id, username: user.username, name: user.name },
        roles: user.roles,
        pharmacies: user.pharmacies,
        active: !user.disabled,
    }
}

/// The medications of a ticket's lines.
pub(crate) fn held_by(ticket: &Ticket) -> impl Iterator<Item = &MedicationCode> {
    ticket.lines.iter().map(|line| &line.medication)
}

/// The medications that a create names.
pub(crate) fn named_by_create(create: &Create) -> impl Iterator<Item = &MedicationCode> {
    let requested = create.lines.iter().map(|line| &line.medication);
    requested.chain(create.counts.iter().map(|count| &count.medication))
}

/// The medications that an amend names.
pub(crate) fn named_by_amend(amend: &Amend) -> impl Iterator<Item = &MedicationCode> {
    let requested = amend.lines.iter().flatten().map(|line| &line.medication);
    requested.chain(amend.counts.iter().flatten().map(|count| &count.medication))
}
