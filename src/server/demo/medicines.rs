//! The demo's medicines: extracts of the directories, imported and adopted as any hospital would. No medicine is made up here.

use std::{collections::BTreeSet, io::Cursor, sync::Arc};

use jiff::Timestamp;
use serde_json::json;

use super::{DemoError, DemoStores, dice::Dice};
use crate::{
    api::medications as wire,
    domain::{
        actor::Actor,
        code::{CabinetCode, MedicationCode},
        control_class::Classification,
        quantity::Quantity,
    },
    server::{
        app::{catalog::Catalog, reference::Reference},
        catalog::{CatalogStore, ImportOptions},
        ports::{AuditEntry, Medication, ParLevel, ReferenceChanges, ReferenceStore},
    },
};

/// Rows of the slices in `tests/data`, byte for byte; `data/README.md` says which.
const EXTRACTS: [&[u8]; 3] = [
    include_bytes!("data/fda-ndc-products.txt"),
    include_bytes!("data/fda-ndc-packages.txt"),
    include_bytes!("data/anvisa-medicamentos.csv"),
];

/// Why the pharmacist says that a medicine of ANVISA's file, which has no class column, is not controlled.
const REVIEW: &str = "Conferido com as listas da Portaria SVS/MS 344/98 vigente: não consta";

/// Items that every cabinet holds, controlled ones among them: the beginning of the name.
const EVERYWHERE: [&str; 14] = [
    "DIPIRONA SÓDICA",
    "Midazolam hydrochloride 5 mg/mL",
    "Ondansetron hydrochloride 2 mg/mL, injection, solution",
    "Furosemide 10 mg/mL",
    "Sodium chloride 900 mg/100mL, injection, solution",
    "Acetaminophen 500 mg",
    "Morphine sulfate 10 mg/mL, injection",
    "Heparin sodium 1000",
    "Ceftriaxone sodium 1 g",
    "Omeprazole 20 mg",
    "Ketorolac tromethamine 30 mg/mL",
    "Fentanyl citrate 50 mcg/mL, injection, solution",
    "Famotidine 20 mg",
    "Diazepam 5 mg/mL",
];

/// Items that stand in this cabinet or that, beside those of every cabinet.
const CABINETS_OF_AN_ITEM: usize = 2;

/// Imports the extracts, adopts everything, and has a pharmacist review what no directory classifies.
pub(super) async fn adopt(stores: &DemoStores, pharmacist: &Actor) -> Result<Vec<Medication>, DemoError> {
    let catalog = Arc::clone(&stores.catalog);
    tokio::task::spawn_blocking(move || import(&catalog)).await.map_err(|_| DemoError::Incomplete)??;
    let reference = Arc::new(Reference::new(stores.store.clone()));
    let all = wire::AdoptRequest { all: true, ..wire::AdoptRequest::default() };
    Catalog::new(Arc::clone(&stores.catalog), Arc::clone(&reference)).adopt(pharmacist, all).await?;
    for item in stores.store.all_medications().await? {
        if item.classification == Classification::Unreviewed {
            let class = wire::SetClass { control_class: Classification::NONE.to_owned(), reason: REVIEW.to_owned() };
            reference.set_class(pharmacist, item.code.as_str(), class).await?;
            reference.set_active(pharmacist, item.code.as_str(), true).await?;
        }
    }
    Ok(stores.store.all_medications().await?)
}

fn import(catalog: &CatalogStore) -> Result<(), DemoError> {
    for extract in EXTRACTS {
        catalog.import(Cursor::new(extract), ImportOptions::default(), |_| ())?;
    }
    Ok(())
}

/// Gives every cabinet its par levels: what is needed everywhere, and a share of the rest.
pub(super) async fn stock(
    reference: &dyn ReferenceStore,
    medications: &[Medication],
    cabinets: &[CabinetCode],
    by: &Actor,
) -> Result<(), DemoError> {
    let mut dice = Dice::new(0x7061_725f);
    let mut held: BTreeSet<(&CabinetCode, &MedicationCode)> = BTreeSet::new();
    let mut next = 0;
    for item in medications {
        if EVERYWHERE.iter().any(|name| item.name.starts_with(name)) {
            held.extend(cabinets.iter().map(|cabinet| (cabinet, &item.code)));
        }
        // Dealt out in turn, so that no cabinet goes short.
        for _ in 0..CABINETS_OF_AN_ITEM {
            held.extend(cabinets.get(next % cabinets.len().max(1)).map(|cabinet| (cabinet, &item.code)));
            next += 1;
        }
    }
    let mut changes = ReferenceChanges { audit: vec![audit(by, held.len())], ..ReferenceChanges::default() };
    for (cabinet, medication) in held {
        let max = dice.between(2, 10) * 5;
        let level = ParLevel { medication: medication.clone(), min: Quantity::from(max / 4), max: Quantity::from(max) };
        changes.par_levels.push((cabinet.clone(), medication.clone(), Some(level)));
    }
    Ok(reference.change_reference(changes).await?)
}

fn audit(by: &Actor, levels: usize) -> AuditEntry {
    AuditEntry {
        at: Timestamp::now(),
        kind: "reference".to_owned(),
        action: "par_levels_imported".to_owned(),
        actor: Some(by.person.username.to_string()),
        subject: Some("demo".to_owned()),
        detail: json!({ "par_levels": levels }),
    }
}
