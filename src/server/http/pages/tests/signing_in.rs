//! From an app to the login page, over the steps that somebody lacks, to the word that the app gets.

use super::*;

#[tokio::test]
async fn an_app_of_others_is_let_in_by_a_person_and_told_so_or_not() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    register(&app, "nurse-app", "Nurse <i>App</i>").await;
    let (mut browser, request) = (Browser::new(&app), authorize("nurse-app", ""));

    let login = browser.open(&request).await;
    let login = leads_to(&login).to_owned();
    assert!(login.starts_with("/login?next="), "{login}");
    let page = browser.open(&login).await;
    assert_eq!(page.status, 200);
    browser.sees("to go on to Nurse &#60;i&#62;App&#60;/i&#62;");
    assert!(page.header("content-security-policy").contains("form-action 'self' http://127.0.0.1:4711;"));

    let entered = browser.submit(&login, &[("username", "Carla"), ("password", PASSWORD)]).await;
    assert_eq!(leads_to(&entered), request);
    assert!(browser.cookies.contains_key("medreq-session"), "a plain name over loopback http");
    let asked = browser.open(&request).await;
    assert_eq!(asked.status, 200);
    browser.sees("see requests and how they go on");
    browser.sees("127.0.0.1:4711");
    browser.sees("Signed in as <strong>carla</strong>");

    let denied = browser.submit(&request, &[("decision", "deny")]).await;
    let denied = leads_to(&denied).to_owned();
    assert_eq!(parameter(&denied, "error").as_deref(), Some("access_denied"));
    assert_eq!(parameter(&denied, "state").as_deref(), Some("s&t"));

    browser.open(&request).await;
    let allowed = browser.submit(&request, &[("decision", "allow")]).await;
    let allowed = leads_to(&allowed).to_owned();
    assert!(allowed.starts_with(&format!("{CALLBACK}?code=")), "{allowed}");
    assert_eq!(parameter(&allowed, "state").as_deref(), Some("s&t"));
    assert_eq!(parameter(&allowed, "iss").as_deref(), Some("http://127.0.0.1:8080"));
}

#[tokio::test]
async fn an_app_that_may_show_nothing_is_told_what_is_missing() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    register(&app, "nurse-app", "Nurse App").await;
    let (mut browser, silent) = (Browser::new(&app), authorize("nurse-app", "&prompt=none"));
    let error = |answer: Answer| parameter(leads_to(&answer), "error").unwrap();
    assert_eq!(error(browser.open(&silent).await), "login_required");
    browser.sign_in("carla", "").await;
    assert_eq!(error(browser.open(&silent).await), "consent_required");
    assert_eq!(
        browser.open(&authorize("nurse-app", "&prompt=login")).await.status,
        200,
        "who just signed in did so for this"
    );
}

#[tokio::test]
async fn a_wrong_password_says_nothing_of_the_username_and_too_many_must_wait() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    let mut browser = Browser::new(&app);
    browser.open("/login").await;
    let wrong = [("username", "carla"), ("password", "wrong")];
    let known = browser.submit("/login", &wrong).await;
    let page = browser.page.replace("carla", "?");
    assert_eq!(known.status, 422);
    browser.sees("role=\"alert\" id=\"fault\"");
    browser.submit("/login", &[("username", "nobody"), ("password", "wrong")]).await;
    assert_eq!(browser.page.replace("nobody", "?"), page);

    let mut last = browser.submit("/login", &wrong).await;
    for _ in 0..8 {
        last = browser.submit("/login", &wrong).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    browser.sees("Too many attempts failed. Wait ");
    assert!(!browser.page.contains("value=\"wrong\""), "a password is never shown again");
}

#[tokio::test]
async fn a_password_of_somebody_elses_choice_is_changed_before_anything_else() {
    let app = TestApp::new().await;
    person(&app, "carla", true).await;
    let (mut browser, device) = (Browser::new(&app), "/device?user_code=");
    browser.sign_in("carla", device).await;
    for page in ["/account", device] {
        let stopped = browser.open(page).await;
        assert!(leads_to(&stopped).starts_with("/account/password"), "{page}");
    }
    let change = leads_to(&browser.open(device).await).to_owned();
    browser.open(&change).await;
    browser.sees("choose a password that only you know");
    let form = |current, new, repeat| [("password", current), ("new_password", new), ("repeat", repeat)];
    for (form, told) in [
        (form("wrong", "another horse", "another horse"), "current password is not right"),
        (form(PASSWORD, "short", "short"), "at least 8 characters"),
        (form(PASSWORD, "another horse", "another house"), "two passwords differ"),
    ] {
        assert_eq!(browser.submit(&change, &form).await.status, 422);
        browser.sees(told);
    }
    let before = browser.cookies["medreq-session"].clone();
    let changed = browser.submit(&change, &form(PASSWORD, "another horse", "another horse")).await;
    assert_eq!(leads_to(&changed), device);
    assert_ne!(browser.cookies["medreq-session"], before);
    assert_eq!(browser.open(device).await.status, 200, "this browser stays signed in");
    browser.cookies.insert("medreq-session".into(), before);
    assert!(leads_to(&browser.open(device).await).starts_with("/login"), "what was signed in before is not");
}

#[tokio::test]
async fn signing_out_ends_the_session_and_not_only_the_cookie() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    let mut browser = Browser::new(&app);
    browser.sign_in("carla", "").await;
    assert_eq!(browser.open("/account").await.status, 200);
    let cookie = browser.cookies["medreq-session"].clone();
    let out = browser.submit("/logout", &[]).await;
    assert_eq!(leads_to(&out), "/login");
    assert!(!browser.cookies.contains_key("medreq-session"));
    browser.cookies.insert("medreq-session".into(), cookie);
    assert_eq!(leads_to(&browser.open("/account").await), "/login");
}

#[tokio::test]
async fn over_https_cookies_are_secure_and_bound_to_the_host() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    app.state.auth.set_endpoints(&"https://medreq.example.org".parse::<PublicUrl>().unwrap());
    let mut browser = Browser::new(&app);
    let entered = browser.sign_in("carla", "").await;
    let cookie = entered.header("set-cookie");
    assert!(cookie.starts_with("__Host-medreq-session=") && cookie.ends_with("; Secure"), "{cookie}");
    assert_eq!(browser.open("/account").await.status, 200);
    let plain = browser.cookies["__Host-medreq-session"].clone();
    browser.cookies = [("medreq-session".to_owned(), plain)].into();
    assert_eq!(leads_to(&browser.open("/account").await), "/login", "a name that plain http could set");
}

#[tokio::test]
async fn an_authorization_request_may_come_as_a_form() {
    let app = TestApp::new().await;
    register(&app, "nurse-app", "Nurse App").await;
    let mut browser = Browser::new(&app);
    let request = authorize("nurse-app", "");
    let body = request.split_once('?').unwrap().1.to_owned();
    let answer = browser.send("POST", "/oauth2/authorize", &[("sec-fetch-site", "cross-site")], body).await;
    let onward = leads_to(&answer).to_owned();
    assert!(onward.starts_with("/oauth2/authorize?") && parameter(&onward, "state").as_deref() == Some("s&t"));
    assert!(leads_to(&browser.open(&onward).await).starts_with("/login?next="));
}
