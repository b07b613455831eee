//! The port of reference data: places and medications. A write is all or nothing.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

use super::{AuditEntry, Page, StoreResult};
use crate::domain::{
    code::{CabinetCode, MedicationCode, PharmacyCode, WardCode},
    control_class::{ClassSource, Classification},
    facts::Policy,
    quantity::Quantity,
    reason::Language,
    routing::RoutingRule,
    ticket::Identifier,
};

/// The hospital itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Name; empty until somebody has said it.
    pub name: String,
    /// Its zone, the same that [`Policy`] has: days end and hours are told by it.
    pub time_zone: TimeZone,
    /// What its people read, the usual one first.
    pub languages: Vec<Language>,
    /// Ids that authorities and other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// A pharmacy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pharmacy {
    /// Code.
    pub code: PharmacyCode,
    /// Name.
    pub name: String,
    /// Satellite of the central pharmacy, or central.
    pub satellite: bool,
    /// Opening hours as people read them.
    pub hours: Option<String>,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// A ward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ward {
    /// Code.
    pub code: WardCode,
    /// Name.
    pub name: String,
    /// Where its tickets go.
    pub pharmacy: PharmacyCode,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// A cabinet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cabinet {
    /// Code.
    pub code: CabinetCode,
    /// Name or place in the ward.
    pub name: String,
    /// The ward it stands in.
    pub ward: WardCode,
    /// Takes tickets.
    pub active: bool,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// How much of a medication a cabinet should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParLevel {
    /// Medication.
    pub medication: MedicationCode,
    /// Refill at or below.
    pub min: Quantity,
    /// Never more.
    pub max: Quantity,
}

/// A formulary item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medication {
    /// The hospital's code.
    pub code: MedicationCode,
    /// Name with strength and form.
    pub name: String,
    /// Ingredients with strengths.
    pub ingredients: Vec<Ingredient>,
    /// Dosage form.
    pub dosage_form: Option<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Unit of issue.
    pub unit: String,
    /// Pack units.
    pub packs: Vec<Pack>,
    /// Control class.
    pub classification: Classification,
    /// Who said so.
    pub class_source: Option<ClassSource>,
    /// Flags: `high_alert`, `look_alike`, `hazardous`, `refrigerated`, `do_not_tube`.
    pub flags: BTreeSet<String>,
    /// Tall-man name of a look-alike.
    pub tall_man: Option<String>,
    /// Where it lies in the pharmacy.
    pub shelf: Option<String>,
    /// Can be asked for.
    pub active: bool,
    /// Keys of linked catalogue products.
    pub products: Vec<ProductRef>,
    /// Codes on boxes (GTIN-14, NDC digits, registration) through which a scan finds it.
    pub scan_codes: Vec<String>,
    /// The grouping that `adopt` made it from.
    pub group_key: Option<String>,
    /// Ids that other systems gave it.
    pub identifiers: Vec<Identifier>,
}

/// An active ingredient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ingredient {
    /// Substance.
    pub name: String,
    /// Strength as printed, such as `5 mg/mL`.
    pub strength: Option<String>,
}

/// A pack unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pack {
    /// Name: `box`, `carton`, …
    pub unit: String,
    /// Units of issue in one, greater than zero.
    pub factor: Quantity,
}

/// A catalogue product's key within its directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProductRef {
    /// `fda_ndc` or `anvisa`.
    pub directory: String,
    /// The directory's own key.
    pub key: String,
}

/// Reference data to write in one transaction: all of it becomes visible together. Existing records are replaced whole.
#[derive(Debug, Clone, Default)]
pub struct ReferenceChanges {
    /// Pharmacies.
    pub pharmacies: Vec<Pharmacy>,
    /// Wards; their pharmacies must exist.
    pub wards: Vec<Ward>,
    /// Cabinets; their wards must exist.
    pub cabinets: Vec<Cabinet>,
    /// Medications.
    pub medications: Vec<Medication>,
    /// Par levels by cabinet; `None` removes one. Cabinets and medications must exist.
    pub par_levels: Vec<(CabinetCode, MedicationCode, Option<ParLevel>)>,
    /// The site, its zone included.
    pub site: Option<Site>,
    /// The routing rules, all of them in their order; their wards and pharmacies must exist.
    pub routing: Option<Vec<RoutingRule>>,
    /// What the audit says of it.
    pub audit: Vec<AuditEntry>,
}

impl ReferenceChanges {
    /// What is written that other systems may know: sort, code and identifiers.
    pub(crate) fn identified(&self) -> impl Iterator<Item = (&'static str, &str, &[Identifier])> {
        let pharmacies = self.pharmacies.iter().map(|it| ("pharmacy", it.code.as_str(), it.identifiers.as_slice()));
        let wards = self.wards.iter().map(|it| ("ward", it.code.as_str(), it.identifiers.as_slice()));
        let cabinets = self.cabinets.iter().map(|it| ("cabinet", it.code.as_str(), it.identifiers.as_slice()));
        let medications = self.medications.iter().map(|it| ("medication", it.code.as_str(), it.identifiers.as_slice()));
        pharmacies.chain(wards).chain(cabinets).chain(medications)
    }
}

/// Which medications to list.
#[derive(Debug, Clone, Default)]
pub struct MedicationQuery {
    /// Words or prefixes of code, name, ingredient; or a scanned code.
    pub text: Option<String>,
    /// Only active or only inactive ones.
    pub active: Option<bool>,
    /// Only unreviewed or only reviewed ones.
    pub unreviewed: Option<bool>,
    /// Only the one with this id of another system.
    pub identifier: Option<Identifier>,
    /// 1 to 200.
    pub limit: usize,
    /// Where the page before ended.
    pub after: Option<String>,
}

/// The answer of a write under an idempotency key, as a retry gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredReply {
    /// Hash of the request that it answers: tells a retry from another request under the same key.
    pub request_hash: [u8; 32],
    /// HTTP status.
    pub status: u16,
    /// Media type of the body.
    pub content_type: Option<String>,
    /// Address of what was created.
    pub location: Option<String>,
    /// The body, byte for byte.
    pub body: Vec<u8>,
    /// When it was given.
    pub at: Timestamp,
}

/// Reads and writes places and medications.
#[async_trait]
pub trait ReferenceStore: Send + Sync {
    /// All pharmacies, by code.
    async fn pharmacies(&self) -> StoreResult<Vec<Pharmacy>>;
    /// All wards, by code.
    async fn wards(&self) -> StoreResult<Vec<Ward>>;
    /// All cabinets, by code.
    async fn cabinets(&self) -> StoreResult<Vec<Cabinet>>;
    /// One cabinet with its par levels, by medication.
    async fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<(Cabinet, Vec<ParLevel>)>>;
    /// One medication.
    async fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>>;
    /// The medications with any of these codes on a box, each once, by code; blanks, hyphens and case of a code do not matter.
    async fn by_scan_codes(&self, codes: &[String]) -> StoreResult<Vec<Medication>>;
    /// A page of medications, by code.
    async fn medications(&self, query: MedicationQuery) -> StoreResult<Page<Medication>>;
    /// Every medication that was adopted from a grouping, by group key: lets `adopt` and imports find what exists.
    async fn all_medications(&self) -> StoreResult<Vec<Medication>>;
    /// Writes all or nothing. A missing reference is [`StoreError::Missing`](super::StoreError::Missing), a taken identifier [`StoreError::Exists`](super::StoreError::Exists).
    async fn change_reference(&self, changes: ReferenceChanges) -> StoreResult<()>;
    /// The site; without a name, in UTC and with every language, until it is written.
    async fn site(&self) -> StoreResult<Site>;
    /// The routing rules, in their order.
    async fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>>;
    /// The site's rules.
    async fn policy(&self) -> StoreResult<Policy>;
    /// The reply that was kept under an id: a hash of caller and idempotency key.
    async fn reply(&self, id: [u8; 32]) -> StoreResult<Option<StoredReply>>;
    /// Keeps a reply for 30 days. One that is kept under this id already stands.
    async fn keep_reply(&self, id: [u8; 32], reply: StoredReply) -> StoreResult<()>;
}
