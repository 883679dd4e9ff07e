//! Explicit items: each checked where it stands, and cut into the texts of chunks.

use super::InvalidItems;
use crate::json::{Faults, Fields, Kind, Path, Value};
use mecapy_model::sweep::ITEMS_MAX;
use mecapy_store::chunk_items;
use std::borrow::Cow;

/// The inputs of items, as the store takes them.
#[derive(Debug)]
pub(super) struct Chunks {
    /// A JSON array for each chunk.
    pub(super) chunks: Vec<Box<str>>,
    pub(super) total: u32,
}

/// What every item has beside its own inputs, by name.
type Constants<'a> = [(Cow<'a, str>, Value<'a>)];

/// Reads `value`, the items of a request, which stand at `path`. An item's own value goes before a constant of the same
/// name.
pub(super) fn read(
    value: Value<'_>,
    path: Path<'_>,
    (constants, invalid_items): (&Constants<'_>, InvalidItems),
    faults: &mut Faults,
) -> Option<Chunks> {
    let Some(items) = value.items() else {
        faults.wrong_kind(path, "an array of items, each {\"inputs\": {…}}", value);
        return None;
    };
    let total = u32::try_from(items.len()).unwrap_or(u32::MAX);
    if total == 0 {
        faults.at(path, "required", "a batch has one item at least");
        return None;
    }
    if total > ITEMS_MAX {
        let message = format!("{} items are too many: {ITEMS_MAX} are allowed in one batch", items.len());
        faults.at(path, "too_many", message);
        return None;
    }
    let per_chunk = usize::try_from(chunk_items(total)).unwrap_or(usize::MAX).max(1);
    let mut chunks = Vec::with_capacity(items.len().div_ceil(per_chunk));
    for (chunk, of) in items.chunks(per_chunk).enumerate() {
        let mut text = String::with_capacity(of.iter().map(|item| item.text().len()).sum());
        text.push('[');
        for (place, item) in of.iter().enumerate() {
            if faults.is_full() {
                return None;
            }
            let index = (chunk * per_chunk + place).to_string();
            if let Some(inputs) = inputs(*item, path.key(&index), invalid_items, faults) {
                text.push_str(if place > 0 { "," } else { "" });
                write(inputs, constants, &mut text);
            }
        }
        text.push(']');
        chunks.push(text.into_boxed_str());
    }
    Some(Chunks { chunks, total })
}

/// The inputs of one item.
fn inputs<'a>(item: Value<'a>, path: Path<'_>, invalid_items: InvalidItems, faults: &mut Faults) -> Option<Value<'a>> {
    let mut fields = Fields::open(item, path, faults)?;
    let inputs = fields.require("inputs", faults);
    fields.finish(faults);
    let inputs = inputs?;
    if inputs.kind() != Kind::Object && invalid_items == InvalidItems::Reject {
        faults.wrong_kind(path.key("inputs"), "an object", inputs);
    }
    Some(inputs)
}

fn write(inputs: Value<'_>, constants: &Constants<'_>, text: &mut String) {
    let own = if constants.is_empty() { None } else { inputs.members() };
    let Some(own) = own else { return text.push_str(inputs.text()) };
    let missing = constants.iter().filter(|(name, _)| !own.iter().any(|(given, _)| given == name));
    text.push('{');
    for (place, (name, value)) in own.iter().chain(missing).enumerate() {
        text.push_str(if place > 0 { "," } else { "" });
        text.push_str(&serde_json::Value::from(name.as_ref()).to_string());
        text.push(':');
        text.push_str(value.text());
    }
    text.push('}');
}
