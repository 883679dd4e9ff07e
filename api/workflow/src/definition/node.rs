//! Reads one node.

use super::fields::{Fields, text};
use super::{
    ATTEMPTS_MAX, BACKOFF_FACTOR_MAX, BACKOFF_MS_MAX, CacheMode, MESSAGE_BYTES_MAX, Map, Node, NodeKind, OnError, Over,
    RetryRule, TIMEOUT_MS_MAX, binding, files,
};
use crate::expr::Names;
use crate::{FailureKind, FlowError, Json};
use mecapy_model::ports::json::{Faults, Path, Shape};
use mecapy_model::{Lane, LimitsRequest};
use serde_json::value::RawValue;

/// The largest seed: what a double holds exactly, since clients may be written in JavaScript.
const SEED_MAX: u64 = (1 << 53) - 1;
const PRIORITY_MAX: u64 = 9;
const KINDS: [&str; 3] = ["code", "approval", "workflow"];
const FIELDS: &str = "key, code | approval | workflow, inputs, files, map, when, needs, retry, timeout_ms, limits, lane, \
                      priority, seed, non_finite, kernels, cache, on_error, default";

/// What a node's expressions may name, and how wide its map may be.
pub(super) struct Surroundings<'a> {
    pub(super) names: Names<'a>,
    /// What its map's own list may name: all of that but the element.
    pub(super) outer: Names<'a>,
    pub(super) width_max: u32,
}

/// Reads a node whose key is known already. Its references are not followed yet; `needs` are given back as they stand.
pub(super) fn read(
    key: String,
    mut fields: Fields<'_, '_>,
    around: &Surroundings<'_>,
    faults: &mut Faults,
) -> Option<(Node, Vec<String>)> {
    let path = fields.path;
    let kind = kind(&mut fields, faults);
    let is_task = matches!(kind, Some((NodeKind::Task { .. }, _)) | None);
    let is_approval = matches!(kind, Some((NodeKind::Approval { .. }, _)));
    let members = fields.members("inputs", faults);
    let at = path.key("inputs");
    let bound = members.iter().filter_map(|(name, value)| {
        Some((name.to_string(), binding::read(value, at.key(name), &around.names, faults)?))
    });
    let inputs = bound.collect();
    let when = fields.string("when", faults);
    let when = when.and_then(|text| binding::expression(&text, path.key("when"), &around.outer, faults));
    let needs = needs(&mut fields, faults);
    let on_error = on_error(&mut fields, faults);
    let timeout_ms = fields.integer("timeout_ms", 1..=TIMEOUT_MS_MAX, faults);
    let mut node = Node {
        key,
        kind: NodeKind::Approval { message: String::new() },
        inputs,
        files: Vec::new(),
        map: None,
        when,
        retry: RetryRule { max_attempts: 1, backoff_ms: 1_000, backoff_factor: 2.0, on: None },
        timeout_ms,
        on_error,
        cache: CacheMode::Off,
        seed: None,
        settings: Vec::new(),
        is_typed: false,
        dependencies: Vec::new(),
        dependents: Vec::new(),
    };
    if !is_approval {
        node.map = map(&mut fields, around, faults);
        node.retry = retry(&mut fields, faults).unwrap_or(node.retry);
    }
    if is_task {
        node.files = files::read(&mut fields, &around.names, faults);
        node.cache = fields.one_of("cache", &CACHE, faults).unwrap_or_default();
        node.seed = fields.integer("seed", 0..=SEED_MAX, faults);
        node.settings = settings(&mut fields, faults);
    }
    let known = if is_approval { "key, approval, inputs, when, needs, timeout_ms, on_error, default" } else { FIELDS };
    fields.finish(known, faults);
    let (kind, timeout_ms) = kind?;
    node.kind = kind;
    node.timeout_ms = node.timeout_ms.or(timeout_ms);
    Some((node, needs))
}

const CACHE: [(&str, CacheMode); 3] =
    [("use", CacheMode::Use), ("refresh", CacheMode::Refresh), ("off", CacheMode::Off)];

/// What the node is, and the time that an approval may take.
fn kind(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<(NodeKind, Option<u64>)> {
    let given: Vec<_> = KINDS.into_iter().filter(|kind| fields.has(kind)).collect();
    match given.as_slice() {
        ["code"] => code(fields, faults).map(|kind| (kind, None)),
        ["approval"] => {
            let value = fields.require("approval", faults)?;
            let root = fields.path;
            let mut inner = Fields::open(value, root.key("approval"), faults)?;
            let message = inner.string("message", faults);
            let timeout_ms = inner.integer("timeout_ms", 1..=TIMEOUT_MS_MAX, faults);
            let at = inner.path;
            inner.finish("message, timeout_ms", faults);
            let message = message.unwrap_or_default();
            if message.is_empty() || message.len() > MESSAGE_BYTES_MAX {
                let what = "what is asked of the person who approves";
                faults.at(at.key("message"), "required", format_args!("{what}: 1 to {MESSAGE_BYTES_MAX} bytes"));
                return None;
            }
            Some((NodeKind::Approval { message }, timeout_ms))
        }
        ["workflow"] => {
            let workflow = fields.string("workflow", faults);
            let version = fields.count("version", 1..=u32::MAX, faults);
            Some((NodeKind::Workflow { workflow: workflow?, version }, None))
        }
        _ => {
            for kind in KINDS {
                fields.take(kind);
            }
            let message = "a node has one of \"code\", \"approval\" and \"workflow\"";
            faults.at(fields.path, "kind", message);
            None
        }
    }
}

/// Only as much as the workflow itself needs to know; the rest is checked as a task's code is.
fn code(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<NodeKind> {
    let value = fields.require("code", faults)?;
    let root = fields.path;
    let path = root.key("code");
    let mut inner = Fields::open(value, path, faults)?;
    let given: Vec<_> = ["language", "function", "solver"].into_iter().filter(|name| inner.has(name)).collect();
    if given.len() != 1 {
        let message = "code has one of \"language\", \"function\" and \"solver\"";
        faults.at(path, "invalid", message);
        return None;
    }
    let function = if given == ["function"] { Some(inner.string("function", faults)?) } else { None };
    Some(NodeKind::Task { code: Json::of(value), function })
}

fn needs(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Vec<String> {
    let Some(value) = fields.take("needs") else { return Vec::new() };
    let root = fields.path;
    let path = root.key("needs");
    match Shape::of(value) {
        Shape::Array(items) => {
            let each = items.into_iter().enumerate();
            each.filter_map(|(index, item)| text(item, path.index(index), faults)).collect()
        }
        found => {
            faults.wrong_type(path, "an array of nodes' keys", &found);
            Vec::new()
        }
    }
}

fn map(fields: &mut Fields<'_, '_>, around: &Surroundings<'_>, faults: &mut Faults) -> Option<Map> {
    let value = fields.take("map")?;
    let root = fields.path;
    let mut inner = Fields::open(value, root.key("map"), faults)?;
    let path = inner.path;
    let over = inner.require("over", faults);
    let name = inner.string("as", faults).unwrap_or_else(|| ITEM.to_owned());
    let width_max = inner.count("width_max", 1..=around.width_max, faults).unwrap_or(around.width_max);
    inner.finish("over, as, width_max", faults);
    let at = path.key("over");
    let over = match over.map(|over| (over, Shape::of(over)))? {
        (_, Shape::String(text)) => Over::Expr(binding::expression(&text, at, &around.outer, faults)?),
        (_, Shape::Array(items)) if items.len() > width_max as usize => {
            faults.at(at, "too_many", format_args!("a map may have {width_max} elements at most here"));
            return None;
        }
        (_, Shape::Array(items)) => Over::Items(items.into_iter().map(Json::of).collect()),
        (_, found) => {
            faults.wrong_type(at, "a reference to a list, or a list,", &found);
            return None;
        }
    };
    Some(Map { over, name, width_max })
}

/// What an element is called where its map doesn't say.
const ITEM: &str = "item";

/// The name of a mapped node's element, as far as it can be read before the node is.
pub(super) fn item_name(node: &RawValue) -> Option<String> {
    let Shape::Object(members) = Shape::of(node) else { return None };
    let (_, map) = members.into_iter().find(|(key, _)| key == "map")?;
    let Shape::Object(members) = Shape::of(map) else { return None };
    match members.iter().find(|(key, _)| key == "as").map(|(_, name)| Shape::of(name)) {
        Some(Shape::String(name)) => Some(name.into_owned()),
        _ => Some(ITEM.to_owned()),
    }
}

fn retry(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Option<RetryRule> {
    let value = fields.take("retry")?;
    let root = fields.path;
    let mut inner = Fields::open(value, root.key("retry"), faults)?;
    let path = inner.path;
    let max_attempts = inner.count("max_attempts", 1..=ATTEMPTS_MAX, faults).unwrap_or(1);
    let backoff_ms = inner.integer("backoff_ms", 0..=BACKOFF_MS_MAX, faults).unwrap_or(1_000);
    let backoff_factor = inner.number("backoff_factor", 1.0..=BACKOFF_FACTOR_MAX, faults).unwrap_or(2.0);
    let on = inner.take("on").map(|value| kinds(value, path.key("on"), faults));
    inner.finish("max_attempts, backoff_ms, backoff_factor, on", faults);
    Some(RetryRule { max_attempts, backoff_ms, backoff_factor, on })
}

fn kinds(value: &RawValue, path: Path<'_>, faults: &mut Faults) -> Vec<FailureKind> {
    let Shape::Array(items) = Shape::of(value) else {
        faults.wrong_type(path, "an array of kinds of errors", &Shape::of(value));
        return Vec::new();
    };
    let mut kinds = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        match serde_json::from_str(item.get()) {
            Ok(kind @ (FailureKind::Task(_) | FailureKind::Flow(FlowError::Workflow))) => kinds.push(kind),
            _ => {
                let message = "a kind of error is needed here, as a task's error has it: exception, timeout, solver, …, \
                               or workflow for a nested run";
                faults.at(path.index(index), "unknown_value", message);
            }
        }
    }
    kinds
}

fn on_error(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> OnError {
    let path = fields.path;
    let is_given = fields.has("default");
    // Null is a value here.
    let default = fields.take("default").map_or_else(Json::null, Json::of);
    let words = [("fail", "fail"), ("skip", "skip"), ("default", "default")];
    match fields.one_of("on_error", &words, faults) {
        Some("default") if !is_given => {
            let message = "on_error \"default\" needs the value that is taken for the output";
            faults.at(path.key("default"), "required", message);
            OnError::Fail
        }
        Some("default") => OnError::Default(default),
        other => {
            if is_given {
                let message = "a default is taken where on_error is \"default\" alone: set it, or leave this out";
                faults.at(path.key("default"), "contradiction", message);
            }
            if other == Some("skip") { OnError::Skip } else { OnError::Fail }
        }
    }
}

/// What goes into the task's request as it is, once it is known to be right.
fn settings(fields: &mut Fields<'_, '_>, faults: &mut Faults) -> Vec<(&'static str, Json)> {
    let mut settings = Vec::new();
    let lanes = [Lane::HighPriority, Lane::Default, Lane::LongRunning].map(|lane| (lane.as_str(), lane));
    if let Some(lane) = fields.one_of("lane", &lanes, faults) {
        settings.push(("lane", Json::text(lane.as_str())));
    }
    if let Some(priority) = fields.integer("priority", 0..=PRIORITY_MAX, faults) {
        settings.push(("priority", Json::written(priority.to_string())));
    }
    if let Some(choice) = fields.one_of("non_finite", &[("reject", "reject"), ("null", "null")], faults) {
        settings.push(("non_finite", Json::text(choice)));
    }
    if let Some(choice) = fields.one_of("kernels", &[("native", "native"), ("wasm", "wasm")], faults) {
        settings.push(("kernels", Json::text(choice)));
    }
    if let Some(limits) = fields.take("limits") {
        let root = fields.path;
        match serde_json::from_str::<LimitsRequest>(limits.get()) {
            Ok(_) => settings.push(("limits", Json::of(limits))),
            Err(error) => {
                let error = error.to_string();
                let message = error.split(" at line").next().unwrap_or_default().to_owned();
                faults.at(root.key("limits"), "invalid", message);
            }
        }
    }
    settings
}
