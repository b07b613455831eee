//! The second factor: its step of signing in, setting it up, new recovery codes, taking it away. Shows a secret and recovery codes to their
//! owner alone, and puts neither into an address.

use std::time::Duration;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};

use super::{
    Halt, Step, again,
    browser::Visitor,
    consent, due, login,
    next::{HOME, Next},
    reply,
    views::{CodesPage, EnrolPage, Fault, Field, FormPage, Frame},
    words::Words,
};
use crate::server::{
    auth::second_factor::{BOTH_FACTORS, FactorError},
    http::AppState,
    ports::{StoreResult, User},
};

/// Where it is proved.
pub(super) const PROVE: &str = "/login/factor";

/// Where it is set up.
pub(super) const ENROL: &str = "/account/factor";

/// Where new recovery codes are made.
pub(super) const RENEW: &str = "/account/factor/codes";

/// Where it is taken away.
pub(super) const REMOVE: &str = "/account/factor/remove";

/// Asks for a code; whoever owes none goes on.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let next = Next::of_query(uri.query());
    let (session, user) = visitor.settled(&state, &next, Step::Prove).await?;
    if due(&state, session, user).await? != Step::Prove {
        return Ok(reply::see_other(next.as_str()));
    }
    ask(&state, &visitor, &next, Asked::proof(visitor.w), None).await
}

/// Takes the code and leads on.
pub(super) async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::of_query(uri.query()));
    let (_, user) = visitor.settled(&state, &next, Step::Prove).await?;
    match state.auth.prove_factor(user, &typed.get("code"), visitor.source).await {
        Ok(()) => login::open(&state, &visitor, user, &BOTH_FACTORS, reply::see_other(next.as_str())).await,
        Err(error) => refused(&state, &visitor, &next, Asked::proof(visitor.w), error).await,
    }
}

/// Says what is needed. The secret is drawn by the form only: no link of another site draws one in its place.
pub(super) async fn show_enrolment(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
) -> Result<Response, Halt> {
    let next = Next::of_query(uri.query());
    let (session, user) = visitor.settled(&state, &next, Step::Enrol).await?;
    if state.auth.has_factor(user.id).await? {
        return Ok(reply::see_other(next.as_str()));
    }
    let w = visitor.w;
    let must = due(&state, session, user).await? == Step::Enrol;
    let lines = [w.factor_must].into_iter().filter(|_| must).chain([w.factor_begin]).map(str::to_owned).collect();
    let form = FormPage::new(visitor.frame(&next), w.factor_set_up, lines, None, Vec::new(), w.go_on);
    page(&state, &visitor, &next, StatusCode::OK, &form).await
}

/// Draws a secret, or with a code puts it in force.
pub(super) async fn enrol(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::of_query(uri.query()));
    let (_, user) = visitor.settled(&state, &next, Step::Enrol).await?;
    let (code, issuer) = (typed.get("code"), issuer(&state).await?);
    if !code.is_empty() {
        return confirm(&state, &visitor, user, (&code, &issuer), &next).await;
    }
    let enrolment = state.auth.enrol_factor(user, &issuer).await.map_err(|error| moot(&next, error))?;
    page(&state, &visitor, &next, StatusCode::OK, &EnrolPage::new(visitor.frame(&next), &enrolment, None)).await
}

/// This browser is signed in with both factors afterwards; every other is asked for a code.
async fn confirm(
    state: &AppState,
    visitor: &Visitor,
    user: &User,
    (code, issuer): (&str, &str),
    next: &Next,
) -> Result<Response, Halt> {
    match state.auth.confirm_factor(user, code, visitor.source).await {
        Ok(codes) => {
            let shown = codes_page(visitor, visitor.w.codes_done, codes, next);
            login::open(state, visitor, user, &BOTH_FACTORS, shown).await
        }
        Err(error) => {
            let (fault, wait) = fault(visitor, next, error)?;
            let enrolment = state.auth.waiting_factor(user, issuer).await.map_err(|error| moot(next, error))?;
            let status = again(Some(&fault));
            let form = EnrolPage::new(visitor.frame(next), &enrolment, Some(fault));
            Ok(login::held_back(page(state, visitor, next, status, &form).await?, wait))
        }
    }
}

/// Asks for a code before new recovery codes are made.
pub(super) async fn show_renewal(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Halt> {
    let next = Next::to(HOME, None);
    visitor.settled(&state, &next, Step::Done).await?;
    ask(&state, &visitor, &next, Asked::renewal(visitor.w), None).await
}

/// Makes new recovery codes and shows them.
pub(super) async fn renew(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::to(HOME, None));
    let (_, user) = visitor.settled(&state, &next, Step::Done).await?;
    match state.auth.renew_recovery(user, &typed.get("code"), visitor.source).await {
        Ok(codes) => Ok(codes_page(&visitor, visitor.w.codes_renewed, codes, &next)),
        Err(error) => refused(&state, &visitor, &next, Asked::renewal(visitor.w), error).await,
    }
}

/// Asks for a code before the factor is taken away.
pub(super) async fn show_removal(State(state): State<AppState>, visitor: Visitor) -> Result<Response, Halt> {
    let next = Next::to(HOME, None);
    visitor.settled(&state, &next, Step::Done).await?;
    ask(&state, &visitor, &next, Asked::removal(visitor.w), None).await
}

/// Takes it away.
pub(super) async fn remove(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    let (typed, next) = (visitor.form(&headers, body).await?, Next::to(HOME, None));
    let (_, user) = visitor.settled(&state, &next, Step::Done).await?;
    match state.auth.remove_factor(user, &typed.get("code"), visitor.source).await {
        Ok(()) => Ok(reply::see_other("/account?done=factor")),
        Err(error) => refused(&state, &visitor, &next, Asked::removal(visitor.w), error).await,
    }
}

/// What a form says that asks for a code.
struct Asked {
    title: &'static str,
    lines: [&'static str; 2],
    button: &'static str,
}

impl Asked {
    fn proof(w: &Words) -> Self {
        Self { title: w.factor, lines: [w.factor_intro, w.factor_lost], button: w.go_on }
    }

    fn renewal(w: &Words) -> Self {
        Self { title: w.factor_renew, lines: [w.factor_renew_intro, w.factor_intro], button: w.factor_renew_button }
    }

    fn removal(w: &Words) -> Self {
        Self { title: w.factor_remove, lines: [w.factor_remove_intro, w.factor_intro], button: w.factor_remove_button }
    }
}

async fn ask(
    state: &AppState,
    visitor: &Visitor,
    next: &Next,
    asked: Asked,
    fault: Option<Fault>,
) -> Result<Response, Halt> {
    let (lines, status) = (asked.lines.map(str::to_owned).to_vec(), again(fault.as_ref()));
    let fields = vec![Field::factor_code(visitor.w)];
    let form = FormPage::new(visitor.frame(next), asked.title, lines, fault, fields, asked.button);
    page(state, visitor, next, status, &form).await
}

async fn refused(
    state: &AppState,
    visitor: &Visitor,
    next: &Next,
    asked: Asked,
    error: FactorError,
) -> Result<Response, Halt> {
    let (fault, wait) = fault(visitor, next, error)?;
    Ok(login::held_back(ask(state, visitor, next, asked, Some(fault)).await?, wait))
}

/// What to tell somebody whose code was not taken, and how long they wait.
fn fault(visitor: &Visitor, next: &Next, error: FactorError) -> Result<(Fault, Option<Duration>), Halt> {
    match error {
        FactorError::Wrong => Ok((Fault::at("code", visitor.w.factor_wrong), None)),
        FactorError::TooSoon(wait) => Ok((login::too_soon(visitor, "code", wait), Some(wait))),
        error => Err(moot(next, error)),
    }
}

/// The factor was set up or taken away elsewhere meanwhile: the next page asks for what is due now.
fn moot(next: &Next, error: FactorError) -> Halt {
    match error {
        FactorError::Store(error) => error.into(),
        _ => reply::see_other(next.as_str()).into(),
    }
}

/// A page whose form may lead on to the app that waits.
async fn page(
    state: &AppState,
    visitor: &Visitor,
    next: &Next,
    status: StatusCode,
    page: &impl askama::Template,
) -> Result<Response, Halt> {
    let waiting = consent::waiting(state, next).await?;
    Ok(visitor.page(status, page, &consent::form_action(waiting.as_ref())))
}

/// It has no form: one made for the sign-in that ends here would be stale.
fn codes_page(visitor: &Visitor, done: &'static str, codes: Vec<String>, next: &Next) -> Response {
    let frame = Frame { who: None, ..visitor.frame(next) };
    let shown = CodesPage { title: visitor.w.codes, done, codes, onward: next.as_str().to_owned(), page: frame };
    visitor.page(StatusCode::OK, &shown, reply::HERE)
}

/// What authenticator apps call this server.
async fn issuer(state: &AppState) -> StoreResult<String> {
    let name = state.reference.site().await?.name;
    Ok(if name.is_empty() { "medreq".to_owned() } else { name })
}
