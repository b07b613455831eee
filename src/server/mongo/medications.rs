//! The formulary as documents: found by code, by words, or by a scanned box. It never decides what may be asked for.

use mongodb::bson::{Document, doc};

use super::{
    MongoStore,
    read::{Fields, beginning, records},
};
use crate::{
    domain::{control_class::Classification, ticket::Identifier},
    server::{
        ports::{Medication, MedicationQuery, Page, StoreResult},
        stored::{QUERY_WORDS_MAX, fetch, found_by, page, scanned, words},
    },
};

/// A medication with all that it is found by.
pub(super) fn document(medication: &Medication) -> StoreResult<Document> {
    let scan_codes: Vec<String> = medication.scan_codes.iter().map(|code| scanned(code)).collect();
    let words: Vec<String> = found_by(medication).into_iter().collect();
    Ok(doc! {
        "_id": medication.code.as_str(),
        "active": medication.active,
        "unreviewed": medication.classification == Classification::Unreviewed,
        "group_key": medication.group_key.as_deref(),
        "scan_codes": scan_codes,
        "words": words,
        "body": serde_json::to_string(medication)?,
    })
}

impl MongoStore {
    /// A page by code.
    pub(super) async fn medication_page(&self, query: MedicationQuery) -> StoreResult<Page<Medication>> {
        let mut filter = Document::new();
        filter.extend(query.active.map(|active| ("active".to_owned(), active.into())));
        filter.extend(query.unreviewed.map(|unreviewed| ("unreviewed".to_owned(), unreviewed.into())));
        if let Some(Identifier { system, value }) = query.identifier {
            let named = doc! { "thing": "medication", "system": system, "value": value };
            let Some(found) = self.find("identifiers", named).await? else {
                return Ok(Page { items: vec![], next: None, total: Some(0) });
            };
            filter.insert("_id", found.text("owner")?);
        }
        if let Some(text) = &query.text {
            filter.extend(matching(text));
        }
        let from = doc! { "_id": { "$gt": query.after.unwrap_or_default() } };
        let (found, total) =
            self.find_page("medications", (filter, from), doc! { "_id": 1 }, fetch(query.limit)).await?;
        Ok(page(records(&found)?, query.limit, total, |medication: &Medication| medication.code.to_string()))
    }
}

/// Every word by its beginning, or the whole text as a scanned code.
fn matching(text: &str) -> Document {
    let by_words: Vec<Document> = words(text).into_iter().take(QUERY_WORDS_MAX).map(beginning).collect();
    if by_words.is_empty() {
        // A search for nothing but punctuation finds nothing; an empty one does not narrow.
        return if text.trim().is_empty() {
            Document::new()
        } else {
            doc! { "$nor": [{}] }
        };
    }
    doc! { "$or": [{ "$and": by_words }, { "scan_codes": scanned(text) }] }
}
