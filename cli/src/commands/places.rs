//! What pharmacies, wards and cabinets have in common on the command line. It knows none of them.

use clap::Args;
use medreq::{
    api::List,
    client::{Client, ClientError, PlaceFilter},
    domain::ticket::Identifier,
};
use serde::Serialize;

use super::paging::Paging;
use crate::{context::Context, failure::Failure, values::identifier};

/// What is said of every place.
#[derive(Debug, Args)]
pub(super) struct Said {
    /// Its name
    #[arg(long, value_name = "TEXT")]
    pub(super) name: Option<String>,
    /// Takes tickets or not
    #[arg(long, value_name = "true|false")]
    active: Option<bool>,
    /// An id of another system, SYSTEM=VALUE; repeatable, replaces those before
    #[arg(long = "identifier", value_name = "SYSTEM=VALUE", value_parser = identifier)]
    identifiers: Vec<Identifier>,
}

impl Said {
    /// Changes what was said; the rest stays.
    pub(super) fn change(self, name: &mut String, active: &mut bool, identifiers: &mut Vec<Identifier>) {
        if let Some(said) = self.name {
            *name = said;
        }
        *active = self.active.unwrap_or(*active);
        if !self.identifiers.is_empty() {
            *identifiers = self.identifiers;
        }
    }
}

/// Lists places, of a ward where it is given.
pub(super) async fn list<T, R>(
    context: &Context,
    ward: Option<String>,
    paging: &Paging,
    page: impl Fn(Client, PlaceFilter) -> R,
    table: fn(&[T]) -> String,
) -> Result<(), Failure>
where
    T: Serialize,
    R: Future<Output = Result<List<T>, ClientError>>,
{
    let client = context.client()?;
    let page =
        |limit, cursor| page(client.clone(), PlaceFilter { ward: ward.clone(), limit, cursor, identifier: None });
    paging.show(context.output, page, table).await
}
