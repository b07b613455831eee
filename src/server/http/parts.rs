//! Which parts of the API a node serves itself, and who is asked for the others. It must never answer for a part that it does not serve.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};

use super::{AppState, error::ApiError, gateway::Gateway, readiness::Checks};

/// A part of the API that may have hosts of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Signs people in: all that is not below `/v1`.
    Auth,
    /// Serves tickets, and what they are about: `/v1`.
    Tickets,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Auth, Self::Tickets];

    /// The part of a path; `None` of what every node answers for itself.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/healthz" | "/readyz" | "/metrics" => None,
            path if path.starts_with("/v1/") => Some(Self::Tickets),
            _ => Some(Self::Auth),
        }
    }

    /// Its name in the configuration and in `/readyz`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Tickets => "tickets",
        }
    }
}

/// Who serves what.
pub struct Division {
    here: Vec<Part>,
    gateway: Option<Arc<Gateway>>,
}

impl Division {
    /// This node serves everything.
    #[must_use]
    pub fn all_here() -> Self {
        Self { here: Part::ALL.to_vec(), gateway: None }
    }

    /// This node serves these parts, and hands the others on where it is a gateway.
    #[must_use]
    pub fn new(here: Vec<Part>, gateway: Option<Arc<Gateway>>) -> Self {
        Self { here, gateway }
    }

    /// How the hosts of the other parts stand.
    pub(super) fn checks(&self) -> Checks {
        self.gateway.as_ref().map(|gateway| gateway.checks()).unwrap_or_default()
    }
}

/// Lets through what this node serves, and hands on or refuses (RFC 9110 §15.5.20) what it does not.
pub(super) async fn divide(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let Division { here, gateway } = &state.division;
    match Part::of(request.uri().path()) {
        Some(part) if !here.contains(&part) => match gateway {
            Some(gateway) => gateway.pass(part, request).await.unwrap_or_else(IntoResponse::into_response),
            None => served_elsewhere(part).into_response(),
        },
        _ => next.run(request).await,
    }
}

fn served_elsewhere(part: Part) -> ApiError {
    let what = match part {
        Part::Auth => "does not sign people in",
        Part::Tickets => "serves no tickets",
    };
    ApiError::Other {
        status: StatusCode::MISDIRECTED_REQUEST,
        code: "served_elsewhere",
        field: None,
        detail: format!("this node {what}; ask the gateway of the hospital"),
    }
}
