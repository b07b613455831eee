//! Authority at work: tokens, snapshot, delegation, sign-in, grants, administration, bootstrap.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, net::IpAddr, sync::atomic::Ordering};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::SignedDuration;
use serde_json::Value;

use super::{
    accounts::{AccountError, Editor},
    bootstrap::FirstAdmin,
    clients::{ClientPatch, NewApp, NewServiceAccount, Sort},
    fake::FakeStore,
    grants::{TokenError, TokenRequest, UserTokenError},
    imports::{KnownPlaces, UserRow},
    keys::Rotation,
    secrets::Secret,
    signin::SignInError,
    throttle::Source,
    users::{NewUser, UserPatch},
    *,
};
use crate::{
    domain::reason::Role,
    server::{
        ports::User,
        sqlite::{OpenMode, SqliteStore},
    },
};

pub(super) const URL: &str = "http://127.0.0.1:8080";
pub(super) const PASSWORD: &str = "correct horse";

pub(super) struct Site {
    pub(super) auth: Arc<Auth>,
    pub(super) store: Arc<FakeStore>,
    pub(super) sessions: Arc<dyn SessionStore>,
    _dir: tempfile::TempDir,
}

/// Sessions have no fake: what they do is what their store does.
fn sessions() -> (tempfile::TempDir, Arc<dyn SessionStore>) {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
    (dir, Arc::new(store))
}

async fn open(store: &Arc<FakeStore>, sessions: &Arc<dyn SessionStore>, url: &str) -> Arc<Auth> {
    Auth::open(store.clone(), sessions.clone(), &url.parse().unwrap()).await.unwrap()
}

pub(super) async fn site() -> Site {
    let store = Arc::new(FakeStore::default());
    let (dir, sessions) = sessions();
    let auth = open(&store, &sessions, URL).await;
    Site { auth, store, sessions, _dir: dir }
}

pub(super) fn source(text: &str) -> Source {
    text.parse::<IpAddr>().unwrap().into()
}

pub(super) fn here() -> Source {
    source("127.0.0.1")
}

pub(super) fn new_user(username: &str, role: Role, password: Option<&str>) -> NewUser {
    NewUser {
        username: username.parse().unwrap(),
        name: "Somebody".into(),
        roles: [role].into(),
        wards: ["UTI".parse().unwrap()].into(),
        pharmacies: BTreeSet::new(),
        password: password.map(str::to_owned),
        must_change_password: false,
    }
}

impl Site {
    pub(super) async fn user(&self, username: &str, role: Role) {
        self.auth.create_user(new_user(username, role, None), &Editor::on_server()).await.unwrap();
    }

    pub(super) async fn token_of(&self, username: &str) -> String {
        self.auth.user_token(username, SignedDuration::from_mins(10)).await.unwrap().access_token
    }

    pub(super) async fn service(&self, scopes: &[Scope]) -> (String, Secret) {
        let new = NewServiceAccount {
            client_id: Some("his-bridge".into()),
            name: "HIS".into(),
            scopes: scopes.iter().copied().collect(),
            wards: None,
        };
        let (client, secret) = self.auth.create_service_account(new, &Editor::on_server()).await.unwrap();
        (client.client_id, secret)
    }

    pub(super) async fn service_token(&self, scopes: &[Scope]) -> String {
        let (id, secret) = self.service(scopes).await;
        self.grant(&format!("grant_type=client_credentials&client_id={id}&client_secret={}", secret.reveal()))
            .await
            .unwrap()
            .access_token
    }

    pub(super) async fn grant(&self, body: &str) -> Result<grants::Issued, TokenError> {
        self.auth.token(TokenRequest { body: body.as_bytes(), authorization: None, source: here() }).await
    }

    pub(super) async fn patch(&self, username: &str, patch: UserPatch) -> Result<(), AccountError> {
        self.auth.patch_user(username, patch, &Editor::on_server()).await.map(drop)
    }
}

// ------------------------------------------------------------------------------------------------- changes that cross

/// Starts a change of joana's password, and once so many hashes are being computed lets another node change her record. What becomes of it.
async fn crossed(
    site: &Site,
    change: impl Future<Output = Result<User, AccountError>> + Send + 'static,
    hashes: u64,
    another: impl FnOnce(&mut User),
) -> Result<User, AccountError> {
    let begun = site.auth.passwords.computed();
    let held = site.auth.changes.lock().await;
    let change = tokio::spawn(change);
    let hashing = async {
        while site.auth.passwords.computed() < begun + hashes {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), hashing).await.unwrap();
    let mut user = site.auth.user("joana").await.unwrap();
    another(&mut user);
    site.store.update_user(user, audit::entry("by_another_node", None, None, Value::Null)).await.unwrap();
    drop(held);
    change.await.unwrap()
}

#[tokio::test]
async fn what_crosses_a_password_that_is_being_hashed_stays() {
    let site = site().await;
    let new = new_user("joana", Role::Nurse, Some(PASSWORD));
    site.auth.create_user(new, &Editor::on_server()).await.unwrap();
    let auth = Arc::clone(&site.auth);
    let own =
        async move { auth.change_own_password(&"joana".parse().unwrap(), PASSWORD, "battery staple", here()).await };
    let reset = |user: &mut User| {
        user.password_hash = Some("of an administrator's choice".into());
        user.generation += 1;
    };
    assert!(matches!(crossed(&site, own, 2, reset).await, Err(AccountError::Changed)));

    let auth = Arc::clone(&site.auth);
    let clerk = Editor { name: "clerk".into(), may_admin: false };
    let clerks = async move { auth.reset_password("joana", "battery staple", &clerk).await };
    let promote = |user: &mut User| user.roles.extend([Role::Admin]);
    assert!(matches!(crossed(&site, clerks, 1, promote).await, Err(AccountError::Changed)));

    let kept = site.auth.user("joana").await.unwrap();
    assert_eq!(kept.password_hash.as_deref(), Some("of an administrator's choice"));
    assert!(kept.roles.contains(&Role::Admin));
}

// ------------------------------------------------------------------------------------------------ authority in force

#[tokio::test]
async fn a_token_carries_what_the_roles_allow_and_a_role_change_acts_at_once() {
    let site = site().await;
    site.user("joana", Role::Pharmacist).await;
    let token = site.token_of("Joana").await;
    let principal = site.auth.authenticate(&token, None).await.unwrap();
    assert_eq!(principal.actor.person.username.as_str(), "joana");
    assert!(principal.require(Scope::ReferenceWrite).is_ok());
    assert!(!principal.service && !principal.delegated);

    let nurse = UserPatch { roles: Some([Role::Nurse].into()), ..UserPatch::default() };
    site.patch("joana", nurse).await.unwrap();
    let principal = site.auth.authenticate(&token, None).await.unwrap();
    assert_eq!(principal.require(Scope::ReferenceWrite), Err(AuthError::InsufficientScope(Scope::ReferenceWrite)));
    assert!(principal.require(Scope::TicketsWrite).is_ok());

    let back = UserPatch { roles: Some([Role::Pharmacist].into()), ..UserPatch::default() };
    site.patch("joana", back).await.unwrap();
    assert!(site.auth.authenticate(&token, None).await.unwrap().require(Scope::ReferenceWrite).is_ok());
}

#[tokio::test]
async fn disabling_and_a_new_password_kill_tokens() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let token = site.token_of("joana").await;
    site.auth.reset_password("joana", PASSWORD, &Editor::on_server()).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, None).await, Err(AuthError::InvalidToken));
    let token = site.token_of("joana").await;
    site.auth.authenticate(&token, None).await.unwrap();
    site.patch("joana", UserPatch { disabled: Some(true), ..UserPatch::default() }).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, None).await, Err(AuthError::InvalidToken));
    assert!(matches!(
        site.auth.user_token("joana", SignedDuration::from_mins(1)).await,
        Err(UserTokenError::Disabled(_))
    ));
    site.patch("joana", UserPatch { disabled: Some(false), ..UserPatch::default() }).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, None).await, Err(AuthError::InvalidToken), "stays dead");
}

#[tokio::test]
async fn a_token_seen_before_still_expires() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let token = site.auth.user_token("joana", SignedDuration::from_secs(5)).await.unwrap().access_token;
    assert!(site.auth.authenticate(&token, None).await.is_ok());
    let later = Timestamp::now() + SignedDuration::from_secs(6 + super::tokens::LEEWAY);
    assert_eq!(site.auth.authenticate_at(&token, None, later).await, Err(AuthError::TokenExpired));
}

#[tokio::test]
async fn while_the_store_is_away_the_last_snapshot_stays_in_force_and_nothing_is_issued() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let token = site.token_of("joana").await;
    site.store.down.store(true, Ordering::SeqCst);
    site.auth.refresh().await;
    assert!(site.auth.authenticate(&token, None).await.is_ok());
    assert!(site.auth.user_token("joana", SignedDuration::from_mins(1)).await.is_err());
}

#[tokio::test]
async fn a_subject_that_another_process_made_is_known_at_its_first_request() {
    let site = site().await;
    let other = open(&site.store, &site.sessions, URL).await;
    other.create_user(new_user("late", Role::Nurse, None), &Editor::on_server()).await.unwrap();
    let token = other.user_token("late", SignedDuration::from_mins(1)).await.unwrap().access_token;
    assert!(site.auth.authenticate(&token, None).await.is_ok());
}

#[tokio::test]
async fn the_issuer_stays_when_the_url_changes() {
    let site = site().await;
    let again = open(&site.store, &site.sessions, "http://127.0.0.1:9999").await;
    assert_eq!(again.issuer(), URL);
    assert_eq!(again.oauth_metadata()["token_endpoint"], "http://127.0.0.1:9999/oauth2/token");
    assert_eq!(again.openid_metadata()["issuer"], URL);
}

#[tokio::test]
async fn both_keys_are_published_and_made_once() {
    let site = site().await;
    for _ in 0..2 {
        site.auth.keys.tend(site.store.as_ref(), Timestamp::now()).await.unwrap();
    }
    let jwks = site.auth.jwks();
    let algorithms: Vec<_> = jwks["keys"].as_array().unwrap().iter().map(|key| key["alg"].clone()).collect();
    assert_eq!(algorithms, ["ES256", "RS256"]);
}

#[tokio::test]
async fn revocations_act_while_a_key_is_made() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let token = site.token_of("joana").await;
    site.store.inserting.notified().await;
    let _held = site.store.keys_held.lock().await;
    let (_stop, stopped) = watch::channel(false);
    let task = site.auth.spawn_refresh(stopped);
    site.store.inserting.notified().await;
    // As another node writes it.
    site.store.state().users.get_mut(&"joana".parse::<Username>().unwrap()).unwrap().disabled = true;
    let refused = async {
        while site.auth.authenticate(&token, None).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused).await.unwrap();
    task.abort();
}

#[tokio::test]
async fn what_a_compromised_key_signed_is_dead_at_once() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let before = site.token_of("joana").await;
    assert!(site.auth.authenticate(&before, None).await.is_ok());
    let clerk = Editor { name: "clerk".into(), may_admin: false };
    assert!(matches!(site.auth.rotate_keys(Rotation::Compromised, &clerk).await, Err(AccountError::AdminOnly)));
    site.auth.rotate_keys(Rotation::Orderly, &Editor::on_server()).await.unwrap();
    assert!(site.auth.authenticate(&before, None).await.is_ok(), "an orderly rotation logs nobody out");
    site.auth.rotate_keys(Rotation::Compromised, &Editor::on_server()).await.unwrap();
    assert_eq!(site.auth.authenticate(&before, None).await, Err(AuthError::InvalidToken));
    assert!(site.auth.authenticate(&site.token_of("joana").await, None).await.is_ok());
}

// -------------------------------------------------------------------------------------------------------- delegation

#[tokio::test]
async fn a_service_acts_for_a_user_with_that_users_authority() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let token = site
        .service_token(&[Scope::TicketsRead, Scope::TicketsWrite, Scope::TicketsDelegate, Scope::ReferenceWrite])
        .await;
    let own = site.auth.authenticate(&token, None).await.unwrap();
    assert!(own.service && own.actor.roles.contains(&Role::Service));
    let principal = site.auth.authenticate(&token, Some("JOANA")).await.unwrap();
    assert_eq!(principal.actor.person.username.as_str(), "joana");
    assert_eq!(principal.actor.client_id, "his-bridge");
    assert!(principal.actor.delegated && principal.delegated && principal.service);
    assert_eq!(principal.scopes, BTreeSet::from([Scope::TicketsRead, Scope::TicketsWrite]));
    assert!(principal.actor.wards.includes(&"UTI".parse().unwrap()));
    for nobody in ["nobody", "", "a b", "his-bridge"] {
        assert_eq!(site.auth.authenticate(&token, Some(nobody)).await, Err(AuthError::UnknownOnBehalfOf), "{nobody}");
    }
    site.patch("joana", UserPatch { disabled: Some(true), ..UserPatch::default() }).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, Some("joana")).await, Err(AuthError::UnknownOnBehalfOf));
}

#[tokio::test]
async fn nobody_else_may_act_for_a_user() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    site.user("admin", Role::Admin).await;
    let admin = site.token_of("admin").await;
    assert_eq!(site.auth.authenticate(&admin, Some("joana")).await, Err(AuthError::DelegationNotAllowed));
    let service = site.service_token(&[Scope::TicketsWrite]).await;
    assert_eq!(site.auth.authenticate(&service, Some("joana")).await, Err(AuthError::DelegationNotAllowed));
}

// ----------------------------------------------------------------------------------------------------------- sign-in

async fn signing_in() -> Site {
    let site = site().await;
    let joe = new_user("Jo\u{e9}", Role::Nurse, Some(PASSWORD));
    site.auth.create_user(joe, &Editor::on_server()).await.unwrap();
    site
}

#[tokio::test]
async fn a12_one_person_signs_in_however_the_name_is_typed() {
    let site = signing_in().await;
    for typed in ["jo\u{e9}", "JO\u{c9}", "Joe\u{301}"] {
        let user = site.auth.authenticate_password(typed, PASSWORD, here()).await.unwrap();
        assert_eq!(user.username.as_str(), "jo\u{e9}");
    }
    let again = new_user("JOE\u{301}", Role::Nurse, None);
    assert!(matches!(
        site.auth.create_user(again, &Editor::on_server()).await,
        Err(AccountError::Exists { what: "user", .. })
    ));
    site.auth.create_user(new_user("李雷", Role::Nurse, Some(PASSWORD)), &Editor::on_server()).await.unwrap();
    site.auth.authenticate_password("李雷", PASSWORD, here()).await.unwrap();
}

#[tokio::test]
async fn a12_every_refusal_costs_one_hash() {
    let site = signing_in().await;
    site.user("nohash", Role::Nurse).await;
    site.auth.create_user(new_user("gone", Role::Nurse, Some(PASSWORD)), &Editor::on_server()).await.unwrap();
    site.patch("gone", UserPatch { disabled: Some(true), ..UserPatch::default() }).await.unwrap();
    let tries = [
        ("jo\u{e9}", "wrong horse"),
        ("unknown", PASSWORD),
        ("not a name", PASSWORD),
        ("nohash", PASSWORD),
        ("gone", PASSWORD),
    ];
    for (username, password) in tries {
        let before = site.auth.passwords.computed();
        let refused = site.auth.authenticate_password(username, password, here()).await;
        assert!(matches!(refused, Err(SignInError::Refused)), "{username}");
        assert_eq!(site.auth.passwords.computed() - before, 1, "{username}");
    }
}

#[tokio::test]
async fn a12_empty_and_huge_passwords_are_refused_before_hashing() {
    let site = signing_in().await;
    let before = site.auth.passwords.computed();
    for password in [String::new(), "x".repeat(513), "x".repeat(5_000_000)] {
        for username in ["jo\u{e9}", "unknown"] {
            let refused = site.auth.authenticate_password(username, &password, here()).await;
            assert!(matches!(refused, Err(SignInError::Refused)));
        }
    }
    assert_eq!(site.auth.passwords.computed(), before);
    assert!(!format!("{:?}", site.store.state().audit).contains("xxx"));
}

#[tokio::test]
async fn guessing_is_slowed_down_and_the_victim_still_gets_in() {
    let site = signing_in().await;
    let attacker = source("203.0.113.9");
    let guesses = (0..50).map(|_| site.auth.authenticate_password("jo\u{e9}", "wrong horse", attacker));
    let before = site.auth.passwords.computed();
    let answers = futures_util::future::join_all(guesses).await;
    assert!(answers.iter().all(|answer| answer.is_err()));
    assert!(site.auth.passwords.computed() - before <= 6, "parallel guesses are counted before they are hashed");
    let more = site.auth.authenticate_password("jo\u{e9}", PASSWORD, attacker).await;
    assert!(matches!(more, Err(SignInError::TooSoon(_))));
    site.auth.authenticate_password("jo\u{e9}", PASSWORD, here()).await.unwrap();
    assert!(site.store.actions().contains(&"sign_in_failed".to_owned()));
}

#[tokio::test]
async fn ones_own_password_needs_the_current_one() {
    let site = signing_in().await;
    let joe: Username = "jo\u{e9}".parse().unwrap();
    let wrong = site.auth.change_own_password(&joe, "wrong horse", "battery staple", here()).await;
    assert!(matches!(wrong, Err(AccountError::WrongPassword)));
    let short = site.auth.change_own_password(&joe, PASSWORD, "short", here()).await;
    assert!(matches!(short, Err(AccountError::Invalid { field: "password", .. })));
    site.auth.change_own_password(&joe, PASSWORD, "battery staple", here()).await.unwrap();
    assert!(site.auth.authenticate_password("jo\u{e9}", PASSWORD, here()).await.is_err());
    site.auth.authenticate_password("jo\u{e9}", "battery staple", here()).await.unwrap();
}

// ------------------------------------------------------------------------------------------------ client credentials

#[tokio::test]
async fn client_credentials_in_the_header_or_the_body_but_not_in_both() {
    let site = site().await;
    let (id, secret) = site.service(&[Scope::TicketsRead, Scope::TicketsWrite]).await;
    let header = format!("Basic {}", STANDARD.encode(format!("his%2Dbridge:{}", secret.reveal())));
    let ask = |body: String, authorization: Option<String>| {
        let auth = Arc::clone(&site.auth);
        async move {
            let request =
                TokenRequest { body: body.as_bytes(), authorization: authorization.as_deref(), source: here() };
            auth.token(request).await
        }
    };
    let grant = "grant_type=client_credentials".to_owned();
    let posted = format!("{grant}&client_id={id}&client_secret={}", secret.reveal());
    let issued = ask(grant.clone(), Some(header.clone())).await.unwrap();
    assert_eq!(issued.scope, "tickets:read tickets:write");
    assert_eq!(issued.expires_in, SignedDuration::from_mins(10));
    let narrow = ask(format!("{posted}&scope=tickets:write"), None).await.unwrap();
    assert_eq!(narrow.scope, "tickets:write");
    let principal = site.auth.authenticate(&narrow.access_token, None).await.unwrap();
    assert_eq!(principal.scopes, BTreeSet::from([Scope::TicketsWrite]));

    let refused = [
        (posted.clone(), Some(header.clone()), "invalid_request"),
        (format!("{posted}&client_id={id}"), None, "invalid_request"),
        (format!("{grant}&client_id=other"), Some(header.clone()), "invalid_request"),
        (String::new(), Some(header.clone()), "invalid_request"),
        ("grant_type=password&username=a&password=b".into(), Some(header.clone()), "unsupported_grant_type"),
        (grant.clone(), None, "invalid_client"),
        (grant.clone(), Some("Bearer x".into()), "invalid_client"),
        (grant.clone(), Some("Basic !!!".into()), "invalid_client"),
        (format!("{grant}&client_id={id}&client_secret=wrong"), None, "invalid_client"),
        (format!("{grant}&client_id=nobody&client_secret=wrong"), None, "invalid_client"),
        (format!("{grant}&client_id=medreq-cli&client_secret=x"), None, "invalid_client"),
        (format!("{posted}&scope=admin"), None, "invalid_scope"),
        (format!("{posted}&scope=unheard-of"), None, "invalid_scope"),
    ];
    for (body, authorization, code) in refused {
        let error = ask(body.clone(), authorization).await.unwrap_err();
        assert_eq!(error.code(), code, "{body}");
    }
}

#[tokio::test]
async fn a_rotated_secret_and_a_disabled_account_act_at_once() {
    let site = site().await;
    let (id, old) = site.service(&[Scope::TicketsRead]).await;
    let with = |secret: &str| format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
    let token = site.grant(&with(old.reveal())).await.unwrap().access_token;
    let (_, new) = site.auth.rotate_secret(&id, Sort::Service, &Editor::on_server()).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, None).await, Err(AuthError::InvalidToken));
    assert!(site.grant(&with(old.reveal())).await.is_err());
    let token = site.grant(&with(new.reveal())).await.unwrap().access_token;
    let disable = ClientPatch { disabled: Some(true), ..ClientPatch::default() };
    site.auth.patch_client(&id, Sort::Service, disable, &Editor::on_server()).await.unwrap();
    assert_eq!(site.auth.authenticate(&token, None).await, Err(AuthError::InvalidToken));
    assert!(matches!(site.grant(&with(new.reveal())).await, Err(TokenError::InvalidClient)));
    let written = format!("{:?}", site.store.state().audit);
    assert!(!written.contains(old.reveal()) && !written.contains(new.reveal()));
}

#[tokio::test]
async fn guessing_a_client_secret_is_slowed_down() {
    let site = site().await;
    let body = "grant_type=client_credentials&client_id=his&client_secret=wrong";
    let mut codes = Vec::new();
    for _ in 0..8 {
        codes.push(site.grant(body).await.unwrap_err().code());
    }
    assert_eq!(codes.last(), Some(&"slow_down"));
}

// ---------------------------------------------------------------------------------------------------- administration

#[tokio::test]
async fn the_last_administrator_stays() {
    let site = site().await;
    site.user("root", Role::Admin).await;
    let disable = || UserPatch { disabled: Some(true), ..UserPatch::default() };
    let demote = || UserPatch { roles: Some([Role::Nurse].into()), ..UserPatch::default() };
    assert!(matches!(site.patch("root", disable()).await, Err(AccountError::LastAdmin)));
    assert!(matches!(site.patch("root", demote()).await, Err(AccountError::LastAdmin)));
    site.user("second", Role::Admin).await;
    site.patch("root", demote()).await.unwrap();
    assert!(matches!(site.patch("second", disable()).await, Err(AccountError::LastAdmin)));
}

#[tokio::test]
async fn two_administrators_cannot_disable_each_other() {
    let site = site().await;
    site.user("one", Role::Admin).await;
    site.user("two", Role::Admin).await;
    let disable = || UserPatch { disabled: Some(true), ..UserPatch::default() };
    let (a, b) = tokio::join!(site.patch("one", disable()), site.patch("two", disable()));
    assert!(a.is_ok() ^ b.is_ok());
}

#[tokio::test]
async fn administering_users_does_not_make_an_administrator() {
    let site = site().await;
    site.user("root", Role::Admin).await;
    site.user("joana", Role::Nurse).await;
    let clerk = Editor { name: "clerk".into(), may_admin: false };
    let promote = UserPatch { roles: Some([Role::Admin].into()), ..UserPatch::default() };
    let refused = site.auth.patch_user("joana", promote, &clerk).await;
    assert!(matches!(refused, Err(AccountError::AdminOnly)));
    assert!(matches!(site.auth.reset_password("root", PASSWORD, &clerk).await, Err(AccountError::AdminOnly)));
    let new = site.auth.create_user(new_user("mallory", Role::Admin, None), &clerk).await;
    assert!(matches!(new, Err(AccountError::AdminOnly)));
    let app = NewApp { client_id: "app".into(), name: "App".into(), ..NewApp::default() };
    assert!(matches!(site.auth.create_app(app, &clerk).await, Err(AccountError::AdminOnly)));
    site.auth.create_user(new_user("carla", Role::Nurse, None), &clerk).await.unwrap();
}

#[tokio::test]
async fn users_without_a_role_or_with_a_programs_role_are_refused() {
    let site = site().await;
    let none = NewUser { roles: BTreeSet::new(), ..new_user("joana", Role::Nurse, None) };
    for new in [none, new_user("joana", Role::Service, None)] {
        let refused = site.auth.create_user(new, &Editor::on_server()).await;
        assert!(matches!(refused, Err(AccountError::Invalid { field: "roles", .. })));
    }
}

#[tokio::test]
async fn an_import_writes_the_good_rows_and_repeats_without_effect() {
    let site = site().await;
    site.user("root", Role::Admin).await;
    let places = KnownPlaces { wards: ["UTI".parse().unwrap()].into(), pharmacies: BTreeSet::new() };
    let row = |line, username: &str, role: &str, ward: &str| UserRow {
        line,
        username: username.into(),
        name: "Ana".into(),
        roles: vec![role.into()],
        wards: vec![ward.into()],
        pharmacies: vec![],
    };
    let rows = vec![
        row(2, "ana", "nurse", "uti"),
        row(3, "Ana", "nurse", "UTI"),
        row(4, "bia", "nurse", "NOWHERE"),
        row(5, "caio", "emperor", "UTI"),
        row(6, "a b", "nurse", "UTI"),
        row(7, "root", "nurse", "UTI"),
    ];
    let dry = site.auth.import_users(rows.clone(), &places, &Editor::on_server(), true).await.unwrap();
    assert!(site.auth.user("ana").await.is_err());
    let done = site.auth.import_users(rows.clone(), &places, &Editor::on_server(), false).await.unwrap();
    assert_eq!(dry, done);
    assert_eq!((done.created, done.updated, done.unchanged), (1, 0, 0));
    assert_eq!(done.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 6, 7]);
    let again = site.auth.import_users(rows, &places, &Editor::on_server(), false).await.unwrap();
    assert_eq!((again.created, again.updated, again.unchanged), (0, 0, 1));
    site.user("second", Role::Admin).await;
    let both = vec![row(2, "root", "nurse", "UTI"), row(3, "second", "nurse", "UTI")];
    let done = site.auth.import_users(both, &places, &Editor::on_server(), false).await.unwrap();
    assert_eq!((done.updated, done.rejected.len()), (1, 1), "a list cannot remove every administrator");
    let user = site.auth.user("ana").await.unwrap();
    assert!(user.must_change_password && user.password_hash.is_none());
}

// --------------------------------------------------------------------------------------------------------- bootstrap

#[tokio::test]
async fn the_first_administrator_is_made_once_by_a_link() {
    let site = site().await;
    let link = site.auth.setup_link().await.unwrap().unwrap();
    let token = link.strip_prefix(&format!("{URL}/setup/")).unwrap();
    let admin = |password| FirstAdmin { username: "Root", name: "Root", password };
    let weak = site.auth.complete_setup(token, admin("short")).await;
    assert!(matches!(weak, Err(AccountError::Invalid { .. })), "a refused form does not spend the link");
    assert!(matches!(site.auth.complete_setup("wrong", admin(PASSWORD)).await, Err(AccountError::LinkSpent)));
    site.user("nina", Role::Nurse).await;
    let taken = || FirstAdmin { username: "nina", name: "Nina", password: PASSWORD };
    let stranger = site.auth.complete_setup("wrong", taken()).await;
    assert!(matches!(stranger, Err(AccountError::LinkSpent)), "a stranger does not learn who has an account");
    assert!(matches!(site.auth.complete_setup(token, taken()).await, Err(AccountError::Exists { .. })));
    site.auth.complete_setup(token, admin(PASSWORD)).await.unwrap();
    assert!(matches!(site.auth.complete_setup(token, admin(PASSWORD)).await, Err(AccountError::LinkSpent)));
    assert_eq!(site.auth.setup_link().await.unwrap(), None);
    site.auth.authenticate_password("root", PASSWORD, here()).await.unwrap();
    let actions = site.store.actions();
    for action in ["setup_link_made", "setup_link_used", "user_created"] {
        assert!(actions.iter().any(|written| written == action), "{action}");
    }
    assert!(!format!("{:?}", site.store.state().audit).contains(token));
}

#[tokio::test]
async fn a_user_token_lives_at_most_a_day_and_is_audited() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    for ttl in [SignedDuration::ZERO, SignedDuration::from_hours(25), SignedDuration::from_secs(-1)] {
        assert!(matches!(site.auth.user_token("joana", ttl).await, Err(UserTokenError::Ttl)));
    }
    assert!(matches!(
        site.auth.user_token("nobody", SignedDuration::from_secs(1)).await,
        Err(UserTokenError::NoUser(_))
    ));
    let issued = site.auth.user_token("joana", SignedDuration::from_hours(24)).await.unwrap();
    assert!(site.store.actions().contains(&"token_issued".to_owned()));
    assert!(!format!("{:?}", site.store.state().audit).contains(&issued.access_token));
}

#[tokio::test]
async fn a_verb_before_the_first_start_leaves_the_issuer_open() {
    let store = Arc::new(FakeStore::default());
    let (_dir, sessions) = sessions();
    let beside = async || Auth::beside(store.clone(), sessions.clone()).await.unwrap();
    let first = beside().await;
    first.create_user(new_user("root", Role::Admin, Some(PASSWORD)), &Editor::on_server()).await.unwrap();
    let minute = SignedDuration::from_mins(1);
    assert!(matches!(first.user_token("root", minute).await, Err(UserTokenError::NeverStarted)));
    let server = open(&store, &sessions, "https://medreq.example.org").await;
    assert_eq!(server.issuer(), "https://medreq.example.org");
    let token = beside().await.user_token("root", minute).await.unwrap().access_token;
    assert!(server.authenticate(&token, None).await.is_ok());
}
