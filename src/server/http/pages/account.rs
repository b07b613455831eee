//! One's own account: where one is signed in, the second factor, and the way to another password. Shows and changes nobody else's.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    Halt, Step,
    browser::Visitor,
    login::end_own,
    next::{HOME, Next},
    reply,
    views::{AccountPage, SessionRow},
    words::{Words, filled},
};
use crate::server::{
    auth::{accounts::Editor, sessions::WEB},
    http::AppState,
    ports::{Session, StoreResult, User},
};

/// Shows it.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let next = Next::to(HOME, None);
    let (session, user) = visitor.settled(&state, &next, Step::Done).await?;
    let left = state.auth.recovery_codes_left(user.id).await?;
    let page = AccountPage {
        page: visitor.frame(&next),
        title: visitor.w.account,
        name: user.name.clone(),
        done: done(visitor.w, uri.query()),
        recovery_codes: left.map(|left| filled(visitor.w.factor_on, &left.to_string())),
        sessions: rows(&state, visitor.w, session, user).await?,
    };
    Ok(visitor.page(StatusCode::OK, &page, reply::HERE))
}

/// Ends one sign-in.
pub(super) async fn end(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let typed = visitor.form(&headers, body).await?;
    let (_, user) = visitor.settled(&state, &Next::to(HOME, None), Step::Done).await?;
    if let Ok(sid) = typed.get("sid").parse() {
        end_own(&state, user, sid).await?;
    }
    Ok(reply::see_other("/account?done=session"))
}

/// Ends all of them, this one too.
pub(super) async fn end_all(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    visitor.form(&headers, body).await?;
    let (_, user) = visitor.settled(&state, &Next::to(HOME, None), Step::Done).await?;
    state.auth.end_all_sessions(user, &Editor::oneself(&user.username)).await?;
    Ok(visitor.forget(reply::see_other("/login")))
}

/// What the form before did, by a word of ours in the address.
fn done(w: &Words, query: Option<&str>) -> Option<&'static str> {
    match query? {
        "done=password" => Some(w.account_done_password),
        "done=session" => Some(w.account_done_session),
        "done=factor" => Some(w.account_done_factor),
        _ => None,
    }
}

async fn rows(state: &AppState, w: &Words, here: &Session, user: &User) -> StoreResult<Vec<SessionRow>> {
    let clients = state.auth.clients().await?;
    let zone = state.reference.site().await?.time_zone;
    let app = |id: &str| {
        let known = clients.iter().find(|client| client.client_id == id).map(|client| client.name.clone());
        if id == WEB { w.browser.to_owned() } else { known.unwrap_or_else(|| id.to_owned()) }
    };
    let row = |session: Session| SessionRow {
        app: app(&session.client_id),
        last_used: w.moment(session.last_used_at, &zone),
        since: w.moment(session.created_at, &zone),
        here: session.sid == here.sid,
        sid: session.sid,
        device: session.device,
    };
    Ok(state.auth.sessions_of(user).await?.into_iter().map(row).collect())
}
