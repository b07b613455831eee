//! The hospital itself on the wire.

use serde::{Deserialize, Serialize};

use crate::domain::{reason::Language, ticket::Identifier};

/// The hospital.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Name; empty until an administrator has said it.
    pub name: String,
    /// Its zone by its IANA name: lots expire with its days, routing rules follow its hours, and displays show times in it.
    pub time_zone: String,
    /// Languages that its people read, the usual one first.
    #[serde(default = "every_language")]
    pub languages: Vec<Language>,
    /// Ids that authorities and other systems gave it, such as CNES, CNPJ or a DEA number.
    #[serde(default)]
    pub identifiers: Vec<Identifier>,
}

fn every_language() -> Vec<Language> {
    Language::ALL.to_vec()
}
