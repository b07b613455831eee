//! Passwords that come to be by a link, and those that must be changed.
#![expect(clippy::unwrap_used, reason = "tests")]

use jiff::SignedDuration;

use super::{
    AuthError,
    accounts::{AccountError, Editor},
    tests::{PASSWORD, Site, here, new_user, site},
    users::UserPatch,
};
use crate::domain::reason::Role;

async fn link(site: &Site, username: &str) -> String {
    let link = site.auth.reset_link(username, &Editor::on_server()).await.unwrap();
    let left = link.expires_at.duration_since(super::now());
    assert!(left > SignedDuration::from_hours(23) && left <= SignedDuration::from_hours(24));
    link.url.rsplit('/').next().unwrap().to_owned()
}

fn is_spent<T>(answer: Result<T, AccountError>) -> bool {
    matches!(answer, Err(AccountError::LinkSpent))
}

#[tokio::test]
async fn who_has_no_password_gets_in_by_a_link_once() {
    let site = site().await;
    let new = super::users::NewUser { must_change_password: true, ..new_user("joana", Role::Nurse, None) };
    site.auth.create_user(new, &Editor::on_server()).await.unwrap();
    let token = link(&site, "Joana").await;
    assert_eq!(site.auth.reset_subject(&token).await.unwrap().username.as_str(), "joana");
    let weak = site.auth.complete_reset(&token, "short").await;
    assert!(matches!(weak, Err(AccountError::Invalid { field: "password", .. })), "a refused one leaves the link");
    let before = site.token_of("joana").await;

    let (one, two) =
        tokio::join!(site.auth.complete_reset(&token, PASSWORD), site.auth.complete_reset(&token, "another horse"));
    assert!(one.is_ok() ^ two.is_ok(), "one of two parallel uses");
    assert!(is_spent(site.auth.reset_subject(&token).await));
    let password = if one.is_ok() { PASSWORD } else { "another horse" };
    let user = site.auth.authenticate_password("joana", password, here()).await.unwrap();
    assert!(!user.must_change_password);
    assert_eq!(site.auth.authenticate(&before, None).await, Err(AuthError::InvalidToken));
    let written = format!("{:?}", site.store.state().audit);
    assert!(written.contains("reset_link_made") && written.contains("password_set") && !written.contains(&token));
}

#[tokio::test]
async fn a_link_dies_with_a_newer_password_and_with_a_lock_out() {
    let site = site().await;
    site.user("joana", Role::Nurse).await;
    let (first, second) = (link(&site, "joana").await, link(&site, "joana").await);
    site.auth.complete_reset(&second, PASSWORD).await.unwrap();
    assert!(is_spent(site.auth.complete_reset(&first, "another horse").await));

    let token = link(&site, "joana").await;
    let disabled = |disabled| UserPatch { disabled: Some(disabled), ..UserPatch::default() };
    site.patch("joana", disabled(true)).await.unwrap();
    assert!(is_spent(site.auth.reset_subject(&token).await));
    let refused = site.auth.reset_link("joana", &Editor::on_server()).await;
    assert!(matches!(refused, Err(AccountError::Disabled)));
    site.patch("joana", disabled(false)).await.unwrap();
    assert!(is_spent(site.auth.reset_subject(&token).await), "stays dead");
    for wrong in ["", "x", &token[1..]] {
        assert!(is_spent(site.auth.complete_reset(wrong, PASSWORD).await));
    }
}

#[tokio::test]
async fn an_administrators_link_is_made_by_administrators_only() {
    let site = site().await;
    site.user("root", Role::Admin).await;
    let clerk = Editor { name: "clerk".into(), may_admin: false };
    assert!(matches!(site.auth.reset_link("root", &clerk).await, Err(AccountError::AdminOnly)));
    assert!(matches!(site.auth.reset_link("nobody", &clerk).await, Err(AccountError::NotFound { .. })));
}

#[tokio::test]
async fn a_password_that_must_change_is_changed_for_another() {
    let site = site().await;
    site.auth.create_user(new_user("joana", Role::Nurse, None), &Editor::on_server()).await.unwrap();
    site.auth.reset_password("joana", PASSWORD, &Editor::on_server()).await.unwrap();
    let user = site.auth.authenticate_password("joana", PASSWORD, here()).await.unwrap();
    assert!(user.must_change_password, "the caller sees it");
    let same = site.auth.change_own_password(&user.username, PASSWORD, PASSWORD, here()).await;
    assert!(matches!(same, Err(AccountError::Invalid { field: "password", .. })));
    let user = site.auth.change_own_password(&user.username, PASSWORD, "battery staple", here()).await.unwrap();
    assert!(!user.must_change_password);
}
