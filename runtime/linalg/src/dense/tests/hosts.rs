//! Kernels under a host that interrupts, refuses scratch, or looks at how much is announced.

use super::*;
use crate::{Stop, WORK_FLOPS_MAX, dense::*};

/// Interrupts after some pieces, and keeps count.
#[derive(Default)]
struct Counting {
    pieces_max: Option<u64>,
    scratch_max: Option<u64>,
    pieces: u64,
    flops: u64,
    scratch: u64,
    is_over: bool,
}

impl Host for Counting {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        assert!(!self.is_over, "more work after an interruption");
        assert!(flops <= WORK_FLOPS_MAX, "a piece of {flops}");
        self.pieces += 1;
        self.flops += flops;
        if self.pieces_max.is_some_and(|max| self.pieces > max) {
            self.is_over = true;
            return Err(Stop::Interrupted);
        }
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        if self.scratch_max.is_some_and(|max| self.scratch + bytes > max) {
            return Err(Stop::Declined);
        }
        self.scratch += bytes;
        Ok(())
    }

    fn release(&mut self, bytes: u64) {
        self.scratch -= bytes;
    }
}

type Kernel<T> = fn(&mut Context<'_>, Mat<'_, T>, Mat<'_, T>, MatMut<'_, T>) -> Result<(), Stop>;

/// Every kernel, with two square operands that are read and one that is written.
fn kernels<T: Number>() -> Vec<(&'static str, Kernel<T>)> {
    const LEFT: Triangular = Triangular { side: Side::Left, part: Part::Lower, diag: Diag::Unit };
    fn column<T: Scalar>(a: Mat<'_, T>) -> Mat<'_, T> {
        a.part((0, 0), (a.rows, 1))
    }
    fn first<T: Scalar>(c: MatMut<'_, T>) -> MatMut<'_, T> {
        let rows = c.rows;
        c.part((0, 0), (rows, 1))
    }
    vec![
        ("gemm", |cx, a, b, c| gemm(cx, Product { alpha: T::ONE, a, b, beta: T::of(0.5, 0.0) }, c)),
        ("gemm_part", |cx, a, b, c| gemm_part(cx, Part::Upper, Product { alpha: T::ONE, a, b, beta: T::ONE }, c)),
        ("symm", |cx, a, b, c| {
            let symmetric = Symmetric { side: Side::Right, part: Part::Lower, symmetry: Symmetry::Hermitian };
            symm(cx, symmetric, Product { alpha: T::ONE, a, b, beta: T::ONE }, c)
        }),
        ("trmm", |cx, a, _, c| trmm(cx, LEFT, T::of(0.5, 0.0), a, c)),
        ("trsm", |cx, a, _, c| trsm(cx, LEFT, T::of(0.5, 0.0), a, c)),
        ("gemv", |cx, a, b, c| gemv(cx, Product { alpha: T::ONE, a, b: column(b), beta: T::ONE }, first(c))),
        ("symv", |cx, a, b, c| {
            let product = Product { alpha: T::ONE, a, b: column(b), beta: T::ONE };
            symv(cx, Part::Upper, Symmetry::Symmetric, product, first(c))
        }),
        ("ger", |cx, a, b, c| ger(cx, T::ONE, column(a.t()), column(b), c)),
        ("syr2", |cx, a, b, c| {
            let rank2 = Rank2 { alpha: T::ONE, x: column(a.t()), y: column(b) };
            syr2(cx, Part::Lower, Symmetry::Hermitian, rank2, c)
        }),
        ("trsv", |cx, a, _, c| trsv(cx, Part::Lower, Diag::Unit, a, first(c))),
        ("trmv", |cx, a, _, c| trmv(cx, Part::Lower, Diag::Unit, a, first(c))),
        ("getrf", |cx, _, _, c| {
            let mut pivots = vec![0; c.rows];
            getrf(cx, c, &mut pivots).map(|_| ())
        }),
        ("getrs", |cx, a, _, c| {
            let pivots: Vec<i32> = (0..a.rows as i32).map(|at| a.rows as i32 - at).collect();
            getrs(cx, Transpose::No, a, &pivots, c)
        }),
        ("potrf", |cx, _, _, mut c| {
            for at in 0..c.rows {
                let large = T::of(c.rows as f64 * 2.0, 0.0);
                c.set(at, at, large);
            }
            potrf(cx, Part::Lower, c).map(|_| ())
        }),
        ("potrs", |cx, a, _, c| potrs(cx, Part::Lower, a, c)),
        ("trtri", |cx, _, _, c| trtri(cx, Part::Lower, Diag::Unit, c).map(|_| ())),
        ("lauum", |cx, _, _, c| lauum(cx, Part::Lower, c)),
    ]
}

fn operands<T: Number>(n: usize) -> [Owned<T>; 3] {
    let draw = &mut Draw::new(n as u64);
    let mut matrix = || Owned::by_columns((n, n), |_, _| draw.number());
    [matrix(), matrix(), matrix()]
}

fn pieces_are_announced<T: Number>() {
    let [a, b, c] = operands::<T>(200);
    for (name, kernel) in kernels::<T>() {
        let (mut c, mut host) = (c.clone(), Counting::default());
        on_host(&mut host, Instructions::X86_64V3, |cx| kernel(cx, a.mat(), b.mat(), c.view())).unwrap();
        assert!(host.pieces > 0 && host.flops > 0, "{name} announced nothing");
        assert_eq!(host.scratch, 0, "{name} keeps scratch");
        let pieces = host.pieces;
        for pieces_max in [0, 1, pieces / 2, pieces - 1].into_iter().filter(|max| *max < pieces) {
            let mut host = Counting { pieces_max: Some(pieces_max), ..Counting::default() };
            let result = on_host(&mut host, Instructions::X86_64V3, |cx| kernel(cx, a.mat(), b.mat(), c.view()));
            assert_eq!(result, Err(Stop::Interrupted), "{name} after {pieces_max} of {pieces}");
            assert_eq!(host.scratch, 0, "{name} keeps scratch");
        }
    }
}

fn without_scratch_nothing_is_written<T: Number>() {
    let [a, b, c] = operands::<T>(100);
    for (name, kernel) in kernels::<T>() {
        if name == "potrf" {
            // Its operand is prepared above.
            continue;
        }
        let mut scratch_max = 0;
        loop {
            let mut host = Counting { scratch_max: Some(scratch_max), ..Counting::default() };
            let mut written = c.clone();
            let result = on_host(&mut host, Instructions::X86_64V3, |cx| kernel(cx, a.mat(), b.mat(), written.view()));
            assert_eq!(host.scratch, 0, "{name} keeps scratch");
            if result.is_ok() {
                break;
            }
            assert_eq!(result, Err(Stop::Declined), "{name}");
            assert_eq!(bits(&written.values()), bits(&c.values()), "{name} wrote something");
            scratch_max = (scratch_max * 2).max(1024);
        }
    }
}

fn runs_are_equal<T: Number>() {
    let [a, b, c] = operands::<T>(150);
    for (name, kernel) in kernels::<T>() {
        let run = |first: usize| {
            let mut moved = Owned::new((150, 150), (1, 150 + first), first, |row, col| c.mat().get(row, col));
            on(Instructions::X86_64V3, |cx| kernel(cx, a.mat(), b.mat(), moved.view())).unwrap();
            bits(&moved.values())
        };
        let once = run(0);
        assert!(once == run(0) && once == run(1) && once == run(3), "{name}");
    }
}

#[test]
fn the_pieces_of_a_large_product_are_small() {
    let n = 1100;
    let draw = &mut Draw::new(1);
    let a = Owned::<f32>::by_columns((n, n), |_, _| draw.number());
    let mut c = a.clone();
    let mut host = Counting::default();
    let product = Product { alpha: 1.0, a: a.mat(), b: a.mat(), beta: 0.0 };
    on_host(&mut host, Instructions::X86_64V3, |cx| gemm(cx, product, c.view())).unwrap();
    let flops = 2 * (n as u64).pow(3);
    assert!((flops..flops + flops / 50).contains(&host.flops), "{} announced of {flops}", host.flops);
}

#[test]
fn the_pieces_of_tall_matrices_are_small() {
    let rows = 1_500_000;
    let draw = &mut Draw::new(3);
    let mut a = Owned::<f64>::by_columns((rows, 8), |_, _| draw.real());
    let (mut host, mut pivots) = (Counting::default(), [0; 8]);
    let info = on_host(&mut host, Instructions::X86_64V3, |cx| getrf(cx, a.view(), &mut pivots));
    assert_eq!(info, Ok(0));
    let x = a.clone();
    let (x, y) = (x.mat().part((0, 0), (rows, 1)), x.mat().part((0, 1), (8, 1)));
    on_host(&mut host, Instructions::X86_64V3, |cx| ger(cx, 0.5, x, y, a.view())).unwrap();
    assert_eq!(host.scratch, 0);
}

for_all_numbers! {
    every_kernel_announces_its_work => pieces_are_announced,
    a_kernel_without_scratch_declines => without_scratch_nothing_is_written,
    every_run_gives_the_same_bits => runs_are_equal,
}
