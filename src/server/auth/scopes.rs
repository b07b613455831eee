//! OAuth2 scopes and what each role allows. Deciding what a scope opens is the endpoints' business, never this file's.

use std::collections::BTreeSet;

use crate::domain::reason::{Role, codes};

codes! {
    /// What a token may be used for.
    Scope, "scope" {
        /// Asks for an ID token (OpenID Connect).
        OpenId = "openid",
        /// Name and username in the ID token.
        Profile = "profile",
        /// A refresh token.
        OfflineAccess = "offline_access",
        /// Read tickets and their events.
        TicketsRead = "tickets:read",
        /// Send commands to tickets.
        TicketsWrite = "tickets:write",
        /// Act for a user named in `X-On-Behalf-Of`.
        TicketsDelegate = "tickets:delegate",
        /// Read places, medications and the catalogue.
        ReferenceRead = "reference:read",
        /// Change places, medications and the catalogue.
        ReferenceWrite = "reference:write",
        /// Administer users.
        UsersWrite = "users:write",
        /// Read reports.
        ReportsRead = "reports:read",
        /// Read the audit log.
        AuditRead = "audit:read",
        /// Administer clients, service accounts and administrators.
        Admin = "admin",
    }
}

/// Scopes that a service account's record may hold.
pub const SERVICE_SCOPES: &[Scope] = &[
    Scope::TicketsRead,
    Scope::TicketsWrite,
    Scope::TicketsDelegate,
    Scope::ReferenceRead,
    Scope::ReferenceWrite,
    Scope::UsersWrite,
    Scope::ReportsRead,
    Scope::AuditRead,
];

const SIGN_IN: &[Scope] = &[Scope::OpenId, Scope::Profile, Scope::OfflineAccess];

fn beyond_sign_in(role: Role) -> &'static [Scope] {
    use Scope::{Admin, AuditRead, ReferenceRead, ReferenceWrite, ReportsRead, TicketsRead, TicketsWrite, UsersWrite};
    match role {
        Role::Nurse | Role::ChargeNurse | Role::Technician => &[TicketsRead, TicketsWrite, ReferenceRead],
        Role::Pharmacist => &[TicketsRead, TicketsWrite, ReferenceRead, ReferenceWrite],
        Role::Manager => &[TicketsRead, TicketsWrite, ReferenceRead, ReportsRead],
        Role::Auditor => &[TicketsRead, ReferenceRead, ReportsRead, AuditRead],
        Role::Admin => &[ReferenceRead, ReferenceWrite, UsersWrite, AuditRead, Admin],
        Role::Service => &[],
    }
}

/// Every scope that a person with these roles may hold. A service's scopes stand in its own record instead.
#[must_use]
pub fn scopes_of_roles(roles: &BTreeSet<Role>) -> BTreeSet<Scope> {
    let people = roles.iter().copied().filter(|role| *role != Role::Service);
    people.flat_map(|role| SIGN_IN.iter().chain(beyond_sign_in(role)).copied()).collect()
}

/// Reads a `scope` claim; words that are no scope of ours are passed over.
#[must_use]
pub fn parse_claim(text: &str) -> BTreeSet<Scope> {
    text.split(' ').filter_map(|word| word.parse().ok()).collect()
}

/// The scopes that a request names, in its order, each once; `None` where one is unknown or not among those allowed.
pub(super) fn within(requested: &str, allowed: &BTreeSet<Scope>) -> Option<String> {
    let mut scopes: Vec<Scope> = Vec::new();
    for word in requested.split(' ').filter(|word| !word.is_empty()) {
        let scope = word.parse().ok().filter(|scope| allowed.contains(scope))?;
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    Some(to_claim(&scopes))
}

/// Reads the scopes of a record.
pub fn from_record<'a>(names: impl IntoIterator<Item = &'a String>) -> BTreeSet<Scope> {
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}

/// Writes a `scope` claim or parameter.
pub fn to_claim<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> String {
    scopes.into_iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(roles: &[Role]) -> BTreeSet<Scope> {
        scopes_of_roles(&roles.iter().copied().collect())
    }

    #[test]
    fn an_administrator_has_no_hand_in_tickets() {
        let admin = scopes(&[Role::Admin]);
        assert!(admin.contains(&Scope::UsersWrite) && admin.contains(&Scope::Admin));
        assert!(!admin.contains(&Scope::TicketsRead) && !admin.contains(&Scope::TicketsWrite));
    }

    #[test]
    fn several_roles_add_up_and_none_gives_nothing() {
        let both = scopes(&[Role::Pharmacist, Role::Manager]);
        assert!(both.contains(&Scope::ReferenceWrite) && both.contains(&Scope::ReportsRead));
        assert!(scopes(&[]).is_empty());
        assert!(scopes(&[Role::Service]).is_empty());
    }

    #[test]
    fn a_claim_reads_back_as_written() {
        let nurse = scopes(&[Role::Nurse]);
        assert_eq!(parse_claim(&to_claim(&nurse)), nurse);
        assert_eq!(parse_claim("tickets:read unheard-of"), BTreeSet::from([Scope::TicketsRead]));
    }
}
