//! The pharmacist's console, on the typed client only. It must never act on a row's index: the cursor holds a ticket's id.

mod model;
mod run;
mod view;

pub use run::run;
