//! Numbers: whole ones exact, all others doubles.

use super::Relation;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Whole(i128),
    Double(f64),
}

/// Why a number has no value.
pub(super) type NoValue = String;

impl Number {
    /// From its text in JSON. What a double can't hold is no number.
    pub(super) fn read(text: &str) -> Result<Self, NoValue> {
        if !text.contains(['.', 'e', 'E'])
            && let Ok(whole) = text.parse()
        {
            return Ok(Number::Whole(whole));
        }
        match text.parse::<f64>() {
            Ok(double) if double.is_finite() => Ok(Number::Double(double)),
            _ => Err(format!("{text} is beyond what a number can be computed with (1.8e308)")),
        }
    }

    pub(super) fn double(self) -> f64 {
        match self {
            Number::Whole(whole) => whole as f64,
            Number::Double(double) => double,
        }
    }

    /// The JSON text: whole numbers without a point, doubles as the shortest text that is read as the same double.
    pub(super) fn text(self) -> String {
        match self {
            Number::Whole(whole) => whole.to_string(),
            Number::Double(double) => serde_json::Number::from_f64(double).map_or_else(String::new, |n| n.to_string()),
        }
    }

    fn finite(value: f64, what: &str) -> Result<Self, NoValue> {
        if value.is_finite() {
            return Ok(Number::Double(value));
        }
        Err(format!("{what} is beyond the largest number (1.8e308)"))
    }

    pub(super) fn plus(self, other: Self) -> Result<Self, NoValue> {
        if let (Number::Whole(a), Number::Whole(b)) = (self, other)
            && let Some(sum) = a.checked_add(b)
        {
            return Ok(Number::Whole(sum));
        }
        Self::finite(self.double() + other.double(), "the sum")
    }

    pub(super) fn minus(self, other: Self) -> Result<Self, NoValue> {
        if let (Number::Whole(a), Number::Whole(b)) = (self, other)
            && let Some(difference) = a.checked_sub(b)
        {
            return Ok(Number::Whole(difference));
        }
        Self::finite(self.double() - other.double(), "the difference")
    }

    pub(super) fn times(self, other: Self) -> Result<Self, NoValue> {
        if let (Number::Whole(a), Number::Whole(b)) = (self, other)
            && let Some(product) = a.checked_mul(b)
        {
            return Ok(Number::Whole(product));
        }
        Self::finite(self.double() * other.double(), "the product")
    }

    pub(super) fn over(self, other: Self) -> Result<Self, NoValue> {
        if other.double() == 0.0 {
            return Err(format!("{} is divided by zero", self.text()));
        }
        Self::finite(self.double() / other.double(), "the quotient")
    }

    pub(super) fn power(self, exponent: Self) -> Result<Self, NoValue> {
        if let (Number::Whole(base), Number::Whole(exponent)) = (self, exponent)
            && let Ok(exponent) = u32::try_from(exponent)
            && let Some(power) = base.checked_pow(exponent)
        {
            return Ok(Number::Whole(power));
        }
        let (base, power) = (self.double(), exponent.double());
        if base == 0.0 && power < 0.0 {
            return Err(format!("0 has no power of {}", exponent.text()));
        }
        let value = base.powf(power);
        if value.is_nan() {
            return Err(format!("{} has no power of {}: it is negative", self.text(), exponent.text()));
        }
        Self::finite(value, "the power")
    }

    pub(super) fn root(self) -> Result<Self, NoValue> {
        if self.double() < 0.0 {
            return Err(format!("{} has no square root", self.text()));
        }
        Ok(Number::Double(self.double().sqrt()))
    }

    pub(super) fn negative(self) -> Self {
        match self {
            Number::Whole(whole) => whole.checked_neg().map_or(Number::Double(-(whole as f64)), Number::Whole),
            Number::Double(double) => Number::Double(-double),
        }
    }

    pub(super) fn is_negative(self) -> bool {
        match self {
            Number::Whole(whole) => whole < 0,
            Number::Double(double) => double.is_sign_negative(),
        }
    }

    /// Half-way cases go to the even neighbour, as in Python.
    pub(super) fn rounded(self) -> Result<Self, NoValue> {
        /// Beyond, a double has no fraction and a whole number of 128 bits may not hold it.
        const LARGE: f64 = 1e38;
        match self {
            Number::Whole(_) => Ok(self),
            Number::Double(double) if double.abs() < LARGE => Ok(Number::Whole(double.round_ties_even() as i128)),
            Number::Double(double) => Ok(Number::Double(double)),
        }
    }

    /// To so many digits after the point.
    pub(super) fn rounded_to(self, digits: usize) -> Self {
        match self {
            Number::Whole(_) => self,
            Number::Double(double) => Number::Double(format!("{double:.digits$}").parse().unwrap_or(double)),
        }
    }

    pub(super) fn compare(self, relation: Relation, other: Self) -> bool {
        let order = match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => Some(a.cmp(&b)),
            (a, b) => a.double().partial_cmp(&b.double()),
        };
        use std::cmp::Ordering::{Equal, Greater, Less};
        match relation {
            Relation::Less => order == Some(Less),
            Relation::LessOrEqual => matches!(order, Some(Less | Equal)),
            Relation::Greater => order == Some(Greater),
            Relation::GreaterOrEqual => matches!(order, Some(Greater | Equal)),
            Relation::Equal => order == Some(Equal),
            Relation::NotEqual => order != Some(Equal),
        }
    }
}
