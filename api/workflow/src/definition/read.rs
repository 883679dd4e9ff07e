//! Reads a whole definition: strict JSON first, then field by field, then what leads from node to node.

use super::fields::Fields;
use super::node::{self, Surroundings};
use super::{
    Binding, Callee, DEFINITION_BYTES_MAX, DEPTH_MAX, Definition, JSON_DEPTH_MAX, KEY_BYTES_MAX, NAME_CHARS_MAX,
    NODES_MAX, Node, PARALLEL_MAX, RunLimits, WIDTH_MAX, binding, graph, typing,
};
use crate::expr::{Names, Root, is_reserved};
use indexmap::IndexMap;
use mecapy_model::Fault;
use mecapy_model::ports::json::{Faults, Path, Shape};
use mecapy_model::ports::{Signature, SignatureParts};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};

/// So many names are listed in a message.
const NAMES_SHOWN_MAX: usize = 12;

impl Definition {
    /// Reads a definition. `signatures` knows what the functions and workflows that it calls take and give; where it
    /// knows nothing, types and units are left to the run.
    ///
    /// # Errors
    /// All faults, at most [`FAULTS_MAX`](mecapy_model::ports::FAULTS_MAX), each with its pointer into the text.
    pub fn parse(text: &str, signatures: &dyn Fn(Callee<'_>) -> Option<Signature>) -> Result<Definition, Vec<Fault>> {
        let mut faults = Faults::default();
        if text.len() > DEFINITION_BYTES_MAX {
            let message = format!("a definition has {DEFINITION_BYTES_MAX} bytes at most, and this one {}", text.len());
            return Err(vec![Fault::new("", "too_long", message)]);
        }
        let value: &RawValue =
            serde_json::from_str(text).map_err(|error| vec![Fault::new("", "malformed", error.to_string())])?;
        strict(value, Path::Root(""), JSON_DEPTH_MAX, &mut faults);
        let definition = if faults.is_empty() { top(value, &mut faults) } else { None };
        match definition {
            Some((mut definition, needs)) => {
                graph::join(&mut definition, &needs, &mut faults);
                if faults.is_empty() {
                    typing::check(&mut definition, signatures, &mut faults);
                }
                let faults = faults.into_vec();
                if faults.is_empty() { Ok(definition) } else { Err(faults) }
            }
            None => Err(faults.into_vec()),
        }
    }

    /// The node of this key.
    pub fn node(&self, key: &str) -> Option<&Node> {
        self.nodes.get(*self.positions.get(key)?)
    }
}

/// No key twice, no half of a surrogate pair, not too deep.
fn strict(value: &RawValue, path: Path<'_>, depth: usize, faults: &mut Faults) {
    if depth == 0 {
        return faults.at(path, "too_deep", format_args!("objects and arrays nest {JSON_DEPTH_MAX} deep at most"));
    }
    match Shape::of(value) {
        Shape::Object(members) => {
            let mut keys = HashSet::with_capacity(members.len());
            for (key, value) in &members {
                if !keys.insert(key.as_ref()) {
                    faults.at(path.key(key), "duplicate", format_args!("{key:?} stands here twice"));
                }
                strict(value, path.key(key), depth - 1, faults);
            }
        }
        Shape::Array(items) => {
            for (index, item) in items.into_iter().enumerate() {
                strict(item, path.index(index), depth - 1, faults);
            }
        }
        Shape::Broken => faults.at(path, "malformed", "a \\u escape is half of a surrogate pair"),
        _ => {}
    }
}

/// What a node waits for besides what it refers to, by key, with the node's position.
pub(super) type Needs = Vec<(usize, Vec<String>)>;

fn top(value: &RawValue, faults: &mut Faults) -> Option<(Definition, Needs)> {
    let root = Path::Root("");
    let mut fields = Fields::open(value, root, faults)?;
    let name = fields.require("name", faults).and_then(|name| super::fields::text(name, root.key("name"), faults));
    let name = name.unwrap_or_default();
    if name.chars().count() > NAME_CHARS_MAX || name.contains('\0') {
        let message = format_args!("a name has {NAME_CHARS_MAX} characters at most, and no U+0000 among them");
        faults.at(root.key("name"), "invalid_name", message);
    }
    let description = fields.string("description", faults);
    let signature = signature(&mut fields, faults);
    let limits = limits(&mut fields, faults);
    let (nodes, outputs) = (fields.require("nodes", faults), fields.take("outputs"));
    fields.finish("name, description, inputs, validity, nodes, outputs, limits", faults);
    let nodes_at = root.key("nodes");
    let items = match Shape::of(nodes?) {
        Shape::Array(items) if (1..=NODES_MAX as usize).contains(&items.len()) => items,
        Shape::Array(_) => {
            faults.at(nodes_at, "out_of_range", format_args!("a workflow has 1 to {NODES_MAX} nodes"));
            return None;
        }
        found => {
            faults.wrong_type(nodes_at, "an array of nodes", &found);
            return None;
        }
    };
    let positions = keys(&items, nodes_at, faults);
    let (mut nodes, mut needs) = (Vec::with_capacity(items.len()), Needs::new());
    for (index, item) in items.iter().enumerate() {
        let read = read_node(item, nodes_at.index(index), (&positions, limits.width_max), faults);
        if let Some((node, needed)) = read {
            needs.push((nodes.len(), needed));
            nodes.push(node);
        }
    }
    let outputs = read_outputs(outputs, root.key("outputs"), &positions, faults);
    // Positions are those in the text, so that nodes left out would shift them.
    let signature = signature.filter(|_| nodes.len() == items.len())?;
    Some((Definition { name, description, nodes, signature, outputs, limits, positions }, needs))
}

fn signature(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<Signature> {
    let parts = SignatureParts { inputs: fields.take("inputs"), outputs: None, validity: fields.take("validity") };
    match Signature::read(parts, "") {
        Ok(signature) => Some(signature),
        Err(found) => {
            found.into_iter().for_each(|fault| faults.add(fault));
            None
        }
    }
}

fn limits(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> RunLimits {
    let mut limits = RunLimits { width_max: WIDTH_MAX, depth_max: DEPTH_MAX, parallel_max: PARALLEL_MAX };
    let Some(value) = fields.take("limits") else { return limits };
    let root = fields.path;
    let Some(mut inner) = Fields::open(value, root.key("limits"), faults) else { return limits };
    limits.width_max = inner.count("width_max", 1..=WIDTH_MAX, faults).unwrap_or(WIDTH_MAX);
    limits.depth_max = inner.count("depth_max", 1..=DEPTH_MAX, faults).unwrap_or(DEPTH_MAX);
    limits.parallel_max = inner.count("parallel_max", 1..=PARALLEL_MAX, faults).unwrap_or(PARALLEL_MAX);
    inner.finish("width_max, depth_max, parallel_max", faults);
    limits
}

/// Where each key stands; faults for those that can't be keys.
fn keys(items: &[&RawValue], path: Path<'_>, faults: &mut Faults) -> HashMap<String, usize> {
    let mut positions = HashMap::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let at = path.index(index);
        let Shape::Object(members) = Shape::of(item) else { continue };
        let Some((_, key)) = members.into_iter().find(|(key, _)| key == "key") else { continue };
        let Shape::String(key) = Shape::of(key) else { continue };
        check_name(&key, at.key("key"), faults);
        if positions.insert(key.to_string(), index).is_some() {
            faults.at(at.key("key"), "duplicate", format_args!("there are two nodes {key:?}: a key is a node's own"));
        }
    }
    positions
}

/// Whether a text can be the name of a node, an element or an output.
fn check_name(name: &str, path: Path<'_>, faults: &mut Faults) {
    let mut chars = name.chars();
    let is_identifier = chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.len() <= KEY_BYTES_MAX;
    if !is_identifier {
        let message = format_args!(
            "a name here has letters without accents, digits and _, no digit first, and {KEY_BYTES_MAX} bytes at most"
        );
        faults.at(path, "invalid_name", message);
    } else if is_reserved(name) {
        faults.at(path, "invalid_name", format_args!("{name:?} is a word of the expression language: choose another"));
    }
}

fn read_node(
    item: &RawValue,
    path: Path<'_>,
    (positions, width_max): (&HashMap<String, usize>, u32),
    faults: &mut Faults,
) -> Option<(Node, Vec<String>)> {
    let mut fields = Fields::open(item, path, faults)?;
    let key = fields.require("key", faults).and_then(|key| super::fields::text(key, path.key("key"), faults));
    let element = node::item_name(item);
    if let Some(name) = &element {
        let (map, at) = (path.key("map"), "as");
        check_name(name, map.key(at), faults);
        if positions.contains_key(name) {
            let message = format_args!("there is a node {name:?}: the element needs a name of its own");
            faults.at(map.key(at), "duplicate", message);
        }
    }
    let known = known(positions, element.as_deref());
    let find = |name: &str| match element.as_deref() {
        Some(element) if element == name => Some(Root::Item),
        Some(_) if name == "index" => Some(Root::Index),
        _ => outside(positions, name),
    };
    let outer = |name: &str| outside(positions, name);
    let around = Surroundings {
        names: Names { find: &find, known: &known },
        outer: Names { find: &outer, known: &known },
        width_max,
    };
    node::read(key.unwrap_or_default(), fields, &around, faults)
}

fn outside(positions: &HashMap<String, usize>, name: &str) -> Option<Root> {
    if name == "inputs" { Some(Root::Inputs) } else { positions.get(name).map(|node| Root::Node(*node)) }
}

/// What a reference may begin with, for messages.
fn known(positions: &HashMap<String, usize>, element: Option<&str>) -> String {
    let mut nodes: Vec<_> = positions.iter().collect();
    nodes.sort_by_key(|(_, position)| **position);
    let more = if nodes.len() > NAMES_SHOWN_MAX { ", …" } else { "" };
    let nodes = nodes.into_iter().take(NAMES_SHOWN_MAX).map(|(key, _)| key.as_str());
    let own = element.into_iter().chain(element.map(|_| "index"));
    let names: Vec<_> = std::iter::once("inputs").chain(own).chain(nodes).collect();
    format!("{}{more}", names.join(", "))
}

fn read_outputs(
    value: Option<&RawValue>,
    path: Path<'_>,
    positions: &HashMap<String, usize>,
    faults: &mut Faults,
) -> IndexMap<String, Binding> {
    let mut outputs = IndexMap::new();
    let Some(value) = value else { return outputs };
    let Shape::Object(members) = Shape::of(value) else {
        faults.wrong_type(path, "an object of outputs", &Shape::of(value));
        return outputs;
    };
    let known = known(positions, None);
    let find = |name: &str| outside(positions, name);
    let names = Names { find: &find, known: &known };
    for (name, value) in members {
        let at = path.key(&name);
        check_name(&name, at, faults);
        if let Some(binding) = binding::read(value, at, &names, faults) {
            outputs.insert(name.to_string(), binding);
        }
    }
    outputs
}
