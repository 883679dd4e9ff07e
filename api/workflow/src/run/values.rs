//! What references lead to in this run.

use super::state::{Instance, InstanceState, Place};
use super::{NODE_INPUTS_BYTES_MAX, Run};
use crate::definition::{Binding, Bound, OnError, Over, Piece};
use crate::expr::{Expr, Found, Root, Undefined, Value, evaluate};
use crate::{FlowError, Json, Output, Then, Work};
use mecapy_model::ports::json::Shape;
use std::cell::RefCell;
use std::collections::BTreeSet;

/// Loads what is too large for the log; `None` where the caller doesn't have it at hand.
pub(super) type Values<'v> = dyn Fn(Work) -> Option<Json> + 'v;

/// Looks up what references lead to, and notes what is not at hand.
pub(super) struct Scope<'s> {
    run: &'s Run,
    values: &'s Values<'s>,
    pub(super) missing: RefCell<BTreeSet<Work>>,
    /// The element, and its index.
    item: Option<(Json, u32)>,
}

/// Why something has no value.
#[derive(Debug)]
pub(super) enum NoValue {
    /// Something has to be loaded.
    Missing,
    Because(FlowError, String),
}

impl From<Undefined> for NoValue {
    fn from(undefined: Undefined) -> Self {
        match undefined {
            Undefined::Missing => NoValue::Missing,
            Undefined::Because(message) => NoValue::Because(FlowError::Expression, message),
        }
    }
}

impl NoValue {
    /// The same, said of a part of a node.
    pub(super) fn of(self, what: &str) -> Self {
        match self {
            NoValue::Because(error, message) => NoValue::Because(error, format!("{what}: {message}")),
            missing => missing,
        }
    }
}

impl<'s> Scope<'s> {
    pub(super) fn new(run: &'s Run, values: &'s Values<'s>) -> Self {
        Self { run, values, missing: RefCell::new(BTreeSet::new()), item: None }
    }

    pub(super) fn with_item(self, item: Option<(Json, u32)>) -> Self {
        Self { item, ..self }
    }

    pub(super) fn value(&self, expr: &Expr) -> Result<Value, NoValue> {
        Ok(evaluate(&expr.node, &|root| self.found(root))?)
    }

    /// What the run gives when it has completed.
    pub(super) fn outputs(&self) -> &'s indexmap::IndexMap<String, Binding> {
        &self.run.definition.outputs
    }

    fn found(&self, root: Root) -> Found<'_> {
        match root {
            Root::Inputs => Found::Value(self.run.inputs.clone()),
            Root::Item => self.item.as_ref().map_or(Found::Absent, |(item, _)| Found::Value(item.clone())),
            Root::Index => match &self.item {
                Some((_, index)) => Found::Value(Value::whole(*index).into_json()),
                None => Found::Absent,
            },
            Root::Node(node) => {
                let is_mapped = self.run.is_mapped(node);
                let Some(state) = self.run.nodes.get(node) else { return Found::Absent };
                if state.is_absent(is_mapped) {
                    Found::Absent
                } else if is_mapped {
                    let get = move |index| self.instance(node, state.instances.get(index));
                    Found::Elements { len: state.instances.len(), get: Box::new(get) }
                } else {
                    self.instance(node, state.instances.first())
                }
            }
        }
    }

    fn instance(&self, node: usize, instance: Option<&Instance>) -> Found<'_> {
        let Some(instance) = instance else { return Found::Absent };
        match (&instance.state, instance.work) {
            (InstanceState::Done { output: Output::Value(value), .. }, _) => Found::Value(value.clone()),
            (InstanceState::Done { output: Output::Stored { .. }, .. }, Some(work)) => match (self.values)(work) {
                Some(value) => Found::Value(value),
                None => {
                    self.missing.borrow_mut().insert(work);
                    Found::Missing
                }
            },
            (InstanceState::Failed { then: Then::Default, .. }, _) => {
                match self.run.definition.nodes.get(node).map(|node| &node.on_error) {
                    Some(OnError::Default(value)) => Found::Value(value.clone()),
                    _ => Found::Absent,
                }
            }
            _ => Found::Absent,
        }
    }

    /// The value of a binding, as it is handed over.
    pub(super) fn binding(&self, binding: &Binding) -> Result<Json, NoValue> {
        match binding {
            Binding::Literal(value) => Ok(value.clone()),
            Binding::Expr(bound) => self.bound(bound),
            Binding::Compound(pieces) => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(part) => text.push_str(part),
                        Piece::Bound(bound) => text.push_str(self.bound(bound)?.get()),
                    }
                    bounded(text.len())?;
                }
                Ok(Json::written(text))
            }
        }
    }

    fn bound(&self, bound: &Bound) -> Result<Json, NoValue> {
        let value = self.value(&bound.expr).map_err(|error| error.of(bound.expr.as_str()))?.into_json();
        match &bound.ports {
            Some((source, target)) => Ok(Json::from(source.hand_over(value.raw(), target))),
            None => Ok(value),
        }
    }

    /// The elements of a map. Where nothing is there and that may be, there are none.
    pub(super) fn items(&self, over: &Over) -> Result<Vec<Json>, NoValue> {
        let expr = match over {
            Over::Items(items) => return Ok(items.clone()),
            Over::Expr(expr) => expr,
        };
        let value = self.value(expr).map_err(|error| error.of(expr.as_str()))?;
        let described = value.described();
        let json = value.into_json();
        match Shape::of(json.raw()) {
            Shape::Array(items) => Ok(items.into_iter().map(Json::of).collect()),
            Shape::Null => Ok(Vec::new()),
            _ => {
                let message = format!("{}: a list is needed to map over, not {described}", expr.as_str());
                Err(NoValue::Because(FlowError::Map, message))
            }
        }
    }

    /// Whether an output needs what is not there, so that it is left out.
    pub(super) fn needs_what_is_absent(&self, binding: &Binding) -> bool {
        let mut found = false;
        for bound in binding.bounds() {
            bound.expr.node.each_path(&mut |path| {
                if let Root::Node(node) = path.root {
                    let state = self.run.nodes.get(node);
                    found |= !path.soft && state.is_some_and(|state| state.is_absent(self.run.is_mapped(node)));
                }
            });
        }
        found
    }

    /// The element that a file comes from.
    pub(super) fn source(&self, node: usize, index: Option<&Expr>) -> Result<Option<&'s Instance>, NoValue> {
        let index = match index {
            None => 0,
            Some(expr) => {
                let value = self.value(expr)?;
                let described = value.described();
                match value.into_json().get().parse() {
                    Ok(index) => index,
                    Err(_) => {
                        let message = format!("an index is a whole number from 0, not {described}");
                        return Err(NoValue::Because(FlowError::Expression, message));
                    }
                }
            }
        };
        Ok(self.run.instance(Place { node, index }))
    }
}

/// Whether a node may have so many bytes of inputs.
pub(super) fn bounded(bytes: usize) -> Result<(), NoValue> {
    if bytes <= NODE_INPUTS_BYTES_MAX {
        return Ok(());
    }
    let message = format!("more than {NODE_INPUTS_BYTES_MAX} bytes: hand large data along as a file");
    Err(NoValue::Because(FlowError::TooLarge, message))
}

/// Whether a binding has one value for all elements.
pub(super) fn is_shared(binding: &Binding) -> bool {
    let mut shared = true;
    for bound in binding.bounds() {
        bound.expr.node.each_path(&mut |path| shared &= !matches!(path.root, Root::Item | Root::Index));
    }
    shared
}
