//! `medreq site …`: the hospital itself, its time zone above all.

use clap::{Args, Subcommand};
use medreq::{
    api::site::Site as Profile,
    client::Write,
    domain::{reason::Language, ticket::Identifier},
};

use crate::{
    context::Context,
    failure::Failure,
    output::clean,
    values::{code, identifier},
};

/// The hospital itself: its name, time zone, languages and identifiers.
#[derive(Debug, Args)]
pub(crate) struct Site {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What is said of it
    #[command(after_help = "Example:\n  medreq site show")]
    Show,
    /// Change what is said of it; what is left out stays
    #[command(after_help = "\
The time zone holds at once: lots expire with its days, and every time is shown in it.

Examples:
  medreq site set --name 'Hospital Santa Aurora' --time-zone America/Sao_Paulo
  medreq site set --language pt-BR,en --identifier cnes=0000019 --identifier cnpj=12.345.678/0001-95")]
    Set(Set),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Set {
    /// Its name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Its time zone, such as America/Sao_Paulo
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// What its people read, by commas, the usual one first; replaces those before
    #[arg(long = "language", value_parser = code!(Language), value_delimiter = ',')]
    languages: Vec<Language>,
    /// An id of an authority or another system, SYSTEM=VALUE; repeatable, replaces those before
    #[arg(long = "identifier", value_name = "SYSTEM=VALUE", value_parser = identifier)]
    identifiers: Vec<Identifier>,
}

impl Site {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let mut site = client.site().await?;
        if let Command::Set(set) = self.command {
            site.name = set.name.unwrap_or(site.name);
            site.time_zone = set.time_zone.unwrap_or(site.time_zone);
            if !set.languages.is_empty() {
                site.languages = set.languages;
            }
            if !set.identifiers.is_empty() {
                site.identifiers = set.identifiers;
            }
            site = client.put_site(&site, &Write::default()).await?;
        }
        context.output.show(&site, text)
    }
}

fn text(site: &Profile) -> String {
    let languages = site.languages.iter().map(|language| language.as_str()).collect::<Vec<_>>().join(", ");
    let mut text = format!("name         {}\ntime zone    {}\nlanguages    {languages}", site.name, site.time_zone);
    for identifier in &site.identifiers {
        text.push_str(&format!("\nidentifier   {}={}", identifier.system, identifier.value));
    }
    clean(&text)
}
