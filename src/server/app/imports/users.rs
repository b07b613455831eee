//! A list of users: `username`, `name`, `roles`, `wards`, `pharmacies`, the last three separated by `|` or blanks. No list holds passwords.
//!
//! A row replaces name, roles and places of a user who exists; `wards` and `pharmacies` may be left out, which gives none.

use super::{
    ImportError, Tally,
    table::{Layout, Row, Table},
};
use crate::server::auth::imports::{UserImport, UserRow};

pub(super) const USERS: Layout =
    Layout { required: &["username", "name", "roles"], optional: &["wards", "pharmacies"] };

/// Reads the rows; what they may say is for the accounts to decide.
pub(super) fn users(table: &mut Table, tally: &mut Tally) -> Result<Vec<UserRow>, ImportError> {
    let rows = table.read_all(tally, |row| Ok(user(row)))?;
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// Adds what the accounts made of the rows.
pub(super) fn settle(done: UserImport, tally: &mut Tally) {
    tally.add(done.created, done.updated, done.unchanged);
    for (line, why) in done.rejected {
        tally.bad(line, why);
    }
}

fn user(row: &Row<'_>) -> UserRow {
    let list = |column| row.list(column, &['|', ';', ' ']).unwrap_or_default();
    UserRow {
        line: row.line,
        username: row.needed("username").to_owned(),
        name: row.needed("name").to_owned(),
        roles: list("roles").into_iter().map(|role| role.to_lowercase()).collect(),
        wards: list("wards"),
        pharmacies: list("pharmacies"),
    }
}
