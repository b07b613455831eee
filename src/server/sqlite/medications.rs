//! The formulary: found by code, by words, or by a scanned box. It never decides what may be asked for.

use std::collections::BTreeSet;

use rusqlite::{Connection, params_from_iter, types::Value};

use super::{
    identity::one_body,
    stored::{fetch, found_by, page, scanned},
    words::every_word,
};
use crate::{
    domain::{code::MedicationCode, control_class::Classification, ticket::Identifier},
    server::ports::{Medication, MedicationQuery, Page, StoreResult},
};

/// One medication.
pub(super) fn find(conn: &Connection, code: &MedicationCode) -> StoreResult<Option<Medication>> {
    one_body(conn, "SELECT body FROM medications WHERE code = ?1", code.as_str())
}

/// Those with any of the codes on a box, each once, by code.
pub(super) fn by_scan_codes(conn: &Connection, codes: &[String]) -> StoreResult<Vec<Medication>> {
    let mut statement = conn.prepare_cached(
        "SELECT body FROM medications WHERE code IN (
             SELECT medication FROM scan_codes WHERE code IN (SELECT value FROM json_each(?1))
         ) ORDER BY code",
    )?;
    let codes: Vec<String> = codes.iter().map(|code| scanned(code)).collect();
    let mut rows = statement.query([serde_json::to_string(&codes)?])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(found)
}

/// Writes one, with all that it is found by.
pub(super) fn put(conn: &Connection, medication: &Medication) -> StoreResult<()> {
    let code = medication.code.as_str();
    conn.prepare_cached(
        "INSERT INTO medications (code, active, unreviewed, group_key, body) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (code) DO UPDATE SET active = excluded.active, unreviewed = excluded.unreviewed,
         group_key = excluded.group_key, body = excluded.body",
    )?
    .execute((
        code,
        medication.active,
        medication.classification == Classification::Unreviewed,
        &medication.group_key,
        serde_json::to_string(medication)?,
    ))?;
    let scanned = medication.scan_codes.iter().map(|code| scanned(code)).collect();
    replace(conn, "scan_codes", "code", code, scanned)?;
    replace(conn, "medication_words", "word", code, found_by(medication))
}

fn replace(conn: &Connection, table: &str, column: &str, code: &str, values: BTreeSet<String>) -> StoreResult<()> {
    conn.prepare_cached(&format!("DELETE FROM {table} WHERE medication = ?1"))?.execute([code])?;
    let mut insert = conn.prepare_cached(&format!("INSERT INTO {table} ({column}, medication) VALUES (?1, ?2)"))?;
    for value in values {
        insert.execute((value, code))?;
    }
    Ok(())
}

/// A page by code.
pub(super) fn list(conn: &Connection, query: &MedicationQuery) -> StoreResult<Page<Medication>> {
    let mut parameters = vec![];
    let mut clauses = vec!["1".to_owned()];
    clauses.extend(query.active.map(|active| format!("active = {}", u8::from(active))));
    clauses.extend(query.unreviewed.map(|unreviewed| format!("unreviewed = {}", u8::from(unreviewed))));
    if let Some(Identifier { system, value }) = &query.identifier {
        parameters.extend([system, value].map(|text| Value::Text(text.clone())));
        let owner = "SELECT owner FROM identifiers WHERE thing = 'medication' AND system = ?1 AND value = ?2";
        clauses.push(format!("code IN ({owner})"));
    }
    if let Some(text) = &query.text {
        clauses.extend(matching(text, &mut parameters));
    }
    let filter = clauses.join(" AND ");
    let count = format!("SELECT count(*) FROM medications WHERE {filter}");
    let total = conn.prepare_cached(&count)?.query_row(params_from_iter(&parameters), |row| row.get::<_, i64>(0))?;
    parameters.push(Value::Text(query.after.clone().unwrap_or_default()));
    let after = parameters.len();
    parameters.push(Value::Integer(fetch(query.limit)));
    let sql = format!(
        "SELECT body FROM medications WHERE {filter} AND code > ?{after} ORDER BY code LIMIT ?{}",
        parameters.len()
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(&parameters))?;
    let mut found: Vec<Medication> = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(&row.get::<_, String>(0)?)?);
    }
    Ok(page(found, query.limit, total.cast_unsigned(), |medication| medication.code.to_string()))
}

/// Every word by its beginning, or the whole text as a scanned code.
fn matching(text: &str, parameters: &mut Vec<Value>) -> Option<String> {
    let found = every_word(text, ("medication_words", "medication"), None, parameters);
    if found.is_empty() {
        // A search for nothing but punctuation finds nothing; an empty one does not narrow.
        return (!text.trim().is_empty()).then(|| "0".to_owned());
    }
    parameters.push(Value::Text(scanned(text)));
    let by_words = found.iter().map(|matches| format!("code IN {matches}")).collect::<Vec<_>>().join(" AND ");
    let scan = format!("code IN (SELECT medication FROM scan_codes WHERE code = ?{})", parameters.len());
    Some(format!("(({by_words}) OR {scan})"))
}
