//! A function's ports, from the JSON Schema that the server gives, as rows for people and as an example call.

use crate::commands::terminal::{Shape, neutralise_line, object_members, summary};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Structs in structs are shown down to this depth.
const DEPTH_MAX: usize = 4;
/// Characters of a type or a default value that are shown.
const CELL_CHARS_MAX: usize = 28;
/// Columns that each further depth is set in.
const INDENT: usize = 2;

/// A port, or a field of one that is a struct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PortRow {
    pub name: String,
    pub ty: String,
    pub unit: String,
    /// `needed`, the default value as JSON, or `-` where it may be left out.
    pub needed: String,
    /// What it is, and where it is valid.
    pub about: String,
}

/// The part of a schema that is read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Schema {
    description: Option<String>,
    #[serde(rename = "type")]
    json_type: Option<String>,
    /// The type as the manifest has it.
    #[serde(rename = "x-type")]
    port_type: Option<String>,
    #[serde(alias = "x-unit")]
    unit: Option<String>,
    default: Option<Box<RawValue>>,
    examples: Vec<Box<RawValue>>,
    properties: Option<Box<RawValue>>,
    required: Vec<String>,
    #[serde(rename = "x-validity")]
    validity: Vec<Condition>,
}

#[derive(Debug, Deserialize)]
struct Condition {
    expression: String,
    #[serde(default)]
    on_violation: String,
}

impl Condition {
    fn shown(&self) -> String {
        let otherwise = if self.on_violation == "flag" { " (else a warning)" } else { "" };
        format!("{}{otherwise}", neutralise_line(&self.expression))
    }
}

impl Schema {
    fn read(text: &RawValue) -> Option<Self> {
        serde_json::from_str(text.get()).ok()
    }

    /// Its properties in their order.
    fn members(&self) -> Vec<(String, Schema)> {
        let members = self.properties.as_ref().and_then(|properties| object_members(properties.get()).ok());
        let read = |(name, schema): (String, &RawValue)| Some((name, Schema::read(schema)?));
        members.unwrap_or_default().into_iter().filter_map(read).collect()
    }

    fn row(&self, name: &str, is_needed: bool, depth: usize) -> PortRow {
        let ty = self.port_type.as_deref().or(self.json_type.as_deref()).unwrap_or("any");
        // Its fields have rows of their own.
        let ty = if self.properties.is_some() && ty.starts_with("struct{") { "struct" } else { ty };
        let needed = match &self.default {
            Some(default) => short(default.get()),
            None if is_needed => "needed".to_owned(),
            None => "-".to_owned(),
        };
        let description = summary(self.description.as_deref().unwrap_or_default());
        let conditions = self.validity.iter().map(|condition| format!("valid where {}", condition.shown()));
        let about = std::iter::once(description).filter(|text| !text.is_empty()).chain(conditions);
        PortRow {
            name: format!("{}{}", " ".repeat(INDENT * depth), neutralise_line(name)),
            ty: short(ty),
            unit: self.unit.as_deref().map_or_else(String::new, neutralise_line),
            needed,
            about: about.collect::<Vec<_>>().join("; "),
        }
    }

    fn rows(&self, depth: usize, rows: &mut Vec<PortRow>) {
        for (name, port) in self.members() {
            rows.push(port.row(&name, self.required.contains(&name), depth));
            if depth + 1 < DEPTH_MAX {
                port.rows(depth + 1, rows);
            }
        }
    }
}

/// The ports of one side, and the conditions on all of them together; nothing where it is no schema of an object.
pub(super) fn port_rows(schema: &RawValue) -> Option<(Vec<PortRow>, Vec<String>)> {
    let schema = Schema::read(schema).filter(|schema| schema.properties.is_some())?;
    let mut rows = Vec::new();
    schema.rows(0, &mut rows);
    Some((rows, schema.validity.iter().map(Condition::shown).collect()))
}

/// A command line that calls the function, with a made-up value for each input that is needed.
pub(super) fn example_call(reference: &str, inputs: Option<&RawValue>) -> String {
    let mut words = vec!["mecapy".to_owned(), "preview".to_owned(), quoted(reference)];
    match inputs.and_then(Schema::read).filter(|schema| schema.properties.is_some()) {
        None => words.extend(["--inputs", "@inputs.json"].map(str::to_owned)),
        Some(schema) => {
            let needed = schema.members().into_iter().filter(|(name, _)| schema.required.contains(name));
            words.extend(needed.flat_map(|(name, port)| flags(&name, &port)));
        }
    }
    words.join(" ")
}

/// `-i name=value`, and `-f` where the value is a file.
fn flags(name: &str, port: &Schema) -> Vec<String> {
    let example = port.examples.first().map_or("…", |example| example.get());
    let shape = port.examples.first().map(|example| Shape::of(example));
    let (value, is_text) = match shape {
        Some(Shape::Text(text)) => (text, true),
        Some(Shape::Plain(number)) => {
            let unit = port.unit.as_deref().filter(|unit| unit.starts_with(|c: char| !c.is_ascii_digit()));
            (format!("{number}{}", unit.unwrap_or_default()), false)
        }
        _ => (example.to_owned(), false),
    };
    let value = neutralise_line(&value);
    let mut flags = vec!["-i".to_owned(), quoted(&format!("{}={value}", neutralise_line(name)))];
    if is_text && port.port_type.as_deref().is_some_and(|ty| ty.starts_with("File")) {
        flags.extend(["-f".to_owned(), quoted(&value)]);
    }
    flags
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,…".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

fn short(text: &str) -> String {
    console::truncate_str(&neutralise_line(text), CELL_CHARS_MAX, "…").into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    #[test]
    fn structs_have_a_row_for_each_field() {
        let schema = raw(r#"{"properties":{"bolt":{"x-type":"struct{d: Length in mm, n?: Integer}","properties":{
            "d":{"x-type":"Length","unit":"mm"},"n":{"x-type":"Integer"}},"required":["d"]},
            "grid":{"x-type":"list[struct{x: Length in mm, y: Length in mm}]"}},"required":["bolt"]}"#);
        let (rows, _) = port_rows(&schema).unwrap();
        let shown: Vec<_> =
            rows.iter().map(|row| format!("{}|{}|{}|{}", row.name, row.ty, row.unit, row.needed)).collect();
        assert_eq!(
            shown,
            ["bolt|struct||needed", "  d|Length|mm|needed", "  n|Integer||-", "grid|list[struct{x: Length in mm…||-"]
        );
    }

    #[test]
    fn calls_can_be_pasted_into_a_shell() {
        let rows = [
            (r#"{"x-type":"Moment","unit":"N*m","examples":[12,{"value":12,"unit":"N*m"}]}"#, "-i 'x=12N*m'"),
            (r#"{"x-type":"Integer","examples":[12]}"#, "-i x=12"),
            (r#"{"x-type":"File[med]","examples":["file.med"]}"#, "-i x=file.med -f file.med"),
            (r#"{"x-type":"String","examples":["it's"]}"#, r"-i 'x=it'\''s'"),
            (r#"{"x-type":"Vector3","unit":"m","examples":[[0,0,12]]}"#, "-i 'x=[0,0,12]'"),
            ("{}", "-i x=…"),
        ];
        for (port, expected) in rows {
            let schema = raw(&format!(r#"{{"properties":{{"x":{port},"y":{{}}}},"required":["x"]}}"#));
            assert_eq!(example_call("a/b#c", Some(&schema)), format!("mecapy preview 'a/b#c' {expected}"));
        }
    }

    #[test]
    fn what_is_no_schema_of_an_object_has_no_ports() {
        for text in ["null", "true", "[]", r#"{"type":"string"}"#, r#"{"properties":null}"#] {
            assert!(port_rows(&raw(text)).is_none(), "{text}");
        }
    }
}
