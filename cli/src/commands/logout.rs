//! `medreq logout`: ends the sign-in of this machine at the server and forgets it here. Touches no token that came from elsewhere.

use clap::Args;
use medreq::client::{ClientError, TokenSource};

use crate::{
    context::Context,
    failure::Failure,
    login::{CLIENT_ID, LoginFile},
    token::TokenFrom,
};

/// Sign out: end the session at the server and forget it here
#[derive(Debug, Args)]
#[command(after_help = "\
The sign-in is forgotten here in any case. Exit code 1 where the server could not be told:
there the session then lives on until it was unused for an hour.

Examples:
  medreq logout
  medreq logout --all")]
pub(crate) struct Logout {
    /// End every session of yours, on every device and in every app
    #[arg(long)]
    all: bool,
}

impl Logout {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let file = context.login_file()?;
        let ended = if self.all { end_all(context, &file).await? } else { end_this(context, &file).await? };
        let origin = file.origin();
        match ended {
            None => context.output.hint(&format!("nobody was signed in at {origin}")),
            Some(Ok(())) if self.all => context.output.hint(&format!("signed out of {origin}, on every device")),
            Some(Ok(())) => context.output.hint(&format!("signed out of {origin}")),
            Some(Err(error)) => {
                let detail = format!(
                    "signed out here, but not at the server: {error}; the session there ends after an hour without use, or at once by its \
                     owner's account page or `medreq user sessions`"
                );
                return Err(Failure::Local { code: "not_revoked", detail });
            }
        }
        if let from @ (TokenFrom::Environment | TokenFrom::File(_)) = context.token_from() {
            context
                .output
                .hint(&format!("commands go on with the token of {from}, which is no sign-in of this machine"));
        }
        Ok(())
    }
}

/// What came of ending a login at the server; `None` where there was none.
type Ended = Option<Result<(), ClientError>>;

async fn end_this(context: &Context, file: &LoginFile) -> Result<Ended, Failure> {
    let client = context.client_with(TokenSource::None)?;
    // Held to the end: a renewal in between would save a token that nobody revokes.
    let lock = file.lock().await?;
    let ended = match file.read() {
        Ok(Some(login)) => Some(client.revoke(CLIENT_ID, login.revocable()).await),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    };
    file.remove(&lock)?;
    Ok(ended)
}

async fn end_all(context: &Context, file: &LoginFile) -> Result<Ended, Failure> {
    if matches!(file.read(), Ok(None)) {
        return Ok(None);
    }
    let client = context.client_with(context.renewing(file.clone())?)?;
    let ended = client.end_my_sessions(None).await;
    file.remove(&file.lock().await?)?;
    match ended {
        Err(error @ ClientError::SignedOut(_)) => Err(error.into()),
        ended => Ok(Some(ended)),
    }
}
