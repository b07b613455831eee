//! Reading outside of transactions, and the fields of documents. A document that does not read is an error, never a guess.

use futures_util::TryStreamExt;
use mongodb::{
    Collection,
    bson::{Binary, Bson, Document, doc, spec::BinarySubtype},
};
use serde::de::DeserializeOwned;

use super::MongoStore;
use crate::server::{ports::StoreResult, stored::unreadable};

/// Bytes as a field.
pub(super) fn bytes(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

/// The fields of a document, each of the type that the schema says.
pub(super) trait Fields {
    /// A text.
    fn text(&self, name: &str) -> StoreResult<&str>;
    /// A text, or nothing.
    fn text_or_none(&self, name: &str) -> StoreResult<Option<&str>>;
    /// A whole number.
    fn number(&self, name: &str) -> StoreResult<i64>;
    /// A whole number, or nothing.
    fn number_or_none(&self, name: &str) -> StoreResult<Option<i64>>;
    /// Yes or no.
    fn flag(&self, name: &str) -> StoreResult<bool>;
    /// Bytes.
    fn blob(&self, name: &str) -> StoreResult<&[u8]>;
    /// Bytes, or nothing.
    fn blob_or_none(&self, name: &str) -> StoreResult<Option<&[u8]>>;
    /// The record in `body`.
    fn record<T: DeserializeOwned>(&self) -> StoreResult<T>;
}

impl Fields for Document {
    fn text(&self, name: &str) -> StoreResult<&str> {
        self.get_str(name).map_err(|_| unreadable(name))
    }

    fn text_or_none(&self, name: &str) -> StoreResult<Option<&str>> {
        if is_none(self, name) { Ok(None) } else { self.text(name).map(Some) }
    }

    fn number(&self, name: &str) -> StoreResult<i64> {
        self.get_i64(name).map_err(|_| unreadable(name))
    }

    fn number_or_none(&self, name: &str) -> StoreResult<Option<i64>> {
        if is_none(self, name) { Ok(None) } else { self.number(name).map(Some) }
    }

    fn flag(&self, name: &str) -> StoreResult<bool> {
        self.get_bool(name).map_err(|_| unreadable(name))
    }

    fn blob(&self, name: &str) -> StoreResult<&[u8]> {
        self.get_binary_generic(name).map(Vec::as_slice).map_err(|_| unreadable(name))
    }

    fn blob_or_none(&self, name: &str) -> StoreResult<Option<&[u8]>> {
        if is_none(self, name) { Ok(None) } else { self.blob(name).map(Some) }
    }

    fn record<T: DeserializeOwned>(&self) -> StoreResult<T> {
        Ok(serde_json::from_str(self.text("body")?)?)
    }
}

fn is_none(document: &Document, name: &str) -> bool {
    document.get(name).is_none_or(|value| *value == Bson::Null)
}

/// The records of all documents, read from their bodies.
pub(super) fn records<T: DeserializeOwned>(documents: &[Document]) -> StoreResult<Vec<T>> {
    documents.iter().map(Fields::record).collect()
}

/// That a document has a word with this beginning: that one and the same word lies between both bounds.
pub(super) fn beginning(word: String) -> Document {
    let end = format!("{word}{}", char::MAX);
    doc! { "words": { "$elemMatch": { "$gte": word, "$lt": end } } }
}

impl MongoStore {
    /// The first document that fits.
    pub(super) async fn find(&self, name: &'static str, filter: Document) -> StoreResult<Option<Document>> {
        self.read(move |db| async move { Ok(db.collection(name).find_one(filter).await?) }).await
    }

    /// All documents that fit, in this order.
    pub(super) async fn find_all(
        &self,
        name: &'static str,
        filter: Document,
        sort: Document,
    ) -> StoreResult<Vec<Document>> {
        self.read(move |db| async move { Ok(db.collection(name).find(filter).sort(sort).await?.try_collect().await?) })
            .await
    }

    /// The first documents that fit, in this order.
    pub(super) async fn find_first(
        &self,
        name: &'static str,
        filter: Document,
        sort: Document,
        limit: i64,
    ) -> StoreResult<Vec<Document>> {
        self.read(move |db| async move {
            Ok(db.collection(name).find(filter).sort(sort).limit(limit).await?.try_collect().await?)
        })
        .await
    }

    /// The documents of a page, which begins where `from` fits, and how many fit `filter` on all pages.
    pub(super) async fn find_page(
        &self,
        name: &'static str,
        (filter, from): (Document, Document),
        sort: Document,
        limit: i64,
    ) -> StoreResult<(Vec<Document>, u64)> {
        self.read(move |db| async move {
            let collection: Collection<Document> = db.collection(name);
            let total = collection.count_documents(filter.clone()).await?;
            let found = collection.find(doc! { "$and": [filter, from] }).sort(sort).limit(limit).await?;
            Ok((found.try_collect().await?, total))
        })
        .await
    }
}
