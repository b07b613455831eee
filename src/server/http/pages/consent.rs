//! The authorization endpoint as a person meets it: who asks for what, yes or no. It gives no app a code before the person has
//! signed in, and lets no app go on unasked whose name anybody on the machine could use.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use jiff::Timestamp;

use super::{
    Halt, Step,
    browser::Visitor,
    due,
    next::{AUTHORIZE, Next},
    reply,
    views::ConsentPage,
    words::filled,
};
use crate::server::{
    auth::{
        Scope,
        authorize::{AuthorizationRequest, AuthorizeError, JUST_NOW},
        clients::is_ours,
        scopes,
    },
    http::{AppState, error::ApiError},
    ports::{Session, StoreResult, User},
};

/// Shows who asks, or answers at once where nobody needs to be asked.
pub(super) async fn show(State(state): State<AppState>, visitor: Visitor, uri: Uri) -> Result<Response, Halt> {
    let (request, next) = read(&state, &visitor, &uri).await?;
    let refuse = |error| Ok(reply::see_other(&state.auth.refuse_code(&request, error)));
    let ready = match &visitor.signed_in {
        Some((session, user)) if request.is_answered_by(session, Timestamp::now()) => {
            due(&state, session, user).await? == Step::Done
        }
        _ => false,
    };
    if !ready && request.silent {
        return refuse("login_required");
    }
    let (session, user) = visitor.settled(&state, &next, Step::Done).await?;
    if !ready {
        return Ok(reply::see_other(&next.after("/login")));
    }
    if !must_ask(&state, &request, session, user).await? {
        return grant(&state, &visitor, &request, session).await;
    }
    if request.silent {
        return refuse("consent_required");
    }
    let w = visitor.w;
    let page = ConsentPage {
        page: visitor.frame(&next),
        title: filled(w.consent, &request.client.name),
        scopes: if is_ours(&request.client) { Vec::new() } else { w.scopes_of(&request.scope) },
        goes_to: host(&request.redirect_uri),
    };
    Ok(visitor.page(StatusCode::OK, &page, &form_action(Some(&request))))
}

/// Takes the person's word, or an authorization request that comes as a form (OpenID Connect Core §3.1.2.1).
pub(super) async fn submit(
    State(state): State<AppState>,
    visitor: Visitor,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Halt> {
    if uri.query().is_none() {
        let request = super::browser::any_form(body).await?;
        return Ok(reply::see_other(&format!("{AUTHORIZE}?{request}")));
    }
    let typed = visitor.form(&headers, body).await?;
    let (request, next) = read(&state, &visitor, &uri).await?;
    let (session, _) = visitor.settled(&state, &next, Step::Done).await?;
    match typed.get("decision").as_str() {
        "allow" => grant(&state, &visitor, &request, session).await,
        _ => Ok(reply::see_other(&state.auth.refuse_code(&request, "access_denied"))),
    }
}

/// The request that waits while somebody signs in; `None` where none does, or one that will be refused.
pub(super) async fn waiting(state: &AppState, next: &Next) -> Result<Option<AuthorizationRequest>, Halt> {
    let Some(query) = next.request() else { return Ok(None) };
    match state.auth.authorization_request(query.as_bytes()).await {
        Ok(request) => Ok(Some(request)),
        Err(AuthorizeError::Store(error)) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Where the forms of a page may lead that ends with this request.
pub(super) fn form_action(request: Option<&AuthorizationRequest>) -> String {
    request.map_or_else(|| reply::HERE.to_owned(), |request| reply::and_on_to(&request.redirect_uri))
}

async fn read(state: &AppState, visitor: &Visitor, uri: &Uri) -> Result<(AuthorizationRequest, Next), Halt> {
    let query = uri.query().unwrap_or_default();
    let w = visitor.w;
    let wrong = |detail: String| -> Halt {
        let texts = (w.oops_request, w.oops_request_next);
        reply::message(w, StatusCode::BAD_REQUEST, texts, Some(detail), None).into()
    };
    let request = match state.auth.authorization_request(query.as_bytes()).await {
        Ok(request) => request,
        Err(AuthorizeError::Page(error)) => return Err(wrong(error.to_string())),
        Err(AuthorizeError::Redirect { location, .. }) => return Err(reply::see_other(&location).into()),
        Err(AuthorizeError::Store(error)) => return Err(error.into()),
    };
    let next = Next::to(AUTHORIZE, Some(query));
    if next.request().is_none() {
        return Err(wrong("the request is longer than 4,000 bytes".to_owned()));
    }
    Ok((request, next))
}

async fn grant(
    state: &AppState,
    visitor: &Visitor,
    request: &AuthorizationRequest,
    session: &Session,
) -> Result<Response, Halt> {
    let location = state.auth.grant_code(request, session, &visitor.device).await.map_err(ApiError::from)?;
    Ok(reply::see_other(&location))
}

/// Another's app asks until somebody has let it in and is signed in to it. Ours is asked for only where its name proves nothing: an
/// address on this machine, or a scheme of its own, can be any program's (RFC 8252 §8.6), so an older sign-in is not used unseen.
async fn must_ask(
    state: &AppState,
    request: &AuthorizationRequest,
    session: &Session,
    user: &User,
) -> StoreResult<bool> {
    if request.ask_consent {
        return Ok(true);
    }
    let just_signed_in = Timestamp::now().duration_since(session.sign_in.at) < JUST_NOW;
    let proves_its_name = request.redirect_uri.starts_with("https://") || request.client.secret_hash.is_some();
    if is_ours(&request.client) {
        return Ok(!just_signed_in && !proves_its_name);
    }
    let asked: std::collections::BTreeSet<Scope> = request.scopes();
    let was_let_in = |open: &Session| {
        open.client_id == request.client.client_id && scopes::parse_claim(&open.scope).is_superset(&asked)
    };
    let known = state.auth.sessions_of(user).await?.iter().any(was_let_in);
    Ok(!(known && (just_signed_in || proves_its_name)))
}

/// The place that a person can recognise in an address.
fn host(redirect_uri: &str) -> String {
    let place = match redirect_uri.split_once("://") {
        Some((_, rest)) => rest.split(['/', '?']).next(),
        None => redirect_uri.split(':').next(),
    };
    place.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_reads_where_they_are_sent() {
        assert_eq!(host("https://app.example.org/cb?x=1"), "app.example.org");
        assert_eq!(host("http://127.0.0.1:4711/cb"), "127.0.0.1:4711");
        assert_eq!(host("org.example.app:/cb"), "org.example.app");
    }
}
