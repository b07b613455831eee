//! Routing rules on the wire.

use serde::{Deserialize, Serialize};

use crate::domain::reason::Kind;

/// The rules that choose a new ticket's pharmacy: the first that fits, else the ward's own pharmacy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoutingRules {
    /// In their order, 100 at most.
    pub rules: Vec<RoutingRule>,
}

/// A rule; what it leaves out it does not ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RoutingRule {
    /// Codes of wards: any of them.
    #[serde(default)]
    pub wards: Vec<String>,
    /// Any of these kinds.
    #[serde(default)]
    pub kinds: Vec<Kind>,
    /// Where at least one medication is in any of these: classes such as `A1` or `CII`, or `controlled` for any class.
    #[serde(default)]
    pub control_classes: Vec<String>,
    /// From this time of day in the site's zone, `HH:MM`; midnight where only `until` is given.
    #[serde(default)]
    pub from: Option<String>,
    /// Until just before this time of day; before `from` where it goes over midnight, midnight where only `from` is given.
    #[serde(default)]
    pub until: Option<String>,
    /// Code of the pharmacy that then gets the ticket. As long as it takes no tickets the rule is passed over.
    pub pharmacy: String,
}
