//! Factors as one run of bytes, in scratch memory or in a guest's array: sizes, structure, numbers.
//!
//! A guest may have changed any byte of its array: what is read from one is checked before it is used.

use super::{
    structure::Structure,
    work::{Plain, Work, numbers, numbers_mut},
};
use crate::Stop;

/// The first word of factors.
const MARK: u64 = u64::from_le_bytes(*b"factors1");
const HEAD_WORDS: usize = 6;
const WORD_BYTES: usize = 8;

/// The most columns.
pub(super) const COLUMNS_MAX: usize = 1 << 28;

/// How a matrix is factored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    /// P A Pᵀ = L Lᵀ.
    Cholesky,
    /// P R A C Pᵀ = L U but for row interchanges within each block; R and C are diagonal.
    Lu,
}

impl Method {
    pub(super) fn from_code(code: u64) -> Option<Self> {
        match code {
            0 => Some(Self::Cholesky),
            1 => Some(Self::Lu),
            _ => None,
        }
    }

    pub(super) fn code(self) -> u8 {
        match self {
            Self::Cholesky => 0,
            Self::Lu => 1,
        }
    }
}

/// What the sizes of all parts follow from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) method: Method,
    pub(super) columns: usize,
    pub(super) blocks: usize,
    pub(super) rows: usize,
    pub(super) values: usize,
}

/// Numbers of a front: its own columns, and rows below them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Front {
    pub(super) columns: usize,
    pub(super) below: usize,
}

impl Front {
    pub(super) fn rows(self) -> usize {
        self.columns + self.below
    }

    /// Values that are stored for it: the columns of L, on and above the diagonal those of U, and for LU the rows of U
    /// beyond them, as columns.
    pub(super) fn values(self, method: Method) -> Option<usize> {
        let lower = self.columns.checked_add(self.below)?.checked_mul(self.columns)?;
        match method {
            Method::Cholesky => Some(lower),
            Method::Lu => lower.checked_add(self.columns.checked_mul(self.below)?),
        }
    }
}

impl Sizes {
    pub(super) fn of(structure: &Structure, method: Method) -> Option<Self> {
        let fronts = Fronts { firsts: &structure.firsts, row_starts: &structure.row_starts };
        let mut values = 0_usize;
        for block in 0..fronts.len() {
            values = values.checked_add(fronts.front(block)?.values(method)?)?;
        }
        let (columns, rows) = (structure.order.len(), structure.rows.len());
        Some(Self { method, columns, blocks: fronts.len(), rows, values })
    }

    fn words_of_indices(len: usize) -> Option<usize> {
        len.checked_add(1).map(|len| len / 2)
    }

    /// The words of each part.
    fn parts(&self) -> Option<[usize; 7]> {
        let of_lu = if self.method == Method::Lu { self.columns } else { 0 };
        Some([
            HEAD_WORDS,
            Self::words_of_indices(self.columns)?,
            Self::words_of_indices(self.blocks.checked_add(1)?.checked_mul(2)?)?,
            Self::words_of_indices(self.rows)?,
            Self::words_of_indices(of_lu)?,
            of_lu.checked_mul(2)?,
            self.values,
        ])
    }

    /// Bytes of the factors.
    pub(super) fn bytes(&self) -> Option<usize> {
        let words = self.parts()?.iter().try_fold(0_usize, |sum, part| sum.checked_add(*part))?;
        words.checked_mul(WORD_BYTES)
    }
}

/// The bounds of blocks.
#[derive(Clone, Copy)]
pub(super) struct Fronts<'f> {
    pub(super) firsts: &'f [u32],
    pub(super) row_starts: &'f [u32],
}

impl Fronts<'_> {
    pub(super) fn len(&self) -> usize {
        self.firsts.len().saturating_sub(1)
    }

    /// `None` where bounds descend.
    pub(super) fn front(&self, block: usize) -> Option<Front> {
        let size = |bounds: &[u32]| bounds.get(block + 1)?.checked_sub(*bounds.get(block)?);
        Some(Front { columns: size(self.firsts)? as usize, below: size(self.row_starts)? as usize })
    }
}

/// Factors to be read.
#[derive(Clone, Copy)]
pub(super) struct Factors<'f> {
    pub(super) method: Method,
    pub(super) order: &'f [u32],
    pub(super) fronts: Fronts<'f>,
    pub(super) rows: &'f [u32],
    /// For LU: the row that each column's row was exchanged with, counted from its block's first.
    pub(super) pivots: &'f [u32],
    /// For LU: the scales of rows and of columns.
    pub(super) scales: [&'f [f64]; 2],
    pub(super) values: &'f [f64],
}

/// Factors to be written: all but the structure.
pub(super) struct FactorsMut<'f> {
    pub(super) pivots: &'f mut [u32],
    pub(super) scales: [&'f mut [f64]; 2],
    pub(super) values: &'f mut [f64],
}

/// Writes sizes and structure to the front of `bytes`, and gives what is to be computed.
pub(super) fn write<'f>(bytes: &'f mut [u8], sizes: Sizes, structure: &Structure) -> Option<FactorsMut<'f>> {
    let parts = sizes.parts()?;
    let mut rest = bytes.get_mut(..sizes.bytes()?)?;
    let [head, order, bounds, rows, pivots, scales, values] = parts.map(|words| {
        let (part, others) = std::mem::take(&mut rest).split_at_mut(words * WORD_BYTES);
        rest = others;
        part
    });
    let words = [MARK, u64::from(sizes.method.code()), sizes.columns as u64, sizes.blocks as u64];
    let words = words.into_iter().chain([sizes.rows as u64, sizes.values as u64]);
    for (to, word) in numbers_mut::<u64>(head)?.iter_mut().zip(words) {
        *to = word;
    }
    put(order, &structure.order)?;
    let (firsts, row_starts) = numbers_mut::<u32>(bounds)?.split_at_mut_checked(sizes.blocks + 1)?;
    firsts.copy_from_slice(&structure.firsts);
    row_starts.copy_from_slice(&structure.row_starts);
    put(rows, &structure.rows)?;
    let of_lu = if sizes.method == Method::Lu { sizes.columns } else { 0 };
    let (of_rows, of_columns) = numbers_mut::<f64>(scales)?.split_at_mut_checked(of_lu)?;
    Some(FactorsMut {
        pivots: numbers_mut::<u32>(pivots)?.get_mut(..of_lu)?,
        scales: [of_rows, of_columns],
        values: numbers_mut(values)?,
    })
}

fn put<T: Plain>(bytes: &mut [u8], values: &[T]) -> Option<()> {
    numbers_mut::<T>(bytes)?.get_mut(..values.len())?.copy_from_slice(values);
    Some(())
}

/// Reads factors that anybody may have written: every size, bound and index is checked. Numbers may be any.
pub(super) fn read<'f>(work: &mut Work<'_, '_>, bytes: &'f [u8]) -> Result<Factors<'f>, Stop> {
    let factors = split(bytes).ok_or(Stop::Declined)?;
    work.spend(factors.order.len() + 2 * factors.fronts.len() + factors.rows.len() + factors.pivots.len())?;
    is_sound(&factors).filter(|is_sound| *is_sound).map(|_| factors).ok_or(Stop::Declined)
}

fn split(bytes: &[u8]) -> Option<Factors<'_>> {
    let head = numbers::<u64>(bytes.get(..HEAD_WORDS * WORD_BYTES)?)?;
    let &[MARK, method, columns, blocks, rows, values] = head else {
        return None;
    };
    let size = |word: u64| usize::try_from(word).ok();
    let method = Method::from_code(method)?;
    let sizes =
        Sizes { method, columns: size(columns)?, blocks: size(blocks)?, rows: size(rows)?, values: size(values)? };
    let parts = sizes.parts()?;
    if bytes.len() != sizes.bytes()? || sizes.columns > COLUMNS_MAX {
        return None;
    }
    let mut rest = bytes;
    let [_, order, bounds, rows, pivots, scales, values] = parts.map(|words| {
        let (part, others) = rest.split_at(words * WORD_BYTES);
        rest = others;
        part
    });
    let (firsts, row_starts) = numbers::<u32>(bounds)?.split_at_checked(sizes.blocks + 1)?;
    let of_lu = if method == Method::Lu { sizes.columns } else { 0 };
    let (of_rows, of_columns) = numbers::<f64>(scales)?.split_at_checked(of_lu)?;
    Some(Factors {
        method,
        order: numbers::<u32>(order)?.get(..sizes.columns)?,
        fronts: Fronts { firsts, row_starts },
        rows: numbers::<u32>(rows)?.get(..sizes.rows)?,
        pivots: numbers::<u32>(pivots)?.get(..of_lu)?,
        scales: [of_rows, of_columns],
        values: numbers(values)?,
    })
}

/// Whether every index is within what it counts, and every size fits the others.
fn is_sound(factors: &Factors<'_>) -> Option<bool> {
    let columns = factors.order.len();
    let fronts = factors.fronts;
    let mut is_sound = fronts.firsts.first() == Some(&0)
        && fronts.row_starts.first() == Some(&0)
        && fronts.firsts.last() == Some(&(columns as u32))
        && *fronts.row_starts.last()? as usize == factors.rows.len()
        && factors.order.iter().all(|&column| (column as usize) < columns)
        && factors.rows.iter().all(|&row| (row as usize) < columns);
    let mut values = 0_usize;
    for block in 0..fronts.len() {
        let front = fronts.front(block)?;
        values = values.checked_add(front.values(factors.method)?)?;
        if factors.method == Method::Lu {
            let first = *fronts.firsts.get(block)? as usize;
            let pivots = factors.pivots.get(first..first + front.columns)?;
            is_sound &= pivots.iter().all(|&pivot| (pivot as usize) < front.columns);
        }
    }
    is_sound &= values == factors.values.len();
    Some(is_sound)
}
