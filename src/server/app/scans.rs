//! Finds the medication that a code means: the hospital's own, or one on a box. It never guesses: a code found twice is refused.

use crate::{
    domain::{
        code::MedicationCode,
        gtin::{Gtin, Scan, ndc_forms},
        refusal::{Refusal, RefusalCode},
    },
    server::ports::{Medication, MedicationQuery, ReferenceStore, StoreResult},
};

/// The medication's code; a code that nobody knows is left as it is, for the decision to refuse.
///
/// # Errors
/// The store's; within, a refusal at `field` where the text cannot be a medication at all or means several.
pub(crate) async fn medication(
    reference: &dyn ReferenceStore,
    text: &str,
    field: &str,
) -> StoreResult<Result<MedicationCode, Refusal>> {
    let own = text.parse::<MedicationCode>().ok();
    if let Some(code) = &own
        && reference.medication(code).await?.is_some()
    {
        return Ok(Ok(code.clone()));
    }
    let mut found: Vec<MedicationCode> = vec![];
    for code in codes_on_box(text) {
        let query = MedicationQuery { text: Some(code.clone()), limit: 20, ..MedicationQuery::default() };
        let page = reference.medications(query).await?;
        let carriers = page.items.into_iter().filter(|item| carries(item, &code)).map(|item| item.code);
        for carrier in carriers {
            if !found.contains(&carrier) {
                found.push(carrier);
            }
        }
    }
    let refused = |detail: String| Ok(Err(Refusal::new(RefusalCode::UnknownMedication, detail).at(field)));
    match (found.as_slice(), own) {
        ([one], _) => Ok(Ok(one.clone())),
        ([], Some(code)) => Ok(Ok(code)),
        ([], None) => refused("no medication has this code; check it or search for the medication".to_owned()),
        (several, _) => {
            let names = several.iter().map(MedicationCode::as_str).collect::<Vec<_>>().join(", ");
            refused(format!("this code stands on several medications ({names}); name one of them"))
        }
    }
}

/// The codes that a scan may stand for, as they are kept: a GTIN, the NDC in it, a registration, or the text itself.
fn codes_on_box(text: &str) -> Vec<String> {
    let mut codes = vec![];
    let mut add = |code: String| {
        if !code.is_empty() && !codes.contains(&code) {
            codes.push(code);
        }
    };
    if let Ok(scan) = text.parse::<Scan>() {
        add(scan.gtin.to_string());
        scan.gtin.ndc_digits().into_iter().for_each(|ndc| add(ndc.to_owned()));
        scan.registration.into_iter().for_each(&mut add);
    }
    ndc_forms(text).into_iter().for_each(|ndc| add(bare(&ndc)));
    add(bare(text));
    codes
}

fn bare(code: &str) -> String {
    code.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect()
}

fn carries(item: &Medication, code: &str) -> bool {
    let same = |kept: &String| {
        let kept = bare(kept);
        kept == code || kept.parse::<Gtin>().is_ok_and(|gtin| gtin.as_str() == code)
    };
    item.scan_codes.iter().any(same)
}
