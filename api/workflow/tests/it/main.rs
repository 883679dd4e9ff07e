//! The engine in a simulated world: a store with compare-and-set, tasks that complete, fail and are lost by script, and
//! an inbox that delivers at least once and in any order.

mod computed;
mod disturbed;
mod fan_out;
mod fixtures;
mod reference;
mod semantics;
mod world;
