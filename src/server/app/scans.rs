//! Finds the medication that a code means: the hospital's own, or one on a box. It never guesses: a code that means several is refused.

use std::collections::BTreeSet;

use super::checks;
use crate::{
    domain::{
        code::MedicationCode,
        gtin::{Scan, ndc_forms},
        refusal::{Refusal, RefusalCode},
    },
    server::ports::{Medication, ReferenceStore, StoreResult},
};

/// What a code means.
#[derive(Debug)]
pub(crate) enum Meaning {
    /// This medication.
    One(Box<Medication>),
    /// Nothing that is known here.
    Nothing,
    /// Any of these, by their codes.
    Several(Vec<MedicationCode>),
}

/// Reads a code: a medication's own first, else any form in which it may stand on a box.
///
/// # Errors
/// The store's.
pub(crate) async fn resolve(reference: &dyn ReferenceStore, text: &str) -> StoreResult<Meaning> {
    if let Ok(own) = text.parse::<MedicationCode>()
        && let Some(found) = reference.medication(&own).await?
    {
        return Ok(Meaning::One(Box::new(found)));
    }
    let forms: Vec<String> = forms(text).into_iter().collect();
    let mut found = reference.by_scan_codes(&forms).await?;
    // An item that was replaced by another stays linked to its boxes: what can be asked for comes first.
    if found.iter().any(|item| item.active) {
        found.retain(|item| item.active);
    }
    Ok(match found.len() {
        0 => Meaning::Nothing,
        1 => Meaning::One(Box::new(found.remove(0))),
        _ => Meaning::Several(found.into_iter().map(|item| item.code).collect()),
    })
}

/// The medication's code; a code that nobody knows is left as it is, for the decision to refuse.
///
/// # Errors
/// The store's; within, a refusal at `field` where the text cannot be a medication at all or means several.
pub(crate) async fn medication(
    reference: &dyn ReferenceStore,
    text: &str,
    field: &str,
) -> StoreResult<Result<MedicationCode, Refusal>> {
    Ok(match resolve(reference, text).await? {
        Meaning::One(found) => Ok(found.code),
        Meaning::Nothing => text.parse::<MedicationCode>().map_err(|_| {
            let detail = "no medication has this code; check it or search for the medication";
            Refusal::new(RefusalCode::UnknownMedication, detail).at(field)
        }),
        Meaning::Several(codes) => {
            let names = codes.iter().map(MedicationCode::as_str).collect::<Vec<_>>().join(", ");
            let detail = format!("this code is on the boxes of several medications ({names}); name one by its code");
            Err(Refusal::new(RefusalCode::AmbiguousCode, detail).at(field))
        }
    })
}

/// The forms in which a scanned text may be kept among a medication's codes.
fn forms(text: &str) -> BTreeSet<String> {
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
        let forms = |text: &str| forms(text).into_iter().collect::<Vec<_>>();
        assert_eq!(forms("00304092308014"), ["00304092308014", "0409230801"]);
        assert_eq!(forms("0409-2308-01"), ["0409230801"]);
        assert_eq!(forms("(01)00304092308014(713)154230123").len(), 4);
        assert_eq!(forms("1.5423.0123"), ["154230123"]);
        assert!(forms("").is_empty());
    }
}
