//! The functions where there are no kernels, and what is refused before a host is asked.

use super::*;

#[test]
fn products_take_transposes_and_add() {
    let (a, b) = ([1.0, 4.0, 2.0, 5.0, 3.0, 6.0], [7.0, 9.0, 11.0, 8.0, 10.0, 12.0]);
    let (a, b) = (Matrix::new(&a, 2, 3).unwrap(), Matrix::new(&b, 3, 2).unwrap());
    let mut c = [f64::NAN; 4];
    multiply(1.0, a, b, 0.0, &mut c).unwrap();
    assert_eq!(c, [58.0, 139.0, 64.0, 154.0]);
    multiply(-1.0, b.t(), a.t(), 1.0, &mut c).unwrap();
    assert_eq!(c, [0.0, 75.0, -75.0, 0.0]);
    assert_eq!((a.t().rows(), a.t().cols()), (3, 2));
    // More than a block each way.
    let ones = vec![1.0; 300 * 300];
    let ones = Matrix::new(&ones, 300, 300).unwrap();
    let mut c = vec![0.0; 300 * 300];
    multiply(0.5, ones, ones.t(), 0.0, &mut c).unwrap();
    assert!(c.iter().all(|&value| value == 150.0));
}

#[test]
fn systems_are_solved_or_named() {
    let mut x = [1.0, 2.0, 4.0, 0.0];
    solve(&mut [0.0, 2.0, 4.0, 0.0], &mut x).unwrap();
    assert_eq!(x, [1.0, 0.25, 0.0, 1.0]);
    let mut b = [1.0, 2.0];
    assert_eq!(solve(&mut [1.0, 2.0, 2.0, 4.0], &mut b), Err(Failure::Singular { pivot: 2 }));
    assert_eq!(b, [1.0, 2.0]);
    let mut x = [1.0, 2.0];
    solve_positive_definite(&mut [4.0, 2.0, f64::NAN, 5.0], &mut x).unwrap();
    assert_eq!(x, [0.0625, 0.375]);
    let failed = solve_positive_definite(&mut [4.0, 4.0, 4.0, 1.0], &mut b);
    assert_eq!(failed, Err(Failure::NotPositiveDefinite { order: 2 }));
    assert!(solve(&mut [], &mut []).is_ok());
}

#[test]
fn sizes_that_do_not_fit_are_told() {
    let two = Matrix::new(&[1.0, 2.0], 2, 1).unwrap();
    assert!(Matrix::new(&[1.0, 2.0], 2, 2).is_err() && Matrix::new(&[], usize::MAX, 2).is_err());
    let told = |result: Result<(), Failure>| result.unwrap_err().to_string();
    assert!(told(multiply(1.0, two, two, 0.0, &mut [0.0; 4])).contains("as many columns"));
    assert!(told(multiply(1.0, two, two.t(), 0.0, &mut [0.0; 3])).contains("a product has"));
    assert!(told(solve(&mut [1.0, 2.0], &mut [1.0])).contains("square"));
    assert!(told(solve(&mut [1.0, 2.0, 3.0, 4.0], &mut [1.0])).contains("right-hand sides"));
}

#[test]
fn entries_are_assembled_by_columns() {
    let entries = vec![(2, 2, 1.0), (0, 0, 2.0), (2, 0, -1.0), (0, 2, -1.0), (2, 2, 0.5), (0, 0, 1.0)];
    let matrix = Sparse::from_entries(4, entries).unwrap();
    assert_eq!(matrix.starts, [0, 2, 2, 4, 4]);
    assert_eq!((&*matrix.rows, &*matrix.values), (&[0, 2, 0, 2][..], &[3.0, -1.0, -1.0, 1.5][..]));
    assert_eq!(matrix.size(), 4);
    assert!(Sparse::from_entries(2, vec![(2, 0, 1.0)]).is_err());
    assert_eq!(Sparse::from_entries(0, Vec::new()).unwrap().starts, [0]);
    // There are no kernels here.
    assert_eq!(solve_sparse(&matrix, &[0.0; 4]), Err(Failure::NotAvailable));
    assert!(matches!(solve_sparse(&matrix, &[0.0; 5]), Err(Failure::Shape(_))));
}
