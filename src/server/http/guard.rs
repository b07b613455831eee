//! The gate: what an operation's documentation asks of a token is asked here, before any extractor runs. It lets nothing else pass.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderMap, Method, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::Value;

use super::{AppState, error::ApiError, extract::Caller, openapi};
use crate::{
    api::ON_BEHALF_OF,
    server::auth::{AuthError, Principal, Scope},
};

/// What an operation asks of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Access {
    /// Nothing.
    Open,
    /// A token with all these scopes.
    Scopes(Vec<Scope>),
}

/// The operations with what they ask, read from their documentation.
pub(super) struct Guard {
    access: HashMap<(String, Method), Access>,
    state: AppState,
}

impl Guard {
    /// Reads the document.
    pub(super) fn new(document: &Value, state: AppState) -> Self {
        let operations = openapi::operations(document);
        let access = operations.map(|(path, method, operation)| ((path.to_owned(), method), access_of(operation)));
        Self { access: access.collect(), state }
    }

    fn of(&self, request: &Request) -> Option<&Access> {
        let path = request.extensions().get::<MatchedPath>()?.as_str().to_owned();
        // A HEAD is answered by the handler of GET.
        let method = if request.method() == Method::HEAD { Method::GET } else { request.method().clone() };
        self.access.get(&(path, method))
    }
}

fn access_of(operation: &Value) -> Access {
    let known = |name: String| name.parse().unwrap_or_else(|error| panic!("a documented scope: {error}"));
    openapi::scopes_of(operation).map_or(Access::Open, |scopes| Access::Scopes(scopes.into_iter().map(known).collect()))
}

/// Lets a request pass to its operation: 401 where nobody is known, 403 where a scope is missing.
pub(super) async fn authenticate(State(guard): State<Arc<Guard>>, mut request: Request, next: Next) -> Response {
    if let Some(Access::Scopes(scopes)) = guard.of(&request) {
        match admit(&guard.state, request.headers(), scopes).await {
            Ok(principal) => {
                request.extensions_mut().insert(Caller(principal));
            }
            Err(error) => return error.into_response(),
        }
    }
    next.run(request).await
}

async fn admit(state: &AppState, headers: &HeaderMap, scopes: &[Scope]) -> Result<Principal, ApiError> {
    let token = bearer(headers)?;
    let on_behalf_of = match headers.get(ON_BEHALF_OF) {
        None => None,
        // Names are UTF-8, which HTTP's own text type refuses.
        Some(value) => Some(std::str::from_utf8(value.as_bytes()).map_err(|_| AuthError::UnknownOnBehalfOf)?),
    };
    let principal = state.auth.authenticate(token, on_behalf_of).await?;
    scopes.iter().try_for_each(|scope| principal.require(*scope))?;
    Ok(principal)
}

fn bearer(headers: &HeaderMap) -> Result<&str, AuthError> {
    let value = headers.get(header::AUTHORIZATION).ok_or(AuthError::MissingToken)?;
    let text = value.to_str().map_err(|_| AuthError::InvalidToken)?;
    let (scheme, token) = text.split_once(' ').ok_or(AuthError::MissingToken)?;
    if scheme.eq_ignore_ascii_case("bearer") { Ok(token.trim()) } else { Err(AuthError::MissingToken) }
}
