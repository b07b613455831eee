//! Which roles an operation is for, as the document tells it. It decides nothing: `tests/permissions.rs` holds it against what is enforced.

use std::collections::BTreeSet;

use crate::{
    domain::{
        command::CommandName,
        permission::{Grant, grant},
        reason::Role,
    },
    server::{
        app::reference::{CLASS_EDITORS, ITEM_EDITORS, PLACE_EDITORS},
        auth::{Scope, scopes::scopes_of_roles},
    },
};

/// The roles that may use an operation, and the same in words.
pub(super) struct Needed {
    pub(super) roles: Vec<Role>,
    pub(super) words: String,
}

impl Needed {
    /// For an operation with these scopes; fewer than hold the scopes where its own rule is narrower.
    pub(super) fn of(operation_id: &str, scopes: &[String]) -> Self {
        if let Some(command) = command(operation_id) {
            return Self::by(grant(command));
        }
        let roles = match operation_id {
            "put_pharmacy" | "put_ward" | "put_cabinet" | "put_site" | "put_routing_rules" => PLACE_EDITORS.to_vec(),
            "set_medication_class" | "post_medication_class" => CLASS_EDITORS.to_vec(),
            // Of medications and the catalogue; its own text says which lists are an administrator's.
            "import_file" => ITEM_EDITORS.to_vec(),
            _ => holders(scopes),
        };
        let people = Role::ALL.len() - 1;
        let words = if roles.len() == people { "everybody".to_owned() } else { listed(&roles) };
        Self { roles, words }
    }

    fn by(grant: Grant) -> Self {
        let places = [(grant.ward, "in the ticket's ward"), (grant.pharmacy, "in its pharmacy")];
        let places = places.into_iter().filter(|(roles, _)| !roles.is_empty());
        let words: Vec<String> = places.map(|(roles, place)| format!("{} {place}", listed(roles))).collect();
        Self { roles: grant.roles().collect(), words: words.join("; ") }
    }
}

/// The command that an operation gives.
fn command(operation_id: &str) -> Option<CommandName> {
    match operation_id.strip_suffix("_ticket")? {
        "withdraw" => Some(CommandName::Cancel),
        name => name.parse().ok(),
    }
}

/// Roles of people that may hold all these scopes; a service account holds what its own record says.
fn holders(scopes: &[String]) -> Vec<Role> {
    let needed: BTreeSet<Scope> = scopes.iter().filter_map(|scope| scope.parse().ok()).collect();
    let holds = |role: &Role| scopes_of_roles(&BTreeSet::from([*role])).is_superset(&needed);
    Role::ALL.iter().copied().filter(|role| *role != Role::Service && holds(role)).collect()
}

fn listed(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_names_its_roles_and_their_places() {
        let words = |id: &str, scope: &str| Needed::of(id, &[scope.to_owned()]).words;
        assert_eq!(words("claim_ticket", "tickets:write"), "technician, pharmacist in its pharmacy");
        let create = words("create_ticket", "tickets:write");
        assert_eq!(create, "nurse, charge_nurse in the ticket's ward; technician, pharmacist in its pharmacy");
        assert_eq!(words("withdraw_ticket", "tickets:write"), words("cancel_ticket", "tickets:write"));
        assert_eq!(words("put_ward", "reference:write"), "admin");
        assert_eq!(words("put_medication", "reference:write"), "pharmacist, admin");
        assert_eq!(words("list_wards", "reference:read"), "everybody");
    }
}
