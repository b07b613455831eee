//! Tickets and their commands on the wire. Unknown fields are errors: a misspelt field must not be silently lost.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Deserializer, Serialize};

use super::millis;
use crate::domain::{
    actor,
    control_class::Classification,
    quantity::Quantity,
    reason::{
        AssistanceCategory, CancelReason, Confirmation, DispatchMethod, HoldReason, Kind, OverrideReason, Priority,
        ReceiptReason, RejectReason, ReturnReason, ShortReason, Status, TransferReason,
    },
    text::FreeText,
    ticket::{self, Identifier},
};

/// A person as tickets name them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Person {
    /// Login name.
    pub username: String,
    /// Name as people read it.
    pub name: String,
}

impl From<&actor::Person> for Person {
    fn from(person: &actor::Person) -> Self {
        Self { username: person.username.as_str().to_owned(), name: person.name.clone() }
    }
}

/// A ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Ticket {
    /// Identity.
    #[cfg_attr(feature = "server", schema(format = "uuid"))]
    pub id: String,
    /// Number that people say on the phone.
    pub number: String,
    /// What it asks for.
    pub kind: Kind,
    /// Where it stands.
    pub status: Status,
    /// Goes into `If-Match` (quoted) of the next change.
    pub version: u64,
    /// How soon.
    pub priority: Priority,
    /// When it was created.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub created_at: Timestamp,
    /// When it last changed.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub updated_at: Timestamp,
    /// When it is due; null while a hold that waits for the ward stops the clock.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
    #[serde(default, with = "millis::option")]
    pub due_at: Option<Timestamp>,
    /// The pharmacy in whose queue it stands.
    pub pharmacy: String,
    /// The ward.
    pub ward: String,
    /// The cabinet, where that is the destination.
    pub cabinet: Option<String>,
    /// Who asked.
    pub requester: Person,
    /// Who works it.
    pub assignee: Option<Person>,
    /// What the requester added.
    pub note: Option<String>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
    /// Medicines, numbered from 1.
    pub lines: Vec<Line>,
    /// The patient's reference, for a missing dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_ref: Option<String>,
    /// When the dose should be given, for a missing dose.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
    pub dose_at: Option<Timestamp>,
    /// Where it was looked for, for a missing dose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<Vec<String>>,
    /// What is wrong, for an assistance request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The kind of trouble, for an assistance request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<AssistanceCategory>,
    /// The pause in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Who checked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_by: Option<Person>,
    /// How and when it left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Dispatch>,
    /// When its texts were erased: note, patient's reference, places searched, text and comments are gone for good.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
    pub erased_at: Option<Timestamp>,
}

/// One medicine of a ticket: `quantity = supplied + outstanding + declined`, and once delivered `supplied = received + damaged + wrong + missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Line {
    /// 1, 2, …
    pub line: u16,
    /// Code of the medication.
    pub medication: String,
    /// Its name.
    pub name: String,
    /// Unit of issue, of every quantity here.
    pub unit: String,
    /// Null: reviewed, not controlled. `unreviewed`, or a class such as `CII`, `A1`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub control_class: Classification,
    /// Requested.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "10"))]
    pub quantity: Quantity,
    /// Picked for the ward.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub supplied: Quantity,
    /// Arrived usable.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub received: Quantity,
    /// Arrived damaged.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub damaged: Quantity,
    /// Arrived as something else.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub wrong: Quantity,
    /// Did not arrive.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub missing: Quantity,
    /// Not supplied and not given up.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub outstanding: Quantity,
    /// Given up by a reject or cancel.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub declined: Quantity,
    /// Why it is supplied short.
    pub reason: Option<ShortReason>,
    /// When the rest is expected.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
    #[serde(default, with = "millis::option")]
    pub expected_at: Option<Timestamp>,
    /// The lots.
    pub picks: Vec<Pick>,
    /// Why not all of it was received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt_reason: Option<ReceiptReason>,
    /// What was counted, for a discrepancy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub counted: Option<Quantity>,
    /// What the cabinet expects, for a discrepancy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub expected: Option<Quantity>,
}

/// One lot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Pick {
    /// Amount.
    #[cfg_attr(feature = "server", schema(value_type = String))]
    pub quantity: Quantity,
    /// The maker's lot.
    pub lot: String,
    /// Last usable day.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date"))]
    pub expiry: Date,
    /// Who took it.
    pub by: Person,
    /// When.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub at: Timestamp,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Hold {
    /// The status to return to.
    pub from: Status,
    /// Why.
    pub reason: HoldReason,
    /// In the holder's words.
    pub note: Option<String>,
    /// When it should go on.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub resume_by: Timestamp,
    /// Since when.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub since: Timestamp,
}

/// How it left the pharmacy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Dispatch {
    /// By which way.
    pub method: DispatchMethod,
    /// Who sent it.
    pub by: Person,
    /// When.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub at: Timestamp,
}

impl From<&ticket::Line> for Line {
    fn from(line: &ticket::Line) -> Self {
        let part = |of: fn(&ticket::Receipt) -> Quantity| line.receipt.as_ref().map(of).unwrap_or_default();
        Self {
            line: line.line,
            medication: line.medication.to_string(),
            name: line.name.clone(),
            unit: line.unit.clone(),
            control_class: line.classification,
            quantity: line.quantity,
            supplied: line.supplied(),
            received: part(|receipt| receipt.received),
            damaged: part(|receipt| receipt.damaged),
            wrong: part(|receipt| receipt.wrong),
            missing: part(|receipt| receipt.missing),
            outstanding: line.outstanding(),
            declined: line.declined,
            reason: line.reason,
            expected_at: line.expected_at,
            picks: line.picks.iter().map(Pick::from).collect(),
            receipt_reason: line.receipt.as_ref().and_then(|receipt| receipt.reason),
            counted: line.count.map(|count| count.counted),
            expected: line.count.map(|count| count.expected),
        }
    }
}

impl From<&ticket::Pick> for Pick {
    fn from(pick: &ticket::Pick) -> Self {
        Self { quantity: pick.quantity, lot: pick.lot.clone(), expiry: pick.expiry, by: (&pick.by).into(), at: pick.at }
    }
}

impl From<&ticket::Ticket> for Ticket {
    fn from(ticket: &ticket::Ticket) -> Self {
        let dose = ticket.missing_dose.as_ref();
        Self {
            id: ticket.id.to_string(),
            number: ticket.number.clone(),
            kind: ticket.kind,
            status: ticket.status,
            version: ticket.version.0,
            priority: ticket.priority,
            created_at: ticket.created_at,
            updated_at: ticket.updated_at,
            due_at: ticket.due_at(),
            pharmacy: ticket.pharmacy.to_string(),
            ward: ticket.ward.to_string(),
            cabinet: ticket.cabinet.as_ref().map(ToString::to_string),
            requester: (&ticket.requester).into(),
            assignee: ticket.assignee.as_ref().map(Person::from),
            note: readable(ticket.note.as_ref()),
            identifiers: ticket.identifiers.clone(),
            lines: ticket.lines.iter().map(Line::from).collect(),
            patient_ref: readable(dose.map(|dose| &dose.patient_ref)),
            dose_at: dose.map(|dose| dose.dose_at),
            searched: dose.and_then(|dose| dose.searched.iter().map(|place| readable(Some(place))).collect()),
            text: readable(ticket.assistance.as_ref().map(|assistance| &assistance.text)),
            category: ticket.assistance.as_ref().map(|assistance| assistance.category),
            hold: ticket.hold.as_ref().map(|hold| Hold {
                from: hold.from,
                reason: hold.reason,
                note: readable(hold.note.as_ref()),
                resume_by: hold.resume_by,
                since: hold.since,
            }),
            checked_by: ticket.checked_by.as_ref().map(Person::from),
            dispatch: ticket.dispatch.as_ref().map(|dispatch| Dispatch {
                method: dispatch.method,
                by: (&dispatch.by).into(),
                at: dispatch.at,
            }),
            erased_at: ticket.erased_at,
        }
    }
}

fn readable(text: Option<&FreeText>) -> Option<String> {
    text.and_then(FreeText::plain).map(str::to_owned)
}

/// A new ticket. Which fields a kind needs: `refill` cabinet and lines; `supply` ward or cabinet, and lines; `missing_dose` ward, lines,
/// `patient_ref`, `dose_at`; `assistance` cabinet, `text`, `category`; `discrepancy` cabinet and lines with `counted` and `expected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// What it asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(required, nullable = false))]
    pub kind: Option<Kind>,
    /// Code of the cabinet, as scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cabinet: Option<String>,
    /// Code of the ward.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ward: Option<String>,
    /// How soon; `routine` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// Medicines, 100 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<NewLine>,
    /// At most 2,000 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The patient's reference; erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient_ref: Option<String>,
    /// When the dose should be given.
    #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
    pub dose_at: Option<Timestamp>,
    /// Where it was looked for: a text or a list of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub searched: Option<OneOrMany>,
    /// What is wrong with the cabinet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The kind of trouble.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<AssistanceCategory>,
    /// Ids that other systems gave it, 20 at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub identifiers: Vec<Identifier>,
    /// Why it is right although the same is already asked for.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<OverrideReason>,
    /// What the requester confirms.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<Confirmation>,
}

/// A text or a list of texts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum OneOrMany {
    /// One text.
    One(String),
    /// Several, 20 at most.
    Many(Vec<String>),
}

/// A requested medicine, or a counted one for a discrepancy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewLine {
    /// Code of the medication, or a code on its box.
    pub medication: String,
    /// A decimal string, greater than zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>, example = "10"))]
    pub quantity: Option<Quantity>,
    /// The unit of issue (also where left out) or a pack unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What is there, for a discrepancy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub counted: Option<Quantity>,
    /// What should be there, for a discrepancy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub expected: Option<Quantity>,
}

/// A merge patch (RFC 7396) of an open ticket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TicketPatch {
    /// Counts from creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(nullable = false))]
    pub priority: Option<Priority>,
    /// Null removes it.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub note: Option<Option<String>>,
    /// Replaces all lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(nullable = false))]
    pub lines: Option<Vec<NewLine>>,
    /// As in a create.
    #[serde(default, rename = "override", skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<OverrideReason>,
    /// As in a create.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confirm: Vec<Confirmation>,
}

/// Tells `"note": null` (remove it) from no `note` at all.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

macro_rules! body {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: $type),* }
    };
}

body! {
    /// The body of a command that says nothing more: `{}`, or none.
    Nothing {}
}
body! {
    /// Give it to a colleague.
    Reassign {
        /// The colleague's username.
        assignee: String
    }
}
body! {
    /// Give it to another pharmacy.
    Transfer {
        /// Code of the pharmacy.
        pharmacy: String,
        /// Why.
        reason: TransferReason,
        /// In your words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
}
body! {
    /// Settle lines: in full, or short with a reason.
    PickRequest {
        /// Each line with its lots; a repeated line is another lot. Replaces the named lines' earlier picking.
        lines: Vec<PickLine>
    }
}
body! {
    /// One lot for a line.
    PickLine {
        /// The line's number.
        line: u16,
        /// Amount in the unit of issue; "0" where nothing can be supplied.
        #[cfg_attr(feature = "server", schema(value_type = String, example = "8"))]
        supplied: Quantity,
        /// The maker's lot; due where something is supplied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lot: Option<String>,
        /// Last usable day, ISO 8601; due where something is supplied.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date", example = "2030-01-31"))]
        expiry: Option<Date>,
        /// Due where the line stays short.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ShortReason>,
        /// When the rest is expected.
        #[serde(default, with = "millis::option", skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "server", schema(value_type = Option<String>, format = "date-time"))]
        expected_at: Option<Timestamp>,
    }
}
body! {
    /// Send it.
    DispatchRequest {
        /// By which way.
        method: DispatchMethod
    }
}
body! {
    /// It came back.
    ReturnRequest {
        /// Why.
        reason: ReturnReason,
        /// In your words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
}
body! {
    /// What arrived: every line with something supplied.
    ReceiveRequest {
        /// Each line once.
        lines: Vec<ReceiveLine>
    }
}
body! {
    /// What arrived of a line; the four add up to what was supplied.
    ReceiveLine {
        /// The line's number.
        line: u16,
        /// Usable.
        #[serde(default)]
        #[cfg_attr(feature = "server", schema(value_type = String, example = "7"))]
        received: Quantity,
        /// Damaged.
        #[serde(default)]
        #[cfg_attr(feature = "server", schema(value_type = String, example = "1"))]
        damaged: Quantity,
        /// Something else.
        #[serde(default)]
        #[cfg_attr(feature = "server", schema(value_type = String, example = "0"))]
        wrong: Quantity,
        /// Not there.
        #[serde(default)]
        #[cfg_attr(feature = "server", schema(value_type = String, example = "0"))]
        missing: Quantity,
        /// Why not all of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<ReceiptReason>,
    }
}
body! {
    /// A service ticket is settled.
    ResolveRequest {
        /// What was done.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
}
body! {
    /// Pause it.
    HoldRequest {
        /// Why; reasons that wait for the ward stop the clock.
        reason: HoldReason,
        /// In your words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        /// When it should go on; in the future.
        #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
        #[serde(with = "millis")]
        resume_by: Timestamp,
    }
}
body! {
    /// The pharmacy refuses it.
    RejectRequest {
        /// Why.
        reason: RejectReason,
        /// In your words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
}
body! {
    /// Withdraw it.
    CancelRequest {
        /// Why.
        reason: CancelReason,
        /// In your words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }
}
body! {
    /// Say something about it.
    CommentRequest {
        /// At most 2,000 characters.
        text: String
    }
}

body! {
    /// Erase its texts.
    EraseRequest {
        /// Why, as a code or in words; at most 200 characters. It is kept for ever: nothing personal belongs here.
        reason: String
    }
}

/// What became of a ticket's texts: all that whoever erases them learns of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Erasure {
    /// The ticket's id.
    #[cfg_attr(feature = "server", schema(format = "uuid"))]
    pub id: String,
    /// Its number.
    pub number: String,
    /// When its texts were erased.
    #[cfg_attr(feature = "server", schema(value_type = String, format = "date-time"))]
    #[serde(with = "millis")]
    pub erased_at: Timestamp,
}

/// Where a command stands that was not decided in time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct CommandStatus {
    /// `pending`, `done`, `refused` or `lost`.
    pub state: String,
    /// The status that the original request would have had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The body that it would have had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "server", schema(value_type = Option<Object>))]
    pub body: Option<serde_json::Value>,
}
