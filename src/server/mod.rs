//! Everything that runs: HTTP, use cases, stores, authentication, imports. Dependencies point inwards: `http` → `app` → `ports` ← `sqlite`.

pub mod auth;
pub mod ports;
pub mod sqlite;
