//! The one-time link of the first administrator: a form and its answer. Never shows a password or the link again.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};

use super::{
    Halt, again,
    browser::Visitor,
    next::Next,
    reply,
    views::{Fault, Field, FormPage},
};
use crate::server::{
    auth::{accounts::AccountError, bootstrap::FirstAdmin},
    http::{AppState, extract::Path},
};

/// Shows the form of the first administrator.
pub(super) async fn show(
    State(state): State<AppState>,
    Path(_): Path<String>,
    visitor: Visitor,
) -> Result<Response, Halt> {
    if state.auth.needs_setup().await? { Ok(form(&visitor, "", "", None)) } else { Ok(spent(&visitor)) }
}

/// Creates the first administrator.
pub(super) async fn submit(
    State(state): State<AppState>,
    Path(token): Path<String>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, w) = (visitor.form(&headers, body).await?, visitor.w);
    let (username, name, password) = (typed.get("username"), typed.get("name"), typed.get("new_password"));
    let wrong = |field, text: &str| Ok(form(&visitor, &username, &name, Some(Fault::at(field, text))));
    if password != typed.get("repeat") {
        return wrong("repeat", w.differ);
    }
    let admin = FirstAdmin { username: &username, name: &name, password: &password };
    match state.auth.complete_setup(&token, admin).await {
        Ok(_) => {
            let texts = (w.setup_done, w.setup_done_next);
            Ok(reply::message(w, StatusCode::OK, texts, None, Some(("/login", w.login))))
        }
        Err(AccountError::Invalid { field: "username", .. }) => wrong("username", w.bad_username),
        Err(AccountError::Invalid { field: "name", .. }) => wrong("name", w.bad_name),
        Err(AccountError::Invalid { .. }) => wrong("new_password", w.bad_password),
        Err(AccountError::Exists { .. }) => wrong("username", w.taken_username),
        Err(AccountError::LinkSpent) => Ok(spent(&visitor)),
        Err(error) => Err(error.into()),
    }
}

fn form(visitor: &Visitor, username: &str, name: &str, fault: Option<Fault>) -> Response {
    let (w, status) = (visitor.w, again(fault.as_ref()));
    let fields = vec![Field::username(w, username), Field::name(w, name), Field::new_password(w), Field::repeat(w)];
    let frame = visitor.frame(&Next::of_query(None));
    let page = FormPage::new(frame, w.setup, vec![w.setup_intro.to_owned()], fault, fields, w.setup_button);
    visitor.page(status, &page, reply::HERE)
}

fn spent(visitor: &Visitor) -> Response {
    reply::message(visitor.w, StatusCode::GONE, (visitor.w.setup_spent, visitor.w.setup_spent_next), None, None)
}
