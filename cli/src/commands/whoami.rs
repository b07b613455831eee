//! `medreq whoami`: whose token this is, where it comes from, and what it may do now.

use clap::Args;
use medreq::api::accounts::{SessionView, Whoami as Answer};
use serde::Serialize;

use crate::{context::Context, failure::Failure, token::TokenFrom, zone::Zone};

/// Whose token this is, where it comes from, and what it may do now
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq whoami")]
pub(crate) struct Whoami {}

/// The API's answer, and what only this machine and the session list know.
#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    answer: Answer,
    token_from: &'static str,
    session: Option<SessionView>,
}

impl Whoami {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let answer = client.whoami().await?;
        // Tokens of programs, and those made on the server, have no session.
        let session = client.my_sessions().await.ok().and_then(|all| all.items.into_iter().find(|one| one.current));
        let token_from = match context.token_from() {
            TokenFrom::Environment => "environment",
            TokenFrom::File(_) => "file",
            TokenFrom::Login(_) => "login",
            TokenFrom::Nowhere => "nowhere",
        };
        let shown = Shown { answer, token_from, session };
        context.show(&shown, |shown, zone| text(shown, context.token_from(), zone)).await
    }
}

fn text(shown: &Shown, from: &TokenFrom, zone: &Zone) -> String {
    let who = &shown.answer;
    let reach = |places: Option<Vec<String>>| match places {
        None => "all".to_owned(),
        Some(places) if places.is_empty() => "none".to_owned(),
        Some(places) => places.join(", "),
    };
    let roles = who.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let wards = reach(who.wards.as_ref().map(|wards| wards.iter().map(ToString::to_string).collect()));
    let pharmacies = reach(who.pharmacies.as_ref().map(|all| all.iter().map(ToString::to_string).collect()));
    let renewed = if matches!(from, TokenFrom::Login(_)) { ", renewed by itself" } else { "" };
    let session = shown.session.as_ref().map_or_else(String::new, |session| {
        let (since, until) = (zone.minute(session.created_at), zone.minute(session.expires_at));
        format!("\nsession     {}, since {since}, until {until} at most", session.device)
    });
    crate::output::clean(&format!(
        "{} ({})\nroles       {roles}\nwards       {wards}\npharmacies  {pharmacies}\nscopes      {}\nclient      {}\n\
         token       {from}\nexpires     {}{renewed}{session}",
        who.name,
        who.username,
        who.scopes.join(" "),
        who.client_id,
        zone.minute(who.expires_at),
    ))
}
