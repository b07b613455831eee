//! A small hospital behind the whole application, for tests at the level of HTTP: requests in, answers out, no socket.
#![expect(clippy::unwrap_used, reason = "tests")]
#![allow(dead_code, reason = "each test uses a part of it")]

use std::{collections::BTreeMap, net::IpAddr, path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    http::{HeaderMap, Method, Request, StatusCode, header},
};
use jiff::SignedDuration;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use super::{Addresses, AppState, Division, Edge, Services, router};
use crate::{
    domain::reason::Role,
    server::{
        auth::{
            Auth, PublicUrl, Scope,
            accounts::Editor,
            clients::NewServiceAccount,
            grants::TokenRequest,
            users::{NewUser, UserPatch},
        },
        catalog::CatalogStore,
        config::Limits,
        contract,
        sqlite::{OpenMode, SqliteStore},
    },
};

/// The application over a store of its own in a temporary directory.
///
/// Its places and medications are those of `contract::hospital`. Users: nurse `ana` (wards UTI, CM), nurse `bia` (CM), pharmacists `paulo`
/// and `rita`, technician `tito` (CENTRAL, SATELITE), manager `marta` (everywhere), auditor `otto`, admin `ada`; service account `his`.
pub(crate) struct TestApp {
    /// Requests go in here.
    pub(crate) router: Router,
    /// What the handlers stand on.
    pub(crate) state: AppState,
    /// The store itself.
    pub(crate) store: Arc<SqliteStore>,
    /// Set to true to stop streams.
    pub(crate) stop: watch::Sender<bool>,
    tokens: BTreeMap<String, String>,
    _dir: TempDir,
}

/// An answer, whole.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: StatusCode,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// The bytes of the body.
    pub(crate) bytes: Vec<u8>,
    /// The body as JSON; null where it is none.
    pub(crate) json: Value,
}

impl Answer {
    /// A header as text; empty where there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The status and the problem's code.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status.as_u16(), self.json["code"].as_str().unwrap_or_default())
    }

    /// The JSON body of an answer with this status.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json
    }
}

const USERS: [(&str, Role, &[&str], &[&str]); 8] = [
    ("ana", Role::Nurse, &["UTI", "CM"], &[]),
    ("bia", Role::Nurse, &["CM"], &[]),
    ("paulo", Role::Pharmacist, &[], &["CENTRAL", "SATELITE"]),
    ("rita", Role::Pharmacist, &[], &["CENTRAL", "SATELITE"]),
    ("tito", Role::Technician, &[], &["CENTRAL", "SATELITE"]),
    ("marta", Role::Manager, &["UTI", "CM"], &["CENTRAL", "SATELITE"]),
    ("otto", Role::Auditor, &[], &[]),
    ("ada", Role::Admin, &[], &[]),
];

impl TestApp {
    /// A new one, in a directory that goes with it.
    pub(crate) async fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(dir.path(), OpenMode::Serve).unwrap());
        let url: PublicUrl = "http://127.0.0.1:8080".parse().unwrap();
        let auth = Auth::open(store.clone(), store.clone(), &url).await.unwrap();
        let ports = contract::Ports {
            pipeline: Arc::clone(&store) as _,
            tickets: Arc::clone(&store) as _,
            reference: Arc::clone(&store) as _,
            identity: Arc::clone(&store) as _,
            sessions: Arc::clone(&store) as _,
        };
        ports.open_hospital().await;
        let (stop, shutdown) = watch::channel(false);
        let state = AppState::new(Services {
            auth,
            pipeline: ports.pipeline,
            tickets: ports.tickets,
            reference: ports.reference,
            catalog: Arc::new(CatalogStore::open(dir.path()).unwrap()),
            data_dir: dir.path().to_owned(),
            edge: Edge::new(
                &[IpAddr::from([10, 0, 0, 1])],
                vec!["10.1.0.0/16".parse().unwrap()],
                Limits { streams: 8, ..Limits::default() },
            ),
            division: Division::all_here(),
            engines: Vec::new(),
            addresses: Addresses::open(ports.identity.as_ref()).await.unwrap(),
            disk_free_min: 0,
            shutdown,
        });
        let router = router(state.clone());
        let mut app = Self { router, state, store, stop, tokens: BTreeMap::new(), _dir: dir };
        for (name, role, wards, pharmacies) in USERS {
            app.add_user(name, role, wards, pharmacies).await;
        }
        app.add_service(
            "his",
            &[Scope::TicketsRead, Scope::TicketsWrite, Scope::TicketsDelegate, Scope::ReferenceRead],
        )
        .await;
        app
    }

    /// The data directory.
    pub(crate) fn dir(&self) -> &Path {
        self._dir.path()
    }

    /// Adds a user and gets them a token with every scope that their role allows.
    pub(crate) async fn add_user(&mut self, name: &str, role: Role, wards: &[&str], pharmacies: &[&str]) {
        let new = NewUser {
            username: contract::code(name),
            name: format!("{name} da Silva"),
            roles: [role].into(),
            wards: wards.iter().map(|code| contract::code(code)).collect(),
            pharmacies: pharmacies.iter().map(|code| contract::code(code)).collect(),
            password: None,
            must_change_password: false,
        };
        self.state.auth.create_user(new, &Editor::on_server()).await.unwrap();
        let issued = self.state.auth.user_token(name, SignedDuration::from_mins(10)).await.unwrap();
        self.tokens.insert(name.to_owned(), issued.access_token);
    }

    /// Changes a user, and gets them a token with every scope that their roles allow now.
    pub(crate) async fn change_user(&mut self, name: &str, patch: UserPatch) {
        self.state.auth.patch_user(name, patch, &Editor::on_server()).await.unwrap();
        let issued = self.state.auth.user_token(name, SignedDuration::from_mins(10)).await.unwrap();
        self.tokens.insert(name.to_owned(), issued.access_token);
    }

    /// Adds a service account and gets it a token.
    pub(crate) async fn add_service(&mut self, name: &str, scopes: &[Scope]) {
        let new = NewServiceAccount {
            client_id: Some(name.to_owned()),
            name: name.to_owned(),
            scopes: scopes.iter().copied().collect(),
            wards: None,
        };
        let (_, secret) = self.state.auth.create_service_account(new, &Editor::on_server()).await.unwrap();
        let body = format!("grant_type=client_credentials&client_id={name}&client_secret={}", secret.reveal());
        let source = IpAddr::from([127, 0, 0, 1]).into();
        let request = TokenRequest { body: body.as_bytes(), authorization: None, source };
        let issued = self.state.auth.token(request).await.unwrap();
        self.tokens.insert(name.to_owned(), issued.access_token);
    }

    /// The token of a user or service account.
    pub(crate) fn token(&self, name: &str) -> &str {
        &self.tokens[name]
    }

    /// Sends a request whole.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap().to_vec();
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, bytes, json }
    }

    /// Builds a request of somebody ("" is nobody), with further headers and, unless it is null, a JSON body.
    pub(crate) fn request(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Request<Body> {
        let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
        if !who.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token(who)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_null() {
            return request.body(Body::empty()).unwrap();
        }
        request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap()
    }

    /// Reads as somebody.
    pub(crate) async fn get(&self, who: &str, path: &str) -> Answer {
        self.send(self.request(who, "GET", path, &[], &Value::Null)).await
    }

    /// Sends a JSON body as somebody.
    pub(crate) async fn call(
        &self,
        who: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        self.send(self.request(who, method, path, headers, &body)).await
    }
}
