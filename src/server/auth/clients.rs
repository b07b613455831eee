//! OAuth2 clients: service accounts and confidential apps, whose secret is shown once, and public apps. No secret is stored or audited, only its hash.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Auth, Scope,
    accounts::{AccountError, Editor},
    audit,
    issuer::PublicUrl,
    scopes::SERVICE_SCOPES,
    secrets::Secret,
    users::checked_name,
};
use crate::{
    domain::{actor::UserId, code::WardCode},
    server::ports::{Client, IdentityStore, StoreError, StoreResult},
};

/// The command line's own client.
pub const CLI: &str = "medreq-cli";

/// The console's own client.
pub const CONSOLE: &str = "medreq-console";

/// Where a program on one's own machine waits for its code, on whatever port it finds free.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1/callback", "http://[::1]/callback"];

/// What an app may ask for unless said otherwise; what its user gets is bounded by the user's roles.
const APP_SCOPES: &[Scope] = &[
    Scope::OpenId,
    Scope::Profile,
    Scope::OfflineAccess,
    Scope::TicketsRead,
    Scope::TicketsWrite,
    Scope::ReferenceRead,
    Scope::ReferenceWrite,
    Scope::ReportsRead,
];

/// A service account to create.
#[derive(Debug, Clone)]
pub struct NewServiceAccount {
    /// Its `client_id`; drawn where left out.
    pub client_id: Option<String>,
    /// Name as people read it.
    pub name: String,
    /// Of [`SERVICE_SCOPES`].
    pub scopes: BTreeSet<Scope>,
    /// Wards that it reads by itself; `None` is all.
    pub wards: Option<BTreeSet<WardCode>>,
}

/// An app to register.
#[derive(Debug, Clone, Default)]
pub struct NewApp {
    /// Its `client_id`.
    pub client_id: String,
    /// Name as people read it.
    pub name: String,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
    /// What it may ask for; `None` is what apps usually need.
    pub scopes: Option<BTreeSet<Scope>>,
    /// It runs on a server and keeps a secret.
    pub confidential: bool,
    /// The hospital's own: its users are not asked whether they want to give it what it asks for.
    pub first_party: bool,
}

/// What to change about a client; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ClientPatch {
    /// Name as people read it.
    pub name: Option<String>,
    /// Exact redirect URIs of an app.
    pub redirect_uris: Option<Vec<String>>,
    /// What it may ask for; acts on its tokens within seconds.
    pub scopes: Option<BTreeSet<Scope>>,
    /// As in [`NewApp`].
    pub first_party: Option<bool>,
    /// Disabling kills everything issued to it.
    pub disabled: Option<bool>,
}

/// What sort of client is meant: none of one sort is found among the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Acts for whoever signed in.
    App,
    /// Acts for itself.
    Service,
}

/// True for those that come with medreq: they change with medreq only.
#[must_use]
pub fn is_builtin(client_id: &str) -> bool {
    [CLI, CONSOLE].contains(&client_id)
}

/// True for what the hospital calls its own: its users are not asked whether they want to give it what it asks for.
#[must_use]
pub fn is_ours(client: &Client) -> bool {
    client.first_party || is_builtin(&client.client_id)
}

/// Registers the clients that come with medreq, where they are not there yet.
pub(super) async fn ensure_builtin(store: &dyn IdentityStore) -> StoreResult<()> {
    for (client_id, name) in [(CLI, "medreq command line"), (CONSOLE, "medreq console")] {
        if store.client(client_id).await?.is_some() {
            continue;
        }
        let mut client = public_client(client_id.to_owned(), name.to_owned(), LOOPBACK.map(str::to_owned).into());
        client.scopes =
            Scope::ALL.iter().filter(|scope| **scope != Scope::TicketsDelegate).map(ToString::to_string).collect();
        let entry = audit::of_kind("client", "client_created", None, Some(client_id), json!({ "builtin": true }));
        match store.insert_client(client, entry).await {
            // Another process started over the same store at the same time.
            Ok(()) | Err(StoreError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn public_client(client_id: String, name: String, redirect_uris: Vec<String>) -> Client {
    Client {
        client_id,
        id: UserId(Uuid::new_v4()),
        name,
        service: false,
        secret_hash: None,
        redirect_uris,
        scopes: APP_SCOPES.iter().map(ToString::to_string).collect(),
        wards: None,
        disabled: false,
        first_party: false,
        valid_from: Timestamp::UNIX_EPOCH,
        generation: 1,
        version: 0,
        created_at: super::now(),
    }
}

impl Auth {
    /// All clients, service accounts among them.
    ///
    /// # Errors
    /// As the store's.
    pub async fn clients(&self) -> StoreResult<Vec<Client>> {
        self.store.clients().await
    }

    /// One client.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or the store's.
    pub async fn client(&self, client_id: &str, sort: Sort) -> Result<Client, AccountError> {
        let what = if sort == Sort::App { "client" } else { "service account" };
        let client = self.store.client(client_id).await?.filter(|client| client.service == (sort == Sort::Service));
        client.ok_or_else(|| AccountError::NotFound { what, name: client_id.chars().take(64).collect() })
    }

    /// Creates a service account; its secret is given here and never again.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit.
    pub async fn create_service_account(
        &self,
        new: NewServiceAccount,
        by: &Editor,
    ) -> Result<(Client, Secret), AccountError> {
        administers_clients(by)?;
        let scopes = checked_scopes(&new.scopes, Sort::Service)?;
        let client_id = match new.client_id {
            Some(id) => checked_client_id(id)?,
            None => format!("svc-{}", Uuid::new_v4().simple()),
        };
        let secret = Secret::random();
        let mut client = public_client(client_id, checked_name(&new.name)?, Vec::new());
        client.service = true;
        client.secret_hash = Some(secret.hash_text());
        client.scopes = scopes;
        client.wards = new.wards;
        self.insert(&client, by).await?;
        Ok((client, secret))
    }

    /// Registers an app; the secret of a confidential one is given here and never again.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit.
    pub async fn create_app(&self, new: NewApp, by: &Editor) -> Result<(Client, Option<Secret>), AccountError> {
        administers_clients(by)?;
        let redirect_uris = checked_redirect_uris(new.redirect_uris)?;
        let mut client = public_client(checked_client_id(new.client_id)?, checked_name(&new.name)?, redirect_uris);
        if let Some(scopes) = &new.scopes {
            client.scopes = checked_scopes(scopes, Sort::App)?;
        }
        client.first_party = new.first_party;
        let secret = new.confidential.then(Secret::random);
        client.secret_hash = secret.as_ref().map(Secret::hash_text);
        self.insert(&client, by).await?;
        Ok((client, secret))
    }

    /// Changes a client. Disabling kills its tokens, which stay dead when it is enabled again.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit; nothing was written then.
    pub async fn patch_client(
        &self,
        client_id: &str,
        sort: Sort,
        patch: ClientPatch,
        by: &Editor,
    ) -> Result<Client, AccountError> {
        let _one_at_a_time = self.changes.lock().await;
        let was = self.changeable(client_id, sort, by).await?;
        let client = patched(&was, sort, patch)?;
        let action = match (was.disabled, client.disabled) {
            (false, true) => "client_disabled",
            (true, false) => "client_enabled",
            _ => "client_changed",
        };
        if client == was { Ok(was) } else { self.replace(client, action, by).await }
    }

    /// Gives a client another secret; the old one and all tokens are dead at once.
    ///
    /// # Errors
    /// [`AccountError`]; a public app has no secret.
    pub async fn rotate_secret(
        &self,
        client_id: &str,
        sort: Sort,
        by: &Editor,
    ) -> Result<(Client, Secret), AccountError> {
        let _one_at_a_time = self.changes.lock().await;
        let mut client = self.changeable(client_id, sort, by).await?;
        if client.secret_hash.is_none() {
            return Err(AccountError::PublicClient);
        }
        let secret = Secret::random();
        client.secret_hash = Some(secret.hash_text());
        end_issued(&mut client);
        Ok((self.replace(client, "client_secret_rotated", by).await?, secret))
    }

    async fn changeable(&self, client_id: &str, sort: Sort, by: &Editor) -> Result<Client, AccountError> {
        administers_clients(by)?;
        let client = self.client(client_id, sort).await?;
        if is_builtin(client_id) { Err(AccountError::BuiltIn) } else { Ok(client) }
    }

    async fn replace(&self, client: Client, action: &str, by: &Editor) -> Result<Client, AccountError> {
        let entry = by.audit("client", action, &client.client_id, particulars(&client));
        let client = self.store.update_client(client, entry).await?;
        self.refresh().await;
        Ok(client)
    }

    async fn insert(&self, client: &Client, by: &Editor) -> Result<(), AccountError> {
        let entry = by.audit("client", "client_created", &client.client_id, particulars(client));
        self.store.insert_client(client.clone(), entry).await?;
        self.refresh().await;
        Ok(())
    }
}

/// What the audit tells of a client; never its secret.
fn particulars(client: &Client) -> Value {
    json!({
        "name": client.name, "service": client.service, "confidential": client.secret_hash.is_some(), "scopes": client.scopes,
        "wards": client.wards, "redirect_uris": client.redirect_uris, "first_party": client.first_party,
    })
}

fn patched(was: &Client, sort: Sort, patch: ClientPatch) -> Result<Client, AccountError> {
    let mut client = was.clone();
    if let Some(name) = patch.name {
        client.name = checked_name(&name)?;
    }
    if let Some(uris) = patch.redirect_uris {
        client.redirect_uris = checked_redirect_uris(uris)?;
    }
    if let Some(scopes) = patch.scopes {
        client.scopes = checked_scopes(&scopes, sort)?;
    }
    client.first_party = patch.first_party.unwrap_or(client.first_party);
    client.disabled = patch.disabled.unwrap_or(client.disabled);
    if client.disabled && !was.disabled {
        end_issued(&mut client);
    }
    Ok(client)
}

/// Kills what was issued to a client: by the generation of a service account, by the time of issue where users signed in to an app.
fn end_issued(client: &mut Client) {
    client.generation += 1;
    client.valid_from = super::now();
}

fn administers_clients(by: &Editor) -> Result<(), AccountError> {
    if by.may_admin { Ok(()) } else { Err(AccountError::AdminOnly) }
}

fn checked_client_id(id: String) -> Result<String, AccountError> {
    let clean = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.');
    if (3..=64).contains(&id.len()) && id.bytes().all(clean) && id.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Ok(id)
    } else {
        Err(AccountError::invalid(
            "client_id",
            "a client id is 3 to 64 lower-case letters, digits, '-', '_' or '.', and begins with a letter or digit",
        ))
    }
}

fn checked_scopes(scopes: &BTreeSet<Scope>, sort: Sort) -> Result<BTreeSet<String>, AccountError> {
    let may = |scope: &Scope| match sort {
        Sort::App => *scope != Scope::TicketsDelegate,
        Sort::Service => SERVICE_SCOPES.contains(scope),
    };
    let whose = if sort == Sort::App { "an app" } else { "a service account" };
    match scopes.iter().find(|scope| !may(scope)) {
        Some(scope) => Err(AccountError::invalid("scopes", format_args!("{whose} cannot hold the scope {scope}"))),
        None if scopes.is_empty() => {
            Err(AccountError::invalid("scopes", format_args!("{whose} needs at least one scope")))
        }
        None => Ok(scopes.iter().map(ToString::to_string).collect()),
    }
}

fn checked_redirect_uris(uris: Vec<String>) -> Result<Vec<String>, AccountError> {
    if uris.len() > 20 {
        return Err(AccountError::invalid("redirect_uris", "an app has at most 20 redirect URIs"));
    }
    match uris.iter().find(|uri| !is_redirect_uri(uri)) {
        None => Ok(uris),
        Some(bad) => {
            let shown: String = bad.chars().take(200).collect();
            Err(AccountError::invalid(
                "redirect_uris",
                format_args!(
                    "{shown:?} is not https, http on 127.0.0.1 or [::1], or an app's own scheme such as org.example.app:/callback"
                ),
            ))
        }
    }
}

/// Exact URIs that cannot be mistaken for another place (RFC 8252 §7, RFC 9700 §4.1): no fragment, no user part, no wildcard, no dots or
/// backslashes to be folded away; http on a loopback address only, since `localhost` may be looked up elsewhere.
fn is_redirect_uri(uri: &str) -> bool {
    let printable = uri.len() <= 500 && uri.bytes().all(|b| b.is_ascii_graphic());
    let folded = ["..", "%2e", "%2f", "%5c"].iter().any(|part| uri.to_ascii_lowercase().contains(part));
    if !printable || folded || uri.contains(['#', '@', '\\', '*', '<', '>', '"', ';']) {
        return false;
    }
    match uri.split_once("://") {
        Some((scheme @ ("http" | "https"), rest)) => {
            let origin_end = uri.len() - rest.len() + rest.find(['/', '?']).unwrap_or(rest.len());
            let named = scheme == "http" && rest.starts_with("localhost");
            !named && uri[..origin_end].parse::<PublicUrl>().is_ok()
        }
        _ => uri.split_once(':').is_some_and(|(scheme, path)| {
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.contains('.')
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-')
                && path.starts_with('/')
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirect_uris_that_lead_astray_are_refused() {
        for good in [
            "https://app.example.org/cb",
            "http://127.0.0.1/cb",
            "http://127.0.0.1:8000/cb?x=1",
            "http://[::1]/cb",
            "org.example.app:/cb",
        ] {
            assert!(is_redirect_uri(good), "{good}");
        }
        let bad = [
            "",
            "https://a@b@c/cb",
            "http://localhost.evil.test/cb",
            "http://localhost/cb",
            "http://127.0.0.1.evil.test/cb",
            "https://h/a/%2E%2e/b",
            "https://h/*",
            "1.example:/cb",
            "https://h/a/..;/b",
            "javascript:/x",
            "https://h/#f",
            "http://h/cb",
            "/cb",
            "data:text/html,x",
        ];
        for bad in bad {
            assert!(!is_redirect_uri(bad), "{bad}");
        }
    }
}
