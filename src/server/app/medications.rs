//! Medications: found by code or by a scanned box, changed by those who may. Nothing becomes active while nobody has said its class.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    checks::{self, Invalid},
    reference::{CLASS_EDITORS, ITEM_EDITORS, Reference, ReferenceError, Saved, named, not_found, require},
};
use crate::{
    api::medications as wire,
    domain::{
        actor::Actor,
        code::MedicationCode,
        control_class::{ClassSource, Classification},
        gtin::{Scan, ndc_forms},
        text::clean,
    },
    server::ports::{Medication, MedicationQuery, Page, ReferenceChanges},
};

/// Longest reason of a change of class, in characters.
const REASON_MAX: usize = 500;

/// Most medications that are looked at for one scanned code.
const SCANNED_MAX: usize = 200;

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
        if let Ok(own) = code.parse::<MedicationCode>()
            && let Some(found) = self.store().medication(&own).await?
        {
            return Ok(found.into());
        }
        let mut found = self.scanned(code).await?;
        // An item that was replaced by another stays linked to its boxes: what can be asked for comes first.
        if found.iter().any(|it| it.active) {
            found.retain(|it| it.active);
        }
        match found.len() {
            0 => Err(not_found("medication", code)),
            1 => Ok(found.remove(0).into()),
            _ => Err(ReferenceError::Ambiguous {
                code: code.chars().take(100).collect(),
                medications: found.into_iter().map(|it| it.code.into()).collect(),
            }),
        }
    }

    async fn scanned(&self, text: &str) -> Result<Vec<Medication>, ReferenceError> {
        let mut found: Vec<Medication> = Vec::new();
        for code in scanned_forms(text) {
            let query = MedicationQuery { text: Some(code.clone()), limit: SCANNED_MAX, ..MedicationQuery::default() };
            let page = self.store().medications(query).await?;
            // The query finds words that begin like the code, too.
            let boxed = page.items.into_iter().filter(|it| it.scan_codes.contains(&code));
            for item in boxed {
                if found.iter().all(|known| known.code != item.code) {
                    found.push(item);
                }
            }
        }
        Ok(found)
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

/// The forms in which a scanned text may be kept among a medication's codes.
fn scanned_forms(text: &str) -> BTreeSet<String> {
    let mut forms: BTreeSet<String> = ndc_forms(text.trim()).into_iter().collect();
    if let Ok(scan) = text.parse::<Scan>() {
        forms.extend(scan.gtin.ndc_digits().map(str::to_owned));
        forms.insert(scan.gtin.into());
        forms.extend(scan.registration);
    }
    let plain: String = text.chars().filter(|c| !matches!(c, '.' | '/')).collect();
    if plain.len() <= checks::WORD_MAX {
        forms.insert(checks::scan_code(&plain));
    }
    forms.remove("");
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_looked_for_in_every_form_that_may_be_kept() {
        let forms = |text: &str| scanned_forms(text).into_iter().collect::<Vec<_>>();
        assert_eq!(forms("00304092308014"), ["00304092308014", "0409230801"]);
        assert_eq!(forms("0409-2308-01"), ["0409230801"]);
        assert_eq!(forms("(01)00304092308014(713)154230123").len(), 4);
        assert_eq!(forms("1.5423.0123"), ["154230123"]);
        assert!(forms("").is_empty());
    }
}
