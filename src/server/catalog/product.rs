//! A catalogue product, as parsed from a row and as shown. It must never hold what the directory did not say.

use std::{fmt, str::FromStr};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        control_class::{ClassSource, Classification, ControlClass},
        gtin::Gtin,
        text::fold,
    },
    server::{
        hex::hex,
        ports::{Ingredient, ProductRef},
    },
};

/// Who registers products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Directory {
    /// The US FDA's NDC Directory; its key is `PRODUCTID`.
    FdaNdc,
    /// ANVISA's register; its key is the registration number.
    Anvisa,
}

impl Directory {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::FdaNdc => "fda_ndc",
            Self::Anvisa => "anvisa",
        }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown directory {0:?}: use fda_ndc or anvisa")]
pub struct UnknownDirectory(pub String);

impl FromStr for Directory {
    type Err = UnknownDirectory;

    fn from_str(text: &str) -> Result<Self, UnknownDirectory> {
        [Self::FdaNdc, Self::Anvisa]
            .into_iter()
            .find(|directory| directory.as_str() == text)
            .ok_or_else(|| UnknownDirectory(text.to_owned()))
    }
}

/// Whether a product may still be marketed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Registered and marketed.
    Valid,
    /// Cancelled, expired, or past its end of marketing.
    Lapsed,
}

impl Status {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Lapsed => "lapsed",
        }
    }
}

/// What one row of a directory says. Stored as it is; [`Product`] is what readers get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRecord {
    /// Directory.
    pub directory: Directory,
    /// The directory's own key.
    pub key: String,
    /// `PRODUCTNDC` or registration number.
    pub code: String,
    /// Brand name with its suffix, or the generic's name.
    pub name: String,
    /// Name of the substance as the label prints it.
    pub nonproprietary_name: Option<String>,
    /// Active ingredients, in the directory's order.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes, sorted, each once.
    pub routes: Vec<String>,
    /// Who markets it.
    pub labeler: Option<String>,
    /// Marketing category (`ANDA`, `GENÉRICO`, …).
    pub category: Option<String>,
    /// Therapeutic class, where the directory has one in plain words.
    pub therapeutic_class: Option<String>,
    /// Class by this row alone.
    pub classification: Classification,
    /// Who said so.
    pub class_source: ClassSource,
    /// True where the directory itself calls it cancelled or expired.
    pub cancelled: bool,
    /// Marketed since.
    pub start_date: Option<Date>,
    /// Last day of marketing, where it is known.
    pub end_date: Option<Date>,
}

impl ProductRecord {
    /// The grouping of `adopt`: the same substances in the same strengths, form and routes. A product of which a strength
    /// is not known (ANVISA's all, kits) is a group of its own. A strength counts as printed, but for `.5` and `0.5`:
    /// `10 mg/2mL` is a syringe of two millilitres and not a vial of `5 mg/mL`.
    #[must_use]
    pub fn group_key(&self) -> String {
        let known = !self.ingredients.is_empty() && self.ingredients.iter().all(|part| part.strength.is_some());
        if !known {
            return format!("product:{}:{}", self.directory, self.key);
        }
        let mut parts: Vec<String> = self
            .ingredients
            .iter()
            .map(|part| format!("{} {}", fold(&part.name), part.strength.as_deref().unwrap_or_default()))
            .collect();
        parts.sort();
        let form = self.dosage_form.as_deref().map(fold).unwrap_or_default();
        let routes = fold(&self.routes.join(";"));
        let hash = Sha256::digest(format!("{}|{form}|{routes}", parts.join("+")));
        format!("group:{}", hex(&hash[..16]))
    }
}

/// Care as a number that SQL can take the maximum of: 0 not controlled, 1 unreviewed, then the classes by strictness.
pub(super) fn care(classification: Classification) -> i64 {
    match classification {
        Classification::NotControlled => 0,
        Classification::Unreviewed => 1,
        Classification::Controlled(class) => {
            let at = ControlClass::ALL.iter().position(|known| *known == class).expect("ALL holds every class");
            i64::try_from(at).expect("there are few classes") + 2
        }
    }
}

/// The classification of a number by [`care`]; a number that is none is `unreviewed`.
pub(super) fn of_care(care: i64) -> Classification {
    match usize::try_from(care) {
        Ok(0) => Classification::NotControlled,
        Ok(at) if at >= 2 => {
            ControlClass::ALL.get(at - 2).map_or(Classification::Unreviewed, |class| Classification::Controlled(*class))
        }
        _ => Classification::Unreviewed,
    }
}

/// Where a package stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageLevel {
    /// Has a row of its own: what is ordered.
    Outer,
    /// Stands only inside another package's description: what lies in the cabinet.
    Inner,
}

/// A package of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductPackage {
    /// NDC with hyphens.
    pub code: String,
    /// As the directory describes it.
    pub description: String,
    /// The GTIN-14 on the box.
    pub gtin: Gtin,
    /// Outer or inner.
    pub level: PackageLevel,
}

/// A product as readers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Directory.
    pub directory: Directory,
    /// The directory's own key.
    pub key: String,
    /// `PRODUCTNDC` or registration number.
    pub code: String,
    /// Brand name with its suffix, or the generic's name.
    pub name: String,
    /// Name of the substance as the label prints it.
    pub nonproprietary_name: Option<String>,
    /// Active ingredients with strengths where the directory has them.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Who markets it.
    pub labeler: Option<String>,
    /// Marketing category.
    pub category: Option<String>,
    /// Therapeutic class.
    pub therapeutic_class: Option<String>,
    /// Control class: the strictest among the products with the same code.
    #[serde(rename = "control_class")]
    pub classification: Classification,
    /// Who said so.
    pub class_source: ClassSource,
    /// Valid or lapsed, on the day that it was asked for.
    pub status: Status,
    /// Marketed since.
    pub start_date: Option<Date>,
    /// Last day of marketing.
    pub end_date: Option<Date>,
    /// Packages, outer ones first.
    pub packages: Vec<ProductPackage>,
}

impl Product {
    /// A record as of a day, with what other rows say of it.
    pub(super) fn of(
        record: ProductRecord,
        classification: Classification,
        packages: Vec<ProductPackage>,
        today: Date,
    ) -> Self {
        let lapsed = record.cancelled || record.end_date.is_some_and(|end| end < today);
        Self {
            directory: record.directory,
            key: record.key,
            code: record.code,
            name: record.name,
            nonproprietary_name: record.nonproprietary_name,
            ingredients: record.ingredients,
            dosage_form: record.dosage_form,
            routes: record.routes,
            labeler: record.labeler,
            category: record.category,
            therapeutic_class: record.therapeutic_class,
            classification,
            class_source: record.class_source,
            status: if lapsed { Status::Lapsed } else { Status::Valid },
            start_date: record.start_date,
            end_date: record.end_date,
            packages,
        }
    }

    /// How a medication names this product.
    #[must_use]
    pub fn reference(&self) -> ProductRef {
        ProductRef { directory: self.directory.as_str().to_owned(), key: self.key.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn care_orders_as_classifications_do_and_reads_back() {
        let mut all = vec![Classification::NotControlled, Classification::Unreviewed];
        all.extend(ControlClass::ALL.map(Classification::Controlled));
        assert!(all.is_sorted_by_key(|one| care(*one)) && all.is_sorted());
        for one in all {
            assert_eq!(of_care(care(one)), one);
        }
        assert_eq!(of_care(-1), Classification::Unreviewed);
        assert_eq!(of_care(99), Classification::Unreviewed);
    }
}
