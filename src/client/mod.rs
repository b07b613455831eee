//! The typed REST client: what the CLI, the console and other Rust programs use. Knows the wire, never a store.
