//! `demo.json`: how to sign in to a demo. It holds secrets: it is written 0600 and never logged.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::domain::reason::Role;

/// The file of the manifest within a demo's data directory.
pub const MANIFEST_FILE: &str = "demo.json";

/// The file with the `Authorization` line of the first nurse's token, for curl.
pub const CURL_HEADER_FILE: &str = "demo-curl-header";

/// What `demo.json` holds.
#[derive(Clone, Serialize, Deserialize)]
pub struct DemoManifest {
    /// Where the demo listens; rewritten at each start.
    pub url: String,
    /// Everybody who may sign in.
    pub users: Vec<DemoUser>,
    /// A program that acts for users.
    pub service_account: DemoServiceAccount,
    /// Apps.
    pub clients: Vec<DemoClient>,
}

/// Somebody who may sign in.
#[derive(Clone, Serialize, Deserialize)]
pub struct DemoUser {
    /// Login name.
    pub username: String,
    /// Drawn for this directory alone.
    pub password: String,
    /// Roles.
    pub roles: Vec<Role>,
    /// Wards.
    pub wards: Vec<String>,
    /// Pharmacies.
    pub pharmacies: Vec<String>,
}

/// The service account.
#[derive(Clone, Serialize, Deserialize)]
pub struct DemoServiceAccount {
    /// Its `client_id`.
    pub client_id: String,
    /// Drawn for this directory alone.
    pub client_secret: String,
}

/// A public app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DemoClient {
    /// Its `client_id`.
    pub client_id: String,
    /// Exact redirect URIs; on loopback any port.
    pub redirect_uris: Vec<String>,
}

/// Prints no secret.
impl std::fmt::Debug for DemoManifest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DemoManifest").field("url", &self.url).field("users", &self.users.len()).finish_non_exhaustive()
    }
}

impl DemoManifest {
    /// The first user with a role.
    #[must_use]
    pub fn first(&self, role: Role) -> Option<&DemoUser> {
        self.users.iter().find(|user| user.roles.contains(&role))
    }
}

/// What to do next, for the terminal of somebody who has just started the demo.
#[must_use]
pub fn greeting(manifest: &DemoManifest, data_dir: &Path) -> String {
    // A newcomer's build is seldom on the path: name the very program that runs.
    let program = std::env::current_exe().unwrap_or_else(|_| "medreq".into());
    greeting_of(&program, manifest, data_dir)
}

fn greeting_of(program: &Path, manifest: &DemoManifest, data_dir: &Path) -> String {
    let url = manifest.url.trim_end_matches('/');
    let dir = quoted(data_dir);
    let file = |name: &str| quoted(&data_dir.join(name));
    let mut lines = vec![
        "A demo hospital is ready: pharmacies, wards, cabinets, real medicines and tickets of the last days."
            .to_owned(),
        String::new(),
        format!("  API docs      {url}/docs"),
    ];
    for (label, role) in [("nurse", Role::Nurse), ("pharmacist", Role::Pharmacist)] {
        if let Some(user) = manifest.first(role) {
            lines.push(format!("  {label:<12}  {}  password {}", user.username, user.password));
        }
    }
    lines.push(format!("  everybody     {}", file(MANIFEST_FILE)));
    lines.push(String::new());
    if let Some(nurse) = manifest.first(Role::Nurse) {
        lines.push(format!("The open tickets, as {} sees them:", nurse.username));
        lines.push(format!("  curl -H @{} '{url}/v1/tickets?status=open'", file(CURL_HEADER_FILE)));
        lines.push("A token of somebody, into a file:".to_owned());
        lines.push(format!("  {} user token {} --ttl 60m --data-dir {dir} > token", quoted(program), nurse.username));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// A path that can be pasted into a shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '+');
    if text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> DemoManifest {
        let user = |username: &str, role| DemoUser {
            username: username.to_owned(),
            password: format!("secret of {username}"),
            roles: vec![role],
            wards: vec!["UTI".to_owned()],
            pharmacies: Vec::new(),
        };
        DemoManifest {
            url: "http://127.0.0.1:8080".to_owned(),
            users: vec![user("ana", Role::Nurse), user("bia", Role::Nurse), user("paula", Role::Pharmacist)],
            service_account: DemoServiceAccount { client_id: "s".to_owned(), client_secret: "x".to_owned() },
            clients: vec![DemoClient {
                client_id: "a".to_owned(),
                redirect_uris: vec!["http://127.0.0.1/c".to_owned()],
            }],
        }
    }

    #[test]
    fn the_greeting_says_what_to_do_next_and_puts_no_token_on_a_command_line() {
        let text = greeting_of(Path::new("medreq"), &manifest(), Path::new("/tmp/my demo"));
        for part in [
            "http://127.0.0.1:8080/docs",
            "ana  password secret of ana",
            "paula  password secret of paula",
            "'/tmp/my demo/demo.json'",
            "curl -H @'/tmp/my demo/demo-curl-header' 'http://127.0.0.1:8080/v1/tickets?status=open'",
            "medreq user token ana --ttl 60m --data-dir '/tmp/my demo' > token",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("bia") && !text.contains("Bearer"));
    }

    #[test]
    fn the_manifest_has_the_members_that_scripts_read_and_prints_no_secret() {
        let json = serde_json::to_value(manifest()).expect("a manifest is JSON");
        assert_eq!(json["users"][0]["roles"][0], "nurse");
        assert_eq!(json["service_account"]["client_secret"], "x");
        assert_eq!(json["clients"][0]["redirect_uris"][0], "http://127.0.0.1/c");
        assert!(!format!("{:?}", manifest()).contains("secret of"));
    }
}
