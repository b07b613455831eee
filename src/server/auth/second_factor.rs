//! The second factor: codes of an authenticator app (TOTP, RFC 6238) and recovery codes. No code is taken twice, and no secret stands in an audit
//! entry or an error.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;
use serde_json::json;
use totp_rs::{Algorithm, Builder, Totp};

use super::{
    Auth,
    accounts::{AccountError, Editor},
    audit,
    redirect::percent_encoded,
    secrets::{self, random, random_code},
    throttle::Source,
    users::may_touch,
};
use crate::{
    domain::actor::UserId,
    server::ports::{AuditEntry, SecondFactor, StoreError, StoreResult, User},
};

/// What a sign-in with both factors says of itself (`amr`, RFC 8176).
pub const BOTH_FACTORS: [&str; 3] = ["pwd", "otp", "mfa"];

/// Bytes of a shared secret: as many as SHA-1 gives (RFC 4226 §4).
const SECRET_BYTES: usize = 20;

/// Digits of a recovery code, which phones type on the same keys as a code of the app: 80 bits cannot be guessed, and so their plain hash is
/// enough.
const RECOVERY_DIGITS: usize = 24;

/// Recovery codes that are given at once.
const RECOVERY_CODES: usize = 10;

/// Seconds of a time step.
const STEP: u64 = 30;

/// Digits of a code.
const DIGITS: u8 = 6;

/// Characters of the hospital's name that are put into a QR code: a longer one is hard to scan.
const ISSUER_MAX: usize = 30;

/// A shared secret that waits for its first code, for its owner's eyes.
pub struct Enrolment {
    /// Base32, to be typed.
    pub secret: String,
    /// `otpauth://totp/…`, to be scanned.
    pub uri: String,
}

/// What somebody who is signed in still owes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactorStep {
    /// To set a factor up: the policy asks for one.
    Enrol,
    /// To prove the one that they have.
    Prove,
}

/// Why a code was not taken. The texts are safe to show.
#[derive(Debug, thiserror::Error)]
pub enum FactorError {
    /// Wrong, too old, or taken before.
    #[error("the code is not right; wait for the next one and type that")]
    Wrong,
    /// Too many failures: wait.
    #[error("too many attempts failed; wait before the next one")]
    TooSoon(Duration),
    /// There is none in force, or none that waits to be confirmed.
    #[error("there is no second factor to prove; set one up first")]
    Missing,
    /// One is in force already.
    #[error("a second factor is in force already; remove it first")]
    Enrolled,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// What is missing of a sign-in by these methods, by the policy and the factor as they stand now. Asked at every page and grant; a refresh goes
    /// on, since its session was opened by what was asked for then.
    ///
    /// # Errors
    /// As the store's.
    pub async fn missing_factor(&self, user: &User, methods: &[String]) -> StoreResult<Option<FactorStep>> {
        if self.has_factor(user.id).await? {
            let proved = methods.iter().any(|method| method == "otp");
            return Ok((!proved).then_some(FactorStep::Prove));
        }
        let asked = self.policy().await?.second_factor_required_for;
        Ok((!asked.is_disjoint(&user.roles)).then_some(FactorStep::Enrol))
    }

    /// True where a factor is in force.
    ///
    /// # Errors
    /// As the store's.
    pub async fn has_factor(&self, user: UserId) -> StoreResult<bool> {
        Ok(self.factor(user).await?.is_some())
    }

    /// How many recovery codes are left; `None` where no factor is in force.
    ///
    /// # Errors
    /// As the store's.
    pub async fn recovery_codes_left(&self, user: UserId) -> StoreResult<Option<usize>> {
        Ok(self.factor(user).await?.map(|factor| factor.recovery.len()))
    }

    /// Draws a secret, to be named after the hospital (`issuer`) in the app. It is in force once [`confirm_factor`](Self::confirm_factor) saw a code of it. Every call draws another: nobody
    /// confirms a secret that somebody else with their password was shown.
    ///
    /// # Errors
    /// [`FactorError::Enrolled`], or the store's.
    pub async fn enrol_factor(&self, user: &User, issuer: &str) -> Result<Enrolment, FactorError> {
        let _one_at_a_time = self.changes.lock().await;
        if self.has_factor(user.id).await? {
            return Err(FactorError::Enrolled);
        }
        let secret = random::<SECRET_BYTES>().to_vec();
        let shown = enrolment(user, issuer, &secret);
        let factor = SecondFactor { secret, confirmed: false, last_step: 0, recovery: BTreeSet::new() };
        self.sessions.put_second_factor(user.id, Some(factor), own(user, "factor_drawn")).await?;
        Ok(shown)
    }

    /// The secret that waits for its first code, to be shown again after a wrong one.
    ///
    /// # Errors
    /// [`FactorError::Missing`], or the store's.
    pub async fn waiting_factor(&self, user: &User, issuer: &str) -> Result<Enrolment, FactorError> {
        Ok(enrolment(user, issuer, &self.waiting(user).await?.secret))
    }

    /// Puts the waiting secret in force by a code of it. Gives the recovery codes, here and never again.
    ///
    /// # Errors
    /// [`FactorError`]; a wrong code is counted and audited, and leaves the secret waiting.
    pub async fn confirm_factor(&self, user: &User, code: &str, source: Source) -> Result<Vec<String>, FactorError> {
        self.confirm_factor_at(user, code, source, Timestamp::now()).await
    }

    pub(super) async fn confirm_factor_at(
        &self,
        user: &User,
        code: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<Vec<String>, FactorError> {
        self.begin_code(user, source, now).await?;
        let _one_at_a_time = self.changes.lock().await;
        let factor = self.waiting(user).await?;
        let Some(step) = step_of(&factor.secret, &canonical(code), now) else {
            return self.wrong_code(user, source, now).await;
        };
        self.throttle.succeeded(&key(user), source);
        let codes = recovery_codes();
        let factor = SecondFactor { confirmed: true, last_step: step, recovery: hashes(&codes), ..factor };
        self.sessions.put_second_factor(user.id, Some(factor), own(user, "factor_set")).await?;
        Ok(codes)
    }

    /// Takes a code of the app, or a recovery code, once.
    ///
    /// # Errors
    /// [`FactorError`]; a wrong code is counted and audited.
    pub async fn prove_factor(&self, user: &User, code: &str, source: Source) -> Result<(), FactorError> {
        self.prove_factor_at(user, code, source, Timestamp::now()).await
    }

    pub(super) async fn prove_factor_at(
        &self,
        user: &User,
        code: &str,
        source: Source,
        now: Timestamp,
    ) -> Result<(), FactorError> {
        self.begin_code(user, source, now).await?;
        // A change of the factor that crossed this would bring the code back.
        let _one_at_a_time = self.changes.lock().await;
        let (factor, code) = (self.factor(user.id).await?.ok_or(FactorError::Missing)?, canonical(code));
        let taken = match step_of(&factor.secret, &code, now) {
            Some(step) => self.sessions.spend_step(user.id, step).await?,
            None => {
                let entry = own(user, "recovery_code_used");
                self.sessions.spend_recovery(user.id, secrets::hash(&code), entry).await?
            }
        };
        if !taken {
            return self.wrong_code(user, source, now).await;
        }
        self.throttle.succeeded(&key(user), source);
        Ok(())
    }

    /// Puts new recovery codes in place of those that are left, by a code. They are given here and never again.
    ///
    /// # Errors
    /// As [`prove_factor`](Self::prove_factor).
    pub async fn renew_recovery(&self, user: &User, code: &str, source: Source) -> Result<Vec<String>, FactorError> {
        self.prove_factor(user, code, source).await?;
        let _one_at_a_time = self.changes.lock().await;
        let factor = self.factor(user.id).await?.ok_or(FactorError::Missing)?;
        let codes = recovery_codes();
        let factor = SecondFactor { recovery: hashes(&codes), ..factor };
        self.sessions.put_second_factor(user.id, Some(factor), own(user, "recovery_codes_made")).await?;
        Ok(codes)
    }

    /// Takes one's own factor away, by a code. Where the policy asks for one it has to be set up anew at once.
    ///
    /// # Errors
    /// As [`prove_factor`](Self::prove_factor).
    pub async fn remove_factor(&self, user: &User, code: &str, source: Source) -> Result<(), FactorError> {
        self.prove_factor(user, code, source).await?;
        let _one_at_a_time = self.changes.lock().await;
        Ok(self.sessions.put_second_factor(user.id, None, own(user, "factor_removed")).await?)
    }

    /// Takes the factor of somebody away who lost it, confirmed or not.
    ///
    /// # Errors
    /// [`AccountError::NotFound`] for an unknown user, [`AccountError::NoFactor`], [`AccountError::AdminOnly`] for an administrator's, or the store's.
    pub async fn reset_factor(&self, username: &str, by: &Editor) -> Result<(), AccountError> {
        let user = self.user(username).await?;
        may_touch(&user, by)?;
        let _one_at_a_time = self.changes.lock().await;
        if self.sessions.second_factor(user.id).await?.is_none() {
            return Err(AccountError::NoFactor);
        }
        let entry = by.audit("auth", "factor_reset", user.username.as_str(), json!({}));
        Ok(self.sessions.put_second_factor(user.id, None, entry).await?)
    }

    /// The factor in force.
    async fn factor(&self, user: UserId) -> StoreResult<Option<SecondFactor>> {
        Ok(self.sessions.second_factor(user).await?.filter(|factor| factor.confirmed))
    }

    async fn waiting(&self, user: &User) -> Result<SecondFactor, FactorError> {
        let factor = self.sessions.second_factor(user.id).await?.ok_or(FactorError::Missing)?;
        if factor.confirmed { Err(FactorError::Enrolled) } else { Ok(factor) }
    }

    async fn begin_code(&self, user: &User, source: Source, now: Timestamp) -> Result<(), FactorError> {
        let begun = self.begin_attempt(&key(user), user.username.as_str(), source, now).await;
        begun.map_err(FactorError::TooSoon)
    }

    async fn wrong_code<T>(&self, user: &User, source: Source, now: Timestamp) -> Result<T, FactorError> {
        self.audit_failure("second_factor_failed", user.username.as_str(), source, now).await;
        Err(FactorError::Wrong)
    }
}

/// Codes are throttled apart from passwords, or who knows the password could take wrong codes back with it. No username holds a blank.
fn key(user: &User) -> String {
    format!("{} code", user.username)
}

fn own(user: &User, action: &str) -> AuditEntry {
    let name = user.username.as_str();
    audit::entry(action, Some(name), Some(name), json!({}))
}

/// The time step that a code stands for, at most one away from `now`. A secret of another length than ours has no codes.
pub(super) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<u64> {
    let seconds = u64::try_from(now.as_second()).ok()?;
    if code.len() != usize::from(DIGITS) || !code.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    totp(secret)?.check(code, seconds)
}

fn totp(secret: &[u8]) -> Option<Totp> {
    let secret = <[u8; SECRET_BYTES]>::try_from(secret).ok()?;
    let builder = Builder::new().with_algorithm(Algorithm::SHA1).with_digits(DIGITS).with_skew(1);
    builder.with_step_duration(STEP).with_secret(secret).build().ok()
}

/// The address that apps read (Key URI Format): a colon parts the issuer from the account, so there is none in either.
fn enrolment(user: &User, issuer: &str, secret: &[u8]) -> Enrolment {
    let secret = base32(secret);
    let issuer: String = issuer.chars().filter(|c| *c != ':').take(ISSUER_MAX).collect();
    let (issuer, account) = (percent_encoded(&issuer), percent_encoded(user.username.as_str()));
    let uri = format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}"
    );
    Enrolment { secret, uri }
}

fn recovery_codes() -> Vec<String> {
    (0..RECOVERY_CODES).map(|_| recovery_code()).collect()
}

/// Digits in groups of four.
fn recovery_code() -> String {
    let digits = random_code(b"0123456789", RECOVERY_DIGITS);
    let groups: Vec<&str> = (0..RECOVERY_DIGITS / 4).map(|n| &digits[4 * n..4 * n + 4]).collect();
    groups.join("-")
}

fn hashes(codes: &[String]) -> BTreeSet<[u8; 32]> {
    codes.iter().map(|code| secrets::hash(&canonical(code))).collect()
}

/// A code as it is compared: people type blanks and hyphens.
fn canonical(code: &str) -> String {
    code.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// Base32 (RFC 4648 §6) of whole groups of five bytes, which need no padding.
pub(super) fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let group = |five: &[u8]| five.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let letters = |bits: u64| (0..8).rev().map(move |n| char::from(ALPHABET[(bits >> (5 * n) & 31) as usize]));
    bytes.chunks_exact(5).flat_map(|five| letters(group(five))).collect()
}
