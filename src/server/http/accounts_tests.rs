//! Accounts as an administrator's client meets them: who may, what is answered, and that changes act at once.
#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::{Value, json};

use crate::server::{
    http::testing::TestApp,
    ports::{AuditEntry, SecondFactor, SessionStore},
};

const NONE: &[(&str, &str)] = &[];

#[tokio::test]
async fn whoami_says_what_the_token_may_do() {
    let app = TestApp::new().await;
    let me = app.get("ana", "/auth/v1/me").await.expect(200);
    assert_eq!((me["username"].as_str(), me["roles"][0].as_str()), (Some("ana"), Some("nurse")));
    assert_eq!(me["wards"], json!(["CM", "UTI"]));
    assert!(me["scopes"].as_array().unwrap().contains(&json!("tickets:write")));
    assert!(me["expires_at"].as_str().unwrap().ends_with('Z'));
    let on_behalf = app.call("his", "GET", "/auth/v1/me", &[("x-on-behalf-of", "ana")], Value::Null).await.expect(200);
    assert_eq!((on_behalf["username"].as_str(), on_behalf["client_id"].as_str()), (Some("ana"), Some("his")));
    let own = app.call("ana", "GET", "/auth/v1/me", &[("x-on-behalf-of", "bia")], Value::Null).await;
    assert_eq!(own.refusal(), (403, "delegation_not_allowed"));
    let nobody = app.call("his", "GET", "/auth/v1/me", &[("x-on-behalf-of", "nobody")], Value::Null).await;
    assert_eq!(nobody.refusal(), (403, "unknown_on_behalf_of"));
}

#[tokio::test]
async fn a_bad_token_is_answered_with_a_challenge() {
    let app = TestApp::new().await;
    let missing = app.get("", "/auth/v1/me").await;
    assert_eq!(
        (missing.refusal(), missing.header("www-authenticate")),
        ((401, "missing_token"), "Bearer realm=\"medreq\"")
    );
    for bad in ["Bearer x", "Bearer a.b.c", "Bearer ", "bearer eyJhbGciOiJub25lIn0.e30."] {
        let answer = app.call("", "GET", "/auth/v1/me", &[("authorization", bad)], Value::Null).await;
        assert_eq!(answer.refusal(), (401, "invalid_token"), "{bad}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
    }
    let scope = app.get("ana", "/auth/v1/users").await;
    assert_eq!(scope.refusal(), (403, "insufficient_scope"));
    assert!(scope.header("www-authenticate").contains("scope=\"users:write\""));
}

#[tokio::test]
async fn an_account_lives_from_creation_to_lock_out() {
    let app = TestApp::new().await;
    let new = json!({ "username": "Jos\u{e9}", "name": "Jos\u{e9} Lima", "roles": ["nurse"], "wards": ["uti"], "password": "correct horse" });
    let answer = app.call("ada", "POST", "/auth/v1/users", NONE, new.clone()).await;
    let location = answer.header("location").to_owned();
    let user = answer.expect(201);
    assert_eq!((user["username"].as_str(), user["wards"][0].as_str()), (Some("jos\u{e9}"), Some("UTI")));
    assert_eq!((user["has_password"].as_bool(), user["must_change_password"].as_bool()), (Some(true), Some(true)));
    assert!(user.get("password_hash").is_none());
    assert_eq!(app.get("ada", &location).await.expect(200), user);
    assert_eq!(app.call("ada", "POST", "/auth/v1/users", NONE, new).await.refusal(), (409, "already_exists"));

    let patched = app.call("ada", "PATCH", &location, NONE, json!({ "roles": ["charge_nurse"] })).await.expect(200);
    assert_eq!(patched["roles"], json!(["charge_nurse"]));
    let reset = json!({ "password": "battery staple" });
    app.call("ada", "POST", &format!("{location}/password"), NONE, reset).await.expect(200);
    app.call("ada", "PATCH", "/auth/v1/users/ana", NONE, json!({ "disabled": true })).await.expect(200);
    assert_eq!(app.get("ana", "/auth/v1/me").await.refusal(), (401, "invalid_token"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_field() {
    let app = TestApp::new().await;
    let with = |change: Value| {
        let mut new = json!({ "username": "novo", "name": "Novo", "roles": ["nurse"] });
        new.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        new
    };
    for (change, status, field) in [
        (json!({ "username": "a b" }), 400, "username"),
        (json!({ "roles": ["emperor"] }), 400, "roles[0]"),
        (json!({ "extra": 1 }), 400, "extra"),
        (json!({ "name": "a\u{0}b" }), 422, "name"),
        (json!({ "name": "" }), 422, "name"),
        (json!({ "roles": [] }), 422, "roles"),
        (json!({ "roles": ["service"] }), 422, "roles"),
        (json!({ "wards": ["NOWHERE"] }), 422, "wards"),
        (json!({ "password": "short" }), 422, "password"),
        (json!({ "password": "x".repeat(600) }), 422, "password"),
    ] {
        let answer = app.call("ada", "POST", "/auth/v1/users", NONE, with(change.clone())).await;
        assert_eq!((answer.status.as_u16(), answer.json["field"].as_str()), (status, Some(field)), "{change}");
    }
    assert_eq!(app.get("ada", "/auth/v1/users/novo").await.refusal(), (404, "user_not_found"));
    assert_eq!(app.get("ada", "/auth/v1/users?limit=0").await.refusal(), (400, "invalid_parameter"));
    let last = app.call("ada", "PATCH", "/auth/v1/users/ada", NONE, json!({ "disabled": true })).await;
    assert_eq!(last.refusal(), (409, "last_admin"));
}

#[tokio::test]
async fn a_reset_link_is_given_once_to_who_may_and_kept_by_no_cache() {
    let app = TestApp::new().await;
    let answer = app.call("ada", "POST", "/auth/v1/users/ana/reset-link", NONE, Value::Null).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let link = answer.expect(200);
    assert!(link["url"].as_str().unwrap().contains("/reset/") && link["expires_at"].as_str().unwrap().ends_with('Z'));
    let of = |who: &'static str, path: &'static str| app.call(who, "POST", path, NONE, Value::Null);
    assert_eq!(of("ana", "/auth/v1/users/bia/reset-link").await.refusal(), (403, "insufficient_scope"));
    assert_eq!(of("ada", "/auth/v1/users/nobody/reset-link").await.refusal(), (404, "user_not_found"));
    app.call("ada", "PATCH", "/auth/v1/users/bia", NONE, json!({ "disabled": true })).await.expect(200);
    assert_eq!(of("ada", "/auth/v1/users/bia/reset-link").await.refusal(), (409, "user_disabled"));
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let app = TestApp::new().await;
    let (mut names, mut path) = (Vec::new(), "/auth/v1/users?limit=3".to_owned());
    loop {
        let page = app.get("ada", &path).await.expect(200);
        assert_eq!(page["total"], 8);
        names
            .extend(page["items"].as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/auth/v1/users?limit=3&cursor={next}");
    }
    assert_eq!(names, ["ada", "ana", "bia", "marta", "otto", "paulo", "rita", "tito"]);
}

#[tokio::test]
async fn ones_own_password_is_changed_with_the_current_one() {
    let app = TestApp::new().await;
    app.state
        .auth
        .reset_password("ana", "correct horse", &crate::server::auth::accounts::Editor::on_server())
        .await
        .unwrap();
    let token = app.state.auth.user_token("ana", jiff::SignedDuration::from_mins(1)).await.unwrap().access_token;
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    let change = |current: &str, new: &str| json!({ "current_password": current, "new_password": new });
    let path = "/auth/v1/me/password";
    let wrong = app.call("", "POST", path, &headers, change("wrong horse", "battery staple")).await;
    assert_eq!(wrong.refusal(), (422, "wrong_password"));
    app.call("", "POST", path, &headers, change("correct horse", "battery staple")).await.expect(204);
    assert_eq!(app.call("", "GET", "/auth/v1/me", &headers, Value::Null).await.refusal(), (401, "invalid_token"));
    let service = app.call("his", "POST", path, NONE, change("a", "battery staple")).await;
    assert_eq!(service.refusal(), (403, "not_a_user"));
}

#[tokio::test]
async fn a_service_accounts_secret_is_shown_once() {
    let app = TestApp::new().await;
    let new = json!({ "client_id": "robot", "name": "Robot", "scopes": ["tickets:read"], "wards": ["UTI"] });
    let made = app.call("ada", "POST", "/auth/v1/service-accounts", NONE, new.clone()).await.expect(201);
    assert!(made["client_secret"].as_str().unwrap().len() >= 43);
    assert_eq!(
        app.call("ada", "POST", "/auth/v1/service-accounts", NONE, new).await.refusal(),
        (409, "already_exists")
    );
    let read = app.get("ada", "/auth/v1/service-accounts/robot").await.expect(200);
    assert!(read.get("client_secret").is_none() && read.get("secret_hash").is_none());
    let rotated =
        app.call("ada", "POST", "/auth/v1/service-accounts/robot/secret", NONE, Value::Null).await.expect(200);
    assert_ne!(rotated["client_secret"], made["client_secret"]);
    let off = json!({ "disabled": true });
    let off = app.call("ada", "PATCH", "/auth/v1/service-accounts/robot", NONE, off).await.expect(200);
    assert_eq!(off["disabled"], true);
    for (scopes, status) in [(json!(["admin"]), 422), (json!(["unheard-of"]), 422), (json!([]), 422)] {
        let new = json!({ "name": "Bad", "scopes": scopes });
        app.call("ada", "POST", "/auth/v1/service-accounts", NONE, new).await.expect(status);
    }
    assert_eq!(app.get("ada", "/auth/v1/service-accounts/nobody").await.refusal(), (404, "service_account_not_found"));
    assert_eq!(app.get("otto", "/auth/v1/clients").await.refusal(), (403, "insufficient_scope"));
    let app_client = json!({ "client_id": "nurse-app", "name": "Nurse app", "redirect_uris": ["http://127.0.0.1/cb"] });
    app.call("ada", "POST", "/auth/v1/clients", NONE, app_client).await.expect(201);
    let all = app.get("ada", "/auth/v1/clients").await.expect(200);
    let ids: Vec<_> =
        all["items"].as_array().unwrap().iter().map(|client| client["client_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["his", "medreq-cli", "medreq-console", "nurse-app", "robot"]);
    let services = app.get("ada", "/auth/v1/service-accounts?limit=1").await.expect(200);
    assert_eq!((services["next"].as_str(), services["total"].as_u64()), (Some("his"), Some(2)));
    let rest = app.get("ada", "/auth/v1/service-accounts?limit=1&cursor=his").await.expect(200);
    assert_eq!((rest["items"][0]["client_id"].as_str(), rest["next"].as_str()), (Some("robot"), None));
}

#[tokio::test]
async fn an_app_lives_from_registration_to_lock_out() {
    let app = TestApp::new().await;
    let new = json!({ "client_id": "portal", "name": "Portal", "redirect_uris": ["https://portal.example.org/cb"], "confidential": true });
    let answer = app.call("ada", "POST", "/auth/v1/clients", NONE, new).await;
    assert_eq!((answer.header("location"), answer.header("cache-control")), ("/auth/v1/clients/portal", "no-store"));
    let created = answer.expect(201);
    let secret = created["client_secret"].as_str().unwrap();
    let shown = app.get("ada", "/auth/v1/clients/portal").await.expect(200);
    assert_eq!((shown["confidential"].as_bool(), shown["client_secret"].as_str()), (Some(true), None));
    let change = |path: &'static str, patch: Value| app.call("ada", "PATCH", path, NONE, patch);
    let patched =
        change("/auth/v1/clients/portal", json!({ "scopes": ["openid", "tickets:read"], "first_party": true }));
    let patched = patched.await.expect(200);
    assert_eq!((&patched["scopes"], &patched["first_party"]), (&json!(["openid", "tickets:read"]), &json!(true)));
    let rotated = app.call("ada", "POST", "/auth/v1/clients/portal/secret", NONE, json!({})).await.expect(200);
    assert!(rotated["client_secret"].as_str().is_some_and(|new| new != secret));
    let disabled = change("/auth/v1/clients/portal", json!({ "disabled": true })).await.expect(200);
    assert_eq!(disabled["disabled"], true);

    assert_eq!(
        change("/auth/v1/clients/medreq-cli", json!({ "disabled": true })).await.refusal(),
        (409, "built_in_client")
    );
    assert_eq!(change("/auth/v1/clients/his", json!({ "disabled": true })).await.refusal(), (404, "client_not_found"));
    let unknown = change("/auth/v1/clients/portal", json!({ "scopes": ["world:rule"] })).await;
    assert_eq!((unknown.refusal(), unknown.json["field"].as_str()), ((422, "invalid_value"), Some("scopes")));
    let public = app.call("ada", "POST", "/auth/v1/clients/medreq-console/secret", NONE, json!({})).await;
    assert_eq!(public.refusal(), (409, "built_in_client"));
}

#[tokio::test]
async fn keys_are_rotated_and_their_private_parts_shown_to_nobody() {
    let app = TestApp::new().await;
    let before = app.get("ada", "/auth/v1/keys").await.expect(200);
    let after = app.call("ada", "POST", "/auth/v1/keys", NONE, json!({})).await.expect(200);
    let stages = |keys: &Value, algorithm: &str| -> Vec<String> {
        let items = keys["items"].as_array().unwrap().iter().filter(|key| key["algorithm"] == algorithm);
        items.map(|key| key["stage"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(stages(&before, "ES256"), ["signing"]);
    assert_eq!(stages(&after, "ES256"), ["signing", "next"]);
    assert!(!after.to_string().contains("private"));
    let published = app.get("", "/oauth2/jwks").await.expect(200);
    assert_eq!(published["keys"].as_array().unwrap().len() as u64, after["total"].as_u64().unwrap());

    let compromised = json!({ "compromised": true });
    let after = app.call("ada", "POST", "/auth/v1/keys", NONE, compromised).await.expect(200);
    assert_eq!((stages(&after, "ES256").len(), stages(&after, "RS256").len()), (1, 1));
    assert_eq!(
        app.get("ada", "/auth/v1/me").await.refusal(),
        (401, "invalid_token"),
        "the caller's own token died too"
    );
}

#[tokio::test]
async fn the_sign_in_policy_is_an_administrators_and_audited() {
    let app = TestApp::new().await;
    let none = json!({ "second_factor_required_for": [] });
    assert_eq!(app.get("ada", "/auth/v1/policy").await.expect(200), none);
    let policy = json!({ "second_factor_required_for": ["auditor", "admin"] });
    let put = |policy: Value| app.call("ada", "PUT", "/auth/v1/policy", NONE, policy);
    put(policy).await.expect(200);
    let now = app.get("ada", "/auth/v1/policy").await.expect(200);
    assert_eq!(now["second_factor_required_for"].as_array().unwrap().len(), 2);
    let service = put(json!({ "second_factor_required_for": ["service"] })).await;
    assert_eq!(service.json["field"], "second_factor_required_for");
    let audit = app.get("otto", "/auth/v1/audit?kind=auth&limit=1").await.expect(200);
    assert_eq!(
        (&audit["items"][0]["action"], &audit["items"][0]["actor"]),
        (&json!("sign_in_policy_changed"), &json!("ada"))
    );
}

#[tokio::test]
async fn the_audit_is_for_auditors_and_holds_no_secret() {
    let app = TestApp::new().await;
    let new = json!({ "username": "novo", "name": "Novo", "roles": ["nurse"], "password": "correct horse" });
    app.call("ada", "POST", "/auth/v1/users", NONE, new).await.expect(201);
    let audit = app.get("otto", "/auth/v1/audit?kind=user&limit=5").await.expect(200);
    let first = &audit["items"][0];
    assert_eq!((first["action"].as_str(), first["actor"].as_str()), (Some("user_created"), Some("ada")));
    assert_eq!(first["subject"], "novo");
    assert!(!audit.to_string().contains("correct horse") && !audit.to_string().contains("argon2"));
    let next = audit["next"].as_str().unwrap();
    app.get("otto", &format!("/auth/v1/audit?kind=user&limit=5&cursor={next}")).await.expect(200);
    assert_eq!(app.get("otto", "/auth/v1/audit?cursor=x").await.refusal(), (400, "invalid_cursor"));
    assert_eq!(app.get("ana", "/auth/v1/audit").await.refusal(), (403, "insufficient_scope"));
}

#[tokio::test]
async fn a_lost_factor_is_taken_away_by_who_administers_users_and_shown_to_its_owner() {
    let app = TestApp::new().await;
    let path = "/auth/v1/users/ana/second-factor";
    let factor = |user| app.call(user, "DELETE", path, NONE, Value::Null);
    assert_eq!(factor("bia").await.refusal(), (403, "insufficient_scope"));
    assert_eq!(factor("ada").await.refusal(), (404, "second_factor_not_found"));
    let ana = app.state.auth.user("ana").await.unwrap();
    let entry = || AuditEntry {
        at: ana.created_at,
        kind: "auth".into(),
        action: "factor_set".into(),
        actor: None,
        subject: None,
        detail: Value::Null,
    };
    let secret = SecondFactor { secret: vec![7; 20], confirmed: true, last_step: 0, recovery: Default::default() };
    assert_eq!(app.get("ana", "/auth/v1/me").await.expect(200)["second_factor"], false);
    app.store.put_second_factor(ana.id, Some(secret), entry()).await.unwrap();
    assert_eq!(app.get("ana", "/auth/v1/me").await.expect(200)["second_factor"], true);
    assert_eq!(factor("ada").await.status, 204);
    assert_eq!(app.get("ana", "/auth/v1/me").await.expect(200)["second_factor"], false);
    let nobody = app.call("ada", "DELETE", "/auth/v1/users/nobody/second-factor", NONE, Value::Null).await;
    assert_eq!(nobody.refusal(), (404, "user_not_found"));
    let audit = app.get("ada", "/auth/v1/audit?kind=auth").await.expect(200);
    assert_eq!((&audit["items"][0]["action"], &audit["items"][0]["actor"]), (&json!("factor_reset"), &json!("ada")));
}
