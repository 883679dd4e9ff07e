//! Runs the parser where it can do no harm: with stack enough for its recursion, and its panics caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Stack for the deepest tree that is let through, bytes; only what is touched becomes memory.
const STACK_BYTES: usize = 128 << 20;

/// The longest faulty source whose tree is dropped on the caller's own stack, bytes.
const DROPPED_INLINE_BYTES_MAX: usize = 2 << 10;

/// The answer of `check`, or nothing where it panicked.
pub(super) fn caught<T>(check: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(check)).ok()
}

/// As [`caught`], on a thread of its own with a large stack.
pub(super) fn on_large_stack<T: Send>(check: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("analysis".to_owned()).stack_size(STACK_BYTES);
        thread.spawn_scoped(scope, check).ok()?.join().ok()
    })
}

/// Drops a tree that the parser made of a faulty source: it may nest deeper than the tokens showed.
pub(super) fn drop_large<T: Send>(tree: T, source_bytes: usize) {
    if source_bytes > DROPPED_INLINE_BYTES_MAX {
        on_large_stack(move || drop(tree));
    }
}
