//! The audit log: appended to, each entry carrying the hash of the one before it, paged newest first. An entry is never touched again.

use rusqlite::{Connection, OptionalExtension, Row};
use sha2::{Digest, Sha256};

use super::{
    events,
    stored::{AuditLink, fetch, from_millis, page, to_millis},
};
use crate::server::ports::{AuditEntry, AuditQuery, Page, StoreError, StoreResult};

/// Where the log ends: the newest entry's id, which is the count of all, and its hash.
pub(super) fn head(conn: &Connection) -> StoreResult<(i64, [u8; 32])> {
    let sql = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";
    let newest = conn.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    newest.map_or_else(|| Ok((0, genesis(conn)?)), Ok)
}

/// What the first entry's hash follows: another beginning than that of the events, of the same log.
fn genesis(conn: &Connection) -> StoreResult<[u8; 32]> {
    Ok(Sha256::new_with_prefix(events::genesis(conn)?).chain_update("audit").finalize().into())
}

/// Appends an entry in the writer's transaction.
pub(super) fn append(conn: &Connection, entry: &AuditEntry) -> StoreResult<()> {
    let (newest, previous) = head(conn)?;
    let detail = entry.detail.to_string();
    let link = AuditLink {
        id: newest + 1,
        at: to_millis(entry.at),
        kind: &entry.kind,
        action: &entry.action,
        actor: entry.actor.as_deref(),
        subject: entry.subject.as_deref(),
        detail: &detail,
    };
    conn.prepare_cached(
        "INSERT INTO audit (id, at, kind, action, actor, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute((
        link.id,
        link.at,
        link.kind,
        link.action,
        link.actor,
        link.subject,
        link.detail,
        link.hash(&previous),
    ))?;
    Ok(())
}

/// False in a backup of a schema from before there was a chain.
pub(super) fn is_chained(conn: &Connection) -> StoreResult<bool> {
    Ok(conn.prepare("SELECT 1 FROM pragma_table_info('audit') WHERE name = 'hash'")?.exists([])?)
}

/// Follows the chain from its beginning: how many entries there are, and the newest one's hash.
pub(super) fn check_chain(conn: &Connection) -> StoreResult<(u64, [u8; 32])> {
    let (mut entries, mut previous) = (0, genesis(conn)?);
    walk(conn, &mut previous, |link, follows, stored| {
        entries += 1;
        match link.id == entries && stored == follows {
            true => Ok(()),
            false => Err(StoreError::Broken(format!(
                "audit entry {entries} is missing or does not follow from the one before: the audit log was altered or damaged"
            ))),
        }
    })?;
    Ok((entries.cast_unsigned(), previous))
}

/// Chains the entries of a log from before there was a chain, and closes it to changes again.
pub(super) fn chain_existing(conn: &Connection) -> StoreResult<()> {
    let mut previous = genesis(conn)?;
    let mut update = conn.prepare("UPDATE audit SET hash = ?2 WHERE id = ?1")?;
    walk(conn, &mut previous, |link, follows, _| Ok(update.execute((link.id, follows)).map(drop)?))?;
    conn.execute_batch(
        "CREATE TRIGGER audit_keep BEFORE UPDATE ON audit BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END",
    )?;
    Ok(())
}

/// Shows each entry in order with the hash that follows for it and the one that it has; `previous` moves on.
fn walk(
    conn: &Connection,
    previous: &mut [u8; 32],
    mut each: impl FnMut(&AuditLink<'_>, [u8; 32], &[u8]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut statement =
        conn.prepare("SELECT id, at, kind, action, actor, subject, detail, hash FROM audit ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get::<_, String>(column);
        let (kind, action, detail) = (text(2)?, text(3)?, text(6)?);
        let (actor, subject): (Option<String>, Option<String>) = (row.get(4)?, row.get(5)?);
        let link = AuditLink {
            id: row.get(0)?,
            at: row.get(1)?,
            kind: &kind,
            action: &action,
            actor: actor.as_deref(),
            subject: subject.as_deref(),
            detail: &detail,
        };
        *previous = link.hash(previous);
        each(&link, *previous, &row.get::<_, Vec<u8>>(7)?)?;
    }
    Ok(())
}

/// A page, newest first.
pub(super) fn audit_page(conn: &Connection, query: &AuditQuery) -> StoreResult<Page<AuditEntry>> {
    let bad_cursor = |after: &String| StoreError::Missing { what: "cursor", key: after.clone() };
    let before = match &query.after {
        None => i64::MAX,
        Some(after) => after.parse::<i64>().map_err(|_| bad_cursor(after))?,
    };
    let mut statement = conn.prepare_cached(
        "SELECT id, at, kind, action, actor, subject, detail FROM audit
         WHERE id < ?1 AND (?2 IS NULL OR kind = ?2) ORDER BY id DESC LIMIT ?3",
    )?;
    let mut rows = statement.query((before, &query.kind, fetch(query.limit)))?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        entries.push((row.get::<_, i64>(0)?, audit_entry(row)?));
    }
    let total = conn.query_row("SELECT count(*) FROM audit WHERE ?1 IS NULL OR kind = ?1", [&query.kind], |row| {
        row.get::<_, i64>(0)
    })?;
    let with_ids = page(entries, query.limit, total.cast_unsigned(), |(id, _)| id.to_string());
    let items = with_ids.items.into_iter().map(|(_, entry)| entry).collect();
    Ok(Page { items, next: with_ids.next, total: with_ids.total })
}

fn audit_entry(row: &Row<'_>) -> StoreResult<AuditEntry> {
    Ok(AuditEntry {
        at: from_millis(row.get(1)?)?,
        kind: row.get(2)?,
        action: row.get(3)?,
        actor: row.get(4)?,
        subject: row.get(5)?,
        detail: serde_json::from_str(&row.get::<_, String>(6)?)?,
    })
}
