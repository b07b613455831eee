//! The developers' guide at `/docs/apps`: how an app signs somebody in and works the API. Its programs are those that `tests/foreign-clients`
//! runs, and what it says of scopes is what `auth` enforces; it must never promise more.

use askama::Template;
use axum::{extract::State, http::StatusCode, response::Response};

use super::{
    reply,
    views::{Frame, STYLE},
    words::Language,
};
use crate::server::{
    auth::{Scope, scopes::SERVICE_SCOPES},
    http::{AppState, openapi, roles::Needed},
};

/// Where it is.
pub(in crate::server::http) const PATH: &str = "/docs/apps";

/// A program as it stands in its file.
struct Program {
    name: &'static str,
    needs: &'static str,
    text: &'static str,
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "Python",
        needs: "An app with a browser beside it: authorization code with PKCE.",
        text: include_str!("guide/sign_in.py"),
    },
    Program {
        name: "JavaScript (Node)",
        needs: "The same, with nothing but the standard library.",
        text: include_str!("guide/sign_in.mjs"),
    },
    Program {
        name: "curl and jq",
        needs: "A program without a browser: the device flow.",
        text: include_str!("guide/sign_in.sh"),
    },
];

struct ScopeRow {
    name: Scope,
    meaning: &'static str,
    roles: String,
}

#[derive(Template)]
#[template(path = "guide.html")]
struct GuidePage {
    page: Frame,
    title: &'static str,
    server: String,
    issuer: String,
    programs: [Program; 3],
    scopes: Vec<ScopeRow>,
}

/// Shows it; for developers, and so in English alone.
pub(super) async fn show(State(state): State<AppState>) -> Response {
    let guide = GuidePage {
        page: Frame::of_anybody(Language::English.words()),
        title: "For app developers",
        server: state.auth.endpoints(),
        issuer: state.auth.issuer().to_owned(),
        programs: PROGRAMS,
        scopes: Scope::ALL.iter().copied().map(ScopeRow::of).collect(),
    };
    reply::page(StatusCode::OK, &guide, reply::HERE)
}

impl ScopeRow {
    fn of(name: Scope) -> Self {
        let mut roles = Needed::of("", &[name.to_string()]).words;
        if SERVICE_SCOPES.contains(&name) {
            let joint = if roles.is_empty() { "" } else { ", " };
            roles = format!("{roles}{joint}service accounts");
        }
        Self { name, meaning: openapi::meaning(name), roles }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::http::{pages::tests::Browser, testing::TestApp};

    #[tokio::test]
    async fn developers_read_every_scope_and_whole_programs() {
        let app = TestApp::new().await;
        let mut browser = Browser::new(&app);
        browser.open(PATH).await.expect(200);
        for scope in Scope::ALL {
            browser.sees(&format!("<td><code>{scope}</code></td>"));
        }
        browser.sees("<td>everybody</td>");
        browser.sees("<td>pharmacist, admin, service accounts</td>");
        browser.sees("print(tickets[&#34;total&#34;], &#34;open tickets&#34;)");
        assert!(PROGRAMS.iter().all(|program| program.text.contains("demo-app")));
    }
}
