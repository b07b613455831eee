//! Lists of pharmacies, wards, cabinets and par levels. What a list lacks stays; a row is checked as the API checks its record.
//!
//! | list | columns |
//! |---|---|
//! | pharmacies | `code`, `name`, `satellite`, `hours`, `active` |
//! | wards | `code`, `name`, `pharmacy`, `active` |
//! | cabinets | `code`, `name`, `ward`, `active` |
//! | par levels | `cabinet`, `medication`, `min`, `max` |
//!
//! `satellite`, `hours` and `active` may be left out; `active` is true where its cell is empty. Quantities are in the
//! unit of issue, with `.` or `,` before decimals; `1.000`, which can be read in two ways, is refused. Codes of other lists must exist already.

use super::{
    ImportError, Known, Tally,
    table::{Layout, Row, Table, compare},
};
use crate::{
    api::places,
    domain::{
        code::{CabinetCode, PharmacyCode, WardCode},
        quantity::Quantity,
    },
    server::{
        app::checks,
        ports::{Cabinet, ParLevel, Pharmacy, ReferenceChanges, Ward},
    },
};

pub(super) const PHARMACIES: Layout =
    Layout { required: &["code", "name"], optional: &["satellite", "hours", "active"] };
pub(super) const WARDS: Layout = Layout { required: &["code", "name", "pharmacy"], optional: &["active"] };
pub(super) const CABINETS: Layout = Layout { required: &["code", "name", "ward"], optional: &["active"] };
pub(super) const PAR_LEVELS: Layout = Layout { required: &["cabinet", "medication", "min", "max"], optional: &[] };

/// Plans a list of pharmacies.
pub(super) fn pharmacies(table: &mut Table, known: &Known, tally: &mut Tally) -> Result<ReferenceChanges, ImportError> {
    let rows = table.read_all(tally, |row| pharmacy(row, known))?;
    let pharmacies = compare(rows, &known.pharmacies, |it| it.code.clone(), tally);
    Ok(ReferenceChanges { pharmacies, ..ReferenceChanges::default() })
}

/// Plans a list of wards.
pub(super) fn wards(table: &mut Table, known: &Known, tally: &mut Tally) -> Result<ReferenceChanges, ImportError> {
    let rows = table.read_all(tally, |row| ward(row, known))?;
    let wards = compare(rows, &known.wards, |it| it.code.clone(), tally);
    Ok(ReferenceChanges { wards, ..ReferenceChanges::default() })
}

/// Plans a list of cabinets.
pub(super) fn cabinets(table: &mut Table, known: &Known, tally: &mut Tally) -> Result<ReferenceChanges, ImportError> {
    let rows = table.read_all(tally, |row| cabinet(row, known))?;
    let cabinets = compare(rows, &known.cabinets, |it| it.code.clone(), tally);
    Ok(ReferenceChanges { cabinets, ..ReferenceChanges::default() })
}

/// Plans a list of par levels.
pub(super) fn par_levels(table: &mut Table, known: &Known, tally: &mut Tally) -> Result<ReferenceChanges, ImportError> {
    let rows = table.read_all(tally, |row| par_level(row, known))?;
    let changed = compare(rows, &known.levels, |(cabinet, level)| (cabinet.clone(), level.medication.clone()), tally);
    let par_levels =
        changed.into_iter().map(|(cabinet, level)| (cabinet, level.medication.clone(), Some(level))).collect();
    Ok(ReferenceChanges { par_levels, ..ReferenceChanges::default() })
}

fn pharmacy(row: &Row<'_>, known: &Known) -> Result<Pharmacy, String> {
    let code: PharmacyCode = checks::code("code", row.needed("code")).map_err(said)?;
    let was = known.pharmacies.get(&code);
    let record = places::Pharmacy {
        code: code.into(),
        name: row.needed("name").to_owned(),
        satellite: row.flag("satellite", was.map(|it| it.satellite), false)?,
        hours: row.text("hours", was.and_then(|it| it.hours.clone())),
        active: row.flag("active", was.map(|it| it.active), true)?,
        identifiers: was.map(|it| it.identifiers.clone()).unwrap_or_default(),
    };
    checks::pharmacy(record).map_err(said)
}

fn ward(row: &Row<'_>, known: &Known) -> Result<Ward, String> {
    let code: WardCode = checks::code("code", row.needed("code")).map_err(said)?;
    let was = known.wards.get(&code);
    let record = places::Ward {
        code: code.into(),
        name: row.needed("name").to_owned(),
        pharmacy: row.needed("pharmacy").to_owned(),
        active: row.flag("active", was.map(|it| it.active), true)?,
        identifiers: was.map(|it| it.identifiers.clone()).unwrap_or_default(),
    };
    let ward = checks::ward(record).map_err(said)?;
    exists("pharmacy", ward.pharmacy.as_str(), known.pharmacies.contains_key(&ward.pharmacy))?;
    Ok(ward)
}

fn cabinet(row: &Row<'_>, known: &Known) -> Result<Cabinet, String> {
    let code: CabinetCode = checks::code("code", row.needed("code")).map_err(said)?;
    let was = known.cabinets.get(&code);
    let record = places::Cabinet {
        code: code.into(),
        name: row.needed("name").to_owned(),
        ward: row.needed("ward").to_owned(),
        active: row.flag("active", was.map(|it| it.active), true)?,
        identifiers: was.map(|it| it.identifiers.clone()).unwrap_or_default(),
        par_levels: None,
    };
    let cabinet = checks::cabinet(record).map_err(said)?;
    exists("ward", cabinet.ward.as_str(), known.wards.contains_key(&cabinet.ward))?;
    Ok(cabinet)
}

fn par_level(row: &Row<'_>, known: &Known) -> Result<(CabinetCode, ParLevel), String> {
    let cabinet: CabinetCode = checks::code("cabinet", row.needed("cabinet")).map_err(said)?;
    exists("cabinet", cabinet.as_str(), known.cabinets.contains_key(&cabinet))?;
    let level = checks::par_level(places::ParLevel {
        medication: row.needed("medication").to_owned(),
        min: quantity("min", row.needed("min"))?,
        max: quantity("max", row.needed("max"))?,
    })
    .map_err(said)?;
    exists("medication", level.medication.as_str(), known.medications.contains_key(&level.medication))?;
    Ok((cabinet, level))
}

fn exists(what: &str, code: &str, there: bool) -> Result<(), String> {
    if there { Ok(()) } else { Err(format!("{what}: there is no {what} {code:?}; import it first")) }
}

/// A quantity as people keep it in lists.
pub(super) fn quantity(column: &str, cell: &str) -> Result<Quantity, String> {
    Quantity::parse_listed(cell).map_err(|why| format!("{column}: {why}"))
}

/// A finding as a report tells it.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn said(invalid: checks::Invalid) -> String {
    invalid.to_string()
}
