//! What a guest asks for: one operation byte, one of flags, six of zeros, and numbers of 64 bits, little-endian.

use super::{
    matrix::Columns,
    work::{Plain, Work, numbers},
};
use crate::Stop;
use std::ops::Range;

/// Before the numbers.
const HEAD_BYTES: usize = 8;
const TRANSPOSED: u8 = 1;

/// The arrays of a matrix: `size` + 1 starts and `len` indices of 32 bits, `len` values of 64.
#[derive(Debug, Clone, Copy)]
pub(super) struct MatrixAt {
    size: u64,
    starts: Area,
    indices: Area,
    values: Area,
}

/// Addresses and numbers of elements, as the guest says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    address: u64,
    bytes: Option<u64>,
}

/// What is asked for. Right-hand sides and solutions are columns of as many numbers as the matrix has columns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operation {
    /// Factor, solve, refine.
    Solve { matrix: MatrixAt, sides: Sides },
    /// An order of the columns is written to `order`; answered are the bytes of factors by Cholesky's method, 0 where it
    /// can't do, and by LU.
    Analyse { matrix: MatrixAt, order: Area },
    /// Factors are written to `factors`, which has the bytes that the analysis answered. `!` where the method can't: the array
    /// then holds anything.
    Factor { matrix: MatrixAt, order: Area, method: u64, factors: Area },
    /// Solve with such factors, and refine with the matrix.
    SolveWith { matrix: MatrixAt, factors: Area, sides: Sides },
}

/// Right-hand sides and where their solutions go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sides {
    pub(super) is_transposed: bool,
    pub(super) given: Area,
    pub(super) solution: Area,
}

impl Operation {
    /// `None` for a request that isn't one.
    pub(super) fn parse(request: &[u8]) -> Option<Self> {
        let (head, words) = request.split_at_checked(HEAD_BYTES)?;
        let &[operation, flags, 0, 0, 0, 0, 0, 0] = head else {
            return None;
        };
        let (words, []) = words.as_chunks::<8>() else {
            return None;
        };
        let mut words = words.iter().map(|bytes| u64::from_le_bytes(*bytes));
        let words = &mut words;
        let matrix = MatrixAt::parse(words)?;
        let is_transposed = flags == TRANSPOSED;
        let parsed = match operation {
            1 => Self::Solve { matrix, sides: Sides::parse(words, matrix.size, is_transposed)? },
            2 => Self::Analyse { matrix, order: matrix.order(words.next()?) },
            3 => Self::Factor {
                matrix,
                order: matrix.order(words.next()?),
                method: words.next()?,
                factors: Area { address: words.next()?, bytes: Some(words.next()?) },
            },
            4 => Self::SolveWith {
                matrix,
                factors: Area { address: words.next()?, bytes: Some(words.next()?) },
                sides: Sides::parse(words, matrix.size, is_transposed)?,
            },
            _ => return None,
        };
        (flags <= TRANSPOSED && words.next().is_none()).then_some(parsed)
    }
}

/// A guest's memory to be read, but for what is written meanwhile.
#[derive(Clone, Copy)]
pub(super) struct Readable<'m> {
    before: &'m [u8],
    /// What comes after the written part, and where it begins.
    after: (usize, &'m [u8]),
}

impl<'m> Readable<'m> {
    pub(super) fn whole(memory: &'m [u8]) -> Self {
        Self { before: memory, after: (memory.len(), &[]) }
    }

    /// The part of a memory that is written, and what else can be read; `None` where the part is beyond the memory.
    pub(super) fn but_for(memory: &'m mut [u8], written: Area) -> Option<(&'m mut [u8], Self)> {
        let range = written.range(memory.len())?;
        let (before, rest) = memory.split_at_mut_checked(range.start)?;
        let (written, after) = rest.split_at_mut_checked(range.len())?;
        Some((written, Self { before, after: (range.end, after) }))
    }

    fn bytes(&self, range: Range<usize>) -> Option<&'m [u8]> {
        let (start, after) = self.after;
        match range.start.checked_sub(start) {
            Some(first) => after.get(first..range.end.checked_sub(start)?),
            None => self.before.get(range),
        }
    }
}

impl Area {
    fn of<T>(address: u64, len: Option<u64>) -> Self {
        Self { address, bytes: len.and_then(|len| len.checked_mul(size_of::<T>() as u64)) }
    }

    /// The range in a memory of so many bytes; `None` where it is beyond that.
    pub(super) fn range(self, memory_bytes: usize) -> Option<Range<usize>> {
        let start = usize::try_from(self.address).ok()?;
        let end = start.checked_add(usize::try_from(self.bytes?).ok()?)?;
        (end <= memory_bytes).then_some(start..end)
    }

    pub(super) fn numbers<'m, T: Plain>(self, memory: Readable<'m>) -> Result<&'m [T], Stop> {
        let bytes = self.range(usize::MAX).and_then(|range| memory.bytes(range)).ok_or(Stop::Declined)?;
        numbers(bytes).ok_or(Stop::Declined)
    }

    fn overlaps(self, other: Self) -> bool {
        let end = |area: Self| area.address.saturating_add(area.bytes.unwrap_or(u64::MAX));
        self.address < end(other) && other.address < end(self)
    }
}

impl MatrixAt {
    fn parse(words: &mut impl Iterator<Item = u64>) -> Option<Self> {
        let (size, len) = (words.next()?, words.next()?);
        Some(Self {
            size,
            starts: Area::of::<u32>(words.next()?, size.checked_add(1)),
            indices: Area::of::<u32>(words.next()?, Some(len)),
            values: Area::of::<f64>(words.next()?, Some(len)),
        })
    }

    fn order(&self, address: u64) -> Area {
        Area::of::<u32>(address, Some(self.size))
    }

    pub(super) fn columns<'m>(&self, work: &mut Work<'_, '_>, memory: Readable<'m>) -> Result<Columns<'m>, Stop> {
        let (starts, indices) = (self.starts.numbers(memory)?, self.indices.numbers(memory)?);
        Columns::checked(work, starts, indices, self.values.numbers(memory)?)
    }

    /// Declines where what is written shares memory with the matrix, or with another operand.
    pub(super) fn is_apart(&self, written: Area, others: &[Area]) -> Result<(), Stop> {
        let own = [self.starts, self.indices, self.values];
        let is_apart = own.iter().chain(others).all(|other| !written.overlaps(*other));
        is_apart.then_some(()).ok_or(Stop::Declined)
    }
}

impl Sides {
    fn parse(words: &mut impl Iterator<Item = u64>, size: u64, is_transposed: bool) -> Option<Self> {
        let (given, count, solution) = (words.next()?, words.next()?, words.next()?);
        let len = size.checked_mul(count);
        Some(Self { is_transposed, given: Area::of::<f64>(given, len), solution: Area::of::<f64>(solution, len) })
    }
}
