//! `medreq medication …`: the hospital's own list: what wards can ask for.

use clap::{Args, Subcommand};
use medreq::{
    api::medications::{AdoptReport, AdoptRequest, Ingredient, Medication as Item, SetClass},
    client::{Import, MedicationFilter, Write},
};

use super::{imports::ImportFile, paging::Paging};
use crate::{
    context::Context,
    failure::Failure,
    input::confirm,
    output::clean,
    table::{Table, yes_no},
};

/// The hospital's own list of medications: what wards can ask for.
#[derive(Debug, Args)]
pub(crate) struct Medication {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read the list from a CSV file
    #[command(after_help = "Example:\n  medreq medication import formulary.csv --dry-run")]
    Import(ImportFile),
    /// The medications
    #[command(
        after_help = "Examples:\n  medreq medication list --query dipirona --active true\n  medreq medication list --all --json"
    )]
    List {
        /// Words in code, name or ingredients; a scanned code
        #[arg(long, short = 'q', visible_alias = "q", value_name = "WORDS")]
        query: Option<String>,
        /// Only those that can be asked for, or only the others
        #[arg(long, value_name = "true|false")]
        active: Option<bool>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One medication
    #[command(after_help = "Example:\n  medreq medication show MIDAZ-5")]
    Show {
        /// Its code
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Make medications from catalogue products
    #[command(after_help = "\
Examples:
  medreq medication adopt --query midazolam --dry-run
  medreq medication adopt --all --yes")]
    Adopt(Adopt),
    /// Let wards ask for them
    #[command(after_help = "Example:\n  medreq medication activate MIDAZ-5 HEPAR-5000")]
    Activate(Codes),
    /// Let nobody ask for them any more
    #[command(after_help = "Example:\n  medreq medication deactivate MIDAZ-5")]
    Deactivate(Codes),
    /// Say how strictly it is controlled, with the reason
    #[command(after_help = "\
Examples:
  medreq medication set-class MIDAZ-5 B1 --reason 'Portaria 344/98, list B1'
  medreq medication set-class SORO-500 none --reason 'saline'")]
    SetClass {
        /// The medication's code
        #[arg(value_name = "CODE")]
        code: String,
        /// A class such as A1, B1, CII; `none` where it is not controlled
        #[arg(value_name = "CLASS")]
        class: String,
        /// Why; kept in the audit
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
}

#[derive(Debug, Args)]
struct Codes {
    /// Codes
    #[arg(value_name = "CODE", required = true)]
    codes: Vec<String>,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("products").required(true))]
struct Adopt {
    /// Products that have all these words
    #[arg(long, value_name = "WORDS", group = "products")]
    query: Option<String>,
    /// The whole catalogue
    #[arg(long = "all", group = "products")]
    everything: bool,
    /// Report, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask before adopting the whole catalogue
    #[arg(long, short = 'y')]
    yes: bool,
}

impl Medication {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import(file) => file.run(context, Import::Medications, None).await,
            Command::List { query, active, paging } => list(context, query, active, &paging).await,
            Command::Show { code } => {
                let item = context.client()?.medication(&code).await?;
                context.output.show(&item, whole)
            }
            Command::Adopt(adopt) => adopt.run(context).await,
            Command::Activate(codes) => codes.set_active(context, true).await,
            Command::Deactivate(codes) => codes.set_active(context, false).await,
            Command::SetClass { code, class, reason } => {
                let class = SetClass { control_class: class, reason };
                let item = context.client()?.set_medication_class(&code, &class, &Write::default()).await?;
                context.output.show(&item, whole)
            }
        }
    }
}

async fn list(context: &Context, q: Option<String>, active: Option<bool>, paging: &Paging) -> Result<(), Failure> {
    let client = context.client()?;
    let page = |limit, cursor| {
        let (client, filter) =
            (&client, MedicationFilter { q: q.clone(), active, limit, cursor, ..MedicationFilter::default() });
        async move { client.medications(&filter).await }
    };
    paging.show(context.output, page, table).await
}

impl Codes {
    /// One after the other; the first refusal ends it, and says after which ones.
    async fn set_active(self, context: &Context, active: bool) -> Result<(), Failure> {
        let client = context.client()?;
        let mut changed = Vec::new();
        for code in &self.codes {
            match client.set_medication_active(code, active, &Write::default()).await {
                Ok(item) => changed.push(item),
                Err(error) => {
                    let done: Vec<&str> = changed.iter().map(|item: &Item| item.code.as_str()).collect();
                    if !done.is_empty() {
                        context.output.hint(&format!("done before the failure: {}", done.join(" ")));
                    }
                    return Err(error.into());
                }
            }
        }
        // One code gives one item, as the API does; several give a list.
        match changed.as_slice() {
            [only] => context.output.show(only, |item| table(std::slice::from_ref(item))),
            several => context.output.show(&several, |items| table(items)),
        }
    }
}

impl Adopt {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        if self.everything && !self.dry_run && !context.output.json && crate::input::can_ask() {
            confirm("Make medications from every product of the catalogue?", self.yes)?;
        }
        let request = AdoptRequest { query: self.query, all: self.everything, dry_run: self.dry_run };
        let report = context.client()?.adopt(&request, &Write::default()).await?;
        context.output.show(&report, adopted)
    }
}

fn adopted(report: &AdoptReport) -> String {
    let would = if report.dry_run { " (dry run: nothing was written)" } else { "" };
    let mut text = format!(
        "{} products: {} new medications, {} got more products, {} as they were{would}",
        report.products, report.created, report.updated, report.unchanged
    );
    if report.unreviewed > 0 {
        text.push_str(&format!(
            "\n{} stay inactive until a pharmacist says their class: medreq medication set-class CODE CLASS --reason TEXT",
            report.unreviewed
        ));
    }
    if !report.medications.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(&report.medications));
    }
    text
}

fn table(items: &[Item]) -> String {
    let mut table = Table::new(&["CODE", "NAME", "UNIT", "CLASS", "ACTIVE"]);
    for item in items {
        table.row([
            item.code.clone(),
            item.name.clone(),
            item.unit.clone(),
            item.control_class.as_wire().unwrap_or_default().to_owned(),
            yes_no(item.active),
        ]);
    }
    table.render()
}

fn whole(item: &Item) -> String {
    let packs = item.packs.iter().map(|pack| format!("{} of {} {}", pack.unit, pack.factor, item.unit));
    let facts = [
        ("unit", Some(item.unit.clone())),
        ("class", Some(item.control_class.as_wire().unwrap_or("not controlled").to_owned())),
        ("active", Some(yes_no(item.active))),
        ("ingredients", Some(ingredients(&item.ingredients))),
        ("form", item.dosage_form.clone()),
        ("routes", Some(item.routes.join(", "))),
        ("packs", Some(packs.collect::<Vec<_>>().join(", "))),
        ("flags", Some(item.flags.iter().cloned().collect::<Vec<_>>().join(", "))),
        ("tall man", item.tall_man.clone()),
        ("shelf", item.shelf.clone()),
        ("products", Some(item.products.len().to_string())),
    ];
    let mut text = format!("{}  {}", item.code, item.name);
    for (name, value) in facts.into_iter().filter_map(|(name, value)| Some((name, value.filter(|v| !v.is_empty())?))) {
        text.push_str(&format!("\n  {name:<12}{value}"));
    }
    clean(&text)
}

/// `midazolam 5 mg/mL + …`.
pub(super) fn ingredients(ingredients: &[Ingredient]) -> String {
    let one = |ingredient: &Ingredient| match &ingredient.strength {
        Some(strength) => format!("{} {strength}", ingredient.name),
        None => ingredient.name.clone(),
    };
    ingredients.iter().map(one).collect::<Vec<_>>().join(" + ")
}
