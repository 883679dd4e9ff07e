//! The value of an expression.

use super::number::Number;
use super::value::{Plain, Value};
use super::{Function, Node, Relation, Root, paths};
use crate::Json;

/// What stands behind the root of a reference.
pub(crate) enum Found<'s> {
    /// The node was skipped.
    Absent,
    /// It is not in memory; whoever looked it up has noted which.
    Missing,
    Value(Json),
    /// The outputs of a mapped node.
    Elements {
        len: usize,
        get: Box<dyn Fn(usize) -> Found<'s> + 's>,
    },
}

pub(crate) type Lookup<'s> = dyn Fn(Root) -> Found<'s> + 's;

/// Why there is no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Undefined {
    /// Not yet: something has to be loaded.
    Missing,
    Because(String),
}

type Evaluated = Result<Value, Undefined>;

pub(super) fn failed<T>(message: impl Into<String>) -> Result<T, Undefined> {
    Err(Undefined::Because(message.into()))
}

/// The value of a part of an expression.
pub(crate) fn evaluate(node: &Node, lookup: &Lookup<'_>) -> Evaluated {
    match node {
        Node::Literal(value) => Ok(value.clone()),
        Node::Path(path) => paths::value_of(path, lookup),
        Node::All(parts) => {
            for part in parts {
                if !truth(part, lookup, "and")? {
                    return Ok(Value::Bool(false));
                }
            }
            Ok(Value::Bool(true))
        }
        Node::Any(parts) => {
            for part in parts {
                if truth(part, lookup, "or")? {
                    return Ok(Value::Bool(true));
                }
            }
            Ok(Value::Bool(false))
        }
        Node::Not(part) => Ok(Value::Bool(!truth(part, lookup, "not")?)),
        Node::Chain(first, rest) => chain(first, rest, lookup),
        Node::Sum(parts) => {
            fold(parts, "+", lookup, |sum, minus, term| if minus { sum.minus(term) } else { sum.plus(term) })
        }
        Node::Product(parts) => {
            fold(parts, "*", lookup, |product, divides, by| if divides { product.over(by) } else { product.times(by) })
        }
        Node::Negative(part) => Ok(Value::number(number(part, lookup, "-")?.negative())),
        Node::Power(base, exponent) => {
            let (base, exponent) = (number(base, lookup, "^")?, number(exponent, lookup, "^")?);
            computed(base.power(exponent))
        }
        Node::Call(function, arguments) => call(*function, arguments, lookup),
    }
}

fn computed(number: Result<Number, String>) -> Evaluated {
    number.map(Value::number).map_err(Undefined::Because)
}

fn plain(value: &Value) -> Result<Plain, Undefined> {
    value.plain().map_err(Undefined::Because)
}

fn truth(node: &Node, lookup: &Lookup<'_>, needs: &str) -> Result<bool, Undefined> {
    let value = evaluate(node, lookup)?;
    match plain(&value)? {
        Plain::Bool(truth) => Ok(truth),
        _ => failed(format!("{needs:?} needs true or false, not {}", value.described())),
    }
}

fn number_of(value: &Value, needs: &str) -> Result<Number, Undefined> {
    match plain(value)? {
        Plain::Number(number) => Ok(number),
        _ => failed(format!("{needs:?} needs a number, not {}", value.described())),
    }
}

fn number(node: &Node, lookup: &Lookup<'_>, needs: &str) -> Result<Number, Undefined> {
    number_of(&evaluate(node, lookup)?, needs)
}

/// A sum or product from left to right.
fn fold(
    parts: &[(bool, Node)],
    symbol: &str,
    lookup: &Lookup<'_>,
    step: impl Fn(Number, bool, Number) -> Result<Number, String>,
) -> Evaluated {
    let mut result = None;
    for (inverse, part) in parts {
        let next = number(part, lookup, symbol)?;
        result = Some(match result {
            None => next,
            Some(before) => step(before, *inverse, next).map_err(Undefined::Because)?,
        });
    }
    Ok(result.map_or(Value::Null, Value::number))
}

fn chain(first: &Node, rest: &[(Relation, Node)], lookup: &Lookup<'_>) -> Evaluated {
    let mut left = evaluate(first, lookup)?;
    for (relation, node) in rest {
        let right = evaluate(node, lookup)?;
        if !compare(&left, *relation, &right)? {
            return Ok(Value::Bool(false));
        }
        left = right;
    }
    Ok(Value::Bool(true))
}

fn compare(left: &Value, relation: Relation, right: &Value) -> Result<bool, Undefined> {
    let wanted = match relation {
        Relation::Equal => Some(true),
        Relation::NotEqual => Some(false),
        _ => None,
    };
    match (plain(left)?, plain(right)?, wanted) {
        (Plain::Number(left), Plain::Number(right), _) => Ok(left.compare(relation, right)),
        (Plain::Text(left), Plain::Text(right), Some(wanted)) => Ok((left == right) == wanted),
        (Plain::Bool(left), Plain::Bool(right), Some(wanted)) => Ok((left == right) == wanted),
        (Plain::Null, Plain::Null, Some(wanted)) => Ok(wanted),
        (Plain::Null, _, Some(wanted)) | (_, Plain::Null, Some(wanted)) => Ok(!wanted),
        _ => {
            let (left, right, symbol) = (left.described(), right.described(), relation.symbol());
            failed(format!("{left} and {right} can't be compared with {symbol}"))
        }
    }
}

fn call(function: Function, arguments: &[Node], lookup: &Lookup<'_>) -> Evaluated {
    let name = function.name();
    let [first, rest @ ..] = arguments else { return failed(format!("{name} needs an argument")) };
    match function {
        Function::If => {
            let chosen = if truth(first, lookup, name)? { rest.first() } else { rest.get(1) };
            chosen.map_or(Ok(Value::Null), |chosen| evaluate(chosen, lookup))
        }
        Function::IsNull => Ok(Value::Bool(evaluate(first, lookup)?.is_null())),
        Function::Abs => {
            let value = evaluate(first, lookup)?;
            let number = number_of(&value, name)?;
            Ok(if number.is_negative() { Value::number(number.negative()) } else { value })
        }
        Function::Sqrt => computed(number(first, lookup, name)?.root()),
        Function::Round => {
            let number_to_round = number(first, lookup, name)?;
            match rest.first() {
                None => computed(number_to_round.rounded()),
                Some(digits) => Ok(Value::number(number_to_round.rounded_to(digits_of(digits, lookup)?))),
            }
        }
        Function::Len => match plain(&evaluate(first, lookup)?)? {
            Plain::List(items) => Ok(length(items.len())),
            Plain::Text(text) => Ok(length(text.chars().count())),
            Plain::Object(members) => Ok(length(members)),
            _ => failed(format!("{name:?} needs a list, a text or an object, not {}", described(first, lookup))),
        },
        Function::Sum => {
            let mut sum = Number::Whole(0);
            for item in list(first, lookup, name)? {
                sum = sum.plus(number_of(&item, name)?).map_err(Undefined::Because)?;
            }
            Ok(Value::number(sum))
        }
        Function::Mean => {
            let items = list(first, lookup, name)?;
            if items.is_empty() {
                return failed("an empty list has no mean");
            }
            let mut sum = Number::Whole(0);
            for item in &items {
                sum = sum.plus(number_of(item, name)?).map_err(Undefined::Because)?;
            }
            computed(Number::Double(sum.double()).over(Number::Double(items.len() as f64)))
        }
        Function::Min | Function::Max => extreme(function, arguments, lookup),
    }
}

fn length(length: usize) -> Value {
    Value::number(Number::Whole(length as i128))
}

fn described(node: &Node, lookup: &Lookup<'_>) -> String {
    evaluate(node, lookup).map_or_else(|_| "that".to_owned(), |value| value.described())
}

fn list(node: &Node, lookup: &Lookup<'_>, needs: &str) -> Result<Vec<Value>, Undefined> {
    let value = evaluate(node, lookup)?;
    match plain(&value)? {
        Plain::List(items) => Ok(items),
        _ => failed(format!("{needs:?} needs a list, not {}", value.described())),
    }
}

fn digits_of(node: &Node, lookup: &Lookup<'_>) -> Result<usize, Undefined> {
    /// A double has no more.
    const DIGITS_MAX: i128 = 15;
    match number(node, lookup, "round")? {
        Number::Whole(digits @ 0..=DIGITS_MAX) => Ok(usize::try_from(digits).unwrap_or_default()),
        other => failed(format!("\"round\" keeps 0 to {DIGITS_MAX} digits, not {}", other.text())),
    }
}

/// The least or greatest, of a list or of several arguments; its digits are kept.
fn extreme(function: Function, arguments: &[Node], lookup: &Lookup<'_>) -> Evaluated {
    let name = function.name();
    let items = match arguments {
        [only] => list(only, lookup, name)?,
        several => several.iter().map(|node| evaluate(node, lookup)).collect::<Result<_, _>>()?,
    };
    let relation = if function == Function::Min { Relation::Less } else { Relation::Greater };
    let mut found: Option<(Number, Value)> = None;
    for item in items {
        let number = number_of(&item, name)?;
        if found.as_ref().is_none_or(|(best, _)| number.compare(relation, *best)) {
            found = Some((number, item));
        }
    }
    match found {
        Some((_, value)) => Ok(value),
        None => failed(format!("an empty list has no {name}")),
    }
}
