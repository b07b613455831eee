//! A ticket comes into being, or changes while nobody has taken it. What a kind does not have is refused, never dropped.

use jiff::{SignedDuration, Timestamp};

use super::{
    Changes, Scene,
    lines::{self, Request},
};
use crate::domain::{
    actor::Actor,
    command::{Amend, CommandName, Create},
    event::Change,
    facts::{Facts, PharmacyFact, WardFact},
    permission,
    reason::{Kind, OverrideReason, Status},
    refusal::{Refusal, RefusalCode},
    routing,
    ticket::{Assistance, Line, Ticket, Version},
};

pub(super) fn create(facts: &Facts, create: &Create, actor: &Actor, at: Timestamp) -> Changes {
    permission::check_role(CommandName::Create, &actor.roles)?;
    let ward = facts.ward.as_ref().filter(|ward| ward.code == create.ward).ok_or_else(|| {
        let detail = format!("there is no ward {}; check its code", create.ward);
        Refusal::new(RefusalCode::UnknownWard, detail).at("ward")
    })?;
    permission::check_place(CommandName::Create, actor, &ward.code, [&ward.pharmacy])?;
    let pharmacy = routing::route(facts, ward, create.kind, at);
    check_destination(facts, create, ward, &pharmacy)?;
    check_fields(create)?;
    let (lines, override_reason) = take_lines(facts, create)?;
    check_identifiers(facts, create)?;
    let mut identifiers = Vec::with_capacity(create.identifiers.len());
    for identifier in &create.identifiers {
        if !identifiers.contains(identifier) {
            identifiers.push(identifier.clone());
        }
    }
    let assistance = create.assistance.as_ref();
    let ticket = Ticket {
        id: facts.ticket_id,
        number: facts.number.clone(),
        kind: create.kind,
        status: Status::Open,
        version: Version(1),
        priority: create.priority,
        ward: ward.code.clone(),
        cabinet: create.cabinet.clone(),
        // The ward's own pharmacy sees what the rules sent elsewhere, as if it had handed it on.
        former_pharmacies: [&ward.pharmacy].into_iter().filter(|own| **own != pharmacy.code).cloned().collect(),
        pharmacy: pharmacy.code,
        requester: actor.person.clone(),
        assignee: None,
        note: create.note.clone(),
        identifiers,
        lines,
        missing_dose: create.missing_dose.clone(),
        assistance: assistance.map(|asked| Assistance { text: asked.text.clone(), category: asked.category }),
        created_at: at,
        updated_at: at,
        target: (create.kind != Kind::MissingDose).then(|| facts.policy.target(create.priority)),
        clock_stopped: SignedDuration::ZERO,
        hold: None,
        checked_by: None,
        dispatch: None,
        erased_at: None,
    };
    Ok(vec![Change::Created { ticket: Box::new(ticket), policy_version: facts.policy.version, override_reason }])
}

pub(super) fn amend(scene: Scene<'_>, amend: &Amend) -> Changes {
    let Scene { ticket, facts, .. } = scene;
    if amend.priority.is_none() && amend.note.is_none() && amend.lines.is_none() && amend.counts.is_none() {
        let detail = "give a priority, a note or lines to change";
        return Err(Refusal::new(RefusalCode::NothingToChange, detail));
    }
    if amend.lines.is_some() && !ticket.kind.is_supply() {
        return Err(unexpected(requested_field(ticket.kind), ticket.kind));
    }
    if amend.counts.is_some() && ticket.kind != Kind::Discrepancy {
        return Err(unexpected(counted_field(ticket.kind), ticket.kind));
    }
    let (lines, override_reason) = match (&amend.lines, &amend.counts) {
        (None, None) => (None, None),
        (None, Some(counts)) => (Some(lines::counted(facts, counts)?), None),
        (Some(lines), _) => {
            let (override_reason, confirm) = (amend.override_reason, amend.confirm.as_slice());
            let request = Request { kind: ticket.kind, lines, override_reason, confirm };
            let (lines, overridden) = lines::requested(facts, &request)?;
            (Some(lines), overridden)
        }
    };
    // A missing dose stays due at its dose time.
    let timed = amend.priority.filter(|_| ticket.kind != Kind::MissingDose);
    Ok(vec![Change::Amended {
        priority: amend.priority,
        target: timed.map(|priority| facts.policy.target(priority)),
        note: amend.note.clone(),
        lines,
        override_reason,
        policy_version: facts.policy.version,
    }])
}

fn check_destination(facts: &Facts, create: &Create, ward: &WardFact, pharmacy: &PharmacyFact) -> Result<(), Refusal> {
    let refused = |code, detail: String, field: &str| Err(Refusal::new(code, detail).at(field));
    if !ward.active {
        let detail = format!("ward {} takes no tickets; name an active one", ward.code);
        return refused(RefusalCode::UnknownWard, detail, "ward");
    }
    // Only the ward's own can be inactive: a rule that names such a one is passed over.
    if !pharmacy.active {
        let detail = format!(
            "pharmacy {} of ward {} takes no tickets; an administrator can give the ward another pharmacy",
            pharmacy.code, ward.code
        );
        return refused(RefusalCode::UnknownPharmacy, detail, "ward");
    }
    let kind = create.kind;
    let Some(code) = &create.cabinet else {
        return match kind {
            Kind::Supply | Kind::MissingDose => Ok(()),
            Kind::Refill | Kind::Assistance | Kind::Discrepancy => {
                let detail = format!("{} ticket is about a cabinet; name it", kind.with_article());
                refused(RefusalCode::DestinationMismatch, detail, "cabinet")
            }
        };
    };
    if kind == Kind::MissingDose {
        let detail = format!("{} ticket goes to a ward; leave the cabinet out", kind.with_article());
        return refused(RefusalCode::DestinationMismatch, detail, "cabinet");
    }
    match facts.cabinet.as_ref().filter(|cabinet| cabinet.code == *code) {
        None => refused(RefusalCode::UnknownCabinet, format!("there is no cabinet {code}; check its code"), "cabinet"),
        Some(cabinet) if !cabinet.active => {
            let detail = format!("cabinet {code} takes no tickets; name an active one");
            refused(RefusalCode::UnknownCabinet, detail, "cabinet")
        }
        Some(cabinet) if cabinet.ward != ward.code => {
            let detail =
                format!("cabinet {code} stands in ward {}, not in {}; name one of them", cabinet.ward, ward.code);
            refused(RefusalCode::DestinationMismatch, detail, "cabinet")
        }
        Some(_) => Ok(()),
    }
}

/// Each kind has its fields and no others.
fn check_fields(create: &Create) -> Result<(), Refusal> {
    let kind = create.kind;
    if !create.lines.is_empty() && !kind.is_supply() {
        return Err(unexpected(requested_field(kind), kind));
    }
    if !create.counts.is_empty() && kind != Kind::Discrepancy {
        return Err(unexpected(counted_field(kind), kind));
    }
    check_presence("patient_ref", create.missing_dose.is_some(), kind, Kind::MissingDose)?;
    check_presence("text", create.assistance.is_some(), kind, Kind::Assistance)
}

/// What is too much where a kind that asks for no medicine has requested lines.
fn requested_field(kind: Kind) -> &'static str {
    if kind == Kind::Discrepancy { "lines[0].quantity" } else { "lines" }
}

/// What is too much where a kind that counts nothing has counted lines.
fn counted_field(kind: Kind) -> &'static str {
    if kind.is_supply() { "lines[0].counted" } else { "lines" }
}

fn check_presence(field: &str, given: bool, kind: Kind, owner: Kind) -> Result<(), Refusal> {
    match (given, kind == owner) {
        (true, false) => Err(unexpected(field, kind)),
        (false, true) => {
            let detail = format!("{} ticket needs {field}; give it", kind.with_article());
            Err(Refusal::new(RefusalCode::FieldRequired, detail).at(field))
        }
        _ => Ok(()),
    }
}

fn unexpected(field: &str, kind: Kind) -> Refusal {
    Refusal::new(RefusalCode::UnexpectedField, format!("{} ticket has no {field}; leave it out", kind.with_article()))
        .at(field)
}

fn take_lines(facts: &Facts, create: &Create) -> Result<(Vec<Line>, Option<OverrideReason>), Refusal> {
    match create.kind {
        Kind::Refill | Kind::Supply | Kind::MissingDose => {
            let Create { kind, lines, override_reason, confirm, .. } = create;
            let request = Request { kind: *kind, lines, override_reason: *override_reason, confirm };
            lines::requested(facts, &request)
        }
        Kind::Discrepancy => Ok((lines::counted(facts, &create.counts)?, None)),
        Kind::Assistance => Ok((Vec::new(), None)),
    }
}

fn check_identifiers(facts: &Facts, create: &Create) -> Result<(), Refusal> {
    match create.identifiers.iter().position(|identifier| facts.identifiers_taken.contains(identifier)) {
        None => Ok(()),
        Some(index) => {
            let detail = "another ticket has this identifier already; find that ticket by it instead";
            Err(Refusal::new(RefusalCode::IdentifierTaken, detail).at(format!("identifiers[{index}]")))
        }
    }
}
