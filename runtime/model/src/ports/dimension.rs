//! What a unit measures, as powers of the base dimensions. Knows no unit and no factor.

use std::fmt;

/// How many base dimensions there are: the seven of the SI, and the plane angle.
const COUNT: usize = 8;
/// The coherent unit of each base dimension.
const SYMBOLS: [&str; COUNT] = ["kg", "m", "s", "A", "K", "mol", "cd", "rad"];
/// The largest power; beyond it a unit is refused.
const POWER_MAX: i8 = 24;

/// Powers of mass, length, time, current, temperature, amount, luminous intensity and plane angle.
///
/// The SI counts an angle as a plain number. Here it is a dimension of its own, so that 3 rad/s are never taken for
/// 3 Hz, nor a stiffness per degree for one per radian.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Dimension([i8; COUNT]);

impl Dimension {
    /// A plain number's.
    pub const NONE: Dimension = Dimension([0; COUNT]);
    pub(super) const MASS: Dimension = Dimension([1, 0, 0, 0, 0, 0, 0, 0]);
    pub(super) const LENGTH: Dimension = Dimension([0, 1, 0, 0, 0, 0, 0, 0]);
    pub(super) const TIME: Dimension = Dimension([0, 0, 1, 0, 0, 0, 0, 0]);
    pub(super) const CURRENT: Dimension = Dimension([0, 0, 0, 1, 0, 0, 0, 0]);
    pub(super) const TEMPERATURE: Dimension = Dimension([0, 0, 0, 0, 1, 0, 0, 0]);
    pub(super) const AMOUNT: Dimension = Dimension([0, 0, 0, 0, 0, 1, 0, 0]);
    pub(super) const LIGHT: Dimension = Dimension([0, 0, 0, 0, 0, 0, 1, 0]);
    pub(super) const ANGLE: Dimension = Dimension([0, 0, 0, 0, 0, 0, 0, 1]);

    /// Of mechanics: powers of mass, length and time.
    pub(super) const fn mechanical(mass: i8, length: i8, time: i8) -> Dimension {
        Dimension([mass, length, time, 0, 0, 0, 0, 0])
    }

    /// An angle times a power of time.
    pub(super) const fn turning(time: i8) -> Dimension {
        Dimension([0, 0, time, 0, 0, 0, 0, 1])
    }

    /// Of electricity: powers of mass, length, time and current.
    pub(super) const fn electrical(mass: i8, length: i8, time: i8, current: i8) -> Dimension {
        Dimension([mass, length, time, current, 0, 0, 0, 0])
    }

    /// The dimension of `self · other^power`, or `None` where a power becomes too large.
    pub(super) fn times_power(self, other: Dimension, power: i32) -> Option<Dimension> {
        let mut result = self;
        for (own, more) in result.0.iter_mut().zip(other.0) {
            let sum = i32::from(*own) + i32::from(more).checked_mul(power)?;
            *own = i8::try_from(sum).ok().filter(|power| power.abs() <= POWER_MAX)?;
        }
        Some(result)
    }
}

/// In coherent units: `kg*m/s^2`; `1` for a plain number.
impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let terms = SYMBOLS.iter().zip(self.0).map(|(symbol, power)| (*symbol, i32::from(power)));
        write_product(f, terms)
    }
}

/// Writes factors to their powers as one fraction: `N*m^2/(kg*s)`; `1` where none is left.
pub(super) fn write_product<'a>(
    f: &mut impl fmt::Write,
    terms: impl Iterator<Item = (&'a str, i32)> + Clone,
) -> fmt::Result {
    let above: Vec<_> = terms.clone().filter(|(_, power)| *power > 0).collect();
    let below: Vec<_> = terms.filter(|(_, power)| *power < 0).collect();
    if above.is_empty() {
        f.write_char('1')?;
    }
    write_side(f, &above)?;
    if below.is_empty() {
        return Ok(());
    }
    let (open, close) = if below.len() > 1 { ("(", ")") } else { ("", "") };
    write!(f, "/{open}")?;
    write_side(f, &below)?;
    f.write_str(close)
}

fn write_side(f: &mut impl fmt::Write, terms: &[(&str, i32)]) -> fmt::Result {
    for (index, (symbol, power)) in terms.iter().enumerate() {
        let times = if index > 0 { "*" } else { "" };
        match power.unsigned_abs() {
            1 => write!(f, "{times}{symbol}")?,
            power => write!(f, "{times}{symbol}^{power}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dimensions_are_written_in_coherent_units() {
        let rows = [
            (Dimension::NONE, "1"),
            (Dimension::mechanical(1, 1, -2), "kg*m/s^2"),
            (Dimension::mechanical(1, -1, -2), "kg/(m*s^2)"),
            (Dimension::mechanical(0, 0, -1), "1/s"),
            (Dimension::ANGLE.times_power(Dimension::TIME, -1).unwrap(), "rad/s"),
        ];
        for (dimension, text) in rows {
            assert_eq!(dimension.to_string(), text);
        }
    }

    #[test]
    fn powers_have_an_end() {
        assert_eq!(Dimension::NONE.times_power(Dimension::LENGTH, 25), None);
        assert_eq!(Dimension::NONE.times_power(Dimension::LENGTH, i32::MAX), None);
        let back = Dimension::LENGTH.times_power(Dimension::LENGTH, -1);
        assert_eq!(back, Some(Dimension::NONE));
    }
}
