//! Products of matrices, by blocks: both factors are packed into panels that stay in the caches, and a micro-kernel holds a
//! tile of the result in registers. What a result's element is depends on the depth of the product alone.

use super::{
    Part,
    instructions::run,
    micro::{Micro, Panels, TILE_LEN, Target},
    pack::Pack,
    scratch::with_scratch,
};
use crate::{Context, Instructions, Mat, MatMut, Scalar, Stop, WORK_FLOPS_MAX};
use std::{mem::MaybeUninit, ops::Range};

/// `alpha a b + beta c`, of which c is written. Where beta is zero, c is not read.
#[derive(Debug, Clone, Copy)]
pub struct Product<'m, T> {
    pub alpha: T,
    pub a: Mat<'m, T>,
    pub b: Mat<'m, T>,
    pub beta: T,
}

/// The product of an m×k and a k×n matrix into the m×n matrix `c`.
pub fn gemm<T: Scalar>(cx: &mut Context<'_>, product: Product<'_, T>, c: MatMut<'_, T>) -> Result<(), Stop> {
    let sizes = (c.rows.max(c.cols), product.a.cols);
    with_work(cx, sizes, |work| work.gemm(product, None, c))
}

/// The same into one part of a square `c`: the other part is neither read nor written.
pub fn gemm_part<T: Scalar>(
    cx: &mut Context<'_>,
    part: Part,
    product: Product<'_, T>,
    c: MatMut<'_, T>,
) -> Result<(), Stop> {
    assert!(c.rows == c.cols, "a part of a matrix that is not square");
    let sizes = (c.rows, product.a.cols);
    with_work(cx, sizes, |work| work.gemm(product, Some(part), c))
}

/// The steps of a product between two updates of the result.
const DEPTH_MAX: usize = 256;
/// Packed rows of `a`, in bytes for each step: with `DEPTH_MAX` steps they fill three quarters of a second-level cache.
const A_BYTES: usize = 192 * 8;
/// Packed columns of `b`, in bytes for each step.
const B_BYTES: usize = 1024 * 8;

/// Rows of `a` that the micro-kernel takes at a time, and columns of `b`.
const fn tile_size<T: Scalar>() -> (usize, usize) {
    let reals = if T::IS_COMPLEX { 2 } else { 1 };
    (T::Real::ROWS / reals, T::Real::COLS / reals)
}

const fn rows_max<T: Scalar>() -> usize {
    A_BYTES / size_of::<T>()
}

const fn cols_max<T: Scalar>() -> usize {
    B_BYTES / size_of::<T>()
}

/// The size of blocks that cut `size` as evenly as multiples of `unit` can, of at most `max` each, which is such a multiple.
fn even(size: usize, max: usize, unit: usize) -> usize {
    let blocks = size.div_ceil(max).max(1);
    size.div_ceil(blocks).next_multiple_of(unit).max(unit)
}

/// The room for packed panels, made once for each call from outside, with what the call works under.
pub(super) struct Work<'c, 'h, T> {
    pub(super) cx: &'c mut Context<'h>,
    a: *mut T,
    a_len: usize,
    b: *mut T,
    b_len: usize,
}

/// Makes room for products whose results have at most `size` rows and columns, and whose depth is at most `depth`.
pub(super) fn with_work<T: Scalar, R>(
    cx: &mut Context<'_>,
    (size, depth): (usize, usize),
    within: impl FnOnce(&mut Work<'_, '_, T>) -> Result<R, Stop>,
) -> Result<R, Stop> {
    let room = Room::of::<T>((size, size), depth);
    with_scratch(cx, room.len(), |cx, to: *mut T| within(&mut Work::in_room(cx, room, to)))
}

/// How many numbers there is room for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    a_len: usize,
    b_len: usize,
}

impl Room {
    /// For results of so many rows and columns at most.
    pub(super) fn of<T: Scalar>((rows, cols): (usize, usize), depth: usize) -> Self {
        let (tile_rows, tile_cols) = tile_size::<T>();
        let depth = depth.min(DEPTH_MAX);
        let a_len = rows.min(rows_max::<T>()).next_multiple_of(tile_rows) * depth;
        let b_len = cols.min(cols_max::<T>()).next_multiple_of(tile_cols) * depth;
        Self { a_len, b_len }
    }

    /// Panels begin at cache lines.
    pub(super) fn len(self) -> usize {
        self.a_len.next_multiple_of(64) + self.b_len.next_multiple_of(64)
    }
}

impl<'c, 'h, T: Scalar> Work<'c, 'h, T> {
    /// Work with [`Room::len`] numbers of scratch memory.
    pub(super) fn in_room(cx: &'c mut Context<'h>, room: Room, to: *mut T) -> Self {
        let b = to.wrapping_add(room.a_len.next_multiple_of(64));
        Self { cx, a: to, a_len: room.a_len, b, b_len: room.b_len }
    }

    pub(super) fn instructions(&self) -> Instructions {
        self.cx.instructions()
    }

    /// As [`gemm`], or [`gemm_part`] where `part` is given.
    pub(super) fn gemm(&mut self, product: Product<'_, T>, part: Option<Part>, c: MatMut<'_, T>) -> Result<(), Stop> {
        let Product { alpha, a, b, beta } = product;
        assert!(a.rows == c.rows && b.cols == c.cols && a.cols == b.rows, "a product of matrices that don't fit");
        if c.row_step != 1 && c.col_step == 1 {
            let product = Product { alpha, a: b.t(), b: a.t(), beta };
            return self.by_stripes(product, part.map(Part::t), c.t());
        }
        self.by_stripes(product, part, c)
    }

    /// On one thread.
    pub(super) fn by_blocks(
        &mut self,
        product: Product<'_, T>,
        within: Within,
        mut c: MatMut<'_, T>,
    ) -> Result<(), Stop> {
        let Product { alpha, a, b, beta } = product;
        let depth = if alpha == T::ZERO { 0 } else { a.cols };
        if c.rows == 0 || c.cols == 0 {
            return Ok(());
        }
        if depth == 0 || (beta != T::ZERO && beta != T::ONE) {
            scale(self.cx, beta, within, c.reborrow())?;
        }
        let (tile_rows, tile_cols) = tile_size::<T>();
        let rows_max = even(c.rows, rows_max::<T>(), tile_rows);
        let cols_max = even(c.cols, cols_max::<T>(), tile_cols);
        let steps_max = even(depth, DEPTH_MAX, 4);
        for col in (0..c.cols).step_by(cols_max) {
            let cols = cols_max.min(c.cols - col);
            for step in (0..depth).step_by(steps_max) {
                let steps = steps_max.min(depth - step);
                let packed = b.part((step, col), (steps, cols)).t();
                self.pack_b(packed)?;
                let is_new = step == 0 && beta == T::ZERO;
                for row in (0..c.rows).step_by(rows_max) {
                    let rows = rows_max.min(c.rows - row);
                    let part = within.part;
                    let block = Block { alpha, steps, is_new, part, at: (row, within.left + col) };
                    if block.cover(block.at, (rows, cols)) == Cover::None {
                        continue;
                    }
                    let target = c.reborrow().part((row, col), (rows, cols));
                    self.block(a.part((row, step), (rows, steps)), block, target)?;
                }
            }
        }
        Ok(())
    }

    fn pack_b(&mut self, view: Mat<'_, T>) -> Result<(), Stop> {
        let (_, width) = tile_size::<T>();
        assert!(view.rows.next_multiple_of(width) * view.cols <= self.b_len, "no room for a factor");
        self.cx.work((view.rows * view.cols) as u64)?;
        run(self.instructions(), Pack { view, width, to: self.b });
        Ok(())
    }

    /// The product of some rows of `a` and the packed columns of `b`.
    fn block(&mut self, view: Mat<'_, T>, block: Block<T>, mut target: MatMut<'_, T>) -> Result<(), Stop> {
        let (tile_rows, tile_cols) = tile_size::<T>();
        assert!(view.rows.next_multiple_of(tile_rows) * view.cols <= self.a_len, "no room for a factor");
        let flops_a_column = T::FLOPS * (view.rows * view.cols) as u64;
        let columns_max = ((WORK_FLOPS_MAX / 4 / flops_a_column.max(1)) as usize).max(1).next_multiple_of(tile_cols);
        for col in (0..target.cols).step_by(columns_max) {
            let cols = columns_max.min(target.cols - col);
            self.cx.work(flops_a_column * cols as u64 + (view.rows * view.cols) as u64)?;
            if col == 0 {
                run(self.instructions(), Pack { view, width: tile_rows, to: self.a });
            }
            let rows = target.rows;
            let block = Block { at: (block.at.0, block.at.1 + col), ..block };
            let packed = (self.a.cast_const(), self.b.wrapping_add(col * block.steps).cast_const());
            block.tiles(self.instructions(), packed, target.reborrow().part((0, col), (rows, cols)));
        }
        Ok(())
    }
}

/// What is done with the product of packed panels.
#[derive(Debug, Clone, Copy)]
struct Block<T> {
    alpha: T,
    steps: usize,
    /// Whether the result is written rather than added to.
    is_new: bool,
    part: Option<Part>,
    /// Where the block lies in the whole result.
    at: (usize, usize),
}

impl<T: Scalar> Block<T> {
    fn tiles(self, instructions: Instructions, (a, b): (*const T, *const T), mut target: MatMut<'_, T>) {
        let (tile_rows, tile_cols) = tile_size::<T>();
        let first = target.first();
        let is_direct = target.row_step == 1;
        for col in (0..target.cols).step_by(tile_cols) {
            let cols = tile_cols.min(target.cols - col);
            let b = b.wrapping_add(col * self.steps).cast::<T::Real>();
            for row in (0..target.rows).step_by(tile_rows) {
                let rows = tile_rows.min(target.rows - row);
                let cover = self.cover((self.at.0 + row, self.at.1 + col), (rows, cols));
                if cover == Cover::None {
                    continue;
                }
                let a = a.wrapping_add(row * self.steps).cast::<T::Real>();
                let panels = Panels { depth: self.steps, a, a_step: T::Real::ROWS, b };
                if is_direct && cover == Cover::All && rows == tile_rows && cols == tile_cols {
                    let first = first.wrapping_offset(row as isize + col as isize * target.col_step);
                    let tile = Target { first, step: target.col_step, is_new: self.is_new };
                    // SAFETY: the panels were packed for this, and the tile is within the target.
                    unsafe { T::update(instructions, panels, self.alpha, tile) };
                } else {
                    let tile = target.reborrow().part((row, col), (rows, cols));
                    self.by_way_of_a_tile(instructions, panels, tile, (row, col));
                }
            }
        }
    }

    /// Computes a full tile aside, and takes what the target has room for.
    fn by_way_of_a_tile(
        self,
        instructions: Instructions,
        panels: Panels<T::Real>,
        target: MatMut<'_, T>,
        (row, col): (usize, usize),
    ) {
        let mut tile = [const { MaybeUninit::uninit() }; TILE_LEN];
        let (rows, _) = tile_size::<T>();
        let aside = Target { first: tile.as_mut_ptr().cast::<T>(), step: rows as isize, is_new: true };
        // SAFETY: the panels were packed for this, and a tile has `TILE_LEN` numbers at most.
        unsafe { T::update(instructions, panels, T::ONE, aside) };
        let at = (self.at.0 + row, self.at.1 + col);
        run(instructions, Unpack { tile: &tile, target, block: self, at });
    }

    fn cover(self, (row, col): (usize, usize), (rows, cols): (usize, usize)) -> Cover {
        let (any, all) = match self.part {
            None => (true, true),
            Some(Part::Upper) => (row < col + cols, row + rows <= col + 1),
            Some(Part::Lower) => (row + rows > col, row + 1 >= col + cols),
        };
        match (any, all) {
            (false, _) => Cover::None,
            (true, false) => Cover::Some,
            (true, true) => Cover::All,
        }
    }
}

/// How much of a tile belongs to the part that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cover {
    None,
    Some,
    All,
}

struct Unpack<'t, T: Scalar> {
    /// A full tile by columns.
    tile: &'t [MaybeUninit<T>; TILE_LEN],
    target: MatMut<'t, T>,
    block: Block<T>,
    at: (usize, usize),
}

impl<T: Scalar> super::instructions::Task for Unpack<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<A: super::instructions::Arithmetic>(mut self) {
        let Block { alpha, is_new, part, .. } = self.block;
        let (tile_rows, _) = tile_size::<T>();
        for col in 0..self.target.cols {
            for row in 0..self.target.rows {
                if part.is_some_and(|part| !part.has(self.at.0 + row, self.at.1 + col)) {
                    continue;
                }
                // SAFETY: a full tile was computed.
                let product = unsafe { self.tile.get_unchecked(row + col * tile_rows).assume_init_read() };
                let value = match is_new {
                    true if !T::IS_COMPLEX => alpha * product,
                    true => A::mul_add(alpha, product, T::ZERO),
                    false => A::mul_add(alpha, product, self.target.get(row, col)),
                };
                self.target.set(row, col, value);
            }
        }
    }
}

/// Which elements of some columns are meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Within {
    /// Those of this part of the whole that the columns belong to, or all.
    pub(super) part: Option<Part>,
    /// The number of the first column in the whole.
    pub(super) left: usize,
}

impl Within {
    pub(super) const ALL: Self = Self { part: None, left: 0 };

    /// In a column of so many rows.
    fn rows(self, col: usize, rows: usize) -> Range<usize> {
        match self.part {
            None => 0..rows,
            Some(Part::Upper) => 0..rows.min(self.left + col + 1),
            Some(Part::Lower) => rows.min(self.left + col)..rows,
        }
    }
}

/// `c := beta c`, or zeros without reading c where beta is zero.
pub(super) fn scale<T: Scalar>(
    cx: &mut Context<'_>,
    beta: T,
    within: Within,
    mut c: MatMut<'_, T>,
) -> Result<(), Stop> {
    if c.row_step != 1 && c.col_step == 1 && within.part.is_none() {
        return scale(cx, beta, within, c.t());
    }
    if beta == T::ONE {
        return Ok(());
    }
    if within.part.is_none() && c.rows > PIECE {
        let half = c.rows / 2;
        let (upper, lower) = c.split_rows(half);
        scale(cx, beta, within, upper)?;
        return scale(cx, beta, within, lower);
    }
    let columns_max = (PIECE / c.rows.max(1)).max(1);
    for col in 0..c.cols {
        if col % columns_max == 0 {
            cx.work((columns_max.min(c.cols - col) * c.rows) as u64)?;
        }
        for row in within.rows(col, c.rows) {
            let value = if beta == T::ZERO { T::ZERO } else { beta * c.get(row, col) };
            c.set(row, col, value);
        }
    }
    Ok(())
}

/// Elements that are read or written in a piece of work that is bound by memory.
pub(super) const PIECE: usize = 1 << 20;
