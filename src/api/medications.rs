//! Medications (formulary items) and catalogue products on the wire.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::domain::{
    control_class::{ClassSource, Classification},
    quantity::Quantity,
    ticket::Identifier,
};

/// A medication: what wards ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Medication {
    /// The hospital's code.
    pub code: String,
    /// Name with strength and form.
    pub name: String,
    /// Unit of issue.
    pub unit: String,
    /// Null: reviewed, not controlled. `unreviewed`, or a class such as `CII`, `A1`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub control_class: Classification,
    /// Who said so: `directory`, `substance_table`, `person`.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub class_source: Option<ClassSource>,
    /// Can be asked for.
    pub active: bool,
    /// Ingredients with strengths.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Pack units and how many units of issue each holds.
    pub packs: Vec<Pack>,
    /// `high_alert`, `look_alike`, `hazardous`, `refrigerated`, `do_not_tube`.
    pub flags: BTreeSet<String>,
    /// Tall-man name of a look-alike.
    pub tall_man: Option<String>,
    /// Where it lies in the pharmacy.
    pub shelf: Option<String>,
    /// Linked catalogue products.
    pub products: Vec<ProductRef>,
    /// Codes on boxes through which a scan finds it.
    pub scan_codes: Vec<String>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// An active ingredient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Ingredient {
    /// Substance.
    pub name: String,
    /// Strength as printed, such as `5 mg/mL`.
    pub strength: Option<String>,
}

/// A pack unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Pack {
    /// Name: `box`, `carton`, …
    pub unit: String,
    /// Units of issue in one.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "25"))]
    pub factor: Quantity,
}

/// A catalogue product's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct ProductRef {
    /// `fda_ndc` or `anvisa`.
    pub directory: String,
    /// The directory's own key.
    pub key: String,
}

/// A medication to create or to replace whole. Its class and whether it can be asked for have commands of their own: a new one is
/// inactive, with the class that the table of substances says, else `unreviewed`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutMedication {
    /// Name with strength and form.
    #[cfg_attr(feature = "server", schema(example = "Midazolam 5 mg/mL, injection", max_length = 200))]
    pub name: String,
    /// Unit of issue.
    #[cfg_attr(feature = "server", schema(example = "vial", max_length = 40))]
    pub unit: String,
    /// Ingredients with strengths.
    #[serde(default)]
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    #[serde(default)]
    pub dosage_form: Option<String>,
    /// Routes.
    #[serde(default)]
    pub routes: Vec<String>,
    /// Pack units and how many units of issue each holds, more than zero.
    #[serde(default)]
    pub packs: Vec<Pack>,
    /// `high_alert`, `look_alike`, `hazardous`, `refrigerated`, `do_not_tube`.
    #[serde(default)]
    pub flags: BTreeSet<String>,
    /// Tall-man name of a look-alike.
    #[serde(default)]
    pub tall_man: Option<String>,
    /// Where it lies in the pharmacy.
    #[serde(default)]
    pub shelf: Option<String>,
    /// Linked catalogue products.
    #[serde(default)]
    pub products: Vec<ProductRef>,
    /// Codes on boxes through which a scan finds it.
    #[serde(default)]
    pub scan_codes: Vec<String>,
    /// Ids that other systems gave it.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
}

/// States a medication's control class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SetClass {
    /// `none` or a class code.
    pub control_class: String,
    /// Why; kept in the audit.
    pub reason: String,
}

/// Makes medications from catalogue products.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct AdoptRequest {
    /// Words that the products must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// True takes the whole catalogue.
    #[serde(default)]
    pub all: bool,
    /// True changes nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an adoption did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct AdoptReport {
    /// Products looked at.
    pub products: u64,
    /// New medications.
    pub created: u64,
    /// Medications that got more products.
    pub updated: u64,
    /// Medications that were as they should be.
    pub unchanged: u64,
    /// New ones that stay inactive until a person has said their class.
    pub unreviewed: u64,
    /// True where nothing was written.
    pub dry_run: bool,
    /// The first 200 of the new ones.
    pub medications: Vec<Medication>,
}

/// A catalogue product: one maker's product of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Product {
    /// `fda_ndc` or `anvisa`.
    pub directory: String,
    /// The directory's own key.
    pub key: String,
    /// Product code or registration number.
    pub code: String,
    /// Trade name.
    pub name: String,
    /// Nonproprietary name.
    pub nonproprietary_name: Option<String>,
    /// Ingredients with strengths.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Maker or holder.
    pub labeler: Option<String>,
    /// Null, `unreviewed` or a class code.
    #[cfg_attr(feature = "server", schema(value_type = Option<String>))]
    pub control_class: Classification,
    /// `valid` or `lapsed`.
    pub status: String,
    /// Packages, inner ones too.
    pub packages: Vec<Package>,
}

/// A package of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct Package {
    /// Code on the box.
    pub code: String,
    /// What it holds.
    pub description: String,
    /// GTIN-14 derived from the code.
    pub gtin: Option<String>,
    /// True where it lies inside another.
    pub inner: bool,
}
