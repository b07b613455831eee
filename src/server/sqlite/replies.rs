//! Answers that were given under an idempotency key. The first one stands until it is too old; none replaces another.

use rusqlite::{Connection, OptionalExtension};

use super::stored::{REPLIES_KEPT_FOR, from_millis, to_millis};
use crate::server::ports::{StoreResult, StoredReply};

/// The reply under an id.
pub(super) fn find(conn: &Connection, id: &[u8; 32]) -> StoreResult<Option<StoredReply>> {
    let found = conn
        .prepare_cached("SELECT request_hash, status, content_type, location, body, at FROM replies WHERE id = ?1")?
        .query_row([id], |row| {
            let reply = StoredReply {
                request_hash: row.get(0)?,
                status: row.get(1)?,
                content_type: row.get(2)?,
                location: row.get(3)?,
                body: row.get(4)?,
                at: jiff::Timestamp::UNIX_EPOCH,
            };
            Ok((reply, row.get::<_, i64>(5)?))
        })
        .optional()?;
    found.map(|(reply, at)| Ok(StoredReply { at: from_millis(at)?, ..reply })).transpose()
}

/// Keeps a reply, and forgets those that are too old by its time.
pub(super) fn keep(conn: &Connection, id: &[u8; 32], reply: &StoredReply) -> StoreResult<()> {
    let now = to_millis(reply.at);
    let oldest = now.saturating_sub(i64::try_from(REPLIES_KEPT_FOR.as_millis()).expect("30 days fit 64 bits"));
    conn.prepare_cached("DELETE FROM replies WHERE at < ?1")?.execute([oldest])?;
    conn.prepare_cached(
        "INSERT INTO replies (id, request_hash, status, content_type, location, body, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
    )?
    .execute((id, reply.request_hash, reply.status, &reply.content_type, &reply.location, &reply.body, now))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use jiff::Timestamp;
    use tempfile::TempDir;

    use super::*;
    use crate::server::{
        ports::ReferenceStore,
        sqlite::{OpenMode, SqliteStore},
    };

    fn reply(body: &str, at: &str) -> StoredReply {
        StoredReply {
            request_hash: [7; 32],
            status: 201,
            content_type: Some("application/json".to_owned()),
            location: None,
            body: body.as_bytes().to_vec(),
            at: at.parse::<Timestamp>().unwrap(),
        }
    }

    #[tokio::test]
    async fn the_first_reply_stands_for_thirty_days() {
        let dir = TempDir::new().unwrap();
        let store = SqliteStore::open(dir.path(), OpenMode::Serve).unwrap();
        let first = reply("first", "2026-01-01T00:00:00Z");
        store.keep_reply([1; 32], first.clone()).await.unwrap();
        store.keep_reply([1; 32], reply("second", "2026-01-02T00:00:00Z")).await.unwrap();
        store.keep_reply([2; 32], reply("other", "2026-01-31T00:00:00Z")).await.unwrap();
        assert_eq!(store.reply([1; 32]).await.unwrap(), Some(first));
        store.keep_reply([3; 32], reply("later", "2026-01-31T00:00:01Z")).await.unwrap();
        assert_eq!(store.reply([1; 32]).await.unwrap(), None);
        assert!(store.reply([2; 32]).await.unwrap().is_some());
    }
}
