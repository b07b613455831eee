//! `medreq catalog …`: the directories of products, from which medications are made.

use clap::{Args, Subcommand};
use medreq::{
    api::medications::Product,
    client::{CatalogFilter, Import},
};

use super::{imports::ImportFile, paging::Paging};
use crate::{context::Context, failure::Failure, table::Table};

/// The directories of products: FDA NDC, ANVISA.
#[derive(Debug, Args)]
pub(crate) struct Catalog {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a directory's file; all its good rows become visible together
    #[command(after_help = "\
Bad rows are listed on stderr with line and reason; the exit code is 0 where at least one row is good.

Examples:
  medreq catalog import product.txt
  medreq catalog import package.txt --format fda-package
  medreq catalog import DADOS_ABERTOS_MEDICAMENTOS.csv --format anvisa --encoding windows-1252 --dry-run")]
    Import {
        #[command(flatten)]
        file: ImportFile,
        /// What it is [default: found out]
        #[arg(long, value_parser = ["fda-product", "fda-package", "anvisa"])]
        format: Option<String>,
    },
    /// Search by words or by a code on a box
    #[command(
        after_help = "Examples:\n  medreq catalog search 'midazolam injection'\n  medreq catalog search 00409230516 --json"
    )]
    Search {
        /// Words or a code
        #[arg(value_name = "QUERY")]
        query: String,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Catalog {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import { file, format } => {
                // The API's words have underscores.
                file.run(context, Import::Catalog, format.map(|format| format.replace('-', "_"))).await
            }
            Command::Search { query, paging } => search(context, query, &paging).await,
        }
    }
}

async fn search(context: &Context, query: String, paging: &Paging) -> Result<(), Failure> {
    let client = context.client()?;
    let page = |limit, cursor| {
        let (client, filter) = (&client, CatalogFilter { q: Some(query.clone()), limit, cursor });
        async move { client.catalog(&filter).await }
    };
    paging.show(context.output, page, table).await
}

fn table(products: &[Product]) -> String {
    let mut table = Table::new(&["DIRECTORY", "CODE", "NAME", "INGREDIENTS", "FORM", "CLASS", "LABELER", "STATUS"]);
    for product in products {
        table.row([
            product.directory.clone(),
            product.code.clone(),
            product.name.clone(),
            super::medication::ingredients(&product.ingredients),
            product.dosage_form.clone().unwrap_or_default(),
            product.control_class.as_wire().unwrap_or_default().to_owned(),
            product.labeler.clone().unwrap_or_default(),
            product.status.clone(),
        ]);
    }
    table.render()
}
