//! Medications: found by code or by a scanned box, changed by those who may. Nothing becomes active while nobody has said its class.

use serde_json::json;

use super::{
    checks::{self, Invalid},
    reference::{CLASS_EDITORS, ITEM_EDITORS, Reference, ReferenceError, Saved, named, not_found, require},
    scans::{self, Meaning},
};
use crate::{
    api::medications as wire,
    domain::{
        actor::Actor,
        code::MedicationCode,
        control_class::{ClassSource, Classification},
        text::clean,
    },
    server::ports::{Medication, MedicationQuery, Page, ReferenceChanges},
};

/// Longest reason of a change of class, in characters.
const REASON_MAX: usize = 500;

impl Reference {
    /// A page of medications, by code.
    ///
    /// # Errors
    /// The store's.
    pub async fn medications(&self, query: MedicationQuery) -> Result<Page<wire::Medication>, ReferenceError> {
        let page = self.store().medications(query).await?;
        let items = page.items.into_iter().map(Into::into).collect();
        Ok(Page { items, next: page.next, total: page.total })
    }

    /// One medication by its code, or by a code on one of its boxes: a GTIN, an NDC, a registration, a whole scan.
    ///
    /// # Errors
    /// [`ReferenceError::NotFound`], [`ReferenceError::Ambiguous`], or the store's.
    pub async fn medication(&self, code: &str) -> Result<wire::Medication, ReferenceError> {
        match scans::resolve(self.store(), code).await? {
            Meaning::One(found) => Ok((*found).into()),
            Meaning::Nothing => Err(not_found("medication", code)),
            Meaning::Several(medications) => Err(ReferenceError::Ambiguous {
                code: code.chars().take(100).collect(),
                medications: medications.into_iter().map(Into::into).collect(),
            }),
        }
    }

    /// Creates a medication, or replaces all of it but its class and whether it is active.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_medication(
        &self,
        by: &Actor,
        code: &str,
        body: wire::PutMedication,
    ) -> Result<Saved<wire::Medication>, ReferenceError> {
        require(by, ITEM_EDITORS)?;
        let code: MedicationCode = checks::code("code", code)?;
        let _alone = self.exclusive().await;
        let was = self.store().medication(&code).await?;
        let record = checks::medication(code.as_str(), body, was.as_ref())?;
        let changes = ReferenceChanges { medications: vec![record.clone()], ..ReferenceChanges::default() };
        let detail = json!({ "name": record.name, "unit": record.unit });
        self.save(by, ("medication", code.as_str()), was.is_none(), changes, detail).await?;
        Ok(Saved { created: was.is_none(), record: record.into() })
    }

    /// Lets a medication be asked for, or no more.
    ///
    /// # Errors
    /// [`ReferenceError::ClassUnreviewed`], or why else not.
    pub async fn set_active(&self, by: &Actor, code: &str, active: bool) -> Result<wire::Medication, ReferenceError> {
        require(by, ITEM_EDITORS)?;
        let _alone = self.exclusive().await;
        let was = self.stored(code).await?;
        if active && was.classification == Classification::Unreviewed {
            return Err(ReferenceError::ClassUnreviewed(was.code));
        }
        let action = if active { "medication_activated" } else { "medication_deactivated" };
        self.replace(by, action, &was, Medication { active, ..was.clone() }, json!({})).await
    }

    /// States a medication's control class, `none` included.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn set_class(
        &self,
        by: &Actor,
        code: &str,
        body: wire::SetClass,
    ) -> Result<wire::Medication, ReferenceError> {
        require(by, CLASS_EDITORS)?;
        let classification: Classification =
            body.control_class.parse().map_err(|why| Invalid::new("control_class", why))?;
        let reason = clean(&body.reason, REASON_MAX).map_err(|why| Invalid::new("reason", why))?;
        let _alone = self.exclusive().await;
        let was = self.stored(code).await?;
        let detail = json!({ "was": was.classification, "now": classification, "reason": reason });
        let now = Medication { classification, class_source: Some(ClassSource::Person), ..was.clone() };
        self.replace(by, "medication_classified", &was, now, detail).await
    }

    async fn stored(&self, code: &str) -> Result<Medication, ReferenceError> {
        let found = self.store().medication(&named("medication", code)?).await?;
        found.ok_or_else(|| not_found("medication", code))
    }

    /// Writes what changed. The same decision again changes nothing, but a reason that was given is kept.
    async fn replace(
        &self,
        by: &Actor,
        action: &str,
        was: &Medication,
        now: Medication,
        detail: serde_json::Value,
    ) -> Result<wire::Medication, ReferenceError> {
        if now != *was || detail != json!({}) {
            let audit = vec![super::reference::audit(by, action, now.code.as_str(), detail)];
            let changes = ReferenceChanges { medications: vec![now.clone()], audit, ..ReferenceChanges::default() };
            self.store().change_reference(changes).await?;
        }
        Ok(now.into())
    }
}
