//! The pages that people sign in with: plain HTML without a script, in English and Brazilian Portuguese. They show and ask; who may do what
//! is decided in `auth`, and no page opens anything to a sign-in that lacks a step.

mod account;
mod browser;
mod consent;
mod device;
mod factor;
mod guide;
mod login;
mod next;
mod password;
mod reply;
mod setup;
mod views;
mod words;

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tokio::sync::OnceCell;
use utoipa_axum::router::OpenApiRouter;

use self::{browser::Visitor, next::Next};
pub(super) use self::{guide::PATH as GUIDE, reply::in_words};
use super::{AppState, error::ApiError};
use crate::server::{
    auth::{accounts::AccountError, second_factor::FactorStep},
    ports::{Session, StoreError, StoreResult, User},
};

/// Every page; they are for people and stand in no API document.
pub(super) fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .route("/setup/{token}", get(setup::show).post(setup::submit))
        .route("/login", get(login::show).post(login::submit))
        .route(factor::PROVE, get(factor::show).post(factor::submit))
        .route("/logout", post(login::sign_out))
        .route(next::AUTHORIZE, get(consent::show).post(consent::submit))
        .route(next::DEVICE, get(device::show).post(device::submit))
        .route(next::HOME, get(account::show))
        .route("/account/sessions/end", post(account::end))
        .route("/account/sessions/end-all", post(account::end_all))
        .route(password::CHANGE, get(password::show).post(password::submit))
        .route(factor::ENROL, get(factor::show_enrolment).post(factor::enrol))
        .route(factor::RENEW, get(factor::show_renewal).post(factor::renew))
        .route(factor::REMOVE, get(factor::show_removal).post(factor::remove))
        .route(guide::PATH, get(guide::show))
        .route("/reset/{token}", get(password::show_reset).post(password::submit_reset))
}

/// What forms are signed with.
type PageKey = hmac::Key;

/// What the pages of one node keep.
#[derive(Default)]
pub(super) struct Pages(OnceCell<PageKey>);

impl Pages {
    async fn key(&self, state: &AppState) -> StoreResult<PageKey> {
        let read = async || Ok(hmac::Key::new(hmac::HMAC_SHA256, state.auth.page_key().await?.as_bytes()));
        self.0.get_or_try_init(read).await.cloned()
    }
}

/// An answer that comes before the one that was asked for: a step that is missing, or a failure.
pub(super) struct Halt(Box<Response>);

impl From<Response> for Halt {
    fn from(response: Response) -> Self {
        Self(Box::new(response))
    }
}

impl From<ApiError> for Halt {
    fn from(error: ApiError) -> Self {
        error.into_response().into()
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<AccountError> for Halt {
    fn from(error: AccountError) -> Self {
        ApiError::from(error).into()
    }
}

/// The steps of signing in after the password, in their order. A page that serves one must be open to whoever lacks it, and to nobody
/// who lacks one before it: a stolen password alone must not choose another password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Proves the second factor.
    Prove,
    /// Changes the password.
    Password,
    /// Sets a second factor up.
    Enrol,
    /// None: everything else.
    Done,
}

impl Step {
    /// The page that serves it.
    fn page(self) -> &'static str {
        match self {
            Self::Prove => factor::PROVE,
            Self::Password => password::CHANGE,
            Self::Enrol => factor::ENROL,
            Self::Done => next::HOME,
        }
    }
}

impl Visitor {
    /// Who is signed in with all that this page asks for; `next` is where the missing steps lead back to. Asked of the store at each request:
    /// a policy or factor that is newer than the sign-in counts.
    ///
    /// # Errors
    /// The redirect to the step that is missing, or the store's.
    async fn settled(&self, state: &AppState, next: &Next, page: Step) -> Result<(&Session, &User), Halt> {
        let Some((session, user)) = &self.signed_in else { return Err(reply::see_other(&next.after("/login")).into()) };
        let due = due(state, session, user).await?;
        if due < page { Err(reply::see_other(&next.after(due.page())).into()) } else { Ok((session, user)) }
    }
}

/// The first step that a sign-in lacks.
async fn due(state: &AppState, session: &Session, user: &User) -> StoreResult<Step> {
    let factor = state.auth.missing_factor(user, &session.sign_in.methods).await?;
    Ok(match factor {
        Some(FactorStep::Prove) => Step::Prove,
        _ if user.must_change_password => Step::Password,
        Some(FactorStep::Enrol) => Step::Enrol,
        None => Step::Done,
    })
}

/// The status of a form that is shown again.
fn again(fault: Option<&views::Fault>) -> StatusCode {
    if fault.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK }
}
