//! What must lead nowhere: forms of other sites, addresses of others, markup in names, and everything that fails on the way.

use super::*;
use crate::server::{
    http::extract::Peer,
    ports::{AuditEntry, IdentityStore as _},
};

#[tokio::test]
async fn a_form_that_was_not_made_for_this_browser_does_nothing() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    let mut browser = Browser::new(&app);
    browser.open("/login").await;
    let token = browser.token();
    let login = |token: &str| format!("token={token}&username=carla&password=correct+horse");
    let own = [("sec-fetch-site", "same-origin")];
    for (headers, body) in [
        (&own[..], login("")),
        (&own[..], login(&"A".repeat(43))),
        (&own[..], "username=carla&password=correct+horse".to_owned()),
        (&[("sec-fetch-site", "cross-site")][..], login(&token)),
        (&[("origin", "https://evil.test"), ("host", "127.0.0.1:8080")][..], login(&token)),
    ] {
        let refused = browser.send("POST", "/login", headers, body.clone()).await;
        assert_eq!(refused.status, 403, "{headers:?} {body}");
        browser.sees("This page is out of date.");
        assert!(!browser.cookies.contains_key("medreq-session"));
    }
    // Another browser's proof, and the same browser's from before it was signed in.
    let mut other = Browser::new(&app);
    other.open("/login").await;
    assert_eq!(other.send("POST", "/login", &own, login(&token)).await.status, 403);
    browser.open("/login").await;
    browser.sign_in("carla", "").await;
    assert_eq!(browser.send("POST", "/account/sessions/end-all", &own, format!("token={token}")).await.status, 403);
}

#[tokio::test]
async fn nobody_is_led_to_another_site() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    register(&app, "nurse-app", "Nurse App").await;
    for next in ["https://evil.test/", "//evil.test", "/\\evil.test", "/logout", "javascript:alert(1)"] {
        let mut browser = Browser::new(&app);
        assert_eq!(leads_to(&browser.sign_in("carla", next).await), "/account", "{next}");
    }
    let mut browser = Browser::new(&app);
    for wrong in [
        authorize("nobody", ""),
        authorize("nurse-app", "").replace("4711%2Fcb", "4711%2Fother"),
        authorize("nurse-app", "").replace("127.0.0.1", "127.0.0.1%40evil.test"),
        "/oauth2/authorize".to_owned(),
    ] {
        let answer = browser.open(&wrong).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (400, ""), "{wrong}");
        browser.sees("This cannot go on.");
    }
    let plain = authorize("nurse-app", "").replace("S256", "plain");
    let told = browser.open(&plain).await;
    assert_eq!(parameter(leads_to(&told), "error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn what_is_typed_never_becomes_markup() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    let (mut browser, evil) = (Browser::new(&app), "\"><script>alert(1)</script>");
    browser.open("/login").await;
    let refused = browser.submit("/login", &[("username", evil), ("password", evil)]).await;
    assert_eq!(refused.status, 422);
    browser.sees("value=\"&#34;&#62;&#60;script&#62;alert(1)&#60;/script&#62;\"");
    browser.sign_in("carla", "").await;
    browser.open(&format!("/device?user_code={}", encoded(evil))).await;
    browser.sees("&#60;script&#62;");
    browser.sees("No device waits under this code.");
    browser.open("/account").await;
    browser.sees("carla &#60;b&#62;Souza");
}

#[tokio::test]
async fn whatever_fails_is_told_as_a_page_in_the_readers_language() {
    let app = TestApp::new().await;
    let mut browser = Browser::new(&app);
    browser.language = "pt-BR,pt;q=0.9,en;q=0.5";
    for (method, path, status, told) in [
        ("DELETE", "/login", 405, "Esta página não existe."),
        ("GET", "/logout", 405, "Esta página não existe."),
        ("GET", "/account/nowhere", 404, "Esta página não existe."),
        ("GET", "/setup/%ff", 400, "Não é possível continuar."),
        ("GET", "/reset/anything", 410, "Este link não é mais válido."),
        ("GET", "/setup/anything", 410, "Este link não é mais válido."),
    ] {
        let answer = browser.send(method, path, &[], String::new()).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.header("content-type").starts_with("text/html"), "{path}");
        browser.sees(told);
        browser.sees("<html lang=\"pt-BR\">");
    }
    let huge = browser.send("POST", "/login", &[], "x".repeat(3_000_000)).await;
    assert_eq!(huge.status, 413);
    browser.sees("Foi enviado demais.");
    let mut often = 0;
    while browser.open("/login").await.status != 429 {
        often += 1;
        assert!(often < 5_000, "strangers have a limit");
    }
    browser.sees("Foram muitas vezes seguidas.");
    assert!(Peer::of(&axum::http::Extensions::new()).0.is_loopback());
}

#[tokio::test]
async fn the_first_administrator_is_made_on_the_page() {
    let app = TestApp::new().await;
    // A hospital without an administrator: past the rule that keeps the last one.
    let ada = app.state.auth.user("ada").await.unwrap();
    let entry = AuditEntry {
        at: ada.created_at,
        kind: "user".into(),
        action: "user_changed".into(),
        actor: None,
        subject: None,
        detail: serde_json::Value::Null,
    };
    app.store.update_user(User { disabled: true, ..ada }, entry).await.unwrap();

    let link = app.state.auth.setup_link().await.unwrap().unwrap();
    let path = link.strip_prefix("http://127.0.0.1:8080").unwrap();
    let mut browser = Browser::new(&app);
    let page = browser.open(path).await;
    assert_eq!((page.status.as_u16(), page.header("referrer-policy")), (200, "same-origin"));
    assert!(!browser.page.contains(path.rsplit('/').next().unwrap()), "the link stays out of the page");

    fn form<'a>(password: &'a str, repeat: &'a str) -> [(&'a str, &'a str); 4] {
        [("username", "Root"), ("name", "R&D"), ("new_password", password), ("repeat", repeat)]
    }
    for (form, told) in [(form(PASSWORD, "other horse"), "differ"), (form("short", "short"), "at least 8")] {
        assert_eq!(browser.submit(path, &form).await.status, 422);
        browser.sees(told);
        browser.sees("R&#38;D");
        assert!(!browser.page.contains("horse"));
    }
    let (good, proof) = (form(PASSWORD, PASSWORD), browser.page.clone());
    assert_eq!(browser.submit(path, &good).await.status, 200);
    browser.page = proof;
    assert_eq!(browser.submit(path, &good).await.status, 410);
    let here = std::net::IpAddr::from([127, 0, 0, 1]).into();
    app.state.auth.authenticate_password("root", PASSWORD, here).await.unwrap();
}
