//! OAuth2 clients: service accounts, whose secret is shown once, and public apps. No secret is stored or audited, only its hash.

use std::collections::BTreeSet;

use serde_json::json;
use uuid::Uuid;

use super::{
    Auth, Scope,
    accounts::{AccountError, Editor},
    issuer::PublicUrl,
    scopes::SERVICE_SCOPES,
    secrets::Secret,
};
use crate::{
    domain::{actor::UserId, code::WardCode, text::clean},
    server::{
        auth::audit,
        ports::{Client, IdentityStore, StoreError, StoreResult},
    },
};

/// The command line's own client.
pub const CLI: &str = "medreq-cli";

/// The console's own client.
pub const CONSOLE: &str = "medreq-console";

/// Where a program on one's own machine waits for its code, on whatever port it finds free.
const LOOPBACK: [&str; 2] = ["http://127.0.0.1/callback", "http://[::1]/callback"];

/// What a public app may ask for; what its user gets is bounded by the user's roles.
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

/// A public app to register.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its `client_id`.
    pub client_id: String,
    /// Name as people read it.
    pub name: String,
    /// Exact redirect URIs.
    pub redirect_uris: Vec<String>,
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
        generation: 1,
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

    /// One service account.
    ///
    /// # Errors
    /// [`AccountError::NotFound`], or the store's.
    pub async fn service_account(&self, client_id: &str) -> Result<Client, AccountError> {
        let client = self.store.client(client_id).await?.filter(|client| client.service);
        client.ok_or_else(|| AccountError::NotFound {
            what: "service account",
            name: client_id.chars().take(64).collect(),
        })
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
        if let Some(scope) = new.scopes.iter().find(|scope| !SERVICE_SCOPES.contains(scope)) {
            return Err(AccountError::invalid(
                "scopes",
                format_args!("a service account cannot hold the scope {scope}"),
            ));
        }
        if new.scopes.is_empty() {
            return Err(AccountError::invalid("scopes", "a service account needs at least one scope"));
        }
        let client_id = match new.client_id {
            Some(id) => checked_client_id(id)?,
            None => format!("svc-{}", Uuid::new_v4().simple()),
        };
        let secret = Secret::random();
        let mut client = public_client(client_id, checked_name(&new.name)?, Vec::new());
        client.service = true;
        client.secret_hash = Some(secret.hash_text());
        client.scopes = new.scopes.iter().map(ToString::to_string).collect();
        client.wards = new.wards;
        self.insert(&client, by).await?;
        Ok((client, secret))
    }

    /// Registers a public app.
    ///
    /// # Errors
    /// [`AccountError`] says what does not fit.
    pub async fn create_app(&self, new: NewApp, by: &Editor) -> Result<Client, AccountError> {
        administers_clients(by)?;
        if new.redirect_uris.len() > 20 {
            return Err(AccountError::invalid("redirect_uris", "an app has at most 20 redirect URIs"));
        }
        if let Some(bad) = new.redirect_uris.iter().find(|uri| !is_redirect_uri(uri)) {
            let shown: String = bad.chars().take(200).collect();
            return Err(AccountError::invalid(
                "redirect_uris",
                format_args!(
                    "{shown:?} is not https, http on a loopback address, or an app's own scheme such as org.example.app:/callback"
                ),
            ));
        }
        let client = public_client(checked_client_id(new.client_id)?, checked_name(&new.name)?, new.redirect_uris);
        self.insert(&client, by).await?;
        Ok(client)
    }

    /// Disables or enables a service account; disabling kills its tokens.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn set_service_account_disabled(
        &self,
        client_id: &str,
        disabled: bool,
        by: &Editor,
    ) -> Result<Client, AccountError> {
        let action = if disabled { "client_disabled" } else { "client_enabled" };
        self.change(client_id, action, by, |client| client.disabled = disabled).await
    }

    /// Gives a service account another secret; the old one and all tokens are dead at once.
    ///
    /// # Errors
    /// [`AccountError`].
    pub async fn rotate_secret(&self, client_id: &str, by: &Editor) -> Result<(Client, Secret), AccountError> {
        let secret = Secret::random();
        let hash = secret.hash_text();
        let client =
            self.change(client_id, "client_secret_rotated", by, |client| client.secret_hash = Some(hash)).await?;
        Ok((client, secret))
    }

    async fn insert(&self, client: &Client, by: &Editor) -> Result<(), AccountError> {
        let detail = json!({ "service": client.service, "scopes": client.scopes, "wards": client.wards, "redirect_uris": client.redirect_uris });
        let entry = by.audit("client", "client_created", &client.client_id, detail);
        self.store.insert_client(client.clone(), entry).await?;
        self.refresh().await;
        Ok(())
    }

    async fn change(
        &self,
        client_id: &str,
        action: &str,
        by: &Editor,
        change: impl FnOnce(&mut Client) + Send,
    ) -> Result<Client, AccountError> {
        administers_clients(by)?;
        let _one_at_a_time = self.changes.lock().await;
        let mut client = self.service_account(client_id).await?;
        let generation_was = client.generation;
        change(&mut client);
        client.generation += 1;
        let entry = by.audit("client", action, client_id, json!({}));
        self.store.update_client(client.clone(), generation_was, entry).await?;
        self.refresh().await;
        Ok(client)
    }
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

fn checked_name(name: &str) -> Result<String, AccountError> {
    clean(name, super::users::NAME_MAX).map_err(|why| AccountError::invalid("name", why))
}

/// Exact URIs that cannot be mistaken for another place: no fragment, no user part, no dots or backslashes to be folded away.
fn is_redirect_uri(uri: &str) -> bool {
    let printable = uri.len() <= 500 && uri.bytes().all(|b| b.is_ascii_graphic());
    let tricky = uri.contains(['#', '@', '\\', '*', '<', '>', '"', ';']) || uri.contains("..");
    if !printable || tricky {
        return false;
    }
    match uri.split_once("://") {
        Some(("http" | "https", rest)) => {
            let origin_end = uri.len() - rest.len() + rest.find(['/', '?']).unwrap_or(rest.len());
            uri[..origin_end].parse::<PublicUrl>().is_ok()
        }
        _ => uri.split_once(':').is_some_and(|(scheme, path)| {
            scheme.contains('.')
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
