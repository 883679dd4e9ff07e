//! A guest's memory with a call in it.

use super::{
    super::{Convention, Entry, TABLE, call},
    reference::{C64, Matrix, Noise},
};
use crate::{Context, Instructions, Stop, Unlimited};
use std::ops::Range;

pub(super) const MEMORY_BYTES: usize = 1 << 17;
/// Where the parameters are spilled.
pub(super) const PARAMETERS_AT: u32 = 512;
const OPERANDS_AT: usize = 1024;

/// The numbers that a function is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    S,
    D,
    C,
    Z,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::S, Self::D, Self::C, Self::Z];
    pub(super) const COMPLEX: [Self; 2] = [Self::C, Self::Z];
    pub(super) const REAL: [Self; 2] = [Self::S, Self::D];

    pub(super) fn letter(self) -> char {
        match self {
            Self::S => 's',
            Self::D => 'd',
            Self::C => 'c',
            Self::Z => 'z',
        }
    }

    pub(super) fn is_complex(self) -> bool {
        matches!(self, Self::C | Self::Z)
    }

    fn is_single(self) -> bool {
        matches!(self, Self::S | Self::C)
    }

    fn bytes(self) -> usize {
        let real = if self.is_single() { 4 } else { 8 };
        if self.is_complex() { 2 * real } else { real }
    }

    /// What results may differ by, of numbers about 1.
    pub(super) fn tolerance(self) -> f64 {
        if self.is_single() { 2e-4 } else { 1e-12 }
    }

    fn encode(self, value: C64) -> Vec<u8> {
        let real = |real: f64| match self.is_single() {
            true => (real as f32).to_le_bytes().to_vec(),
            false => real.to_le_bytes().to_vec(),
        };
        let mut bytes = real(value.re);
        if self.is_complex() {
            bytes.extend(real(value.im));
        }
        bytes
    }

    fn decode(self, bytes: &[u8]) -> C64 {
        let real = |at: usize| match self.is_single() {
            true => f64::from(f32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().unwrap())),
            false => f64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap()),
        };
        C64 { re: real(0), im: if self.is_complex() { real(1) } else { 0.0 } }
    }
}

/// Where an operand's elements are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Operand {
    /// Of the element (0, 0).
    first: i64,
    pub(super) rows: usize,
    pub(super) cols: usize,
    row_bytes: i64,
    col_bytes: i64,
    bytes: usize,
}

impl Operand {
    fn range(&self, row: usize, col: usize) -> Range<usize> {
        let start = (self.first + row as i64 * self.row_bytes + col as i64 * self.col_bytes) as usize;
        start..start + self.bytes
    }
}

/// A memory, and a call that is put together in it, parameter by parameter.
pub(super) struct Image {
    operation: u32,
    entry: &'static Entry,
    pub(super) kind: Kind,
    is_by_rows: bool,
    room: Vec<u8>,
    next: usize,
    parameters: Vec<u8>,
    before: Vec<u8>,
}

impl Image {
    /// A call of the function of that name (without its kind: `gemm_`, `cblas_gemm`). The memory is full of noise.
    pub(super) fn new(kind: Kind, name: &str) -> Self {
        let letter = kind.letter();
        let symbol = match name.strip_prefix("cblas_") {
            Some(name) => format!("cblas_{letter}{name}"),
            // The result is a real number.
            None if name == "nrm2_" && kind == Kind::C => "scnrm2_".to_owned(),
            None if name == "nrm2_" && kind == Kind::Z => "dznrm2_".to_owned(),
            None => format!("{letter}{name}"),
        };
        let operation = TABLE.iter().position(|entry| entry.symbol == symbol);
        let operation = operation.unwrap_or_else(|| panic!("no {symbol}"));
        let mut noise = Noise::new(7);
        let room = (0..MEMORY_BYTES + 64).map(|_| noise.byte()).collect();
        Self {
            operation: operation as u32,
            entry: &TABLE[operation],
            kind,
            is_by_rows: false,
            room,
            next: OPERANDS_AT,
            parameters: Vec::new(),
            before: Vec::new(),
        }
    }

    pub(super) fn memory(&mut self) -> &mut [u8] {
        let skipped = self.room.as_ptr().align_offset(64);
        &mut self.room[skipped..skipped + MEMORY_BYTES]
    }

    fn bytes(&self) -> &[u8] {
        let skipped = self.room.as_ptr().align_offset(64);
        &self.room[skipped..skipped + MEMORY_BYTES]
    }

    fn is_fortran(&self) -> bool {
        self.entry.convention == Convention::Fortran
    }

    /// Room for so many bytes; between operands there is a gap.
    fn take(&mut self, bytes: usize, alignment: usize) -> usize {
        let at = (self.next + 24).next_multiple_of(alignment);
        self.next = at + bytes;
        assert!(self.next <= MEMORY_BYTES, "an image too small for its test");
        at
    }

    fn put(&mut self, bytes: &[u8], alignment: usize) -> usize {
        let at = self.take(bytes.len(), alignment);
        self.memory()[at..at + bytes.len()].copy_from_slice(bytes);
        at
    }

    pub(super) fn word(&mut self, word: u32) {
        self.parameters.extend(u64::from(word).to_le_bytes());
    }

    pub(super) fn by_rows(&mut self, is_by_rows: bool) {
        self.is_by_rows = is_by_rows;
        if !self.is_fortran() {
            self.word(if is_by_rows { 101 } else { 102 });
        }
    }

    pub(super) fn flags(&mut self, letters: &str) {
        for letter in letters.chars() {
            if self.is_fortran() {
                let at = self.put(&[letter as u8], 1);
                self.word(at as u32);
            } else {
                self.word(match letter.to_ascii_uppercase() {
                    'N' => 111,
                    'T' => 112,
                    'C' => 113,
                    'U' => 121,
                    'L' => 122,
                    _ => panic!("no flag of C: {letter}"),
                });
            }
        }
    }

    pub(super) fn size(&mut self, size: i32) {
        if self.is_fortran() {
            let at = self.put(&size.to_le_bytes(), 4);
            self.word(at as u32);
        } else {
            self.word(size.cast_unsigned());
        }
    }

    pub(super) fn sizes<const N: usize>(&mut self, sizes: [usize; N]) {
        for size in sizes {
            self.size(size as i32);
        }
    }

    pub(super) fn scalar(&mut self, value: C64) {
        self.scalar_of(self.kind, value);
    }

    pub(super) fn real(&mut self, value: f64) {
        let kind = if self.kind.is_single() { Kind::S } else { Kind::D };
        self.scalar_of(kind, C64 { re: value, im: 0.0 });
    }

    fn scalar_of(&mut self, kind: Kind, value: C64) {
        let mut bytes = kind.encode(value);
        if self.is_fortran() || kind.is_complex() {
            // Scalars may be at any address.
            let at = self.put(&bytes, 8) + 1;
            self.next += 1;
            self.memory()[at..at + bytes.len()].copy_from_slice(&bytes);
            self.word(at as u32);
        } else {
            bytes.resize(8, 0xaa);
            self.parameters.extend(bytes);
        }
    }

    /// A matrix whose leading dimension has `gap` elements more than it must.
    pub(super) fn matrix(&mut self, matrix: &Matrix, gap: usize) -> Operand {
        let (rows, cols) = (matrix.rows, matrix.cols);
        let (run, count) = if self.is_by_rows { (cols, rows) } else { (rows, cols) };
        let (bytes, leading) = (self.kind.bytes(), run + gap);
        let at = self.take(((count - 1) * leading + run) * bytes, self.alignment());
        self.word(at as u32);
        self.size(leading as i32);
        let (unit, step) = (bytes as i64, (leading * bytes) as i64);
        let (row_bytes, col_bytes) = if self.is_by_rows { (step, unit) } else { (unit, step) };
        let operand = Operand { first: at as i64, rows, cols, row_bytes, col_bytes, bytes };
        self.store(&operand, matrix);
        operand
    }

    pub(super) fn vector(&mut self, vector: &Matrix, step: i32) -> Operand {
        assert_eq!(vector.cols, 1);
        let (rows, bytes) = (vector.rows, self.kind.bytes());
        let span = (rows - 1) * step.unsigned_abs() as usize * bytes;
        let at = self.take(span + bytes, self.alignment());
        self.word(at as u32);
        self.size(step);
        let first = if step < 0 { at + span } else { at } as i64;
        let operand = Operand { first, rows, cols: 1, row_bytes: i64::from(step) * bytes as i64, col_bytes: 0, bytes };
        self.store(&operand, vector);
        operand
    }

    pub(super) fn integers(&mut self, integers: &[i32]) -> Operand {
        let bytes: Vec<u8> = integers.iter().flat_map(|integer| integer.to_le_bytes()).collect();
        let at = self.put(&bytes, 4);
        self.word(at as u32);
        Operand { first: at as i64, rows: integers.len(), cols: 1, row_bytes: 4, col_bytes: 0, bytes: 4 }
    }

    /// Real numbers side by side, whose step is no parameter.
    pub(super) fn reals(&mut self, values: &[f64]) {
        let bytes: Vec<u8> = values.iter().flat_map(|value| self.kind.encode(C64 { re: *value, im: 0.0 })).collect();
        let at = self.put(&bytes, self.alignment());
        self.word(at as u32);
    }

    /// Numbers of so many bytes side by side, where the parameter of that index points.
    pub(super) fn pointed(&self, index: usize, rows: usize, bytes: usize) -> Operand {
        let first = i64::from(self.parameter(index));
        Operand { first, rows, cols: 1, row_bytes: bytes as i64, col_bytes: 0, bytes }
    }

    /// Where a result is, a real number.
    pub(super) fn result(&self) -> Operand {
        let bytes = self.alignment();
        Operand { first: PARAMETERS_AT.into(), rows: 1, cols: 1, row_bytes: 0, col_bytes: 0, bytes }
    }

    pub(super) fn read_real(&self, operand: &Operand) -> f64 {
        let kind = if self.kind.is_single() { Kind::S } else { Kind::D };
        kind.decode(&self.bytes()[operand.range(0, 0)]).re
    }

    pub(super) fn alignment(&self) -> usize {
        if self.kind.is_single() { 4 } else { 8 }
    }

    fn store(&mut self, operand: &Operand, matrix: &Matrix) {
        for (row, col) in matrix.indices() {
            let bytes = self.kind.encode(matrix.get(row, col));
            self.memory()[operand.range(row, col)].copy_from_slice(&bytes);
        }
    }

    pub(super) fn read(&self, operand: &Operand) -> Matrix {
        Matrix::new(operand.rows, operand.cols, |row, col| self.kind.decode(&self.bytes()[operand.range(row, col)]))
    }

    pub(super) fn read_integers(&self, operand: &Operand) -> Vec<i32> {
        let integer = |row| i32::from_le_bytes(self.bytes()[operand.range(row, 0)].try_into().unwrap());
        (0..operand.rows).map(integer).collect()
    }

    /// Changes a parameter that was put in before.
    pub(super) fn set_parameter(&mut self, index: usize, word: u32) {
        self.parameters[8 * index..8 * index + 4].copy_from_slice(&word.to_le_bytes());
    }

    pub(super) fn parameter(&self, index: usize) -> u32 {
        u32::from_le_bytes(self.parameters[8 * index..8 * index + 4].try_into().unwrap())
    }

    pub(super) fn run(&mut self) -> Result<(), Stop> {
        assert_eq!(self.parameters.len(), 8 * self.entry.parameters.len(), "{}", self.entry.symbol);
        let parameters = self.parameters.clone();
        let at = PARAMETERS_AT as usize;
        self.memory()[at..at + parameters.len()].copy_from_slice(&parameters);
        self.before = self.bytes().to_vec();
        let operation = self.operation;
        with_context(|cx| call(cx, self.memory(), operation, PARAMETERS_AT))
    }

    /// Runs the call, which must be done, and must write nowhere but in these elements.
    pub(super) fn run_writing(&mut self, outputs: &[Output]) {
        assert_eq!(self.run(), Ok(()), "{}", self.entry.symbol);
        let mut may_change = vec![false; MEMORY_BYTES];
        for Output { operand, has } in outputs {
            for row in 0..operand.rows {
                for col in (0..operand.cols).filter(|col| has(row, *col)) {
                    may_change[operand.range(row, col)].fill(true);
                }
            }
        }
        let changed = (0..MEMORY_BYTES).find(|at| !may_change[*at] && self.before[*at] != self.bytes()[*at]);
        assert_eq!(changed, None, "{} wrote outside its output", self.entry.symbol);
    }

    /// Runs the call, which must be declined and change nothing.
    pub(super) fn run_declined(&mut self, why: &str) {
        assert_eq!(self.run(), Err(Stop::Declined), "{}: {why}", self.entry.symbol);
        assert!(self.before == self.bytes(), "{}: {why}", self.entry.symbol);
    }
}

/// Elements that a call may write.
pub(super) struct Output {
    pub(super) operand: Operand,
    pub(super) has: fn(usize, usize) -> bool,
}

impl From<Operand> for Output {
    fn from(operand: Operand) -> Self {
        Self { operand, has: |_, _| true }
    }
}

pub(super) fn with_context<R>(within: impl FnOnce(&mut Context<'_>) -> R) -> R {
    let mut host = Unlimited;
    let best = Instructions::default();
    let instructions = if best.are_available() { best } else { Instructions::X86_64 };
    within(&mut Context::new(&mut host, instructions).unwrap())
}
