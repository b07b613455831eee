//! The hospital's own list of medications. A class that a pharmacist said outlives every list.
//!
//! Columns: `code`, `name`, `unit`, and as wanted
//! - `control_class`: `none` or a class code. Empty: the class that the shipped table of substances says of the ingredients,
//!   else unreviewed. What a pharmacist set by hand stays, whatever the list says; a list makes no class laxer.
//! - `ingredients`: `MIDAZOLAM 5 mg/mL + FENTANYL 50 mcg/mL`; the strength begins at the first word that begins with a digit.
//! - `dosage_form`, `tall_man`, `shelf`: text.
//! - `routes`, `flags`, `products`, `ndc`, `gtin`: lists separated by `|` or `;`. A product is `DIRECTORY:KEY`, such as
//!   `anvisa:154230123`. A package's NDC or GTIN links the catalogue's product too, where it leads to just one.
//! - `packs`: `box=25;carton=100`, units of issue in each.
//! - `active`: without it a new item is active. One whose class nobody has said stays inactive in any case.
//!
//! A column that the file does not have leaves what is stored; an empty cell clears it. Links that `adopt` made stay.

use super::{
    ImportError, Known, Tally,
    places::said,
    table::{Layout, Row, Table, compare},
};
use crate::{
    api::medications as wire,
    domain::{
        code::MedicationCode,
        control_class::{ClassSource, Classification},
        gtin::{Gtin, ndc_forms},
    },
    server::{
        app::{catalog::kept, checks},
        catalog::CatalogStore,
        ports::{Medication, ProductRef, ReferenceChanges},
    },
};

const LIST: &[char] = &['|', ';'];

pub(super) const MEDICATIONS: Layout = Layout {
    required: &["code", "name", "unit"],
    optional: &[
        "control_class",
        "ingredients",
        "dosage_form",
        "routes",
        "packs",
        "flags",
        "tall_man",
        "shelf",
        "active",
        "products",
        "ndc",
        "gtin",
    ],
};

/// Plans a list of medications.
pub(super) fn medications(
    table: &mut Table,
    known: &Known,
    catalog: &CatalogStore,
    tally: &mut Tally,
) -> Result<ReferenceChanges, ImportError> {
    let rows = table.read_all(tally, |row| medication(row, known, catalog))?;
    let medications = compare(rows, &known.medications, |it| it.code.clone(), tally);
    Ok(ReferenceChanges { medications, ..ReferenceChanges::default() })
}

fn medication(row: &Row<'_>, known: &Known, catalog: &CatalogStore) -> Result<Medication, String> {
    let code: MedicationCode = checks::code("code", row.needed("code")).map_err(said)?;
    let was = known.medications.get(&code);
    let mut item: wire::PutMedication = was.cloned().map(Into::into).unwrap_or_default();
    row.needed("name").clone_into(&mut item.name);
    row.needed("unit").clone_into(&mut item.unit);
    if let Some(cell) = row.cell("ingredients") {
        item.ingredients = cell.split(" + ").filter(|part| !part.trim().is_empty()).map(ingredient).collect();
    }
    item.dosage_form = row.text("dosage_form", item.dosage_form);
    item.tall_man = row.text("tall_man", item.tall_man);
    item.shelf = row.text("shelf", item.shelf);
    item.routes = row.list("routes", LIST).unwrap_or(item.routes);
    if let Some(flags) = row.list("flags", &['|', ';', ' ']) {
        item.flags = flags.into_iter().map(|flag| flag.to_lowercase()).collect();
    }
    if let Some(packs) = row.list("packs", LIST) {
        item.packs = packs.iter().map(|text| pack(text)).collect::<Result<_, _>>()?;
    }
    link(row, catalog, was, &mut item)?;
    let mut medication = checks::medication(code.as_str(), item, was).map_err(said)?;
    classify(row, was, &mut medication)?;
    let stays = was.map(|was| was.active || was.classification == Classification::Unreviewed);
    let wanted = match row.cell("active") {
        Some(cell) if !cell.is_empty() => row.flag("active", None, true)?,
        _ => stays.unwrap_or(true),
    };
    medication.active = wanted && medication.classification != Classification::Unreviewed;
    Ok(medication)
}

fn classify(row: &Row<'_>, was: Option<&Medication>, medication: &mut Medication) -> Result<(), String> {
    let stated = match row.cell("control_class") {
        None => return Ok(()),
        Some(cell) if cell.is_empty() || cell.eq_ignore_ascii_case(Classification::UNREVIEWED) => None,
        Some(cell) => Some(cell.parse::<Classification>().map_err(|why| format!("control_class: {why}"))?),
    };
    if was.is_some_and(|was| was.class_source == Some(ClassSource::Person)) {
        return Ok(());
    }
    let Some(stated) = stated else {
        let table = checks::class_of(&medication.ingredients);
        if table.0 > medication.classification {
            (medication.classification, medication.class_source) = table;
        }
        return Ok(());
    };
    let stored = was.map(|was| was.classification.max(medication.classification));
    if let Some(Classification::Controlled(class)) = stored
        && stated < Classification::Controlled(class)
    {
        return Err(format!(
            "control_class: the medication is in class {class}, and a list makes no class laxer; \
             a pharmacist can, with `medication set-class`"
        ));
    }
    (medication.classification, medication.class_source) = (stated, Some(ClassSource::Directory));
    Ok(())
}

/// The products and codes that a row names, in place of those before unless adoption made links.
fn link(
    row: &Row<'_>,
    catalog: &CatalogStore,
    was: Option<&Medication>,
    item: &mut wire::PutMedication,
) -> Result<(), String> {
    let columns = ["products", "ndc", "gtin"].map(|column| row.list(column, LIST));
    if columns.iter().all(Option::is_none) {
        return Ok(());
    }
    let [named, ndc, gtin] = columns.map(Option::unwrap_or_default);
    let mut links = named.iter().map(|text| product(text)).collect::<Result<Vec<_>, _>>()?;
    let mut codes = Vec::new();
    for text in ndc {
        codes.extend(package_codes(&text)?);
        links.extend(only(catalog, &text)?);
    }
    for text in gtin {
        codes.push(text.parse::<Gtin>().map_err(|why| format!("gtin: {text:?}: {why}"))?.into());
        links.extend(only(catalog, &text)?);
    }
    codes.extend(catalog.scan_codes(&links).map_err(|why| why.to_string())?);
    if was.is_some_and(|was| was.group_key.is_some()) {
        codes.append(&mut item.scan_codes);
        links.splice(..0, item.products.drain(..).map(|link| ProductRef { directory: link.directory, key: link.key }));
    }
    item.scan_codes = kept(codes);
    item.products.clear();
    for link in links.into_iter().map(wire::ProductRef::from) {
        if !item.products.contains(&link) {
            item.products.push(link);
        }
    }
    Ok(())
}

/// The ten digits of a package's NDC and its GTIN.
fn package_codes(text: &str) -> Result<Vec<String>, String> {
    if let Ok(ndc) = text.parse::<crate::domain::gtin::Ndc>() {
        return Ok(vec![ndc.digits(), ndc.gtin().into()]);
    }
    match ndc_forms(text).as_slice() {
        [digits] => Ok(vec![digits.clone()]),
        [] => Err(format!("ndc: {text:?} is no package NDC such as 0409-2308-01")),
        _ => Err(format!("ndc: {text:?} can be read in several ways; write it with hyphens, as on the box")),
    }
}

/// The catalogue's product with a code, where there is one and no other.
fn only(catalog: &CatalogStore, code: &str) -> Result<Option<ProductRef>, String> {
    let mut found = catalog.by_code(code).map_err(|why| why.to_string())?;
    Ok(found.pop().filter(|_| found.is_empty()))
}

fn product(text: &str) -> Result<ProductRef, String> {
    match text.split_once(':') {
        Some((directory, key)) => Ok(ProductRef { directory: directory.trim().to_owned(), key: key.trim().to_owned() }),
        None => Err(format!("products: {text:?} is no product such as anvisa:154230123")),
    }
}

fn pack(text: &str) -> Result<wire::Pack, String> {
    let (unit, factor) = text.split_once('=').ok_or_else(|| format!("packs: {text:?} is no pack such as box=25"))?;
    let factor = super::places::quantity("packs", factor)?;
    Ok(wire::Pack { unit: unit.trim().to_owned(), factor })
}

fn ingredient(text: &str) -> wire::Ingredient {
    let text = text.trim();
    let strength =
        text.match_indices(' ').map(|(at, _)| at).find(|at| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
    match strength {
        Some(at) => wire::Ingredient { name: text[..at].to_owned(), strength: Some(text[at + 1..].to_owned()) },
        None => wire::Ingredient { name: text.to_owned(), strength: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_begin_at_the_first_number() {
        for (text, name, strength) in [
            ("MIDAZOLAM 5 mg/mL", "MIDAZOLAM", Some("5 mg/mL")),
            ("VITAMIN B12 1 mg", "VITAMIN B12", Some("1 mg")),
            ("1,2-PROPANEDIOL", "1,2-PROPANEDIOL", None),
            ("ácido acetilsalicílico 0.5 g", "ácido acetilsalicílico", Some("0.5 g")),
        ] {
            let found = ingredient(text);
            assert_eq!((found.name.as_str(), found.strength.as_deref()), (name, strength));
        }
    }

    #[test]
    fn packs_and_codes_are_refused_where_they_are_none() {
        assert!(pack("box=25").is_ok() && pack("box=1,5").is_ok());
        for bad in ["box", "box=", "box=-1", "box=1.000", "=x"] {
            assert!(pack(bad).is_err(), "{bad}");
        }
        assert_eq!(package_codes("0409-2308-01"), Ok(vec!["0409230801".into(), "00304092308014".into()]));
        assert!(package_codes("00409-2308-01").is_err() && package_codes("0409-2308").is_err());
    }
}
