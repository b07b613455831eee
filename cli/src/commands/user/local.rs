//! `medreq user add` and `token`: for somebody with a shell on the server. They open the store, beside a running server too.

use std::{path::PathBuf, sync::Arc};

use clap::Args;
use jiff::SignedDuration;
use medreq::{
    api::accounts::UserView,
    domain::{code::Username, reason::Role},
    server::{
        auth::{
            Auth, AuthStartError,
            accounts::{AccountError, Editor},
            grants::UserTokenError,
            users::NewUser,
        },
        config::Storage,
        node,
        sqlite::{OpenError, OpenMode, SqliteStore},
    },
};
use serde_json::json;

use super::{Places, warn_without_place};
use crate::{
    context::Context,
    failure::Failure,
    input::{ask_new_password, can_ask, password_file},
    paths::{DataDir, demo_dir},
    stack,
    values::{code, lifetime},
};

/// Create a user, on the server itself; so the first administrator comes to be
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  medreq user add admin --name 'IT, Marta' --role admin
  medreq user add joana --name 'Joana Prado' --role nurse --ward UTI --password-file -")]
pub(super) struct Add {
    /// The login name
    #[arg(value_name = "USERNAME")]
    username: Username,
    /// Name as people read it [default: the username]
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// What they may do, by commas or repeated
    #[arg(long = "role", required = true, value_parser = code!(Role), value_delimiter = ',')]
    roles: Vec<Role>,
    #[command(flatten)]
    places: Places,
    /// Read the password from the first line of this file, or of stdin with `-` [default: asked for on a terminal, else none]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// No password yet: nobody can sign in until one is set
    #[arg(long, conflicts_with = "password_file")]
    no_password: bool,
    /// The user has to choose another password at the first sign-in
    #[arg(long, conflicts_with = "no_password")]
    must_change_password: bool,
    #[command(flatten)]
    data_dir: DataDir,
}

impl Add {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let auth = open(context, &self.data_dir, true).await?;
        let password = match &self.password_file {
            Some(file) => Some(password_file(file)?),
            None if !self.no_password && can_ask() => Some(ask_new_password(self.username.as_str())?),
            None => None,
        };
        let new = NewUser {
            name: self.name.unwrap_or_else(|| self.username.to_string()),
            username: self.username,
            roles: self.roles.into_iter().collect(),
            wards: self.places.wards.into_iter().collect(),
            pharmacies: self.places.pharmacies.into_iter().collect(),
            must_change_password: self.must_change_password && password.is_some(),
            password,
        };
        let user = auth.create_user(new, &Editor::on_server()).await.map_err(account_failure)?;
        warn_without_place(&context.output, &user.roles, &user.wards, &user.pharmacies);
        let view = UserView {
            id: user.id.0,
            username: user.username,
            name: user.name,
            roles: user.roles,
            wards: user.wards,
            pharmacies: user.pharmacies,
            disabled: user.disabled,
            must_change_password: user.must_change_password,
            has_password: user.password_hash.is_some(),
            created_at: user.created_at,
        };
        context.output.show(&view, |user| {
            let without = if user.has_password { "" } else { ", without a password: nobody can sign in yet" };
            format!("{} was created{without}", user.username)
        })
    }
}

/// Print an access token for a user, on the server itself; it is audited
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  medreq user token joana --ttl 10m --data-dir /var/lib/medreq > token")]
pub(super) struct Token {
    /// The username
    #[arg(value_name = "USERNAME")]
    username: String,
    /// How long it lives, 24 hours at most
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = lifetime)]
    ttl: SignedDuration,
    #[command(flatten)]
    data_dir: DataDir,
}

impl Token {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let auth = open(context, &self.data_dir, false).await?;
        let issued = auth.user_token(&self.username, self.ttl).await.map_err(token_failure)?;
        let answer = json!({
            "access_token": issued.access_token, "token_type": "Bearer", "expires_in": issued.expires_in.as_secs(),
            "scope": issued.scope,
        });
        context.output.show(&answer, |_| issued.access_token.clone())
    }
}

async fn open(context: &Context, data_dir: &DataDir, create: bool) -> Result<Arc<Auth>, Failure> {
    // A directory that is named is meant, whatever the machine serves.
    if context.config.server.storage == Storage::Stack && data_dir.data_dir.is_none() {
        let connected = node::connect(&stack::settings(&context.config)?).await;
        let store = connected.map_err(|error| Failure::Local { code: "mongo_failed", detail: error.to_string() })?;
        return Auth::beside(store.clone(), store).await.map_err(start_failure);
    }
    let dir = data_dir.resolve(context)?;
    let opened = tokio::task::spawn_blocking(move || SqliteStore::open(&dir, OpenMode::Beside { create })).await;
    let store = opened.expect("opening a store does not panic").map_err(open_failure)?;
    let store = Arc::new(store);
    Auth::beside(store.clone(), store).await.map_err(start_failure)
}

fn open_failure(error: OpenError) -> Failure {
    let mut detail = error.to_string();
    if let (OpenError::NotFound(_), Ok(demo)) = (&error, demo_dir())
        && demo.exists()
    {
        detail.push_str(&format!("; the demo's is {}", demo.display()));
    }
    Failure::Local { code: error.code(), detail }
}

fn start_failure(error: AuthStartError) -> Failure {
    Failure::Local { code: "store_unavailable", detail: error.to_string() }
}

fn account_failure(error: AccountError) -> Failure {
    let detail = error.to_string();
    match error {
        AccountError::Store(_) => Failure::Local { code: "store_unavailable", detail },
        AccountError::Exists { .. } => Failure::Refused { code: "already_exists", detail },
        AccountError::Invalid { field, .. } => {
            Failure::Refused { code: "invalid_value", detail: format!("{field}: {detail}") }
        }
        _ => Failure::Refused { code: "account_refused", detail },
    }
}

fn token_failure(error: UserTokenError) -> Failure {
    let detail = error.to_string();
    match error {
        UserTokenError::NoUser(_) => Failure::Refused { code: "user_not_found", detail },
        UserTokenError::Disabled(_) => Failure::Refused { code: "user_disabled", detail },
        UserTokenError::NeverStarted => Failure::Refused { code: "never_started", detail },
        UserTokenError::Ttl => Failure::usage(detail),
        UserTokenError::Token(_) => Failure::Local { code: "store_unavailable", detail },
    }
}
