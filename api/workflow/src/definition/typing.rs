//! Types and units along the edges, where both ends are known.

use super::{Binding, Bound, Callee, Definition, FileBinding, Node, NodeKind, OnError, Over, Place};
use crate::expr::{self, Expr, Measure, Root, Type};
use mecapy_model::NonFinite;
use mecapy_model::ports::json::{Faults, Path, text_of};
use mecapy_model::ports::{Compatibility, Port, PortType, Run, Signature};
use serde_json::value::RawValue;

/// Checks all nodes, each after those that it waits for, and notes what values take along.
pub(super) fn check(
    definition: &mut Definition,
    signatures: &dyn Fn(Callee<'_>) -> Option<Signature>,
    faults: &mut Faults,
) {
    let inputs = PortType::Struct(definition.signature.inputs().clone());
    let inputs = Port::new(inputs, None).map_or(Type::Any, Type::of);
    let mut outputs = vec![Type::Any; definition.nodes.len()];
    let root = Path::Root("");
    let nodes_at = root.key("nodes");
    for index in definition.order() {
        let Some(node) = definition.nodes.get_mut(index) else { continue };
        let signature = signature_of(node, signatures);
        node.is_typed = signature.is_some();
        let typed = Typing { inputs: &inputs, outputs: &outputs, item: Type::Any };
        let output = typed.node(node, signature.as_ref(), nodes_at.index(index), faults);
        if let Some(known) = outputs.get_mut(index) {
            *known = output;
        }
    }
    let typed = Typing { inputs: &inputs, outputs: &outputs, item: Type::Any };
    for (name, binding) in &definition.outputs {
        for bound in binding.bounds() {
            typed.expr(&bound.expr, root.key("outputs").key(name), faults);
        }
    }
}

fn signature_of(node: &Node, signatures: &dyn Fn(Callee<'_>) -> Option<Signature>) -> Option<Signature> {
    match &node.kind {
        NodeKind::Task { function: Some(function), .. } => signatures(Callee::Function(function)),
        NodeKind::Task { function: None, .. } | NodeKind::Approval { .. } => None,
        NodeKind::Workflow { workflow, version } => signatures(Callee::Workflow { workflow, version: *version }),
    }
}

struct Typing<'t> {
    inputs: &'t Type,
    /// Of each node that comes before.
    outputs: &'t [Type],
    item: Type,
}

impl Typing<'_> {
    /// Checks a node; the type of its output.
    fn node(mut self, node: &mut Node, signature: Option<&Signature>, path: Path<'_>, faults: &mut Faults) -> Type {
        if let Some(map) = &node.map
            && let Over::Expr(over) = &map.over
        {
            let (at, field) = (path.key("map"), "over");
            let list = self.expr(over, at.key(field), faults);
            match list.items() {
                Ok(item) => self.item = item,
                Err(message) => faults.at(at.key(field), "wrong_type", format_args!("{}: {message}", over.as_str())),
            }
        }
        if let Some(when) = &node.when {
            let ty = self.expr(when, path.key("when"), faults);
            if !ty.may_be_truth() {
                let message = format_args!("a condition is true or false, and this is {}", ty.described());
                faults.at(path.key("when"), "wrong_type", message);
            }
        }
        for (name, file) in &node.files {
            if let FileBinding::From(expr) = file {
                let files = path.key("files");
                let ty = self.expr(expr, files.key(name).key("from"), faults);
                if !ty.may_be_text() {
                    let message = format_args!("the id of an upload is a string, and this is {}", ty.described());
                    faults.at(files.key(name).key("from"), "wrong_type", message);
                }
            }
        }
        self.inputs_of(node, signature, path, faults);
        let output = match (signature, &node.kind) {
            (Some(signature), NodeKind::Task { .. }) if !signature.outputs().is_empty() => {
                self.default_of(node, signature, path, faults);
                Port::new(PortType::Struct(signature.outputs().clone()), None).map_or(Type::Any, Type::of)
            }
            _ => Type::Any,
        };
        if node.map.is_some() { output.list() } else { output }
    }

    fn inputs_of(&self, node: &mut Node, signature: Option<&Signature>, path: Path<'_>, faults: &mut Faults) {
        let inputs_at = path.key("inputs");
        for (name, binding) in &mut node.inputs {
            let at = inputs_at.key(name);
            let target = signature.and_then(|signature| signature.inputs().get(name.as_str()));
            if matches!(binding, Binding::Literal(_)) {
                continue;
            }
            if let (Some(signature), None) = (signature, target) {
                let known: Vec<_> = signature.inputs().keys().map(String::as_str).collect();
                let message = format_args!("there is no input {name:?}: there are {}", known.join(", "));
                faults.at(at, "unknown_field", message);
            }
            for bound in binding.bounds_mut() {
                self.bound(bound, target, at, faults);
            }
        }
        let Some(signature) = signature else { return };
        // What is bound is not known yet; all else is checked as the call's own inputs are.
        let mut literals = String::from("{");
        for (name, binding) in &node.inputs {
            if let Binding::Literal(value) = binding {
                let comma = if literals.len() > 1 { "," } else { "" };
                literals.push_str(&format!("{comma}{}:{value}", text_of(name)));
            }
        }
        literals.push('}');
        let Ok(literals) = RawValue::from_string(literals) else { return };
        let Err(found) = signature.check_inputs(&literals, &inputs_at.to_string()) else { return };
        for fault in found {
            let is_bound = node.inputs.iter().any(|(name, binding)| {
                !matches!(binding, Binding::Literal(_)) && inputs_at.key(name).to_string() == fault.pointer
            });
            if !(is_bound && fault.code == "required") {
                faults.add(fault);
            }
        }
    }

    /// What is taken for the output is an output.
    fn default_of(&self, node: &Node, signature: &Signature, path: Path<'_>, faults: &mut Faults) {
        let OnError::Default(default) = &node.on_error else { return };
        let Ok(nothing) = RawValue::from_string("{}".to_owned()) else { return };
        let run = Run { inputs: &nothing, non_finite: NonFinite::Null };
        if let Err(found) = signature.check_outputs(default.raw(), run, &path.key("default").to_string()) {
            found.into_iter().for_each(|fault| faults.add(fault));
        }
    }

    fn roots(&self, root: Root) -> Type {
        match root {
            Root::Inputs => self.inputs.clone(),
            Root::Node(node) => self.outputs.get(node).cloned().unwrap_or(Type::Any),
            Root::Item => self.item.clone(),
            Root::Index => Type::Number { whole: true, measure: Measure::Plain },
        }
    }

    /// The type of an expression, with a fault where it can't be right.
    fn expr(&self, expr: &Expr, path: Path<'_>, faults: &mut Faults) -> Type {
        match expr::check(&expr.node, &|root| self.roots(root)) {
            Ok(ty) => ty,
            Err(message) => {
                faults.at(path, "wrong_type", format_args!("{}: {message}", expr.as_str()));
                Type::Any
            }
        }
    }

    /// Whether the value fits where it goes.
    fn bound(&self, bound: &mut Bound, target: Option<&Port>, at: Path<'_>, faults: &mut Faults) {
        let before = faults.len();
        let source = self.expr(&bound.expr, at, faults);
        if faults.len() > before {
            return;
        }
        let target = target.map(|port| part_of(port, &bound.place));
        let target = match target {
            None => {
                if bound.unit.is_some() {
                    let message = "only a typed input, as functions and workflows have, can take a unit";
                    faults.at(at, "unit_not_allowed", message);
                }
                return;
            }
            Some(Part::Port(port)) => *port,
            Some(Part::Unknown) => return,
            Some(Part::Measured) => {
                let message = "a value that is referred to takes its unit along: give the reference itself, with \
                               \"unit\" beside \"from\" where its source has none";
                return faults.at(at, "unit_not_allowed", message);
            }
        };
        let source = match said(&source, bound, &target) {
            Ok(source) => source,
            Err((code, message)) => return faults.at(at, code, message),
        };
        let Some(source) = source else { return };
        let fit = source.connect(&target);
        if fit.compatibility == Compatibility::Incompatible {
            faults.at(at, "incompatible", format_args!("{}: {}", bound.expr.as_str(), fit.reason));
        } else if source != target {
            bound.ports = Some((source, target));
        }
    }
}

/// The source as a port: by what is known of it, and by the unit that its author says.
fn said(source: &Type, bound: &Bound, target: &Port) -> Result<Option<Port>, (&'static str, String)> {
    let text = bound.expr.as_str();
    let has_unit = target.unit().is_some_and(|unit| unit.as_str() != "1");
    if source.has_lost_unit() && bound.unit.is_none() && has_unit {
        let message = format!("{text}: what unit this has can't be told: say it with \"unit\" beside \"expr\"");
        return Err(("unknown_unit", message));
    }
    if matches!(source, Type::Null) && target.is_required() {
        return Err(("incompatible", format!("{text}: null is given, and a value is needed")));
    }
    let Some(unit) = &bound.unit else { return Ok(source.port()) };
    let ty = match source.port() {
        Some(port) => match port.unit().filter(|own| own.as_str() != "1") {
            Some(own) if *own != *unit => {
                return Err(("contradiction", format!("{text} is in {own}: leave \"unit\" out, it is converted")));
            }
            Some(_) => return Ok(Some(port)),
            None => port.ty().clone(),
        },
        None => target.ty().clone(),
    };
    Port::new(ty, Some(unit.clone())).map(Some).map_err(|misfit| ("wrong_dimension", format!("{text}: {misfit}")))
}

/// What stands at a place within an input.
enum Part {
    Port(Box<Port>),
    Unknown,
    /// The number of `{"value": …, "unit": …}`.
    Measured,
}

fn part_of(port: &Port, place: &[Place]) -> Part {
    let mut ty = Type::of(port.clone());
    for step in place {
        let next = match step {
            Place::Key(name) if name == "value" && ty.is_measured() => return Part::Measured,
            Place::Key(name) => expr::field_of(&ty, name),
            Place::Index(_) => ty.items(),
        };
        match next {
            Ok(next) => ty = next,
            // It doesn't fit; the call's own check says so.
            Err(_) => return Part::Unknown,
        }
    }
    match ty.port() {
        Some(port) => Part::Port(Box::new(port)),
        None => Part::Unknown,
    }
}
