//! Tests of the shipped binary as its users meet it. One test binary, so that linking is paid once.
#![expect(clippy::unwrap_used, reason = "tests")]

mod common;
mod story;
