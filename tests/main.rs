//! Tests of the shipped binary as its users meet it. One test binary, so that linking is paid once.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod bad_input;
mod cases;
mod common;
mod config;
mod crash;
mod erasure;
mod foreign;
mod gateway;
mod login;
mod operations;
mod permissions;
mod reference;
mod sign_in;
mod stack;
mod story;
mod tls;
mod tokens;
