//! References: from a root to the value that they lead to.

use super::eval::{Found, Lookup, Undefined, evaluate, failed};
use super::number::Number;
use super::value::{Plain, Value};
use super::{Node, Path, Step, StepKind};
use crate::Json;
use mecapy_model::ports::json::Shape;
use serde_json::value::RawValue;

/// So many names are listed in a message.
const NAMES_SHOWN_MAX: usize = 12;

pub(super) fn value_of(path: &Path, lookup: &Lookup<'_>) -> Result<Value, Undefined> {
    Walk { path, lookup }.found((lookup)(path.root), path.soft, &path.steps)
}

struct Walk<'w, 'l> {
    path: &'w Path,
    lookup: &'w Lookup<'l>,
}

impl Walk<'_, '_> {
    /// Goes on from a root, or from an element of one; `soft` says whether it may be absent.
    fn found(&self, found: Found<'_>, soft: bool, steps: &[Step]) -> Result<Value, Undefined> {
        match found {
            Found::Missing => Err(Undefined::Missing),
            Found::Absent if soft => Ok(Value::Null),
            Found::Absent => {
                let name = &self.path.name;
                failed(format!("{name} has no output, since it was skipped: write {name}? where that may be"))
            }
            Found::Value(json) if steps.is_empty() => Ok(Value::Raw(json)),
            Found::Value(json) => self.descend(json.raw(), soft, steps),
            Found::Elements { len, get } => match steps.split_first() {
                Some((Step { kind: StepKind::Item(index), soft }, rest)) => match self.index(index, len, *soft)? {
                    Some(index) => self.found(get(index), *soft, rest),
                    None => Ok(Value::Null),
                },
                _ => every((0..len).map(|index| match get(index) {
                    Found::Absent if steps.is_empty() => Ok(Value::Null),
                    found => self.found(found, soft, steps),
                })),
            },
        }
    }

    fn descend(&self, value: &RawValue, soft: bool, steps: &[Step]) -> Result<Value, Undefined> {
        let Some((step, rest)) = steps.split_first() else { return Ok(Value::Raw(Json::of(value))) };
        match (&step.kind, Shape::of(value)) {
            (_, Shape::Null) if soft => Ok(Value::Null),
            (StepKind::Field(name), Shape::Object(members)) => match members.iter().find(|(key, _)| key == name) {
                Some((_, value)) => self.descend(value, step.soft, rest),
                None if step.soft => Ok(Value::Null),
                None => {
                    let names: Vec<_> = members.iter().map(|(key, _)| key.as_ref()).take(NAMES_SHOWN_MAX).collect();
                    let there = if names.is_empty() { "nothing".to_owned() } else { names.join(", ") };
                    failed(format!("{} has no field {name:?}: it has {there}", self.until(steps)))
                }
            },
            (StepKind::Field(_), Shape::Array(items)) => {
                every(items.into_iter().map(|item| self.descend(item, soft, steps)))
            }
            (StepKind::Item(index), Shape::Array(items)) => match self.index(index, items.len(), step.soft)? {
                Some(index) => match items.get(index) {
                    Some(item) => self.descend(item, step.soft, rest),
                    None => Ok(Value::Null),
                },
                None => Ok(Value::Null),
            },
            (StepKind::Field(name), found) => {
                failed(format!("{} is {}, and has no field {name:?}", self.until(steps), found.described()))
            }
            (StepKind::Item(_), found) => {
                failed(format!("{} is {}, and no list to take an element of", self.until(steps), found.described()))
            }
        }
    }

    /// Which element is meant; `None` where there is none and that may be.
    fn index(&self, index: &Node, len: usize, soft: bool) -> Result<Option<usize>, Undefined> {
        let value = evaluate(index, self.lookup)?;
        let whole = match value.plain().map_err(Undefined::Because)? {
            Plain::Number(Number::Whole(whole)) => Some(whole),
            Plain::Number(Number::Double(double)) if double.fract() == 0.0 => Some(double as i128),
            _ => None,
        };
        let Some(whole) = whole else {
            return failed(format!("an index is a whole number, not {}", value.described()));
        };
        match usize::try_from(whole).ok().filter(|index| *index < len) {
            Some(index) => Ok(Some(index)),
            None if soft => Ok(None),
            None => failed(format!("{} has {len} elements, counted from 0, and none at {whole}", self.path.name)),
        }
    }

    /// The reference as far as the steps that are left, for messages.
    fn until(&self, left: &[Step]) -> String {
        let taken = self.path.steps.len().saturating_sub(left.len());
        let mut text = self.path.name.clone();
        for step in self.path.steps.iter().take(taken) {
            match &step.kind {
                StepKind::Field(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                StepKind::Item(_) => text.push_str("[…]"),
            }
        }
        text
    }
}

/// All of them as a list. What is missing doesn't end it: each is looked up, so that all can be loaded at once.
fn every(items: impl Iterator<Item = Result<Value, Undefined>>) -> Result<Value, Undefined> {
    let mut list = Vec::new();
    let mut missing = false;
    for item in items {
        match item {
            Ok(value) => list.push(value),
            Err(Undefined::Missing) => missing = true,
            Err(error) => return Err(error),
        }
    }
    if missing { Err(Undefined::Missing) } else { Ok(Value::List(list)) }
}
