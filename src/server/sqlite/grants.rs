//! Codes and device grants as rows: what a person granted and an app fetches once. Redeeming one is judged and written in one transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    audit::append,
    error::taken,
    refresh, sessions,
    stored::{Opening, from_millis, granted_by_code, granted_by_device, poll, to_millis, to_uuid},
};
use crate::server::ports::{
    CodeGrant, DeviceDecision, DeviceGrant, Digest, Poll, Redeemed, Redemption, SignIn, StoreError, StoreResult,
};

/// Keeps a code.
pub(super) fn insert_code(conn: &Connection, hash: &Digest, grant: &CodeGrant) -> StoreResult<()> {
    let inserted = conn.prepare_cached("INSERT INTO codes (hash, expires_at, body) VALUES (?1, ?2, ?3)")?.execute((
        hash,
        to_millis(grant.expires_at),
        serde_json::to_string(grant)?,
    ));
    taken(inserted, "code", "")?;
    Ok(())
}

/// What a code stands for, and how it was redeemed.
pub(super) fn code(conn: &Connection, hash: &Digest) -> StoreResult<Option<(CodeGrant, Option<Redeemed>)>> {
    let mut statement = conn.prepare_cached("SELECT redeemed_at, sid, body FROM codes WHERE hash = ?1")?;
    let mut rows = statement.query([hash])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let grant = serde_json::from_str(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?;
    Ok(Some((grant, redeemed(row)?)))
}

/// Redeems a code.
pub(super) fn redeem_code(conn: &Connection, hash: &Digest, opening: &Opening) -> StoreResult<Redemption> {
    redeem(conn, "codes", hash, opening, granted_by_code)
}

/// Redeems a device grant that was approved.
pub(super) fn redeem_device(conn: &Connection, hash: &Digest, opening: &Opening) -> StoreResult<Redemption> {
    redeem(conn, "devices", hash, opening, granted_by_device)
}

fn redeem(
    conn: &Connection,
    table: &str,
    hash: &Digest,
    opening: &Opening,
    granted_by: impl FnOnce(&str) -> StoreResult<Option<SignIn>>,
) -> StoreResult<Redemption> {
    let mut statement =
        conn.prepare_cached(&format!("SELECT redeemed_at, sid, body, expires_at FROM {table} WHERE hash = ?1"))?;
    let mut rows = statement.query([hash])?;
    let Some(row) = rows.next()? else {
        return Ok(Redemption::Dead);
    };
    if let Some(before) = redeemed(row)? {
        return Ok(Redemption::Before(before));
    }
    let Some(sign_in) = granted_by(row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)? else {
        return Ok(Redemption::Dead);
    };
    if row.get::<_, i64>(3)? <= to_millis(opening.now) || !sessions::is_valid(conn, &sign_in)? {
        return Ok(Redemption::Dead);
    }
    let Opening { session, refresh, now, audit } = opening;
    let sid = session.sid.to_string();
    sessions::insert(conn, session, None)?;
    refresh.iter().try_for_each(|token| refresh::insert(conn, &sid, token, None))?;
    conn.prepare_cached(&format!("UPDATE {table} SET redeemed_at = ?2, sid = ?3 WHERE hash = ?1"))?.execute((
        hash,
        to_millis(*now),
        &sid,
    ))?;
    append(conn, audit)?;
    Ok(Redemption::Opened)
}

/// Reads how a row that begins with `redeemed_at, sid` was redeemed.
fn redeemed(row: &Row<'_>) -> StoreResult<Option<Redeemed>> {
    let (at, sid): (Option<i64>, Option<String>) = (row.get(0)?, row.get(1)?);
    at.zip(sid).map(|(at, sid)| Ok(Redeemed { at: from_millis(at)?, sid: to_uuid(&sid)? })).transpose()
}

/// Keeps a device grant unless its user code waits already at `now`.
pub(super) fn insert_device(conn: &Connection, hash: &Digest, grant: &DeviceGrant, now: Timestamp) -> StoreResult<()> {
    if waiting(conn, &grant.user_code, now)?.is_some() {
        return Err(StoreError::Exists { what: "user code", key: grant.user_code.clone() });
    }
    let inserted = conn
        .prepare_cached("INSERT INTO devices (hash, user_code, expires_at, body) VALUES (?1, ?2, ?3, ?4)")?
        .execute((hash, &grant.user_code, to_millis(grant.expires_at), serde_json::to_string(grant)?));
    taken(inserted, "device code", "")?;
    Ok(())
}

/// The grant that waits for a decision under a user code, with its hash.
pub(super) fn waiting(
    conn: &Connection,
    user_code: &str,
    now: Timestamp,
) -> StoreResult<Option<(Digest, DeviceGrant)>> {
    let found: Option<(Digest, String)> = conn
        .prepare_cached("SELECT hash, body FROM devices WHERE user_code = ?1 AND NOT decided AND expires_at > ?2")?
        .query_row((user_code, to_millis(now)), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    found.map(|(hash, body)| Ok((hash, serde_json::from_str(&body)?))).transpose()
}

/// Writes a person's word down; false where none waits.
pub(super) fn decide_device(
    conn: &Connection,
    user_code: &str,
    decision: DeviceDecision,
    now: Timestamp,
) -> StoreResult<bool> {
    let Some((hash, grant)) = waiting(conn, user_code, now)? else {
        return Ok(false);
    };
    let decided = DeviceGrant { decision: Some(decision), ..grant };
    conn.prepare_cached("UPDATE devices SET decided = 1, body = ?2 WHERE hash = ?1")?
        .execute((hash, serde_json::to_string(&decided)?))?;
    Ok(true)
}

/// Answers a poll and notes its time; one that comes too early lengthens the interval.
pub(super) fn poll_device(conn: &Connection, hash: &Digest, client_id: &str, now: Timestamp) -> StoreResult<Poll> {
    let now = to_millis(now);
    let found: Option<(String, Option<i64>)> = conn
        .prepare_cached("SELECT body, polled_at FROM devices WHERE hash = ?1")?
        .query_row([hash], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((body, polled_at)) = found else {
        return Ok(Poll::Dead);
    };
    let mut grant: DeviceGrant = serde_json::from_str(&body)?;
    let learnt = poll(&mut grant, polled_at, client_id, now);
    if !matches!(learnt, Poll::Dead | Poll::Expired) {
        conn.prepare_cached("UPDATE devices SET polled_at = ?2, body = ?3 WHERE hash = ?1")?.execute((
            hash,
            now,
            serde_json::to_string(&grant)?,
        ))?;
    }
    Ok(learnt)
}
