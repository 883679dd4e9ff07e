//! What one run writes is never seen by the next: thousands of runs at random, on two threads, under memory pressure.

use super::*;
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const ROUNDS_PER_THREAD: usize = 1_500;
const GROWTH_PAGES_MAX: usize = 40;
const WRITES_MAX: usize = 30;

#[test]
fn no_run_sees_a_canary_of_another() {
    runs_see_the_image(&image(1, 4));
}

#[test]
fn no_run_sees_a_canary_of_another_over_a_base() {
    let base = image(1, 4);
    let memory = composed::memory_after(base.contents(), 1, [0, 9, 40, 63, 64, 70]);
    runs_see_the_image(&composed::composed(&base, &memory));
}

fn runs_see_the_image(image: &Arc<MemoryImage>) {
    let creator = SlotCreator::default();
    let done = AtomicBool::new(false);
    let all_passed = thread::scope(|scope| {
        scope.spawn(|| press(&done));
        let creator = &creator;
        let runs = [1, 2].map(|seed| scope.spawn(move || runs(creator, image, ChaCha20Rng::seed_from_u64(seed))));
        let passed = runs.map(|run| run.join().is_ok());
        done.store(true, Ordering::Relaxed);
        passed
    });
    assert_eq!(all_passed, [true, true]);
    assert!((1..=2).contains(&idle_slots(image)), "the runs shared their slots");
}

fn runs(creator: &SlotCreator, image: &Arc<MemoryImage>, mut random: ChaCha20Rng) {
    let mut pick = move |count: usize| random.next_u32() as usize % count;
    for round in 0..ROUNDS_PER_THREAD {
        let mut memory = memory(creator, Some(image));
        assert!(memory_bytes(&mut *memory) == image.contents(), "round {round} began with another's bytes");
        if pick(3) == 0 {
            memory.grow_to(image.bytes() + PAGE_BYTES * (1 + pick(GROWTH_PAGES_MAX))).unwrap();
        }
        let bytes = memory_bytes(&mut *memory);
        assert!(bytes[image.bytes()..].iter().all(|byte| *byte == 0), "round {round} grew into another's bytes");
        for _ in 0..pick(WRITES_MAX) {
            let at = pick(bytes.len());
            let end = bytes.len().min(at + 1 + pick(3 * PAGE_BYTES));
            bytes[at..end].fill(CANARY);
        }
    }
}

/// Takes memory from the kernel and gives it back, until told to stop.
fn press(done: &AtomicBool) {
    let mut bytes = 1 << 20;
    while !done.load(Ordering::Relaxed) {
        std::hint::black_box(vec![CANARY; bytes]);
        bytes = if bytes < 32 << 20 { 2 * bytes } else { 1 << 20 };
    }
}
