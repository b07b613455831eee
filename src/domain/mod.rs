//! The ticket domain: pure types and the one decision function. It must never do I/O, read a clock, or name an HTTP status.

pub mod actor;
pub mod apply;
pub mod code;
pub mod command;
pub mod control_class;
pub mod decide;
pub mod event;
pub mod facts;
pub mod gtin;
pub mod number;
pub mod permission;
pub mod quantity;
pub mod reason;
pub mod refusal;
pub mod routing;
pub mod substances;
pub mod text;
pub mod ticket;

#[cfg(test)]
mod tests;
