//! medreq: medication-replenishment tickets for hospitals. Holds no entry point of its own: the binary lives in `cli/`.

pub mod api;
pub mod client;
pub mod domain;
#[cfg(feature = "server")]
pub mod server;
