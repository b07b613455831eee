//! `medreq login`: signs this machine in by a code that a person approves in a browser, on any device (RFC 8628). Asks for no password.

use std::time::{Duration, Instant};

use clap::Args;
use medreq::{
    api::{accounts::TokenAnswer, oauth2::DeviceAnswer},
    client::{Client, DevicePoll, TokenSource},
    server::auth::Scope,
};
use qrcode::{EcLevel, QrCode, render::unicode::Dense1x2};

use crate::{
    context::Context,
    failure::Failure,
    login::{self, CLIENT_ID, LoginFile},
    token::TokenFrom,
};

/// What a slower question adds, when the server or the network asks for it (RFC 8628 §3.5).
const SLOWER: Duration = Duration::from_secs(5);

/// What every sign-in is for: who it is, and a refresh token.
const SIGN_IN: [Scope; 3] = [Scope::OpenId, Scope::Profile, Scope::OfflineAccess];

/// Sign in: shows a code, which you approve in a browser on any device
#[derive(Debug, Args)]
#[command(after_help = "\
The sign-in is kept in a file that you alone can read, one per server, under medreq/login in
the XDG state home (~/.local/state). It renews itself while it is used, for 12 hours at most,
and is over after an hour without use. `medreq logout` ends it.

Exit code 4: the sign-in was refused in the browser, or nobody approved it in time.

Examples:
  medreq login
  medreq login --url https://medreq.example.org --scope tickets:read --no-qr")]
pub(crate) struct Login {
    /// What it may be used for, by commas [default: all that your roles allow]
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// Show no QR code
    #[arg(long)]
    no_qr: bool,
}

impl Login {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.client_with(TokenSource::None)?;
        let file = context.login_file()?;
        // Where nothing can be kept nobody is troubled.
        drop(file.lock().await?);
        client.sign_in_metadata().await?;
        let asked = client.authorize_device(CLIENT_ID, &self.asked_scopes(), &device_name()).await?;
        self.tell(context, &asked);
        let answer = approved(&client, &asked).await?;
        keep(&client, &file, answer).await?;

        let signed_in = context.client_with(context.renewing(file)?)?;
        let who = signed_in.whoami().await?;
        context.output.show(&who, |who| {
            crate::output::clean(&format!("signed in as {} ({}) at {}", who.name, who.username, context.url()))
        })?;
        if let TokenFrom::Environment | TokenFrom::File(_) = context.token_from() {
            let from = context.token_from();
            context
                .output
                .hint(&format!("note: the token from {from} comes before this sign-in; unset it to use this one"));
        }
        Ok(())
    }

    fn asked_scopes(&self) -> Vec<&'static str> {
        let chosen = |scope: &&Scope| match self.scopes.as_slice() {
            // Acting for others is for programs.
            [] => **scope != Scope::TicketsDelegate,
            scopes => scopes.contains(*scope) || SIGN_IN.contains(*scope),
        };
        Scope::ALL.iter().filter(chosen).map(|scope| scope.as_str()).collect()
    }

    fn tell(&self, context: &Context, asked: &DeviceAnswer) {
        let DeviceAnswer { user_code, verification_uri, verification_uri_complete, expires_in, .. } = asked;
        let output = &context.output;
        output.note(&format!(
            "Open {verification_uri} in a browser, on this or any other device, and enter\n\n    {user_code}\n"
        ));
        if !self.no_qr && output.interactive {
            match QrCode::with_error_correction_level(verification_uri_complete, EcLevel::L) {
                // Light and dark change places: the picture draws what is light.
                Ok(code) => {
                    let mut picture = code.render::<Dense1x2>();
                    output.picture(&picture.dark_color(Dense1x2::Light).light_color(Dense1x2::Dark).build());
                }
                Err(_) => output.note("(the address is too long for a QR code)"),
            }
        }
        output.note(&format!("Waiting for your approval, {} minutes at most; Ctrl-C gives up.", expires_in / 60));
    }
}

/// Asks until somebody has decided, no faster than the server wants it.
async fn approved(client: &Client, asked: &DeviceAnswer) -> Result<TokenAnswer, Failure> {
    let until = Instant::now() + Duration::from_secs(asked.expires_in.try_into().unwrap_or_default());
    let mut interval = Duration::from_secs(u64::from(asked.interval).max(1));
    while Instant::now() + interval <= until {
        tokio::time::sleep(interval).await;
        match client.poll_device(CLIENT_ID, &asked.device_code).await {
            Ok(DevicePoll::Approved(answer)) => return Ok(*answer),
            Ok(DevicePoll::Pending) => {}
            Ok(DevicePoll::SlowDown) => interval += SLOWER,
            Err(error) if login::is_passing(&error) => interval += SLOWER,
            Err(error) => {
                return Err(match error.code() {
                    "access_denied" => not_let_in("access_denied", "the sign-in was refused in the browser"),
                    "expired_token" => expired(),
                    "invalid_grant" => not_let_in("invalid_grant", "the server does not know this sign-in any more"),
                    _ => error.into(),
                });
            }
        }
    }
    Err(expired())
}

fn expired() -> Failure {
    not_let_in("expired_token", "nobody approved the sign-in in time")
}

fn not_let_in(code: &'static str, what: &str) -> Failure {
    Failure::NotLetIn { code, detail: format!("{what}; run `medreq login` again for a new code") }
}

/// Keeps the tokens, and ends the sign-in that they replace.
async fn keep(client: &Client, file: &LoginFile, answer: TokenAnswer) -> Result<(), Failure> {
    let lock = file.lock().await?;
    let before = file.read().ok().flatten();
    file.write(&login::Login::new(file, answer), &lock)?;
    drop(lock);
    if let Some(before) = before {
        // Nobody holds it any more; where the server does not hear of it, it ends by disuse.
        let _ = client.revoke(CLIENT_ID, before.revocable()).await;
    }
    Ok(())
}

/// As its owner finds it among their sessions.
fn device_name() -> String {
    format!("medreq on {}", rustix::system::uname().nodename().to_string_lossy())
}
