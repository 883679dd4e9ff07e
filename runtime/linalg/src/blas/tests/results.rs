//! Functions that return a number, or write numbers one by one, through a memory image.

use super::{
    image::{Image, Kind, PARAMETERS_AT},
    reference::{Noise, c64},
};

#[test]
fn nrm2_returns_the_norm_in_the_first_parameters_place() {
    let mut noise = Noise::new(51);
    for (kind, step) in Kind::ALL.into_iter().flat_map(|kind| [1, 3, -2].map(|step| (kind, step))) {
        let x = noise.matrix(kind, 70, 1);
        let square = x.indices().map(|(row, col)| x.get(row, col)).map(|value| value.re.powi(2) + value.im.powi(2));
        let expected = square.sum::<f64>().sqrt();
        let mut image = Image::new(kind, "nrm2_");
        image.size(70);
        image.vector(&x, step);
        let result = image.result();
        image.run_writing(&[result.into()]);
        let norm = image.read_real(&result);
        assert!((norm - expected).abs() <= kind.tolerance() * expected, "{kind:?} {step}: {norm}, not {expected}");
    }
}

#[test]
fn a_vector_that_lies_where_the_result_goes_is_declined() {
    let mut image = Image::new(Kind::D, "nrm2_");
    image.size(3);
    image.vector(&Noise::new(52).matrix(Kind::D, 3, 1), 1);
    for address in [PARAMETERS_AT, PARAMETERS_AT - 16] {
        image.set_parameter(1, address);
        image.run_declined("it overlaps the result");
    }
}

/// Four poles 0, 1, 2, 3 with equal weights; the root after the pole of that number, from 1.
fn equation(kind: Kind, number: i32) -> Image {
    let mut image = Image::new(kind, "laed4_");
    image.size(4);
    image.size(number);
    for values in [[0.0, 1.0, 2.0, 3.0], [0.5; 4], [0.0; 4]] {
        image.reals(&values);
    }
    image.scalar(c64(1.0, 0.0));
    image.reals(&[0.0]);
    image.integers(&[-1]);
    image
}

#[test]
fn laed4_writes_a_root_and_its_differences_from_all_poles() {
    for (kind, number) in Kind::REAL.into_iter().flat_map(|kind| [1, 2, 3, 4].map(|number| (kind, number))) {
        let mut image = equation(kind, number);
        let bytes = image.alignment();
        let (differences, root) = (image.pointed(4, 4, bytes), image.pointed(6, 1, bytes));
        let info = image.pointed(7, 1, 4);
        image.run_writing(&[differences.into(), root.into(), info.into()]);
        let found = image.read(&root).get(0, 0).re;
        let terms = |row| 0.25 / (f64::from(row) - found);
        let value = 1.0 + (0..4).map(terms).sum::<f64>();
        assert!(value.abs() < 100.0 * kind.tolerance(), "{kind:?} {number}: {found} gives {value}");
        assert!((f64::from(number) - 1.0..f64::from(number) + 1.0).contains(&found));
        for row in 0..4 {
            let difference = image.read(&differences).get(row, 0).re;
            assert!((difference - (row as f64 - found)).abs() < kind.tolerance());
        }
        assert_eq!(image.read_integers(&info), [0]);
    }
}

#[test]
fn laed4_declines_a_number_of_no_pole_and_what_overlaps() {
    for number in [0, -1, 5, i32::MAX] {
        equation(Kind::D, number).run_declined("no pole has that number");
    }
    for index in [2, 3, 6, 7] {
        let mut image = equation(Kind::D, 2);
        let differences = image.parameter(4);
        image.set_parameter(index, differences);
        image.run_declined("it overlaps the differences");
    }
}
