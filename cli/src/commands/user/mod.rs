//! `medreq user …`: people, their roles and places. `add` and `token` open the store itself; everything else goes through the API.

mod links;
mod local;
mod sessions;

use std::{collections::BTreeSet, path::PathBuf};

use clap::{Args, Subcommand};
use medreq::{
    api::accounts::{PatchUser, ResetPassword, UserView},
    client::Import,
    domain::{
        code::{PharmacyCode, WardCode},
        reason::Role,
    },
};

use super::{imports::ImportFile, paging::Paging};
use crate::{
    context::Context,
    failure::Failure,
    input::{ask_new_password, can_ask, password_file},
    output::Output,
    table::Table,
    values::code,
};

/// People, their roles and places.
#[derive(Debug, Args)]
pub(crate) struct User {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read people from a CSV file; it holds no passwords
    #[command(after_help = "Example:\n  medreq user import users.csv --dry-run")]
    Import(ImportFile),
    /// The users
    #[command(after_help = "Example:\n  medreq user list --all")]
    List(Paging),
    /// One user
    #[command(after_help = "Example:\n  medreq user show joana")]
    Show(Name),
    Add(local::Add),
    /// Change name, roles or places
    #[command(after_help = "Example:\n  medreq user set joana --role nurse,charge_nurse --ward UTI,CC-2")]
    Set(Set),
    /// Lock a user out: nothing issued to them works any more
    #[command(after_help = "Example:\n  medreq user disable joana")]
    Disable(Name),
    /// Let a user in again
    #[command(after_help = "Example:\n  medreq user enable joana")]
    Enable(Name),
    /// Give a user a temporary password, to be changed at the next sign-in
    #[command(
        after_help = "Examples:\n  medreq user password joana\n  pwgen 16 1 | medreq user password joana --password-file -"
    )]
    Password {
        #[command(flatten)]
        name: Name,
        /// Read the password from the first line of this file, or of stdin with `-` [default: asked for]
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    ResetLink(links::ResetLinks),
    /// Take a user's second factor away who lost it; where the policy asks for one, they set another up at the next sign-in
    #[command(after_help = "Example:\n  medreq user reset-factor joana")]
    ResetFactor(Name),
    Token(local::Token),
    Sessions(sessions::Sessions),
}

#[derive(Debug, Args)]
struct Name {
    /// The username
    #[arg(value_name = "USERNAME")]
    username: String,
}

/// Places that a user works for.
#[derive(Debug, Args)]
struct Places {
    /// Wards that they work for, by commas or repeated
    #[arg(long = "ward", value_name = "CODE", value_delimiter = ',')]
    wards: Vec<WardCode>,
    /// Pharmacies that they work in, by commas or repeated
    #[arg(long = "pharmacy", value_name = "CODE", value_delimiter = ',')]
    pharmacies: Vec<PharmacyCode>,
}

#[derive(Debug, Args)]
struct Set {
    #[command(flatten)]
    name_of: Name,
    /// Name as people read it
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Roles in place of those before, by commas or repeated
    #[arg(long = "role", value_parser = code!(Role), value_delimiter = ',')]
    roles: Vec<Role>,
    #[command(flatten)]
    places: Places,
    /// No ward any more
    #[arg(long, conflicts_with = "wards")]
    no_wards: bool,
    /// No pharmacy any more
    #[arg(long, conflicts_with = "pharmacies")]
    no_pharmacies: bool,
}

impl User {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        match self.command {
            Command::Import(file) => file.run(context, Import::Users, None).await,
            Command::List(paging) => list(context, &paging).await,
            Command::Show(Name { username }) => {
                let user = context.client()?.user(&username).await?;
                context.output.show(&user, |user| table(std::slice::from_ref(user)))
            }
            Command::Add(add) => add.run(context).await,
            Command::Set(set) => set.run(context).await,
            Command::Disable(name) => set_disabled(context, &name.username, true).await,
            Command::Enable(name) => set_disabled(context, &name.username, false).await,
            Command::Password { name, password_file } => password(context, &name.username, password_file).await,
            Command::ResetLink(links) => links.run(context).await,
            Command::ResetFactor(Name { username }) => {
                context.client()?.reset_second_factor(&username).await?;
                context.output.hint(&format!("{username} has no second factor any more"));
                Ok(())
            }
            Command::Token(token) => token.run(context).await,
            Command::Sessions(sessions) => sessions.run(context).await,
        }
    }
}

async fn list(context: &Context, paging: &Paging) -> Result<(), Failure> {
    let client = context.client()?;
    let page = |limit, cursor: Option<String>| {
        let client = &client;
        async move { client.users(limit, cursor.as_deref()).await }
    };
    paging.show(context.output, page, table).await
}

async fn set_disabled(context: &Context, username: &str, disabled: bool) -> Result<(), Failure> {
    let patch = PatchUser { disabled: Some(disabled), ..PatchUser::default() };
    let user = context.client()?.patch_user(username, &patch).await?;
    context.output.show(&user, |user| table(std::slice::from_ref(user)))
}

async fn password(context: &Context, username: &str, file: Option<PathBuf>) -> Result<(), Failure> {
    let client = context.client()?;
    let password = match file {
        Some(file) => password_file(&file)?,
        None if can_ask() => ask_new_password(username)?,
        None => return Err(Failure::usage("nobody can be asked here: say --password-file FILE, or `-` for stdin")),
    };
    client.reset_password(username, &ResetPassword { password }).await?;
    context.output.hint(&format!("{username} has a new password, to be changed at the next sign-in"));
    Ok(())
}

impl Set {
    async fn run(self, context: &Context) -> Result<(), Failure> {
        let given = |empty: bool, none: bool| !empty || none;
        let patch = PatchUser {
            name: self.name,
            roles: (!self.roles.is_empty()).then(|| self.roles.into_iter().collect()),
            wards: given(self.places.wards.is_empty(), self.no_wards).then(|| self.places.wards.into_iter().collect()),
            pharmacies: given(self.places.pharmacies.is_empty(), self.no_pharmacies)
                .then(|| self.places.pharmacies.into_iter().collect()),
            ..PatchUser::default()
        };
        if patch == PatchUser::default() {
            return Err(Failure::usage("nothing to change; say --name, --role, --ward or --pharmacy"));
        }
        let user = context.client()?.patch_user(&self.name_of.username, &patch).await?;
        warn_without_place(&context.output, &user.roles, &user.wards, &user.pharmacies);
        context.output.show(&user, |user| table(std::slice::from_ref(user)))
    }
}

/// A nurse without a ward sees nothing, and a pharmacist without a pharmacy works nothing: seldom meant so.
fn warn_without_place(
    output: &Output,
    roles: &BTreeSet<Role>,
    wards: &BTreeSet<WardCode>,
    pharmacies: &BTreeSet<PharmacyCode>,
) {
    let any = |these: &[Role]| these.iter().any(|role| roles.contains(role));
    if wards.is_empty() && any(&[Role::Nurse, Role::ChargeNurse]) {
        output
            .hint("warning: a nurse without a ward can ask for nothing; give one with `medreq user set … --ward CODE`");
    }
    if pharmacies.is_empty() && any(&[Role::Technician, Role::Pharmacist]) {
        output.hint(
            "warning: pharmacy staff without a pharmacy have no queue; give one with `medreq user set … --pharmacy CODE`",
        );
    }
}

fn joined<T: ToString>(items: &BTreeSet<T>) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn table(users: &[UserView]) -> String {
    let mut table = Table::new(&["USERNAME", "NAME", "ROLES", "WARDS", "PHARMACIES", "STATE"]);
    for user in users {
        let state = match (user.disabled, user.has_password, user.must_change_password) {
            (true, ..) => "disabled",
            (false, false, _) => "no password",
            (false, true, true) => "must change password",
            (false, true, false) => "enabled",
        };
        table.row([
            user.username.to_string(),
            user.name.clone(),
            joined(&user.roles),
            joined(&user.wards),
            joined(&user.pharmacies),
            state.to_owned(),
        ]);
    }
    table.render()
}
