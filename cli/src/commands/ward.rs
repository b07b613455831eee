//! `medreq ward …`: the wards that ask, each with the pharmacy that its tickets go to.

use clap::{Args, Subcommand};
use medreq::{
    api::places::Ward as Place,
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

/// The wards that ask, each with the pharmacy that its tickets go to.
#[derive(Debug, Args)]
pub(crate) struct Ward {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read wards from a CSV file
    #[command(after_help = "Example:\n  medreq ward import wards.csv --dry-run")]
    Import(ImportFile),
    /// The wards
    #[command(after_help = "Example:\n  medreq ward list")]
    List(Paging),
    /// One ward
    #[command(after_help = "Example:\n  medreq ward show UTI")]
    Show {
        /// Its code
        #[arg(value_name = "CODE")]
        code: String,
    },
    /// Create a ward, or change what is said of one
    #[command(after_help = "Example:\n  medreq ward set UTI --name 'Intensive care' --pharmacy CENTRAL")]
    Set(Set),
}

#[derive(Debug, Args)]
struct Set {
    /// Its code
    #[arg(value_name = "CODE")]
    code: String,
    #[command(flatten)]
    said: Said,
    /// The pharmacy that its tickets go to
    #[arg(long, value_name = "CODE")]
    pharmacy: Option<String>,
}

impl Ward {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import(file) => file.run(context, Import::Wards, None).await,
            Command::List(paging) => {
                list(context, None, &paging, async |client: Client, filter| client.wards(&filter).await, table).await
            }
            Command::Show { code } => {
                let place = context.client()?.ward(&code).await?;
                context.output.show(&place, |place| table(std::slice::from_ref(place)))
            }
            Command::Set(set) => set.run(context).await,
        }
    }
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut place = match (if_exists(client.ward(&self.code).await)?, &self.said.name, &self.pharmacy) {
            (Some(place), ..) => place,
            (None, Some(name), Some(pharmacy)) => Place {
                code: self.code.clone(),
                name: name.clone(),
                pharmacy: pharmacy.clone(),
                active: true,
                identifiers: Vec::new(),
            },
            (None, ..) => {
                return Err(Failure::usage("there is no such ward yet: say --name and --pharmacy to create it"));
            }
        };
        self.said.change(&mut place.name, &mut place.active, &mut place.identifiers);
        place.pharmacy = self.pharmacy.unwrap_or(place.pharmacy);
        let place = client.put_ward(&place, &Write::default()).await?;
        context.output.show(&place, |place| table(std::slice::from_ref(place)))
    }
}

fn table(places: &[Place]) -> String {
    let mut table = Table::new(&["CODE", "NAME", "PHARMACY", "ACTIVE"]);
    for place in places {
        table.row([place.code.clone(), place.name.clone(), place.pharmacy.clone(), yes_no(place.active)]);
    }
    table.render()
}
