//! Which access token a command uses, and how it is told. What a person sets for this command comes before what they signed in to.

use std::path::PathBuf;

use medreq::client::{ClientError, TokenSource, Url};

use crate::{failure::Failure, login, login::LoginFile};

/// Where the access token comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenFrom {
    /// `MEDREQ_TOKEN`.
    Environment,
    /// A file named by flag, environment or configuration.
    File(PathBuf),
    /// `medreq login`.
    Login(LoginFile),
    /// Nowhere.
    Nowhere,
}

impl TokenFrom {
    /// The first that is there: the flag, `MEDREQ_TOKEN`, the configured file, the login of this server. A token is no setting: nothing prints it.
    pub(crate) fn find(url: &str, flag: Option<PathBuf>, config: Option<PathBuf>) -> Self {
        if flag.is_none() && token_variable().is_some() {
            return Self::Environment;
        }
        if let Some(path) = flag.or(config) {
            return Self::File(path);
        }
        // What is no URL has no login; who connects is told what is wrong with it.
        let login = Url::parse(url.trim()).ok().and_then(|url| LoginFile::of(&url));
        login.filter(|login| login.path().exists()).map_or(Self::Nowhere, Self::Login)
    }

    /// The token, read or renewed when it is needed.
    pub(crate) fn source(&self, url: &str, roots: Option<Vec<u8>>) -> Result<TokenSource, Failure> {
        Ok(match self {
            Self::Environment => TokenSource::fixed(&token_variable().unwrap_or_default()),
            Self::File(path) => {
                let path = path.clone();
                TokenSource::callback(move |_| read_token(path.clone()))
            }
            Self::Login(file) => login::renewing(url, roots, file.clone())?,
            Self::Nowhere => return Err(Failure::NoToken),
        })
    }
}

impl std::fmt::Display for TokenFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment => f.write_str("MEDREQ_TOKEN"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Login(file) => write!(f, "medreq login ({})", file.path().display()),
            Self::Nowhere => f.write_str("nowhere"),
        }
    }
}

fn token_variable() -> Option<String> {
    std::env::var("MEDREQ_TOKEN").ok().filter(|token| !token.is_empty())
}

/// Reads it anew each time: whoever renews the file renews a running `ticket watch` too.
async fn read_token(path: PathBuf) -> Result<String, ClientError> {
    let text = tokio::fs::read_to_string(&path)
        .await
        .map_err(|error| ClientError::Setup(format!("the token file {} cannot be read: {error}", path.display())))?;
    if text.trim().is_empty() {
        let path = path.display();
        return Err(ClientError::Setup(format!("the token file {path} is empty; put an access token into it")));
    }
    Ok(text)
}
