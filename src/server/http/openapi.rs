//! The published document: collected from the operations, completed with what the middleware does for all of them. It documents no
//! resource of its own.

use axum::http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, external_docs::ExternalDocsBuilder};

use super::{replies, roles::Needed};
use crate::{
    api::{PROBLEM_JSON, problem::Problem},
    server::auth::Scope,
};

/// Name of the security scheme of streams that a browser opens.
const STREAM_TICKET: &str = "stream_ticket";

/// Name of the security scheme that every operation with a caller uses.
pub(super) const BEARER: &str = "bearer";

const METHODS: [(&str, Method); 5] = [
    ("get", Method::GET),
    ("post", Method::POST),
    ("put", Method::PUT),
    ("patch", Method::PATCH),
    ("delete", Method::DELETE),
];

const INTRODUCTION: &str = "\
Medication-replenishment tickets: a ward asks, a pharmacy works a queue ordered by time left, both see where it stands.

**Errors** are `application/problem+json` (RFC 9457) with a stable `code`. Order of refusals: 401, 403 scope, 400 shape, 404 visibility, 403 role, \
the stored answer of the idempotency key, 428, then the workflow's 409, 412 and 422.

**Writes** of tickets need `Idempotency-Key`, those of places and medications may have one: a retry with the same key and body is answered as the \
first time, `Idempotent-Replayed: true` says so. An import needs none: the same file changes nothing the second time. \
Changes need `If-Match` with the version they are based on, comments aside.

**Lists** are `{\"items\", \"next\", \"total\"}`; pass `next` as `cursor`.";

/// The document before any operation.
pub(super) fn base() -> OpenApi {
    let info = InfoBuilder::new()
        .title("medreq")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(INTRODUCTION))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let guide = ExternalDocsBuilder::new().url(super::pages::GUIDE).description(Some("For app developers")).build();
    let mut document = OpenApiBuilder::new().info(info).external_docs(Some(guide)).build();
    let mut schemas =
        vec![(<Problem as utoipa::ToSchema>::name().into_owned(), <Problem as utoipa::PartialSchema>::schema())];
    <Problem as utoipa::ToSchema>::schemas(&mut schemas);
    document.components.get_or_insert_default().schemas.extend(schemas);
    document
}

/// The document as published: security, and the problems that the middleware gives, on each operation.
pub(super) fn complete(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).expect("the document has string keys only");
    document["openapi"] = json!("3.1.0");
    document["servers"] = json!([{ "url": "/", "description": "This server" }]);
    document["tags"] = tags();
    document["components"]["securitySchemes"] = security_schemes();
    document["security"] = json!([{ BEARER: [] }]);
    for (path, item) in document["paths"].as_object_mut().into_iter().flatten() {
        for (name, method) in &METHODS {
            let Some(operation) = item.get_mut(*name) else { continue };
            complete_operation(operation);
            if replies::are_kept(path, method) {
                add_key(operation);
            }
        }
    }
    document
}

fn tags() -> Value {
    json!([
        { "name": "tickets", "description": "Requests of wards and the commands that move them" },
        { "name": "events", "description": "What happens, live" },
        { "name": "reference", "description": "Pharmacies, wards, cabinets, par levels, medications" },
        { "name": "catalog", "description": "Products of the medicine directories" },
        { "name": "imports", "description": "Reference data from files" },
        { "name": "accounts", "description": "Users, sessions, clients, service accounts, the audit log" },
        { "name": "oauth2", "description": "Tokens, devices, keys, metadata" },
        { "name": "operations", "description": "Health, metrics, this document" },
    ])
}

fn security_schemes() -> Value {
    let scopes: Map<String, Value> =
        Scope::ALL.iter().map(|scope| (scope.to_string(), json!(meaning(*scope)))).collect();
    json!({
        BEARER: { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "An access token of this server" },
        STREAM_TICKET: {
            "type": "apiKey", "in": "query", "name": "ticket", "description": "A single-use ticket of `POST /v1/events/ticket`"
        },
        "oauth2": {
            "type": "oauth2",
            "flows": {
                "authorizationCode": {
                    "authorizationUrl": "/oauth2/authorize", "tokenUrl": "/oauth2/token", "refreshUrl": "/oauth2/token", "scopes": scopes,
                },
                "clientCredentials": { "tokenUrl": "/oauth2/token", "scopes": scopes },
            },
        },
    })
}

pub(super) fn meaning(scope: Scope) -> &'static str {
    match scope {
        Scope::OpenId => "An ID token",
        Scope::Profile => "Name and username in the ID token",
        Scope::OfflineAccess => "A refresh token",
        Scope::TicketsRead => "Read tickets and their events",
        Scope::TicketsWrite => "Send commands to tickets",
        Scope::TicketsDelegate => "Act for a user named in X-On-Behalf-Of",
        Scope::ReferenceRead => "Read places, medications and the catalogue",
        Scope::ReferenceWrite => "Change places, medications and the catalogue",
        Scope::UsersWrite => "Administer users",
        Scope::ReportsRead => "Read reports",
        Scope::AuditRead => "Read the audit log",
        Scope::Admin => "Administer clients, service accounts and administrators",
    }
}

fn complete_operation(operation: &mut Value) {
    let scopes = scopes_of(operation);
    let has_body = operation.get("requestBody").is_some();
    let responses = &mut operation["responses"];
    if let Some(responses) = responses.as_object_mut() {
        responses.values_mut().for_each(as_problem);
    }
    if let Some(scopes) = &scopes {
        add(responses, "401", "No valid access token; see WWW-Authenticate");
        add(responses, "403", "The token lacks the scope, or its owner may not do this");
        add(responses, "400", "Not the right shape; `field` says where");
        let own = operation["security"].as_array().cloned().unwrap_or_default();
        let others = own.into_iter().filter(|requirement| requirement.get(BEARER).is_none());
        let mut alternatives = vec![json!({ BEARER: scopes }), json!({ "oauth2": scopes })];
        alternatives.extend(others);
        operation["security"] = Value::Array(alternatives);
        add_roles(operation, scopes);
    }
    let responses = &mut operation["responses"];
    if has_body {
        add(responses, "400", "Not the right shape; `field` says where");
        add(responses, "408", "The body did not arrive in time");
        add(responses, "413", "The body is too large");
        add(responses, "415", "The body is of another media type");
    }
    add(responses, "414", "The address is too long");
    add(responses, "431", "The headers are too large or too many");
    add(responses, "429", "Too many requests of this client; see Retry-After");
    add(responses, "500", "Something failed; tell the administrator the request id");
    add(responses, "503", "Busy, or a dependency is not available; see Retry-After");
}

/// Who may use it, for people to read and, as `x-roles`, for programs.
fn add_roles(operation: &mut Value, scopes: &[String]) {
    let needed = Needed::of(operation["operationId"].as_str().unwrap_or_default(), scopes);
    let scope = if scopes.is_empty() { String::new() } else { format!("scope `{}`; ", scopes.join(" ")) };
    let own = operation["description"].as_str().map(|text| format!("{text}\n\n")).unwrap_or_default();
    operation["description"] = json!(format!("{own}**Needs**: {scope}roles: {}.", needed.words));
    operation["x-roles"] = json!(needed.roles);
}

/// The idempotency key of an operation that may go without one.
fn add_key(operation: &mut Value) {
    let key = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "A key of your choice, new for each new request: for 30 days a retry with the same key and body is answered as the first time.",
        "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
        "example": "7f9c24e8-3b12-4fef-91b0-d1a3f0c1a8d1",
    });
    match operation.get_mut("parameters").and_then(Value::as_array_mut) {
        Some(parameters) => parameters.push(key),
        None => operation["parameters"] = json!([key]),
    }
    let reused = "`idempotency_key_reused`: the key was used for another request";
    let responses = &mut operation["responses"];
    let described = responses.get("422").and_then(|response| response["description"].as_str()).map(str::to_owned);
    match described {
        Some(own) => responses["422"]["description"] = json!(format!("{own}; or {reused}")),
        None => add(responses, "422", reused),
    }
}

/// Problems have their own media type.
fn as_problem(response: &mut Value) {
    let Some(content) = response.get_mut("content").and_then(Value::as_object_mut) else { return };
    let is_problem =
        |media: &Value| media["schema"]["$ref"].as_str().is_some_and(|schema| schema.ends_with("/Problem"));
    if content.get("application/json").is_some_and(is_problem)
        && let Some(media) = content.remove("application/json")
    {
        content.insert(PROBLEM_JSON.to_owned(), media);
    }
}

fn add(responses: &mut Value, status: &str, description: &str) {
    if responses.get(status).is_none() {
        responses[status] = json!({
            "description": description,
            "content": { PROBLEM_JSON: { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
    }
}

/// Every operation of a completed document.
pub(super) fn operations(document: &Value) -> impl Iterator<Item = (&str, Method, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        METHODS
            .into_iter()
            .filter_map(move |(name, method)| item.get(name).map(|operation| (path.as_str(), method, operation)))
    })
}

/// True where a single-use ticket will do in place of a token.
pub(super) fn takes_stream_ticket(operation: &Value) -> bool {
    let requirements = operation.get("security").and_then(Value::as_array).into_iter().flatten();
    requirements.into_iter().any(|requirement| requirement.get(STREAM_TICKET).is_some())
}

/// The scopes that a caller needs; `None` where nobody needs to be known.
pub(super) fn scopes_of(operation: &Value) -> Option<Vec<String>> {
    let Some(requirements) = operation.get("security").and_then(Value::as_array) else { return Some(vec![]) };
    let scopes = requirements.iter().find_map(|requirement| requirement.get(BEARER)?.as_array())?;
    Some(scopes.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}
