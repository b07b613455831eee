//! The catalogue's own types as those of the API. It must never leave out what the API promises.

use super::{import, product};
use crate::api::{imports, medications};

impl From<product::Product> for medications::Product {
    fn from(product: product::Product) -> Self {
        let ingredients = product.ingredients.into_iter();
        Self {
            directory: product.directory.as_str().to_owned(),
            key: product.key,
            code: product.code,
            name: product.name,
            nonproprietary_name: product.nonproprietary_name,
            ingredients: ingredients
                .map(|one| medications::Ingredient { name: one.name, strength: one.strength })
                .collect(),
            dosage_form: product.dosage_form,
            routes: product.routes,
            labeler: product.labeler,
            control_class: product.classification,
            status: product.status.as_str().to_owned(),
            packages: product.packages.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<product::ProductPackage> for medications::Package {
    fn from(package: product::ProductPackage) -> Self {
        Self {
            code: package.code,
            description: package.description,
            gtin: Some(package.gtin.into()),
            inner: package.level == product::PackageLevel::Inner,
        }
    }
}

impl From<import::ImportReport> for imports::ImportReport {
    /// Bad rows beyond the named ones are the difference between `bad` and the length of `bad_rows`.
    fn from(report: import::ImportReport) -> Self {
        let bad_rows = report.bad_rows.into_iter();
        Self {
            what: report.what,
            format: report.format.to_string(),
            encoding: report.encoding.to_string(),
            rows: report.rows,
            created: report.created,
            updated: report.updated,
            unchanged: report.unchanged,
            bad: report.bad,
            bad_rows: bad_rows.map(|bad| imports::BadRow { line: bad.line, reason: bad.reason }).collect(),
            dry_run: report.dry_run,
        }
    }
}
