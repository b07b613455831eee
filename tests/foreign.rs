//! Sign-in by the Rust crates `oauth2` and `openidconnect`, which know nothing of medreq. A real browser fills the forms: `tests/foreign-clients`
//! starts these tests, for which it sets `CHROMIUM` and installs what `tests/clients/browser.mjs` needs.

use std::{path::Path, process::Command};

use oauth2::{
    AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, DeviceAuthorizationUrl, HttpRequest, HttpResponse,
    IntrospectionUrl, PkceCodeChallenge, RedirectUrl, RefreshToken, Scope, StandardDeviceAuthorizationResponse,
    TokenIntrospectionResponse, TokenResponse, TokenUrl, basic::BasicClient, http,
};
use openidconnect::{
    IssuerUrl, Nonce,
    core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata, CoreUserInfoClaims},
};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::Server;

/// A demo server and what an app's developer knows of it.
struct Demo {
    server: Server,
    json: Value,
    _home: TempDir,
}

impl Demo {
    fn start() -> Self {
        let home = TempDir::new().unwrap();
        let dir = home.path().join("data");
        let server = Server::start(&dir, &["--demo"]);
        let json = serde_json::from_slice(&std::fs::read(dir.join("demo.json")).unwrap()).unwrap();
        Self { server, json, _home: home }
    }

    fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.server.url)
    }

    fn nurse(&self) -> &str {
        let users = self.json["users"].as_array().unwrap();
        let nurse = users.iter().find(|user| user["roles"].as_array().unwrap().contains(&"nurse".into())).unwrap();
        nurse["username"].as_str().unwrap()
    }

    /// The nurse at her browser: what it showed or where it was sent.
    fn browser(&self, what: &str, url: &str) -> String {
        let clients = std::env::var("CLIENTS").expect("tests/foreign-clients says where its tools are");
        let output = Command::new("node")
            .arg(Path::new(&clients).join("browser.mjs"))
            .args([what, url, self.nurse()])
            .env("DEMO", self.server.dir.join("demo.json"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    async fn may_read_tickets(&self, token: &str) -> bool {
        let request = client().get(self.endpoint("/v1/tickets")).bearer_auth(token);
        request.send().await.unwrap().status() == 200
    }
}

fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only(std::iter::empty());
    builder.redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// How both crates send their requests.
async fn send(request: HttpRequest) -> Result<HttpResponse, reqwest::Error> {
    let answer = client().execute(request.try_into()?).await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut response = http::Response::new(answer.bytes().await?.to_vec());
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    Ok(response)
}

/// The code of a redirect that carries the state that was sent.
fn code_of(redirect: &str, state: &CsrfToken) -> AuthorizationCode {
    let parameters: std::collections::HashMap<_, _> =
        reqwest::Url::parse(redirect).unwrap().query_pairs().into_owned().collect();
    assert_eq!(&parameters["state"], state.secret());
    AuthorizationCode::new(parameters["code"].clone())
}

#[tokio::test]
#[ignore = "needs a browser; tests/foreign-clients runs it"]
async fn openidconnect_signs_in_and_believes_the_id_token() {
    let demo = Demo::start();
    let issuer = IssuerUrl::new(demo.server.url.clone()).unwrap();
    let metadata = CoreProviderMetadata::discover_async(issuer, &send).await.unwrap();
    let redirect = RedirectUrl::new("http://127.0.0.1:49154/callback".to_owned()).unwrap();
    let app = CoreClient::from_provider_metadata(metadata, ClientId::new("demo-app".to_owned()), None)
        .set_redirect_uri(redirect);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state, nonce) = app
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("profile".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let code = code_of(&demo.browser("code", url.as_str()), &state);
    let token = app.exchange_code(code).unwrap().set_pkce_verifier(verifier).request_async(&send).await.unwrap();
    let id_token = token.extra_fields().id_token().unwrap();
    let claims = id_token.claims(&app.id_token_verifier(), &nonce).unwrap();
    let info: CoreUserInfoClaims = app
        .user_info(token.access_token().clone(), Some(claims.subject().clone()))
        .unwrap()
        .request_async(&send)
        .await
        .unwrap();
    assert_eq!(info.preferred_username().unwrap().as_str(), demo.nurse());
}

#[tokio::test]
#[ignore = "needs a browser; tests/foreign-clients runs it"]
async fn oauth2_gets_refreshes_and_introspects_tokens() {
    let demo = Demo::start();
    let app = BasicClient::new(ClientId::new("demo-app".to_owned()))
        .set_auth_uri(AuthUrl::new(demo.endpoint("/oauth2/authorize")).unwrap())
        .set_token_uri(TokenUrl::new(demo.endpoint("/oauth2/token")).unwrap())
        .set_redirect_uri(RedirectUrl::new("http://127.0.0.1:49155/callback".to_owned()).unwrap());
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let scopes = ["offline_access", "tickets:read"].map(|scope| Scope::new(scope.to_owned()));
    let (url, state) =
        app.authorize_url(CsrfToken::new_random).add_scopes(scopes.clone()).set_pkce_challenge(challenge).url();
    let code = code_of(&demo.browser("code", url.as_str()), &state);
    let token = app.exchange_code(code).set_pkce_verifier(verifier).request_async(&send).await.unwrap();
    assert_eq!(token.scopes().map(Vec::as_slice), Some(scopes.as_slice()));
    let refresh: &RefreshToken = token.refresh_token().unwrap();
    let renewed = app.exchange_refresh_token(refresh).request_async(&send).await.unwrap();
    assert!(demo.may_read_tickets(renewed.access_token().secret()).await);

    let account = &demo.json["service_account"];
    let text = |name: &str| account[name].as_str().unwrap().to_owned();
    let service = BasicClient::new(ClientId::new(text("client_id")))
        .set_client_secret(ClientSecret::new(text("client_secret")))
        .set_token_uri(TokenUrl::new(demo.endpoint("/oauth2/token")).unwrap())
        .set_introspection_url(IntrospectionUrl::new(demo.endpoint("/oauth2/introspect")).unwrap());
    let own = service
        .exchange_client_credentials()
        .add_scope(Scope::new("tickets:read".to_owned()))
        .request_async(&send)
        .await
        .unwrap();
    assert!(demo.may_read_tickets(own.access_token().secret()).await);
    let look = service.introspect(renewed.access_token()).request_async(&send).await.unwrap();
    assert_eq!((look.active(), look.username()), (true, Some(demo.nurse())));
}

#[tokio::test]
#[ignore = "needs a browser; tests/foreign-clients runs it"]
async fn oauth2_signs_a_device_in() {
    let demo = Demo::start();
    let app = BasicClient::new(ClientId::new("medreq-cli".to_owned()))
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(demo.endpoint("/oauth2/device_authorization")).unwrap(),
        )
        .set_token_uri(TokenUrl::new(demo.endpoint("/oauth2/token")).unwrap());
    let waiting: StandardDeviceAuthorizationResponse =
        app.exchange_device_code().add_scope(Scope::new("tickets:read".to_owned())).request_async(&send).await.unwrap();
    let page = waiting.verification_uri_complete().unwrap().secret().clone();
    demo.browser("device", &page);
    let token =
        app.exchange_device_access_token(&waiting).request_async(&send, tokio::time::sleep, None).await.unwrap();
    assert!(demo.may_read_tickets(token.access_token().secret()).await);
}
