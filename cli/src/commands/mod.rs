//! One module per subcommand: its flags and one function that runs it. What a command means, the API decides.

pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod bench;
pub(crate) mod cabinet;
pub(crate) mod catalog;
pub(crate) mod client;
pub(crate) mod completions;
pub(crate) mod config;
mod imports;
pub(crate) mod keys;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod man;
pub(crate) mod medication;
mod paging;
pub(crate) mod pharmacy;
pub(crate) mod policy;
pub(crate) mod preflight;
pub(crate) mod restore;
pub(crate) mod routing;
pub(crate) mod site;
pub(crate) mod ticket;
pub(crate) mod tui;
pub(crate) mod up;
pub(crate) mod user;
pub(crate) mod ward;
pub(crate) mod whoami;
