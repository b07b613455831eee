//! What people can ask of a ticket: one variant per command of the workflow's table. A command is a wish; only `decide` makes it true.

use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    code::{CabinetCode, MedicationCode, PharmacyCode, Username, WardCode},
    quantity::Quantity,
    reason::{
        AssistanceCategory, CancelReason, Confirmation, DispatchMethod, HoldReason, Kind, OverrideReason, Priority,
        ReceiptReason, RejectReason, ReturnReason, ShortReason, TransferReason, codes,
    },
    text::FreeText,
    ticket::Identifier,
};

codes! {
    /// The commands by name.
    CommandName, "command" {
        /// Make a ticket.
        Create = "create",
        /// Change priority, note or lines while it is open.
        Amend = "amend",
        /// Take it.
        Claim = "claim",
        /// Give it back to the queue.
        Release = "release",
        /// Give it to a colleague.
        Reassign = "reassign",
        /// Give it to another pharmacy.
        Transfer = "transfer",
        /// Settle lines with lots.
        Pick = "pick",
        /// Put everything back on the shelf.
        Unpick = "unpick",
        /// The check before it may leave.
        Ready = "ready",
        /// Send it.
        Dispatch = "dispatch",
        /// It came back.
        Return = "return",
        /// The ward confirms what arrived.
        Receive = "receive",
        /// A service ticket is settled.
        Resolve = "resolve",
        /// Pause it.
        Hold = "hold",
        /// Go on.
        Resume = "resume",
        /// The pharmacy refuses it.
        Reject = "reject",
        /// Withdraw it.
        Cancel = "cancel",
        /// Say something about it.
        Comment = "comment",
        /// Erase its texts, once it is at its end.
        Erase = "erase",
    }
}

/// A command with its contents, already of the right shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the fields' types say it, the names are those of the API")]
pub enum Command {
    Create(Box<Create>),
    Amend(Amend),
    Claim,
    Release,
    Reassign { assignee: Username },
    Transfer { pharmacy: PharmacyCode, reason: TransferReason, note: Option<FreeText> },
    Pick { lines: Vec<PickLine> },
    Unpick,
    Ready,
    Dispatch { method: DispatchMethod },
    Return { reason: ReturnReason, note: Option<FreeText> },
    Receive { lines: Vec<ReceiveLine> },
    Resolve { note: Option<FreeText> },
    Hold { reason: HoldReason, note: Option<FreeText>, resume_by: Timestamp },
    Resume,
    Reject { reason: RejectReason, note: Option<FreeText> },
    Cancel { reason: CancelReason, note: Option<FreeText> },
    Comment { text: FreeText },
    Erase { reason: String },
}

/// A new ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// What it asks for.
    pub kind: Kind,
    /// The ward: given, or that of the cabinet.
    pub ward: WardCode,
    /// The cabinet, where that is the destination.
    pub cabinet: Option<CabinetCode>,
    /// How soon.
    pub priority: Priority,
    /// Lines of a supply kind.
    pub lines: Vec<RequestLine>,
    /// Lines of a discrepancy.
    pub counts: Vec<CountLine>,
    /// What the requester adds.
    pub note: Option<FreeText>,
    /// Patient, dose time and places searched: a missing dose has them, nothing else does.
    pub missing_dose: Option<super::ticket::MissingDose>,
    /// Text and category of an assistance request.
    pub assistance: Option<AssistanceRequest>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
    /// Why it is right although the same is already asked for.
    #[serde(rename = "override")]
    pub override_reason: Option<OverrideReason>,
    /// What the requester confirms.
    pub confirm: Vec<Confirmation>,
}

/// A requested medicine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestLine {
    /// Code of the medication.
    pub medication: MedicationCode,
    /// How much, in `unit`.
    pub quantity: Quantity,
    /// The unit of issue or a pack unit of the medication; `None` is the unit of issue.
    pub unit: Option<String>,
}

/// A counted pocket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountLine {
    /// Code of the medication.
    pub medication: MedicationCode,
    /// What is there.
    pub counted: Quantity,
    /// What should be.
    pub expected: Quantity,
}

/// What an assistance request says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssistanceRequest {
    /// In the requester's words.
    pub text: FreeText,
    /// What kind of trouble.
    pub category: AssistanceCategory,
}

/// A change of an open ticket; `None` leaves a part as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amend {
    /// Counts from creation.
    pub priority: Option<Priority>,
    /// `Some(None)` removes the note.
    pub note: Option<Option<FreeText>>,
    /// Replaces all lines, numbered anew.
    pub lines: Option<Vec<RequestLine>>,
    /// Replaces all lines of a discrepancy, numbered anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Vec<CountLine>>,
    /// As in a create.
    #[serde(rename = "override")]
    pub override_reason: Option<OverrideReason>,
    /// As in a create.
    pub confirm: Vec<Confirmation>,
}

/// One lot for a line; a repeated line is another lot of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PickLine {
    /// The line's number.
    pub line: u16,
    /// Amount in the unit of issue; zero where nothing can be supplied.
    pub supplied: Quantity,
    /// The maker's lot; due where something is supplied.
    pub lot: Option<String>,
    /// Last usable day; due where something is supplied.
    pub expiry: Option<Date>,
    /// Due where the line stays short.
    pub reason: Option<ShortReason>,
    /// When the rest is expected.
    pub expected_at: Option<Timestamp>,
}

/// What arrived of a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiveLine {
    /// The line's number.
    pub line: u16,
    /// Usable.
    pub received: Quantity,
    /// Damaged.
    pub damaged: Quantity,
    /// Something else.
    pub wrong: Quantity,
    /// Not there.
    pub missing: Quantity,
    /// Why.
    pub reason: Option<ReceiptReason>,
}

impl Command {
    /// The command's name.
    #[must_use]
    pub fn name(&self) -> CommandName {
        match self {
            Self::Create(_) => CommandName::Create,
            Self::Amend(_) => CommandName::Amend,
            Self::Claim => CommandName::Claim,
            Self::Release => CommandName::Release,
            Self::Reassign { .. } => CommandName::Reassign,
            Self::Transfer { .. } => CommandName::Transfer,
            Self::Pick { .. } => CommandName::Pick,
            Self::Unpick => CommandName::Unpick,
            Self::Ready => CommandName::Ready,
            Self::Dispatch { .. } => CommandName::Dispatch,
            Self::Return { .. } => CommandName::Return,
            Self::Receive { .. } => CommandName::Receive,
            Self::Resolve { .. } => CommandName::Resolve,
            Self::Hold { .. } => CommandName::Hold,
            Self::Resume => CommandName::Resume,
            Self::Reject { .. } => CommandName::Reject,
            Self::Cancel { .. } => CommandName::Cancel,
            Self::Comment { .. } => CommandName::Comment,
            Self::Erase { .. } => CommandName::Erase,
        }
    }
}
