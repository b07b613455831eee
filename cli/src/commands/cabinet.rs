//! `medreq cabinet …`: the dispensing cabinets, and how much of what each should hold.

use clap::{Args, Subcommand};
use medreq::{
    api::places::{Cabinet as Place, ParLevel},
    client::{Client, Import, Write},
};

use super::{
    imports::ImportFile,
    paging::Paging,
    places::{Said, list},
};
use crate::{
    context::Context,
    failure::Failure,
    table::{Table, yes_no},
    values::if_exists,
};

/// The dispensing cabinets, and how much of what each should hold.
#[derive(Debug, Args)]
pub(crate) struct Cabinet {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read cabinets from a CSV file
    #[command(after_help = "Example:\n  medreq cabinet import cabinets.csv --dry-run")]
    Import(ImportFile),
    /// The cabinets
    #[command(after_help = "Example:\n  medreq cabinet list --ward UTI")]
    List {
        /// Of this ward
        #[arg(long, value_name = "CODE")]
        ward: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One cabinet with its par levels
    #[command(after_help = "Example:\n  medreq cabinet show UTI-01")]
    Show {
        /// Its code
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Create a cabinet, or change what is said of one
    #[command(after_help = "Example:\n  medreq cabinet set UTI-01 --name 'Beside the nurses station' --ward UTI")]
    Set(Set),
    /// How much of a medication a cabinet should hold
    #[command(subcommand)]
    Par(Par),
}

#[derive(Debug, Args)]
struct Set {
    /// Its code, as scanned
    #[arg(value_name = "CODE")]
    code: String,
    #[command(flatten)]
    said: Said,
    /// Its ward
    #[arg(long, value_name = "CODE")]
    ward: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Par {
    /// Say it
    #[command(after_help = "Example:\n  medreq cabinet par set UTI-01 MIDAZ-5 --min 4 --max 20")]
    Set {
        /// The cabinet's code
        #[arg(value_name = "CABINET")]
        cabinet: String,
        /// The medication's code
        #[arg(value_name = "MEDICATION")]
        medication: String,
        /// Refill at or below
        #[arg(long, value_name = "QUANTITY")]
        min: String,
        /// Never more
        #[arg(long, value_name = "QUANTITY")]
        max: String,
    },
    /// The cabinet does not hold it any more
    #[command(after_help = "Example:\n  medreq cabinet par remove UTI-01 MIDAZ-5")]
    Remove {
        /// The cabinet's code
        #[arg(value_name = "CABINET")]
        cabinet: String,
        /// The medication's code
        #[arg(value_name = "MEDICATION")]
        medication: String,
    },
    /// Read par levels of any cabinets from a CSV file
    #[command(after_help = "Example:\n  medreq cabinet par import par-levels.csv --dry-run")]
    Import(ImportFile),
}

impl Cabinet {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import(file) => file.run(context, Import::Cabinets, None).await,
            Command::List { ward, paging } => {
                list(context, ward, &paging, async |client: Client, filter| client.cabinets(&filter).await, table).await
            }
            Command::Show { code } => {
                let place = context.client()?.cabinet(&code).await?;
                context.output.show(&place, whole)
            }
            Command::Set(set) => set.run(context).await,
            Command::Par(par) => par.run(context).await,
        }
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut place = match (if_exists(client.cabinet(&self.code).await)?, &self.said.name, &self.ward) {
            (Some(place), ..) => place,
            (None, Some(name), Some(ward)) => Place {
                code: self.code.clone(),
                name: name.clone(),
                ward: ward.clone(),
                active: true,
                identifiers: Vec::new(),
                par_levels: None,
            },
            (None, ..) => {
                return Err(Failure::usage("there is no such cabinet yet: say --name and --ward to create it"));
            }
        };
        self.said.change(&mut place.name, &mut place.active, &mut place.identifiers);
        place.ward = self.ward.unwrap_or(place.ward);
        // Par levels have a verb of their own.
        place.par_levels = None;
        let place = client.put_cabinet(&place, &Write::default()).await?;
        context.output.show(&place, whole)
    }
}

impl Par {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Set { cabinet, medication, min, max } => {
                let (min, max) = (context.quantity(&min)?, context.quantity(&max)?);
                let client = context.client()?;
                let level = client.put_par_level(&cabinet, &medication, min, max, &Write::default()).await?;
                context.output.show(&level, |level| levels(std::slice::from_ref(level)))
            }
            Self::Remove { cabinet, medication } => {
                context.client()?.delete_par_level(&cabinet, &medication, &Write::default()).await?;
                context.output.hint(&format!("{cabinet} holds no {medication} any more"));
                Ok(())
            }
            Self::Import(file) => file.run(context, Import::ParLevels, None).await,
        }
    }
}

fn table(places: &[Place]) -> String {
    let mut table = Table::new(&["CODE", "NAME", "WARD", "ACTIVE"]);
    for place in places {
        table.row([place.code.clone(), place.name.clone(), place.ward.clone(), yes_no(place.active)]);
    }
    table.render()
}

fn whole(place: &Place) -> String {
    let mut text = table(std::slice::from_ref(place));
    if let Some(par_levels) = place.par_levels.as_deref().filter(|par_levels| !par_levels.is_empty()) {
        text.push_str("\n\n");
        text.push_str(&levels(par_levels));
    }
    text
}

fn levels(levels: &[ParLevel]) -> String {
    let mut table = Table::new(&["MEDICATION", "MIN", "MAX"]);
    for level in levels {
        table.row([level.medication.clone(), level.min.to_string(), level.max.to_string()]);
    }
    table.render()
}
