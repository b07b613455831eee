//! What commands share: the resolved configuration, the client, the output. Flags come before the environment, that before the file.

use std::path::PathBuf;

use medreq::{
    client::{Client, Settings, TokenSource},
    domain::quantity::Quantity,
};

use crate::{cli::Globals, config::Config, failure::Failure, output::Output};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";

/// What commands share.
pub(crate) struct Context {
    pub(crate) output: Output,
    url: String,
    token: TokenSource,
    on_behalf_of: Option<String>,
    decimal_separator: char,
}

impl Context {
    pub(crate) fn new(globals: Globals) -> Result<Self, Failure> {
        let config = match globals.config.filter(|path| !path.as_os_str().is_empty()) {
            Some(path) => Config::read(&path)?,
            None => Config::default(),
        };
        let given = |text: &String| !text.is_empty();
        let separator = match var("MEDREQ_DECIMAL_SEPARATOR").as_deref() {
            None => config.decimal_separator.unwrap_or('.'),
            Some(",") => ',',
            Some(".") => '.',
            Some(_) => return Err(Failure::usage("MEDREQ_DECIMAL_SEPARATOR is \",\" or \".\"")),
        };
        Ok(Self {
            output: Output::new(globals.json),
            url: globals.url.filter(given).or(config.url).unwrap_or_else(|| DEFAULT_URL.to_owned()),
            token: token_source(globals.token_file, config.token_file),
            on_behalf_of: globals
                .on_behalf_of
                .or_else(|| var("MEDREQ_ON_BEHALF_OF"))
                .filter(given)
                .or(config.on_behalf_of),
            decimal_separator: separator,
        })
    }

    /// The client; everything that it calls needs a token.
    pub(crate) fn client(&self) -> Result<Client, Failure> {
        if matches!(self.token, TokenSource::None) {
            return Err(Failure::NoToken);
        }
        let client = Client::new(&self.url, self.token.clone(), Settings::default())?;
        Ok(match &self.on_behalf_of {
            Some(user) => client.on_behalf_of(user),
            None => client,
        })
    }

    /// Reads a quantity that a person typed.
    pub(crate) fn quantity(&self, text: &str) -> Result<Quantity, Failure> {
        Quantity::parse_typed(text, self.decimal_separator).map_err(|error| Failure::usage(error.to_string()))
    }

    /// How people here write decimals.
    pub(crate) fn decimal_separator(&self) -> char {
        self.decimal_separator
    }
}

/// An environment variable that says something.
fn var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn token_source(flag: Option<PathBuf>, config: Option<PathBuf>) -> TokenSource {
    if let (None, Some(token)) = (&flag, var("MEDREQ_TOKEN")) {
        return TokenSource::fixed(&token);
    }
    match flag.or_else(|| var("MEDREQ_TOKEN_FILE").map(PathBuf::from)).or(config) {
        Some(path) => TokenSource::callback(move || read_token(path.clone())),
        None => TokenSource::None,
    }
}

/// Reads it anew each time: whoever renews the file renews a running `ticket watch` too.
async fn read_token(path: PathBuf) -> Result<String, String> {
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| format!("the token file {} cannot be read: {error}", path.display()))?;
    if text.trim().is_empty() {
        return Err(format!("the token file {} is empty; put an access token into it", path.display()));
    }
    Ok(text)
}
