//! The audit log: appended to in the transaction of what it tells of, each entry carrying the hash of the one before it. An entry is never touched
//! again. Its head is one document, which every audited write changes: of two such transactions at once, whichever node they are of, one starts again.

use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    read::{Fields, bytes},
    transaction::{Attempt, Tx},
};
use crate::server::{
    ports::{AuditEntry, AuditQuery, Page, StoreError, StoreResult},
    stored::{AuditLink, fetch, from_millis, page, to_millis, unreadable},
};

/// The head's id, in a collection of its own.
pub(super) const HEAD: &str = "head";

/// Appends entries in a transaction.
pub(super) async fn append(tx: &mut Tx, entries: &[AuditEntry]) -> Attempt<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let head = tx.find("audit_head", doc! { "_id": HEAD }).await?.ok_or_else(|| unreadable("audit head"))?;
    let before = head.number("newest")?;
    let mut previous: [u8; 32] = head.blob("hash")?.try_into().map_err(|_| unreadable("hash"))?;
    let mut newest = before;
    let mut documents = Vec::with_capacity(entries.len());
    for entry in entries {
        newest += 1;
        documents.push(document(newest, entry, &mut previous));
    }
    tx.insert_all("audit", &documents).await?;
    let change = doc! { "$set": { "newest": newest, "hash": bytes(&previous) } };
    if tx.update("audit_head", doc! { "_id": HEAD, "newest": before }, change).await? {
        Ok(())
    } else {
        Err(StoreError::Broken("the head of the audit log changed within a transaction".to_owned()).into())
    }
}

/// An entry as stored; `previous` moves on to its hash.
fn document(id: i64, entry: &AuditEntry, previous: &mut [u8; 32]) -> Document {
    let detail = entry.detail.to_string();
    let link = AuditLink {
        id,
        at: to_millis(entry.at),
        kind: &entry.kind,
        action: &entry.action,
        actor: entry.actor.as_deref(),
        subject: entry.subject.as_deref(),
        detail: &detail,
    };
    *previous = link.hash(previous);
    doc! {
        "_id": id,
        "at": link.at,
        "kind": link.kind,
        "action": link.action,
        "actor": link.actor,
        "subject": link.subject,
        "hash": bytes(previous),
        "detail": link.detail,
    }
}

fn entry(document: &Document) -> StoreResult<AuditEntry> {
    Ok(AuditEntry {
        at: from_millis(document.number("at")?)?,
        kind: document.text("kind")?.to_owned(),
        action: document.text("action")?.to_owned(),
        actor: document.text_or_none("actor")?.map(str::to_owned),
        subject: document.text_or_none("subject")?.map(str::to_owned),
        detail: serde_json::from_str(document.text("detail")?)?,
    })
}

impl MongoStore {
    /// A page, newest first.
    pub(super) async fn audit_page(&self, query: AuditQuery) -> StoreResult<Page<AuditEntry>> {
        let before = match &query.after {
            None => i64::MAX,
            Some(after) => after.parse().map_err(|_| StoreError::Missing { what: "cursor", key: after.clone() })?,
        };
        let kind = query.kind.map_or_else(Document::new, |kind| doc! { "kind": kind });
        let from = doc! { "_id": { "$lt": before } };
        let (found, total) = self.find_page("audit", (kind, from), doc! { "_id": -1 }, fetch(query.limit)).await?;
        let entries = found.iter().map(|found| Ok((found.number("_id")?, entry(found)?)));
        let cut = page(entries.collect::<StoreResult<Vec<_>>>()?, query.limit, total, |(id, _)| id.to_string());
        let items = cut.items.into_iter().map(|(_, entry)| entry).collect();
        Ok(Page { items, next: cut.next, total: cut.total })
    }
}
