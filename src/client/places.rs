//! Pharmacies, wards, cabinets and par levels. A `put` creates or replaces; nothing here deletes a place.

use reqwest::Method;
use serde_json::json;

use super::{
    Client, ClientError, Write,
    call::{Call, Query},
};
use crate::{
    api::{
        List,
        places::{Cabinet, ParLevel, Pharmacy, Ward},
    },
    domain::{quantity::Quantity, ticket::Identifier},
};

/// Which places to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceFilter {
    /// Cabinets of this ward.
    pub ward: Option<String>,
    /// Only the one with this id of another system.
    pub identifier: Option<Identifier>,
    /// At most this many on a page, 200 at most.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl PlaceFilter {
    fn query(&self) -> Query {
        Query::default()
            .some("ward", self.ward.as_ref())
            .identifier(self.identifier.as_ref())
            .some("limit", self.limit)
            .some("cursor", self.cursor.as_ref())
    }
}

macro_rules! places {
    ($collection:literal, $type:ident, $what:literal, $list:ident, $get:ident, $put:ident) => {
        impl Client {
            #[doc = concat!("One page of ", $collection, ".")]
            ///
            /// # Errors
            /// [`ClientError`].
            pub async fn $list(&self, filter: &PlaceFilter) -> Result<List<$type>, ClientError> {
                self.fetch(Call::get(self, &["v1", $collection]).query(&filter.query())).await
            }

            #[doc = concat!("A ", $what, " by its code.")]
            ///
            /// # Errors
            /// [`ClientError`].
            pub async fn $get(&self, code: &str) -> Result<$type, ClientError> {
                self.fetch(Call::get(self, &["v1", $collection, code])).await
            }

            #[doc = concat!("Creates or replaces a ", $what, ".")]
            ///
            /// # Errors
            /// [`ClientError`].
            pub async fn $put(&self, place: &$type, write: &Write) -> Result<$type, ClientError> {
                let call = Call::new(self, Method::PUT, &["v1", $collection, &place.code]);
                self.fetch(call.json(place).write(write)?).await
            }
        }
    };
}
places!("pharmacies", Pharmacy, "pharmacy", pharmacies, pharmacy, put_pharmacy);
places!("wards", Ward, "ward", wards, ward, put_ward);
places!("cabinets", Cabinet, "cabinet", cabinets, cabinet, put_cabinet);

impl Client {
    /// Says how much of a medication a cabinet should hold.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_par_level(
        &self,
        cabinet: &str,
        medication: &str,
        min: Quantity,
        max: Quantity,
        write: &Write,
    ) -> Result<ParLevel, ClientError> {
        let call = Call::new(self, Method::PUT, &["v1", "cabinets", cabinet, "par-levels", medication]);
        self.fetch(call.json(&json!({ "min": min, "max": max })).write(write)?).await
    }

    /// The cabinet does not hold it any more.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_par_level(&self, cabinet: &str, medication: &str, write: &Write) -> Result<(), ClientError> {
        let call = Call::new(self, Method::DELETE, &["v1", "cabinets", cabinet, "par-levels", medication]);
        self.done(call.write(write)?).await
    }
}
