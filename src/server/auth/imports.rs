//! Users from a list: the good rows are written, the bad ones reported with line and reason. A list holds no passwords; reading the file is done elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    Auth,
    accounts::{AccountError, Editor},
    users::{NewUser, UserPatch, differences, is_admin, may_grant, may_touch, patched, record},
};
use crate::{
    domain::{
        code::{PharmacyCode, Username, WardCode},
        reason::Role,
    },
    server::ports::User,
};

/// A row as read.
#[derive(Debug, Clone, Default)]
pub struct UserRow {
    /// Line in the file.
    pub line: u64,
    /// Login name.
    pub username: String,
    /// Name as people read it.
    pub name: String,
    /// Role codes.
    pub roles: Vec<String>,
    /// Ward codes.
    pub wards: Vec<String>,
    /// Pharmacy codes.
    pub pharmacies: Vec<String>,
}

/// The places that rows may name.
#[derive(Debug, Clone, Default)]
pub struct KnownPlaces {
    /// Wards.
    pub wards: BTreeSet<WardCode>,
    /// Pharmacies.
    pub pharmacies: BTreeSet<PharmacyCode>,
}

/// What an import did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserImport {
    /// New users; they have no password until one is set.
    pub created: u64,
    /// Users whose name, roles or places changed.
    pub updated: u64,
    /// Users that were as the row says.
    pub unchanged: u64,
    /// Line and reason.
    pub rejected: Vec<(u64, String)>,
}

impl Auth {
    /// Writes the good rows; a row of an existing username changes name, roles and places, never password or state. With `dry_run` nothing is written.
    ///
    /// # Errors
    /// As the store's; a bad row is no error.
    pub async fn import_users(
        &self,
        rows: Vec<UserRow>,
        places: &KnownPlaces,
        by: &Editor,
        dry_run: bool,
    ) -> Result<UserImport, AccountError> {
        let _one_at_a_time = self.changes.lock().await;
        let everybody = self.everybody().await?;
        let mut roll = Roll { admins: everybody.values().filter(|user| is_admin(user)).count(), known: everybody };
        let mut report = UserImport::default();
        let mut seen = BTreeSet::new();
        let (mut created, mut updated) = (Vec::new(), Vec::new());
        for row in rows {
            let line = row.line;
            let placed = check(row, places, by).and_then(|new| {
                if seen.insert(new.username.clone()) {
                    roll.place(new, by)
                } else {
                    Err("the username stands in an earlier row too; keep one".to_owned())
                }
            });
            match placed {
                Ok(Row::New(user)) => created.push(user),
                Ok(Row::Changed { was, user }) => updated.push((was, user)),
                Ok(Row::Same) => report.unchanged += 1,
                Err(why) => report.rejected.push((line, why)),
            }
        }
        (report.created, report.updated) = (created.len() as u64, updated.len() as u64);
        if !dry_run && report.created + report.updated > 0 {
            self.write_rows(created, updated, by).await?;
        }
        Ok(report)
    }

    async fn write_rows(
        &self,
        created: Vec<User>,
        updated: Vec<(User, User)>,
        by: &Editor,
    ) -> Result<(), AccountError> {
        let new = |user: &User| {
            by.audit("user", "user_created", user.username.as_str(), json!({ "import": true, "roles": user.roles }))
        };
        let changed = |(was, user): &(User, User)| {
            by.audit("user", "user_changed", was.username.as_str(), differences(was, user))
        };
        let entries = created.iter().map(new).chain(updated.iter().map(changed)).collect();
        let updated = updated.into_iter().map(|(_, user)| user).collect();
        self.store.save_users(created, updated, entries).await?;
        self.refresh().await;
        Ok(())
    }

    async fn everybody(&self) -> Result<BTreeMap<Username, User>, AccountError> {
        let (mut everybody, mut after) = (BTreeMap::new(), None);
        loop {
            let page = self.store.users(200, after).await?;
            everybody.extend(page.items.into_iter().map(|user| (user.username.clone(), user)));
            after = page.next;
            if after.is_none() {
                return Ok(everybody);
            }
        }
    }
}

/// Who is there already, and how many administrators would be left.
struct Roll {
    known: BTreeMap<Username, User>,
    admins: usize,
}

impl Roll {
    fn place(&mut self, new: NewUser, by: &Editor) -> Result<Row, String> {
        let Some(was) = self.known.get(&new.username) else {
            return record(new).map(Row::New).map_err(|why| why.to_string());
        };
        let patch = UserPatch {
            name: Some(new.name),
            roles: Some(new.roles),
            wards: Some(new.wards),
            pharmacies: Some(new.pharmacies),
            ..UserPatch::default()
        };
        let user = patched(was, patch).map_err(|why| why.to_string())?;
        if user == *was {
            return Ok(Row::Same);
        }
        may_touch(was, by).map_err(|why| why.to_string())?;
        if is_admin(was) && !is_admin(&user) {
            if self.admins == 1 {
                return Err(AccountError::LastAdmin.to_string());
            }
            self.admins -= 1;
        }
        Ok(Row::Changed { was: was.clone(), user })
    }
}

enum Row {
    New(User),
    Changed { was: User, user: User },
    Same,
}

fn check(row: UserRow, places: &KnownPlaces, by: &Editor) -> Result<NewUser, String> {
    let username: Username = row.username.parse().map_err(|why| format!("{why}"))?;
    let roles = codes::<Role>(&row.roles, |_| true, "role")?;
    may_grant(&roles, by).map_err(|why| why.to_string())?;
    Ok(NewUser {
        username,
        name: row.name,
        roles,
        wards: codes(&row.wards, |ward| places.wards.contains(ward), "ward")?,
        pharmacies: codes(&row.pharmacies, |pharmacy| places.pharmacies.contains(pharmacy), "pharmacy")?,
        password: None,
        must_change_password: true,
    })
}

fn codes<T>(texts: &[String], exists: impl Fn(&T) -> bool, what: &str) -> Result<BTreeSet<T>, String>
where
    T: std::str::FromStr + Ord,
    T::Err: std::fmt::Display,
{
    let mut codes = BTreeSet::new();
    for text in texts.iter().map(|text| text.trim()).filter(|text| !text.is_empty()) {
        let code: T = text.parse().map_err(|why| format!("{why}"))?;
        if !exists(&code) {
            return Err(format!("there is no {what} {text:?}; import it first"));
        }
        codes.insert(code);
    }
    Ok(codes)
}
