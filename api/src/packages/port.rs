//! What a function takes and gives, as the manifest declares it: the platform's typed ports, with the manifest's lines.

use super::fields::{Fields, Place, Report};
use super::node::Node;
use mecapy_model::{
    Fault,
    ports::{self, Port, PortType, SignatureParts},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The ports of a function. Nothing is known of a side that the manifest doesn't declare.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Signature {
    pub ports: ports::Signature,
    declares_inputs: bool,
    declares_outputs: bool,
}

impl Signature {
    /// None where the manifest declares no inputs: then any may be given.
    pub fn inputs(&self) -> Option<&ports::Fields> {
        self.declares_inputs.then(|| self.ports.inputs())
    }

    /// None where the manifest declares no outputs: then any may come.
    pub fn outputs(&self) -> Option<&ports::Fields> {
        self.declares_outputs.then(|| self.ports.outputs())
    }
}

/// Whether the port takes a file.
pub(super) fn is_file(port: &Port) -> bool {
    matches!(port.ty(), PortType::File(_))
}

/// Whether a function may be called without a value for the port.
pub(super) fn may_be_missing(port: &Port) -> bool {
    !port.is_required() && port.default().is_none()
}

/// Reads the fields `inputs`, `outputs` and `validity` of a function.
pub(super) fn read_signature(function: &mut Fields<'_, '_>, report: &mut Report) -> Signature {
    let nodes = ["inputs", "outputs", "validity"].map(|field| (field, function.take(field)));
    // What a node writes is JSON, so this never comes to nothing.
    let [inputs, outputs, validity] =
        nodes.map(|(_, node)| node.and_then(|node| RawValue::from_string(node.to_json()).ok()));
    let parts =
        SignatureParts { inputs: inputs.as_deref(), outputs: outputs.as_deref(), validity: validity.as_deref() };
    let at = function.place().path.to_string();
    let read = ports::Signature::read(parts, &at).unwrap_or_else(|faults| {
        for fault in faults {
            let line = line_of(&fault, &at, &nodes).unwrap_or(function.place().line);
            report.add(Fault { line: Some(line), ..fault });
        }
        ports::Signature::default()
    });
    for (side, ports) in [("inputs", read.inputs()), ("outputs", read.outputs())] {
        for name in ports.iter().filter(|(_, port)| hides_a_file(port.ty(), false)).map(|(name, _)| name) {
            let place = function.place();
            let path = place.path.key(side);
            let message = "a file can't be a field of a struct: give it a port of its own";
            report.fault(Place { path: path.key(name), line: place.line }, "file_in_struct", message.to_owned());
        }
    }
    Signature { ports: read, declares_inputs: inputs.is_some(), declares_outputs: outputs.is_some() }
}

/// Whether a file stands in a struct, where functions would get its name and not its path.
fn hides_a_file(ty: &PortType, in_struct: bool) -> bool {
    match ty {
        PortType::File(_) => in_struct,
        PortType::List(item) | PortType::Dict(item) => hides_a_file(item, in_struct),
        PortType::Struct(fields) => fields.values().any(|field| hides_a_file(field.ty(), true)),
        _ => false,
    }
}

/// The line of what a fault points to, or of what is next above it.
fn line_of(fault: &Fault, at: &str, nodes: &[(&str, Option<&Node>)]) -> Option<u32> {
    let mut tokens = fault.pointer.strip_prefix(at)?.split('/').skip(1);
    let field = tokens.next()?;
    let (_, node) = nodes.iter().find(|(name, _)| *name == field)?;
    Some((*node)?.line_at(tokens))
}
