//! Pharmacies, wards, cabinets and par levels: who may change them and what they may hold. Names no HTTP status.

use std::{collections::BTreeSet, fmt::Display, sync::Arc};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use super::checks::{self, Checked, Invalid};
use crate::{
    api::places,
    domain::{
        actor::Actor,
        code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
        reason::Role,
        ticket::Identifier,
    },
    server::ports::{AuditEntry, Page, ParLevel, ReferenceChanges, ReferenceStore, StoreError},
};

/// Who may change places.
pub const PLACE_EDITORS: &[Role] = &[Role::Admin];

/// Who may change par levels, medications and the catalogue.
pub const ITEM_EDITORS: &[Role] = &[Role::Admin, Role::Pharmacist];

/// Who may say a control class.
pub const CLASS_EDITORS: &[Role] = &[Role::Pharmacist];

/// Why reference data was not read or changed. The texts are safe to show, but for the store's.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    /// Not one of these roles.
    #[error("this needs the role {}", .0.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" or "))]
    RoleRequired(&'static [Role]),
    /// Nothing of that code.
    #[error("there is no {what} {key:?}")]
    NotFound {
        /// What sort of thing.
        what: &'static str,
        /// As asked for.
        key: String,
    },
    /// The request itself makes no sense, whatever is stored.
    #[error("{0}")]
    Malformed(Invalid),
    /// A field does not hold what it may.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// A scanned code that several medications have.
    #[error("{code:?} is on the boxes of several medications: {}; name one by its code", .medications.join(", "))]
    Ambiguous {
        /// As scanned.
        code: String,
        /// Codes of the medications.
        medications: Vec<String>,
    },
    /// Nobody has said the class, so it cannot be asked for.
    #[error("nobody has said the control class of {0}; a pharmacist says it first, `none` included")]
    ClassUnreviewed(MedicationCode),
    /// The store refused or did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A record as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved<T> {
    /// It did not exist before.
    pub created: bool,
    /// As it is now.
    pub record: T,
}

/// Reference data of one node.
pub struct Reference {
    store: Arc<dyn ReferenceStore>,
    /// Held from reading what a change starts from until it is written, so that no two changes of this node cross.
    changes: Mutex<()>,
}

impl Reference {
    /// Over a store.
    #[must_use]
    pub fn new(store: Arc<dyn ReferenceStore>) -> Self {
        Self { store, changes: Mutex::new(()) }
    }

    /// The store, for reading.
    #[must_use]
    pub fn store(&self) -> &dyn ReferenceStore {
        self.store.as_ref()
    }

    /// Keeps other changes out until it is dropped.
    pub(super) async fn exclusive(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().await
    }

    /// A page of pharmacies, by code.
    ///
    /// # Errors
    /// The store's.
    pub async fn pharmacies(&self, page: &PageOf) -> Result<Page<places::Pharmacy>, ReferenceError> {
        let mut pharmacies = self.store.pharmacies().await?;
        pharmacies.retain(|it| page.wants(&it.identifiers));
        Ok(page.cut(pharmacies, |it| it.code.as_str()))
    }

    /// A page of wards, by code.
    ///
    /// # Errors
    /// The store's.
    pub async fn wards(&self, page: &PageOf) -> Result<Page<places::Ward>, ReferenceError> {
        let mut wards = self.store.wards().await?;
        wards.retain(|it| page.wants(&it.identifiers));
        Ok(page.cut(wards, |it| it.code.as_str()))
    }

    /// A page of cabinets, of a ward or all, by code.
    ///
    /// # Errors
    /// The store's.
    pub async fn cabinets(
        &self,
        ward: Option<&WardCode>,
        page: &PageOf,
    ) -> Result<Page<places::Cabinet>, ReferenceError> {
        let mut cabinets = self.store.cabinets().await?;
        cabinets.retain(|it| ward.is_none_or(|ward| it.ward == *ward) && page.wants(&it.identifiers));
        Ok(page.cut(cabinets, |it| it.code.as_str()))
    }

    /// One pharmacy.
    ///
    /// # Errors
    /// [`ReferenceError::NotFound`], or the store's.
    pub async fn pharmacy(&self, code: &str) -> Result<places::Pharmacy, ReferenceError> {
        let wanted = named::<PharmacyCode>("pharmacy", code)?;
        let found = self.store.pharmacies().await?.into_iter().find(|it| it.code == wanted);
        found.map(Into::into).ok_or_else(|| not_found("pharmacy", code))
    }

    /// One ward.
    ///
    /// # Errors
    /// [`ReferenceError::NotFound`], or the store's.
    pub async fn ward(&self, code: &str) -> Result<places::Ward, ReferenceError> {
        let wanted = named::<WardCode>("ward", code)?;
        let found = self.store.wards().await?.into_iter().find(|it| it.code == wanted);
        found.map(Into::into).ok_or_else(|| not_found("ward", code))
    }

    /// One cabinet with its par levels.
    ///
    /// # Errors
    /// [`ReferenceError::NotFound`], or the store's.
    pub async fn cabinet(&self, code: &str) -> Result<places::Cabinet, ReferenceError> {
        let found = self.store.cabinet(&named("cabinet", code)?).await?;
        found.map(Into::into).ok_or_else(|| not_found("cabinet", code))
    }

    /// Creates a pharmacy or replaces it whole.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_pharmacy(
        &self,
        by: &Actor,
        code: &str,
        body: places::Pharmacy,
    ) -> Result<Saved<places::Pharmacy>, ReferenceError> {
        require(by, PLACE_EDITORS)?;
        same_code::<PharmacyCode>(code, &body.code)?;
        let record = checks::pharmacy(body)?;
        let _alone = self.exclusive().await;
        let created = self.store.pharmacies().await?.iter().all(|it| it.code != record.code);
        let changes = ReferenceChanges { pharmacies: vec![record.clone()], ..ReferenceChanges::default() };
        self.save(by, ("pharmacy", record.code.as_str()), created, changes, json!({})).await?;
        Ok(Saved { created, record: record.into() })
    }

    /// Creates a ward or replaces it whole.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_ward(
        &self,
        by: &Actor,
        code: &str,
        body: places::Ward,
    ) -> Result<Saved<places::Ward>, ReferenceError> {
        require(by, PLACE_EDITORS)?;
        same_code::<WardCode>(code, &body.code)?;
        let record = checks::ward(body)?;
        let _alone = self.exclusive().await;
        let created = self.store.wards().await?.iter().all(|it| it.code != record.code);
        let changes = ReferenceChanges { wards: vec![record.clone()], ..ReferenceChanges::default() };
        let detail = json!({ "pharmacy": record.pharmacy, "active": record.active });
        self.save(by, ("ward", record.code.as_str()), created, changes, detail).await?;
        Ok(Saved { created, record: record.into() })
    }

    /// Creates a cabinet or replaces it whole; its par levels too, where the body has them.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_cabinet(
        &self,
        by: &Actor,
        code: &str,
        mut body: places::Cabinet,
    ) -> Result<Saved<places::Cabinet>, ReferenceError> {
        require(by, PLACE_EDITORS)?;
        same_code::<CabinetCode>(code, &body.code)?;
        let levels = body.par_levels.take().map(par_levels).transpose()?;
        let record = checks::cabinet(body)?;
        let _alone = self.exclusive().await;
        let before = self.store.cabinet(&record.code).await?;
        let mut changes = ReferenceChanges { cabinets: vec![record.clone()], ..ReferenceChanges::default() };
        if let Some(levels) = &levels {
            let old = before.iter().flat_map(|(_, old)| old).map(|level| (level.medication.clone(), None));
            let new = levels.iter().map(|level| (level.medication.clone(), Some(level.clone())));
            changes.par_levels =
                old.chain(new).map(|(medication, level)| (record.code.clone(), medication, level)).collect();
        }
        let detail = json!({ "ward": record.ward, "active": record.active, "par_levels": levels });
        self.save(by, ("cabinet", record.code.as_str()), before.is_none(), changes, detail).await?;
        let mut now = levels.unwrap_or_else(|| before.clone().map(|(_, old)| old).unwrap_or_default());
        now.sort_by(|a, b| a.medication.cmp(&b.medication));
        Ok(Saved { created: before.is_none(), record: (record, now).into() })
    }

    /// Sets how much of a medication a cabinet should hold.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_par_level(
        &self,
        by: &Actor,
        cabinet: &str,
        medication: &str,
        body: places::PutParLevel,
    ) -> Result<Saved<places::ParLevel>, ReferenceError> {
        require(by, ITEM_EDITORS)?;
        let cabinet: CabinetCode = named("cabinet", cabinet)?;
        let level =
            checks::par_level(places::ParLevel { medication: medication.to_owned(), min: body.min, max: body.max })?;
        let _alone = self.exclusive().await;
        let was = self.level(&cabinet, &level.medication).await?;
        let change = vec![(cabinet.clone(), level.medication.clone(), Some(level.clone()))];
        let changes = ReferenceChanges { par_levels: change, ..ReferenceChanges::default() };
        let detail = json!({ "was": was, "now": level });
        self.save(by, ("par_level", cabinet.as_str()), was.is_none(), changes, detail).await?;
        Ok(Saved { created: was.is_none(), record: level.into() })
    }

    /// Says that a cabinet keeps a medication no more.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn delete_par_level(&self, by: &Actor, cabinet: &str, medication: &str) -> Result<(), ReferenceError> {
        require(by, ITEM_EDITORS)?;
        let cabinet: CabinetCode = named("cabinet", cabinet)?;
        let medication: MedicationCode = named("par_level", medication)?;
        let _alone = self.exclusive().await;
        let was = self.level(&cabinet, &medication).await?;
        let was = was.ok_or_else(|| not_found("par_level", medication.as_str()))?;
        let audit = vec![audit(by, "par_level_removed", cabinet.as_str(), json!({ "was": was }))];
        let par_levels = vec![(cabinet, medication, None)];
        Ok(self.store.change_reference(ReferenceChanges { par_levels, audit, ..ReferenceChanges::default() }).await?)
    }

    async fn level(
        &self,
        cabinet: &CabinetCode,
        medication: &MedicationCode,
    ) -> Result<Option<ParLevel>, ReferenceError> {
        let found = self.store.cabinet(cabinet).await?;
        let (_, levels) = found.ok_or_else(|| not_found("cabinet", cabinet.as_str()))?;
        Ok(levels.into_iter().find(|level| level.medication == *medication))
    }

    /// Writes a change of one record with its line of the audit.
    pub(super) async fn save(
        &self,
        by: &Actor,
        (what, code): (&str, &str),
        created: bool,
        mut changes: ReferenceChanges,
        detail: Value,
    ) -> Result<(), ReferenceError> {
        let action = format!("{what}_{}", if created { "created" } else { "changed" });
        changes.audit.push(audit(by, &action, code, detail));
        Ok(self.store.change_reference(changes).await?)
    }
}

/// Passes where one of the roles is held.
pub(super) fn require(by: &Actor, roles: &'static [Role]) -> Result<(), ReferenceError> {
    if by.has_any(roles) { Ok(()) } else { Err(ReferenceError::RoleRequired(roles)) }
}

/// A line of the audit about reference data.
pub(super) fn audit(by: &Actor, action: &str, subject: &str, detail: Value) -> AuditEntry {
    AuditEntry {
        at: Timestamp::now(),
        kind: "reference".to_owned(),
        action: action.to_owned(),
        actor: Some(by.person.username.to_string()),
        subject: Some(subject.to_owned()),
        detail,
    }
}

/// Nothing of that code.
pub(super) fn not_found(what: &'static str, key: &str) -> ReferenceError {
    ReferenceError::NotFound { what, key: key.chars().take(100).collect() }
}

/// A code in an address: what is no code names nothing.
pub(super) fn named<T: std::str::FromStr>(what: &'static str, code: &str) -> Result<T, ReferenceError> {
    code.parse().map_err(|_| not_found(what, code))
}

/// The code in the address, which a body that names one must agree with.
fn same_code<T>(address: &str, body: &str) -> Result<T, ReferenceError>
where
    T: std::str::FromStr<Err: Display> + PartialEq,
{
    let code: T = checks::code("code", address)?;
    match checks::code::<T>("code", body)? == code {
        true => Ok(code),
        false => Err(Invalid::new("code", format_args!("it is {body:?} here and {address:?} in the address")).into()),
    }
}

fn par_levels(levels: Vec<places::ParLevel>) -> Checked<Vec<ParLevel>> {
    let mut taken = BTreeSet::new();
    let check = |(at, level)| {
        let place = |invalid: Invalid| Invalid { field: format!("par_levels[{at}].{}", invalid.field), ..invalid };
        let level = checks::par_level(level).map_err(place)?;
        match taken.insert(level.medication.clone()) {
            true => Ok(level),
            false => Err(Invalid::new(format!("par_levels[{at}].medication"), "it stands in the list twice")),
        }
    };
    levels.into_iter().enumerate().map(check).collect()
}

/// Which part of a list to show.
#[derive(Debug, Clone)]
pub struct PageOf {
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Only what has this id of another system.
    pub identifier: Option<Identifier>,
}

impl PageOf {
    fn wants(&self, identifiers: &[Identifier]) -> bool {
        self.identifier.as_ref().is_none_or(|wanted| identifiers.contains(wanted))
    }

    /// The page of records that are sorted by code.
    fn cut<T, U: From<T>>(&self, records: Vec<T>, code: impl Fn(&T) -> &str) -> Page<U> {
        let total = Some(records.len() as u64);
        let after = self.after.as_deref().unwrap_or_default();
        let mut rest = records.into_iter().filter(|record| code(record) > after);
        let items: Vec<T> = rest.by_ref().take(self.limit).collect();
        let last = items.last().map(|record| code(record).to_owned());
        let next = last.filter(|_| rest.next().is_some());
        Page { items: items.into_iter().map(Into::into).collect(), next, total }
    }
}
