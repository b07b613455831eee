//! The catalogue: what makers register, as their directories print it. It must never block a ticket, nor show half an import.
//!
//! It lives in a file of its own, `catalog.db` beside `medreq.db`, with its own write connection: an import of a whole
//! directory is one transaction of many seconds, and SQLite has one writer a file. In WAL mode readers keep the snapshot
//! from before until that transaction commits. Nothing refers to this file by row: medications name products by
//! [`ProductRef`](crate::server::ports::ProductRef), so it can be rebuilt from the directories' files at any time.
//!
//! Three formats are read, recognised by the names in their first line (see [`mod@format`] and [`encoding`]):
//! the FDA's NDC product file and package file (tab-separated), and ANVISA's open-data CSV (semicolons).

pub mod adopt;
mod anvisa;
pub mod encoding;
mod fda;
pub mod format;
mod forms;
mod import;
pub(super) mod lines;
pub mod packages;
mod pool;
pub mod product;
mod search;
mod store;
mod wire;

pub use self::{
    adopt::AdoptCandidate,
    encoding::Encoding,
    format::Format,
    import::{BAD_ROWS_MAX, BadRow, ImportError, ImportOptions, ImportReport, Progress},
    product::{Directory, PackageLevel, Product, ProductPackage, Status},
    search::CatalogQuery,
    store::{CATALOG_FILE, CatalogStore},
};

#[cfg(test)]
mod tests;
