//! Wire types of the REST API, shared by server and client. No behaviour beyond parsing and conversion.

pub mod accounts;
