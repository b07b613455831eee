//! Takes requests in their wire form and makes commands of them, or says which field is no such thing. Rules are the decision's business.

use std::{fmt::Display, str::FromStr};

use jiff::Timestamp;

use crate::{
    api::tickets as wire,
    domain::{
        code::{CabinetCode, MedicationCode, WardCode},
        command::{Amend, AssistanceRequest, Command, CountLine, Create, PickLine, ReceiveLine, RequestLine},
        quantity::Quantity,
        reason::{AssistanceCategory, Confirmation, Kind, OverrideReason, Priority},
        refusal::{Refusal, RefusalCode},
        text::{FreeText, REFERENCE_MAX, clean},
        ticket::{Identifier, LINES_MAX, LOT_MAX, MissingDose},
    },
};

const LIST_MAX: usize = 20;
const UNIT_MAX: usize = 40;

/// Why a form is no command.
#[derive(Debug)]
pub(crate) enum Misfit {
    /// A field has not the shape that it must have.
    Shape {
        /// The field, such as `lines[0].quantity`.
        field: String,
        /// What is wrong and what to do.
        detail: String,
    },
    /// A field that this kind of ticket needs is missing, or one that it has not is there.
    Rule(Refusal),
}

type Formed<T> = Result<T, Misfit>;

fn shape(field: impl Into<String>, detail: impl Display) -> Misfit {
    Misfit::Shape { field: field.into(), detail: detail.to_string() }
}

fn needs(kind: Kind, field: &str) -> Misfit {
    let detail = format!("{} ticket needs {field}; give it", kind.with_article());
    Misfit::Rule(Refusal::new(RefusalCode::FieldRequired, detail).at(field))
}

fn has_no(kind: Kind, field: &str) -> Misfit {
    let detail = format!("{} ticket has no {field}; leave it out", kind.with_article());
    Misfit::Rule(Refusal::new(RefusalCode::UnexpectedField, detail).at(field))
}

fn parsed<T: FromStr<Err: Display>>(field: &str, text: &str) -> Formed<T> {
    text.parse().map_err(|error| shape(field, error))
}

fn note(field: &str, text: Option<&String>) -> Formed<Option<FreeText>> {
    text.map(|text| free_text(field, text)).transpose()
}

fn free_text(field: &str, text: &str) -> Formed<FreeText> {
    FreeText::new(text).map_err(|error| shape(field, error))
}

fn short(field: &str, text: &str, max: usize) -> Formed<String> {
    clean(text, max).map_err(|error| shape(field, error))
}

fn at_most<T>(field: &str, items: &[T], max: usize) -> Formed<()> {
    if items.len() <= max { Ok(()) } else { Err(shape(field, format_args!("at most {max} of them; send fewer"))) }
}

/// The log keeps milliseconds.
fn instant(field: &str, at: Timestamp) -> Formed<Timestamp> {
    Timestamp::from_millisecond(at.as_millisecond()).map_err(|error| shape(field, error))
}

/// A line as asked for: its medication is still what was scanned or typed.
#[derive(Debug)]
pub(crate) struct AskedLine {
    /// The code, or a code on the box.
    pub(crate) medication: String,
    quantity: Option<Quantity>,
    unit: Option<String>,
    counted: Option<Quantity>,
    expected: Option<Quantity>,
}

fn asked_lines(lines: Vec<wire::NewLine>) -> Formed<Vec<AskedLine>> {
    at_most("lines", &lines, LINES_MAX)?;
    let asked = lines.into_iter().enumerate().map(|(index, line)| {
        let field = |name: &str| format!("lines[{index}].{name}");
        let unit = line.unit.map(|unit| short(&field("unit"), &unit, UNIT_MAX)).transpose()?;
        Ok(AskedLine {
            medication: short(&field("medication"), &line.medication, REFERENCE_MAX)?,
            quantity: line.quantity,
            unit,
            counted: line.counted,
            expected: line.expected,
        })
    });
    asked.collect()
}

/// A new ticket whose places and medications have not been looked up.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Kind.
    pub(crate) kind: Kind,
    /// The ward, where it is named.
    pub(crate) ward: Option<WardCode>,
    /// The cabinet, where it is named.
    pub(crate) cabinet: Option<CabinetCode>,
    /// Its lines.
    pub(crate) lines: Vec<AskedLine>,
    priority: Priority,
    note: Option<FreeText>,
    missing_dose: Option<MissingDose>,
    assistance: Option<AssistanceRequest>,
    identifiers: Vec<Identifier>,
    override_reason: Option<OverrideReason>,
    confirm: Vec<Confirmation>,
}

/// Reads a new ticket.
///
/// # Errors
/// [`Misfit`] names the field.
pub(crate) fn asked(new: wire::NewTicket) -> Formed<Asked> {
    let kind = new.kind.ok_or_else(|| shape("kind", "the kind is missing; say what is asked for"))?;
    at_most("confirm", &new.confirm, LIST_MAX)?;
    Ok(Asked {
        kind,
        ward: new.ward.as_ref().map(|code| parsed("ward", code)).transpose()?,
        cabinet: new.cabinet.as_ref().map(|code| parsed("cabinet", code)).transpose()?,
        priority: new.priority.unwrap_or(Priority::Routine),
        note: note("note", new.note.as_ref())?,
        missing_dose: missing_dose(kind, &new)?,
        assistance: assistance(kind, &new)?,
        identifiers: identifiers(&new.identifiers)?,
        override_reason: new.override_reason,
        lines: asked_lines(new.lines)?,
        confirm: new.confirm,
    })
}

impl Asked {
    /// The command, once ward and medications are known; one medication for each line.
    ///
    /// # Errors
    /// [`Misfit`] names the field that a line of this kind needs or has not.
    pub(crate) fn into_create(self, ward: WardCode, medications: Vec<MedicationCode>) -> Formed<Create> {
        let mut create = Create {
            kind: self.kind,
            ward,
            cabinet: self.cabinet,
            priority: self.priority,
            lines: vec![],
            counts: vec![],
            note: self.note,
            missing_dose: self.missing_dose,
            assistance: self.assistance,
            identifiers: self.identifiers,
            override_reason: self.override_reason,
            confirm: self.confirm,
        };
        let lines = self.lines.into_iter().zip(medications).enumerate();
        if self.kind == Kind::Discrepancy {
            create.counts =
                lines.map(|(index, (line, medication))| count_line(index, line, medication)).collect::<Formed<_>>()?;
        } else {
            create.lines = lines
                .map(|(index, (line, medication))| request_line(self.kind, index, line, medication))
                .collect::<Formed<_>>()?;
        }
        Ok(create)
    }
}

fn count_line(index: usize, line: AskedLine, medication: MedicationCode) -> Formed<CountLine> {
    let field = |name: &str| format!("lines[{index}].{name}");
    let kind = Kind::Discrepancy;
    if line.quantity.is_some() {
        return Err(has_no(kind, &field("quantity")));
    }
    if line.unit.is_some() {
        return Err(has_no(kind, &field("unit")));
    }
    let counted = line.counted.ok_or_else(|| needs(kind, &field("counted")))?;
    let expected = line.expected.ok_or_else(|| needs(kind, &field("expected")))?;
    Ok(CountLine { medication, counted, expected })
}

fn request_line(kind: Kind, index: usize, line: AskedLine, medication: MedicationCode) -> Formed<RequestLine> {
    let field = |name: &str| format!("lines[{index}].{name}");
    if line.counted.is_some() {
        return Err(has_no(kind, &field("counted")));
    }
    if line.expected.is_some() {
        return Err(has_no(kind, &field("expected")));
    }
    let quantity = line.quantity.ok_or_else(|| needs(kind, &field("quantity")))?;
    Ok(RequestLine { medication, quantity, unit: line.unit })
}

fn missing_dose(kind: Kind, new: &wire::NewTicket) -> Formed<Option<MissingDose>> {
    if kind != Kind::MissingDose {
        let given = [
            ("patient_ref", new.patient_ref.is_some()),
            ("dose_at", new.dose_at.is_some()),
            ("searched", new.searched.is_some()),
        ];
        return given.into_iter().find(|(_, given)| *given).map_or(Ok(None), |(field, _)| Err(has_no(kind, field)));
    }
    let patient = new.patient_ref.as_ref().ok_or_else(|| needs(kind, "patient_ref"))?;
    let dose_at = new.dose_at.ok_or_else(|| needs(kind, "dose_at"))?;
    let searched = match &new.searched {
        None => vec![],
        Some(wire::OneOrMany::One(text)) => vec![free_text("searched", text)?],
        Some(wire::OneOrMany::Many(texts)) => {
            at_most("searched", texts, LIST_MAX)?;
            let each = texts.iter().enumerate().map(|(index, text)| free_text(&format!("searched[{index}]"), text));
            each.collect::<Formed<_>>()?
        }
    };
    let patient_ref = FreeText::reference(patient).map_err(|error| shape("patient_ref", error))?;
    Ok(Some(MissingDose { patient_ref, dose_at: instant("dose_at", dose_at)?, searched }))
}

fn assistance(kind: Kind, new: &wire::NewTicket) -> Formed<Option<AssistanceRequest>> {
    if kind != Kind::Assistance {
        let given = [("text", new.text.is_some()), ("category", new.category.is_some())];
        return given.into_iter().find(|(_, given)| *given).map_or(Ok(None), |(field, _)| Err(has_no(kind, field)));
    }
    let text = new.text.as_ref().ok_or_else(|| needs(kind, "text"))?;
    let category = new.category.unwrap_or(AssistanceCategory::Other);
    Ok(Some(AssistanceRequest { text: free_text("text", text)?, category }))
}

fn identifiers(given: &[Identifier]) -> Formed<Vec<Identifier>> {
    at_most("identifiers", given, LIST_MAX)?;
    let each = given.iter().enumerate().map(|(index, identifier)| {
        Ok(Identifier {
            system: short(&format!("identifiers[{index}].system"), &identifier.system, REFERENCE_MAX)?,
            value: short(&format!("identifiers[{index}].value"), &identifier.value, REFERENCE_MAX)?,
        })
    });
    each.collect()
}

/// A change of an open ticket whose medications have not been looked up.
#[derive(Debug)]
pub(crate) struct Patch {
    /// New lines, where there are.
    pub(crate) lines: Option<Vec<AskedLine>>,
    rest: Amend,
}

/// Reads a merge patch.
///
/// # Errors
/// [`Misfit`] names the field.
pub(crate) fn patch(patch: wire::TicketPatch) -> Formed<Patch> {
    at_most("confirm", &patch.confirm, LIST_MAX)?;
    let rest = Amend {
        priority: patch.priority,
        note: patch.note.map(|text| note("note", text.as_ref())).transpose()?,
        lines: None,
        counts: None,
        override_reason: patch.override_reason,
        confirm: patch.confirm,
    };
    Ok(Patch { lines: patch.lines.map(asked_lines).transpose()?, rest })
}

impl Patch {
    /// The command, once the medications are known; one for each line.
    ///
    /// # Errors
    /// [`Misfit`] names the field that a line needs or has not.
    pub(crate) fn into_command(self, kind: Kind, medications: Vec<MedicationCode>) -> Formed<Command> {
        let Some(lines) = self.lines else { return Ok(Command::Amend(self.rest)) };
        let lines = lines.into_iter().zip(medications).enumerate();
        let amend = if kind == Kind::Discrepancy {
            let counts = lines.map(|(index, (line, medication))| count_line(index, line, medication));
            Amend { counts: Some(counts.collect::<Formed<_>>()?), ..self.rest }
        } else {
            let lines = lines.map(|(index, (line, medication))| request_line(kind, index, line, medication));
            Amend { lines: Some(lines.collect::<Formed<_>>()?), ..self.rest }
        };
        Ok(Command::Amend(amend))
    }
}

/// A body of a command on a ticket.
pub(crate) trait Form {
    /// Reads it.
    ///
    /// # Errors
    /// [`Misfit`] names the field.
    fn into_command(self) -> Formed<Command>;
}

impl Form for wire::Reassign {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Reassign { assignee: parsed("assignee", &self.assignee)? })
    }
}

impl Form for wire::Transfer {
    fn into_command(self) -> Formed<Command> {
        let note = note("note", self.note.as_ref())?;
        Ok(Command::Transfer { pharmacy: parsed("pharmacy", &self.pharmacy)?, reason: self.reason, note })
    }
}

impl Form for wire::PickRequest {
    fn into_command(self) -> Formed<Command> {
        at_most("lines", &self.lines, LINES_MAX * LIST_MAX)?;
        let lines = self.lines.into_iter().enumerate().map(|(index, line)| {
            let field = |name: &str| format!("lines[{index}].{name}");
            Ok(PickLine {
                line: line.line,
                supplied: line.supplied,
                lot: line.lot.map(|lot| short(&field("lot"), &lot, LOT_MAX)).transpose()?,
                expiry: line.expiry,
                reason: line.reason,
                expected_at: line.expected_at.map(|at| instant(&field("expected_at"), at)).transpose()?,
            })
        });
        Ok(Command::Pick { lines: lines.collect::<Formed<_>>()? })
    }
}

impl Form for wire::DispatchRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Dispatch { method: self.method })
    }
}

impl Form for wire::ReturnRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Return { reason: self.reason, note: note("note", self.note.as_ref())? })
    }
}

impl Form for wire::ReceiveRequest {
    fn into_command(self) -> Formed<Command> {
        at_most("lines", &self.lines, LINES_MAX)?;
        let lines = self.lines.into_iter().map(|line| ReceiveLine {
            line: line.line,
            received: line.received,
            damaged: line.damaged,
            wrong: line.wrong,
            missing: line.missing,
            reason: line.reason,
        });
        Ok(Command::Receive { lines: lines.collect() })
    }
}

impl Form for wire::ResolveRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Resolve { note: note("note", self.note.as_ref())? })
    }
}

impl Form for wire::HoldRequest {
    fn into_command(self) -> Formed<Command> {
        let resume_by = instant("resume_by", self.resume_by)?;
        Ok(Command::Hold { reason: self.reason, note: note("note", self.note.as_ref())?, resume_by })
    }
}

impl Form for wire::RejectRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Reject { reason: self.reason, note: note("note", self.note.as_ref())? })
    }
}

impl Form for wire::CancelRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Cancel { reason: self.reason, note: note("note", self.note.as_ref())? })
    }
}

/// Longest reason of an erasure, in characters.
const ERASE_REASON_MAX: usize = 200;

impl Form for wire::EraseRequest {
    fn into_command(self) -> Formed<Command> {
        let reason = clean(&self.reason, ERASE_REASON_MAX)
            .map_err(|why| Misfit::Shape { field: "reason".to_owned(), detail: why.to_string() })?;
        Ok(Command::Erase { reason })
    }
}

impl Form for wire::CommentRequest {
    fn into_command(self) -> Formed<Command> {
        Ok(Command::Comment { text: free_text("text", &self.text)? })
    }
}
