//! The innermost loop of every product: a tile of `ROWS` by `COLS` real numbers, held in registers while `depth` outer
//! products are added to it.

use crate::Instructions;

/// Two packed panels: for each step of `depth` there are `ROWS` numbers of `a` and `COLS` numbers of `b`.
#[derive(Debug, Clone, Copy)]
pub struct Panels<R> {
    pub(super) depth: usize,
    pub(super) a: *const R,
    pub(super) b: *const R,
}

/// A full tile of the result by columns that are `step` apart.
#[derive(Debug, Clone, Copy)]
pub struct Target<R> {
    pub(super) first: *mut R,
    pub(super) step: isize,
    /// Whether what is there is left out, and not read.
    pub(super) is_new: bool,
}

/// The numbers that products are computed in: `f32` and `f64`.
pub trait Micro: Copy + Default {
    const ROWS: usize;
    const COLS: usize;

    /// Adds `alpha` times the panels' product to the target.
    ///
    /// # Safety
    /// The panels have `depth` steps, the target is writable, and the machine has the instructions.
    unsafe fn update(instructions: Instructions, panels: Panels<Self>, alpha: Self, target: Target<Self>);
}

/// The most numbers of a tile.
pub(super) const TILE_LEN: usize = 96;

/// Multiplies panels without vector instructions of its own: columns of `$part` rows at a time stay in registers.
macro_rules! portable {
    ($name:ident, $real:ty, $part:literal) => {
        unsafe fn $name(panels: Panels<$real>, alpha: $real, target: Target<$real>) {
            const ROWS: usize = <$real as Micro>::ROWS;
            const COLS: usize = <$real as Micro>::COLS;
            for row in (0..ROWS).step_by($part) {
                let mut sums = [[0.0; $part]; COLS];
                for step in 0..panels.depth {
                    // SAFETY: the panels have `depth` steps of `ROWS` and `COLS` numbers.
                    let (a, b) = unsafe {
                        let a = panels.a.add(step * ROWS + row).cast::<[$real; $part]>();
                        (*a, *panels.b.add(step * COLS).cast::<[$real; COLS]>())
                    };
                    for (sums, b) in sums.iter_mut().zip(b) {
                        for (sum, a) in sums.iter_mut().zip(a) {
                            *sum += a * b;
                        }
                    }
                }
                for (col, sums) in sums.iter().enumerate() {
                    for (sum, row) in sums.iter().zip(row..) {
                        // SAFETY: within the tile, which is writable.
                        unsafe {
                            let at = target.first.offset(col as isize * target.step + row as isize);
                            *at = if target.is_new { alpha * sum } else { *at + alpha * sum };
                        }
                    }
                }
            }
        }
    };
}

portable!(portable_f64, f64, 4);
portable!(portable_f32, f32, 8);

/// Three vectors of rows by four columns: twelve sums, three vectors of `a` and one of `b` fill the sixteen registers.
#[cfg(target_arch = "x86_64")]
macro_rules! avx2 {
    ($name:ident, $real:ty, $lanes:literal, $zero:ident, $load:ident, $store:ident, $splat:ident, $fma:ident, $mul:ident) => {
        #[target_feature(enable = "avx2,fma")]
        unsafe fn $name(panels: Panels<$real>, alpha: $real, target: Target<$real>) {
            use std::arch::x86_64::*;
            const ROWS: usize = <$real as Micro>::ROWS;
            const COLS: usize = <$real as Micro>::COLS;
            let Panels { mut depth, mut a, mut b } = panels;
            let mut sums = [[$zero(); 3]; COLS];
            // SAFETY: the panels have `depth` steps of `ROWS` and `COLS` numbers, and the target is writable. A prefetch
            // reads nothing.
            unsafe {
                for col in 0..COLS as isize {
                    let at = target.first.wrapping_offset(col * target.step);
                    _mm_prefetch::<_MM_HINT_T0>(at.cast());
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(ROWS - 1).cast());
                }
                macro_rules! step {
                    ($at:literal) => {
                        let rows = [
                            $load(a.add($at * ROWS)),
                            $load(a.add($at * ROWS + $lanes)),
                            $load(a.add($at * ROWS + 2 * $lanes)),
                        ];
                        for col in 0..COLS {
                            let factor = $splat(&*b.add($at * COLS + col));
                            for part in 0..3 {
                                sums[col][part] = $fma(rows[part], factor, sums[col][part]);
                            }
                        }
                    };
                }
                while depth >= 4 {
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast());
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast::<u8>().wrapping_add(64).cast());
                    step!(0);
                    step!(1);
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast::<u8>().wrapping_add(128).cast());
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast::<u8>().wrapping_add(192).cast());
                    step!(2);
                    step!(3);
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast::<u8>().wrapping_add(256).cast());
                    _mm_prefetch::<_MM_HINT_T0>(a.wrapping_add(16 * ROWS).cast::<u8>().wrapping_add(320).cast());
                    (a, b, depth) = (a.add(4 * ROWS), b.add(4 * COLS), depth - 4);
                }
                while depth > 0 {
                    step!(0);
                    (a, b, depth) = (a.add(ROWS), b.add(COLS), depth - 1);
                }
                let alpha = $splat(&alpha);
                for (col, sums) in sums.iter().enumerate() {
                    let column = target.first.offset(col as isize * target.step);
                    for (part, sum) in sums.iter().enumerate() {
                        let at = column.add(part * $lanes);
                        $store(at, if target.is_new { $mul(alpha, *sum) } else { $fma(alpha, *sum, $load(at)) });
                    }
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
avx2!(
    avx2_f64,
    f64,
    4,
    _mm256_setzero_pd,
    _mm256_loadu_pd,
    _mm256_storeu_pd,
    _mm256_broadcast_sd,
    _mm256_fmadd_pd,
    _mm256_mul_pd
);
#[cfg(target_arch = "x86_64")]
avx2!(
    avx2_f32,
    f32,
    8,
    _mm256_setzero_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_broadcast_ss,
    _mm256_fmadd_ps,
    _mm256_mul_ps
);

macro_rules! micro {
    ($real:ty, $rows:literal, $avx2:ident, $portable:ident) => {
        impl Micro for $real {
            const ROWS: usize = $rows;
            const COLS: usize = 4;

            unsafe fn update(instructions: Instructions, panels: Panels<Self>, alpha: Self, target: Target<Self>) {
                // SAFETY: the caller's promise.
                unsafe {
                    match instructions {
                        #[cfg(target_arch = "x86_64")]
                        Instructions::X86_64V3 => $avx2(panels, alpha, target),
                        _ => $portable(panels, alpha, target),
                    }
                }
            }
        }
    };
}

micro!(f64, 12, avx2_f64, portable_f64);
micro!(f32, 24, avx2_f32, portable_f32);
