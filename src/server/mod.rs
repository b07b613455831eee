//! Everything that runs: HTTP, use cases, stores, authentication, imports. Dependencies point inwards: `http` → `app` → `ports` ← `sqlite`, `mongo`.

pub mod app;
pub mod auth;
pub mod catalog;
pub mod config;
#[cfg(test)]
pub(crate) mod contract;
pub mod demo;
pub mod files;
pub mod gateway;
mod hex;
pub mod http;
pub mod kafka;
pub mod mongo;
pub mod node;
pub mod ports;
pub mod sqlite;
pub mod stack;
pub(crate) mod stored;
pub mod up;
