//! What `medreq login` keeps: one private file per server, replaced whole, its tokens renewed by one command at a time. Prints no token.
//!
//! A refresh token is spent by its use, so whoever renews holds the file's lock and reads the file again first: another command may have
//! renewed meanwhile. Whoever is killed between the server's answer and the rename loses the successor; the server repeats it for 10
//! seconds, and afterwards takes the old token for a stolen one. The window is one small write, made certain of before the request.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use medreq::{
    api::accounts::TokenAnswer,
    client::{Client, ClientError, Settings, TokenSource, Url},
    server::{auth::clients, files::replace_private},
};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::paths;

/// The client that the command line and the console sign in as.
pub(crate) const CLIENT_ID: &str = clients::CLI;

/// A token with less than this left is renewed before it is used: it must outlast the call.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(30);

/// How long another command may hold the lock; a refresh takes less, unless its process was stopped.
const LOCK_WITHIN: Duration = Duration::from_secs(30);

/// The tokens of a sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Login {
    /// The server's origin: the tokens are sent nowhere else.
    origin: String,
    access_token: String,
    /// By this machine's clock.
    pub(crate) expires_at: Timestamp,
    /// Without one the sign-in ends with its access token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

impl Login {
    /// What the server answered, just now.
    pub(crate) fn new(file: &LoginFile, answer: TokenAnswer) -> Self {
        Self {
            origin: file.origin.clone(),
            access_token: answer.access_token,
            expires_at: Timestamp::now() + SignedDuration::from_secs(answer.expires_in.clamp(0, 86_400)),
            refresh_token: answer.refresh_token,
        }
    }

    /// Whichever token ends the session when it is revoked.
    pub(crate) fn revocable(&self) -> &str {
        self.refresh_token.as_ref().unwrap_or(&self.access_token)
    }

    /// True where its access token may be used, `refused` being one that may not.
    fn is_fresh(&self, refused: Option<&str>) -> bool {
        refused != Some(&self.access_token) && self.expires_at - RENEW_BEFORE > Timestamp::now()
    }
}

/// Where a server's login is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LoginFile {
    origin: String,
    path: PathBuf,
}

impl LoginFile {
    /// Of the server at `url`, in the state directory.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Some(Self::under(&paths::state_home()?.join("medreq"), url))
    }

    fn under(dir: &Path, url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
        let host: String = host.chars().map(plain).collect();
        let port = url.port_or_known_default().unwrap_or_default();
        let path = dir.join("login").join(format!("{host}_{port}.json"));
        Self { origin: url.origin().ascii_serialization(), path }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Of which server.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The login, if there is one for exactly this origin.
    pub(crate) fn read(&self) -> Result<Option<Login>, ClientError> {
        let text = match fs::read(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(&error)),
        };
        let login: Login = serde_json::from_slice(&text).map_err(|_| {
            let path = self.path.display();
            ClientError::SignedOut(format!("{path} does not hold a login; remove it, then run `medreq login`"))
        })?;
        Ok((login.origin == self.origin).then_some(login))
    }

    /// Keeps a login in place of the one before.
    pub(crate) fn write(&self, login: &Login, _held: &LoginLock) -> Result<(), ClientError> {
        let text = serde_json::to_vec_pretty(login).expect("a login always serialises");
        replace_private(&self.path, &text).map_err(|error| self.failed(&error))
    }

    /// Forgets the login.
    pub(crate) fn remove(&self, _held: &LoginLock) -> Result<(), ClientError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    /// Waits until no other command is changing the login, and makes them wait.
    pub(crate) async fn lock(&self) -> Result<LoginLock, ClientError> {
        let file = self.open_lock().map_err(|error| self.failed(&error))?;
        let start = Instant::now();
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(LoginLock(file)),
                // Tried again and again rather than waited for: a stopped process may hold it for ever.
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if start.elapsed() < LOCK_WITHIN => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    let path = self.lock_path();
                    let message =
                        format!("another medreq command holds {} and does not let go; end it", path.display());
                    return Err(ClientError::Transport { message, outcome_unknown: false });
                }
                Err(error) => return Err(self.failed(&error.into())),
            }
        }
    }

    fn lock_path(&self) -> PathBuf {
        self.path.with_extension("lock")
    }

    /// The lock file stays for ever: two commands that each made one of their own would both hold it.
    fn open_lock(&self) -> io::Result<File> {
        let dir = self.path.parent().unwrap_or(Path::new("."));
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        if fs::metadata(dir)?.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700))?;
        }
        File::options().create(true).truncate(false).write(true).mode(0o600).open(self.lock_path())
    }

    fn failed(&self, error: &io::Error) -> ClientError {
        ClientError::Setup(format!(
            "the login in {} cannot be used: {error}; check the path and its mode",
            self.path.display()
        ))
    }
}

/// The right to change a login, until it is dropped.
#[derive(Debug)]
pub(crate) struct LoginLock(#[expect(dead_code, reason = "closing it gives the lock back")] File);

/// The access token of a login, renewed by itself before it expires and where the server refuses it.
pub(crate) fn renewing(url: &str, roots: Option<Vec<u8>>, file: LoginFile) -> Result<TokenSource, ClientError> {
    let settings = Settings { roots, ..Settings::of_refresh() };
    let renewal = Arc::new(Renewal { client: Client::new(url, TokenSource::None, settings)?, file });
    Ok(TokenSource::callback(move |refused| {
        let renewal = Arc::clone(&renewal);
        async move { renewal.token(refused).await }
    }))
}

struct Renewal {
    client: Client,
    file: LoginFile,
}

impl Renewal {
    async fn token(self: Arc<Self>, refused: Option<String>) -> Result<String, ClientError> {
        let login = self.file.read()?.ok_or_else(|| self.signed_out())?;
        if login.is_fresh(refused.as_deref()) {
            return Ok(login.access_token);
        }
        let still_good = refused.is_none() && login.expires_at > Timestamp::now();
        // On a task of its own: whoever stops waiting for it must not lose a successor on its way.
        let renewed = tokio::spawn(async move { self.renew(refused.as_deref()).await }).await;
        match renewed.expect("renewing does not panic") {
            Err(error) if still_good && is_passing(&error) => Ok(login.access_token),
            renewed => renewed,
        }
    }

    async fn renew(&self, refused: Option<&str>) -> Result<String, ClientError> {
        let lock = self.file.lock().await?;
        let login = self.file.read()?.ok_or_else(|| self.signed_out())?;
        if login.is_fresh(refused) {
            return Ok(login.access_token);
        }
        let Some(refresh_token) = &login.refresh_token else {
            self.file.remove(&lock)?;
            return Err(self.signed_out());
        };
        // What cannot be kept must not be asked for: a full disk is found before the token is spent.
        self.file.write(&login, &lock)?;
        match self.client.refresh(CLIENT_ID, refresh_token).await {
            Ok(answer) => {
                let renewed = Login::new(&self.file, answer);
                self.file.write(&renewed, &lock)?;
                Ok(renewed.access_token)
            }
            Err(error) if error.code() == "invalid_grant" => {
                self.file.remove(&lock)?;
                Err(self.signed_out())
            }
            Err(error) => Err(error),
        }
    }

    fn signed_out(&self) -> ClientError {
        ClientError::SignedOut(format!("signed out of {}; run `medreq login`", self.file.origin))
    }
}

/// True where the same may succeed a little later.
pub(crate) fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Transport { .. } => true,
        ClientError::Problem(problem) => problem.status == 429 || problem.status >= 500,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn file(dir: &Path, url: &str) -> LoginFile {
        LoginFile::under(dir, &Url::parse(url).unwrap())
    }

    #[test]
    fn a_login_is_kept_per_origin_and_given_to_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let name = |url: &str| file(dir.path(), url).path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(name("https://MedReq.example.org/"), "medreq.example.org_443.json");
        assert_eq!(name("http://127.0.0.1:8080"), "127.0.0.1_8080.json");
        assert_eq!(name("http://[::1]:8080"), "___1__8080.json");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let https = file(dir.path(), "https://h.example:8443");
        let answer: TokenAnswer = serde_json::from_value(serde_json::json!({
            "access_token": "a", "token_type": "Bearer", "expires_in": 600, "scope": "openid", "refresh_token": "r",
        }))
        .unwrap();
        let login = Login::new(&https, answer);
        let lock = runtime.block_on(https.lock()).unwrap();
        https.write(&login, &lock).unwrap();
        assert!(https.read().unwrap() == Some(login));
        let http = file(dir.path(), "http://h.example:8443");
        assert!(http.path == https.path && http.read().unwrap().is_none(), "a token for https must not travel by http");
    }
}
