//! Packing: the factors of a product laid out in the order in which the micro-kernel reads them.

use super::instructions::{Arithmetic, Task};
use crate::{Mat, Scalar};

/// Packs `view` into panels of `width` rows each. A panel holds, for each column in turn, its `width` elements; rows beyond
/// the matrix are zeros. `to` has room for all panels.
pub(super) struct Pack<'m, T> {
    pub(super) view: Mat<'m, T>,
    pub(super) width: usize,
    pub(super) to: *mut T,
}

impl<T: Scalar> Task for Pack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        match self.width {
            2 => pack::<T, 2>(self),
            4 => pack::<T, 4>(self),
            6 => pack::<T, 6>(self),
            12 => pack::<T, 12>(self),
            24 => pack::<T, 24>(self),
            width => unreachable!("no micro-kernel has panels of {width}"),
        }
    }
}

#[inline(always)]
fn pack<T: Scalar, const W: usize>(Pack { view, to, .. }: Pack<'_, T>) {
    let depth = view.cols;
    for (panel, row) in (0..view.rows).step_by(W).enumerate() {
        let first = view.first().wrapping_offset(row as isize * view.row_step);
        // SAFETY: the caller's room for all panels.
        let to = unsafe { to.add(panel * W * depth) };
        let rows = W.min(view.rows - row);
        // SAFETY: `rows` by `depth` elements from `first` are the view's.
        unsafe {
            if rows < W {
                pack_edge::<T, W>((first, view.row_step, view.col_step), (rows, depth), to);
            } else if view.row_step == 1 {
                pack_columns::<T, W>((first, view.col_step), depth, to);
            } else if view.col_step == 1 {
                pack_rows::<T, W>((first, view.row_step), depth, to);
            } else {
                pack_edge::<T, W>((first, view.row_step, view.col_step), (W, depth), to);
            }
        }
        if view.is_conjugated {
            // SAFETY: what was just written.
            let packed = unsafe { std::slice::from_raw_parts_mut(to, W * depth) };
            packed.iter_mut().for_each(|value| *value = value.conj());
        }
    }
}

/// Each column's elements are neighbours.
#[inline(always)]
unsafe fn pack_columns<T: Scalar, const W: usize>((first, step): (*const T, isize), depth: usize, to: *mut T) {
    for col in 0..depth {
        // SAFETY: the caller's promise.
        unsafe {
            let from = first.offset(col as isize * step).cast::<[T; W]>();
            *to.add(col * W).cast::<[T; W]>() = *from;
        }
    }
}

/// Each row's elements are neighbours.
#[inline(always)]
unsafe fn pack_rows<T: Scalar, const W: usize>((first, step): (*const T, isize), depth: usize, to: *mut T) {
    for col in 0..depth {
        for row in 0..W {
            // SAFETY: the caller's promise.
            unsafe { *to.add(col * W + row) = *first.offset(row as isize * step + col as isize) };
        }
    }
}

/// Any steps, and fewer rows than the panel has.
#[inline(always)]
unsafe fn pack_edge<T: Scalar, const W: usize>(
    (first, row_step, col_step): (*const T, isize, isize),
    (rows, depth): (usize, usize),
    to: *mut T,
) {
    for col in 0..depth {
        for row in 0..W {
            // SAFETY: the caller's promise; rows beyond the matrix are not read.
            unsafe {
                let at = first.wrapping_offset(row as isize * row_step + col as isize * col_step);
                *to.add(col * W + row) = if row < rows { *at } else { T::ZERO };
            }
        }
    }
}
