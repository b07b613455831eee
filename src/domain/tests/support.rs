//! A small hospital and a desk at which its people give commands; every applied command is checked against the equations.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::{
    actor::{Actor, Person, Reach, UserId},
    apply::apply,
    code::PharmacyCode,
    command::{AssistanceRequest, Command, CountLine, Create, PickLine, ReceiveLine, RequestLine},
    control_class::{Classification, ControlClass},
    decide::decide,
    event::{Change, Event},
    facts::{CabinetFact, Facts, ItemFact, PackFact, PharmacyFact, Policy, StaffFact, WardFact},
    quantity::Quantity,
    reason::{
        AssistanceCategory, CancelReason, DispatchMethod, HoldReason, Kind, Priority, RejectReason, ReturnReason, Role,
        ShortReason, Status, TransferReason,
    },
    refusal::{Refusal, RefusalCode},
    text::FreeText,
    ticket::{MissingDose, Ticket, TicketId, Version},
};

/// 15 January 2027, 22:07 at the site; already the 16th in Greenwich.
pub(super) const START: &str = "2027-01-16T01:07:00Z";

pub(super) const MIDAZOLAM: &str = "MIDAZ-5";
pub(super) const DIPYRONE: &str = "DIPI-1G";
pub(super) const SALINE: &str = "NACL-09";
pub(super) const GLUCOSE: &str = "GLUC-PO";

pub(super) fn q(text: &str) -> Quantity {
    text.parse().unwrap()
}

pub(super) fn text(content: &str) -> FreeText {
    FreeText::new(content).unwrap()
}

pub(super) fn person(name: &str) -> Person {
    let hash = Sha256::digest(name);
    let id = UserId(Uuid::new_v8(hash[..16].try_into().unwrap()));
    Person { id, username: name.parse().unwrap(), name: name.to_owned() }
}

fn actor(name: &str, roles: &[Role], wards: &[&str], pharmacies: &[&str]) -> Actor {
    Actor {
        person: person(name),
        roles: roles.iter().copied().collect(),
        wards: wards.iter().map(|code| code.parse().unwrap()).collect(),
        pharmacies: pharmacies.iter().map(|code| code.parse().unwrap()).collect(),
        client_id: "nurse-app".to_owned(),
        delegated: false,
    }
}

/// The people of the tests, by name; each works where the ticket of the tests is unless the name says otherwise.
pub(super) fn who(name: &str) -> Actor {
    use Role::{Admin, Auditor, ChargeNurse, Manager, Nurse, Pharmacist, Service, Technician};
    match name {
        "nina" => actor(name, &[Nurse], &["UTI"], &[]),
        "carla" => actor(name, &[ChargeNurse], &["UTI"], &[]),
        "nurse-elsewhere" => actor(name, &[Nurse], &["PED"], &[]),
        "tom" | "tess" => actor(name, &[Technician], &[], &["CENTRAL"]),
        "paul" | "petra" => actor(name, &[Pharmacist], &[], &["CENTRAL"]),
        "satellite" => actor(name, &[Pharmacist, Technician, Manager], &[], &["SAT"]),
        "mary" => actor(name, &[Manager], &[], &["CENTRAL"]),
        "both" => actor(name, &[Nurse, Technician], &["UTI"], &["CENTRAL"]),
        "eve" => {
            Actor { wards: Reach::All, ..actor(name, &[Nurse, Technician, Pharmacist, Manager], &[], &["CENTRAL"]) }
        }
        "audit" => Actor { wards: Reach::All, pharmacies: Reach::All, ..actor(name, &[Auditor], &[], &[]) },
        "admin" => Actor { wards: Reach::All, pharmacies: Reach::All, ..actor(name, &[Admin], &[], &[]) },
        "his" => Actor { wards: Reach::All, pharmacies: Reach::All, ..actor(name, &[Service], &[], &[]) },
        other => unreachable!("nobody is called {other}"),
    }
}

pub(super) fn staff(name: &str) -> StaffFact {
    let actor = who(name);
    let Reach::Only(pharmacies) = actor.pharmacies else { unreachable!("staff has its pharmacies") };
    StaffFact { person: actor.person, roles: actor.roles, pharmacies, active: true }
}

fn item(code: &str, unit: &str, classification: Classification, par_max: Option<u32>) -> ItemFact {
    ItemFact {
        code: code.parse().unwrap(),
        name: code.to_lowercase(),
        unit: unit.to_owned(),
        classification,
        active: true,
        packs: vec![PackFact { unit: "Box".to_owned(), factor: q("10") }],
        par_max: par_max.map(Quantity::from),
    }
}

/// A site three hours behind Greenwich: its ward UTI with cabinet UTI-01, served by CENTRAL.
pub(super) fn facts() -> Facts {
    let mut glucose = item(GLUCOSE, "g", Classification::NotControlled, Some(1_000_000));
    glucose.packs.push(PackFact { unit: "kg".to_owned(), factor: q("1000") });
    Facts {
        policy: Policy::default_in(TimeZone::fixed(jiff::tz::offset(-3))),
        ward: Some(WardFact {
            code: "UTI".parse().unwrap(),
            pharmacy: "CENTRAL".parse().unwrap(),
            pharmacy_active: true,
            active: true,
        }),
        routes: Vec::new(),
        cabinet: Some(CabinetFact { code: "UTI-01".parse().unwrap(), ward: "UTI".parse().unwrap(), active: true }),
        items: vec![
            item(MIDAZOLAM, "ampoule", ControlClass::B1.into(), Some(30)),
            item(DIPYRONE, "ampoule", Classification::NotControlled, Some(30)),
            item(SALINE, "bag", Classification::NotControlled, None),
            glucose,
        ],
        open_requests: Vec::new(),
        identifiers_taken: Vec::new(),
        assignee: Some(staff("tess")),
        pharmacy: Some(PharmacyFact { code: "SAT".parse().unwrap(), active: true }),
        number: "UTI-42-K".to_owned(),
        ticket_id: TicketId::derive(&"UTI".parse().unwrap(), Uuid::nil()),
        changes_since: Vec::new(),
    }
}

pub(super) fn request(medication: &str, quantity: &str) -> RequestLine {
    RequestLine { medication: medication.parse().unwrap(), quantity: q(quantity), unit: None }
}

/// A valid create of the kind; of a supply kind with the lines.
pub(super) fn create(kind: Kind, lines: &[(&str, &str)]) -> Create {
    let dose = MissingDose {
        patient_ref: FreeText::reference("P-1").unwrap(),
        dose_at: "2027-01-16T03:00:00Z".parse().unwrap(),
        searched: vec![text("drawer")],
    };
    let count = CountLine { medication: DIPYRONE.parse().unwrap(), counted: Quantity::ZERO, expected: q("4") };
    let assistance = AssistanceRequest { text: text("drawer 3 is stuck"), category: AssistanceCategory::Drawer };
    Create {
        kind,
        ward: "UTI".parse().unwrap(),
        cabinet: (kind != Kind::MissingDose).then(|| "UTI-01".parse().unwrap()),
        priority: Priority::Stat,
        lines: if kind.is_supply() { lines.iter().map(|(code, n)| request(code, n)).collect() } else { Vec::new() },
        counts: if kind == Kind::Discrepancy { vec![count] } else { Vec::new() },
        note: None,
        missing_dose: (kind == Kind::MissingDose).then_some(dose),
        assistance: (kind == Kind::Assistance).then_some(assistance),
        identifiers: Vec::new(),
        override_reason: None,
        confirm: Vec::new(),
    }
}

pub(super) fn day(text: &str) -> Date {
    text.parse().unwrap()
}

pub(super) fn lot(line: u16, supplied: &str) -> PickLine {
    PickLine {
        line,
        supplied: q(supplied),
        lot: Some(format!("L{line}")),
        expiry: Some(day("2027-12-31")),
        reason: None,
        expected_at: None,
    }
}

pub(super) fn short(line: u16, supplied: &str) -> PickLine {
    PickLine { reason: Some(ShortReason::OutOfStock), ..lot(line, supplied) }
}

pub(super) fn none(line: u16) -> PickLine {
    PickLine { lot: None, expiry: None, ..short(line, "0") }
}

pub(super) fn pick(lines: impl Into<Vec<PickLine>>) -> Command {
    Command::Pick { lines: lines.into() }
}

pub(super) fn receipt(line: u16, received: &str, damaged: &str) -> ReceiveLine {
    let (wrong, missing) = (Quantity::ZERO, Quantity::ZERO);
    ReceiveLine { line, received: q(received), damaged: q(damaged), wrong, missing, reason: None }
}

pub(super) fn receive(lines: impl Into<Vec<ReceiveLine>>) -> Command {
    Command::Receive { lines: lines.into() }
}

pub(super) const DISPATCH: Command = Command::Dispatch { method: DispatchMethod::Runner };
pub(super) const RETURN: Command = Command::Return { reason: ReturnReason::Refused, note: None };
pub(super) const REJECT: Command = Command::Reject { reason: RejectReason::NotStocked, note: None };
pub(super) const CANCEL: Command = Command::Cancel { reason: CancelReason::Found, note: None };
pub(super) const RESOLVE: Command = Command::Resolve { note: None };

pub(super) fn reassign(name: &str) -> Command {
    Command::Reassign { assignee: name.parse().unwrap() }
}

pub(super) fn transfer(pharmacy: &str) -> Command {
    let pharmacy: PharmacyCode = pharmacy.parse().unwrap();
    Command::Transfer { pharmacy, reason: TransferReason::Closed, note: None }
}

pub(super) fn hold(reason: HoldReason) -> Command {
    Command::Hold { reason, note: None, resume_by: "2027-06-01T00:00:00Z".parse().unwrap() }
}

pub(super) fn erase() -> Command {
    Command::Erase { reason: "request of the patient".to_owned() }
}

pub(super) fn comment() -> Command {
    Command::Comment { text: text("on my way") }
}

/// One ticket, its facts and a clock that tests move.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) facts: Facts,
    pub(super) now: Timestamp,
    pub(super) ticket: Option<Ticket>,
    pub(super) events: Vec<Event>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self { facts: facts(), now: START.parse().unwrap(), ticket: None, events: Vec::new() }
    }

    /// A desk with an open refill of both a controlled and another medicine.
    pub(super) fn with_refill() -> Self {
        Self::with(create(Kind::Refill, &[(MIDAZOLAM, "10"), (DIPYRONE, "20")]))
    }

    /// A desk with an open refill of one medicine that is not controlled.
    pub(super) fn with_plain_refill() -> Self {
        Self::with(create(Kind::Refill, &[(DIPYRONE, "20")]))
    }

    pub(super) fn with(create: Create) -> Self {
        let mut desk = Self::new();
        desk.does("nina", Command::Create(Box::new(create)));
        desk
    }

    pub(super) fn ticket(&self) -> &Ticket {
        self.ticket.as_ref().unwrap()
    }

    pub(super) fn status(&self) -> Status {
        self.ticket().status
    }

    pub(super) fn wait(&mut self, minutes: i64) {
        self.now += SignedDuration::from_mins(minutes);
    }

    pub(super) fn due_in(&self) -> Option<i64> {
        let ticket = self.ticket();
        ticket.due_at().map(|due| due.duration_since(ticket.created_at).as_secs() / 60)
    }

    /// Gives a command based on the present version.
    pub(super) fn try_as(&mut self, actor: &Actor, command: &Command) -> Result<Vec<Event>, Refusal> {
        let expected = self.ticket.as_ref().map(|ticket| ticket.version);
        self.try_at(actor, command, expected)
    }

    pub(super) fn try_at(
        &mut self,
        actor: &Actor,
        command: &Command,
        expected: Option<Version>,
    ) -> Result<Vec<Event>, Refusal> {
        let events = decide(self.ticket.as_ref(), &self.facts, command, expected, actor, self.now)?;
        for event in &events {
            self.ticket = Some(apply(self.ticket.take(), event).unwrap());
        }
        check_invariants(self.ticket());
        self.events.extend(events.iter().cloned());
        Ok(events)
    }

    /// The command passes; gives what changed.
    #[track_caller]
    pub(super) fn does(&mut self, name: &str, command: impl Into<Command>) -> Vec<Change> {
        let events = self.try_as(&who(name), &command.into());
        events.unwrap().into_iter().map(|event| event.change).collect()
    }

    /// The command is refused with the code.
    #[track_caller]
    pub(super) fn refuses(&mut self, name: &str, command: impl Into<Command>, code: RefusalCode) -> Refusal {
        let before = self.ticket.clone();
        let refusal = self.try_as(&who(name), &command.into()).unwrap_err();
        assert_eq!(refusal.code, code, "{refusal}");
        assert_eq!(self.ticket, before);
        refusal
    }
}

impl From<Create> for Command {
    fn from(create: Create) -> Self {
        Self::Create(Box::new(create))
    }
}

/// What holds of every ticket at every time.
pub(super) fn check_invariants(ticket: &Ticket) {
    for line in &ticket.lines {
        let parts: Quantity = [line.supplied(), line.outstanding(), line.declined].into_iter().sum();
        assert_eq!(line.quantity, parts, "requested = supplied + outstanding + declined");
        assert!(line.picks.iter().all(|pick| !pick.quantity.is_zero()));
        assert_eq!(line.reason.is_some(), line.settled && !line.outstanding().is_zero());
        let arrived = line.receipt.as_ref().map(|receipt| {
            [receipt.received, receipt.damaged, receipt.wrong, receipt.missing].into_iter().sum::<Quantity>()
        });
        assert!(arrived.is_none_or(|sum| sum == line.supplied()), "supplied = received + damaged + wrong + missing");
        if ticket.status == Status::Delivered {
            assert_eq!(arrived.is_some(), !line.supplied().is_zero());
        }
    }
    assert_eq!(
        ticket.target.is_some(),
        ticket.missing_dose.is_none(),
        "a missing dose has no target but its dose time"
    );
    assert_eq!(ticket.status == Status::OnHold, ticket.hold.is_some());
    if ticket.status == Status::Open {
        assert!(ticket.assignee.is_none() && !ticket.has_picks());
    }
    if matches!(ticket.status, Status::Rejected | Status::Cancelled) {
        assert!(ticket.lines.iter().all(|line| line.outstanding().is_zero() && line.picks.is_empty()));
    }
    let left = matches!(ticket.status, Status::Ready | Status::Dispatched | Status::Delivered);
    assert_eq!(ticket.checked_by.is_some(), left);
    if let Some(checker) = ticket.checked_by.as_ref().filter(|_| ticket.has_controlled_line()) {
        assert!(!ticket.picked_by(checker), "a controlled medicine needs a second person");
    }
    assert!(!ticket.former_pharmacies.contains(&ticket.pharmacy));
}
