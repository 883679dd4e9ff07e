//! Units: what a number counts, exactly, and the conversion from one to another.

use super::decimal::Scaling;
use super::dimension::Dimension;
use super::factor::Factor;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A unit, as an exact factor to the coherent unit of its dimension and, for temperatures, its own zero.
///
/// Written as an expression of symbols: `mm`, `N/mm^2`, `kg/m3`, `kN·m`, `W/(m*K)`, `1/s`, `degC`. Two units are equal
/// when they convert to one another without a change, however they are written.
#[derive(Debug, Clone)]
pub struct Unit {
    text: Cow<'static, str>,
    dimension: Dimension,
    factor: Factor,
    /// The absolute zero lies at minus this many hundredths.
    zero: i32,
}

/// How numbers in one unit become numbers in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conversion {
    /// They are the same numbers.
    None,
    By(Scaling),
}

/// Why there is no conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unconvertible {
    /// The units measure different things.
    Dimension,
    /// The factor between them can't be held exactly.
    TooFarApart,
}

impl Unit {
    /// The unit of a plain number.
    pub const ONE: Unit = Unit::coherent("1", Dimension::NONE);

    /// The coherent unit of a dimension.
    pub(super) const fn coherent(text: &'static str, dimension: Dimension) -> Unit {
        Unit { text: Cow::Borrowed(text), dimension, factor: Factor::ONE, zero: 0 }
    }

    pub(super) fn new(text: String, dimension: Dimension, factor: Factor, zero: i32) -> Unit {
        Unit { text: Cow::Owned(text), dimension, factor, zero }
    }

    /// The unit as we write it, in ASCII but for `µ` and `Å`; reading it gives this unit again.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn dimension(&self) -> Dimension {
        self.dimension
    }

    /// How many coherent units one of this is, to the nearest double; for people and forms.
    pub fn factor(&self) -> f64 {
        self.factor.approximate()
    }

    /// What is added to a number in this unit before its factor counts: 273.15 for `degC`, 0 for nearly all.
    pub fn offset(&self) -> f64 {
        f64::from(self.zero) / 100.0
    }

    /// The unit as one of frequencies, where a turn is a cycle: 60 rpm are 1 Hz. `None` where it doesn't count turns
    /// per time. A radian is no rational part of a turn: what counts radians is no frequency, and 1 rad/s not 1 Hz.
    pub(super) fn in_cycles(&self) -> Option<Unit> {
        let turning = self.dimension == Dimension::turning(-1) && self.factor.pi == 1;
        let turn = Factor::PI.times(Factor::decimal(2, 0));
        let factor = turning.then(|| self.factor.checked_over(turn))??;
        Some(Unit { factor, dimension: Dimension::mechanical(0, 0, -1), ..self.clone() })
    }

    /// How numbers in this unit become numbers in `wanted`.
    pub(super) fn conversion(&self, wanted: &Unit) -> Result<Conversion, Unconvertible> {
        if self.dimension != wanted.dimension {
            return Err(Unconvertible::Dimension);
        }
        if self == wanted {
            return Ok(Conversion::None);
        }
        let factor = self.factor.checked_over(wanted.factor).ok_or(Unconvertible::TooFarApart)?;
        Ok(Conversion::By(Scaling { factor, before: self.zero, after: wanted.zero }))
    }
}

impl PartialEq for Unit {
    fn eq(&self, other: &Self) -> bool {
        (self.dimension, self.factor, self.zero) == (other.dimension, other.factor, other.zero)
    }
}

impl Eq for Unit {}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Unit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}
