//! Where the client's access token comes from. A token is asked for at each attempt and never kept in a message, a log or `Debug`.

use std::{fmt, pin::Pin, sync::Arc};

use super::ClientError;

/// What a callback gives: the token, or why there is none and what to do.
type TokenFuture = Pin<Box<dyn Future<Output = Result<String, ClientError>> + Send>>;

/// Where the access token comes from.
#[derive(Clone, Default)]
pub enum TokenSource {
    /// Nowhere: only what is open to everybody can be called.
    #[default]
    None,
    /// This one, until it expires.
    Static(Arc<str>),
    /// Asked at each attempt: a file read again, a session that renews itself.
    Callback(Arc<dyn Fn(Option<String>) -> TokenFuture + Send + Sync>),
}

impl TokenSource {
    /// Always this token.
    #[must_use]
    pub fn fixed(token: &str) -> Self {
        Self::Static(Arc::from(token.trim()))
    }

    /// Asks `callback` at each attempt. It is given the token that the server has just refused (401), if it did: another one is tried, once.
    /// What it began may be dropped before its end.
    pub fn callback<F, R>(callback: F) -> Self
    where
        F: Fn(Option<String>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, ClientError>> + Send + 'static,
    {
        Self::Callback(Arc::new(move |refused| Box::pin(callback(refused))))
    }

    pub(super) async fn token(&self, refused: Option<&str>) -> Result<Option<String>, ClientError> {
        match self {
            Self::None => Ok(None),
            Self::Static(token) => Ok(Some(token.as_ref().to_owned())),
            Self::Callback(callback) => match callback(refused.map(ToOwned::to_owned)).await {
                Ok(token) => Ok(Some(token.trim().to_owned())),
                // Whatever became of the token: the call itself was not sent, or was refused.
                Err(ClientError::Transport { message, .. }) => {
                    Err(ClientError::Transport { message, outcome_unknown: false })
                }
                Err(other) => Err(other),
            },
        }
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "TokenSource::None",
            Self::Static(_) => "TokenSource::Static(…)",
            Self::Callback(_) => "TokenSource::Callback(…)",
        })
    }
}
