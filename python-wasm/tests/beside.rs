//! A run beside threads of the same process, or the same group of processes, that never rest: it gets its share.

#![allow(clippy::unwrap_used)] // A test may fail.

mod bench;
mod opened;
mod sandboxed;

use mecapy_model::{Kernels, LimitsRequest};
use sandboxed::{Call, LIMITS};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Some forty milliseconds of computing.
const SOURCE: &str = "\
def main(n):
    total = 0
    for number in range(n):
        total += number
    return total
";

#[test]
fn a_short_run_ends_in_time_beside_a_busy_thread_on_each_core() {
    let is_over = AtomicBool::new(false);
    let limits = LimitsRequest { timeout_ms: Some(5_000), ..LIMITS };
    let call = |n: u32| {
        let inputs = format!(r#"{{"n": {n}}}"#);
        let call = Call { source: Arc::from(SOURCE), inputs, files: Vec::new(), limits };
        call.submit(Kernels::Native).outcome()
    };
    // The interpreter is loaded before.
    call(1).result.unwrap();
    let outcomes: Vec<_> = thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().unwrap().get() {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let outcomes = (0..3).map(|_| call(250_000)).collect();
        is_over.store(true, Ordering::Relaxed);
        outcomes
    });
    for outcome in outcomes {
        let usage = outcome.usage;
        assert!(outcome.result.is_ok(), "{:?} after {} ms of the processor", outcome.result, usage.cpu_ms);
    }
}
