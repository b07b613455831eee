//! The life of an app: registered, changed, locked out, given another secret.
#![expect(clippy::unwrap_used, reason = "tests")]

use uuid::Uuid;

use super::{
    AuthError, Scope,
    accounts::{AccountError, Editor},
    clients::{CLI, ClientPatch, NewApp, Sort},
    secrets,
    tests::{Site, site},
    tokens::{self, Claims},
};
use crate::domain::reason::Role;

const APP: &str = "nurse-app";

async fn register(site: &Site, confidential: bool) -> Option<String> {
    site.user("joana", Role::Nurse).await;
    let new = NewApp {
        client_id: APP.into(),
        name: "Nurse app".into(),
        redirect_uris: vec!["org.example.app:/cb".into()],
        confidential,
        ..NewApp::default()
    };
    let (client, secret) = site.auth.create_app(new, &Editor::on_server()).await.unwrap();
    assert_eq!(client.secret_hash.is_some(), confidential);
    secret.map(|secret| secret.reveal().to_owned())
}

/// A token of joana's, issued to the app so many seconds ago.
async fn token(site: &Site, seconds_ago: i64) -> String {
    let user = site.auth.user("joana").await.unwrap();
    let iat = super::now().as_second() - seconds_ago;
    let claims = Claims {
        iss: site.auth.issuer().to_owned(),
        sub: user.id.0,
        aud: tokens::audience(site.auth.issuer()),
        exp: iat + 600,
        iat,
        nbf: None,
        jti: Uuid::new_v4().to_string(),
        client_id: APP.into(),
        scope: "tickets:read tickets:write reference:read".into(),
        sid: Uuid::new_v4(),
        generation: user.generation,
        username: "joana".into(),
    };
    tokens::sign(&site.auth.keys, &claims).unwrap()
}

async fn patch(site: &Site, patch: ClientPatch) {
    site.auth.patch_client(APP, Sort::App, patch, &Editor::on_server()).await.unwrap();
}

#[tokio::test]
async fn an_app_that_is_locked_out_takes_its_tokens_with_it() {
    let site = site().await;
    register(&site, false).await;
    let before = token(&site, 5).await;
    assert!(site.auth.authenticate(&before, None).await.is_ok());
    patch(&site, ClientPatch { disabled: Some(true), ..ClientPatch::default() }).await;
    assert_eq!(site.auth.authenticate(&before, None).await, Err(AuthError::InvalidToken));
    patch(&site, ClientPatch { disabled: Some(false), ..ClientPatch::default() }).await;
    assert_eq!(site.auth.authenticate(&before, None).await, Err(AuthError::InvalidToken), "stays dead");
    assert!(site.auth.authenticate(&token(&site, -1).await, None).await.is_ok(), "a new one is good");
    let others = site.token_of("joana").await;
    assert!(site.auth.authenticate(&others, None).await.is_ok(), "another client's are left alone");
    assert!(site.store.actions().iter().any(|action| action == "client_disabled"));
}

#[tokio::test]
async fn narrower_scopes_act_on_tokens_in_use() {
    let site = site().await;
    register(&site, false).await;
    let token = token(&site, 0).await;
    assert!(site.auth.authenticate(&token, None).await.unwrap().require(Scope::TicketsWrite).is_ok());
    let scopes = Some([Scope::TicketsRead].into());
    patch(&site, ClientPatch { scopes, ..ClientPatch::default() }).await;
    assert_eq!(site.auth.authenticate(&token, None).await.unwrap().scopes, [Scope::TicketsRead].into());
}

#[tokio::test]
async fn a_new_secret_replaces_the_old_one_and_its_tokens() {
    let site = site().await;
    let first = register(&site, true).await.unwrap();
    let before = token(&site, 5).await;
    let (client, second) = site.auth.rotate_secret(APP, Sort::App, &Editor::on_server()).await.unwrap();
    assert!(secrets::matches(second.reveal(), client.secret_hash.as_deref()));
    assert!(!secrets::matches(&first, client.secret_hash.as_deref()));
    assert_eq!(site.auth.authenticate(&before, None).await, Err(AuthError::InvalidToken));
    let written = format!("{:?}", site.store.state().audit);
    assert!(!written.contains(&first) && !written.contains(second.reveal()));
}

#[tokio::test]
async fn what_a_client_cannot_be_is_refused() {
    let site = site().await;
    register(&site, false).await;
    let by = Editor::on_server();
    let disable = || ClientPatch { disabled: Some(true), ..ClientPatch::default() };
    assert!(matches!(site.auth.rotate_secret(APP, Sort::App, &by).await, Err(AccountError::PublicClient)));
    assert!(matches!(site.auth.patch_client(CLI, Sort::App, disable(), &by).await, Err(AccountError::BuiltIn)));
    let as_service = site.auth.patch_client(APP, Sort::Service, disable(), &by).await;
    assert!(matches!(as_service, Err(AccountError::NotFound { what: "service account", .. })));
    let clerk = Editor { name: "clerk".into(), may_admin: false };
    assert!(matches!(site.auth.patch_client(APP, Sort::App, disable(), &clerk).await, Err(AccountError::AdminOnly)));
    for (field, patch) in [
        ("scopes", ClientPatch { scopes: Some([Scope::TicketsDelegate].into()), ..ClientPatch::default() }),
        ("scopes", ClientPatch { scopes: Some([].into()), ..ClientPatch::default() }),
        ("redirect_uris", ClientPatch { redirect_uris: Some(vec!["http://h/cb".into()]), ..ClientPatch::default() }),
        ("name", ClientPatch { name: Some(String::new()), ..ClientPatch::default() }),
        ("name", ClientPatch { name: Some("Nurse app\nby medreq".into()), ..ClientPatch::default() }),
    ] {
        let refused = site.auth.patch_client(APP, Sort::App, patch, &by).await;
        assert!(matches!(refused, Err(AccountError::Invalid { field: of, .. }) if of == field), "{field}");
    }
}
