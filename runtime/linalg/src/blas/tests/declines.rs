//! What is left to the guest's own code: each case is a call that would be done, but for one thing.

use super::{
    image::{Image, Kind, MEMORY_BYTES, Operand, PARAMETERS_AT, with_context},
    reference::{C64, Noise, c64},
};
use crate::{Stop, blas};

/// Parameters of `dgemm_`.
const M: usize = 2;
const K: usize = 4;
const ALPHA: usize = 5;
const A: usize = 6;
const A_LEADING: usize = 7;
const B: usize = 8;
const B_LEADING: usize = 9;
const C: usize = 11;
const C_LEADING: usize = 12;
/// Rows and columns of each of its operands, and the bytes of a column.
const N: usize = 8;
const COLUMN_BYTES: u32 = 8 * N as u32;

/// A product of 8 by 8 matrices without gaps.
fn product() -> (Image, Operand) {
    let mut noise = Noise::new(40);
    let mut image = Image::new(Kind::D, "gemm_");
    image.flags("NN");
    image.sizes([N, N, N]);
    image.scalar(c64(1.5, 0.0));
    image.matrix(&noise.matrix(Kind::D, N, N), 0);
    image.matrix(&noise.matrix(Kind::D, N, N), 0);
    image.scalar(C64::default());
    let c = image.matrix(&noise.matrix(Kind::D, N, N), 0);
    (image, c)
}

/// Changes the integer that a parameter points to.
fn set_integer(image: &mut Image, index: usize, value: i32) {
    let at = image.parameter(index) as usize;
    image.memory()[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

fn check_parameter(index: usize, word: u32, why: &str) {
    let (mut image, _) = product();
    image.set_parameter(index, word);
    image.run_declined(why);
}

#[test]
fn the_call_itself_is_done() {
    let (mut image, c) = product();
    image.run_writing(&[c.into()]);
}

#[test]
fn a_wild_pointer_is_declined() {
    for index in 0..13 {
        for word in [MEMORY_BYTES as u32, 0x7fff_ffff, 0x8000_0000, u32::MAX, u32::MAX - 3] {
            check_parameter(index, word, "a pointer beyond the memory");
        }
    }
}

#[test]
fn an_operand_may_end_where_the_memory_ends_and_no_byte_later() {
    let last = MEMORY_BYTES as u32 - N as u32 * COLUMN_BYTES;
    for index in [A, B, C] {
        let (mut image, _) = product();
        image.set_parameter(index, last);
        assert_eq!(image.run(), Ok(()), "the last place that there is");
        check_parameter(index, last + 8, "an element beyond the memory");
        check_parameter(index, last + COLUMN_BYTES, "a column beyond the memory");
    }
    check_parameter(ALPHA, MEMORY_BYTES as u32 - 7, "a byte of alpha beyond the memory");
    check_parameter(M, MEMORY_BYTES as u32 - 3, "a byte of a size beyond the memory");
}

#[test]
fn a_misaligned_operand_is_declined() {
    for (index, offset) in [A, B, C].into_iter().flat_map(|index| [1, 2, 4, 7].map(|offset| (index, offset))) {
        let (mut image, _) = product();
        let word = image.parameter(index);
        image.set_parameter(index, word + offset);
        image.run_declined("misaligned");
    }
}

#[test]
fn an_output_that_overlaps_an_operand_is_declined() {
    let bytes = N as u32 * COLUMN_BYTES;
    for other in [A, B] {
        for offset in [0, 8, COLUMN_BYTES, bytes - 8] {
            let (mut image, _) = product();
            let word = image.parameter(other) + offset;
            image.set_parameter(C, word);
            image.run_declined("c within another operand");
            let (mut image, _) = product();
            let word = image.parameter(C) + offset;
            image.set_parameter(other, word);
            image.run_declined("another operand within c");
        }
    }
    check_parameter(C, PARAMETERS_AT, "c where the parameters are");
    check_parameter(C, PARAMETERS_AT + 12 * 8, "c where the last parameter is");
}

#[test]
fn operands_that_are_only_read_may_overlap() {
    let (mut image, c) = product();
    image.set_parameter(B, image.parameter(A) + 8);
    image.run_writing(&[c.into()]);
}

#[test]
fn an_output_may_lie_between_the_columns_of_an_operand() {
    // Both are parts of one matrix of 16 rows, as LAPACK's panels are: a above c, then side by side, then one row too low.
    let parts = [(0, 8, true), (8, 0, true), (0, 16 * 8, true), (1, 8, false), (0, 16 * 7, false)];
    for (a_at, c_at, is_done) in parts {
        let (mut image, _) = product();
        let start = 64 * 1024;
        image.set_parameter(A, start + 8 * a_at);
        image.set_parameter(C, start + 8 * c_at);
        set_integer(&mut image, A_LEADING, 16);
        set_integer(&mut image, C_LEADING, 16);
        if is_done {
            assert_eq!(image.run(), Ok(()), "{a_at} {c_at}");
        } else {
            image.run_declined("parts of a matrix that overlap");
        }
    }
}

#[test]
fn an_output_between_columns_of_other_steps_is_declined() {
    let (mut image, _) = product();
    image.set_parameter(A, 64 * 1024);
    image.set_parameter(C, 64 * 1024 + COLUMN_BYTES);
    set_integer(&mut image, A_LEADING, 16);
    set_integer(&mut image, C_LEADING, 32);
    image.run_declined("columns that may or may not overlap");
}

#[test]
fn a_leading_dimension_less_than_the_rows_is_declined() {
    for index in [A_LEADING, B_LEADING, C_LEADING] {
        for leading in [7, 1, 0, -1, -8, i32::MIN] {
            let (mut image, _) = product();
            set_integer(&mut image, index, leading);
            image.run_declined("a leading dimension too small");
        }
    }
}

#[test]
fn a_size_that_is_none_is_declined() {
    for index in M..=K {
        for size in [0, -1, i32::MIN, i32::MAX, 1 << 30, 1 << 16] {
            let (mut image, _) = product();
            set_integer(&mut image, index, size);
            image.run_declined("an odd size");
        }
    }
    // So large that a product of 64 bits would overflow.
    let (mut image, _) = product();
    for index in [2, 3, 4, A_LEADING, B_LEADING, C_LEADING] {
        set_integer(&mut image, index, i32::MAX);
    }
    image.run_declined("everything huge");
}

#[test]
fn an_odd_flag_is_declined() {
    for (index, letter) in
        [0, 1].into_iter().flat_map(|index| [b'R', b'X', b' ', 0, 0xff].map(|letter| (index, letter)))
    {
        let (mut image, _) = product();
        let at = image.parameter(index) as usize;
        image.memory()[at] = letter;
        image.run_declined("an odd flag");
    }
}

#[test]
fn a_transpose_that_the_function_does_not_have_is_declined() {
    for (kind, name, flags) in [(Kind::Z, "syrk_", "UC"), (Kind::Z, "herk_", "UT"), (Kind::C, "cblas_syrk", "LC")] {
        let mut noise = Noise::new(41);
        let mut image = Image::new(kind, name);
        image.by_rows(false);
        image.flags(flags);
        image.sizes([4, 4]);
        image.scalar(C64::default());
        image.matrix(&noise.matrix(kind, 4, 4), 0);
        image.scalar(C64::default());
        image.matrix(&noise.matrix(kind, 4, 4), 0);
        image.run_declined(flags);
    }
}

#[test]
fn an_odd_layout_or_transpose_of_c_is_declined() {
    for (index, word) in [(0, 0), (0, 100), (0, 103), (0, u32::MAX), (1, 110), (1, 114), (1, 0), (1, u32::from(b'N'))] {
        let mut noise = Noise::new(42);
        let mut image = Image::new(Kind::D, "cblas_gemv");
        image.by_rows(true);
        image.flags("N");
        image.sizes([4, 4]);
        image.scalar(c64(1.0, 0.0));
        image.matrix(&noise.matrix(Kind::D, 4, 4), 0);
        image.vector(&noise.matrix(Kind::D, 4, 1), 1);
        image.scalar(C64::default());
        image.vector(&noise.matrix(Kind::D, 4, 1), 1);
        image.set_parameter(index, word);
        image.run_declined("an odd value");
    }
}

#[test]
fn an_odd_step_of_a_vector_is_declined() {
    for (index, step) in [7, 10].into_iter().flat_map(|index| [0, i32::MIN, i32::MAX].map(|step| (index, step))) {
        let mut noise = Noise::new(43);
        let mut image = Image::new(Kind::D, "gemv_");
        image.flags("N");
        image.sizes([4, 4]);
        image.scalar(c64(1.0, 0.0));
        image.matrix(&noise.matrix(Kind::D, 4, 4), 0);
        image.vector(&noise.matrix(Kind::D, 4, 1), 1);
        image.scalar(C64::default());
        image.vector(&noise.matrix(Kind::D, 4, 1), 1);
        set_integer(&mut image, index, step);
        image.run_declined("an odd step");
    }
}

/// A system of 6 equations in factors: parameters 5 and 8 are the pivots and the answer.
fn system(pivots: &[i32]) -> Image {
    let mut noise = Noise::new(44);
    let mut image = Image::new(Kind::D, "getrs_");
    image.flags("N");
    image.sizes([6, 2]);
    image.matrix(&noise.square(Kind::D, 6), 0);
    image.integers(pivots);
    image.matrix(&noise.matrix(Kind::D, 6, 2), 0);
    image.integers(&[0]);
    image
}

#[test]
fn a_pivot_that_is_no_row_is_declined() {
    assert_eq!(system(&[1, 2, 3, 4, 5, 6]).run(), Ok(()));
    for pivot in [0, -1, 7, i32::MAX, i32::MIN] {
        system(&[1, 2, pivot, 4, 5, 6]).run_declined("a pivot that is no row");
    }
}

#[test]
fn an_answer_that_overlaps_an_operand_is_declined() {
    // The matrix, the pivots, the right-hand sides, and the parameters themselves.
    for index in [3, 5, 6] {
        let mut image = system(&[1, 2, 3, 4, 5, 6]);
        image.set_parameter(8, image.parameter(index) + 4);
        image.run_declined("the answer within an operand");
    }
    let mut image = system(&[1, 2, 3, 4, 5, 6]);
    image.set_parameter(8, PARAMETERS_AT);
    image.run_declined("the answer within the parameters");
    let mut image = system(&[1, 2, 3, 4, 5, 6]);
    image.set_parameter(8, image.parameter(8) + 2);
    image.run_declined("a misaligned answer");
}

#[test]
fn pivots_that_overlap_the_matrix_are_declined() {
    let mut noise = Noise::new(45);
    let mut image = Image::new(Kind::D, "getrf_");
    image.sizes([6, 6]);
    image.matrix(&noise.square(Kind::D, 6), 0);
    image.integers(&[0; 6]);
    image.integers(&[0]);
    image.set_parameter(4, image.parameter(2) + 8);
    image.run_declined("pivots within the matrix");
}

#[test]
fn a_diagonal_with_an_endless_imaginary_part_is_declined() {
    let mut noise = Noise::new(46);
    for im in [f64::NAN, f64::INFINITY] {
        let mut image = Image::new(Kind::Z, "herk_");
        image.flags("UN");
        image.sizes([4, 4]);
        image.real(1.0);
        image.matrix(&noise.matrix(Kind::Z, 4, 4), 0);
        image.real(1.0);
        let c =
            noise.matrix(Kind::Z, 4, 4).map(|row, col, value| if (row, col) == (2, 2) { c64(1.0, im) } else { value });
        image.matrix(&c, 0);
        image.run_declined("an imaginary part that isn't zero when multiplied by it");
    }
}

#[test]
fn a_matrix_with_a_number_that_is_none_is_not_factorised() {
    let mut noise = Noise::new(47);
    let flawed = noise.square(Kind::D, 6).map(|row, col, value| match (row, col) {
        (4, 1) => c64(f64::NAN, 0.0),
        _ if row == col => c64(9.0, 0.0),
        _ => value,
    });
    // Which triangle is read decides.
    for (part, is_declined) in [("L", true), ("U", false)] {
        let mut image = Image::new(Kind::D, "potrf_");
        image.flags(part);
        image.sizes([6]);
        let a = image.matrix(&flawed, 0);
        let info = image.integers(&[0]);
        if is_declined {
            image.run_declined("a number that is none");
        } else {
            image.run_writing(&[a.into(), info.into()]);
        }
    }
}

#[test]
fn an_unknown_operation_or_parameters_beyond_the_memory_are_declined() {
    let mut memory = vec![0; 256];
    let mut call = |operation, at| with_context(|cx| blas::call(cx, &mut memory, operation, at));
    for operation in [blas::TABLE.len() as u32, u32::MAX] {
        assert_eq!(call(operation, 0), Err(Stop::Declined));
    }
    for operation in 0..blas::TABLE.len() as u32 {
        for at in [249, 253, 256, u32::MAX, u32::MAX - 8] {
            assert_eq!(call(operation, at), Err(Stop::Declined), "{operation} {at}");
        }
    }
}
