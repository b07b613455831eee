//! A device that waits for its person's word (RFC 8628): always shown with what it is and where it asks from, and never let in unasked,
//! since whoever sends somebody a code wants just that (§5.4).

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    Halt, Step, again,
    browser::Visitor,
    login,
    next::{DEVICE, Next},
    reply,
    views::{DevicePage, Fault, Field, FormPage},
};
use crate::server::{
    auth::{
        clients::Sort,
        device::{DeviceError, shown},
    },
    http::AppState,
    ports::Session,
};

/// Asks for the code, or with one in the address for the person's word.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let next = Next::to(DEVICE, uri.query());
    let (session, _) = visitor.settled(&state, &next, Step::Done).await?;
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let given = query.into_iter().find(|(name, _)| name == "user_code").map(|(_, code)| code.into_owned());
    match given.filter(|code| !code.is_empty()) {
        None => Ok(ask(&visitor, "", None)),
        Some(code) => confirm(&state, &visitor, session, &code).await,
    }
}

/// Takes the code, or the person's word.
pub(super) async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let typed = visitor.form(&headers, body).await?;
    let code = typed.get("user_code");
    let next = Next::to(DEVICE, None);
    let (session, _) = visitor.settled(&state, &next, Step::Done).await?;
    let approve = match typed.get("decision").as_str() {
        "allow" => true,
        "deny" => false,
        _ => return confirm(&state, &visitor, session, &code).await,
    };
    let w = visitor.w;
    match state.auth.decide_device(&code, approve, session, visitor.source).await {
        Ok(_) => {
            let texts = if approve { (w.device_done, w.device_done_next) } else { (w.device_not, w.device_not_next) };
            Ok(reply::message(w, StatusCode::OK, texts, None, None))
        }
        Err(error) => refused(&visitor, &code, w.device_late, error),
    }
}

async fn confirm(state: &AppState, visitor: &Visitor, session: &Session, code: &str) -> Result<Response, Halt> {
    let w = visitor.w;
    let grant = match state.auth.waiting_device(code, session, visitor.source).await {
        Ok(grant) => grant,
        Err(error) => return refused(visitor, code, w.device_unknown, error),
    };
    let app = state.auth.client(&grant.client_id, Sort::App).await?;
    let page = DevicePage {
        page: visitor.frame(&Next::to(DEVICE, None)),
        title: w.device_sure,
        user_code: shown(&grant.user_code),
        app: app.name,
        device: grant.device,
        source: grant.source,
        scopes: w.scopes_of(&grant.scope),
    };
    Ok(visitor.page(StatusCode::OK, &page, reply::HERE))
}

fn refused(visitor: &Visitor, code: &str, unknown: &'static str, error: DeviceError) -> Result<Response, Halt> {
    match error {
        DeviceError::Unknown => Ok(ask(visitor, code, Some(Fault::at("user_code", unknown)))),
        DeviceError::TooSoon(wait) => {
            let fault = login::too_soon(visitor, "user_code", wait);
            Ok(login::held_back(ask(visitor, code, Some(fault)), Some(wait)))
        }
        DeviceError::Store(error) => Err(error.into()),
    }
}

fn ask(visitor: &Visitor, code: &str, fault: Option<Fault>) -> Response {
    let (w, status) = (visitor.w, again(fault.as_ref()));
    let frame = visitor.frame(&Next::to(DEVICE, None));
    let fields = vec![Field::user_code(w, code)];
    let page = FormPage::new(frame, w.device, vec![w.device_intro.to_owned()], fault, fields, w.go_on);
    visitor.page(status, &page, reply::HERE)
}
