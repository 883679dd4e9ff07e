//! Products on several threads: each takes stripes of the result, one after the other, until none is left.
//!
//! A stripe's elements don't depend on who computes them, nor on where the stripes are cut: results are equal bit for bit,
//! however many threads there are.

use super::{
    Part,
    gemm::{Product, Room, Within, Work},
    scratch::with_scratch,
};
use crate::{Context, Host, MatMut, Scalar, Stop};
use std::{
    marker::PhantomData,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

/// Operations from which on other threads are asked to help: starting them takes about a tenth of that time.
const SHARED_FLOPS_MIN: u64 = 30_000_000;
/// The most stripes for each thread: those that end last have little left to wait for.
const STRIPES_EACH_MAX: usize = 4;
/// Columns that each stripe should have, since all of the left factor is packed anew for it.
const STRIPE_COLS: usize = 160;
/// Columns that each thread must have.
const THREAD_COLS_MIN: usize = 64;

/// How many stripes so many columns are cut into, as many for each thread. In a part of a matrix some have more to do than
/// others: there they are thinner.
fn stripes(cols: usize, threads: usize, part: Option<Part>) -> usize {
    let threads = threads.min(cols / THREAD_COLS_MIN).max(1);
    let stripe_cols = if part.is_some() { THREAD_COLS_MIN } else { STRIPE_COLS };
    threads * (cols / stripe_cols / threads).clamp(1, STRIPES_EACH_MAX)
}

impl<T: Scalar> Work<'_, '_, T> {
    /// A product into a result whose columns' elements are neighbours, with whatever threads the host has for it.
    pub(super) fn by_stripes(
        &mut self,
        product: Product<'_, T>,
        part: Option<Part>,
        mut c: MatMut<'_, T>,
    ) -> Result<(), Stop> {
        let elements = c.rows as u64 * c.cols as u64;
        let flops = elements.saturating_mul(T::FLOPS.saturating_mul(product.a.cols as u64));
        let threads = if flops < SHARED_FLOPS_MIN { 1 } else { self.cx.crew().map_or(1, |crew| crew.threads()) };
        let within = Within { part, left: 0 };
        if threads < 2 || c.row_step != 1 || c.cols < 2 * THREAD_COLS_MIN {
            return self.by_blocks(product, within, c);
        }
        let count = stripes(c.cols, threads, part);
        let cols = c.cols.div_ceil(count);
        let (room, seats) = (Room::of::<T>((c.rows, cols), product.a.cols), threads.min(count));
        let shared = with_scratch(self.cx, room.len() * seats, |cx, to: *mut T| {
            let stripes = Stripes::new(product, part, (c.reborrow(), cols));
            let seats = Seats { first: to, room, count: seats, taken: AtomicUsize::new(0) };
            let instructions = cx.instructions();
            let job = |host: &mut dyn Host| {
                let Some((mut cx, seat)) = Context::new(host, instructions).zip(seats.take()) else { return Ok(()) };
                stripes.work_off(&mut Work::in_room(&mut cx, room, seat))
            };
            cx.crew().map_or(Err(Stop::Declined), |crew| crew.together(&job))
        });
        match shared {
            // No memory for other threads, and nothing done so far.
            Err(Stop::Declined) => self.by_blocks(product, within, c),
            done => done,
        }
    }
}

/// Scratch memory for each thread.
struct Seats<T> {
    first: *mut T,
    room: Room,
    count: usize,
    taken: AtomicUsize,
}

// SAFETY: each seat is handed out once.
unsafe impl<T: Send> Sync for Seats<T> {}

impl<T> Seats<T> {
    fn take(&self) -> Option<*mut T> {
        let seat = self.taken.fetch_add(1, Relaxed);
        (seat < self.count).then(|| self.first.wrapping_add(seat * self.room.len()))
    }
}

/// A product whose result is handed out stripe by stripe.
struct Stripes<'m, T> {
    product: Product<'m, T>,
    part: Option<Part>,
    first: *mut T,
    /// Rows and columns of the result.
    size: (usize, usize),
    col_step: isize,
    /// Columns of a stripe.
    cols: usize,
    next: AtomicUsize,
    result: PhantomData<MatMut<'m, T>>,
}

// SAFETY: the factors are only read, and no stripe of the result is handed out twice.
unsafe impl<T: Scalar> Sync for Stripes<'_, T> {}

impl<'m, T: Scalar> Stripes<'m, T> {
    fn new(product: Product<'m, T>, part: Option<Part>, (mut c, cols): (MatMut<'m, T>, usize)) -> Self {
        assert!(c.row_step == 1, "a result whose columns are not cut");
        let (first, size, col_step) = (c.first(), (c.rows, c.cols), c.col_step);
        Self { product, part, first, size, col_step, cols, next: AtomicUsize::new(0), result: PhantomData }
    }

    /// Takes stripes until none is left.
    fn work_off(&self, work: &mut Work<'_, '_, T>) -> Result<(), Stop> {
        let (rows, all_cols) = self.size;
        loop {
            let left = self.next.fetch_add(1, Relaxed).saturating_mul(self.cols);
            if left >= all_cols {
                return Ok(());
            }
            let cols = self.cols.min(all_cols - left);
            let first = self.first.wrapping_offset(left as isize * self.col_step);
            // SAFETY: the columns `left..left + cols` of the result, which are handed out here alone.
            let c = unsafe { MatMut::from_raw(first, (rows, cols), (1, self.col_step)) };
            let b = self.product.b.part((0, left), (self.product.b.rows, cols));
            work.by_blocks(Product { b, ..self.product }, Within { part: self.part, left }, c)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_as_many_stripes_and_none_is_thin() {
        let rows = [(128, 2, 2), (300, 2, 2), (600, 2, 2), (700, 2, 4), (3_000, 2, 8), (300, 64, 4), (3_000, 16, 16)];
        for (cols, threads, expected) in rows {
            assert_eq!(stripes(cols, threads, None), expected, "{cols} {threads}");
        }
        assert_eq!(stripes(600, 2, Some(Part::Upper)), 8);
    }
}
