//! The second factor as people meet it: asked for by the policy, set up, proved at each sign-in, lost and taken away.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as B64};
use jiff::Timestamp;
use serde_json::{Value, json};
use totp_rs::{Algorithm, Builder};

use super::*;
use crate::server::{auth::policy::SignInPolicy, ports::SessionStore};

const ENROL: &str = "/account/factor";
const PROVE: &str = "/login/factor";

/// The verifier of the challenge in [`authorize`] (RFC 7636, appendix B).
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn require(app: &TestApp, roles: &[Role]) {
    let policy = SignInPolicy { second_factor_required_for: roles.iter().copied().collect() };
    app.state.auth.set_policy(policy, &Editor::on_server()).await.unwrap();
}

/// What the person's app shows, `steps` of 30 seconds from now.
async fn code(app: &TestApp, user: &User, steps: u64) -> String {
    let secret = app.store.second_factor(user.id).await.unwrap().unwrap().secret;
    let secret = <[u8; 20]>::try_from(secret).unwrap();
    let totp = Builder::new().with_algorithm(Algorithm::SHA1).with_secret(secret).build().unwrap();
    totp.generate(Timestamp::now().as_second().unsigned_abs() + 30 * steps).to_string()
}

/// Sets a factor up in a browser that is signed in; gives the recovery codes that it shows.
async fn enrol(app: &TestApp, browser: &mut Browser<'_>, user: &User, page: &str) -> Vec<String> {
    assert_eq!(browser.open(page).await.status, 200);
    assert_eq!(browser.submit(page, &[]).await.status, 200);
    let code = code(app, user, 0).await;
    assert_eq!(browser.submit(page, &[("code", &code)]).await.status, 200);
    recovery_codes(browser)
}

fn recovery_codes(browser: &Browser<'_>) -> Vec<String> {
    let list =
        browser.page.split("<ul class=\"codes key\">").nth(1).expect("recovery codes").split("</ul>").next().unwrap();
    list.split("<li>").skip(1).map(|item| item.split('<').next().unwrap().to_owned()).collect()
}

/// The code that an app of others is sent, redeemed: what the ID token says.
async fn id_token(app: &TestApp, browser: &mut Browser<'_>, request: &str) -> Value {
    browser.open(request).await;
    let sent = browser.submit(request, &[("decision", "allow")]).await;
    let code = parameter(leads_to(&sent), "code").unwrap();
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", "nurse-app"),
        ("redirect_uri", CALLBACK),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    let tokens = post(app, "/oauth2/token", &fields).await.expect(200);
    let claims = tokens["id_token"].as_str().unwrap().split('.').nth(1).unwrap();
    serde_json::from_slice(&B64.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn who_must_have_a_factor_sets_one_up_before_an_app_gets_anything() {
    let app = TestApp::new().await;
    let carla = person(&app, "carla", true).await;
    register(&app, "nurse-app", "Nurse App").await;
    require(&app, &[Role::Nurse]).await;
    let (mut browser, request) = (Browser::new(&app), authorize("nurse-app", ""));
    browser.sign_in("carla", &request).await;

    let change = leads_to(&browser.open(&request).await).to_owned();
    assert!(change.starts_with("/account/password?next="), "a password of their own comes first: {change}");
    browser.open(&change).await;
    let own = [("password", PASSWORD), ("new_password", "another horse"), ("repeat", "another horse")];
    assert_eq!(leads_to(&browser.submit(&change, &own).await), request);

    let page = leads_to(&browser.open(&request).await).to_owned();
    assert!(page.starts_with("/account/factor?next=%2Foauth2%2Fauthorize"), "{page}");
    for elsewhere in ["/account", "/device", "/account/factor/codes", "/account/factor/remove"] {
        assert!(leads_to(&browser.open(elsewhere).await).starts_with(ENROL), "{elsewhere}");
    }
    let silent = browser.open(&authorize("nurse-app", "&prompt=none")).await;
    assert_eq!(parameter(leads_to(&silent), "error").as_deref(), Some("login_required"));
    browser.open(&page).await;
    browser.sees("your hospital asks you for a second step");
    let form = [("decision", "allow")];
    assert!(leads_to(&browser.submit(&request, &form).await).starts_with(ENROL), "a form from before");

    assert_eq!(browser.submit(&page, &[]).await.status, 200);
    browser.sees("<svg class=\"qr\"");
    browser.sees("autocomplete=\"one-time-code\" autocapitalize=\"none\" inputmode=\"numeric\"");
    let shown = browser.page.split("id=\"key\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
    assert_eq!(shown.split(' ').map(str::len).collect::<Vec<_>>(), [4; 8], "{shown}");
    assert_eq!(browser.submit(&page, &[("code", "12345")]).await.status, 422);
    browser.sees("This code is not right");
    browser.sees(&shown);

    let (before, first) = (browser.cookies["medreq-session"].clone(), code(&app, &carla, 0).await);
    assert_eq!(browser.submit(&page, &[("code", &first)]).await.status, 200);
    assert_eq!(recovery_codes(&browser).len(), 10);
    browser.sees(&format!("href=\"{}\"", request.replace('&', "&#38;")));
    assert_ne!(browser.cookies["medreq-session"], before, "another secret for another step");
    let claims = id_token(&app, &mut browser, &request).await;
    assert_eq!(claims["amr"], json!(["pwd", "otp", "mfa"]));
}

#[tokio::test]
async fn a_code_is_asked_for_at_each_sign_in_and_counts_once() {
    let app = TestApp::new().await;
    let carla = person(&app, "carla", false).await;
    let mut phone = Browser::new(&app);
    phone.sign_in("carla", "").await;
    phone.open("/account").await;
    phone.sees("It is off");
    let codes = enrol(&app, &mut phone, &carla, ENROL).await;
    phone.open("/account").await;
    phone.sees("Recovery codes left: 10.");
    assert_eq!(leads_to(&phone.open(ENROL).await), "/account");
    assert_eq!(leads_to(&phone.open(PROVE).await), "/account");

    let mut pc = Browser::new(&app);
    assert_eq!(leads_to(&pc.open(PROVE).await), "/login", "the password comes first");
    let device = "/device?user_code=BCDF-GHJK";
    pc.sign_in("carla", device).await;
    for page in [device, "/account", "/account/password", ENROL, "/account/factor/remove"] {
        assert!(leads_to(&pc.open(page).await).starts_with(PROVE), "{page}");
    }
    let prove = leads_to(&pc.open(device).await).to_owned();
    pc.open(&prove).await;
    pc.sees("6 digits of the app, or a recovery code.");
    let old = [("password", PASSWORD), ("new_password", "another horse"), ("repeat", "another horse")];
    assert!(leads_to(&pc.submit("/account/password", &old).await).starts_with(PROVE), "a stolen password");
    pc.open(&prove).await;
    let (form, next) = (pc.page.clone(), code(&app, &carla, 1).await);
    let before = pc.cookies.clone();
    assert_eq!(leads_to(&pc.submit(&prove, &[("code", &next)]).await), device);
    assert_eq!(pc.open(device).await.status, 422, "they are in; no device waits under this code");

    // Somebody who looked over their shoulder, and knows the password, too.
    let mut thief = Browser::new(&app);
    thief.sign_in("carla", "").await;
    thief.open(PROVE).await;
    assert_eq!(thief.submit(PROVE, &[("code", &next)]).await.status, 422);
    thief.sees("it was used before");
    assert!(leads_to(&thief.open("/account").await).starts_with(PROVE));
    (pc.cookies, pc.page) = (before, form);
    assert_eq!(leads_to(&pc.open(device).await), format!("/login?next={}", encoded(device)), "the step before is over");

    let typed = codes[3].replace('-', " ");
    thief.open(PROVE).await;
    assert_eq!(leads_to(&thief.submit(PROVE, &[("code", &typed)]).await), "/account");
    thief.open("/account").await;
    thief.sees("Recovery codes left: 9.");
    let mut again = Browser::new(&app);
    again.sign_in("carla", "").await;
    again.open(PROVE).await;
    assert_eq!(again.submit(PROVE, &[("code", &codes[3])]).await.status, 422);
}

#[tokio::test]
async fn a_policy_or_factor_that_is_newer_than_the_sign_in_counts() {
    let app = TestApp::new().await;
    let carla = person(&app, "carla", false).await;
    register(&app, "nurse-app", "Nurse App").await;
    let request = authorize("nurse-app", "");
    let (mut phone, mut pc) = (Browser::new(&app), Browser::new(&app));
    phone.sign_in("carla", "").await;
    pc.sign_in("carla", "").await;
    assert_eq!(pc.open(&request).await.status, 200);
    require(&app, &[Role::Nurse]).await;
    assert!(leads_to(&pc.submit(&request, &[("decision", "allow")]).await).starts_with(ENROL));
    enrol(&app, &mut phone, &carla, ENROL).await;
    assert!(leads_to(&pc.open(&request).await).starts_with(PROVE), "set up elsewhere meanwhile");
    require(&app, &[]).await;
    assert!(leads_to(&pc.open(&request).await).starts_with(PROVE), "whoever has one is asked");
    assert_eq!(phone.open(&request).await.status, 200);
}

#[tokio::test]
async fn guessed_codes_must_wait() {
    let app = TestApp::new().await;
    let carla = person(&app, "carla", false).await;
    let mut browser = Browser::new(&app);
    browser.sign_in("carla", "").await;
    enrol(&app, &mut browser, &carla, ENROL).await;
    browser.sign_in("carla", "").await;
    browser.open(PROVE).await;
    let mut last = browser.submit(PROVE, &[("code", "not one")]).await;
    for _ in 0..9 {
        last = browser.submit(PROVE, &[("code", "not one")]).await;
    }
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u64>().unwrap() >= 1);
    browser.sees("Too many attempts failed. Wait ");
}

#[tokio::test]
async fn codes_are_made_anew_and_the_factor_is_taken_away_by_a_code_only() {
    let app = TestApp::new().await;
    let carla = person(&app, "carla", false).await;
    let mut browser = Browser::new(&app);
    browser.language = "pt-BR";
    browser.sign_in("carla", "").await;
    let old = enrol(&app, &mut browser, &carla, ENROL).await;
    let (renew, remove) = ("/account/factor/codes", "/account/factor/remove");
    browser.open(renew).await;
    browser.sees("deixarão de valer");
    assert_eq!(browser.submit(renew, &[("code", "000")]).await.status, 422);
    assert_eq!(browser.submit(renew, &[("code", &old[0])]).await.status, 200);
    let new = recovery_codes(&browser);
    browser.open(remove).await;
    assert_eq!(browser.submit(remove, &[("code", &old[1])]).await.status, 422);
    browser.sees("Este código não está correto");

    // Neither a new password nor a new sign-in takes it away.
    let link = app.state.auth.reset_link("carla", &Editor::on_server()).await.unwrap().url;
    app.state.auth.complete_reset(link.rsplit('/').next().unwrap(), PASSWORD).await.unwrap();
    browser.sign_in("carla", "").await;
    assert_eq!(leads_to(&browser.open("/account").await), PROVE);
    browser.open(PROVE).await;
    browser.submit(PROVE, &[("code", &new[0])]).await;
    browser.open(remove).await;
    let removed = browser.submit(remove, &[("code", &new[1])]).await;
    assert_eq!(leads_to(&removed), "/account?done=factor");
    browser.open("/account?done=factor").await;
    browser.sees("A verificação em duas etapas foi removida.");
    browser.sign_in("carla", "").await;
    assert_eq!(browser.open("/account").await.status, 200);
}
