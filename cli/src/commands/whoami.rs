//! `medreq whoami`: whose token this is, and what it may do now.

use clap::Args;
use medreq::api::accounts::Whoami as Answer;

use crate::{context::Context, failure::Failure, zone::Zone};

/// Whose token this is, and what it may do now.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq whoami")]
pub(crate) struct Whoami {}

impl Whoami {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let answer = context.client()?.whoami().await?;
        context.show(&answer, text).await
    }
}

fn text(who: &Answer, zone: &Zone) -> String {
    let reach = |places: Option<Vec<String>>| match places {
        None => "all".to_owned(),
        Some(places) if places.is_empty() => "none".to_owned(),
        Some(places) => places.join(", "),
    };
    let roles = who.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wards = reach(who.wards.as_ref().map(|wards| wards.iter().map(ToString::to_string).collect()));
    let pharmacies = reach(who.pharmacies.as_ref().map(|all| all.iter().map(ToString::to_string).collect()));
    crate::output::clean(&format!(
        "{} ({})\nroles       {roles}\nwards       {wards}\npharmacies  {pharmacies}\nscopes      {}\nclient      {}\nexpires     {}",
        who.name,
        who.username,
        who.scopes.join(" "),
        who.client_id,
        zone.minute(who.expires_at),
    ))
}
