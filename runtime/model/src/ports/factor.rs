//! Exact positive factors between units: a fraction, a power of ten and a power of π. Knows no unit.

/// `numer / denom · 10^ten · π^pi`, in one form only, so that equal factors are equal values: `numer` and `denom` have
/// no common divisor, `denom` is divisible by neither 2 nor 5, `numer` not by 10.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Factor {
    pub(super) numer: u128,
    pub(super) denom: u128,
    pub(super) ten: i32,
    pub(super) pi: i32,
}

/// Beyond these powers a unit is refused: no real one has them, and conversions stay cheap.
const TEN_MAX: i32 = 150;
const PI_MAX: i32 = 8;

impl Factor {
    pub(super) const ONE: Factor = Factor { numer: 1, denom: 1, ten: 0, pi: 0 };
    /// What no unit has: stands where a constant could not be held exactly.
    pub(super) const NONE: Factor = Factor { numer: 0, denom: 1, ten: 0, pi: 0 };

    /// `digits · 10^ten`, a decimal number.
    pub(super) const fn decimal(digits: u128, ten: i32) -> Factor {
        Factor::known(Factor::reduced(digits, 1, ten, 0))
    }

    /// 10 to a power.
    pub(super) const fn ten_to(ten: i32) -> Factor {
        Factor::decimal(1, ten)
    }

    pub(super) const PI: Factor = Factor { numer: 1, denom: 1, ten: 0, pi: 1 };

    /// The product, or `None` where it can't be held exactly.
    pub(super) const fn checked_times(self, other: Factor) -> Option<Factor> {
        // Common divisors go first, so that the products stay small.
        let (left, right) = (divisor(self.numer, other.denom), divisor(other.numer, self.denom));
        if left == 0 || right == 0 {
            return None;
        }
        let numer = (self.numer / left).checked_mul(other.numer / right);
        let denom = (self.denom / right).checked_mul(other.denom / left);
        match (numer, denom) {
            (Some(numer), Some(denom)) => Factor::reduced(numer, denom, self.ten + other.ten, self.pi + other.pi),
            _ => None,
        }
    }

    /// The quotient, or `None` where it can't be held exactly.
    pub(super) const fn checked_over(self, other: Factor) -> Option<Factor> {
        match Factor::reduced(other.denom, other.numer, -other.ten, -other.pi) {
            Some(inverse) => self.checked_times(inverse),
            None => None,
        }
    }

    /// The product of two constants; [`NONE`](Self::NONE) where it can't be held, which a test looks for.
    pub(super) const fn times(self, other: Factor) -> Factor {
        Factor::known(self.checked_times(other))
    }

    /// The quotient of two constants; [`NONE`](Self::NONE) where it can't be held, which a test looks for.
    pub(super) const fn over(self, other: Factor) -> Factor {
        Factor::known(self.checked_over(other))
    }

    /// The factor to a power, or `None` where it can't be held exactly.
    pub(super) fn checked_power(self, power: i32) -> Option<Factor> {
        let mut result = Factor::ONE;
        for _ in 0..power.unsigned_abs() {
            result = result.checked_times(self)?;
        }
        if power < 0 { Factor::ONE.checked_over(result) } else { Some(result) }
    }

    /// The nearest double, for people and forms; conversions never use it.
    pub(super) fn approximate(self) -> f64 {
        let scale = self.pi.unsigned_abs().min(PI_MAX.unsigned_abs());
        let pi: f64 = (0..scale).map(|_| std::f64::consts::PI).product();
        // A power of ten as text is read correctly rounded.
        let ratio = format!("{}e{}", self.numer, self.ten).parse::<f64>().unwrap_or(f64::NAN) / self.denom as f64;
        if self.pi < 0 { ratio / pi } else { ratio * pi }
    }

    const fn known(factor: Option<Factor>) -> Factor {
        match factor {
            Some(factor) => factor,
            None => Factor::NONE,
        }
    }

    const fn reduced(numer: u128, denom: u128, ten: i32, pi: i32) -> Option<Factor> {
        if numer == 0 || denom == 0 {
            return None;
        }
        let common = divisor(numer, denom);
        let (mut numer, mut denom, mut ten) = (numer / common, denom / common, ten);
        // 1/2 is 5/10 and 1/5 is 2/10: what is a finite decimal number is held as one.
        while denom % 2 == 0 || denom % 5 == 0 {
            let by = if denom % 2 == 0 { 2 } else { 5 };
            denom /= by;
            ten -= 1;
            numer = match numer.checked_mul(10 / by) {
                Some(numer) => numer,
                None => return None,
            };
        }
        while numer % 10 == 0 {
            numer /= 10;
            ten += 1;
        }
        if ten.abs() > TEN_MAX || pi.abs() > PI_MAX {
            return None;
        }
        Some(Factor { numer, denom, ten, pi })
    }
}

/// The greatest common divisor; 0 where both are 0.
const fn divisor(left: u128, right: u128) -> u128 {
    let (mut left, mut right) = (left, right);
    while right != 0 {
        (left, right) = (right, left % right);
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_have_one_form() {
        let two_fifths = Factor::decimal(2, 0).over(Factor::decimal(5, 0));
        assert_eq!(two_fifths, Factor::decimal(4, -1));
        assert_eq!(Factor::decimal(1000, -3), Factor::ONE);
        assert_eq!(Factor::decimal(254, -4).over(Factor::decimal(254, -4)), Factor::ONE);
        let third = Factor::ONE.over(Factor::decimal(30, 0));
        assert_eq!((third.numer, third.denom, third.ten), (1, 3, -1));
    }

    #[test]
    fn powers_and_quotients_undo_one_another() {
        let rpm = Factor::decimal(2, 0).times(Factor::PI).over(Factor::decimal(60, 0));
        for power in -8..=8 {
            let there = rpm.checked_power(power).unwrap();
            assert_eq!(there.checked_times(rpm.checked_power(-power).unwrap()), Some(Factor::ONE));
        }
        assert_eq!(rpm.checked_power(9), None);
    }

    #[test]
    fn what_does_not_fit_is_refused_and_never_wraps() {
        let light_year = Factor::decimal(94_607_304_725_808, 2);
        assert!(light_year.checked_power(2).is_some());
        assert_eq!(light_year.checked_power(4), None);
        assert_eq!(Factor::decimal(u128::MAX, 0).checked_times(Factor::decimal(3, 0)), None);
        assert_eq!(Factor::ten_to(100).checked_times(Factor::ten_to(100)), None);
        assert_eq!(Factor::ONE.checked_over(Factor::NONE), None);
        assert_eq!(Factor::NONE.checked_times(Factor::NONE), None);
    }

    #[test]
    fn the_approximation_is_that_of_the_double() {
        assert_eq!(Factor::decimal(254, -4).approximate(), 0.0254);
        assert_eq!(Factor::PI.over(Factor::decimal(180, 0)).approximate(), 1f64.to_radians());
        assert_eq!(Factor::ONE.over(Factor::PI).approximate(), std::f64::consts::FRAC_1_PI);
    }
}
