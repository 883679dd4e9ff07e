//! What waits for what: from references, files, conditions and `needs`; without a circle.

use super::read::Needs;
use super::{Definition, Dependency, FileBinding, Node, NodeKind, Over};
use crate::expr::{Expr, Root};
use mecapy_model::ports::json::{Faults, Path};
use std::collections::BTreeMap;

/// Finds each node's dependencies and dependents.
pub(super) fn join(definition: &mut Definition, needs: &Needs, faults: &mut Faults) {
    let root = Path::Root("");
    let nodes_at = root.key("nodes");
    let mut found = Vec::with_capacity(definition.nodes.len());
    for (index, node) in definition.nodes.iter().enumerate() {
        let at = nodes_at.index(index);
        let mut dependencies = of(node);
        for (place, key) in needs.iter().filter(|(of, _)| *of == index).flat_map(|(_, keys)| keys.iter().enumerate()) {
            match definition.positions.get(key) {
                Some(position) => {
                    dependencies.entry(*position).or_insert(false);
                }
                None => {
                    let message = format_args!("there is no node {key:?}");
                    faults.at(at.key("needs").index(place), "unknown_reference", message);
                }
            }
        }
        if dependencies.remove(&index).is_some() {
            let message = format_args!("{:?} needs its own output: a node can't wait for itself", node.key);
            faults.at(at, "cycle", message);
        }
        check_files(definition, node, at, faults);
        found.push(dependencies);
    }
    for (index, dependencies) in found.into_iter().enumerate() {
        for node in dependencies.keys() {
            if let Some(node) = definition.nodes.get_mut(*node) {
                node.dependents.push(index);
            }
        }
        if let Some(node) = definition.nodes.get_mut(index) {
            node.dependencies = dependencies.into_iter().map(|(node, hard)| Dependency { node, hard }).collect();
        }
    }
    refuse_cycles(definition, faults);
}

/// The nodes that a node refers to, and whether it needs their outputs.
fn of(node: &Node) -> BTreeMap<usize, bool> {
    let mut found = BTreeMap::new();
    let mut visit = |expr: &Expr| {
        expr.node.each_path(&mut |path| {
            if let Root::Node(position) = path.root {
                *found.entry(position).or_insert(false) |= !path.soft;
            }
        });
    };
    node.inputs.iter().flat_map(|(_, binding)| binding.bounds()).for_each(|bound| visit(&bound.expr));
    node.when.iter().for_each(&mut visit);
    if let Some(Over::Expr(expr)) = node.map.as_ref().map(|map| &map.over) {
        visit(expr);
    }
    let mut artifacts = Vec::new();
    for (_, file) in &node.files {
        match file {
            FileBinding::Upload(_) => {}
            FileBinding::From(expr) => visit(expr),
            FileBinding::Artifact { node, index, optional, .. } => {
                index.iter().for_each(&mut visit);
                artifacts.push((*node, !optional));
            }
        }
    }
    for (position, hard) in artifacts {
        *found.entry(position).or_insert(false) |= hard;
    }
    found
}

/// Files come from tasks; of a mapped node, from one element.
fn check_files(definition: &Definition, node: &Node, path: Path<'_>, faults: &mut Faults) {
    let files = path.key("files");
    for (name, file) in &node.files {
        let FileBinding::Artifact { node, index, .. } = file else { continue };
        let Some(source) = definition.nodes.get(*node) else { continue };
        let at = files.key(name);
        if !matches!(source.kind, NodeKind::Task { .. }) {
            faults.at(at.key("from"), "invalid_reference", format_args!("{:?} leaves no files: tasks do", source.key));
        } else if source.map.is_some() != index.is_some() {
            let key = &source.key;
            let message = if index.is_some() {
                format!("{key:?} is not mapped, and has no elements: write {key}.artifacts/…")
            } else {
                format!("{key:?} is mapped: say which element, as in {key}[0].artifacts/… or {key}[index].artifacts/…")
            };
            faults.at(at.key("from"), "invalid_reference", message);
        }
    }
}

impl Definition {
    /// The nodes' positions, each after those that it waits for; those in a circle, and behind one, are left out.
    pub(crate) fn order(&self) -> Vec<usize> {
        let mut waiting: Vec<_> = self.nodes.iter().map(|node| node.dependencies.len()).collect();
        let free = waiting.iter().enumerate().filter(|(_, count)| **count == 0).map(|(index, _)| index);
        let mut order: Vec<usize> = free.collect();
        let mut next = 0;
        while let Some(node) = order.get(next).and_then(|index| self.nodes.get(*index)) {
            next += 1;
            for dependent in &node.dependents {
                if let Some(count) = waiting.get_mut(*dependent) {
                    *count -= 1;
                    if *count == 0 {
                        order.push(*dependent);
                    }
                }
            }
        }
        order
    }
}

/// Names each circle once, by its nodes.
fn refuse_cycles(definition: &Definition, faults: &mut Faults) {
    let mut rest: Vec<bool> = vec![true; definition.nodes.len()];
    for index in definition.order() {
        if let Some(left) = rest.get_mut(index) {
            *left = false;
        }
    }
    while let Some(start) = rest.iter().position(|left| *left) {
        let mut walk = vec![start];
        let cycle = loop {
            let Some(node) = walk.last().and_then(|last| definition.nodes.get(*last)) else { break Vec::new() };
            let next = node.dependencies.iter().map(|needed| needed.node).find(|n| rest.get(*n) == Some(&true));
            match next.map(|next| (next, walk.iter().position(|seen| *seen == next))) {
                Some((_, Some(from))) => break walk.split_off(from),
                Some((next, None)) => walk.push(next),
                // It waits for circles alone that have been named.
                None => break Vec::new(),
            }
        };
        if cycle.is_empty() {
            walk.iter().filter_map(|index| rest.get_mut(*index).map(|left| *left = false)).for_each(drop);
            if let Some(left) = rest.get_mut(start) {
                *left = false;
            }
            continue;
        }
        let key = |index: &usize| definition.nodes.get(*index).map_or("", |node| node.key.as_str());
        let names: Vec<_> = cycle.iter().chain(cycle.first()).map(key).collect();
        let message = format!("these nodes wait for one another, each for the next: {}", names.join(" → "));
        let root = Path::Root("");
        faults.at(root.key("nodes").index(*cycle.first().unwrap_or(&start)), "cycle", message);
        cycle.iter().filter_map(|index| rest.get_mut(*index).map(|left| *left = false)).for_each(drop);
    }
}
