//! Values at equal distances or equal ratios, each computed from its place alone.

use super::axis::write_double;

/// Digits of a decimal number that a step is computed with.
const DIGITS_MAX: u32 = 30;

#[derive(Debug, Clone)]
pub(super) enum Range {
    /// `from + (to − from)·i/(count − 1)`.
    Linear { from: f64, to: f64, count: u32 },
    /// `from·(to/from)^(i/(count − 1))`, computed as a power of ten.
    Log { from: f64, to: f64, count: u32 },
    /// `(from + step·i)·10^ten`, exact.
    Step { from: i128, step: i128, ten: i32, count: u32, whole: bool },
}

/// Why there is no such range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoSteps {
    Zero,
    /// It leads away from the end.
    Away,
    /// The numbers have too many digits between them.
    TooLong,
}

impl Range {
    /// The steps from `from` as far as `to`, which are texts of JSON numbers, and how many values they are.
    pub(super) fn steps(from: &str, to: &str, step: &str) -> Result<(Range, u128), NoSteps> {
        let whole = ![from, step].iter().any(|text| text.contains(['.', 'e', 'E']));
        let (from, to, step) = (decimal(from)?, decimal(to)?, decimal(step)?);
        let ten =
            [from, to, step].into_iter().filter(|(digits, _)| *digits != 0).map(|(_, ten)| ten).min().unwrap_or(0);
        let scale = |(digits, own): (i128, i32)| {
            let zeros = if digits == 0 { 0 } else { u32::try_from(own.saturating_sub(ten)).unwrap_or(0) };
            let scaled = 10i128.checked_pow(zeros).and_then(|zeros| digits.checked_mul(zeros));
            scaled.filter(|scaled| scaled.unsigned_abs() < 10u128.pow(DIGITS_MAX)).ok_or(NoSteps::TooLong)
        };
        let (from, to, step) = (scale(from)?, scale(to)?, scale(step)?);
        if step == 0 {
            return Err(NoSteps::Zero);
        }
        let span = to - from;
        if span != 0 && (span < 0) != (step < 0) {
            return Err(NoSteps::Away);
        }
        let count = (span / step).unsigned_abs() + 1;
        let kept = u32::try_from(count).unwrap_or(u32::MAX);
        Ok((Range::Step { from, step, ten, count: kept, whole }, count))
    }

    pub(super) fn count(&self) -> u32 {
        match self {
            Range::Linear { count, .. } | Range::Log { count, .. } | Range::Step { count, .. } => *count,
        }
    }

    /// Writes the value at `place`, from 0.
    pub(super) fn write(&self, place: u32, text: &mut String) {
        match *self {
            Range::Linear { from, to, count } => write_double(between(from, to, place, count), text),
            Range::Log { from, to, count } if place > 0 && place + 1 < count => {
                let power = between(libm::log10(from), libm::log10(to), place, count);
                write_double(libm::exp10(power).clamp(from.min(to), from.max(to)), text);
            }
            Range::Log { from, to, .. } => write_double(if place == 0 { from } else { to }, text),
            Range::Step { from, step, ten, whole, .. } => {
                let digits = from + step * i128::from(place);
                if whole && ten == 0 {
                    text.push_str(&digits.to_string());
                } else {
                    write_double(format!("{digits}e{ten}").parse().unwrap_or(f64::NAN), text);
                }
            }
        }
    }
}

/// The value at `place` of `count` at equal distances. The product comes before the quotient: so what can be exact is,
/// as the third tenth of one is 0.3.
fn between(from: f64, to: f64, place: u32, count: u32) -> f64 {
    let last = count.saturating_sub(1).max(1);
    if place == 0 {
        return from;
    }
    if place >= last {
        return to;
    }
    let (place, last) = (f64::from(place), f64::from(last));
    let far = (to - from) * place;
    if far.is_finite() { from + far / last } else { from * (1.0 - place / last) + to * (place / last) }
}

/// The text of a JSON number as `digits·10^ten`.
fn decimal(text: &str) -> Result<(i128, i32), NoSteps> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("{whole}{fraction}").parse::<i128>().map_err(|_| NoSteps::TooLong)?;
    let exponent = exponent.parse::<i32>().ok().filter(|exponent| exponent.unsigned_abs() <= 1_000);
    let places = i32::try_from(fraction.len()).map_err(|_| NoSteps::TooLong)?;
    match exponent {
        Some(exponent) => Ok((digits, exponent - places)),
        None if digits == 0 => Ok((0, 0)),
        None => Err(NoSteps::TooLong),
    }
}
