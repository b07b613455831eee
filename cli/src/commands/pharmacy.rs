//! `medreq pharmacy …`: the pharmacies that work the tickets.

use clap::{Args, Subcommand};
use medreq::{
    api::places::Pharmacy as Place,
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

/// The pharmacies that work the tickets.
#[derive(Debug, Args)]
pub(crate) struct Pharmacy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read pharmacies from a CSV file
    #[command(after_help = "Example:\n  medreq pharmacy import pharmacies.csv --dry-run")]
    Import(ImportFile),
    /// The pharmacies
    #[command(after_help = "Example:\n  medreq pharmacy list")]
    List(Paging),
    /// One pharmacy
    #[command(after_help = "Example:\n  medreq pharmacy show CENTRAL")]
    Show {
        /// Its code
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Create a pharmacy, or change what is said of one
    #[command(
        after_help = "Example:\n  medreq pharmacy set SAT-2 --name 'Satellite, 2nd floor' --satellite true --hours '07:00-19:00'"
    )]
    Set(Set),
}

#[derive(Debug, Args)]
struct Set {
    /// Its code
    #[arg(value_name = "CODE")]
    code: String,
    #[command(flatten)]
    said: Said,
    /// A satellite or not
    #[arg(long, value_name = "true|false")]
    satellite: Option<bool>,
    /// Opening hours as people read them
    #[arg(long, value_name = "TEXT")]
    hours: Option<String>,
}

impl Pharmacy {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import(file) => file.run(context, Import::Pharmacies, None).await,
            Command::List(paging) => {
                list(context, None, &paging, async |client: Client, filter| client.pharmacies(&filter).await, table)
                    .await
            }
            Command::Show { code } => {
                let place = context.client()?.pharmacy(&code).await?;
                context.output.show(&place, |place| table(std::slice::from_ref(place)))
            }
            Command::Set(set) => set.run(context).await,
        }
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut place = match (if_exists(client.pharmacy(&self.code).await)?, &self.said.name) {
            (Some(place), _) => place,
            (None, Some(name)) => Place {
                code: self.code.clone(),
                name: name.clone(),
                satellite: false,
                hours: None,
                active: true,
                identifiers: Vec::new(),
            },
            (None, None) => return Err(Failure::usage("there is no such pharmacy yet: say --name to create it")),
        };
        self.said.change(&mut place.name, &mut place.active, &mut place.identifiers);
        place.satellite = self.satellite.unwrap_or(place.satellite);
        place.hours = self.hours.or(place.hours);
        let place = client.put_pharmacy(&place, &Write::default()).await?;
        context.output.show(&place, |place| table(std::slice::from_ref(place)))
    }
}

fn table(places: &[Place]) -> String {
    let mut table = Table::new(&["CODE", "NAME", "SATELLITE", "HOURS", "ACTIVE"]);
    for place in places {
        table.row([
            place.code.clone(),
            place.name.clone(),
            yes_no(place.satellite),
            place.hours.clone().unwrap_or_default(),
            yes_no(place.active),
        ]);
    }
    table.render()
}
