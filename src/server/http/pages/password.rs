//! Choosing a password: one's own, because one must or wants to, or by a one-time link. Never shows one again.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    Halt, Step, again,
    browser::Visitor,
    consent, login,
    next::{HOME, Next},
    reply,
    views::{Fault, Field, FormPage, Frame},
    words::filled,
};
use crate::server::{
    auth::accounts::AccountError,
    http::{AppState, extract::Path},
    ports::User,
};

/// The page of one's own.
pub(super) const CHANGE: &str = "/account/password";

/// Shows the form to somebody who is signed in.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let next = Next::of_query(uri.query());
    visitor.settled(&state, &next, Step::Password).await?;
    form(&state, &visitor, &next, None).await
}

/// Changes it. Everything that was issued is dead afterwards, so this browser is signed in anew.
pub(super) async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::of_query(uri.query()));
    let (session, user) = visitor.settled(&state, &next, Step::Password).await?;
    let (w, new) = (visitor.w, typed.get("new_password"));
    if new != typed.get("repeat") {
        return form(&state, &visitor, &next, Some(Fault::at("repeat", w.differ))).await;
    }
    let changed = state.auth.change_own_password(&user.username, &typed.get("password"), &new, visitor.source).await;
    let user = match changed {
        Ok(user) => user,
        Err(AccountError::WrongPassword) => {
            return form(&state, &visitor, &next, Some(Fault::at("password", w.wrong_current))).await;
        }
        Err(AccountError::Invalid { .. }) => {
            return form(&state, &visitor, &next, Some(Fault::at("new_password", w.bad_password))).await;
        }
        Err(AccountError::TooSoon(wait)) => {
            let fault = login::too_soon(&visitor, "password", wait);
            return Ok(login::held_back(form(&state, &visitor, &next, Some(fault)).await?, Some(wait)));
        }
        Err(error) => return Err(error.into()),
    };
    let methods: Vec<&str> = session.sign_in.methods.iter().map(String::as_str).collect();
    let (_, secret) = state.auth.open_browser_session(&user, &methods, &visitor.device, visitor.source).await?;
    let onward = if next.as_str() == HOME { "/account?done=password" } else { next.as_str() };
    Ok(visitor.keep(reply::see_other(onward), &secret))
}

/// Shows the form to whoever holds a link.
pub(super) async fn show_reset(
    State(state): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
) -> Result<Response, Halt> {
    Ok(reset_form(&visitor, &subject(&state, &visitor, &token).await?, None))
}

/// Spends the link.
pub(super) async fn submit_reset(
    State(state): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, w) = (visitor.form(&headers, body).await?, visitor.w);
    let user = subject(&state, &visitor, &token).await?;
    let new = typed.get("new_password");
    if new != typed.get("repeat") {
        return Ok(reset_form(&visitor, &user, Some(Fault::at("repeat", w.differ))));
    }
    match state.auth.complete_reset(&token, &new).await {
        Ok(_) => {
            let texts = (w.reset_done, w.setup_done_next);
            Ok(reply::message(w, StatusCode::OK, texts, None, Some(("/login", w.login))))
        }
        Err(AccountError::LinkSpent) => Ok(spent(&visitor)),
        Err(AccountError::Invalid { .. }) => {
            Ok(reset_form(&visitor, &user, Some(Fault::at("new_password", w.bad_password))))
        }
        Err(error) => Err(error.into()),
    }
}

/// Whose password a link sets.
async fn subject(state: &AppState, visitor: &Visitor, token: &str) -> Result<User, Halt> {
    state.auth.reset_subject(token).await.map_err(|error| match error {
        AccountError::LinkSpent => spent(visitor).into(),
        error => error.into(),
    })
}

async fn form(state: &AppState, visitor: &Visitor, next: &Next, fault: Option<Fault>) -> Result<Response, Halt> {
    let (w, status) = (visitor.w, again(fault.as_ref()));
    let must = visitor.signed_in.as_ref().is_some_and(|(_, user)| user.must_change_password);
    let lines = [w.change_must].into_iter().filter(|_| must).chain([w.change_intro]).map(str::to_owned).collect();
    let fields = vec![Field::password(w.current_password), Field::new_password(w), Field::repeat(w)];
    let page = FormPage::new(visitor.frame(next), w.change, lines, fault, fields, w.change_button);
    let waiting = consent::waiting(state, next).await?;
    Ok(visitor.page(status, &page, &consent::form_action(waiting.as_ref())))
}

fn reset_form(visitor: &Visitor, user: &User, fault: Option<Fault>) -> Response {
    let (w, status) = (visitor.w, again(fault.as_ref()));
    let lines = vec![filled(w.reset_intro, user.username.as_str())];
    let frame = Frame { who: None, ..visitor.frame(&Next::of_query(None)) };
    let page =
        FormPage::new(frame, w.reset, lines, fault, vec![Field::new_password(w), Field::repeat(w)], w.reset_button);
    visitor.page(status, &page, reply::HERE)
}

fn spent(visitor: &Visitor) -> Response {
    reply::message(visitor.w, StatusCode::GONE, (visitor.w.reset_spent, visitor.w.reset_spent_next), None, None)
}
