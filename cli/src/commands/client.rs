//! `medreq client …`: the apps and service accounts that may get tokens. A secret is shown once, or goes straight into a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use medreq::{
    api::accounts::{ClientView, CreateClient, CreateServiceAccount, PatchServiceAccount, ServiceAccountSecret},
    domain::code::WardCode,
};

use super::paging::{Paging, tell_more};
use crate::{context::Context, failure::Failure, input::confirm, private::PrivateFile, table::Table};

/// The apps and service accounts that may get tokens.
#[derive(Debug, Args)]
pub(crate) struct Client {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Apps and service accounts
    #[command(after_help = "Example:\n  medreq client list")]
    List(Paging),
    /// One of them
    #[command(after_help = "Example:\n  medreq client show his-bridge")]
    Show {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
    },
    /// Register a public app, or make a service account with --service
    #[command(after_help = "\
The secret of a service account is printed once and cannot be read again.

Examples:
  medreq client add nurse-app --name 'Nurse app' --redirect-uri https://app.example.org/callback
  medreq client add his-bridge --service --name 'HIS bridge' --scope tickets:read,tickets:write,tickets:delegate --secret-file his.secret")]
    Add(Add),
    /// Lock a service account out: its tokens are dead at once
    #[command(after_help = "Example:\n  medreq client disable his-bridge")]
    Disable {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
    },
    /// Let a service account in again
    #[command(after_help = "Example:\n  medreq client enable his-bridge")]
    Enable {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
    },
    /// Give a service account another secret: the old one and its tokens are dead at once
    #[command(after_help = "Example:\n  medreq client rotate-secret his-bridge --secret-file his.secret --yes")]
    RotateSecret {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
        #[command(flatten)]
        secret: SecretTo,
        /// Do not ask
        #[arg(long, short = 'y')]
        yes: bool,
    },
}

#[derive(Debug, Args)]
struct Add {
    /// Its client id: 3 to 64 lower-case letters, digits, `-`, `_`, `.`
    #[arg(value_name = "CLIENT")]
    client: String,
    /// Name as people read it
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// A service account: a program with a secret of its own
    #[arg(long, requires = "scopes")]
    service: bool,
    /// What a service account may do, by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',', requires = "service")]
    scopes: Vec<String>,
    /// A ward that a service account reads by itself, by commas [default: all]
    #[arg(long = "ward", value_name = "CODE", value_delimiter = ',', requires = "service")]
    wards: Vec<WardCode>,
    /// Where an app is sent back to after signing in; repeatable
    #[arg(long = "redirect-uri", value_name = "URI", conflicts_with = "service")]
    redirect_uris: Vec<String>,
    #[command(flatten)]
    secret: SecretTo,
}

/// Where a secret goes.
#[derive(Debug, Args)]
struct SecretTo {
    /// Write the secret into this new file, readable by you alone, in place of printing it
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
}

impl Client {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::List(paging) => list(context, &paging).await,
            Command::Show { client } => show(context, &client).await,
            Command::Add(add) => add.run(context).await,
            Command::Disable { client } => set_disabled(context, &client, true).await,
            Command::Enable { client } => set_disabled(context, &client, false).await,
            Command::RotateSecret { client, secret, yes } => {
                confirm(&format!("The present secret of {client} stops working at once. Go on?"), yes)?;
                let file = secret.open()?;
                let answer = context.client()?.rotate_secret(&client).await?;
                give(context, file, answer)
            }
        }
    }
}

async fn all(context: &Context, paging: &Paging) -> Result<medreq::api::List<ClientView>, Failure> {
    let client = context.client()?;
    let page = |limit, cursor: Option<String>| {
        let client = &client;
        async move { client.clients(limit, cursor.as_deref()).await }
    };
    Ok(paging.fetch(page).await?)
}

async fn list(context: &Context, paging: &Paging) -> Result<(), Failure> {
    let clients = all(context, paging).await?;
    context.output.show(&clients, |clients| table(&clients.items))?;
    tell_more(&context.output, &clients);
    Ok(())
}

async fn show(context: &Context, id: &str) -> Result<(), Failure> {
    let everything = Paging { limit: None, cursor: None, everything: true };
    let found = all(context, &everything).await?.items.into_iter().find(|client| client.client_id == id);
    let found = found.ok_or_else(|| Failure::Refused {
        code: "not_found",
        detail: format!("there is no client {id:?}; see `medreq client list`"),
    })?;
    context.output.show(&found, |client| table(std::slice::from_ref(client)))
}

async fn set_disabled(context: &Context, id: &str, disabled: bool) -> Result<(), Failure> {
    let client = context.client()?.patch_service_account(id, &PatchServiceAccount { disabled }).await?;
    context.output.show(&client, |client| table(std::slice::from_ref(client)))
}

impl Add {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        if !self.service {
            let app = CreateClient { client_id: self.client, name: self.name, redirect_uris: self.redirect_uris };
            let app = client.create_client(&app).await?;
            return context.output.show(&app, |app| table(std::slice::from_ref(app)));
        }
        let file = self.secret.open()?;
        let account = CreateServiceAccount {
            client_id: Some(self.client),
            name: self.name,
            scopes: self.scopes.into_iter().collect(),
            wards: (!self.wards.is_empty()).then(|| self.wards.into_iter().collect()),
        };
        let answer = client.create_service_account(&account).await?;
        give(context, file, answer)
    }
}

impl SecretTo {
    /// Made before the secret is: one that cannot be kept would be lost.
    fn open(&self) -> Result<Option<PrivateFile>, Failure> {
        self.secret_file.as_deref().map(PrivateFile::create).transpose()
    }
}

fn give(context: &Context, file: Option<PrivateFile>, answer: ServiceAccountSecret) -> Result<(), Failure> {
    let Some(mut file) = file else {
        return context.output.show(&answer, |answer| {
            format!(
                "client_id      {}\nclient_secret  {}\nKeep the secret now: it cannot be read again.",
                answer.account.client_id, answer.client_secret
            )
        });
    };
    file.line(&answer.client_secret)?;
    context.output.show(&answer.account, |client| table(std::slice::from_ref(client)))?;
    context.output.hint(&format!("the secret is in {}", file.path().display()));
    Ok(())
}

fn table(clients: &[ClientView]) -> String {
    let mut table = Table::new(&["CLIENT", "NAME", "SORT", "SCOPES", "WARDS", "STATE"]);
    for client in clients {
        let wards = match &client.wards {
            None => "all".to_owned(),
            Some(wards) => wards.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        };
        table.row([
            client.client_id.clone(),
            client.name.clone(),
            if client.service { "service" } else { "app" }.to_owned(),
            client.scopes.iter().cloned().collect::<Vec<_>>().join(" "),
            wards,
            if client.disabled { "disabled" } else { "enabled" }.to_owned(),
        ]);
    }
    table.render()
}
