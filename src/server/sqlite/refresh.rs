//! Refresh tokens as rows. A successor's secret is kept sealed and only while it may come again; it never outlives its session.

use rusqlite::{Connection, OptionalExtension};

use super::{
    audit::append,
    error::taken,
    sessions,
    stored::{StoredToken, Succession, Verdict, from_millis, to_millis, to_uuid},
};
use crate::server::ports::{Digest, NewRefresh, RefreshToken, Rotation, StoreResult};

fn find(conn: &Connection, hash: &Digest) -> StoreResult<Option<StoredToken>> {
    let sql = "SELECT sid, predecessor, idle_until, used_at, sealed FROM refresh_tokens WHERE hash = ?1";
    let found = conn.prepare_cached(sql)?.query_row([hash], |row| {
        Ok(StoredToken {
            sid: row.get(0)?,
            predecessor: row.get(1)?,
            idle_until: row.get(2)?,
            used_at: row.get(3)?,
            sealed: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}

/// A token with its session.
pub(super) fn token(conn: &Connection, hash: &Digest) -> StoreResult<Option<RefreshToken>> {
    let Some(stored) = find(conn, hash)? else {
        return Ok(None);
    };
    let Some(session) = sessions::load(conn, &stored.sid)? else {
        return Ok(None);
    };
    let ended = sessions::has_ended(conn, to_uuid(&stored.sid)?)?;
    let idle_until = from_millis(stored.idle_until)?;
    Ok(Some(RefreshToken { session, idle_until, used_at: stored.used_at.map(from_millis).transpose()?, ended }))
}

/// Puts a session's first token, or the one after `predecessor`.
pub(super) fn insert(
    conn: &Connection,
    sid: &str,
    token: &NewRefresh,
    predecessor: Option<&Digest>,
) -> StoreResult<()> {
    let sql = "INSERT INTO refresh_tokens (hash, sid, predecessor, idle_until) VALUES (?1, ?2, ?3, ?4)";
    let inserted = conn.prepare_cached(sql)?.execute((token.hash, sid, predecessor, to_millis(token.idle_until)));
    taken(inserted, "refresh token", "")?;
    Ok(())
}

/// Replaces a token, gives its successor again, or ends the session of one that was stolen.
pub(super) fn rotate(conn: &Connection, hash: &Digest, succession: &Succession) -> StoreResult<Rotation> {
    let times = &succession.times;
    let Some(token) = find(conn, hash)? else {
        return Ok(Rotation::Dead);
    };
    if !sessions::is_in_force(conn, &token.sid, times.now)? {
        return Ok(Rotation::Dead);
    }
    match succession.judge(&token) {
        Verdict::Dead => Ok(Rotation::Dead),
        Verdict::Replace => {
            replace(conn, hash, &token.sid, token.predecessor.as_deref(), succession)?;
            append(conn, &succession.audit)?;
            Ok(Rotation::Rotated)
        }
        Verdict::Repeat(sealed) => Ok(Rotation::Repeated(sealed)),
        Verdict::Reuse => {
            sessions::end(conn, to_uuid(&token.sid)?, times.listed_until)?;
            append(conn, &succession.reused)?;
            Ok(Rotation::Reused)
        }
    }
}

fn replace(
    conn: &Connection,
    hash: &Digest,
    sid: &str,
    predecessor: Option<&[u8]>,
    succession: &Succession,
) -> StoreResult<()> {
    let Succession { next, sealed, times, .. } = succession;
    insert(conn, sid, next, Some(hash))?;
    conn.prepare_cached("UPDATE refresh_tokens SET used_at = ?2, sealed = ?3, sealed_until = ?4 WHERE hash = ?1")?
        .execute((hash, to_millis(times.now), sealed, succession.sealed_until()))?;
    // This token is the predecessor's successor, and used from now on: it comes no more.
    conn.prepare_cached("UPDATE refresh_tokens SET sealed = NULL, sealed_until = NULL WHERE hash = ?1")?
        .execute([predecessor])?;
    sessions::touch(conn, sid, times.now)
}
