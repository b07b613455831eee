//! Tests of the decision as users would notice it: who may do what, when, and what is refused with which code.
#![expect(clippy::unwrap_used, reason = "tests")]

mod asking;
mod delivering;
mod pausing;
mod permissions;
mod picking;
mod queueing;
mod routing;
mod sequences;
mod support;
mod transitions;
