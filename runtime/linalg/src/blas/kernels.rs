//! Naive
use super::arguments::Number;
use crate::{Context, Mat, MatMut, Stop};
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Upper,
    Lower,
}
impl Part {
    pub(super) fn t(self) -> Self {
        match self {
            Self::Upper => Self::Lower,
            Self::Lower => Self::Upper,
        }
    }
    fn has(self, i: usize, j: usize) -> bool {
        match self {
            Self::Upper => i <= j,
            Self::Lower => i >= j,
        }
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Diag {
    Unit,
    NonUnit,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Symmetry {
    Symmetric,
    Hermitian,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transpose {
    No,
    Transposed,
    ConjTransposed,
}
#[derive(Debug, Clone, Copy)]
pub(super) struct Product<'m, T> {
    pub(super) alpha: T,
    pub(super) a: Mat<'m, T>,
    pub(super) b: Mat<'m, T>,
    pub(super) beta: T,
}
#[derive(Debug, Clone, Copy)]
pub(super) struct Triangle<'m, T> {
    pub(super) part: Part,
    pub(super) diag: Diag,
    pub(super) matrix: Mat<'m, T>,
}
type Done = Result<(), Stop>;
type Cx<'c, 'h> = &'c mut Context<'h>;
fn full<T: Number>(a: Mat<'_, T>, part: Part, sym: Symmetry) -> Vec<T> {
    let n = a.rows;
    (0..n * n)
        .map(|at| {
            let (i, j) = (at % n, at / n);
            if i == j && sym == Symmetry::Hermitian {
                T::from_real(a.get(i, i).real())
            } else if part.has(i, j) {
                a.get(i, j)
            } else if sym == Symmetry::Hermitian {
                a.get(j, i).conj()
            } else {
                a.get(j, i)
            }
        })
        .collect()
}
fn tri<T: Number>(t: Triangle<'_, T>) -> Vec<T> {
    let n = t.matrix.rows;
    (0..n * n)
        .map(|at| {
            let (i, j) = (at % n, at / n);
            if i == j && t.diag == Diag::Unit {
                T::ONE
            } else if t.part.has(i, j) {
                t.matrix.get(i, j)
            } else {
                T::ZERO
            }
        })
        .collect()
}
fn copy<T: Number>(a: &MatMut<'_, T>) -> Vec<T> {
    (0..a.rows * a.cols).map(|at| a.get(at % a.rows, at / a.rows)).collect()
}
fn view<T: Number>(a: &[T], m: usize, n: usize) -> Mat<'_, T> {
    Mat::by_columns(a, (m, n), m).unwrap()
}
fn product<T: Number>(p: Product<'_, T>, mut c: MatMut<'_, T>, has: impl Fn(usize, usize) -> bool) -> Done {
    for j in 0..c.cols {
        for i in 0..c.rows {
            if !has(i, j) {
                continue;
            }
            let mut s = T::ZERO;
            for k in 0..p.a.cols {
                s += p.a.get(i, k) * p.b.get(k, j);
            }
            let old = if p.beta == T::ZERO { T::ZERO } else { p.beta * c.get(i, j) };
            c.set(i, j, p.alpha * s + old);
        }
    }
    Ok(())
}
pub(super) fn gemm<T: Number>(_: Cx<'_, '_>, p: Product<'_, T>, c: MatMut<'_, T>) -> Done {
    product(p, c, |_, _| true)
}
pub(super) fn gemm_part<T: Number>(_: Cx<'_, '_>, part: Part, p: Product<'_, T>, c: MatMut<'_, T>) -> Done {
    product(p, c, |i, j| part.has(i, j))
}
pub(super) fn symm<T: Number>(
    _: Cx<'_, '_>,
    (side, part, sym): (Side, Part, Symmetry),
    p: Product<'_, T>,
    c: MatMut<'_, T>,
) -> Done {
    let f = full(p.a, part, sym);
    let f = view(&f, p.a.rows, p.a.rows);
    let (a, b) = if side == Side::Left { (f, p.b) } else { (p.b, f) };
    product(Product { a, b, ..p }, c, |_, _| true)
}
pub(super) fn trmm<T: Number>(_: Cx<'_, '_>, side: Side, alpha: T, t: Triangle<'_, T>, b: MatMut<'_, T>) -> Done {
    let f = tri(t);
    let f = view(&f, t.matrix.rows, t.matrix.rows);
    let old = copy(&b);
    let old = view(&old, b.rows, b.cols);
    let (x, y) = if side == Side::Left { (f, old) } else { (old, f) };
    product(Product { alpha, a: x, b: y, beta: T::ZERO }, b, |_, _| true)
}
pub(super) fn trsm<T: Number>(cx: Cx<'_, '_>, side: Side, alpha: T, t: Triangle<'_, T>, mut b: MatMut<'_, T>) -> Done {
    if side == Side::Right {
        let t = Triangle { part: t.part.t(), matrix: t.matrix.t(), ..t };
        return trsm(cx, Side::Left, alpha, t, b.t());
    }
    let n = b.rows;
    for j in 0..b.cols {
        for step in 0..n {
            let i = if t.part == Part::Lower { step } else { n - 1 - step };
            let mut s = alpha * b.get(i, j);
            for k in if t.part == Part::Lower { 0..i } else { i + 1..n } {
                s = s - t.matrix.get(i, k) * b.get(k, j);
            }
            if t.diag == Diag::NonUnit {
                s *= t.matrix.get(i, i).recip();
            }
            b.set(i, j, s);
        }
    }
    Ok(())
}
pub(super) fn gemv<T: Number>(cx: Cx<'_, '_>, p: Product<'_, T>, y: MatMut<'_, T>) -> Done {
    gemm(cx, p, y)
}
pub(super) fn symv<T: Number>(
    cx: Cx<'_, '_>,
    (part, sym): (Part, Symmetry),
    p: Product<'_, T>,
    y: MatMut<'_, T>,
) -> Done {
    symm(cx, (Side::Left, part, sym), p, y)
}
pub(super) fn ger<T: Number>(cx: Cx<'_, '_>, alpha: T, (x, y): (Mat<'_, T>, Mat<'_, T>), a: MatMut<'_, T>) -> Done {
    gemm(cx, Product { alpha, a: x, b: y.t(), beta: T::ONE }, a)
}
pub(super) fn syr2<T: Number>(
    cx: Cx<'_, '_>,
    (part, sym): (Part, Symmetry),
    alpha: T,
    (x, y): (Mat<'_, T>, Mat<'_, T>),
    mut a: MatMut<'_, T>,
) -> Done {
    let h = sym == Symmetry::Hermitian;
    let (xt, yt) = if h { (x.h(), y.h()) } else { (x.t(), y.t()) };
    gemm_part(cx, part, Product { alpha, a: x, b: yt, beta: T::ONE }, a.reborrow())?;
    gemm_part(
        cx,
        part,
        Product { alpha: if h { alpha.conj() } else { alpha }, a: y, b: xt, beta: T::ONE },
        a.reborrow(),
    )?;
    if h {
        for i in 0..a.rows {
            let v = T::from_real(a.get(i, i).real());
            a.set(i, i, v);
        }
    }
    Ok(())
}
pub(super) fn trsv<T: Number>(cx: Cx<'_, '_>, t: Triangle<'_, T>, x: MatMut<'_, T>) -> Done {
    trsm(cx, Side::Left, T::ONE, t, x)
}
pub(super) fn trmv<T: Number>(cx: Cx<'_, '_>, t: Triangle<'_, T>, x: MatMut<'_, T>) -> Done {
    trmm(cx, Side::Left, T::ONE, t, x)
}
pub(super) fn getrf<T: Number>(_: Cx<'_, '_>, mut a: MatMut<'_, T>, pivots: &mut [i32]) -> Result<i32, Stop> {
    let mut info = 0;
    for (j, pivot) in pivots.iter_mut().enumerate() {
        let mut p = j;
        for i in j..a.rows {
            if a.get(i, j).magnitude() > a.get(p, j).magnitude() {
                p = i;
            }
        }
        *pivot = p as i32 + 1;
        for c in 0..a.cols {
            let (u, v) = (a.get(j, c), a.get(p, c));
            a.set(j, c, v);
            a.set(p, c, u);
        }
        if a.get(j, j) == T::ZERO {
            if info == 0 {
                info = j as i32 + 1;
            }
            continue;
        }
        let r = a.get(j, j).recip();
        for i in j + 1..a.rows {
            let l = a.get(i, j) * r;
            a.set(i, j, l);
            for c in j + 1..a.cols {
                let v = a.get(i, c) - l * a.get(j, c);
                a.set(i, c, v);
            }
        }
    }
    Ok(info)
}
pub(super) fn getrs<T: Number>(
    cx: Cx<'_, '_>,
    op: Transpose,
    (a, pivots): (Mat<'_, T>, &[i32]),
    mut b: MatMut<'_, T>,
) -> Done {
    let l = Triangle { part: op.part(Part::Lower), diag: Diag::Unit, matrix: op.of(a) };
    let u = Triangle { part: op.part(Part::Upper), diag: Diag::NonUnit, matrix: op.of(a) };
    let swap = |b: &mut MatMut<'_, T>, i: usize| {
        let p = pivots[i] as usize - 1;
        for c in 0..b.cols {
            let (x, y) = (b.get(i, c), b.get(p, c));
            b.set(i, c, y);
            b.set(p, c, x);
        }
    };
    let n = a.rows;
    if op == Transpose::No {
        for i in 0..n {
            swap(&mut b, i);
        }
        trsm(cx, Side::Left, T::ONE, l, b.reborrow())?;
        trsm(cx, Side::Left, T::ONE, u, b)
    } else {
        trsm(cx, Side::Left, T::ONE, u, b.reborrow())?;
        trsm(cx, Side::Left, T::ONE, l, b.reborrow())?;
        for i in (0..n).rev() {
            swap(&mut b, i);
        }
        Ok(())
    }
}
pub(super) fn potrf<T: Number>(cx: Cx<'_, '_>, part: Part, mut a: MatMut<'_, T>) -> Result<i32, Stop> {
    if part == Part::Upper {
        let info = potrf_lower(
            cx,
            &mut |i, j, v| match v {
                Some(v) => {
                    a.set(j, i, T::conj(v));
                    v
                }
                None => a.get(j, i).conj(),
            },
            0,
        );
        let n = a.rows;
        let _ = info;
        return potrf_n(n, &mut |i, j, v: Option<T>| match v {
            Some(v) => {
                a.set(j, i, v.conj());
                v
            }
            None => a.get(j, i).conj(),
        });
    }
    let n = a.rows;
    potrf_n(n, &mut |i, j, v: Option<T>| match v {
        Some(v) => {
            a.set(i, j, v);
            v
        }
        None => a.get(i, j),
    })
}
fn potrf_lower<T: Number>(_: Cx<'_, '_>, _: &mut dyn FnMut(usize, usize, Option<T>) -> T, _: usize) -> i32 {
    0
}
fn potrf_n<T: Number>(n: usize, a: &mut dyn FnMut(usize, usize, Option<T>) -> T) -> Result<i32, Stop> {
    for j in 0..n {
        let mut d = T::from_real(a(j, j, None).real());
        for k in 0..j {
            let l = a(j, k, None);
            d = d - l * l.conj();
        }
        if !(d.real() > T::ZERO.real()) {
            return Ok(j as i32 + 1);
        }
        let r = T::from_real(d.sqrt_real());
        a(j, j, Some(r));
        for i in j + 1..n {
            let mut s = a(i, j, None);
            for k in 0..j {
                s = s - a(i, k, None) * a(j, k, None).conj();
            }
            a(i, j, Some(s * r.recip()));
        }
    }
    Ok(0)
}
pub(super) fn potrs<T: Number>(cx: Cx<'_, '_>, part: Part, a: Mat<'_, T>, mut b: MatMut<'_, T>) -> Done {
    let (p, q) = if part == Part::Lower { (a, a.h()) } else { (a.h(), a) };
    trsm(cx, Side::Left, T::ONE, Triangle { part: Part::Lower, diag: Diag::NonUnit, matrix: p }, b.reborrow())?;
    trsm(cx, Side::Left, T::ONE, Triangle { part: Part::Upper, diag: Diag::NonUnit, matrix: q }, b)
}
pub(super) fn trtri<T: Number>(cx: Cx<'_, '_>, part: Part, diag: Diag, mut a: MatMut<'_, T>) -> Result<i32, Stop> {
    let n = a.rows;
    if diag == Diag::NonUnit {
        for i in 0..n {
            if a.get(i, i) == T::ZERO {
                return Ok(i as i32 + 1);
            }
        }
    }
    let mut id = vec![T::ZERO; n * n];
    for i in 0..n {
        id[i * n + i] = T::ONE;
    }
    trsm(
        cx,
        Side::Left,
        T::ONE,
        Triangle { part, diag, matrix: a.read() },
        MatMut::by_columns(&mut id, (n, n), n).unwrap(),
    )?;
    for j in 0..n {
        for i in 0..n {
            if part.has(i, j) && (i != j || diag == Diag::NonUnit) {
                a.set(i, j, id[j * n + i]);
            }
        }
    }
    Ok(0)
}
pub(super) fn lauum<T: Number>(_: Cx<'_, '_>, part: Part, mut a: MatMut<'_, T>) -> Done {
    let f = tri(Triangle { part, diag: Diag::NonUnit, matrix: a.read() });
    let n = a.rows;
    let f = view(&f, n, n);
    let (x, y) = if part == Part::Upper { (f, f.h()) } else { (f.h(), f) };
    product(Product { alpha: T::ONE, a: x, b: y, beta: T::ZERO }, a.reborrow(), |i, j| part.has(i, j))
}
