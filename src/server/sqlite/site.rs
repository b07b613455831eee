//! The site itself: its profile, its zone and its routing rules, each a setting. The zone stands in one place only.

use jiff::tz::TimeZone;
use rusqlite::Connection;
use serde::{Deserialize, Serialize};

use super::{
    identity::{put_setting, setting},
    reference::require,
};
use crate::{
    domain::{reason::Language, routing::RoutingRule, ticket::Identifier},
    server::ports::{Site, StoreError, StoreResult},
};

/// The setting of the zone, which the first start fixes.
const TIME_ZONE: &str = "time_zone";

const PROFILE: &str = "site";

const ROUTING: &str = "routing_rules";

/// All of a site but its zone.
#[derive(Serialize, Deserialize)]
struct Profile {
    name: String,
    languages: Vec<Language>,
    identifiers: Vec<Identifier>,
}

/// The site as it stands in this transaction.
pub(super) fn site(conn: &Connection) -> StoreResult<Site> {
    let time_zone = time_zone(conn)?;
    let Profile { name, languages, identifiers } = match setting(conn, PROFILE)? {
        Some(profile) => serde_json::from_str(&profile)?,
        None => Profile { name: String::new(), languages: Language::ALL.to_vec(), identifiers: Vec::new() },
    };
    Ok(Site { name, time_zone, languages, identifiers })
}

/// The site's zone; UTC before the first start.
pub(super) fn time_zone(conn: &Connection) -> StoreResult<TimeZone> {
    let Some(name) = setting(conn, TIME_ZONE)? else {
        return Ok(TimeZone::UTC);
    };
    TimeZone::get(&name).map_err(|_| {
        StoreError::Unavailable(format!("the site's time zone {name:?} is not known to this machine; install tzdata"))
    })
}

/// Replaces the site.
pub(super) fn put(conn: &Connection, site: &Site) -> StoreResult<()> {
    let Site { name, time_zone, languages, identifiers } = site.clone();
    let profile = Profile { name, languages, identifiers };
    put_setting(conn, PROFILE, &serde_json::to_string(&profile)?)?;
    let zone = time_zone.iana_name().ok_or_else(|| StoreError::Broken("the site's zone has no name".to_owned()))?;
    put_setting(conn, TIME_ZONE, zone)
}

/// The rules as they stand in this transaction.
pub(super) fn routing_rules(conn: &Connection) -> StoreResult<Vec<RoutingRule>> {
    let rules = setting(conn, ROUTING)?;
    Ok(rules.map(|rules| serde_json::from_str(&rules)).transpose()?.unwrap_or_default())
}

/// Replaces the rules.
pub(super) fn put_routing_rules(conn: &Connection, rules: &[RoutingRule]) -> StoreResult<()> {
    for rule in rules {
        require(conn, "pharmacy", rule.pharmacy.as_str())?;
        rule.wards.iter().try_for_each(|ward| require(conn, "ward", ward.as_str()))?;
    }
    put_setting(conn, ROUTING, &serde_json::to_string(rules)?)
}
