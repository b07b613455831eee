//! The site itself: its profile, its zone and its routing rules, each a setting.

use jiff::tz::TimeZone;
use rusqlite::Connection;

use super::{
    identity::{put_setting, setting},
    reference::require,
    stored::{self, PROFILE, ROUTING, TIME_ZONE},
};
use crate::{
    domain::routing::RoutingRule,
    server::ports::{Site, StoreResult},
};

/// The site as it stands in this transaction.
pub(super) fn site(conn: &Connection) -> StoreResult<Site> {
    stored::site(setting(conn, PROFILE)?.as_deref(), setting(conn, TIME_ZONE)?.as_deref())
}

/// The site's zone; UTC before the first start.
pub(super) fn time_zone(conn: &Connection) -> StoreResult<TimeZone> {
    stored::time_zone(setting(conn, TIME_ZONE)?.as_deref())
}

/// Replaces the site.
pub(super) fn put(conn: &Connection, site: &Site) -> StoreResult<()> {
    stored::site_settings(site)?.iter().try_for_each(|(name, value)| put_setting(conn, name, value))
}

/// The rules as they stand in this transaction.
pub(super) fn routing_rules(conn: &Connection) -> StoreResult<Vec<RoutingRule>> {
    stored::routing_rules(setting(conn, ROUTING)?.as_deref())
}

/// Replaces the rules.
pub(super) fn put_routing_rules(conn: &Connection, rules: &[RoutingRule]) -> StoreResult<()> {
    for rule in rules {
        require(conn, "pharmacy", rule.pharmacy.as_str())?;
        rule.wards.iter().try_for_each(|ward| require(conn, "ward", ward.as_str()))?;
    }
    put_setting(conn, ROUTING, &serde_json::to_string(rules)?)
}
