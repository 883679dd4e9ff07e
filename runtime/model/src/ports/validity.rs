//! Conditions under which a calculation is valid: read once, then judged for each call.
//!
//! The language is total: no loops, no text, no calls but a few functions. What has no value (a root of a negative
//! number, a division by zero) is no condition that holds. Numbers are doubles, as in the calculation itself.

use serde::ser::{Serialize, SerializeMap, Serializer};
use std::fmt;

/// A condition over ports, by name, in the units that the ports declare.
#[derive(Debug, Clone, PartialEq)]
pub struct Validity {
    pub(super) text: String,
    pub(super) node: Node,
    /// The ports that it speaks of, each once.
    pub(super) names: Vec<String>,
    pub on_violation: OnViolation,
}

/// What happens where a condition doesn't hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnViolation {
    /// The call is refused, or its result.
    #[default]
    Refuse,
    /// The result carries a warning.
    Flag,
}

/// A part of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Port(String),
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
    /// Each neighbouring pair is compared: `a <= b < c`.
    Chain(Box<Node>, Vec<(Relation, Node)>),
    /// Terms, each with its sign.
    Sum(Vec<(Sign, Node)>),
    Product(Vec<(Place, Node)>),
    Power(Box<Node>, Box<Node>),
    Call(Function, Vec<Node>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    Plus,
    Minus,
}

/// Where a factor stands in a fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Above,
    Below,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    Abs,
    Min,
    Max,
    Sqrt,
}

/// The value of a port, or of a part of a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scalar {
    Number(f64),
    Truth(bool),
}

/// What became of a condition.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    Holds,
    /// A port that it speaks of has no value here.
    Silent,
    /// Why, with the values that it was judged by.
    Violated(String),
}

/// Why a part has no value.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Undefined {
    Missing,
    Root(f64),
    Division,
    Overflow,
}

impl Validity {
    /// The condition as its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The ports that it speaks of.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Judges the condition by the values that `scope` knows.
    pub(super) fn judge(&self, scope: &dyn Fn(&str) -> Option<Scalar>) -> Verdict {
        let found = match self.node.value(scope) {
            Ok(Scalar::Truth(true)) => return Verdict::Holds,
            Err(Undefined::Missing) => return Verdict::Silent,
            Ok(_) => "does not hold".to_owned(),
            Err(Undefined::Root(of)) => format!("has no value, being a root of {of}"),
            Err(Undefined::Division) => "has no value, being divided by 0".to_owned(),
            Err(Undefined::Overflow) => "has no value, becoming too large".to_owned(),
        };
        let value = |name: &String| match scope(name)? {
            Scalar::Number(number) => Some(format!("{name} = {number}")),
            Scalar::Truth(truth) => Some(format!("{name} = {truth}")),
        };
        let values: Vec<_> = self.names.iter().filter_map(value).collect();
        let here = if values.is_empty() { String::new() } else { format!(" with {}", values.join(", ")) };
        Verdict::Violated(format!("{} {found}{here}", self.text))
    }
}

impl Node {
    fn value(&self, scope: &dyn Fn(&str) -> Option<Scalar>) -> Result<Scalar, Undefined> {
        match self {
            Node::Number(number) => Ok(Scalar::Number(*number)),
            Node::Port(name) => scope(name).ok_or(Undefined::Missing),
            // What is left is not looked at once the answer is known: `d == 0 or 1/d > 2` divides by nothing.
            Node::All(parts) => {
                for part in parts {
                    if !part.truth(scope)? {
                        return Ok(Scalar::Truth(false));
                    }
                }
                Ok(Scalar::Truth(true))
            }
            Node::Any(parts) => {
                for part in parts {
                    if part.truth(scope)? {
                        return Ok(Scalar::Truth(true));
                    }
                }
                Ok(Scalar::Truth(false))
            }
            Node::Not(part) => Ok(Scalar::Truth(!part.truth(scope)?)),
            Node::Chain(first, rest) => {
                let mut left = first.number(scope)?;
                let mut holds = true;
                for (relation, right) in rest {
                    let right = right.number(scope)?;
                    holds &= relation.holds(left, right);
                    left = right;
                }
                Ok(Scalar::Truth(holds))
            }
            _ => self.number(scope).map(Scalar::Number),
        }
    }

    fn truth(&self, scope: &dyn Fn(&str) -> Option<Scalar>) -> Result<bool, Undefined> {
        match self.value(scope)? {
            Scalar::Truth(truth) => Ok(truth),
            // Reading refuses what mixes the two.
            Scalar::Number(_) => Err(Undefined::Missing),
        }
    }

    fn number(&self, scope: &dyn Fn(&str) -> Option<Scalar>) -> Result<f64, Undefined> {
        let number = match self {
            Node::Sum(terms) => terms.iter().try_fold(0.0, |sum, (sign, term)| {
                let term = term.number(scope)?;
                Ok(if *sign == Sign::Plus { sum + term } else { sum - term })
            })?,
            Node::Product(factors) => {
                factors.iter().try_fold(1.0, |product, (place, factor)| match (place, factor.number(scope)?) {
                    (Place::Above, factor) => Ok(product * factor),
                    (Place::Below, 0.0) => Err(Undefined::Division),
                    (Place::Below, factor) => Ok(product / factor),
                })?
            }
            Node::Power(base, power) => match (base.number(scope)?, power.number(scope)?) {
                (0.0, power) if power < 0.0 => return Err(Undefined::Division),
                (base, power) if base < 0.0 && power.fract() != 0.0 => return Err(Undefined::Root(base)),
                (base, power) => base.powf(power),
            },
            Node::Call(function, arguments) => {
                let numbers = arguments.iter().map(|argument| argument.number(scope));
                let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
                function.of(&numbers)?
            }
            _ => match self.value(scope)? {
                Scalar::Number(number) => number,
                Scalar::Truth(_) => return Err(Undefined::Missing),
            },
        };
        if number.is_finite() { Ok(number) } else { Err(Undefined::Overflow) }
    }
}

impl Relation {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Relation::Less => left < right,
            Relation::LessOrEqual => left <= right,
            Relation::Greater => left > right,
            Relation::GreaterOrEqual => left >= right,
            Relation::Equal => left == right,
            Relation::NotEqual => left != right,
        }
    }
}

impl Function {
    fn of(self, numbers: &[f64]) -> Result<f64, Undefined> {
        let first = numbers.first().copied().ok_or(Undefined::Missing)?;
        match self {
            Function::Abs => Ok(first.abs()),
            Function::Min => Ok(numbers.iter().copied().fold(first, f64::min)),
            Function::Max => Ok(numbers.iter().copied().fold(first, f64::max)),
            Function::Sqrt if first < 0.0 => Err(Undefined::Root(first)),
            Function::Sqrt => Ok(first.sqrt()),
        }
    }
}

impl OnViolation {
    pub const fn as_str(self) -> &'static str {
        match self {
            OnViolation::Refuse => "refuse",
            OnViolation::Flag => "flag",
        }
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// As a manifest has it: `{"expression": "d > 0", "on_violation": "refuse"}`.
impl Serialize for Validity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("expression", &self.text)?;
        map.serialize_entry("on_violation", self.on_violation.as_str())?;
        map.end()
    }
}
