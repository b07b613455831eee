//! Pharmacies, wards, cabinets, par levels and the rules. A change becomes visible whole or not at all.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::{
    SqliteStore,
    audit::append,
    error::taken,
    identity::{all_bodies, one_body},
    medications, replies, site,
};
use crate::{
    domain::{
        code::{CabinetCode, MedicationCode},
        facts::Policy,
        routing::RoutingRule,
        ticket::Identifier,
    },
    server::ports::{
        Cabinet, Medication, MedicationQuery, Page, ParLevel, Pharmacy, ReferenceChanges, ReferenceStore, Site,
        StoreError, StoreResult, StoredReply, Ward,
    },
};

#[async_trait]
impl ReferenceStore for SqliteStore {
    async fn pharmacies(&self) -> StoreResult<Vec<Pharmacy>> {
        self.readers.read(|conn| all_bodies(conn, "SELECT body FROM pharmacies ORDER BY code")).await
    }

    async fn wards(&self) -> StoreResult<Vec<Ward>> {
        self.readers.read(|conn| all_bodies(conn, "SELECT body FROM wards ORDER BY code")).await
    }

    async fn cabinets(&self) -> StoreResult<Vec<Cabinet>> {
        self.readers.read(|conn| all_bodies(conn, "SELECT body FROM cabinets ORDER BY code")).await
    }

    async fn cabinet(&self, code: &CabinetCode) -> StoreResult<Option<(Cabinet, Vec<ParLevel>)>> {
        let code = code.clone();
        self.readers.read(move |conn| cabinet_with_levels(conn, &code)).await
    }

    async fn medication(&self, code: &MedicationCode) -> StoreResult<Option<Medication>> {
        let code = code.clone();
        self.readers.read(move |conn| medications::find(conn, &code)).await
    }

    async fn by_scan_codes(&self, codes: &[String]) -> StoreResult<Vec<Medication>> {
        let codes = codes.to_owned();
        self.readers.read(move |conn| medications::by_scan_codes(conn, &codes)).await
    }

    async fn medications(&self, query: MedicationQuery) -> StoreResult<Page<Medication>> {
        self.readers.read(move |conn| medications::list(conn, &query)).await
    }

    async fn all_medications(&self) -> StoreResult<Vec<Medication>> {
        self.readers.read(|conn| all_bodies(conn, "SELECT body FROM medications ORDER BY group_key, code")).await
    }

    async fn change_reference(&self, changes: ReferenceChanges) -> StoreResult<()> {
        self.writer.write(move |conn| change(conn, &changes)).await
    }

    async fn site(&self) -> StoreResult<Site> {
        self.readers.read(site::site).await
    }

    async fn routing_rules(&self) -> StoreResult<Vec<RoutingRule>> {
        self.readers.read(site::routing_rules).await
    }

    async fn policy(&self) -> StoreResult<Policy> {
        self.readers.read(policy).await
    }

    async fn reply(&self, id: [u8; 32]) -> StoreResult<Option<StoredReply>> {
        self.readers.read(move |conn| replies::find(conn, &id)).await
    }

    async fn keep_reply(&self, id: [u8; 32], reply: StoredReply) -> StoreResult<()> {
        self.writer.write(move |conn| replies::keep(conn, &id, &reply)).await
    }
}

/// The site's rules, as they stand in this transaction.
pub(super) fn policy(conn: &Connection) -> StoreResult<Policy> {
    Ok(Policy::default_in(site::time_zone(conn)?))
}

/// Refuses a code that names nothing.
pub(super) fn require(conn: &Connection, what: &'static str, code: &str) -> StoreResult<()> {
    let sql = match what {
        "pharmacy" => "SELECT 1 FROM pharmacies WHERE code = ?1",
        "ward" => "SELECT 1 FROM wards WHERE code = ?1",
        "cabinet" => "SELECT 1 FROM cabinets WHERE code = ?1",
        _ => "SELECT 1 FROM medications WHERE code = ?1",
    };
    let found = conn.prepare_cached(sql)?.query_row([code], |_| Ok(())).optional()?;
    found.ok_or_else(|| StoreError::Missing { what, key: code.to_owned() })
}

fn cabinet_with_levels(conn: &Connection, code: &CabinetCode) -> StoreResult<Option<(Cabinet, Vec<ParLevel>)>> {
    let Some(cabinet) = one_body(conn, "SELECT body FROM cabinets WHERE code = ?1", code.as_str())? else {
        return Ok(None);
    };
    let mut statement =
        conn.prepare_cached("SELECT medication, min, max FROM par_levels WHERE cabinet = ?1 ORDER BY medication")?;
    let mut rows = statement.query([code.as_str()])?;
    let mut levels = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |at: usize| row.get::<_, String>(at);
        let broken = || super::stored::unreadable("par level");
        levels.push(ParLevel {
            medication: text(0)?.parse().map_err(|_| broken())?,
            min: text(1)?.parse().map_err(|_| broken())?,
            max: text(2)?.parse().map_err(|_| broken())?,
        });
    }
    Ok(Some((cabinet, levels)))
}

fn change(conn: &Connection, changes: &ReferenceChanges) -> StoreResult<()> {
    changes.pharmacies.iter().try_for_each(|pharmacy| put_pharmacy(conn, pharmacy))?;
    changes.wards.iter().try_for_each(|ward| put_ward(conn, ward))?;
    changes.cabinets.iter().try_for_each(|cabinet| put_cabinet(conn, cabinet))?;
    changes.medications.iter().try_for_each(|medication| medications::put(conn, medication))?;
    changes
        .par_levels
        .iter()
        .try_for_each(|(cabinet, medication, level)| put_par_level(conn, cabinet, medication, level.as_ref()))?;
    changes.site.iter().try_for_each(|changed| site::put(conn, changed))?;
    changes.routing.iter().try_for_each(|rules| site::put_routing_rules(conn, rules))?;
    // Last, so that an identifier may move from one record of the change to another.
    let owners: Vec<_> = changes.identified().collect();
    for (thing, owner, _) in &owners {
        forget_identifiers(conn, thing, owner)?;
    }
    for (thing, owner, identifiers) in owners {
        put_identifiers(conn, thing, owner, identifiers)?;
    }
    changes.audit.iter().try_for_each(|entry| append(conn, entry))
}

fn put_pharmacy(conn: &Connection, pharmacy: &Pharmacy) -> StoreResult<()> {
    conn.prepare_cached(
        "INSERT INTO pharmacies (code, active, body) VALUES (?1, ?2, ?3)
         ON CONFLICT (code) DO UPDATE SET active = excluded.active, body = excluded.body",
    )?
    .execute((pharmacy.code.as_str(), pharmacy.active, serde_json::to_string(pharmacy)?))?;
    Ok(())
}

fn put_ward(conn: &Connection, ward: &Ward) -> StoreResult<()> {
    require(conn, "pharmacy", ward.pharmacy.as_str())?;
    conn.prepare_cached(
        "INSERT INTO wards (code, pharmacy, active, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (code) DO UPDATE SET pharmacy = excluded.pharmacy, active = excluded.active, body = excluded.body",
    )?
    .execute((ward.code.as_str(), ward.pharmacy.as_str(), ward.active, serde_json::to_string(ward)?))?;
    Ok(())
}

fn put_cabinet(conn: &Connection, cabinet: &Cabinet) -> StoreResult<()> {
    require(conn, "ward", cabinet.ward.as_str())?;
    conn.prepare_cached(
        "INSERT INTO cabinets (code, ward, active, body) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (code) DO UPDATE SET ward = excluded.ward, active = excluded.active, body = excluded.body",
    )?
    .execute((cabinet.code.as_str(), cabinet.ward.as_str(), cabinet.active, serde_json::to_string(cabinet)?))?;
    Ok(())
}

fn put_par_level(
    conn: &Connection,
    cabinet: &CabinetCode,
    medication: &MedicationCode,
    level: Option<&ParLevel>,
) -> StoreResult<()> {
    require(conn, "cabinet", cabinet.as_str())?;
    require(conn, "medication", medication.as_str())?;
    match level {
        None => conn
            .prepare_cached("DELETE FROM par_levels WHERE cabinet = ?1 AND medication = ?2")?
            .execute((cabinet.as_str(), medication.as_str()))?,
        Some(level) => conn
            .prepare_cached(
                "INSERT INTO par_levels (cabinet, medication, min, max) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (cabinet, medication) DO UPDATE SET min = excluded.min, max = excluded.max",
            )?
            .execute((cabinet.as_str(), medication.as_str(), level.min.to_string(), level.max.to_string()))?,
    };
    Ok(())
}

fn forget_identifiers(conn: &Connection, thing: &str, owner: &str) -> StoreResult<()> {
    conn.prepare_cached("DELETE FROM identifiers WHERE thing = ?1 AND owner = ?2")?.execute((thing, owner))?;
    Ok(())
}

/// Adds a thing's identifiers; one that another thing of its sort has is [`StoreError::Exists`].
pub(super) fn put_identifiers(
    conn: &Connection,
    thing: &str,
    owner: &str,
    identifiers: &[Identifier],
) -> StoreResult<()> {
    let mut insert =
        conn.prepare_cached("INSERT INTO identifiers (thing, system, value, owner) VALUES (?1, ?2, ?3, ?4)")?;
    for identifier in identifiers {
        let inserted = insert.execute((thing, &identifier.system, &identifier.value, owner));
        taken(inserted, "identifier", &format!("{}|{}", identifier.system, identifier.value))?;
    }
    Ok(())
}
