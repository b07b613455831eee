//! Medications and the catalogue that they are made from. What a class is, a person says; the client guesses nothing.

use reqwest::Method;

use super::{
    Client, ClientError, Write,
    call::{Call, Query},
};
use crate::{
    api::{
        List,
        medications::{AdoptReport, AdoptRequest, Medication, Product, SetClass},
        tickets::Nothing,
    },
    domain::ticket::Identifier,
};

/// Which medications to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MedicationFilter {
    /// Words in code, name or ingredients; a scanned code.
    pub q: Option<String>,
    /// Only those that can be asked for, or only the others.
    pub active: Option<bool>,
    /// Only the one with this id of another system.
    pub identifier: Option<Identifier>,
    /// At most this many on a page, 200 at most.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

/// Which catalogue products to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogFilter {
    /// Words, or a code on a box.
    pub q: Option<String>,
    /// At most this many on a page, 200 at most.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl Client {
    /// One page of medications.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn medications(&self, filter: &MedicationFilter) -> Result<List<Medication>, ClientError> {
        let query = Query::default()
            .some("q", filter.q.as_ref())
            .some("active", filter.active)
            .identifier(filter.identifier.as_ref())
            .some("limit", filter.limit)
            .some("cursor", filter.cursor.as_ref());
        self.fetch(Call::get(self, &["v1", "medications"]).query(&query)).await
    }

    /// A medication by its code.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn medication(&self, code: &str) -> Result<Medication, ClientError> {
        self.fetch(Call::get(self, &["v1", "medications", code])).await
    }

    /// It can be asked for from now on, or no more.
    ///
    /// # Errors
    /// [`ClientError`]; an item whose class nobody has said cannot be activated.
    pub async fn set_medication_active(
        &self,
        code: &str,
        active: bool,
        write: &Write,
    ) -> Result<Medication, ClientError> {
        let verb = if active { "activate" } else { "deactivate" };
        let call = Call::new(self, Method::POST, &["v1", "medications", code, verb]);
        self.fetch(call.json(&Nothing {}).write(write)?).await
    }

    /// States its control class, `none` included.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn set_medication_class(
        &self,
        code: &str,
        class: &SetClass,
        write: &Write,
    ) -> Result<Medication, ClientError> {
        let call = Call::new(self, Method::PUT, &["v1", "medications", code, "class"]);
        self.fetch(call.json(class).write(write)?).await
    }

    /// Makes medications from catalogue products.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn adopt(&self, request: &AdoptRequest, write: &Write) -> Result<AdoptReport, ClientError> {
        self.fetch(Call::new(self, Method::POST, &["v1", "medications", "adopt"]).patient().json(request).write(write)?)
            .await
    }

    /// One page of catalogue products.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn catalog(&self, filter: &CatalogFilter) -> Result<List<Product>, ClientError> {
        let query = Query::default()
            .some("q", filter.q.as_ref())
            .some("limit", filter.limit)
            .some("cursor", filter.cursor.as_ref());
        self.fetch(Call::get(self, &["v1", "catalog"]).query(&query)).await
    }
}
