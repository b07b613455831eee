//! The site itself, as settings hold it: its profile and its zone apart, since the zone stands in one place only.

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::{
    domain::{reason::Language, routing::RoutingRule, ticket::Identifier},
    server::ports::{Site, StoreError, StoreResult},
};

/// The setting of the zone, which the first start fixes.
pub(crate) const TIME_ZONE: &str = "time_zone";

/// The setting of everything else.
pub(crate) const PROFILE: &str = "site";

/// The setting of the routing rules.
pub(crate) const ROUTING: &str = "routing_rules";

/// All of a site but its zone.
#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    languages: Vec<Language>,
    identifiers: Vec<Identifier>,
}

/// The site of its settings; the zone is UTC before the first start.
pub(crate) fn site(profile: Option<&str>, zone: Option<&str>) -> StoreResult<Site> {
    let Profile { name, languages, identifiers } = match profile {
        Some(profile) => serde_json::from_str(profile)?,
        None => Profile { name: String::new(), languages: Language::ALL.to_vec(), identifiers: Vec::new() },
    };
    Ok(Site { name, time_zone: time_zone(zone)?, languages, identifiers })
}

/// The zone of its setting; UTC before the first start.
pub(crate) fn time_zone(name: Option<&str>) -> StoreResult<TimeZone> {
    let Some(name) = name else {
        return Ok(TimeZone::UTC);
    };
    TimeZone::get(name).map_err(|_| {
        StoreError::Unavailable(format!("the site's time zone {name:?} is not known to this machine; install tzdata"))
    })
}

/// The settings that a site is written as.
pub(crate) fn site_settings(site: &Site) -> StoreResult<[(&'static str, String); 2]> {
    let Site { name, time_zone, languages, identifiers } = site.clone();
    let profile = Profile { name, languages, identifiers };
    let zone = time_zone.iana_name().ok_or_else(|| StoreError::Broken("the site's zone has no name".to_owned()))?;
    Ok([(PROFILE, serde_json::to_string(&profile)?), (TIME_ZONE, zone.to_owned())])
}

/// The routing rules of their setting.
pub(crate) fn routing_rules(rules: Option<&str>) -> StoreResult<Vec<RoutingRule>> {
    Ok(rules.map(serde_json::from_str).transpose()?.unwrap_or_default())
}
