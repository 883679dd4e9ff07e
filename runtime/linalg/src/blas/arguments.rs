//! The arguments of a call, read from the guest's memory: whatever is odd is declined.
//!
//! Arguments are numbered from 0, without the layout that is the first of a C function: so one decoder serves a Fortran
//! function and its C twin.

use super::{
    Convention, Entry,
    operands::{Operands, Place, at},
};
use crate::{Complex, Scalar, Stop};

/// The bytes between two parameters.
const PARAMETER_BYTES: u64 = 8;

/// How a matrix lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Columns,
    Rows,
}

/// The arguments of one call and the memory that they point into.
#[derive(Debug)]
pub struct Arguments<'m> {
    memory: &'m mut [u8],
    /// Where the parameters are.
    at: u64,
    entry: &'static Entry,
    layout: Layout,
}

/// A number that arguments hold.
pub(super) trait Number: Scalar {
    /// The number at an address, however it is aligned.
    fn read(memory: &[u8], address: u64) -> Result<Self, Stop>;
    /// A real number of the same precision.
    fn read_real(memory: &[u8], address: u64) -> Result<Self::Real, Stop>;
}

macro_rules! number {
    ($real:ty) => {
        impl Number for $real {
            fn read(memory: &[u8], address: u64) -> Result<Self, Stop> {
                bytes(memory, address).map(Self::from_le_bytes)
            }

            fn read_real(memory: &[u8], address: u64) -> Result<Self, Stop> {
                Self::read(memory, address)
            }
        }

        impl Number for Complex<$real> {
            fn read(memory: &[u8], address: u64) -> Result<Self, Stop> {
                let after = address + size_of::<$real>() as u64;
                Ok(Self { re: Self::read_real(memory, address)?, im: Self::read_real(memory, after)? })
            }

            fn read_real(memory: &[u8], address: u64) -> Result<$real, Stop> {
                <$real>::read(memory, address)
            }
        }
    };
}

number!(f32);
number!(f64);

impl<'m> Arguments<'m> {
    pub(super) fn new(memory: &'m mut [u8], entry: &'static Entry, parameters_at: u32) -> Result<Self, Stop> {
        let mut arguments = Self { memory, at: parameters_at.into(), entry, layout: Layout::Columns };
        if entry.convention == Convention::Cblas {
            arguments.layout = match arguments.word(arguments.at)? {
                101 => Layout::Rows,
                102 => Layout::Columns,
                _ => return Err(Stop::Declined),
            };
        }
        Ok(arguments)
    }

    /// One of the values of a flag: `(letter, number, value)`, as Fortran and C say it. Fortran's letter may be a small one.
    pub(super) fn flag<V: Copy>(&self, index: usize, values: &[(u8, u32, V)]) -> Result<V, Stop> {
        let word = self.word(self.parameter(index))?;
        let found = match self.entry.convention {
            Convention::Fortran => {
                let [given] = bytes(self.memory, word.into())?;
                values.iter().find(|(letter, ..)| *letter == given.to_ascii_uppercase())
            }
            Convention::Cblas => values.iter().find(|(_, number, _)| *number == word),
        };
        found.map(|(.., value)| *value).ok_or(Stop::Declined)
    }

    /// A size of at least 1. What has no elements is left to the guest's own code.
    pub(super) fn size(&self, index: usize) -> Result<u32, Stop> {
        u32::try_from(self.integer(index)?).ok().filter(|size| *size > 0).ok_or(Stop::Declined)
    }

    pub(super) fn scalar<T: Number>(&self, index: usize) -> Result<T, Stop> {
        T::read(self.memory, self.scalar_at(index, !T::IS_COMPLEX)?)
    }

    /// A real scalar, though the operands may be complex.
    pub(super) fn real_scalar<T: Number>(&self, index: usize) -> Result<T, Stop> {
        T::read_real(self.memory, self.scalar_at(index, true)?).map(T::from_real)
    }

    /// A matrix of that shape, whose address is the argument `index` and whose leading dimension is the next one.
    pub(super) fn matrix(&self, index: usize, (rows, cols): (u32, u32)) -> Result<Place, Stop> {
        let address = self.word(self.parameter(index))?;
        let leading = self.size(index + 1)?;
        let (least, steps) = match self.layout {
            Layout::Columns => (rows, (1, leading.into())),
            Layout::Rows => (cols, (leading.into(), 1)),
        };
        if leading < least {
            return Err(Stop::Declined);
        }
        Ok(Place { address: address.into(), shape: (rows, cols), steps })
    }

    /// A vector as a column: its address is the argument `index`, and the step between its elements the next one. With a
    /// negative step the address is that of the last element.
    pub(super) fn vector(&self, index: usize, length: u32) -> Result<Place, Stop> {
        let address = self.word(self.parameter(index))?;
        let step = i64::from(self.integer(index + 1)?);
        if step == 0 {
            return Err(Stop::Declined);
        }
        Ok(Place { address: address.into(), shape: (length, 1), steps: (step, i64::from(length)) })
    }

    /// Numbers side by side, of which a LAPACK function gives or takes the first's address.
    pub(super) fn neighbours(&self, index: usize, length: u32) -> Result<Place, Stop> {
        let address = self.word(self.parameter(index))?;
        Ok(Place { address: address.into(), shape: (length, 1), steps: (1, i64::from(length)) })
    }

    /// Where the guest takes the function's result from: the place of the first parameter.
    pub(super) fn result(&self) -> Place {
        Place { address: self.at, shape: (1, 1), steps: (1, 1) }
    }

    /// Ends the reading of arguments: from here on the memory is that of the operands. The parameters are no place to write,
    /// but for the result's.
    pub(super) fn operands(self) -> Result<Operands<'m>, Stop> {
        let results = u64::from(self.entry.result.is_some());
        let parameters = self.entry.parameters.len() as u64 - results;
        Operands::new(self.memory, self.at + results * PARAMETER_BYTES, parameters * PARAMETER_BYTES)
    }

    fn scalar_at(&self, index: usize, is_real: bool) -> Result<u64, Stop> {
        let parameter = self.parameter(index);
        let is_value = self.entry.convention == Convention::Cblas && is_real;
        if is_value { Ok(parameter) } else { self.word(parameter).map(u64::from) }
    }

    /// An integer, of any sign.
    fn integer(&self, index: usize) -> Result<i32, Stop> {
        let word = self.word(self.parameter(index))?;
        let word = match self.entry.convention {
            Convention::Fortran => self.word(word.into())?,
            Convention::Cblas => word,
        };
        Ok(word.cast_signed())
    }

    fn word(&self, address: u64) -> Result<u32, Stop> {
        bytes(self.memory, address).map(u32::from_le_bytes)
    }

    /// Where an argument's parameter is.
    fn parameter(&self, index: usize) -> u64 {
        let layouts = usize::from(self.entry.convention == Convention::Cblas);
        self.at + (index + layouts) as u64 * PARAMETER_BYTES
    }
}

fn bytes<const N: usize>(memory: &[u8], address: u64) -> Result<[u8; N], Stop> {
    let range = at(address, N as u64, memory.len())?;
    memory.get(range).and_then(|bytes| bytes.try_into().ok()).ok_or(Stop::Declined)
}
