//! Signing in by username and password, and signing out. Never says which of the two was wrong.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
    response::Response,
};
use uuid::Uuid;

use super::{
    Halt, again,
    browser::Visitor,
    consent,
    next::Next,
    reply,
    views::{Fault, Field, FormPage, Frame},
    words::filled,
};
use crate::server::{
    auth::{
        accounts::{AccountError, Editor},
        signin::SignInError,
    },
    http::{AppState, error::retry_after},
    ports::User,
};

/// Shows the form, also to somebody who is signed in: they may be asked anew.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let next = Next::of_query(uri.query());
    form(&state, &visitor, &next, "", None).await
}

/// Signs in and leads on.
pub(super) async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::of_query(uri.query()));
    let username = typed.get("username");
    match state.auth.authenticate_password(&username, &typed.get("password"), visitor.source).await {
        Ok(user) => {
            let response = reply::see_other(next.as_str());
            open(&state, &visitor, &user, &["pwd"], response).await
        }
        Err(error) => {
            let (fault, wait) = fault(&visitor, "password", visitor.w.login_wrong, error)?;
            Ok(held_back(form(&state, &visitor, &next, &username, Some(fault)).await?, wait))
        }
    }
}

/// Ends the sign-in of this browser.
pub(super) async fn sign_out(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    visitor.form(&headers, body).await?;
    end_former(&state, &visitor).await?;
    Ok(visitor.forget(reply::see_other(&Next::of_query(uri.query()).after("/login"))))
}

/// Opens a sign-in of this browser in place of the one it had: a step more has another secret, so that nobody who knew the one before is
/// carried along.
pub(super) async fn open(
    state: &AppState,
    visitor: &Visitor,
    user: &User,
    methods: &[&str],
    response: Response,
) -> Result<Response, Halt> {
    let (_, secret) = state.auth.open_browser_session(user, methods, &visitor.device, visitor.source).await?;
    end_former(state, visitor).await?;
    Ok(visitor.keep(response, &secret))
}

async fn end_former(state: &AppState, visitor: &Visitor) -> Result<(), Halt> {
    match &visitor.signed_in {
        Some((session, user)) => end_own(state, user, session.sid).await,
        None => Ok(()),
    }
}

/// Ends one of somebody's own sign-ins; one that is over already is what they wanted.
pub(super) async fn end_own(state: &AppState, user: &User, sid: Uuid) -> Result<(), Halt> {
    match state.auth.end_session(user, sid, &Editor::oneself(&user.username)).await {
        Ok(()) | Err(AccountError::NotFound { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What to tell somebody who failed too often.
pub(super) fn too_soon(visitor: &Visitor, field: &'static str, wait: Duration) -> Fault {
    Fault::at(field, filled(visitor.w.too_soon, &visitor.w.wait(wait)))
}

/// What to tell somebody whose password was not taken, and how long they wait.
pub(super) fn fault(
    visitor: &Visitor,
    field: &'static str,
    wrong: &'static str,
    error: SignInError,
) -> Result<(Fault, Option<Duration>), Halt> {
    match error {
        SignInError::Refused => Ok((Fault::at(field, wrong), None)),
        SignInError::TooSoon(wait) => Ok((too_soon(visitor, field, wait), Some(wait))),
        SignInError::Store(error) => Err(error.into()),
    }
}

/// The form of somebody who must wait, so that programs know it, too.
pub(super) fn held_back(mut page: Response, wait: Option<Duration>) -> Response {
    if let Some(wait) = wait {
        *page.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        page.headers_mut().insert(header::RETRY_AFTER, retry_after(wait));
    }
    page
}

async fn form(
    state: &AppState,
    visitor: &Visitor,
    next: &Next,
    username: &str,
    fault: Option<Fault>,
) -> Result<Response, Halt> {
    let (w, status) = (visitor.w, again(fault.as_ref()));
    let request = consent::waiting(state, next).await?;
    let lines = request.iter().map(|request| filled(w.login_to, &request.client.name)).collect();
    let hint = request.as_ref().and_then(|request| request.login_hint.as_deref()).unwrap_or_default();
    let username = if username.is_empty() { hint } else { username };
    let fields = vec![Field::username(w, username), Field::password(w.password)];
    let frame = Frame { who: None, ..visitor.frame(next) };
    let page = FormPage::new(frame, w.login, lines, fault, fields, w.login_button);
    Ok(visitor.page(status, &page, &consent::form_action(request.as_ref())))
}
