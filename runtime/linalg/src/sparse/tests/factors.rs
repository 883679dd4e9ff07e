//! Factors that a guest keeps, as they were made and spoiled.

use super::*;
use proptest::prelude::*;

#[test]
fn factors_are_kept_by_the_guest_and_used_again() {
    let mut random = Random(0xFAC7);
    for matrix in [Sparse::grid(25, 0.0, 0.0), Sparse::grid(25, 0.4, 0.0), Sparse::frame(60, 6, &mut random)] {
        let given = random.numbers(matrix.size * 11);
        let mut guest = Guest::new(&matrix, &given);
        let factors = guest.factor().unwrap();
        for is_transposed in [false, true] {
            assert_eq!(guest.solve_with(factors, is_transposed), Ok(b"+".to_vec()));
            assert_solved(&matrix, &given, &guest.solutions(), is_transposed);
        }
    }
}

#[test]
fn an_indefinite_matrix_of_positive_diagonal_is_factored_by_the_second_method() {
    let matrix = Sparse::grid(25, 0.0, 1.3);
    let mut guest = Guest::new(&matrix, &vec![1.0; matrix.size]);
    let factors = guest.factor().unwrap();
    assert_eq!(guest.words[guest.end as usize / 8 + 1], 1);
    assert!(guest.solve_with(factors, false).is_ok());
}

#[test]
fn factors_that_fit_neither_their_matrix_nor_their_array_are_declined() {
    let matrix = Sparse::grid(12, 0.0, 0.0);
    let mut guest = Guest::new(&matrix, &vec![1.0; matrix.size]);
    let [at, bytes] = guest.factor().unwrap();
    for wrong in [[at, bytes - 8], [at + 8, bytes - 8], [at, bytes + 8], [at, u64::MAX], [at + 4, bytes - 8], [0, 16]] {
        assert_eq!(guest.solve_with(wrong, false), Err(Stop::Declined), "{wrong:?}");
    }
    // An order that is none, and an array of another size.
    let answer =
        guest.ask(&mut Unlimited, &request(2, false, &[&guest.matrix()[..], &[guest.order]].concat())).unwrap();
    assert_eq!(answer[1..9], bytes.to_le_bytes());
    for (order, method, bytes) in [(guest.rows, 0, bytes), (guest.order, 0, bytes - 8), (guest.order, 2, bytes)] {
        let words = [&guest.matrix()[..], &[order, method, at, bytes]].concat();
        assert_eq!(guest.ask(&mut Unlimited, &request(3, false, &words)), Err(Stop::Declined));
    }
    let other = Sparse::grid(11, 0.0, 0.0);
    let factors = guest.words[at as usize / 8..].to_vec();
    let mut guest = Guest::new(&other, &vec![1.0; other.size]);
    guest.words.extend(factors);
    assert_eq!(guest.solve_with([guest.end, bytes], false), Err(Stop::Declined));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a guest does to its factors: it is told that they are declined, or gets numbers where it asked for them.
    #[test]
    fn changed_factors_do_no_harm(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<bool>()), 1..4),
        wind in prop::sample::select(vec![0.0, 0.3]),
        is_transposed in any::<bool>(),
    ) {
        let matrix = Sparse::grid(7, wind, 0.0);
        let mut guest = Guest::new(&matrix, &vec![1.0; matrix.size]);
        let factors = guest.factor().unwrap();
        let start = guest.end as usize / 8;
        let before: Vec<u64> = guest.words[..start].to_vec();
        for (index, byte, is_structure) in changes {
            let all = factors[1] as usize;
            let at = index.index(if is_structure { all / 3 } else { all });
            super::super::work::bytes_mut(&mut guest.words)[8 * start + at] = byte;
        }
        let changed = guest.words[start..].to_vec();
        let answer = guest.solve_with(factors, is_transposed);
        if answer == Ok(b"+".to_vec()) {
            assert_solved(&matrix, &vec![1.0; matrix.size], &guest.solutions(), is_transposed);
        } else {
            prop_assert_eq!(answer, Err(Stop::Declined));
            prop_assert_eq!(&guest.words[..start], &before[..]);
        }
        prop_assert_eq!(&guest.words[start..], &changed[..]);
    }
}
