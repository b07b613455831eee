//! The hospital itself and its routing rules. Both are replaced whole.

use reqwest::Method;

use super::{Client, ClientError, Write, call::Call};
use crate::api::{routing::RoutingRules, site::Site};

impl Client {
    /// The hospital: name, zone, languages, identifiers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn site(&self) -> Result<Site, ClientError> {
        self.fetch(Call::get(self, &["v1", "site"])).await
    }

    /// Replaces what is said of the hospital.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_site(&self, site: &Site, write: &Write) -> Result<Site, ClientError> {
        self.fetch(Call::new(self, Method::PUT, &["v1", "site"]).json(site).write(write)?).await
    }

    /// The rules that choose a new ticket's pharmacy.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn routing_rules(&self) -> Result<RoutingRules, ClientError> {
        self.fetch(Call::get(self, &["v1", "routing-rules"])).await
    }

    /// Replaces the rules.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn put_routing_rules(&self, rules: &RoutingRules, write: &Write) -> Result<RoutingRules, ClientError> {
        self.fetch(Call::new(self, Method::PUT, &["v1", "routing-rules"]).json(rules).write(write)?).await
    }
}
