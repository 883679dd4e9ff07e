//! The innermost loop of every product: a tile of `ROWS` by `COLS` real numbers, held in registers while `depth` outer
//! products are added to it.

use super::vectors::Vectors;
use crate::{Complex, Instructions};
#[cfg(target_arch = "x86_64")]
use std::arch::{asm, x86_64::*};

/// Two panels: for each step of `depth` there are `ROWS` numbers of `a` and `COLS` numbers of `b`.
#[derive(Debug, Clone, Copy)]
pub struct Panels<R> {
    pub(super) depth: usize,
    pub(super) a: *const R,
    /// How far apart the steps of `a` are: `ROWS` where it is packed.
    pub(super) a_step: usize,
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
///
/// Complex factors are packed as pairs of real rows and pairs of real columns: for each step, the parts of `ROWS / 2` and of
/// `COLS / 2` complex numbers. Products of rows with the real and with the imaginary parts are summed apart.
pub trait Micro: Copy + Default {
    const ROWS: usize;
    const COLS: usize;

    /// Adds `alpha` times the panels' product to the target.
    ///
    /// # Safety
    /// The panels have `depth` steps, the target is writable, and the machine has the instructions.
    unsafe fn update(instructions: Instructions, panels: Panels<Self>, alpha: Self, target: Target<Self>);

    /// The same for complex numbers, with half as many rows and columns.
    ///
    /// # Safety
    /// As for `update`.
    unsafe fn update_complex(
        instructions: Instructions,
        panels: Panels<Self>,
        alpha: Complex<Self>,
        target: Target<Complex<Self>>,
    );
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
                        let a = panels.a.add(step * panels.a_step + row).cast::<[$real; $part]>();
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

macro_rules! portable_complex {
    ($name:ident, $of_real:ident, $real:ty) => {
        unsafe fn $name(panels: Panels<$real>, alpha: Complex<$real>, target: Target<Complex<$real>>) {
            const ROWS: usize = <$real as Micro>::ROWS;
            let mut tile = [[0.0; ROWS]; <$real as Micro>::COLS];
            let aside = Target { first: tile.as_mut_ptr().cast(), step: ROWS as isize, is_new: true };
            // SAFETY: the caller's promise; the tile has room.
            unsafe { $of_real(panels, 1.0, aside) };
            for (col, [by_re, by_im]) in tile.as_chunks::<2>().0.iter().enumerate() {
                let pairs = by_re.as_chunks::<2>().0.iter().zip(by_im.as_chunks::<2>().0);
                for (row, ([re_re, im_re], [re_im, im_im])) in pairs.enumerate() {
                    let product = alpha * Complex { re: re_re - im_im, im: im_re + re_im };
                    // SAFETY: within the tile, which is writable.
                    unsafe {
                        let at = target.first.offset(col as isize * target.step + row as isize);
                        *at = if target.is_new { product } else { *at + product };
                    }
                }
            }
        }
    };
}

portable_complex!(portable_c64, portable_f64, f64);
portable_complex!(portable_c32, portable_f32, f32);

/// One step of the loop below: three vectors of `a` times each of four numbers of `b`. `$a` is where this step's rows are,
/// `$b` how many steps it is after the first.
#[cfg(target_arch = "x86_64")]
macro_rules! step {
    ($kind:literal, $size:literal, $a:literal, $b:literal) => {
        concat!(
            "vmovups ymm0, [", $a, "]\n",
            "vmovups ymm1, [", $a, " + 32]\n",
            "vmovups ymm2, [", $a, " + 64]\n",
            step!(column $kind, $size, $b, "0", "4", "5", "6"),
            step!(column $kind, $size, $b, "1", "7", "8", "9"),
            step!(column $kind, $size, $b, "2", "10", "11", "12"),
            step!(column $kind, $size, $b, "3", "13", "14", "15"),
        )
    };
    (column $kind:literal, $size:literal, $b:literal, $col:literal, $first:literal, $second:literal, $third:literal) => {
        concat!(
            "vbroadcasts", $kind, " ymm3, [{b} + (4 * ", $b, " + ", $col, ") * ", $size, "]\n",
            "vfmadd231p", $kind, " ymm", $first, ", ymm0, ymm3\n",
            "vfmadd231p", $kind, " ymm", $second, ", ymm1, ymm3\n",
            "vfmadd231p", $kind, " ymm", $third, ", ymm2, ymm3\n",
        )
    };
}

/// Three vectors of rows by four columns: twelve sums, three vectors of `a` and one of `b` fill the sixteen registers. The
/// loop is assembler because a compiler that moves instructions between its steps runs out of registers.
#[cfg(target_arch = "x86_64")]
macro_rules! avx2 {
    ($sums:ident, $update:ident, $update_complex:ident, $real:ty, $vector:ty, $kind:literal, $size:literal,
     $zero:ident, $mul:ident, $swapped:expr, $addsub:ident) => {
        #[target_feature(enable = "avx2,fma")]
        #[inline]
        unsafe fn $sums(panels: Panels<$real>) -> [[$vector; 3]; 4] {
            let step = panels.a_step * size_of::<$real>();
            let mut sums = [[$zero(); 3]; 4];
            let [[s0, s1, s2], [s3, s4, s5], [s6, s7, s8], [s9, s10, s11]] = &mut sums;
            // SAFETY: the panels have `depth` steps, which is all that is read; nothing is written but registers.
            unsafe {
                asm!(
                    "test {fours}, {fours}",
                    "jz 3f",
                    ".p2align 5",
                    "2:",
                    "prefetcht0 [{a} + 1024]",
                    "prefetcht0 [{a} + 1088]",
                    step!($kind, $size, "{a}", "0"),
                    "prefetcht0 [{a} + 1152]",
                    "prefetcht0 [{a} + 1216]",
                    step!($kind, $size, "{a} + {step}", "1"),
                    "prefetcht0 [{a} + 1280]",
                    "prefetcht0 [{a} + 1344]",
                    step!($kind, $size, "{a} + 2 * {step}", "2"),
                    step!($kind, $size, "{a} + {thrice}", "3"),
                    "lea {a}, [{a} + 4 * {step}]",
                    concat!("add {b}, 16 * ", $size),
                    "dec {fours}",
                    "jnz 2b",
                    "3:",
                    "test {ones}, {ones}",
                    "jz 5f",
                    "4:",
                    step!($kind, $size, "{a}", "0"),
                    "add {a}, {step}",
                    concat!("add {b}, 4 * ", $size),
                    "dec {ones}",
                    "jnz 4b",
                    "5:",
                    a = inout(reg) panels.a => _,
                    b = inout(reg) panels.b => _,
                    step = in(reg) step,
                    thrice = in(reg) 3 * step,
                    fours = inout(reg) panels.depth / 4 => _,
                    ones = inout(reg) panels.depth % 4 => _,
                    out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                    inout("ymm4") *s0, inout("ymm5") *s1, inout("ymm6") *s2,
                    inout("ymm7") *s3, inout("ymm8") *s4, inout("ymm9") *s5,
                    inout("ymm10") *s6, inout("ymm11") *s7, inout("ymm12") *s8,
                    inout("ymm13") *s9, inout("ymm14") *s10, inout("ymm15") *s11,
                    options(nostack, readonly),
                );
            }
            sums
        }

        #[target_feature(enable = "avx2,fma")]
        unsafe fn $update(panels: Panels<$real>, alpha: $real, target: Target<$real>) {
            const LANES: usize = <$real as Vectors>::LANES;
            prefetch::<$real, 4>(target);
            // SAFETY: the panels are the caller's promise.
            let sums = unsafe { $sums(panels) };
            for (col, sums) in sums.into_iter().enumerate() {
                let column = target.first.wrapping_offset(col as isize * target.step);
                for (part, sum) in sums.into_iter().enumerate() {
                    let at = column.wrapping_add(part * LANES);
                    // SAFETY: within the target, which is writable.
                    unsafe {
                        let alpha = alpha.splat();
                        let value = if target.is_new {
                            $mul(alpha, sum)
                        } else {
                            <$real>::vector_mul_add(alpha, sum, <$real>::load(at))
                        };
                        <$real>::store(at, value);
                    }
                }
            }
        }

        #[target_feature(enable = "avx2,fma")]
        unsafe fn $update_complex(panels: Panels<$real>, alpha: Complex<$real>, target: Target<Complex<$real>>) {
            const LANES: usize = <Complex<$real> as Vectors>::LANES;
            prefetch::<Complex<$real>, 2>(target);
            // SAFETY: the panels are the caller's promise.
            let sums = unsafe { $sums(panels) };
            for (col, [by_re, by_im]) in sums.as_chunks::<2>().0.iter().enumerate() {
                let column = target.first.wrapping_offset(col as isize * target.step);
                for (part, (by_re, by_im)) in by_re.iter().zip(by_im).enumerate() {
                    let at = column.wrapping_add(part * LANES);
                    // Real lanes: re re - im im. Imaginary lanes: im re + re im.
                    let sum = $addsub(*by_re, $swapped(*by_im));
                    // SAFETY: within the target, which is writable.
                    unsafe {
                        let before = if target.is_new { $zero() } else { <Complex<$real>>::load(at) };
                        <Complex<$real>>::store(at, <Complex<$real>>::vector_mul_add(alpha.splat(), sum, before));
                    }
                }
            }
        }
    };
}

/// Has the `C` columns of a tile of three vectors each brought near. A prefetch reads nothing.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn prefetch<T: Vectors, const C: usize>(target: Target<T>) {
    for col in 0..C as isize {
        let at = target.first.wrapping_offset(col * target.step);
        // SAFETY: prefetching is safe wherever it points.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(at.cast());
            // Three vectors are a cache line and a half, and may lie in three.
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(2 * T::LANES).cast());
            _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(3 * T::LANES - 1).cast());
        }
    }
}

#[cfg(target_arch = "x86_64")]
avx2!(
    sums_f64,
    avx2_f64,
    avx2_c64,
    f64,
    __m256d,
    "d",
    "8",
    _mm256_setzero_pd,
    _mm256_mul_pd,
    _mm256_permute_pd::<0b0101>,
    _mm256_addsub_pd
);
#[cfg(target_arch = "x86_64")]
avx2!(
    sums_f32,
    avx2_f32,
    avx2_c32,
    f32,
    __m256,
    "s",
    "4",
    _mm256_setzero_ps,
    _mm256_mul_ps,
    _mm256_permute_ps::<0b10_11_00_01>,
    _mm256_addsub_ps
);

macro_rules! micro {
    ($real:ty, $rows:literal, $avx2:ident, $portable:ident, $avx2_complex:ident, $portable_complex:ident) => {
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

            unsafe fn update_complex(
                instructions: Instructions,
                panels: Panels<Self>,
                alpha: Complex<Self>,
                target: Target<Complex<Self>>,
            ) {
                // SAFETY: the caller's promise.
                unsafe {
                    match instructions {
                        #[cfg(target_arch = "x86_64")]
                        Instructions::X86_64V3 => $avx2_complex(panels, alpha, target),
                        _ => $portable_complex(panels, alpha, target),
                    }
                }
            }
        }
    };
}

micro!(f64, 12, avx2_f64, portable_f64, avx2_c64, portable_c64);
micro!(f32, 24, avx2_f32, portable_f32, avx2_c32, portable_c32);
