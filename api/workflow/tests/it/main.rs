//! The engine in a simulated world: a store with compare-and-set, tasks that complete, fail and are lost by script, and
//! an inbox that delivers at least once and in any order.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's own helpers fail the test by panicking; only #[test] functions are exempt by themselves"
)]

mod computed;
mod disturbed;
mod fan_out;
mod fixtures;
mod reference;
mod semantics;
mod world;
