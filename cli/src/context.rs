//! What commands share: the resolved configuration, the client, the output. Flags come before the environment, that before the file.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use medreq::{
    client::{Client, Settings, TokenSource, Url},
    domain::quantity::Quantity,
    server::config::{Config, ConfigError, Layers, SITE_FILE},
};

use serde::Serialize;
use tokio::sync::OnceCell;

use crate::{
    cli::Globals, failure::Failure, login, login::LoginFile, output::Output, token::TokenFrom, values::When, zone::Zone,
};

/// What commands share.
pub(crate) struct Context {
    pub(crate) output: Output,
    /// What is in force.
    pub(crate) config: Config,
    /// The same with where it comes from.
    pub(crate) layers: Layers,
    token: TokenFrom,
    zone: OnceCell<Zone>,
}

impl Context {
    /// Reads the file that was named, or with `site` that of the machine.
    pub(crate) fn new(globals: Globals, site: bool) -> Result<Self, Failure> {
        let mut layers = Layers::default();
        let site_file = || Some(PathBuf::from(SITE_FILE)).filter(|file| site && file.exists());
        if let Some(file) = globals.config.filter(|path| !path.as_os_str().is_empty()).or_else(site_file) {
            layers.file(&file)?;
        }
        layers.environment(std::env::vars_os())?;
        layers.flag("--url", "client.url", globals.url.as_deref())?;
        let token_file = globals.token_file.as_deref().and_then(Path::to_str);
        layers.flag("--token-file", "client.token_file", token_file)?;
        layers.flag("--on-behalf-of", "client.on_behalf_of", globals.on_behalf_of.as_deref())?;
        let config = layers.config()?;
        let token = TokenFrom::find(&config.client.url, globals.token_file, config.client.token_file.clone());
        Ok(Self { output: Output::new(globals.json), config, layers, token, zone: OnceCell::new() })
    }

    /// The client; everything that it calls needs a token.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        let client = self.client_with(self.token.source(self.url(), self.roots()?)?)?;
        Ok(match &self.config.client.on_behalf_of {
            Some(user) => client.on_behalf_of(user),
            None => client,
        })
    }

    /// A client of the server with this token, acting for nobody else.
    pub(crate) fn client_with(&self, token: TokenSource) -> Result<Client, Failure> {
        Ok(Client::new(self.url(), token, Settings { roots: self.roots()?, ..Settings::default() })?)
    }

    /// The configured authority's certificate, where there is one.
    fn roots(&self) -> Result<Option<Vec<u8>>, Failure> {
        let file = self.config.client.ca_file.as_deref();
        file.map(|file| std::fs::read(file).map_err(|error| Failure::file(file, &error))).transpose()
    }

    /// The token of a login, renewed when it is needed.
    pub(crate) fn renewing(&self, file: LoginFile) -> Result<TokenSource, Failure> {
        Ok(login::renewing(self.url(), self.roots()?, file)?)
    }

    /// Where the access token comes from.
    pub(crate) fn token_from(&self) -> &TokenFrom {
        &self.token
    }

    /// Where the login of this server is kept, whether there is one or not.
    pub(crate) fn login_file(&self) -> Result<LoginFile, Failure> {
        let url = Url::parse(self.url().trim());
        let url = url.map_err(|error| Failure::usage(format!("{:?} is no URL of a server: {error}", self.url())))?;
        let no_home = || Failure::usage("a login has no place: neither HOME nor XDG_STATE_HOME is set");
        LoginFile::of(&url).ok_or_else(no_home)
    }

    /// The server's URL as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.config.client.url
    }

    /// The hospital's zone, asked for once; this machine's where the server does not tell it: an older one, or to a token that may not ask.
    pub(crate) async fn zone(&self) -> Result<&Zone, Failure> {
        self.zone
            .get_or_try_init(async || match self.client()?.site().await {
                Ok(site) => Ok(Zone::of_site(&site.time_zone).unwrap_or_else(Zone::of_machine)),
                Err(error) if error.problem().is_some_and(|it| matches!(it.status, 403 | 404)) => {
                    Ok(Zone::of_machine())
                }
                Err(error) => Err(error.into()),
            })
            .await
    }

    /// The zone to print times in. What was fetched is printed, whatever becomes of the question in which zone; JSON asks nothing.
    pub(crate) async fn shown_zone(&self) -> Zone {
        let zone = if self.output.json { None } else { self.zone().await.ok() };
        zone.cloned().unwrap_or_else(Zone::of_machine)
    }

    /// Prints as [`Output::show`] does, with times in the hospital's zone. JSON has them as the API has.
    pub(crate) async fn show<T: Serialize>(
        &self,
        value: &T,
        text: impl FnOnce(&T, &Zone) -> String,
    ) -> Result<(), Failure> {
        let zone = self.shown_zone().await;
        self.output.show(value, |value| text(value, &zone))
    }

    /// The instant that a person typed: without an offset it is the hospital's time.
    pub(crate) async fn instant(&self, when: When) -> Result<Timestamp, Failure> {
        let zone = if when.is_local() { self.zone().await? } else { &Zone::of_machine() };
        if when.is_local() && !zone.of_site {
            self.output.hint("the server does not tell the hospital's time zone; times are read in this machine's");
        }
        when.instant(&zone.now()).map_err(Failure::Usage)
    }

    /// The same, where one was typed.
    pub(crate) async fn instant_if(&self, when: Option<When>) -> Result<Option<Timestamp>, Failure> {
        match when {
            Some(when) => self.instant(when).await.map(Some),
            None => Ok(None),
        }
    }

    /// Reads a quantity that a person typed.
    pub(crate) fn quantity(&self, text: &str) -> Result<Quantity, Failure> {
        Quantity::parse_typed(text, self.decimal_separator()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// How people here write decimals.
    pub(crate) fn decimal_separator(&self) -> char {
        self.config.client.decimal_separator
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}
