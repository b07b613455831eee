//! The hospital itself: who may change what is said of it. Names no HTTP status.

use jiff::tz::TimeZone;
use serde_json::json;

use super::{
    checks,
    reference::{PLACE_EDITORS, Reference, ReferenceError, audit, require},
};
use crate::{
    api::site as wire,
    domain::actor::Actor,
    server::ports::{ReferenceChanges, Site},
};

impl Reference {
    /// The hospital.
    ///
    /// # Errors
    /// The store's.
    pub async fn site(&self) -> Result<wire::Site, ReferenceError> {
        Ok(self.store().site().await?.into())
    }

    /// Replaces what is said of the hospital. Another zone holds from the next decision on.
    ///
    /// # Errors
    /// [`ReferenceError`] says why not.
    pub async fn put_site(&self, by: &Actor, body: wire::Site) -> Result<wire::Site, ReferenceError> {
        require(by, PLACE_EDITORS)?;
        let site = checks::site(body)?;
        let _alone = self.exclusive().await;
        let was: wire::Site = self.store().site().await?.into();
        let now: wire::Site = site.clone().into();
        let audit = vec![audit(by, "site_changed", &now.name, json!({ "was": was, "now": now }))];
        let changes = ReferenceChanges { site: Some(site), audit, ..ReferenceChanges::default() };
        self.store().change_reference(changes).await?;
        Ok(now)
    }
}

impl From<Site> for wire::Site {
    fn from(it: Site) -> Self {
        let time_zone = it.time_zone.iana_name().unwrap_or("UTC").to_owned();
        Self { name: it.name, time_zone, languages: it.languages, identifiers: it.identifiers }
    }
}

/// A zone by its IANA name, in any case.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok().filter(|zone| zone.iana_name().is_some())
}
