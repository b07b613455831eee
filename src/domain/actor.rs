//! Who acts, with the authority that was in force when the command was accepted. Comes from the token and the snapshot, never from a body.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    code::{PharmacyCode, Username, WardCode},
    reason::Role,
};

/// A user's identity for ever; the username may change, this does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

/// A person as tickets and events name them, frozen at that time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The identity that rules compare.
    pub id: UserId,
    /// Login name at that time.
    pub username: Username,
    /// Name as people read it.
    pub name: String,
}

/// Places that somebody may reach: some of them, or all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reach<T: Ord> {
    /// Every place, also later ones.
    All,
    /// These and no others.
    Only(BTreeSet<T>),
}

impl<T: Ord> Reach<T> {
    /// Nowhere.
    #[must_use]
    pub fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    /// True where the place is within reach.
    #[must_use]
    pub fn includes(&self, place: &T) -> bool {
        match self {
            Self::All => true,
            Self::Only(places) => places.contains(place),
        }
    }
}

impl<T: Ord> FromIterator<T> for Reach<T> {
    fn from_iter<I: IntoIterator<Item = T>>(places: I) -> Self {
        Self::Only(places.into_iter().collect())
    }
}

/// Who sends a command, through which client, with which roles and places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The person, or the service account itself where it acts for nobody.
    pub person: Person,
    /// Roles in force.
    pub roles: BTreeSet<Role>,
    /// Wards in force.
    pub wards: Reach<WardCode>,
    /// Pharmacies in force.
    pub pharmacies: Reach<PharmacyCode>,
    /// The OAuth2 client through which the command came.
    pub client_id: String,
    /// True where a service client acts for the person (RFC 8693 `act`; header `X-On-Behalf-Of`).
    pub delegated: bool,
}

impl Actor {
    /// True where one of the roles is held.
    #[must_use]
    pub fn has_any(&self, roles: &[Role]) -> bool {
        roles.iter().any(|role| self.roles.contains(role))
    }
}
