//! What reference data may hold: one set of checks for the API and for imports. A check never reads a store.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    api::{medications, places, site as wire},
    domain::{
        control_class::{ClassSource, Classification},
        gtin::Gtin,
        substances,
        text::{REFERENCE_MAX, clean, fold},
        ticket::Identifier,
    },
    server::{
        catalog::Directory,
        ports::{Cabinet, Ingredient, Medication, Pack, ParLevel, Pharmacy, ProductRef, Site, Ward},
    },
};

/// Longest name of a place or medication, in characters.
pub const NAME_MAX: usize = 200;

/// Longest unit, pack unit, strength, shelf or scanned code, in characters.
pub const WORD_MAX: usize = 60;

/// Longest opening hours, dosage form, route, substance or product key, in characters.
pub const LINE_MAX: usize = 300;

/// Most entries of one list of a record: packs, routes, ingredients, identifiers.
pub const LIST_MAX: usize = 100;

/// Most products or scanned codes of one medication.
pub const CODES_MAX: usize = 5_000;

/// What a medication can be marked with.
pub const FLAGS: [&str; 5] = ["high_alert", "look_alike", "hazardous", "refrigerated", "do_not_tube"];

/// A field that does not hold what it may.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// The field, as on the wire: `packs[0].factor`.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Invalid {
    /// A field and what is wrong with it.
    pub fn new(field: impl Into<String>, message: impl fmt::Display) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

/// A record that passed, or the first field that did not.
pub type Checked<T> = Result<T, Invalid>;

/// Checks a pharmacy.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn pharmacy(pharmacy: places::Pharmacy) -> Checked<Pharmacy> {
    Ok(Pharmacy {
        code: code("code", &pharmacy.code)?,
        name: text("name", &pharmacy.name, NAME_MAX)?,
        satellite: pharmacy.satellite,
        hours: optional("hours", pharmacy.hours.as_deref(), LINE_MAX)?,
        active: pharmacy.active,
        identifiers: identifiers(pharmacy.identifiers)?,
    })
}

/// Checks what is said of the hospital.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn site(site: wire::Site) -> Checked<Site> {
    let zone = super::site::zone(&site.time_zone).ok_or_else(|| {
        Invalid::new("time_zone", format_args!("{:?} is not a zone such as America/Sao_Paulo", site.time_zone))
    })?;
    let mut taken = BTreeSet::new();
    if let Some(twice) = site.languages.iter().find(|language| !taken.insert(**language)) {
        return Err(Invalid::new("languages", format_args!("{twice} stands in the list twice")));
    }
    if site.languages.is_empty() {
        return Err(Invalid::new("languages", "it is empty; name what people read, the usual one first"));
    }
    Ok(Site {
        name: text("name", &site.name, NAME_MAX)?,
        time_zone: zone,
        languages: site.languages,
        identifiers: identifiers(site.identifiers)?,
    })
}

/// Checks a ward; that its pharmacy exists is the store's to say.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn ward(ward: places::Ward) -> Checked<Ward> {
    Ok(Ward {
        code: code("code", &ward.code)?,
        name: text("name", &ward.name, NAME_MAX)?,
        pharmacy: code("pharmacy", &ward.pharmacy)?,
        active: ward.active,
        identifiers: identifiers(ward.identifiers)?,
    })
}

/// Checks a cabinet without its par levels; that its ward exists is the store's to say.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn cabinet(cabinet: places::Cabinet) -> Checked<Cabinet> {
    Ok(Cabinet {
        code: code("code", &cabinet.code)?,
        name: text("name", &cabinet.name, NAME_MAX)?,
        ward: code("ward", &cabinet.ward)?,
        active: cabinet.active,
        identifiers: identifiers(cabinet.identifiers)?,
    })
}

/// Checks a par level.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn par_level(level: places::ParLevel) -> Checked<ParLevel> {
    if level.max.is_zero() {
        return Err(Invalid::new("max", "it must be more than 0; remove the par level where nothing is kept"));
    }
    if level.min > level.max {
        return Err(Invalid::new("min", format_args!("it is more than max ({})", level.max)));
    }
    Ok(ParLevel { medication: code("medication", &level.medication)?, min: level.min, max: level.max })
}

/// Checks a medication. Class, activity and grouping are those of the one before, as long as its substances are; a new one
/// is inactive, in the class that the table of substances says, else unreviewed.
///
/// # Errors
/// The first field that does not hold what it may.
pub fn medication(code_text: &str, item: medications::PutMedication, was: Option<&Medication>) -> Checked<Medication> {
    let unit = text("unit", &item.unit, WORD_MAX)?;
    let ingredients = each("ingredients", LIST_MAX, item.ingredients, ingredient)?;
    let (classification, class_source) = match was {
        Some(was) if substances_of(&was.ingredients) == substances_of(&ingredients) => {
            (was.classification, was.class_source)
        }
        Some(was) => class_after_change(was, &ingredients),
        None => class_of(&ingredients),
    };
    Ok(Medication {
        code: code("code", code_text)?,
        name: text("name", &item.name, NAME_MAX)?,
        dosage_form: optional("dosage_form", item.dosage_form.as_deref(), LINE_MAX)?,
        routes: each("routes", LIST_MAX, item.routes, |field, route| text(field, &route, LINE_MAX))?,
        packs: packs(&unit, item.packs)?,
        flags: flags(item.flags)?,
        tall_man: optional("tall_man", item.tall_man.as_deref(), NAME_MAX)?,
        shelf: optional("shelf", item.shelf.as_deref(), WORD_MAX)?,
        products: each("products", CODES_MAX, item.products, product)?,
        scan_codes: scan_codes(item.scan_codes)?,
        identifiers: identifiers(item.identifiers)?,
        active: was.is_some_and(|was| was.active) && classification != Classification::Unreviewed,
        group_key: was.and_then(|was| was.group_key.clone()),
        unit,
        ingredients,
        classification,
        class_source,
    })
}

/// The substances, whatever their order, spelling of case and strengths.
fn substances_of(ingredients: &[Ingredient]) -> BTreeSet<String> {
    ingredients.iter().map(|ingredient| fold(&ingredient.name)).collect()
}

/// The class once the substances are others: what was said of the old ones does not hold for the new. The table never makes
/// it laxer, and where it is silent somebody has to say. A person's word on an item without substances was on the item itself.
fn class_after_change(was: &Medication, ingredients: &[Ingredient]) -> (Classification, Option<ClassSource>) {
    let stands = was.ingredients.is_empty() && was.class_source == Some(ClassSource::Person);
    match class_of(ingredients) {
        (Classification::Controlled(class), source) if Classification::Controlled(class) > was.classification => {
            (Classification::Controlled(class), source)
        }
        (Classification::Controlled(_), _) => (was.classification, was.class_source),
        _ if stands => (was.classification, was.class_source),
        silent => silent,
    }
}

/// The class by the shipped table of substances; no match is no statement.
#[must_use]
pub fn class_of(ingredients: &[Ingredient]) -> (Classification, Option<ClassSource>) {
    let names = ingredients.iter().map(|ingredient| ingredient.name.as_str()).collect::<Vec<_>>().join(" + ");
    match substances::classify(&names) {
        Some(class) => (Classification::Controlled(class), Some(ClassSource::SubstanceTable)),
        None => (Classification::Unreviewed, None),
    }
}

/// A code as scanned, in the form that it is kept and looked for in: a GTIN as its 14 digits, else without blanks and hyphens.
#[must_use]
pub fn scan_code(text: &str) -> String {
    let bare: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').flat_map(char::to_uppercase).collect();
    bare.parse::<Gtin>().map_or(bare, String::from)
}

/// Parses a code.
///
/// # Errors
/// The field, where the text is no code.
pub fn code<T>(field: &str, text: &str) -> Checked<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|why| Invalid::new(field, why))
}

fn text(field: &str, text: &str, max: usize) -> Checked<String> {
    let cleaned = clean(text, max).map_err(|why| Invalid::new(field, why))?;
    match cleaned.contains(['\n', '\r']) {
        true => Err(Invalid::new(field, "it has a line break; write it on one line")),
        false => Ok(cleaned),
    }
}

fn optional(field: &str, given: Option<&str>, max: usize) -> Checked<Option<String>> {
    given.filter(|given| !given.trim().is_empty()).map(|given| text(field, given, max)).transpose()
}

/// Checks every entry of a list.
pub(super) fn each<T, U>(
    field: &str,
    max: usize,
    items: Vec<T>,
    check: impl Fn(&str, T) -> Checked<U>,
) -> Checked<Vec<U>> {
    if items.len() > max {
        return Err(Invalid::new(field, format_args!("it has more than {max} entries")));
    }
    items.into_iter().enumerate().map(|(at, item)| check(&format!("{field}[{at}]"), item)).collect()
}

fn ingredient(field: &str, ingredient: medications::Ingredient) -> Checked<Ingredient> {
    Ok(Ingredient {
        name: text(&format!("{field}.name"), &ingredient.name, LINE_MAX)?,
        strength: optional(&format!("{field}.strength"), ingredient.strength.as_deref(), WORD_MAX)?,
    })
}

fn packs(unit: &str, packs: Vec<medications::Pack>) -> Checked<Vec<Pack>> {
    let mut taken = BTreeSet::from([fold(unit)]);
    each("packs", LIST_MAX, packs, |field, pack| {
        let name = text(&format!("{field}.unit"), &pack.unit, WORD_MAX)?;
        if pack.factor.is_zero() {
            return Err(Invalid::new(format!("{field}.factor"), "a pack holds more than 0 units of issue"));
        }
        Ok(Pack { unit: name, factor: pack.factor })
    })?
    .into_iter()
    .enumerate()
    .map(|(at, pack)| match taken.insert(fold(&pack.unit)) {
        true => Ok(pack),
        false => Err(Invalid::new(
            format!("packs[{at}].unit"),
            format_args!("{:?} is the unit of issue or another pack; give each its own name", pack.unit),
        )),
    })
    .collect()
}

fn flags(flags: BTreeSet<String>) -> Checked<BTreeSet<String>> {
    match flags.iter().find(|flag| !FLAGS.contains(&flag.as_str())) {
        Some(flag) => Err(Invalid::new("flags", format_args!("unknown flag {flag:?}: use {}", FLAGS.join(", ")))),
        None => Ok(flags),
    }
}

fn product(field: &str, product: medications::ProductRef) -> Checked<ProductRef> {
    let directory: Directory =
        product.directory.parse().map_err(|why| Invalid::new(format!("{field}.directory"), why))?;
    Ok(ProductRef {
        directory: directory.as_str().to_owned(),
        key: text(&format!("{field}.key"), &product.key, LINE_MAX)?,
    })
}

fn scan_codes(codes: Vec<String>) -> Checked<Vec<String>> {
    let mut codes = each("scan_codes", CODES_MAX, codes, |field, given| {
        let kept = scan_code(&text(field, &given, WORD_MAX)?);
        match kept.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !kept.is_empty() {
            true => Ok(kept),
            false => Err(Invalid::new(field, "a code on a box is letters and digits, such as a GTIN or an NDC")),
        }
    })?;
    codes.sort();
    codes.dedup();
    Ok(codes)
}

fn identifiers(identifiers: Vec<Identifier>) -> Checked<Vec<Identifier>> {
    let mut taken = BTreeSet::new();
    each("identifiers", LIST_MAX, identifiers, |field, identifier| {
        Ok(Identifier {
            system: text(&format!("{field}.system"), &identifier.system, REFERENCE_MAX)?,
            value: text(&format!("{field}.value"), &identifier.value, REFERENCE_MAX)?,
        })
    })?
    .into_iter()
    .enumerate()
    .map(|(at, it)| match taken.insert((it.system.clone(), it.value.clone())) {
        true => Ok(it),
        false => Err(Invalid::new(format!("identifiers[{at}]"), "it stands in the list twice")),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn item() -> medications::PutMedication {
        medications::PutMedication { name: "Dipirona 500 mg".into(), unit: "tablet".into(), ..Default::default() }
    }

    fn refused(change: impl FnOnce(&mut medications::PutMedication)) -> String {
        let mut item = item();
        change(&mut item);
        medication("DIP-500", item, None).unwrap_err().field
    }

    fn pack(unit: &str, factor: u32) -> medications::Pack {
        medications::Pack { unit: unit.into(), factor: factor.into() }
    }

    #[test]
    fn a_pack_holds_something_and_has_a_name_of_its_own() {
        assert_eq!(refused(|item| item.packs = vec![pack("box", 20), pack("carton", 0)]), "packs[1].factor");
        assert_eq!(refused(|item| item.packs = vec![pack("Tablet", 20)]), "packs[0].unit");
        assert_eq!(refused(|item| item.packs = vec![pack("box", 20), pack("BOX", 30)]), "packs[1].unit");
        let fine = medications::PutMedication { packs: vec![pack("box", 20)], ..item() };
        assert_eq!(medication("dip-500", fine, None).unwrap().code.as_str(), "DIP-500");
    }

    #[test]
    fn fields_are_bounded_and_clean() {
        assert_eq!(refused(|item| item.name = " ".into()), "name");
        assert_eq!(refused(|item| item.name = "x".repeat(201)), "name");
        assert_eq!(refused(|item| item.unit = "a\0".into()), "unit");
        assert_eq!(refused(|item| item.shelf = Some("a\nb".into())), "shelf");
        assert_eq!(refused(|item| item.flags = BTreeSet::from(["explosive".into()])), "flags");
        assert_eq!(refused(|item| item.scan_codes = vec!["(01)".into()]), "scan_codes[0]");
        let elsewhere = medications::ProductRef { directory: "ema".into(), key: "1".into() };
        assert_eq!(refused(|item| item.products = vec![elsewhere]), "products[0].directory");
        assert_eq!(refused(|item| item.routes = vec!["oral".into(); 101]), "routes");
    }

    #[test]
    fn scanned_codes_are_kept_in_one_form() {
        for (given, kept) in [
            ("0409-2308-01", "0409230801"),
            ("304092308014", "00304092308014"),
            ("7891058001155", "07891058001155"),
            ("1832603870012", "1832603870012"),
            ("int 7", "INT7"),
        ] {
            assert_eq!(scan_code(given), kept);
        }
    }

    #[test]
    fn a_par_level_is_more_than_nothing() {
        let level = |min: u32, max: u32| {
            par_level(places::ParLevel { medication: "DIP".into(), min: min.into(), max: max.into() })
        };
        assert!(level(0, 1).is_ok() && level(5, 5).is_ok());
        assert_eq!(level(0, 0).unwrap_err().field, "max");
        assert_eq!(level(6, 5).unwrap_err().field, "min");
    }

    #[test]
    fn a_new_medication_has_the_class_of_its_substances_or_none_yet() {
        let of = |name: &str| {
            let ingredients = vec![medications::Ingredient { name: name.into(), strength: None }];
            let item = medications::PutMedication { ingredients, ..item() };
            medication("X", item, None).unwrap()
        };
        assert_eq!(of("CLORIDRATO DE MIDAZOLAM").classification.as_wire(), Some("B1"));
        let unknown = of("dipirona");
        assert_eq!((unknown.classification, unknown.active), (Classification::Unreviewed, false));
    }

    #[test]
    fn other_substances_are_not_what_the_class_was_said_of() {
        let of = |names: &[&str]| {
            let named = |name: &&str| medications::Ingredient { name: (*name).to_owned(), strength: None };
            medications::PutMedication { ingredients: names.iter().map(named).collect(), ..item() }
        };
        let said = |names: &[&str], class: &str, by: ClassSource| {
            let classification = class.parse().unwrap();
            let item = medication("X", of(names), None).unwrap();
            Medication { classification, class_source: Some(by), active: true, ..item }
        };
        let (list, person) = (ClassSource::Directory, ClassSource::Person);
        for (was, names, class, active) in [
            (said(&["Dipirona", "Cafeína"], "none", list), &["CAFEINA", "dipirona"][..], None, true),
            (said(&["dipirona"], "none", list), &["sulfato de morfina"], Some("A1"), true),
            (said(&["dipirona"], "none", person), &["sulfato de morfina"], Some("A1"), true),
            (said(&["dipirona"], "none", list), &["novidade"], Some("unreviewed"), false),
            (said(&["dipirona"], "none", person), &["novidade"], Some("unreviewed"), false),
            (said(&["sulfato de morfina"], "A1", list), &["midazolam"], Some("A1"), true),
            (said(&["sulfato de morfina"], "A1", list), &["dipirona"], Some("unreviewed"), false),
            (said(&[], "none", person), &["dipirona"], None, true),
            (said(&[], "none", list), &["dipirona"], Some("unreviewed"), false),
        ] {
            let now = medication("X", of(names), Some(&was)).unwrap();
            assert_eq!((now.classification.as_wire(), now.active), (class, active), "{:?} {names:?}", was.ingredients);
        }
    }
}
