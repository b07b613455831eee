//! Who is who over the embedded store: a restart, a second process, a whole life of an account.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeSet, net::IpAddr, path::Path, sync::Arc};

use futures_util::future::join_all;
use jiff::SignedDuration;

use super::{
    Auth, AuthError, Scope,
    accounts::{AccountError, Editor},
    bootstrap::FirstAdmin,
    clients::{NewServiceAccount, Sort},
    grants::{TokenError, TokenRequest},
    imports::{KnownPlaces, UserRow},
    throttle::Source,
    users::{NewUser, UserPatch},
};
use crate::{
    domain::reason::Role,
    server::{
        ports::{AuditQuery, IdentityStore},
        sqlite::{OpenMode, SqliteStore, backup, restore::restore},
    },
};

const PASSWORD: &str = "correct horse";

async fn serve(dir: &Path, url: &str) -> (Arc<Auth>, Arc<SqliteStore>) {
    let store = Arc::new(SqliteStore::open(dir, OpenMode::Serve).unwrap());
    let auth = Auth::open(store.clone(), store.clone(), &url.parse().unwrap()).await.unwrap();
    (auth, store)
}

fn here() -> Source {
    "127.0.0.1".parse::<IpAddr>().unwrap().into()
}

fn nurse(username: &str) -> NewUser {
    NewUser {
        username: username.parse().unwrap(),
        name: "Joana Prado".into(),
        roles: [Role::Nurse].into(),
        wards: BTreeSet::new(),
        pharmacies: BTreeSet::new(),
        password: Some(PASSWORD.into()),
        must_change_password: false,
    }
}

#[tokio::test]
async fn tokens_keys_and_issuer_outlive_a_restart_on_another_port() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    auth.create_user(nurse("joana"), &Editor::on_server()).await.unwrap();
    let token = auth.user_token("joana", SignedDuration::from_mins(10)).await.unwrap().access_token;
    let jwks = auth.jwks();
    drop((auth, store));
    let (auth, _store) = serve(dir.path(), "http://127.0.0.1:9090").await;
    assert_eq!((auth.issuer(), auth.jwks()), ("http://127.0.0.1:8080", jwks));
    assert!(auth.authenticate(&token, None).await.is_ok());
    auth.authenticate_password("Joana", PASSWORD, here()).await.unwrap();
}

#[tokio::test]
async fn a_token_from_before_any_restore_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    let (auth, store) = serve(&data, "http://127.0.0.1:8080").await;
    auth.create_user(nurse("joana"), &Editor::on_server()).await.unwrap();
    let token = async |auth: &Auth| auth.user_token("joana", SignedDuration::from_hours(1)).await.unwrap().access_token;
    let mut earlier = vec![token(&auth).await];
    let made = backup::create(&data, &root.path().join("backups"), &[]).unwrap();
    drop((auth, store));
    // The same backup again: the tokens of between are those that it knows least of.
    for _ in 0..2 {
        restore(&made.path, &data, true).unwrap();
        let (auth, _store) = serve(&data, "http://127.0.0.1:8080").await;
        for token in &earlier {
            assert_eq!(auth.authenticate(token, None).await, Err(AuthError::InvalidToken));
        }
        let newest = token(&auth).await;
        assert!(auth.authenticate(&newest, None).await.is_ok());
        earlier.push(newest);
    }
}

#[tokio::test]
async fn a_verb_beside_the_server_acts_on_it() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    let beside = SqliteStore::open(dir.path(), OpenMode::Beside { create: false }).unwrap();
    let beside = Arc::new(beside);
    let beside = Auth::beside(beside.clone(), beside).await.unwrap();
    beside.create_user(nurse("joana"), &Editor::on_server()).await.unwrap();
    let token = beside.user_token("joana", SignedDuration::from_mins(10)).await.unwrap().access_token;
    assert!(auth.authenticate(&token, None).await.is_ok());
    let out = UserPatch { disabled: Some(true), ..UserPatch::default() };
    beside.patch_user("joana", out, &Editor::on_server()).await.unwrap();
    auth.refresh().await;
    assert_eq!(auth.authenticate(&token, None).await, Err(AuthError::InvalidToken));
}

#[tokio::test]
async fn a_service_account_lives_through_rotation() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    auth.create_user(nurse("joana"), &Editor::on_server()).await.unwrap();
    let new = NewServiceAccount {
        client_id: None,
        name: "HIS".into(),
        scopes: [Scope::TicketsWrite, Scope::TicketsDelegate].into(),
        wards: None,
    };
    let (client, first) = auth.create_service_account(new, &Editor::on_server()).await.unwrap();
    let (_, second) = auth.rotate_secret(&client.client_id, Sort::Service, &Editor::on_server()).await.unwrap();
    let ask =
        |secret: &str| format!("grant_type=client_credentials&client_id={}&client_secret={secret}", client.client_id);
    let (old, new) = (ask(first.reveal()), ask(second.reveal()));
    let request = |body: &'static str| TokenRequest { body: body.as_bytes(), authorization: None, source: here() };
    assert_eq!(auth.token(request(old.leak())).await.unwrap_err().code(), "invalid_client");
    let token = auth.token(request(new.leak())).await.unwrap().access_token;
    let principal = auth.authenticate(&token, Some("joana")).await.unwrap();
    assert_eq!(principal.scopes, BTreeSet::from([Scope::TicketsWrite]));
}

#[tokio::test]
async fn of_requests_at_once_with_the_right_secret_none_has_to_wait() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    let new = NewServiceAccount {
        client_id: Some("his".into()),
        name: "HIS".into(),
        scopes: [Scope::TicketsRead].into(),
        wards: None,
    };
    let (_, secret) = auth.create_service_account(new, &Editor::on_server()).await.unwrap();
    let ask = async |secret: &str| {
        let body = format!("grant_type=client_credentials&client_id=his&client_secret={secret}");
        auth.token(TokenRequest { body: body.as_bytes(), authorization: None, source: here() }).await
    };
    let right = join_all((0..50).map(|_| ask(secret.reveal()))).await;
    assert!(right.iter().all(Result::is_ok), "{right:?}");
    let wrong = join_all((0..50).map(|_| ask("guessed"))).await;
    assert!(wrong.iter().any(|answer| matches!(answer, Err(TokenError::TooSoon(_)))), "{wrong:?}");
}

#[tokio::test]
async fn the_first_administrator_survives_and_the_audit_tells_it() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    let link = auth.setup_link().await.unwrap().unwrap();
    let token = link.rsplit('/').next().unwrap();
    let admin = || FirstAdmin { username: "root", name: "Root", password: PASSWORD };
    auth.complete_setup(token, admin()).await.unwrap();
    assert!(matches!(auth.complete_setup(token, admin()).await, Err(AccountError::LinkSpent)));
    let audit = store.audit_entries(AuditQuery { kind: None, limit: 200, after: None }).await.unwrap();
    let actions: Vec<&str> = audit.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(&actions[..3], ["user_created", "setup_link_used", "setup_link_made"]);
}

#[tokio::test]
async fn an_import_that_cannot_be_written_whole_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (auth, _store) = serve(dir.path(), "http://127.0.0.1:8080").await;
    // The list of places is newer than the store: the second row's ward is not there.
    let places = KnownPlaces { wards: ["UTI".parse().unwrap()].into(), pharmacies: BTreeSet::new() };
    let row = |username: &str, wards: &[&str]| UserRow {
        line: 2,
        username: username.into(),
        name: "Ana".into(),
        roles: vec!["nurse".into()],
        wards: wards.iter().map(|ward| (*ward).to_owned()).collect(),
        pharmacies: vec![],
    };
    let rows = vec![row("ana", &[]), row("bia", &["UTI"])];
    let refused = auth.import_users(rows, &places, &Editor::on_server(), false).await;
    assert!(matches!(refused, Err(AccountError::Invalid { field: "wards", .. })));
    assert!(matches!(auth.user("ana").await, Err(AccountError::NotFound { .. })));
}
