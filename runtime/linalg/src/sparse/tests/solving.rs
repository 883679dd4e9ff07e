//! Systems of every kind, solved, declined and interrupted.

use super::*;
use crate::{
    MatMut,
    dense::{Transpose, getrf, getrs},
};
use proptest::prelude::*;

#[test]
fn systems_of_all_kinds_are_solved_and_refined() {
    let mut random = Random(0x5EED);
    let matrices = [
        ("a grid", Sparse::grid(37, 0.0, 0.0)),
        ("a grid in the wind", Sparse::grid(37, 0.4, 0.0)),
        ("an indefinite grid", Sparse::grid(37, 0.0, 1.3)),
        ("a frame of joints", Sparse::frame(150, 6, &mut random)),
        ("a small frame", Sparse::frame(3, 3, &mut random)),
        ("a diagonal", Sparse::of(40, (0..40).map(|at| (at, at, at as f64 - 20.5)))),
        ("an arrow", Sparse::of(900, (0..900).flat_map(|at| [(at, at, 9.0), (0, at, 0.01), (at, 0, 0.01)]))),
        ("one number", Sparse::of(1, [(0, 0, -3.0)])),
    ];
    for (name, matrix) in matrices {
        for is_transposed in [false, true] {
            let given = random.numbers(matrix.size * 3);
            let mut guest = Guest::new(&matrix, &given);
            assert_eq!(guest.solve(is_transposed), Ok(b"+".to_vec()), "{name}");
            assert_solved(&matrix, &given, &guest.solutions(), is_transposed);
        }
    }
}

#[test]
fn large_fronts_go_through_the_dense_kernels() {
    let mut random = Random(0xF00D);
    let size = 260;
    let all = (0..size).flat_map(|row| (0..size).map(move |column| (row, column)));
    let general = Sparse::of(size, all.map(|(row, column)| (row, column, random.number())));
    let frame = Sparse::frame(400, 6, &mut random);
    for matrix in [general, frame] {
        let given = random.numbers(2 * matrix.size);
        let mut guest = Guest::new(&matrix, &given);
        assert_eq!(guest.solve(false), Ok(b"+".to_vec()));
        assert_solved(&matrix, &given, &guest.solutions(), false);
    }
}

#[test]
fn a_sparse_solution_is_the_dense_one() {
    let mut random = Random(0xDE5E);
    for round in 0..40 {
        let size = 2 + random.below(30);
        let mut elements: Vec<_> = (0..size).map(|at| (at, at, 1.0 + random.number())).collect();
        for _ in 0..2 * size {
            let (row, column) = (random.below(size), random.below(size));
            elements.extend([(row, column, random.number()), (column, row, random.number())]);
        }
        let matrix = Sparse::of(size, elements);
        let given = random.numbers(size);
        let mut guest = Guest::new(&matrix, &given);
        if guest.solve(false).is_err() {
            continue;
        }
        let mut dense: Vec<f64> = (0..size)
            .flat_map(|column| matrix.times(&(0..size).map(|at| f64::from(at == column)).collect::<Vec<_>>(), false))
            .collect();
        let (mut pivots, mut x) = (vec![0; size], given.clone());
        let mut host = Unlimited;
        let cx = &mut Context::new(&mut host, Instructions::X86_64).unwrap();
        let mut a = MatMut::by_columns(&mut dense, (size, size), size).unwrap();
        assert_eq!(getrf(cx, a.reborrow(), &mut pivots), Ok(0));
        let b = MatMut::by_columns(&mut x, (size, 1), size).unwrap();
        getrs(cx, Transpose::No, a.read(), &pivots, b).unwrap();
        let largest = x.iter().fold(0.0, |largest: f64, x| largest.max(x.abs()));
        for (sparse, dense) in guest.solutions().iter().zip(&x) {
            assert!((sparse - dense).abs() <= 1e-8 * largest, "round {round}: {sparse} is not {dense}");
        }
    }
}

#[test]
fn most_small_systems_are_not_declined() {
    let mut random = Random(0xACE);
    let solved = (0..50).filter(|_| {
        let matrix = Sparse::frame(2 + random.below(9), 1 + random.below(3), &mut random);
        let given = random.numbers(matrix.size);
        Guest::new(&matrix, &given).solve(false).is_ok()
    });
    assert_eq!(solved.count(), 50);
}

/// What is declined, and that nothing was written then.
#[test]
fn what_cannot_be_done_well_is_declined() {
    let grid = Sparse::grid(20, 0.0, 0.0);
    let given = vec![1.0; grid.size];
    let free = Sparse::of(
        30,
        (1..30).flat_map(|at| [(at, at, 1.0), (at - 1, at - 1, 1.0), (at, at - 1, -1.0), (at - 1, at, -1.0)]),
    );
    let zero_row = Sparse::of(9, (0..9).map(|at| (at, at, if at == 4 { 0.0 } else { 2.0 })));
    let no_diagonal = Sparse::of(2, [(0, 1, 1.0), (1, 0, 1.0)]);
    let far_from_symmetric = Sparse::of(
        100,
        (0..100).flat_map(|at| (0..=at).step_by(3).map(move |row| (row, at, 1.0)).chain([(at, at, 5.0)])),
    );
    let mut not_finite = grid.clone();
    not_finite.values[77] = f64::NAN;
    let mut unsorted = grid.clone();
    unsorted.rows.swap(0, 1);
    let mut beyond = grid.clone();
    beyond.rows[2] = 400;
    let mut repeated = grid.clone();
    repeated.rows[1] = repeated.rows[0];
    let mut descending = grid.clone();
    descending.starts[7] = 0;
    let mut negative = grid.clone();
    negative.starts[7] = u32::MAX;
    for (name, matrix) in [
        ("singular", free),
        ("a zero row", zero_row),
        ("no diagonal", no_diagonal),
        ("far from symmetric", far_from_symmetric),
        ("not finite", not_finite),
        ("unsorted", unsorted),
        ("beyond", beyond),
        ("repeated", repeated),
        ("descending", descending),
        ("negative", negative),
    ] {
        let mut guest = Guest::new(&matrix, &given[..matrix.size]);
        let before = guest.words.clone();
        assert_eq!(guest.solve(false), Err(Stop::Declined), "{name}");
        assert_eq!(guest.factor(), Err(Stop::Declined), "{name}");
        guest.words.truncate(before.len());
        let order = guest.order as usize / 8;
        assert_eq!(guest.words[..order], before[..order], "{name}");
    }
    let mut with_nan = Guest::new(&grid, &vec![f64::INFINITY; grid.size]);
    assert_eq!(with_nan.solve(false), Err(Stop::Declined));
}

#[test]
fn addresses_beyond_the_memory_misaligned_or_shared_are_declined() {
    let grid = Sparse::grid(10, 0.0, 0.0);
    let given = vec![1.0; grid.size];
    let fresh = Guest::new(&grid, &given);
    let words = [&fresh.matrix()[..], &[fresh.given, 1, fresh.solution]].concat();
    let mut wild: Vec<(usize, u64)> = Vec::new();
    for place in [2, 3, 4, 5, 7] {
        let right = words[place];
        wild.extend([u64::MAX, u64::MAX - 7, 1 << 63, fresh.end, fresh.end - 8, right + 1].map(|wrong| (place, wrong)));
    }
    for place in [0, 1, 6] {
        wild.extend([u64::MAX, 1 << 61, 1 << 32, 10_000].map(|wrong| (place, wrong)));
    }
    // The solution over each operand, wholly or by its last element.
    wild.extend([fresh.starts, fresh.rows, fresh.values, fresh.given, fresh.given + 8].map(|shared| (7, shared)));
    for (place, wrong) in wild {
        let mut guest = Guest::new(&grid, &given);
        let mut words = words.clone();
        words[place] = wrong;
        let answer = guest.ask(&mut Unlimited, &request(1, false, &words));
        assert_eq!(answer, Err(Stop::Declined), "{wrong:#x} for number {place}");
        assert_eq!(guest.words, fresh.words, "{wrong:#x} for number {place}");
    }
    for bytes in [&[][..], &[1], &[1; 8], &[9, 0, 0, 0, 0, 0, 0, 0], &[0; 90]] {
        assert_eq!(Guest::new(&grid, &given).ask(&mut Unlimited, bytes), Err(Stop::Declined));
    }
    let mut flags = fresh.solve_request(false);
    flags[1] = 2;
    assert_eq!(Guest::new(&grid, &given).ask(&mut Unlimited, &flags), Err(Stop::Declined));
}

/// Ends after so many announcements, or refuses after so many charges.
struct Strict {
    works_left: usize,
    reserves_left: usize,
    reserved: u64,
    largest: u64,
}

impl Host for Strict {
    fn work(&mut self, flops: u64) -> Result<(), Stop> {
        self.largest = self.largest.max(flops);
        self.works_left = self.works_left.checked_sub(1).ok_or(Stop::Interrupted)?;
        Ok(())
    }

    fn reserve(&mut self, bytes: u64) -> Result<(), Stop> {
        self.reserves_left = self.reserves_left.checked_sub(1).ok_or(Stop::Declined)?;
        self.reserved += bytes;
        Ok(())
    }

    fn release(&mut self, bytes: u64) {
        self.reserved -= bytes;
    }
}

#[test]
fn a_host_may_end_the_work_and_refuse_memory_at_any_time() {
    let mut random = Random(0xBEEF);
    for matrix in [Sparse::frame(40, 6, &mut random), Sparse::grid(30, 0.3, 0.0)] {
        let given = random.numbers(matrix.size);
        let fresh = Guest::new(&matrix, &given);
        let request = fresh.solve_request(false);
        let strict = |works_left, reserves_left| Strict { works_left, reserves_left, reserved: 0, largest: 0 };
        let mut patient = strict(usize::MAX, usize::MAX);
        assert!(Guest::new(&matrix, &given).ask(&mut patient, &request).is_ok());
        assert_eq!(patient.reserved, 0, "all charges are handed back");
        assert!(patient.largest <= crate::WORK_FLOPS_MAX);
        let (works, reserves) = (usize::MAX - patient.works_left, usize::MAX - patient.reserves_left);
        assert!(works > 1 && reserves > 30);
        let cases = (0..works).map(|works| (strict(works, usize::MAX), Stop::Interrupted));
        let cases = cases.chain((0..reserves).map(|reserves| (strict(usize::MAX, reserves), Stop::Declined)));
        for (mut host, stop) in cases {
            let mut guest = Guest::new(&matrix, &given);
            assert_eq!(guest.ask(&mut host, &request), Err(stop));
            assert_eq!(host.reserved, 0);
            assert_eq!(guest.words, fresh.words);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every pattern is ordered and factored: with a dominant diagonal nothing else stands in the way.
    #[test]
    fn any_pattern_with_a_dominant_diagonal_is_solved(
        size in 1_usize..90,
        pairs in prop::collection::vec((0_usize..90, 0_usize..90), 0..400),
        each in 1_usize..4,
        asymmetry in prop::sample::select(vec![0.0, 0.5]),
    ) {
        let columns = size * each;
        let mut elements: Vec<_> = (0..columns).map(|at| (at, at, 2500.0)).collect();
        for (row, column) in pairs {
            let (row, column) = (row % size, column % size);
            for at in 0..each * each {
                let (row, column) = (row * each + at / each, column * each + at % each);
                elements.extend([(row, column, -1.0 - asymmetry), (column, row, -1.0)]);
            }
        }
        let matrix = Sparse::of(columns, elements);
        let given = Random(0xD0_0D).numbers(2 * columns);
        let mut guest = Guest::new(&matrix, &given);
        prop_assert_eq!(guest.solve(false), Ok(b"+".to_vec()));
        assert_solved(&matrix, &given, &guest.solutions(), false);
    }

    /// A guest may change its arrays as it likes.
    #[test]
    fn changed_matrices_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
    ) {
        let matrix = Sparse::grid(8, 0.2, 0.0);
        let given = vec![1.0; matrix.size];
        let mut guest = Guest::new(&matrix, &given);
        let bytes = guest.given as usize;
        for (index, byte) in changes {
            super::super::work::bytes_mut(&mut guest.words)[index.index(bytes)] = byte;
        }
        let before = guest.words.clone();
        let solution = guest.solution as usize / 8..guest.order as usize / 8;
        let answer = guest.solve(false);
        prop_assert!(matches!(answer, Ok(_) | Err(Stop::Declined)));
        if answer.is_ok() {
            guest.words[solution.clone()].copy_from_slice(&before[solution]);
        }
        prop_assert_eq!(guest.words, before);
    }
}
