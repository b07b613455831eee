//! Packages and the packages inside them. The code of an inner one stands only in its outer's description, and is what lies in the cabinet.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::product::{PackageLevel, ProductPackage};
use crate::domain::gtin::Ndc;

/// What one row of the package file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageRecord {
    /// The product's key; its row may come later, or never: then the package waits and nothing shows it.
    pub product_key: String,
    /// The code on the outer box.
    pub code: Ndc,
    /// As printed, such as `1 VIAL in 1 CARTON (0002-0800-01) > 10 mL in 1 VIAL`.
    pub description: String,
    /// Marketed since.
    pub start_date: Option<Date>,
    /// Last day of marketing.
    pub end_date: Option<Date>,
    /// Given away, not sold.
    pub sample: bool,
}

/// The stored form of a package's particulars; what of it changes is an update.
#[derive(Serialize, Deserialize)]
pub(super) struct PackageBody<'a> {
    #[serde(borrow)]
    pub(super) description: std::borrow::Cow<'a, str>,
    pub(super) start_date: Option<Date>,
    pub(super) end_date: Option<Date>,
    pub(super) sample: bool,
}

impl PackageRecord {
    /// Codes inside the description other than the package's own, each once, with the level that carries it.
    #[must_use]
    pub fn inner(&self) -> Vec<(Ndc, String)> {
        let mut found: Vec<(Ndc, String)> = Vec::new();
        for level in levels(&self.description) {
            let Some(code) = code_of(level) else { continue };
            if code != self.code && found.iter().all(|(known, _)| *known != code) {
                found.push((code, level.to_owned()));
            }
        }
        found
    }
}

/// Levels of a description: `>` leads inwards, `*` to the next part of a kit.
fn levels(description: &str) -> impl Iterator<Item = &str> {
    description.split(" > ").flat_map(|level| level.split(" * ")).map(str::trim).filter(|level| !level.is_empty())
}

/// The code in parentheses at a level's end.
fn code_of(level: &str) -> Option<Ndc> {
    level.rsplit_once('(').and_then(|(_, rest)| rest.split_once(')')).and_then(|(code, _)| code.trim().parse().ok())
}

/// The innermost container of a description (`VIAL, SINGLE-DOSE`), the unit that is handed out.
#[must_use]
pub fn innermost_container(description: &str) -> Option<&str> {
    let last = levels(description).last()?;
    let (_, container) = last.rsplit_once(" in 1 ")?;
    let container = container.split('(').next().unwrap_or(container).trim();
    Some(container).filter(|container| !container.is_empty())
}

/// A package as readers see it.
pub(super) fn shown(code: &Ndc, description: String, level: PackageLevel) -> ProductPackage {
    ProductPackage { code: code.to_string(), description, gtin: code.gtin(), level }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn package(code: &str, description: &str) -> PackageRecord {
        let code = code.parse().unwrap();
        let description = description.to_owned();
        PackageRecord { product_key: "k".into(), code, description, start_date: None, end_date: None, sample: false }
    }

    #[test]
    fn inner_codes_are_found_at_every_level_and_in_kits() {
        let nested = package(
            "0006-3800-18",
            "6 CONTAINER in 1 CARTON (0006-3800-18) > 3 POUCH in 1 CONTAINER > 1 BLISTER PACK in 1 POUCH (0006-3800-01) > 1 TABLET, ORALLY DISINTEGRATING in 1 BLISTER PACK",
        );
        let found = nested.inner();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0.to_string(), "0006-3800-01");
        assert_eq!(found[0].1, "1 BLISTER PACK in 1 POUCH (0006-3800-01)");
        let kit = package(
            "0009-7199-01",
            "1 KIT in 1 CARTON (0009-7199-01) * 1 mL in 1 VIAL, SINGLE-DOSE (0009-5201-02) * 1 mL in 1 SYRINGE (0009-5936-01)",
        );
        let codes: Vec<String> = kit.inner().iter().map(|(code, _)| code.to_string()).collect();
        assert_eq!(codes, ["0009-5201-02", "0009-5936-01"]);
        assert!(package("0002-0800-01", "10 mL in 1 VIAL (0002-0800-01)").inner().is_empty());
    }

    #[test]
    fn the_innermost_container_is_what_is_handed_out() {
        let table = [
            ("1 VIAL in 1 CARTON (0002-0800-01) > 10 mL in 1 VIAL", Some("VIAL")),
            (
                "25 VIAL, SINGLE-DOSE in 1 TRAY (1-1-1) > 2 mL in 1 VIAL, SINGLE-DOSE (0641-6056-01)",
                Some("VIAL, SINGLE-DOSE"),
            ),
            ("60 TABLET in 1 BOTTLE (0006-5370-03)", Some("BOTTLE")),
            ("free text", None),
        ];
        for (description, container) in table {
            assert_eq!(innermost_container(description), container);
        }
    }
}
