//! Where the client's access token comes from. A token is asked for at each attempt and never kept in a message, a log or `Debug`.

use std::{fmt, pin::Pin, sync::Arc};

/// What a callback gives: the token, or why there is none and what to do.
type TokenFuture = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// Where the access token comes from.
#[derive(Clone, Default)]
pub enum TokenSource {
    /// Nowhere: only what is open to everybody can be called.
    #[default]
    None,
    /// This one, until it expires.
    Static(Arc<str>),
    /// Asked at each attempt: a file read again, a session that renews itself.
    Callback(Arc<dyn Fn() -> TokenFuture + Send + Sync>),
}

impl TokenSource {
    /// Always this token.
    #[must_use]
    pub fn fixed(token: &str) -> Self {
        Self::Static(Arc::from(token.trim()))
    }

    /// Asks `callback` at each attempt.
    pub fn callback<F, R>(callback: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, String>> + Send + 'static,
    {
        Self::Callback(Arc::new(move || Box::pin(callback())))
    }

    pub(super) async fn token(&self) -> Result<Option<String>, String> {
        match self {
            Self::None => Ok(None),
            Self::Static(token) => Ok(Some(token.as_ref().to_owned())),
            Self::Callback(callback) => callback().await.map(|token| Some(token.trim().to_owned())),
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
