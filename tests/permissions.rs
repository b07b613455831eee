//! Every operation of the published document, sent by everybody, compared with the table in permissions.csv. An operation that stands in no
//! line of the table fails the test, so that none is ever added without saying who may use it.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::{Value, json};

use crate::common::{Call, Server, Site, wish};

/// The table: what each person's request is answered. `ok` is any answer that is not a refusal of who asks.
const TABLE: &str = include_str!("permissions.csv");

/// Somebody who sends requests.
struct Person {
    /// The column of the table.
    column: &'static str,
    token: String,
    on_behalf_of: Option<&'static str>,
}

type Codes = &'static [&'static str];

/// Username and column, roles, wards, pharmacies. Tickets of the test are for ward UTI and pharmacy CENTRAL: `_other` is of elsewhere.
const USERS: &[(&str, Codes, Codes, Codes)] = &[
    ("nurse", &["nurse"], &["UTI"], &[]),
    ("nurse_other", &["nurse"], &["CC"], &[]),
    ("charge_nurse", &["charge_nurse"], &["UTI"], &[]),
    ("charge_nurse_other", &["charge_nurse"], &["CC"], &[]),
    ("technician", &["technician"], &[], &["CENTRAL"]),
    ("technician_other", &["technician"], &[], &["SAT-CC"]),
    ("pharmacist", &["pharmacist"], &[], &["CENTRAL"]),
    ("pharmacist_other", &["pharmacist"], &[], &["SAT-CC"]),
    ("manager", &["manager"], &["UTI"], &["CENTRAL"]),
    ("manager_other", &["manager"], &["CC"], &["SAT-CC"]),
    ("auditor", &["auditor"], &[], &[]),
    ("administrator", &["admin"], &[], &[]),
];

/// Everybody, in the order of the table's columns: nobody, the users, and a service account for itself and for others.
fn people(server: &Server, admin: &str) -> Vec<Person> {
    let mut people = vec![Person { column: "nobody", token: String::new(), on_behalf_of: None }];
    for (column, roles, wards, pharmacies) in USERS {
        let user =
            json!({"username": column, "name": column, "roles": roles, "wards": wards, "pharmacies": pharmacies});
        server.call(admin, "POST", "/auth/v1/users").json(&user).send().expect(201);
        people.push(Person { column, token: server.token(column), on_behalf_of: None });
    }
    let scopes = ["tickets:read", "tickets:write", "tickets:delegate", "reference:read", "reference:write"];
    let bridge = json!({"client_id": "bridge", "name": "HIS bridge", "scopes": scopes});
    let secret = server.call(admin, "POST", "/auth/v1/service-accounts").json(&bridge).send().expect(201);
    let form = format!(
        "grant_type=client_credentials&client_id=bridge&client_secret={}",
        secret["client_secret"].as_str().unwrap()
    );
    let issued =
        server.call("", "POST", "/oauth2/token").body("application/x-www-form-urlencoded", form).send().expect(200);
    let token = issued["access_token"].as_str().unwrap();
    for (column, on_behalf_of) in
        [("service", None), ("service_for_nurse", Some("nurse")), ("service_for_nurse_other", Some("nurse_other"))]
    {
        people.push(Person { column, token: token.to_owned(), on_behalf_of });
    }
    people
}

/// The hospital, and what requests are about.
struct World {
    site: Site,
    admin: String,
    ana: String,
    document: Value,
    /// Directory and key.
    product: (String, String),
    requests: u32,
}

impl World {
    fn new() -> Self {
        let site = Site::stocked();
        let (admin, ana) = (site.token("admin"), site.token("ana"));
        let document = site.server.get("", "/openapi.json");
        let slice = crate::common::data("fda-ndc-product-slice.txt");
        site.server.json(&admin, &["catalog", "import", slice.to_str().unwrap()]);
        let products = site.server.get(&admin, "/v1/catalog?limit=1");
        let part = |name: &str| products["items"][0][name].as_str().unwrap().to_owned();
        let product = (part("directory"), part("key"));
        Self { site, admin, ana, document, product, requests: 0 }
    }

    fn server(&self) -> &Server {
        &self.site.server
    }

    /// A path with something of its own in it: commands change what they are sent to, and the next request must not notice.
    fn path(&mut self, template: &str) -> String {
        self.requests += 1;
        let fresh = format!("x{}", self.requests);
        let mut path = template.to_owned();
        let mut put = |name: &str, value: &str| path = path.replace(&format!("{{{name}}}"), value);
        if template.starts_with("/v1/tickets/{id}") {
            put("id", &self.ticket());
        }
        if template.contains("{username}") {
            let user = json!({"username": fresh, "name": "Somebody", "roles": ["nurse"], "wards": ["UTI"]});
            self.server().call(&self.admin, "POST", "/auth/v1/users").json(&user).send().expect(201);
            put("username", &fresh);
        }
        if template.starts_with("/auth/v1/service-accounts/{id}") {
            let account = json!({"client_id": fresh, "name": "Bridge", "scopes": ["tickets:read"]});
            self.server().call(&self.admin, "POST", "/auth/v1/service-accounts").json(&account).send().expect(201);
            put("id", &fresh);
        }
        if template.starts_with("/auth/v1/clients/{id}") {
            let app = json!({"client_id": fresh, "name": "App", "confidential": true});
            self.server().call(&self.admin, "POST", "/auth/v1/clients").json(&app).send().expect(201);
            put("id", &fresh);
        }
        if template.ends_with("/par-levels/{medication}") {
            let level = json!({"min": "1", "max": "9"});
            let path = "/v1/cabinets/UTI-01/par-levels/HEPA-5000";
            self.server().call(&self.admin, "PUT", path).json(&level).send();
        }
        let code = match template.split('/').nth(2) {
            Some("cabinets") => "UTI-01",
            Some("wards") => "UTI",
            Some("pharmacies") => "CENTRAL",
            _ => "DIPI-500",
        };
        put("code", code);
        put("medication", "HEPA-5000");
        put("sid", "00000000-0000-4000-8000-000000000000");
        put("directory", &self.product.0);
        put("key", &self.product.1);
        put("what", "medications");
        path
    }

    fn ticket(&self) -> String {
        let ticket = self.server().create(&self.ana, &wish("UTI", "HEPA-5000", "1")).expect(201);
        ticket["id"].as_str().unwrap().to_owned()
    }

    /// The operation as the document describes it, with its own example for a body.
    fn call(&mut self, person: &Person, method: &str, template: &str) -> Call {
        let operation = self.document["paths"][template][method].clone();
        let mut path = self.path(template);
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == "query" && parameter["required"] == true {
                let example = parameter["example"].as_str().unwrap_or("no_longer_needed");
                write!(
                    path,
                    "{}{}={example}",
                    if path.contains('?') { '&' } else { '?' },
                    parameter["name"].as_str().unwrap()
                )
                .unwrap();
            }
        }
        let mut call = self.server().call(&person.token, &method.to_uppercase(), &path);
        if template.starts_with("/v1/tickets") && method != "get" {
            call = call.new_key().version(1);
        }
        if let Some(username) = person.on_behalf_of {
            call = call.header("x-on-behalf-of", username);
        }
        let Some((media_type, content)) =
            operation["requestBody"]["content"].as_object().and_then(|all| all.iter().next())
        else {
            return call;
        };
        let example = match &content["example"] {
            Value::Null => content["examples"].as_object().unwrap().values().next().unwrap()["value"].clone(),
            example => example.clone(),
        };
        match media_type.as_str() {
            "application/json" => call.json(&self.fitting(template, example)),
            "application/x-www-form-urlencoded" => {
                let pairs = example
                    .as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()));
                call.body(media_type, pairs.collect::<Vec<_>>().join("&"))
            }
            _ => call.body(media_type, example.as_str().unwrap().to_owned()),
        }
    }

    /// The example, speaking of what exists in this hospital.
    fn fitting(&self, template: &str, mut example: Value) -> Value {
        match template {
            "/v1/tickets" => wish("UTI", "DIPI-500", "1"),
            "/auth/v1/users" => {
                example["username"] = json!(format!("y{}", self.requests));
                example
            }
            _ => example,
        }
    }
}

/// The refusals of who asks; whatever else is answered, they were let through.
fn cell(status: u16) -> String {
    match status {
        400 | 401 | 403 | 404 | 405 | 500.. => status.to_string(),
        _ => "ok".to_owned(),
    }
}

fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let methods = ["get", "post", "put", "patch", "delete"];
    let mut operations: Vec<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            methods.iter().filter(|m| item.get(**m).is_some()).map(|m| ((*m).to_owned(), path.clone()))
        })
        .collect();
    // Who signs themselves out everywhere has no token afterwards.
    let last = |(method, path): &(String, String)| method == "delete" && path == "/auth/v1/me/sessions";
    operations.sort_by(|a, b| (last(a), &a.1, &a.0).cmp(&(last(b), &b.1, &b.0)));
    operations
}

/// The roles that the document names for an operation are those that are let through in their own place.
fn documented(people: &[Person], line: &str, roles: &Value) {
    let cells = line.split(',').skip(2);
    for (person, cell) in people.iter().zip(cells) {
        let Some((_, [role], ..)) = USERS.iter().find(|user| user.0 == person.column && !user.0.ends_with("_other"))
        else {
            continue;
        };
        let named = roles.as_array().unwrap().contains(&json!(role));
        // A technician checks where the hospital's policy says so, and as it comes it does not.
        if *role == "technician" && line.starts_with("POST /v1/tickets/{id}/ready,") {
            continue;
        }
        assert_eq!(named, cell != "403", "the document names {roles}, but {role} is answered {cell}: {line}");
    }
}

#[test]
fn everybody_reaches_what_the_table_says_and_nothing_else() {
    let mut world = World::new();
    let people = people(world.server(), &world.admin);
    let columns: Vec<&str> = people.iter().map(|person| person.column).collect();
    let mut found = BTreeMap::from([("operation".to_owned(), format!("operation,scope,{}", columns.join(",")))]);
    for (method, path) in operations(&world.document) {
        let security = &world.document["paths"][&path][&method]["security"][0]["bearer"];
        let scope = match security.as_array().map(|scopes| scopes.first()) {
            None => "open".to_owned(),
            Some(None) => "any token".to_owned(),
            Some(Some(scope)) => scope.as_str().unwrap().to_owned(),
        };
        let mut line = format!("{} {path},{scope}", method.to_uppercase());
        // What is open knows nobody: one who sends no token stands for all.
        for person in people.iter().filter(|person| scope != "open" || person.token.is_empty()) {
            let status = world.call(person, &method, &path).status();
            write!(line, ",{}", cell(status)).unwrap();
        }
        if scope != "open" {
            let roles = world.document["paths"][&path][&method]["x-roles"].clone();
            documented(&people, &line, &roles);
        }
        found.insert(format!("{} {path}", method.to_uppercase()), line);
    }
    let said: BTreeMap<String, String> = TABLE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| (line.split(',').next().unwrap().to_owned(), line.to_owned()))
        .collect();
    let differing: Vec<String> = found
        .iter()
        .filter(|(operation, line)| said.get(*operation) != Some(line))
        .map(|(operation, line)| {
            format!("found {line}\n said {}", said.get(operation).map_or("nothing", String::as_str))
        })
        .collect();
    let gone: Vec<&String> = said.keys().filter(|operation| !found.contains_key(*operation)).collect();
    assert!(
        differing.is_empty() && gone.is_empty(),
        "who reaches what differs from tests/permissions.csv; mend the server, or the table where the answer is right\n{}\nno such operation any more: {gone:?}",
        differing.join("\n")
    );
}
