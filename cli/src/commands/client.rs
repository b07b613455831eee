//! `medreq client …`: the apps and service accounts that may get tokens. A secret is shown once, or goes straight into a file.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use medreq::{
    api::accounts::{ClientSecret, ClientView, CreateClient, CreateServiceAccount, PatchClient, PatchServiceAccount},
    domain::code::WardCode,
};

use super::paging::Paging;
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
    /// Register an app, or make a service account with --service
    #[command(after_help = "\
The secret of a service account or confidential app is printed once and cannot be read again.

Examples:
  medreq client add nurse-app --name 'Nurse app' --redirect-uri https://app.example.org/callback
  medreq client add portal --name 'Staff portal' --confidential --redirect-uri https://portal.example.org/callback
  medreq client add his-bridge --service --name 'HIS bridge' --scope tickets:read,tickets:write,tickets:delegate --secret-file his.secret")]
    Add(Add),
    /// Change name, redirect URIs or scopes
    #[command(
        after_help = "Example:\n  medreq client set nurse-app --redirect-uri https://app.example.org/callback --scope openid,tickets:read"
    )]
    Set(Set),
    /// Lock an app or service account out: its tokens are dead at once
    #[command(after_help = "Example:\n  medreq client disable his-bridge")]
    Disable {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
    },
    /// Let it in again
    #[command(after_help = "Example:\n  medreq client enable his-bridge")]
    Enable {
        /// Its client id
        #[arg(value_name = "CLIENT")]
        client: String,
    },
    /// Give a confidential app or service account another secret: the old one and its tokens are dead at once
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
    /// A service account: a program that acts for itself, with a secret of its own
    #[arg(long, requires = "scopes")]
    service: bool,
    /// An app on a server that keeps a secret
    #[arg(long, conflicts_with = "service")]
    confidential: bool,
    /// The hospital's own app: its users are not asked whether they want to give it what it asks for
    #[arg(long, conflicts_with = "service")]
    first_party: bool,
    /// What it may ask for, by commas [default for an app: what apps usually need]
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
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

#[derive(Debug, Args)]
struct Set {
    /// Its client id
    #[arg(value_name = "CLIENT")]
    client: String,
    /// Name as people read it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Where an app is sent back to, in place of those before; repeatable
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// What it may ask for, in place of what was, by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// Whether it is the hospital's own app
    #[arg(long, value_name = "BOOL")]
    first_party: Option<bool>,
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
            Command::Set(set) => set.run(context).await,
            Command::Disable { client } => set_disabled(context, &client, true).await,
            Command::Enable { client } => set_disabled(context, &client, false).await,
            Command::RotateSecret { client, secret, yes } => {
                confirm(&format!("The present secret of {client} stops working at once. Go on?"), yes)?;
                let file = secret.open()?;
                let api = context.client()?;
                let answer = if api.client(&client).await?.service {
                    api.rotate_secret(&client).await?
                } else {
                    api.rotate_client_secret(&client).await?
                };
                give(context, file, answer)
            }
        }
    }
}

async fn list(context: &Context, paging: &Paging) -> Result<(), Failure> {
    let client = context.client()?;
    let page = |limit, cursor: Option<String>| {
        let client = &client;
        async move { client.clients(limit, cursor.as_deref()).await }
    };
    paging.show(context.output, page, table).await
}

async fn show(context: &Context, id: &str) -> Result<(), Failure> {
    let client = context.client()?.client(id).await?;
    context.output.show(&client, |client| table(std::slice::from_ref(client)))
}

async fn set_disabled(context: &Context, id: &str, disabled: bool) -> Result<(), Failure> {
    patch(context, id, PatchClient { disabled: Some(disabled), ..PatchClient::default() }).await
}

/// Changes an app or a service account, whichever has this id.
async fn patch(context: &Context, id: &str, patch: PatchClient) -> Result<(), Failure> {
    let api = context.client()?;
    let client = if api.client(id).await?.service {
        if patch.redirect_uris.is_some() || patch.first_party.is_some() {
            return Err(Failure::usage("a service account has no redirect URIs and is nobody's app"));
        }
        let PatchClient { name, scopes, disabled, .. } = patch;
        api.patch_service_account(id, &PatchServiceAccount { name, scopes, disabled }).await?
    } else {
        api.patch_client(id, &patch).await?
    };
    context.output.show(&client, |client| table(std::slice::from_ref(client)))
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let change = PatchClient {
            name: self.name,
            redirect_uris: (!self.redirect_uris.is_empty()).then_some(self.redirect_uris),
            scopes: (!self.scopes.is_empty()).then(|| self.scopes.into_iter().collect()),
            first_party: self.first_party,
            disabled: None,
        };
        if change == PatchClient::default() {
            return Err(Failure::usage("nothing to change; say --name, --redirect-uri, --scope or --first-party"));
        }
        patch(context, &self.client, change).await
    }
}

impl Add {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client()?;
        let scopes = self.scopes.into_iter().collect();
        if !self.service && !self.confidential && self.secret.secret_file.is_some() {
            return Err(Failure::usage("a public app has no secret; say --confidential, or leave --secret-file out"));
        }
        let file = self.secret.open()?;
        let answer = if self.service {
            let account = CreateServiceAccount {
                client_id: Some(self.client),
                name: self.name,
                scopes,
                wards: (!self.wards.is_empty()).then(|| self.wards.into_iter().collect()),
            };
            client.create_service_account(&account).await?
        } else {
            let app = CreateClient {
                client_id: self.client,
                name: self.name,
                redirect_uris: self.redirect_uris,
                scopes: (!scopes.is_empty()).then_some(scopes),
                confidential: self.confidential,
                first_party: self.first_party,
            };
            client.create_client(&app).await?
        };
        give(context, file, answer)
    }
}

impl SecretTo {
    /// Made before the secret is: one that cannot be kept would be lost.
    fn open(&self) -> Result<Option<PrivateFile>, Failure> {
        self.secret_file.as_deref().map(PrivateFile::create).transpose()
    }
}

/// Shows a client; its secret goes to the file where there is one.
fn give(context: &Context, file: Option<PrivateFile>, answer: ClientSecret) -> Result<(), Failure> {
    match (file, &answer.client_secret) {
        (Some(mut file), Some(secret)) => {
            file.line(secret)?;
            context.output.show(&answer.client, |client| table(std::slice::from_ref(client)))?;
            context.output.hint(&format!("the secret is in {}", file.path().display()));
            Ok(())
        }
        (_, None) => context.output.show(&answer.client, |client| table(std::slice::from_ref(client))),
        (None, Some(secret)) => context.output.show(&answer, |answer| {
            format!(
                "client_id      {}\nclient_secret  {secret}\nKeep the secret now: it cannot be read again.",
                answer.client.client_id
            )
        }),
    }
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
            match (client.service, client.confidential) {
                (true, _) => "service",
                (false, true) => "confidential app",
                (false, false) => "public app",
            }
            .to_owned(),
            client.scopes.iter().cloned().collect::<Vec<_>>().join(" "),
            wards,
            if client.disabled { "disabled" } else { "enabled" }.to_owned(),
        ]);
    }
    table.render()
}
