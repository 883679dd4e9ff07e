//! Products, solves and refusals, and arguments of every kind.

use super::*;
use crate::{Host, Instructions, Unlimited};
use proptest::prelude::*;

/// Addresses of a memory whose doubles are at 8, 16, …: the first word belongs to nobody.
const BYTES: usize = 4096;

/// A memory, aligned as a guest's is.
struct Memory(Vec<u64>);

impl Memory {
    fn new() -> Self {
        Self(vec![0x7ff8_0000_0000_0001; BYTES / 8])
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: bytes have no alignment and no invalid patterns.
        unsafe { self.0.align_to_mut::<u8>().1 }
    }

    fn put(&mut self, at: u32, values: &[f64]) {
        for (index, value) in values.iter().enumerate() {
            self.0[at as usize / 8 + index] = value.to_bits();
        }
    }

    fn put_integers(&mut self, at: u32, values: &[i32]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.bytes()[at as usize..][..bytes.len()].copy_from_slice(&bytes);
    }

    fn get(&self, at: u32, count: usize) -> Vec<f64> {
        self.0[at as usize / 8..][..count].iter().map(|bits| f64::from_bits(*bits)).collect()
    }
}

fn with<R>(host: &mut dyn Host, work: impl FnOnce(&mut Context<'_>) -> R) -> R {
    work(&mut Context::new(host, Instructions::X86_64).unwrap())
}

fn multiply(memory: &mut Memory, product: &Product) -> i32 {
    with(&mut Unlimited, |cx| dgemm(cx, memory.bytes(), product)).unwrap()
}

fn solve_sparse(memory: &mut Memory, solve: &SparseSolve) -> i32 {
    with(&mut Unlimited, |cx| sparse_solve(cx, memory.bytes(), solve)).unwrap()
}

fn at(at: u32, leading: i32) -> Operand {
    Operand { at, leading }
}

/// A 2×3 at 8, B 3×2 at 64, C 2×2 at 128 with a row between its columns.
const PRODUCT: Product = Product {
    m: 2,
    n: 2,
    k: 3,
    alpha: 1.0,
    a: Operand { at: 8, leading: 2 },
    trans_a: 0,
    b: Operand { at: 64, leading: 3 },
    trans_b: 0,
    beta: 0.0,
    c: Operand { at: 128, leading: 3 },
};

fn for_a_product() -> Memory {
    let mut memory = Memory::new();
    memory.put(8, &[1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    memory.put(64, &[7.0, 9.0, 11.0, 8.0, 10.0, 12.0]);
    memory
}

#[test]
fn a_product_is_written_between_what_is_not_its_own() {
    let mut memory = for_a_product();
    let before = memory.0.clone();
    assert_eq!(multiply(&mut memory, &PRODUCT), 0);
    assert_eq!((memory.get(128, 2), memory.get(152, 2)), (vec![58.0, 139.0], vec![64.0, 154.0]));
    let own = |index: &usize| [16, 17, 19, 20].contains(index);
    assert!((0..before.len()).filter(|index| !own(index)).all(|index| before[index] == memory.0[index]));
    // Aᵀ of A Bᵀ's own arrays: 3×3.
    let turned = Product { m: 3, n: 3, k: 2, trans_a: 1, trans_b: 1, c: at(256, 3), alpha: -1.0, ..PRODUCT };
    assert_eq!(multiply(&mut memory, &turned), 0);
    assert_eq!(memory.get(256, 3), [-39.0, -54.0, -69.0]);
    let added = Product { beta: 2.0, ..PRODUCT };
    assert_eq!(multiply(&mut memory, &added), 0);
    assert_eq!(memory.get(128, 2), [174.0, 417.0]);
}

#[test]
fn arguments_that_do_not_fit_are_refused_and_change_nothing() {
    let last = BYTES as u32 - 8;
    let rows = [
        Product { m: -1, ..PRODUCT },
        Product { k: i32::MIN, ..PRODUCT },
        Product { a: at(8, 1), ..PRODUCT },
        Product { a: at(8, -2), ..PRODUCT },
        Product { trans_a: 2, ..PRODUCT },
        Product { trans_b: -1, ..PRODUCT },
        Product { trans_a: 1, ..PRODUCT },
        Product { a: at(12, 2), ..PRODUCT },
        Product { b: at(65, 3), ..PRODUCT },
        Product { b: at(last - 32, 3), ..PRODUCT },
        Product { c: at(last, 3), ..PRODUCT },
        Product { c: at(u32::MAX, 3), ..PRODUCT },
        Product { c: at(128, i32::MAX), ..PRODUCT },
        Product {
            m: i32::MAX,
            n: i32::MAX,
            k: i32::MAX,
            a: at(8, i32::MAX),
            b: at(8, i32::MAX),
            c: at(8, i32::MAX),
            ..PRODUCT
        },
        Product { c: at(48, 3), ..PRODUCT },
        Product { c: at(64, 2), ..PRODUCT },
        Product { c: at(8, 3), ..PRODUCT },
    ];
    let mut memory = for_a_product();
    let before = memory.0.clone();
    for product in rows {
        assert_eq!(multiply(&mut memory, &product), INVALID, "{product:?}");
        assert_eq!(memory.0, before, "{product:?}");
    }
}

#[test]
fn blocks_of_one_matrix_are_apart() {
    // A 4×4 matrix at 8: its lower right quarter less the product of the quarters beside it.
    let mut memory = Memory::new();
    memory.put(8, &(1..=16).map(f64::from).collect::<Vec<_>>());
    let block = |row: u32, col: u32| at(8 + 8 * (row + 4 * col), 4);
    let product =
        Product { m: 2, n: 2, k: 2, alpha: -1.0, a: block(2, 0), b: block(0, 2), beta: 1.0, c: block(2, 2), ..PRODUCT };
    assert_eq!(multiply(&mut memory, &product), 0);
    assert_eq!(memory.get(8 + 8 * 10, 2), [11.0 - 97.0, 12.0 - 116.0]);
    let own = Product { c: block(1, 2), ..product };
    assert_eq!(multiply(&mut memory, &own), INVALID, "it shares a row with B");
}

#[test]
fn systems_are_solved_and_singular_ones_told() {
    let mut memory = Memory::new();
    let solve = Solve { n: 2, nrhs: 1, a: at(8, 2), b: at(64, 2) };
    let mut run = |a: [f64; 4], symmetric: bool| {
        memory.put(8, &a);
        memory.put(64, &[1.0, 2.0]);
        let info = with(&mut Unlimited, |cx| match symmetric {
            true => dposv(cx, memory.bytes(), &solve),
            false => dgesv(cx, memory.bytes(), &solve, 100),
        });
        (info.unwrap(), memory.get(64, 2))
    };
    assert_eq!(run([0.0, 2.0, 4.0, 0.0], false), (0, vec![1.0, 0.25]));
    assert_eq!(run([1.0, 2.0, 2.0, 4.0], false), (2, vec![1.0, 2.0]));
    // The upper triangle is not read.
    assert_eq!(run([4.0, 2.0, f64::NAN, 5.0], true), (0, vec![0.0625, 0.375]));
    assert_eq!(run([4.0, 4.0, 4.0, 1.0], true), (2, vec![1.0, 2.0]));
    let rows = [
        (Solve { nrhs: -1, ..solve }, 100),
        (Solve { n: 3, ..solve }, 100),
        (Solve { b: at(16, 2), ..solve }, 100),
        (solve, 8),
        (solve, 68),
        (solve, 102),
        (solve, BYTES as u32 - 4),
        (Solve { n: i32::MAX, nrhs: i32::MAX, a: at(8, i32::MAX), b: at(8, i32::MAX) }, 8),
    ];
    let before = memory.0.clone();
    for (solve, pivots) in rows {
        assert_eq!(with(&mut Unlimited, |cx| dgesv(cx, memory.bytes(), &solve, pivots)), Ok(INVALID), "{solve:?}");
        assert_eq!(memory.0, before, "{solve:?}");
    }
    let nothing = Solve { n: 0, nrhs: 0, a: at(0, 1), b: at(0, 1) };
    assert_eq!(with(&mut Unlimited, |cx| dgesv(cx, memory.bytes(), &nothing, 0)), Ok(0));
}

/// [2 -1 0; -1 2 -1; 0 -1 2] at 16 to 120, b at 160, x at 200.
const CHAIN: SparseSolve =
    SparseSolve { n: 3, nnz: 7, starts_at: 16, rows_at: 32, values_at: 64, nrhs: 1, b_at: 160, x_at: 200 };

fn for_a_chain() -> Memory {
    let mut memory = Memory::new();
    memory.put_integers(16, &[0, 2, 5, 7]);
    memory.put_integers(32, &[0, 1, 0, 1, 2, 1, 2]);
    memory.put(64, &[2.0, -1.0, -1.0, 2.0, -1.0, -1.0, 2.0]);
    memory.put(160, &[1.0, 0.0, 1.0]);
    memory
}

#[test]
fn sparse_systems_are_solved_and_unreliable_ones_told() {
    let mut memory = for_a_chain();
    assert_eq!(solve_sparse(&mut memory, &CHAIN), 0);
    assert!(memory.get(200, 3).iter().all(|x| (x - 1.0).abs() < 1e-14), "{:?}", memory.get(200, 3));
    for (place, value) in [(0, 0.5), (3, f64::NAN)] {
        let mut memory = for_a_chain();
        memory.put(64 + 8 * place, &[value]);
        // With 1/2 in the corner the rows are dependent but for rounding.
        memory.put(64 + 8 * 6, &[if value.is_nan() { 2.0 } else { 2.0 / 3.0 }]);
        let before = memory.0.clone();
        let answer = solve_sparse(&mut memory, &CHAIN);
        assert!(answer == UNRELIABLE || value == 0.5, "{value}: {answer}");
        if answer != 0 {
            assert_eq!(memory.0, before);
        }
    }
    let mut memory = for_a_chain();
    // The second column's and row's values are zeros.
    for place in 1..=5 {
        memory.put(64 + 8 * place, &[0.0]);
    }
    assert_eq!(solve_sparse(&mut memory, &CHAIN), UNRELIABLE);
}

#[test]
fn sparse_arguments_that_do_not_fit_are_refused() {
    let last = BYTES as u32 - 16;
    let rows = [
        SparseSolve { n: -1, ..CHAIN },
        SparseSolve { n: 2, ..CHAIN },
        SparseSolve { nnz: 6, ..CHAIN },
        SparseSolve { n: i32::MAX, nrhs: i32::MAX, ..CHAIN },
        SparseSolve { nnz: i32::MAX, ..CHAIN },
        SparseSolve { starts_at: 18, ..CHAIN },
        SparseSolve { values_at: 68, ..CHAIN },
        SparseSolve { b_at: last, ..CHAIN },
        SparseSolve { x_at: last, ..CHAIN },
        SparseSolve { x_at: 160, ..CHAIN },
        SparseSolve { x_at: 24, ..CHAIN },
        SparseSolve { x_at: 112, ..CHAIN },
    ];
    for solve in rows {
        assert_eq!(solve_sparse(&mut for_a_chain(), &solve), INVALID, "{solve:?}");
    }
    for (at, wrong) in
        [(16, -1), (16, 1), (20, 6), (20, -2), (28, 8), (32, 1), (36, 0), (36, 3), (52, -1), (56, i32::MAX)]
    {
        let mut memory = for_a_chain();
        memory.put_integers(at, &[wrong]);
        assert_eq!(solve_sparse(&mut memory, &CHAIN), INVALID, "{wrong} at {at}");
    }
}

/// A host that grants no scratch memory, or ends everything.
struct Stingy(Stop);

impl Host for Stingy {
    fn work(&mut self, _flops: u64) -> Result<(), Stop> {
        if self.0 == Stop::Interrupted { Err(Stop::Interrupted) } else { Ok(()) }
    }

    fn reserve(&mut self, _bytes: u64) -> Result<(), Stop> {
        Err(self.0)
    }

    fn release(&mut self, _bytes: u64) {}
}

#[test]
fn a_lack_of_memory_is_told_and_an_end_is_an_end() {
    for (stop, told) in [(Stop::Declined, Ok(NO_MEMORY)), (Stop::Interrupted, Err(Stop::Interrupted))] {
        let answer = with(&mut Stingy(stop), |cx| sparse_solve(cx, for_a_chain().bytes(), &CHAIN));
        assert_eq!(answer, told);
    }
    let product = Product { m: 16, n: 16, k: 1, a: at(8, 16), b: at(200, 1), c: at(512, 16), ..PRODUCT };
    let answer = with(&mut Stingy(Stop::Interrupted), |cx| dgemm(cx, for_a_product().bytes(), &product));
    assert_eq!(answer, Err(Stop::Interrupted));
}

/// Numbers that are plausible as often as not.
fn number() -> impl Strategy<Value = i32> {
    prop_oneof![0..12, -2..3, Just(i32::MAX), Just(i32::MIN), any::<i32>()]
}

fn address() -> impl Strategy<Value = u32> {
    prop_oneof![(0..512_u32).prop_map(|word| 8 * word), 0..BYTES as u32 + 64, any::<u32>()]
}

fn operand() -> impl Strategy<Value = Operand> {
    (address(), number()).prop_map(|(at, leading)| Operand { at, leading })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// Whatever a guest says, the words before and after its memory stay as they are, and there is an answer.
    #[test]
    fn any_arguments_get_an_answer(
        sizes in (number(), number(), number()),
        operands in (operand(), operand(), operand()),
        flags in (-1..3, -1..3),
        places in prop::array::uniform5(address()),
    ) {
        let mut memory = for_a_chain();
        memory.0.splice(0..0, [1; 64]);
        memory.0.extend([1; 64]);
        let (m, n, k) = sizes;
        let (a, b, c) = operands;
        let product = Product { m, n, k, alpha: 1.0, a, trans_a: flags.0, b, trans_b: flags.1, beta: 0.5, c };
        let solve = Solve { n, nrhs: m, a, b };
        let [starts_at, rows_at, values_at, b_at, x_at] = places;
        let sparse = SparseSolve { n, nnz: k, starts_at, rows_at, values_at, nrhs: m, b_at, x_at };
        let bytes = memory.bytes();
        let end = bytes.len() - 512;
        let bytes = &mut bytes[512..end];
        let answers = with(&mut Unlimited, |cx| [
            dgemm(cx, bytes, &product),
            dgesv(cx, bytes, &solve, places[0]),
            dposv(cx, bytes, &solve),
            sparse_solve(cx, bytes, &sparse),
        ]);
        let answers = answers.map(|answer| answer.unwrap());
        prop_assert!(answers.iter().all(|answer| *answer >= UNRELIABLE));
        let len = memory.0.len();
        prop_assert!(memory.0[..64].iter().chain(&memory.0[len - 64..]).all(|word| *word == 1));
    }
}
