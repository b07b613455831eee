//! Pharmacies, wards and cabinets on the wire.

use serde::{Deserialize, Serialize};

use crate::domain::{quantity::Quantity, ticket::Identifier};

/// A pharmacy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Pharmacy {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// True for a satellite.
    #[serde(default)]
    pub satellite: bool,
    /// Opening hours as people read them.
    #[serde(default)]
    pub hours: Option<String>,
    /// Takes tickets.
    #[serde(default = "yes")]
    pub active: bool,
    /// Ids that other systems gave it.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
}

/// A ward.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Ward {
    /// Code.
    pub code: String,
    /// Name.
    pub name: String,
    /// Code of the pharmacy that its tickets go to.
    pub pharmacy: String,
    /// Takes tickets.
    #[serde(default = "yes")]
    pub active: bool,
    /// Ids that other systems gave it.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
}

/// A cabinet; `par_levels` stand only where one cabinet is asked for. Written with them, they replace those before; without, those stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Cabinet {
    /// Code, as scanned.
    pub code: String,
    /// Name or place in the ward.
    pub name: String,
    /// Code of the ward.
    pub ward: String,
    /// Takes tickets.
    #[serde(default = "yes")]
    pub active: bool,
    /// Ids that other systems gave it.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
    /// What it should hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub par_levels: Option<Vec<ParLevel>>,
}

/// How much of a medication a cabinet should hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ParLevel {
    /// Code of the medication.
    pub medication: String,
    /// Refill at or below.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "4"))]
    pub min: Quantity,
    /// Never more.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "20"))]
    pub max: Quantity,
}

/// The numbers of a par level, whose cabinet and medication stand in the address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutParLevel {
    /// Refill at or below.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "4"))]
    pub min: Quantity,
    /// Never more; more than zero and not less than `min`.
    #[cfg_attr(feature = "server", schema(value_type = String, example = "20"))]
    pub max: Quantity,
}

fn yes() -> bool {
    true
}
