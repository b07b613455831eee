//! A small hospital to test with, and the words to send commands in.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    domain::{
        actor::{Actor, Person, Reach, UserId},
        code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
        command::{Command, Create, RequestLine},
        control_class::{Classification, ControlClass},
        quantity::Quantity,
        reason::{Kind, OverrideReason, Priority, Role},
        refusal::Refusal,
        text::FreeText,
        ticket::{MissingDose, Ticket, TicketId, Version},
    },
    server::ports::{
        Cabinet, CommandId, IdentityStore, Ingredient, Medication, Outcome, ParLevel, Pharmacy, Pipeline,
        RecordedEvent, ReferenceChanges, ReferenceStore, SessionStore, StoredOutcome, Submission, SubmitError,
        Submitted, TicketQuery, TicketSort, TicketStore, User, Visibility, Ward,
    },
};

/// An adapter, by its ports.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) pipeline: Arc<dyn Pipeline>,
    pub(crate) tickets: Arc<dyn TicketStore>,
    pub(crate) reference: Arc<dyn ReferenceStore>,
    pub(crate) identity: Arc<dyn IdentityStore>,
    pub(crate) sessions: Arc<dyn SessionStore>,
}

/// Long enough for any machine; a test never waits for it to pass.
pub(crate) const WAIT: Duration = Duration::from_secs(60);

pub(crate) const MEDICATIONS: [&str; 5] = ["DIPIRONA-500", "MIDAZ-5", "HEPARINA", "SORO-09", "MORFINA-10"];
pub(crate) const CABINETS: [(&str, &str); 3] = [("UTI-01", "UTI"), ("UTI-02", "UTI"), ("CM-01", "CM")];

pub(crate) fn code<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is a code"))
}

pub(crate) fn person(name: &str) -> Person {
    let id = Sha256::digest(name);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&id[..16]);
    Person { id: UserId(Uuid::new_v8(bytes)), username: code(name), name: format!("{name} da Silva") }
}

fn actor(name: &str, role: Role, wards: &[&str], pharmacies: &[&str]) -> Actor {
    Actor {
        person: person(name),
        roles: [role].into(),
        wards: wards.iter().map(|ward| code(ward)).collect::<Reach<WardCode>>(),
        pharmacies: pharmacies.iter().map(|pharmacy| code(pharmacy)).collect::<Reach<PharmacyCode>>(),
        client_id: "app".to_owned(),
        delegated: false,
    }
}

/// Works on both wards.
pub(crate) fn nurse() -> Actor {
    actor("ana", Role::Nurse, &["UTI", "CM"], &[])
}

/// Has no hand in tickets, but for their texts.
pub(crate) fn administrator() -> Actor {
    actor("ada", Role::Admin, &[], &[])
}

/// Of both pharmacies.
pub(crate) fn pharmacist(name: &str) -> Actor {
    actor(name, Role::Pharmacist, &[], &["CENTRAL", "SATELITE"])
}

pub(crate) fn pharmacy(name: &str) -> Pharmacy {
    Pharmacy {
        code: code(name),
        name: format!("Farmácia {name}"),
        satellite: name != "CENTRAL",
        hours: None,
        active: true,
        identifiers: vec![],
    }
}

pub(crate) fn ward(name: &str, pharmacy: &str) -> Ward {
    Ward { code: code(name), name: format!("Ala {name}"), pharmacy: code(pharmacy), active: true, identifiers: vec![] }
}

pub(crate) fn cabinet(name: &str, ward: &str) -> Cabinet {
    Cabinet { code: code(name), name: name.to_owned(), ward: code(ward), active: true, identifiers: vec![] }
}

pub(crate) fn medication(name: &str) -> Medication {
    let controlled = ["MIDAZ-5", "MORFINA-10"].contains(&name);
    Medication {
        code: code(name),
        name: format!("{name} solução injetável"),
        ingredients: vec![Ingredient { name: format!("Substância {name}"), strength: Some("5 mg/mL".to_owned()) }],
        dosage_form: Some("injection".to_owned()),
        routes: vec![],
        unit: "vial".to_owned(),
        packs: vec![],
        classification: if controlled {
            Classification::Controlled(ControlClass::CIV)
        } else {
            Classification::NotControlled
        },
        class_source: None,
        flags: BTreeSet::new(),
        tall_man: None,
        shelf: None,
        active: true,
        products: vec![],
        scan_codes: vec![],
        group_key: None,
        identifiers: vec![],
    }
}

pub(crate) fn user(name: &str, role: Role) -> User {
    let person = person(name);
    User {
        id: person.id,
        username: person.username,
        name: person.name,
        roles: [role].into(),
        wards: BTreeSet::new(),
        pharmacies: BTreeSet::new(),
        disabled: false,
        must_change_password: false,
        password_hash: None,
        generation: 0,
        version: 0,
        created_at: Timestamp::UNIX_EPOCH,
    }
}

/// Two pharmacies, two wards, three cabinets, five medications with a par level in each.
pub(crate) fn hospital() -> ReferenceChanges {
    let level =
        |medication: &str| ParLevel { medication: code(medication), min: Quantity::from(5), max: Quantity::from(20) };
    let pairs = CABINETS.iter().flat_map(|(cabinet, _)| MEDICATIONS.iter().map(move |item| (*cabinet, *item)));
    ReferenceChanges {
        pharmacies: vec![pharmacy("CENTRAL"), pharmacy("SATELITE")],
        wards: vec![ward("UTI", "CENTRAL"), ward("CM", "SATELITE")],
        cabinets: CABINETS.iter().map(|(name, ward)| cabinet(name, ward)).collect(),
        medications: MEDICATIONS.iter().map(|name| medication(name)).collect(),
        par_levels: pairs.map(|(cabinet, item)| (code(cabinet), code(item), Some(level(item)))).collect(),
        audit: vec![],
        ..ReferenceChanges::default()
    }
}

/// A request for a cabinet.
pub(crate) fn refill(cabinet: &str, medications: &[&str]) -> Create {
    let (_, ward) = CABINETS.iter().find(|(name, _)| *name == cabinet).expect("a cabinet of the hospital");
    Create {
        kind: Kind::Refill,
        ward: code(ward),
        cabinet: Some(code(cabinet)),
        priority: Priority::Stat,
        lines: medications
            .iter()
            .map(|medication| RequestLine { medication: code(medication), quantity: Quantity::from(10), unit: None })
            .collect(),
        counts: vec![],
        note: None,
        missing_dose: None,
        assistance: None,
        identifiers: vec![],
        override_reason: None,
        confirm: vec![],
    }
}

/// A request of anything for a ward, which passes beside others.
pub(crate) fn supply(ward: &str, medication: &str) -> Create {
    Create {
        kind: Kind::Supply,
        ward: code(ward),
        cabinet: None,
        override_reason: Some(OverrideReason::OtherPatient),
        ..refill("UTI-01", &[medication])
    }
}

/// A dose that a patient did not get.
pub(crate) fn missing_dose(patient: &str, medication: &str) -> Create {
    let due = Timestamp::now().checked_add(SignedDuration::from_hours(2)).unwrap();
    Create {
        kind: Kind::MissingDose,
        override_reason: None,
        missing_dose: Some(MissingDose {
            patient_ref: FreeText::reference(patient).unwrap(),
            dose_at: Timestamp::from_millisecond(due.as_millisecond()).unwrap(),
            searched: vec![FreeText::new("gaveta do leito").unwrap()],
        }),
        ..supply("UTI", medication)
    }
}

/// The submission of a create under a key.
pub(crate) fn creation(key: &str, create: Create) -> Submission {
    let command_id = command_id(key);
    let ward = create.ward.clone();
    let ticket = TicketId::derive(&ward, command_id.0);
    submission(command_id, ticket, ward, None, Command::Create(Box::new(create)), nurse())
}

/// The submission of another command, based on the ticket as given.
pub(crate) fn on(key: &str, ticket: &Ticket, command: Command, actor: Actor) -> Submission {
    let expected = (!matches!(command, Command::Comment { .. })).then_some(ticket.version);
    submission(command_id(key), ticket.id, ticket.ward.clone(), expected, command, actor)
}

pub(crate) fn command_id(key: &str) -> CommandId {
    let hash = Sha256::digest(key);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    CommandId(Uuid::new_v8(bytes))
}

fn submission(
    command_id: CommandId,
    ticket: TicketId,
    ward: WardCode,
    expected: Option<Version>,
    command: Command,
    actor: Actor,
) -> Submission {
    let body = serde_json::to_string(&(&ticket, &command, &actor.person)).unwrap();
    let body_hash = Sha256::digest(body).into();
    Submission { command_id, body_hash, ticket, ward, expected, command, actor }
}

/// Everything, in the default order.
pub(crate) fn everything() -> TicketQuery {
    TicketQuery {
        visibility: Visibility { wards: Reach::All, pharmacies: Reach::All },
        statuses: vec![],
        kinds: vec![],
        priorities: vec![],
        wards: vec![],
        cabinets: vec![],
        pharmacies: vec![],
        assignee: None,
        requester: None,
        medications: vec![],
        text: None,
        identifier: None,
        overdue_at: None,
        from: None,
        to: None,
        sort: TicketSort::DueAt,
        limit: 200,
        after: None,
    }
}

impl Ports {
    /// Fills the adapter with the hospital.
    pub(crate) async fn open_hospital(&self) {
        self.reference.change_reference(hospital()).await.unwrap();
    }

    /// Sends a command and waits for what became of it.
    pub(crate) async fn send(&self, submission: Submission) -> StoredOutcome {
        match self.try_send(submission).await.unwrap() {
            Submitted::Done(outcome) => outcome,
            Submitted::Pending(_) => panic!("no answer within {WAIT:?}"),
        }
    }

    /// Sends a command.
    pub(crate) async fn try_send(&self, submission: Submission) -> Result<Submitted, SubmitError> {
        self.pipeline.submit(submission, WAIT).await
    }

    /// Sends a command that must be done.
    pub(crate) async fn done(&self, submission: Submission) -> Ticket {
        match self.send(submission).await.outcome {
            Outcome::Applied(ticket) => *ticket,
            Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }

    /// Sends a command that must be refused.
    pub(crate) async fn refused(&self, submission: Submission) -> Refusal {
        match self.send(submission).await.outcome {
            Outcome::Applied(ticket) => panic!("done: {ticket:?}"),
            Outcome::Refused(refusal) => refusal,
        }
    }

    /// The whole feed, read in pages.
    pub(crate) async fn feed(&self, page: usize) -> Vec<RecordedEvent> {
        let mut position = self.pipeline.tail().await.unwrap();
        let mut all = vec![];
        loop {
            let events = self.pipeline.events_after(&position, page).await.unwrap();
            if events.is_empty() {
                return all;
            }
            for event in &events {
                assert!(position.is_before(event.id), "{} does not follow on {position}", event.id);
                position.advance(event.id);
            }
            all.extend(events);
        }
    }

    /// All pages of a query, by the cursors, and the total that every page named.
    pub(crate) async fn all_pages(&self, mut query: TicketQuery) -> (Vec<Ticket>, Option<u64>) {
        let mut tickets = vec![];
        loop {
            let page = self.tickets.tickets(query.clone()).await.unwrap();
            assert!(page.items.len() <= query.limit);
            tickets.extend(page.items);
            match page.next {
                None => return (tickets, page.total),
                next => query.after = next,
            }
        }
    }

    /// The medication's code as the query wants it.
    pub(crate) fn medication_code(name: &str) -> MedicationCode {
        code(name)
    }

    /// The cabinet's code as the query wants it.
    pub(crate) fn cabinet_code(name: &str) -> CabinetCode {
        code(name)
    }
}
