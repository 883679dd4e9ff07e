//! Products on several threads.

use super::*;
use crate::{
    Crew, Job, Stop, WORK_FLOPS_MAX,
    dense::{Product, gemm, gemm_part},
};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A host with threads of its own.
#[derive(Default)]
struct Threaded {
    /// How many there are said to be, and how many there are.
    said: usize,
    are: usize,
    scratch_max: u64,
    /// Pieces after which the work is interrupted.
    pieces_max: u64,
    flops: AtomicU64,
    pieces: AtomicU64,
    shared: u64,
}

struct Hand<'t>(&'t Threaded);

impl Threaded {
    fn new(said: usize, are: usize) -> Self {
        Self { said, are, scratch_max: u64::MAX, pieces_max: u64::MAX, ..Self::default() }
    }

    fn count(&self, flops: u64) -> Result<(), Stop> {
        assert!(flops <= WORK_FLOPS_MAX);
        self.flops.fetch_add(flops, SeqCst);
        if self.pieces.fetch_add(1, SeqCst) < self.pieces_max { Ok(()) } else { Err(Stop::Interrupted) }
    }
}

impl Host for Hand<'_> {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.0.count(flops)
    }

    fn reserve(&mut self, _bytes: u64) -> Result<(), Stop> {
        Err(Stop::Declined)
    }

    fn release(&mut self, _bytes: u64) {}
}

impl Host for Threaded {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.count(flops)
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        if bytes <= self.scratch_max { Ok(()) } else { Err(Stop::Declined) }
    }

    fn release(&mut self, _bytes: u64) {}

    fn crew(&mut self) -> Option<&mut dyn Crew> {
        Some(self)
    }
}

impl Crew for Threaded {
    fn threads(&self) -> usize {
        self.said
    }

    fn together(&mut self, job: &Job<'_>) -> Result<(), Stop> {
        self.shared += 1;
        let this = &*self;
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..this.are).map(|_| scope.spawn(|| job(&mut Hand(this)))).collect();
            let first = job(&mut Hand(this));
            others.into_iter().map(|other| other.join().unwrap()).fold(first, Result::and)
        })
    }
}

/// A product of some size into a matrix, or into a part of it.
fn product<T: Number>(host: &mut dyn Host, part: Option<Part>, n: usize, by_rows: bool) -> (Result<(), Stop>, Vec<T>) {
    let draw = &mut Draw::new(3);
    let (a, b) = (Owned::<T>::draw_columns(draw, (n, n)), Owned::<T>::draw_columns(draw, (n, n)));
    let mut c = Owned::<T>::draw_columns(draw, (n, n));
    let product = Product { alpha: T::of(0.5, 0.25), a: a.mat(), b: b.mat(), beta: T::of(0.5, 0.0) };
    let view = if by_rows { c.view().t() } else { c.view() };
    let done = on_host(host, Instructions::default(), |cx| match part {
        Some(part) => gemm_part(cx, part, product, view),
        None => gemm(cx, product, view),
    });
    c.assert_gaps();
    (done, c.values())
}

fn equal_bits<T: Number>() {
    let n = if T::IS_COMPLEX { 260 } else { 410 };
    for (part, by_rows) in [(None, false), (None, true), (Some(Part::Upper), false), (Some(Part::Lower), true)] {
        let (done, alone) = product::<T>(&mut Unlimited, part, n, by_rows);
        done.unwrap();
        let mut flops = Vec::new();
        for (said, are) in [(2, 2), (2, 1), (3, 3), (3, 1), (16, 4)] {
            let mut host = Threaded::new(said, are);
            let (done, values) = product::<T>(&mut host, part, n, by_rows);
            done.unwrap();
            assert_eq!(host.shared, 1, "{said}");
            assert!(bits(&values) == bits(&alone), "{part:?} by {said} threads");
            flops.push((said, host.flops.into_inner()));
        }
        // What is charged goes by the threads that were asked for, not by those that there are.
        assert_eq!((flops[0].1, flops[2].1), (flops[1].1, flops[3].1));
    }
}

for_all_numbers! {
    threads_change_no_bit => equal_bits,
}

#[test]
fn a_small_product_asks_for_no_threads() {
    let mut host = Threaded::new(4, 4);
    product::<f64>(&mut host, None, 200, false).0.unwrap();
    assert_eq!(host.shared, 0);
}

#[test]
fn without_memory_for_others_one_thread_does_it() {
    // What one thread needs, and no more.
    let mut host = Threaded { scratch_max: 3_000_000, ..Threaded::new(64, 2) };
    let (done, values) = product::<f64>(&mut host, None, 500, false);
    done.unwrap();
    assert_eq!(host.shared, 0);
    assert!(bits(&values) == bits(&product::<f64>(&mut Unlimited, None, 500, false).1));
}

#[test]
fn an_interruption_of_any_thread_ends_all() {
    for pieces_max in [0, 1, 5, 20] {
        let mut host = Threaded { pieces_max, ..Threaded::new(2, 2) };
        assert_eq!(product::<f64>(&mut host, None, 700, false).0, Err(Stop::Interrupted));
    }
}
