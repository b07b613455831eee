//! Second factors by a given clock: enrolment, replay, skew, recovery codes, throttling, policy.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::{SignedDuration, Timestamp};
use totp_rs::{Algorithm, Builder};

use super::{
    accounts::{AccountError, Editor},
    policy::SignInPolicy,
    second_factor::{FactorError, FactorStep, base32, step_of},
    tests::{PASSWORD, Site, here, new_user, site},
};
use crate::{domain::reason::Role, server::ports::User};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The app of the person, which knows the secret as the server keeps it.
async fn code(site: &Site, user: &User, now: Timestamp) -> String {
    let secret = site.sessions.second_factor(user.id).await.unwrap().unwrap().secret;
    let secret = <[u8; 20]>::try_from(secret).unwrap();
    let totp = Builder::new().with_algorithm(Algorithm::SHA1).with_secret(secret).build().unwrap();
    totp.generate(now.as_second().unsigned_abs()).to_string()
}

const START: i64 = 1_800_000_000;

async fn person(site: &Site) -> User {
    site.auth.create_user(new_user("joana", Role::Nurse, Some(PASSWORD)), &Editor::on_server()).await.unwrap()
}

/// Somebody whose factor is in force since a minute ago, and their recovery codes.
async fn enrolled(site: &Site) -> (User, Vec<String>) {
    let user = person(site).await;
    site.auth.enrol_factor(&user, "medreq").await.unwrap();
    let then = Timestamp::now() - SignedDuration::from_secs(60);
    let code = code(site, &user, then).await;
    let codes = site.auth.confirm_factor_at(&user, &code, here(), then).await.unwrap();
    (user, codes)
}

fn is_wrong<T>(answer: Result<T, FactorError>) -> bool {
    matches!(answer, Err(FactorError::Wrong))
}

#[test]
fn codes_are_those_of_the_standard() {
    let secret = b"12345678901234567890";
    for (second, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
        assert_eq!(step_of(secret, code, at(second)), Some(second.unsigned_abs() / 30), "RFC 6238, appendix B");
    }
    assert_eq!(base32(secret), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    for bad in ["", "28708", "2870820", "28708a", "２８７０８２"] {
        assert_eq!(step_of(secret, bad, at(59)), None, "{bad}");
    }
}

#[test]
fn a_code_is_good_one_step_early_and_late_and_no_more() {
    let secret = b"12345678901234567890";
    let code = "081804";
    let step = 1_111_111_109 / 30 * 30;
    for (second, good) in [(step - 31, false), (step - 30, true), (step + 59, true), (step + 60, false)] {
        assert_eq!(step_of(secret, code, at(second)).is_some(), good, "{second}");
    }
}

#[tokio::test]
async fn a_factor_is_in_force_only_after_a_right_code_and_no_code_counts_twice() {
    let site = site().await;
    let user = person(&site).await;
    let one = site.auth.enrol_factor(&user, "medreq").await.unwrap();
    let two = site.auth.enrol_factor(&user, "medreq").await.unwrap();
    assert_ne!(one.secret, two.secret, "nobody confirms what another was shown");
    assert_eq!(site.auth.waiting_factor(&user, "medreq").await.unwrap().uri, two.uri);
    assert!(two.uri.starts_with("otpauth://totp/medreq:joana?secret=") && two.uri.contains(&two.secret));
    assert!(is_wrong(site.auth.confirm_factor_at(&user, "000000", here(), at(START)).await));
    assert!(!site.auth.has_factor(user.id).await.unwrap());

    let first = code(&site, &user, at(START)).await;
    let codes = site.auth.confirm_factor_at(&user, &first, here(), at(START)).await.unwrap();
    assert_eq!(codes.len(), 10);
    assert!(site.auth.has_factor(user.id).await.unwrap());
    assert!(matches!(site.auth.enrol_factor(&user, "medreq").await, Err(FactorError::Enrolled)));
    assert!(is_wrong(site.auth.prove_factor_at(&user, &first, here(), at(START)).await), "confirming took it");

    let next = code(&site, &user, at(START + 30)).await;
    let spaced = format!("{} {}", &next[..3], &next[3..]);
    site.auth.prove_factor_at(&user, &spaced, here(), at(START + 30)).await.unwrap();
    assert!(is_wrong(site.auth.prove_factor_at(&user, &next, here(), at(START + 31)).await));

    let written = format!("{:?}", site.store.state().audit);
    assert!(written.contains("second_factor_failed"));
    assert!(!written.contains(&two.secret) && !written.contains(&codes[0]) && !written.contains(&next));
}

#[tokio::test]
async fn the_address_for_the_app_holds_whatever_hospital_and_person_are_called() {
    let site = site().await;
    let new = new_user("zoë&secret=a?", Role::Nurse, Some(PASSWORD));
    let user = site.auth.create_user(new, &Editor::on_server()).await.unwrap();
    let uri = site.auth.enrol_factor(&user, "São João: UTI & Cia").await.unwrap().uri;
    let (label, query) = uri.split_once('?').unwrap();
    assert_eq!(label, "otpauth://totp/S%C3%A3o%20Jo%C3%A3o%20UTI%20%26%20Cia:zo%C3%AB%26secret%3Da%3F");
    assert_eq!(query.matches("secret=").count(), 1);
    assert!(query.contains("&issuer=S%C3%A3o%20Jo%C3%A3o%20UTI%20%26%20Cia&"), "{query}");
    assert!(
        site.auth.enrol_factor(&user, &"é".repeat(500)).await.unwrap().uri.len() < 600,
        "a code that can be scanned"
    );
}

#[tokio::test]
async fn a_recovery_code_counts_once_however_it_is_typed() {
    let site = site().await;
    let (user, codes) = enrolled(&site).await;
    assert!(
        codes.iter().all(|code| code.len() == 29 && code.bytes().all(|b| b.is_ascii_digit() || b == b'-')),
        "{codes:?}"
    );
    assert_eq!(site.auth.recovery_codes_left(user.id).await.unwrap(), Some(10));
    let typed = codes[0].replace('-', " ");
    site.auth.prove_factor(&user, &typed, here()).await.unwrap();
    assert!(is_wrong(site.auth.prove_factor(&user, &codes[0], here()).await));
    assert_eq!(site.auth.recovery_codes_left(user.id).await.unwrap(), Some(9));
    let renewed = site.auth.renew_recovery(&user, &codes[1], here()).await.unwrap();
    assert!(is_wrong(site.auth.prove_factor(&user, &codes[2], here()).await), "the old ones are dead");
    site.auth.remove_factor(&user, &renewed[0], here()).await.unwrap();
    assert!(!site.auth.has_factor(user.id).await.unwrap());
}

#[tokio::test]
async fn guessing_codes_is_slowed_down_and_the_password_takes_no_guess_back() {
    let site = site().await;
    let (user, _) = enrolled(&site).await;
    for _ in 0..5 {
        assert!(is_wrong(site.auth.prove_factor(&user, "zzzz", here()).await));
        site.auth.authenticate_password("joana", PASSWORD, here()).await.unwrap();
    }
    let now = Timestamp::now();
    assert!(is_wrong(site.auth.prove_factor_at(&user, "zzzz", here(), now).await));
    let right = code(&site, &user, now).await;
    let early = site.auth.prove_factor_at(&user, &right, here(), now).await;
    assert!(matches!(early, Err(FactorError::TooSoon(_))));
    site.auth.prove_factor_at(&user, &right, here(), now + SignedDuration::from_secs(2)).await.unwrap();
}

#[tokio::test]
async fn the_policy_asks_for_a_factor_and_a_factor_is_always_asked_for() {
    let site = site().await;
    let user = person(&site).await;
    let missing = async |methods: &[&str]| {
        let methods: Vec<String> = methods.iter().map(|method| (*method).to_owned()).collect();
        site.auth.missing_factor(&user, &methods).await.unwrap()
    };
    assert_eq!(missing(&["pwd"]).await, None);
    let policy = SignInPolicy { second_factor_required_for: [Role::Nurse].into() };
    site.auth.set_policy(policy, &Editor::on_server()).await.unwrap();
    assert_eq!(missing(&["pwd"]).await, Some(FactorStep::Enrol));
    site.auth.enrol_factor(&user, "medreq").await.unwrap();
    assert_eq!(missing(&["pwd"]).await, Some(FactorStep::Enrol), "one that is not confirmed is none");
    let first = code(&site, &user, at(START)).await;
    site.auth.confirm_factor_at(&user, &first, here(), at(START)).await.unwrap();
    site.auth.set_policy(SignInPolicy::default(), &Editor::on_server()).await.unwrap();
    assert_eq!(missing(&["pwd"]).await, Some(FactorStep::Prove));
    assert_eq!(missing(&super::second_factor::BOTH_FACTORS).await, None);

    let link = site.auth.reset_link("joana", &Editor::on_server()).await.unwrap();
    site.auth.complete_reset(link.url.rsplit('/').next().unwrap(), "another horse").await.unwrap();
    assert_eq!(missing(&["pwd"]).await, Some(FactorStep::Prove), "a new password leaves the factor");
    site.auth.reset_factor("joana", &Editor::on_server()).await.unwrap();
    assert_eq!(missing(&["pwd"]).await, None);
    let again = site.auth.reset_factor("joana", &Editor::on_server()).await;
    assert!(matches!(again, Err(AccountError::NoFactor)));
}
