//! Devices, one's own sessions, and the one-time link, by the pages.

use super::*;

/// A command line that waits; its `device_code` and `user_code`.
async fn waiting(app: &TestApp, name: &str) -> (String, String) {
    let fields = [("client_id", "medreq-cli"), ("scope", "tickets:read"), ("device_name", name)];
    let started = post(app, "/oauth2/device_authorization", &fields).await.expect(200);
    let text = |name: &str| started[name].as_str().unwrap().to_owned();
    (text("device_code"), text("user_code"))
}

async fn poll(app: &TestApp, device_code: &str) -> serde_json::Value {
    let grant = "urn:ietf:params:oauth:grant-type:device_code";
    let fields = [("grant_type", grant), ("client_id", "medreq-cli"), ("device_code", device_code)];
    post(app, "/oauth2/token", &fields).await.json
}

#[tokio::test]
async fn a_device_is_shown_for_what_it_is_and_connected_by_a_click_only() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    let (device_code, user_code) = waiting(&app, "PC <b>3</b>").await;
    let mut browser = Browser::new(&app);
    let complete = format!("/device?user_code={user_code}");
    let login = browser.open(&complete).await;
    assert!(leads_to(&login).starts_with("/login?next=%2Fdevice%3Fuser_code%3D"));
    assert_eq!(leads_to(&browser.sign_in("carla", &complete).await), complete);
    browser.open(&complete).await;
    for text in ["PC &#60;b&#62;3", "medreq command line", "127.0.0.1", "see requests and how they go on", &user_code] {
        browser.sees(text);
    }
    assert_eq!(browser.open(&complete).await.status, 200, "it waits still: an opened link connects nothing");

    let mistyped = browser.submit("/device", &[("user_code", "BBBB-BBBB")]).await;
    assert_eq!(mistyped.status, 422);
    browser.sees("No device waits under this code.");
    let typed = user_code.to_lowercase().replace('-', " ");
    assert_eq!(browser.submit("/device", &[("user_code", &typed)]).await.status, 200);
    let yes = browser.submit("/device", &[("user_code", &user_code), ("decision", "allow")]).await;
    assert_eq!(yes.status, 200);
    browser.sees("The device is connected.");
    assert!(poll(&app, &device_code).await["access_token"].is_string());
    browser.open("/device").await;
    assert_eq!(browser.submit("/device", &[("user_code", &user_code), ("decision", "deny")]).await.status, 422);

    let (device_code, user_code) = waiting(&app, "another").await;
    browser.open("/device").await;
    browser.submit("/device", &[("user_code", &user_code), ("decision", "deny")]).await;
    browser.sees("The device was not connected.");
    assert_eq!(poll(&app, &device_code).await["error"], "access_denied");
}

#[tokio::test]
async fn one_ends_ones_own_sessions_and_nobody_elses() {
    let app = TestApp::new().await;
    person(&app, "carla", false).await;
    person(&app, "diego", false).await;
    let (mut phone, mut pc, mut other) = (Browser::new(&app), Browser::new(&app), Browser::new(&app));
    for (browser, who) in [(&mut phone, "carla"), (&mut pc, "carla"), (&mut other, "diego")] {
        browser.sign_in(who, "").await;
        browser.open("/account").await;
    }
    let sid = |browser: &Browser<'_>| browser.page.split("name=\"sid\" value=\"").nth(1).unwrap()[..36].to_owned();
    pc.open("/account").await;
    let phones = sid(&pc);
    assert_eq!(pc.page.matches("this page").count(), 1);

    other.submit("/account/sessions/end", &[("sid", &phones)]).await;
    assert_eq!(phone.open("/account").await.status, 200, "another's session was ended");
    let ended = pc.submit("/account/sessions/end", &[("sid", &phones)]).await;
    assert_eq!(leads_to(&ended), "/account?done=session");
    pc.open("/account?done=session").await;
    pc.sees("role=\"status\"");
    assert_eq!(leads_to(&phone.open("/account").await), "/login");

    phone.sign_in("carla", "").await;
    pc.open("/account").await;
    let all = pc.submit("/account/sessions/end-all", &[]).await;
    assert_eq!(leads_to(&all), "/login");
    for browser in [&mut pc, &mut phone] {
        assert_eq!(leads_to(&browser.open("/account").await), "/login");
    }
    assert_eq!(other.open("/account").await.status, 200);
}

#[tokio::test]
async fn a_one_time_link_sets_a_password_once() {
    let app = TestApp::new().await;
    person(&app, "carla", true).await;
    let link = app.state.auth.reset_link("carla", &Editor::on_server()).await.unwrap().url;
    let path = link.strip_prefix("http://127.0.0.1:8080").unwrap();
    let mut browser = Browser::new(&app);
    browser.open(path).await;
    browser.sees("This link works once, for carla.");
    assert!(!browser.page.contains(path.rsplit('/').next().unwrap()), "the link stays out of the page");
    assert_eq!(browser.submit(path, &[("new_password", "short"), ("repeat", "short")]).await.status, 422);
    let form = browser.page.clone();
    let new = [("new_password", "of my own choice"), ("repeat", "of my own choice")];
    assert_eq!(browser.submit(path, &new).await.status, 200);
    browser.page = form;
    assert_eq!(browser.submit(path, &new).await.status, 410);
    assert_eq!(browser.open(path).await.status, 410);
    browser.open("/login").await;
    let entered = browser.submit("/login", &[("username", "carla"), ("password", "of my own choice")]).await;
    assert_eq!(leads_to(&entered), "/account");
    assert_eq!(browser.open("/account").await.status, 200, "the password was of their own choice");
}
