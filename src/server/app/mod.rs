//! Use cases: what callers may do with tickets, places, medications and imports. Names no HTTP status and no SQL.

pub mod catalog;
pub mod checks;
pub mod imports;
pub mod medications;
pub mod reference;
mod wire;
