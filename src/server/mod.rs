//! Everything that runs: HTTP, use cases, stores, authentication, imports. Dependencies point inwards: `http` → `app` → `ports` ← `sqlite`.

pub mod auth;
#[cfg(test)]
pub(crate) mod contract;
pub mod files;
pub mod ports;
pub mod sqlite;
