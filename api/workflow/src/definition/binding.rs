//! Values of inputs and outputs: literals, references and expressions, and literals that hold such.

use super::fields::{Fields, text};
use super::{Binding, Bound, Piece, Place};
use crate::Json;
use crate::expr::{BadExpr, Expr, Names, parse};
use mecapy_model::ports::Unit;
use mecapy_model::ports::json::{Faults, Members, Path, Shape, text_of};
use serde_json::value::RawValue;

/// Reads what stands at `path`: a binding `{"from": …}` or `{"expr": …}`, or a literal, which may hold bindings.
pub(super) fn read(value: &RawValue, path: Path<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<Binding> {
    let before = faults.len();
    let mut reader = Reader { names, faults, pieces: Vec::new(), place: Vec::new() };
    reader.value(value, path);
    let pieces = reader.pieces;
    if faults.len() > before {
        return None;
    }
    if !pieces.iter().any(|piece| matches!(piece, Piece::Bound(_))) {
        return Some(Binding::Literal(Json::of(value)));
    }
    let mut pieces = pieces;
    match (pieces.pop(), pieces.is_empty()) {
        (Some(Piece::Bound(bound)), true) => Some(Binding::Expr(bound)),
        (last, _) => {
            pieces.extend(last);
            Some(Binding::Compound(pieces))
        }
    }
}

/// Reads an expression, with a fault where it is none.
pub(super) fn expression(text: &str, path: Path<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<Expr> {
    match parse(text, names) {
        Ok(expr) => Some(expr),
        Err(bad) => {
            faults.at(path, code_of(&bad), &bad);
            None
        }
    }
}

fn code_of(bad: &BadExpr) -> &'static str {
    if bad.is_unknown_name { "unknown_reference" } else { "invalid_expression" }
}

/// Reads a reference: an expression that is nothing more.
pub(super) fn reference(text: &str, path: Path<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<Expr> {
    let expr = expression(text, path, names, faults)?;
    if expr.reference().is_some() {
        return Some(expr);
    }
    let message = "a reference such as \"solve.stress\" is needed here: an expression is given as {\"expr\": \"…\"}";
    faults.at(path, "invalid_reference", message);
    None
}

struct Reader<'r> {
    names: &'r Names<'r>,
    faults: &'r mut Faults,
    pieces: Vec<Piece>,
    /// Where the value that is read stands in the input.
    place: Vec<Place>,
}

impl Reader<'_> {
    fn value(&mut self, value: &RawValue, path: Path<'_>) {
        match Shape::of(value) {
            Shape::Object(members) if is_binding(&members) => {
                if let Some(bound) = self.bound(value, path) {
                    self.pieces.push(Piece::Bound(Box::new(bound)));
                }
            }
            Shape::Object(members) => {
                for (index, (key, value)) in members.iter().enumerate() {
                    self.text(if index == 0 { "{" } else { "," });
                    self.text(&text_of(key));
                    self.text(":");
                    self.part(Place::Key(key.to_string()), value, path.key(key));
                }
                self.text(if members.is_empty() { "{}" } else { "}" });
            }
            Shape::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.text(if index == 0 { "[" } else { "," });
                    self.part(Place::Index(index), item, path.index(index));
                }
                self.text(if items.is_empty() { "[]" } else { "]" });
            }
            _ => self.text(value.get()),
        }
    }

    fn part(&mut self, step: Place, value: &RawValue, path: Path<'_>) {
        self.place.push(step);
        self.value(value, path);
        self.place.pop();
    }

    fn text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            Some(Piece::Text(before)) => before.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    fn bound(&mut self, value: &RawValue, path: Path<'_>) -> Option<Bound> {
        let faults = &mut *self.faults;
        let mut fields = Fields::open(value, path, faults)?;
        let (from, expr) = (fields.take("from"), fields.take("expr"));
        let unit = fields.string("unit", faults);
        fields.finish("from, expr, unit", faults);
        let unit = match unit.map(|unit| unit.parse::<Unit>()) {
            None => None,
            Some(Ok(unit)) => Some(unit),
            Some(Err(error)) => {
                faults.at(path.key("unit"), "unknown_unit", error);
                return None;
            }
        };
        let expr = match (from, expr) {
            (Some(from), None) => {
                let path = path.key("from");
                reference(&text(from, path, faults)?, path, self.names, faults)?
            }
            (None, Some(expr)) => {
                let path = path.key("expr");
                expression(&text(expr, path, faults)?, path, self.names, faults)?
            }
            _ => {
                faults.at(path, "contradiction", "one of \"from\" and \"expr\" is needed here, and not both");
                return None;
            }
        };
        Some(Bound { expr, unit, place: self.place.clone(), ports: None })
    }
}

/// An object of nothing but a binding's fields. A range `{"from": 0, "to": 5}` is none.
fn is_binding(members: &Members<'_>) -> bool {
    let one = members.iter().any(|(key, _)| key == "from" || key == "expr");
    one && members.iter().all(|(key, _)| matches!(key.as_ref(), "from" | "expr" | "unit"))
}

impl Binding {
    /// The references and expressions in it.
    pub(crate) fn bounds(&self) -> impl Iterator<Item = &Bound> {
        let (one, many): (Option<&Bound>, &[Piece]) = match self {
            Binding::Literal(_) => (None, &[]),
            Binding::Expr(bound) => (Some(bound), &[]),
            Binding::Compound(pieces) => (None, pieces),
        };
        one.into_iter().chain(many.iter().filter_map(|piece| match piece {
            Piece::Bound(bound) => Some(bound.as_ref()),
            Piece::Text(_) => None,
        }))
    }

    pub(super) fn bounds_mut(&mut self) -> impl Iterator<Item = &mut Bound> {
        let (one, many): (Option<&mut Bound>, &mut [Piece]) = match self {
            Binding::Literal(_) => (None, &mut []),
            Binding::Expr(bound) => (Some(bound), &mut []),
            Binding::Compound(pieces) => (None, pieces),
        };
        one.into_iter().chain(many.iter_mut().filter_map(|piece| match piece {
            Piece::Bound(bound) => Some(bound.as_mut()),
            Piece::Text(_) => None,
        }))
    }
}
