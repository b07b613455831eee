//! Everything that happens around signing in stands in the audit log, and no secret does.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{World, invalid_grant, text};
use crate::common::{Browser, PASSWORD};

#[test]
fn every_event_of_a_sign_in_is_in_the_audit_and_no_secret() {
    let world = World::new();
    let (server, admin) = (world.server(), &world.admin);
    world.person("ada");
    let machine = world.at("10.6.0.1");
    let mut secrets = vec![PASSWORD.to_owned(), "wrong horse".to_owned(), "temporary horse".to_owned()];
    let mut keep = |answer: &Value| {
        for name in ["access_token", "refresh_token", "id_token", "device_code", "client_secret"] {
            secrets.extend(answer[name].as_str().map(str::to_owned));
        }
    };

    // Signing in, wrong and too often and right; a code, its second use, a refresh, a stolen refresh token.
    let guesser = world.at("10.6.0.2");
    let wrong: Vec<u16> = (0..8).map(|_| Browser::new(&guesser).sign_in("ada", "wrong horse").status).collect();
    assert!(wrong.contains(&422) && wrong.contains(&429), "{wrong:?}");
    let mut browser = Browser::signed_in(&machine, "ada");
    let code = browser.code("nurse-app");
    let first = machine.redeem("nurse-app", &code).send().expect(200);
    keep(&first);
    invalid_grant(machine.redeem("nurse-app", &code).send());
    invalid_grant(machine.redeem("other-app", &code).send());
    let second = machine.tokens("nurse-app", "ada");
    let third = machine.refresh("nurse-app", text(&second, "refresh_token")).send().expect(200);
    let fourth = machine.refresh("nurse-app", text(&third, "refresh_token")).send().expect(200);
    invalid_grant(machine.refresh("nurse-app", text(&second, "refresh_token")).send());
    [&second, &third, &fourth].into_iter().for_each(&mut keep);

    // A device that is let in, one that is not, one whose code is guessed.
    let fields = [("client_id", "nurse-app"), ("scope", "offline_access tickets:read")];
    let device = || machine.post("/oauth2/device_authorization", &fields).send().expect(200);
    let (good, bad) = (device(), device());
    browser.decide(text(&good, "user_code"), "allow");
    browser.decide(text(&bad, "user_code"), "deny");
    let guessed = browser.submit("/device", "/device", &[("user_code", "BCDF-GHJK")]);
    assert_eq!(guessed.status, 422);
    let tokens = machine.poll("nurse-app", text(&good, "device_code")).send().expect(200);
    [&good, &bad, &tokens].into_iter().for_each(&mut keep);

    // The end: a revocation, a session, all sessions, signing out of the browser.
    let fields = [("client_id", "nurse-app"), ("token", text(&tokens, "refresh_token"))];
    assert_eq!(machine.post("/oauth2/revoke", &fields).send().status, 200);
    let own = machine.tokens("nurse-app", "ada");
    keep(&own);
    let list = machine.call(text(&own, "access_token"), "GET", "/auth/v1/me/sessions").send().expect(200);
    let sid = text(&list["items"][0], "sid").to_owned();
    let path = format!("/auth/v1/me/sessions/{sid}");
    assert_eq!(machine.call(text(&own, "access_token"), "DELETE", &path).send().status, 204);
    assert_eq!(browser.submit("/account", "/logout", &[]).status, 303);
    assert_eq!(server.call(admin, "DELETE", "/auth/v1/users/ada/sessions").send().status, 204);

    // Passwords: one's own, another's, by a link.
    let own = machine.tokens("nurse-app", "ada");
    keep(&own);
    let change = json!({"current_password": "wrong horse", "new_password": "another horse battery"});
    assert_eq!(
        machine.call(text(&own, "access_token"), "POST", "/auth/v1/me/password").json(&change).send().status,
        422
    );
    let reset = json!({"password": "temporary horse"});
    server.call(admin, "POST", "/auth/v1/users/ada/password").json(&reset).send();
    let link = server.call(admin, "POST", "/auth/v1/users/ada/reset-link").send();
    assert_eq!(link.status / 100, 2, "{}", link.json);
    let page = text(&link.json, "url").strip_prefix(&server.url).unwrap().to_owned();
    let fields = [("new_password", "linked horse battery"), ("repeat", "linked horse battery")];
    assert_eq!(Browser::new(&machine).submit(&page, &page, &fields).status, 200);

    // Programs: a service account and its secret, an app, the keys.
    let service = json!({"client_id": "robot", "name": "Robot", "scopes": ["tickets:read"]});
    let service = server.call(admin, "POST", "/auth/v1/service-accounts").json(&service).send().expect(201);
    let credentials = |secret: &str| {
        let fields = [("grant_type", "client_credentials"), ("client_id", "robot"), ("client_secret", secret)];
        machine.post("/oauth2/token", &fields).send()
    };
    keep(&service);
    keep(&credentials(text(&service, "client_secret")).expect(200));
    credentials("wrong horse").expect(401);
    let rotated = server.call(admin, "POST", "/auth/v1/service-accounts/robot/secret").send();
    assert_eq!(rotated.status / 100, 2);
    keep(&rotated.json);
    let patch = server.call(admin, "PATCH", "/auth/v1/clients/other-app");
    patch.json(&json!({"disabled": true})).send().expect(200);
    assert_eq!(server.call(admin, "POST", "/auth/v1/keys").json(&json!({})).send().status / 100, 2);

    secrets.extend([code, page.rsplit('/').next().unwrap().to_owned(), "linked horse battery".to_owned()]);
    secrets.extend(browser.cookies.iter().map(|(_, value)| value.clone()).filter(|value| !value.is_empty()));
    let auditor = world.site.token("iara");
    let actions = |kind: &str| -> BTreeSet<String> {
        let list = server.json(&auditor, &["audit", "list", "--kind", kind, "--limit", "200"]);
        let printed = list.to_string();
        secrets.iter().for_each(|secret| assert!(!printed.contains(secret.as_str()), "{secret} stands in the audit"));
        list["items"].as_array().unwrap().iter().map(|entry| text(entry, "action").to_owned()).collect()
    };
    let found: BTreeSet<String> = ["auth", "user", "client", "admin"].iter().flat_map(|kind| actions(kind)).collect();
    let missing: Vec<_> = EVENTS.iter().filter(|event| !found.contains(**event)).collect();
    assert!(missing.is_empty(), "{missing:?} are not in the audit, but {found:?}");
}

const EVENTS: &[&str] = &[
    "access_granted",
    "attempt_held_back",
    "client_created",
    "client_disabled",
    "client_secret_rotated",
    "client_authentication_failed",
    "code_replayed",
    "device_approved",
    "device_asked",
    "device_code_wrong",
    "device_refused",
    "grant_refused",
    "password_set",
    "refresh_reused",
    "reset_link_made",
    "session_ended",
    "session_opened",
    "sessions_ended",
    "sign_in_failed",
    "signed_in",
    "signing_key_created",
    "token_issued",
    "token_refreshed",
    "token_revoked",
];
