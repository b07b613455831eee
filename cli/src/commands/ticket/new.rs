//! `medreq ticket new` and `amend`: what a ward asks for, from flags or from a body as the API takes it.

use std::path::PathBuf;

use clap::Args;
use medreq::{
    api::tickets::{NewLine, NewTicket, OneOrMany, TicketPatch},
    client::Write,
    domain::{
        reason::{AssistanceCategory, Confirmation, Kind, OverrideReason, Priority},
        ticket::Identifier,
    },
};

use super::{Target, text};
use crate::{
    context::Context,
    failure::Failure,
    input::{Note, body, text_or_file},
    lines::new_line,
    values::{When, code, identifier, when},
};

/// Ask for something: a refill, another supply, a missing dose, help with a cabinet, a discrepancy.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket new --kind refill --cabinet UTI-01 --priority stat --line MIDAZ-5=10 --line HEPAR-5000=6:vial
  medreq ticket new --kind missing_dose --ward UTI --line MIDAZ-5=1 --patient-ref-file ref.txt --dose-at 14:30
  medreq ticket new --kind assistance --cabinet UTI-01 --category jam --text 'drawer 3 does not open'
  medreq ticket new --kind discrepancy --cabinet UTI-01 --line MORF-10=8/10
  medreq ticket new --file request.json --idempotency-key 7f3a")]
pub(super) struct New {
    /// What is asked for
    #[arg(long, required_unless_present = "file", value_parser = code!(Kind))]
    kind: Option<Kind>,
    /// The cabinet's code, as scanned
    #[arg(long, value_name = "CODE")]
    cabinet: Option<String>,
    /// The ward's code, where that is the destination
    #[arg(long, value_name = "CODE")]
    ward: Option<String>,
    /// How soon; routine if not said
    #[arg(long, value_parser = code!(Priority))]
    priority: Option<Priority>,
    #[command(flatten)]
    wanted: Wanted,
    /// What was counted, for a discrepancy of one line
    #[arg(long, value_name = "QUANTITY", requires = "expected")]
    counted: Option<String>,
    /// What the cabinet expects, for a discrepancy of one line
    #[arg(long, value_name = "QUANTITY", requires = "counted")]
    expected: Option<String>,
    #[command(flatten)]
    note: Note,
    /// The patient's reference, for a missing dose
    #[arg(long, value_name = "TEXT")]
    patient_ref: Option<String>,
    /// Read the patient's reference from a file, or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with = "patient_ref")]
    patient_ref_file: Option<PathBuf>,
    /// When the dose should be given, for a missing dose
    #[arg(long, value_name = "TIME", value_parser = when, allow_hyphen_values = true)]
    dose_at: Option<When>,
    /// Where it was looked for; repeatable
    #[arg(long, value_name = "PLACE")]
    searched: Vec<String>,
    /// What is wrong with the cabinet, for assistance
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Read that text from a file, or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with = "text")]
    text_file: Option<PathBuf>,
    /// The kind of trouble, for assistance
    #[arg(long, value_parser = code!(AssistanceCategory))]
    category: Option<AssistanceCategory>,
    /// An id that another system gave it, SYSTEM=VALUE; repeatable
    #[arg(long = "identifier", value_name = "SYSTEM=VALUE", value_parser = identifier)]
    identifiers: Vec<Identifier>,
    /// The whole body as JSON, from a file or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["kind", "cabinet", "ward", "priority", "lines", "override_reason", "confirm"])]
    file: Option<PathBuf>,
    /// Sending it again under the same key asks for nothing twice [default: a random one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

/// What `new` and `amend` have in common.
#[derive(Debug, Default, Args)]
struct Wanted {
    /// MEDICATION=QUANTITY[:UNIT], or MEDICATION=COUNTED/EXPECTED for a discrepancy; repeatable
    #[arg(long = "line", value_name = "LINE")]
    lines: Vec<String>,
    /// Why it is right although the same is already asked for
    #[arg(long = "override", value_name = "REASON", value_parser = code!(OverrideReason))]
    override_reason: Option<OverrideReason>,
    /// Say that something unusual is meant; repeatable
    #[arg(long, value_name = "WHAT", value_parser = code!(Confirmation), value_delimiter = ',')]
    confirm: Vec<Confirmation>,
}

impl Wanted {
    fn lines(&self, context: &Context) -> Result<Vec<NewLine>, Failure> {
        self.lines.iter().map(|text| new_line(text, context.decimal_separator()).map_err(Failure::Usage)).collect()
    }
}

impl New {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let write = Write { idempotency_key: self.idempotency_key.clone(), ..Write::default() };
        let ticket = match &self.file {
            Some(file) => body(file)?,
            None => self.body(context).await?,
        };
        let ticket = context.client()?.create_ticket(&ticket, &write).await?;
        context.output.show(&ticket, |ticket| text::outcome(ticket, &context.output))
    }

    async fn body(self, context: &Context) -> Result<NewTicket, Failure> {
        let dose_at = context.instant_if(self.dose_at).await?;
        Ok(NewTicket {
            kind: self.kind,
            lines: self.lines(context)?,
            note: self.note.read()?,
            patient_ref: text_or_file(self.patient_ref.as_deref(), self.patient_ref_file.as_deref())?,
            text: text_or_file(self.text.as_deref(), self.text_file.as_deref())?,
            cabinet: self.cabinet,
            ward: self.ward,
            priority: self.priority,
            dose_at,
            searched: (!self.searched.is_empty()).then_some(OneOrMany::Many(self.searched)),
            category: self.category,
            identifiers: self.identifiers,
            override_reason: self.wanted.override_reason,
            confirm: self.wanted.confirm,
        })
    }

    fn lines(&self, context: &Context) -> Result<Vec<NewLine>, Failure> {
        let (Some(counted), Some(expected)) = (&self.counted, &self.expected) else {
            return self.wanted.lines(context);
        };
        match self.wanted.lines.as_slice() {
            [medication] if !medication.contains('=') => Ok(vec![NewLine {
                medication: medication.clone(),
                counted: Some(context.quantity(counted)?),
                expected: Some(context.quantity(expected)?),
                ..NewLine::default()
            }]),
            _ => Err(Failure::usage(
                "--counted and --expected go with one --line MEDICATION; for more use --line MEDICATION=COUNTED/EXPECTED",
            )),
        }
    }
}

/// Change the priority, the note or the lines of a ticket that is still open.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq ticket amend UTI-42-K --priority stat
  medreq ticket amend UTI-42-K --line MIDAZ-5=12 --line HEPAR-5000=6 --if-version 1
  medreq ticket amend UTI-42-K --clear-note")]
pub(super) struct Amend {
    #[command(flatten)]
    target: Target,
    /// How soon from now on; as it is if not said
    #[arg(long, value_parser = code!(Priority))]
    priority: Option<Priority>,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    note: Note,
    /// Remove the note
    #[arg(long, conflicts_with_all = ["note", "note_file"])]
    clear_note: bool,
    /// The whole merge patch as JSON, from a file or from stdin with `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["priority", "lines", "override_reason", "confirm", "note", "note_file", "clear_note"])]
    file: Option<PathBuf>,
}

impl Amend {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let patch = match &self.file {
            Some(file) => body(file)?,
            None => self.patch(context)?,
        };
        if patch == TicketPatch::default() {
            return Err(Failure::usage("nothing to change; say --priority, --line, --note or --clear-note"));
        }
        let client = context.client()?;
        let found = self.target.find(&client).await?;
        let ticket = client.amend_ticket(&found.id, &patch, &found.write).await?;
        context.output.show(&ticket, |ticket| text::outcome(ticket, &context.output))
    }

    fn patch(&self, context: &Context) -> Result<TicketPatch, Failure> {
        let note = match (self.clear_note, self.note.read()?) {
            (true, _) => Some(None),
            (false, Some(note)) => Some(Some(note)),
            (false, None) => None,
        };
        let lines = self.wanted.lines(context)?;
        Ok(TicketPatch {
            priority: self.priority,
            note,
            lines: (!lines.is_empty()).then_some(lines),
            override_reason: self.wanted.override_reason,
            confirm: self.wanted.confirm.clone(),
        })
    }
}
