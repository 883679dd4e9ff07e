//! A number exactly as JSON wrote it, its scaling by an exact factor, and the one rounding to a double at the end.

use super::factor::Factor;
use num_bigint::{BigInt, BigUint, Sign};

/// The longest text of a number, bytes. A double written out whole has 1 077.
pub const NUMBER_BYTES_MAX: usize = 1_100;
/// Numbers with more digits before the point, or more zeros behind it, are no doubles in any unit.
const MAGNITUDE_MAX: i64 = 600;
/// The first 110 digits of π; it is irrational, so a correctly rounded result needs only enough of them.
const PI_DIGITS: &[u8] =
    b"31415926535897932384626433832795028841971693993751058209749445923078164062862089986280348253421170679821480865";

/// A decimal number: `±digits · 10^ten`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    negative: bool,
    /// Without zeros at either end; 0 for zero.
    digits: Digits,
    ten: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Digits {
    Few(u128),
    Many(BigUint),
}

/// Why a number has no double.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutOfRange {
    /// It would be infinite.
    Overflow,
    /// It is not zero, and would become zero.
    Underflow,
    /// Its text is longer than [`NUMBER_BYTES_MAX`].
    TooLong,
}

/// `(value + before) · factor − after`: from one unit to another, each with its own zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scaling {
    pub(super) factor: Factor,
    /// Hundredths of the given unit.
    pub(super) before: i32,
    /// Hundredths of the wanted unit.
    pub(super) after: i32,
}

impl Decimal {
    /// Reads a JSON number; whatever else the text is comes out as some number.
    pub(super) fn read(text: &str) -> Result<Decimal, OutOfRange> {
        if text.len() > NUMBER_BYTES_MAX {
            return Err(OutOfRange::TooLong);
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let fraction = fraction.trim_end_matches('0');
        let digits = || whole.bytes().chain(fraction.bytes()).filter(u8::is_ascii_digit);
        let few = digits().try_fold(0u128, |sum, digit| sum.checked_mul(10)?.checked_add(u128::from(digit - b'0')));
        // An exponent too long to be read has its sign at least.
        let beyond = if exponent.starts_with('-') { i64::MIN / 2 } else { i64::MAX / 2 };
        let ten = exponent.parse::<i64>().unwrap_or(beyond).clamp(i64::MIN / 2, i64::MAX / 2) - fraction.len() as i64;
        let digits = match few {
            Some(digits) => Digits::Few(digits),
            None => Digits::Many(BigUint::parse_bytes(&digits().collect::<Vec<_>>(), 10).unwrap_or_default()),
        };
        Ok(Decimal { negative: text.starts_with('-'), digits, ten }.trimmed())
    }

    /// Without zeros at the end, so that equal numbers are equal values; zero has one form.
    fn trimmed(mut self) -> Decimal {
        match &mut self.digits {
            Digits::Few(0) => return Decimal { negative: false, digits: Digits::Few(0), ten: 0 },
            Digits::Few(digits) => {
                while *digits % 10 == 0 {
                    *digits /= 10;
                    self.ten += 1;
                }
            }
            Digits::Many(digits) => {
                let text = digits.to_string();
                let kept = text.trim_end_matches('0');
                self.ten += (text.len() - kept.len()) as i64;
                self.digits = match kept.parse() {
                    Ok(few) => Digits::Few(few),
                    Err(_) => Digits::Many(BigUint::parse_bytes(kept.as_bytes(), 10).unwrap_or_default()),
                };
            }
        }
        self
    }

    /// The whole number that this is, as JSON writes it, or `None` where it has a fraction or 40 digits and more.
    pub(super) fn whole(&self) -> Option<i128> {
        let Digits::Few(digits) = self.digits else { return None };
        let digits = u32::try_from(self.ten).ok().and_then(|ten| digits.checked_mul(10u128.checked_pow(ten)?))?;
        let magnitude = i128::try_from(digits).ok()?;
        Some(if self.negative { -magnitude } else { magnitude })
    }

    pub(super) fn is_zero(&self) -> bool {
        self.digits == Digits::Few(0)
    }

    /// Whether it is a whole number, of any size.
    pub(super) fn is_whole(&self) -> bool {
        self.ten >= 0
    }

    /// The power of ten of its first digit, about; 0 for zero.
    fn magnitude(&self) -> i64 {
        let digits = match &self.digits {
            Digits::Few(digits) => i64::from(digits.checked_ilog10().unwrap_or(0)),
            Digits::Many(digits) => (digits.bits() * 3 / 10) as i64,
        };
        self.ten.saturating_add(digits)
    }

    /// The double nearest to the number in another unit; exact until this one rounding.
    pub(super) fn scaled(&self, scaling: &Scaling) -> Result<f64, OutOfRange> {
        if self.magnitude() > MAGNITUDE_MAX {
            return Err(OutOfRange::Overflow);
        }
        if self.magnitude() < -MAGNITUDE_MAX {
            return Err(OutOfRange::Underflow);
        }
        let rounded = match self.scaled_text(scaling) {
            Some(text) => text.parse().unwrap_or(f64::NAN),
            None => {
                let (numer, denom) = self.scaled_fraction(scaling);
                let nearest = nearest(numer.magnitude(), &denom);
                return finite(
                    if numer.sign() == Sign::Minus { -nearest } else { nearest },
                    numer.sign() == Sign::NoSign,
                );
            }
        };
        finite(rounded, self.is_zero())
    }

    /// The exact decimal text of the scaled number where it is short: what metric and inch units come to.
    fn scaled_text(&self, scaling: &Scaling) -> Option<String> {
        let Scaling { factor: Factor { numer, denom: 1, ten, pi: 0 }, before: 0, after: 0 } = *scaling else {
            return None;
        };
        let Digits::Few(digits) = self.digits else { return None };
        let digits = digits.checked_mul(numer)?;
        let sign = if self.negative { "-" } else { "" };
        Some(format!("{sign}{digits}e{}", self.ten + i64::from(ten)))
    }

    /// The whole number that the scaled number is exactly, or `None`.
    pub(super) fn scaled_whole(&self, scaling: &Scaling) -> Option<i128> {
        if self.magnitude().abs() > MAGNITUDE_MAX {
            return None;
        }
        if scaling.factor.pi != 0 {
            return self.is_zero().then_some(0);
        }
        let (numer, denom) = self.scaled_fraction(scaling);
        let denom = BigInt::from(denom);
        let quotient = &numer / &denom;
        if quotient.clone() * denom == numer { i128::try_from(quotient).ok() } else { None }
    }

    /// The scaled number as a fraction, π aside exact; its exponent must have been looked at.
    fn scaled_fraction(&self, scaling: &Scaling) -> (BigInt, BigUint) {
        let Scaling { factor, before, after } = *scaling;
        let mut numer = BigInt::from(match &self.digits {
            Digits::Few(digits) => BigUint::from(*digits),
            Digits::Many(digits) => digits.clone(),
        });
        let mut denom = BigUint::from(1u8);
        if self.negative {
            numer = -numer;
        }
        times_ten_to(&mut numer, &mut denom, self.ten);
        if before != 0 {
            numer = numer * 100 + BigInt::from(denom.clone()) * before;
            denom *= 100u8;
        }
        numer *= factor.numer;
        denom *= factor.denom;
        times_ten_to(&mut numer, &mut denom, i64::from(factor.ten));
        let pi = BigUint::parse_bytes(PI_DIGITS, 10).unwrap_or_default().pow(factor.pi.unsigned_abs());
        let pi_tens = (PI_DIGITS.len() as i64 - 1) * i64::from(factor.pi);
        if factor.pi > 0 {
            numer *= BigInt::from(pi);
        } else if factor.pi < 0 {
            denom *= pi;
        }
        times_ten_to(&mut numer, &mut denom, -pi_tens);
        if after != 0 {
            numer = numer * 100 - BigInt::from(denom.clone()) * after;
            denom *= 100u8;
        }
        (numer, denom)
    }
}

/// A double that is allowed to leave; `zero` says whether the exact number is zero.
fn finite(number: f64, zero: bool) -> Result<f64, OutOfRange> {
    match number {
        number if !number.is_finite() => Err(OutOfRange::Overflow),
        number if number == 0.0 && !zero => Err(OutOfRange::Underflow),
        number => Ok(number),
    }
}

fn times_ten_to(numer: &mut BigInt, denom: &mut BigUint, ten: i64) {
    let power = BigUint::from(10u8).pow(u32::try_from(ten.unsigned_abs()).unwrap_or(u32::MAX));
    if ten < 0 {
        *denom *= power;
    } else {
        *numer *= BigInt::from(power);
    }
}

/// The double nearest to `numer / denom`, ties to even, subnormal numbers too.
fn nearest(numer: &BigUint, denom: &BigUint) -> f64 {
    /// Bits of a double's mantissa, and of the quotient that it is rounded from.
    const MANTISSA_BITS: i64 = 53;
    const QUOTIENT_BITS: i64 = 66;
    /// The last bit that a double can have is worth 2^-1074.
    const LAST_BIT: i64 = 1_074;
    let shift = QUOTIENT_BITS - (numer.bits() as i64 - denom.bits() as i64);
    let (numer, denom) = if shift >= 0 {
        (numer << shift.unsigned_abs(), denom.clone())
    } else {
        (numer.clone(), denom << shift.unsigned_abs())
    };
    let quotient = &numer / &denom;
    let inexact = &quotient * &denom != numer;
    // 67 bits at most; one that stands for all that was cut off decides what would else look like a tie.
    let quotient = u128::try_from(quotient).unwrap_or(u128::MAX) << 1 | u128::from(inexact);
    let shift = shift + 1;
    let bits = i64::from(u128::BITS - quotient.leading_zeros());
    let cut = (bits - MANTISSA_BITS).max(shift - LAST_BIT).clamp(0, 127) as u32;
    let (kept, rest) = (quotient >> cut, quotient & ((1 << cut) - 1));
    let half = (1u128 << cut) >> 1;
    let up = cut > 0 && (rest > half || (rest == half && kept % 2 == 1));
    let mantissa = (kept + u128::from(up)) as f64;
    // In two steps, since the power of two itself may be no double; neither step rounds.
    let power = i64::from(cut) - shift;
    mantissa * two_to(power / 2) * two_to(power - power / 2)
}

/// 2 to a power, at most twice as far as a double reaches.
fn two_to(power: i64) -> f64 {
    let step = power.clamp(-1_022, 1_023);
    f64::from_bits(((step + 1_023) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SAME: Scaling = Scaling { factor: Factor::ONE, before: 0, after: 0 };

    fn by(numer: u128, denom: u128, ten: i32) -> Scaling {
        let factor = Factor::decimal(numer, ten).over(Factor::decimal(denom, 0));
        Scaling { factor, ..SAME }
    }

    fn read(text: &str) -> Decimal {
        Decimal::read(text).unwrap()
    }

    /// π by Machin's formula, in units of 10^-`digits`: independent of the constant.
    fn machin(digits: u32) -> BigInt {
        let one = BigInt::from(10u8).pow(digits + 10);
        let arctan_of_inverse = |n: u32| {
            let (mut power, mut sum, mut odd) = (one.clone() / n, BigInt::from(0), 1u32);
            while power != BigInt::from(0) {
                let term = power.clone() / odd;
                sum = if odd % 4 == 1 { sum + term } else { sum - term };
                power /= n * n;
                odd += 2;
            }
            sum
        };
        (arctan_of_inverse(5) * 16 - arctan_of_inverse(239) * 4) / BigInt::from(10u8).pow(10)
    }

    #[test]
    fn the_digits_of_pi_are_those_of_machins_formula() {
        let digits = machin(PI_DIGITS.len() as u32 - 1).to_string();
        assert_eq!(digits.as_bytes(), PI_DIGITS);
    }

    #[test]
    fn numbers_are_read_as_they_were_written() {
        let few = |negative, digits, ten| Decimal { negative, digits: Digits::Few(digits), ten };
        let rows = [
            ("0", few(false, 0, 0)),
            ("-0.000e99", few(false, 0, 0)),
            ("12", few(false, 12, 0)),
            ("-12.50", few(true, 125, -1)),
            ("1200", few(false, 12, 2)),
            ("1.0E+3", few(false, 1, 3)),
            ("0.1e-5", few(false, 1, -6)),
            ("1000000000000000000000000000000000000000000000", few(false, 1, 45)),
        ];
        for (text, decimal) in rows {
            assert_eq!(read(text), decimal, "{text}");
        }
        assert_eq!(read("1.00"), read("100e-2"));
        assert_eq!(
            read("123456789012345678901234567890123456789012345.0"),
            read("123456789012345678901234567890123456789012345")
        );
    }

    #[test]
    fn whole_numbers_are_whole_however_they_are_written() {
        let rows = [("12.0", Some(12)), ("1.2e1", Some(12)), ("-3e2", Some(-300)), ("0.5", None), ("1e400", None)];
        for (text, whole) in rows {
            assert_eq!(read(text).whole(), whole, "{text}");
        }
        assert!(read("1e400").is_whole() && !read("1e-1").is_whole());
    }

    #[test]
    fn huge_exponents_are_refused_and_cost_nothing() {
        for text in ["1e400", "-1e309", "1e601", "1e999999999999999999999999", "1e9223372036854775807"] {
            assert_eq!(read(text).scaled(&SAME), Err(OutOfRange::Overflow), "{text}");
        }
        for text in ["1e-400", "-1e-324", "1e-601", "1e-999999999999999999999999", "0.1e-9223372036854775808"] {
            assert_eq!(read(text).scaled(&SAME), Err(OutOfRange::Underflow), "{text}");
        }
        assert_eq!(read("0e999999999999999999999999").scaled(&SAME), Ok(0.0));
        assert_eq!(read("1e310").scaled(&by(1, 1, -3)), Ok(1e307));
        assert_eq!(Decimal::read(&"9".repeat(NUMBER_BYTES_MAX + 1)), Err(OutOfRange::TooLong));
        let long = read(&"9".repeat(NUMBER_BYTES_MAX));
        assert_eq!((long.scaled(&SAME), long.whole()), (Err(OutOfRange::Overflow), None));
    }

    #[test]
    fn the_rounding_is_to_nearest_and_ties_go_to_even() {
        // 2^53 + 1 lies midway between two doubles, and so does half of the smallest subnormal one.
        let fraction = |numer: u128, denom: u128| nearest(&BigUint::from(numer), &BigUint::from(denom));
        assert_eq!(fraction((1 << 53) + 1, 1), 9_007_199_254_740_992.0);
        assert_eq!(fraction((1 << 53) + 3, 1), 9_007_199_254_740_996.0);
        assert_eq!(fraction(((1 << 53) + 1) * 1000 + 1, 1000), 9_007_199_254_740_994.0);
        assert_eq!(fraction(1, 3), 1.0 / 3.0);
        assert_eq!(fraction(0, 7), 0.0);
        let tiny = |numer: u32| nearest(&BigUint::from(numer), &(BigUint::from(1u8) << 1075u32));
        assert_eq!((tiny(1), tiny(2), tiny(3)), (0.0, f64::from_bits(1), f64::from_bits(2)));
        let huge = |numer: u32| nearest(&(BigUint::from(numer) << 1023u32), &BigUint::from(1u8));
        assert_eq!((huge(1), huge(2)), (2f64.powi(1023), f64::INFINITY));
    }

    #[test]
    fn a_sum_that_doubles_get_wrong_comes_out_right() {
        // 0.1 + 0.2 in hundredths: 0.3 as decimal numbers, 0.30000000000000004 as doubles.
        let shifted = Scaling { before: 20, ..SAME };
        assert_eq!(read("0.1").scaled(&shifted), Ok(0.3));
        assert_eq!(read("0.3").scaled(&by(1, 1, 1)), Ok(3.0));
        assert_eq!(read("1.1").scaled(&by(11, 10, 0)), Ok(1.21));
    }

    #[test]
    fn whole_numbers_scale_to_whole_numbers_or_to_none() {
        assert_eq!(read("2").scaled_whole(&by(60, 1, 0)), Some(120));
        assert_eq!(read("-9").scaled_whole(&by(1, 3, 0)), Some(-3));
        assert_eq!(read("1").scaled_whole(&by(1, 3, 0)), None);
        assert_eq!(read("1e601").scaled_whole(&SAME), None);
        let half_turn = Scaling { factor: Factor::PI, ..SAME };
        assert_eq!((read("1").scaled_whole(&half_turn), read("0").scaled_whole(&half_turn)), (None, Some(0)));
    }

    proptest! {
        #[test]
        fn every_double_survives_both_ways_of_rounding(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            let decimal = read(&format!("{number:e}"));
            prop_assert_eq!(decimal.scaled(&SAME), Ok(number + 0.0));
            // The same by way of fractions, which units with a 3 or π in them take.
            let (numer, denom) = decimal.scaled_fraction(&SAME);
            let sign = if number < 0.0 { -1.0 } else { 1.0 };
            prop_assert_eq!(sign * nearest(numer.magnitude(), &denom), number);
        }

        #[test]
        fn fractions_and_texts_round_alike(digits in 1u64.., ten in -330i64..310, numer in 1u64.., factor in -9i32..9) {
            let decimal = read(&format!("{digits}e{ten}"));
            let scaling = by(u128::from(numer), 1, factor);
            let text: f64 = decimal.scaled_text(&scaling).unwrap().parse().unwrap();
            let (numer, denom) = decimal.scaled_fraction(&scaling);
            prop_assert_eq!(nearest(numer.magnitude(), &denom), text);
        }

        #[test]
        fn quotients_of_doubles_are_those_of_the_processor(a in 1u64..1 << 53, b in 1u64..1 << 53) {
            prop_assert_eq!(nearest(&BigUint::from(a), &BigUint::from(b)), a as f64 / b as f64);
        }
    }
}
