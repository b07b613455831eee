//! Rows of the FDA's NDC Directory. A schedule that is not understood makes the row bad: silence there means "not controlled".

use jiff::civil::Date;
use rust_decimal::Decimal;

use super::{
    format::Row,
    packages::PackageRecord,
    product::{Directory, ProductRecord},
};
use crate::{
    domain::{
        control_class::{ClassSource, Classification, ControlClass},
        gtin::Ndc,
    },
    server::ports::Ingredient,
};

/// Reads a row of the product file.
pub(super) fn product(row: &Row<'_>) -> Result<ProductRecord, String> {
    let code = row.needed("PRODUCTNDC")?;
    if !is_product_ndc(&code) {
        return Err(format!("PRODUCTNDC {code:?} is not in 4-4, 5-3 or 5-4 digits"));
    }
    let nonproprietary = row.text("NONPROPRIETARYNAME");
    let brand = [row.get("PROPRIETARYNAME"), row.get("PROPRIETARYNAMESUFFIX")].join(" ").trim().to_owned();
    let name = Some(brand).filter(|brand| !brand.is_empty()).or_else(|| nonproprietary.clone());
    Ok(ProductRecord {
        directory: Directory::FdaNdc,
        key: row.needed("PRODUCTID")?,
        code,
        name: name.ok_or("PROPRIETARYNAME and NONPROPRIETARYNAME are empty")?,
        nonproprietary_name: nonproprietary,
        ingredients: ingredients(row),
        dosage_form: row.text("DOSAGEFORMNAME"),
        routes: routes(row.get("ROUTENAME")),
        labeler: row.text("LABELERNAME"),
        category: row.text("MARKETINGCATEGORYNAME"),
        therapeutic_class: row.text("PHARM_CLASSES"),
        classification: schedule(row.get("DEASCHEDULE"))?,
        class_source: ClassSource::Directory,
        cancelled: false,
        start_date: date(row, "STARTMARKETINGDATE")?,
        end_date: date(row, "ENDMARKETINGDATE")?,
    })
}

/// Reads a row of the package file.
pub(super) fn package(row: &Row<'_>) -> Result<PackageRecord, String> {
    let code = row.needed("NDCPACKAGECODE")?;
    Ok(PackageRecord {
        product_key: row.needed("PRODUCTID")?,
        code: code.parse::<Ndc>().map_err(|error| format!("NDCPACKAGECODE {code:?}: {error}"))?,
        description: row.needed("PACKAGEDESCRIPTION")?,
        start_date: date(row, "STARTMARKETINGDATE")?,
        end_date: date(row, "ENDMARKETINGDATE")?,
        sample: row.get("SAMPLE_PACKAGE").eq_ignore_ascii_case("Y"),
    })
}

fn is_product_ndc(code: &str) -> bool {
    code.split_once('-').is_some_and(|(labeler, product)| {
        matches!((labeler.len(), product.len()), (4, 4) | (5, 3 | 4))
            && labeler.bytes().chain(product.bytes()).all(|byte| byte.is_ascii_digit())
    })
}

/// Blank is a statement: the file has the column and leaves it empty.
fn schedule(text: &str) -> Result<Classification, String> {
    match (text, text.parse()) {
        ("", _) => Ok(Classification::NotControlled),
        (
            _,
            Ok(
                class @ (ControlClass::CI
                | ControlClass::CII
                | ControlClass::CIII
                | ControlClass::CIV
                | ControlClass::CV),
            ),
        ) => Ok(Classification::Controlled(class)),
        _ => Err(format!("DEASCHEDULE {text:?} is none of CI to CV")),
    }
}

fn date(row: &Row<'_>, name: &'static str) -> Result<Option<Date>, String> {
    let text = row.get(name);
    if text.is_empty() {
        return Ok(None);
    }
    let date = (text.len() == 8).then(|| Date::strptime("%Y%m%d", text).ok()).flatten();
    date.map(Some).ok_or_else(|| format!("{name} {text:?} is no date such as 20190131"))
}

fn routes(text: &str) -> Vec<String> {
    let mut routes: Vec<String> = list(text).into_iter().filter(|route| !route.is_empty()).map(str::to_owned).collect();
    routes.sort();
    routes.dedup();
    routes
}

fn list(text: &str) -> Vec<&str> {
    if text.is_empty() { Vec::new() } else { text.split(';').map(str::trim).collect() }
}

/// Substances with their strengths. Where the three lists do not pair up, whose strength is whose is not known: then none is said.
fn ingredients(row: &Row<'_>) -> Vec<Ingredient> {
    let names = list(row.get("SUBSTANCENAME"));
    let amounts = list(row.get("ACTIVE_NUMERATOR_STRENGTH"));
    let units = list(row.get("ACTIVE_INGRED_UNIT"));
    let pairs = names.len() == amounts.len() && names.len() == units.len();
    let strength = |at: usize| pairs.then(|| strength(amounts[at], units[at])).flatten();
    names
        .iter()
        .enumerate()
        .filter(|(_, name)| !name.is_empty())
        .map(|(at, name)| Ingredient { name: (*name).to_owned(), strength: strength(at) })
        .collect()
}

/// A strength as people must read it: `0.5 mg/mL` for `.5` and `mg/mL`, `5 mg` for `5` and `mg/1`, `mcg` for `ug`.
fn strength(amount: &str, unit: &str) -> Option<String> {
    let amount = decimal(amount)?;
    let (above, below) = unit.split_once('/').unwrap_or((unit, "1"));
    let above = unit_name(above);
    let digits = below.len() - below.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
    let (count, below) = below.split_at(digits);
    let count = if count.is_empty() { String::new() } else { decimal(count)? };
    let count = if count == "1" { String::new() } else { count };
    let below = unit_name(below);
    Some(match (above.is_empty(), count.is_empty() && below.is_empty()) {
        (true, true) => amount,
        (true, false) => format!("{amount}/{count}{below}"),
        (false, true) => format!("{amount} {above}"),
        (false, false) => format!("{amount} {above}/{count}{below}"),
    })
}

/// An exact decimal without naked or trailing points.
fn decimal(text: &str) -> Option<String> {
    let text = if text.starts_with('.') { format!("0{text}") } else { text.to_owned() };
    Decimal::from_str_exact(text.trim_end_matches('.')).ok().map(|number| number.normalize().to_string())
}

/// Units in UCUM's ASCII form as people must read them.
fn unit_name(unit: &str) -> String {
    match unit {
        "ug" => "mcg".to_owned(),
        "[iU]" => "units".to_owned(),
        "[USP'U]" => "USP units".to_owned(),
        other => other.replace(['[', ']'], ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strengths_read_as_people_must_read_them() {
        let table = [
            (".5", "mg/mL", "0.5 mg/mL"),
            ("5", "mg/mL", "5 mg/mL"),
            ("10", "mg/2mL", "10 mg/2mL"),
            ("200", "mg/1", "200 mg"),
            ("5.0", "ug/1", "5 mcg"),
            ("5", "mg/.5mL", "5 mg/0.5mL"),
            ("100", "[iU]/mL", "100 units/mL"),
            ("6", "[hp_X]/59mL", "6 hp_X/59mL"),
            ("1", "1/g", "1 1/g"),
        ];
        for (amount, unit, shown) in table {
            assert_eq!(strength(amount, unit).as_deref(), Some(shown), "{amount} {unit}");
        }
        assert_eq!(strength("", ""), None);
        assert_eq!(strength("5 to 10", "mg/1"), None);
    }

    #[test]
    fn a_blank_schedule_is_a_statement_and_a_strange_one_is_an_error() {
        assert_eq!(schedule(""), Ok(Classification::NotControlled));
        assert_eq!(schedule("CII"), Ok(Classification::Controlled(ControlClass::CII)));
        assert!(schedule("A1").is_err());
        assert!(schedule("C-II").is_err());
    }
}
