//! Reads the inputs into their types, and says in plain words what doesn't fit, and where.

use crate::{Error, Result};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// One JSON document. The error names the JSON pointer of the field, what was found and what is allowed.
pub(crate) fn read<I: DeserializeOwned>(json: &[u8]) -> Result<I> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let input = serde_path_to_error::deserialize(&mut reader).map_err(|error| fault(error.path(), error.inner()))?;
    reader.end().map_err(|error| Error::input("the inputs are", format!("followed by something else: {error}")))?;
    Ok(input)
}

/// One key as a part of a JSON pointer (RFC 6901).
pub(crate) fn pointer_part(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

fn fault(path: &Path, error: &serde_json::Error) -> Error {
    let text = error.to_string();
    // The place in the text says less than the pointer does.
    let told = text.rfind(" at line ").and_then(|at| text.get(..at)).unwrap_or(&text);
    let mut pointer: String = path.iter().filter_map(part).map(|part| format!("/{}", pointer_part(&part))).collect();
    if !error.is_data() {
        let pointer = if told == "number out of range" { pointer.as_str() } else { "" };
        return match pointer {
            "" => Error::input("the inputs are", format!("not JSON: {text}")),
            _ => Error::input(pointer, "is a number beyond what a double can hold"),
        };
    }
    let (field, message) = in_words(told);
    if let Some(field) = field {
        let field = format!("/{}", pointer_part(field));
        // An unknown field is a part of the path already; a missing one is not.
        if !pointer.ends_with(&field) || message == "is missing" {
            pointer.push_str(&field);
        }
    }
    Error::input(if pointer.is_empty() { "the input" } else { &pointer }, message)
}

fn part(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Map { key } => Some(key.clone()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

/// What serde says, for people who know their inputs and not serde; and the field that it is about, where it says so.
fn in_words(told: &str) -> (Option<&str>, String) {
    if let Some(field) = told.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return (Some(field), "is missing".to_owned());
    }
    if let Some(field) = told.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        return (Some(field), "is given twice".to_owned());
    }
    if let Some((field, known)) = told.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) {
        let known = known.strip_prefix(", expected ").unwrap_or(", nothing").replace('`', "");
        return (Some(field), format!("is not known here; known: {}", known.trim_start_matches("one of ")));
    }
    if let Some((variant, known)) = told.strip_prefix("unknown variant `").and_then(|rest| rest.split_once("`, ")) {
        let known = known.trim_start_matches("expected ").replace('`', "\"");
        return (None, format!("must be {known}, not \"{variant}\""));
    }
    let length = told.strip_prefix("invalid length ").and_then(|rest| rest.split_once(", expected "));
    if let Some((_, "struct")) = length.map(|(found, wanted)| (found, wanted.split(' ').next().unwrap_or_default())) {
        return (None, "must be an object, not a list".to_owned());
    }
    if let Some((found, wanted)) = length {
        return (None, format!("must be {}, and has {found}", expectation(wanted)));
    }
    let mismatch = told.strip_prefix("invalid type: ").or_else(|| told.strip_prefix("invalid value: "));
    match mismatch.and_then(|rest| rest.rsplit_once(", expected ")) {
        Some((found, wanted)) => (None, format!("must be {}, not {}", expectation(wanted), discovery(found))),
        None => (None, format!("is not accepted: {told}")),
    }
}

/// Something that was expected, in serde's words.
fn expectation(wanted: &str) -> String {
    let integer = |least: i128, most: i128| format!("an integer from {least} to {most}");
    match wanted {
        "f64" | "f32" => "a number".to_owned(),
        "i8" => integer(i8::MIN.into(), i8::MAX.into()),
        "i16" => integer(i16::MIN.into(), i16::MAX.into()),
        "i32" | "isize" => integer(i32::MIN.into(), i32::MAX.into()),
        "i64" => integer(i64::MIN.into(), i64::MAX.into()),
        "u8" => integer(0, u8::MAX.into()),
        "u16" => integer(0, u16::MAX.into()),
        "u32" | "usize" => integer(0, u32::MAX.into()),
        "u64" => integer(0, u64::MAX.into()),
        "a string" | "path string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        "unit" => "null".to_owned(),
        _ => match (wanted.strip_prefix("an array of length "), wanted.strip_prefix("struct ")) {
            (Some(length), _) => format!("a list of {length} items"),
            (_, Some(_)) => "an object".to_owned(),
            _ => wanted.to_owned(),
        },
    }
}

/// Something that was found, in serde's words.
fn discovery(found: &str) -> String {
    let number = found.strip_prefix("integer `").or_else(|| found.strip_prefix("floating point `"));
    let value = number.or_else(|| found.strip_prefix("boolean `")).and_then(|rest| rest.strip_suffix('`'));
    match (value, found) {
        (Some(value), _) => value.to_owned(),
        (None, "sequence") => "a list".to_owned(),
        (None, "map") => "an object".to_owned(),
        (None, _) => found.replacen("string ", "the text ", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::collections::BTreeMap;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Input {
        bolt: Bolt,
        #[serde(default)]
        loads: Vec<Load>,
        #[serde(default)]
        table: BTreeMap<String, [f64; 2]>,
        count: Option<u8>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Bolt {
        pitch: f64,
        class: Class,
    }

    #[derive(Debug, Deserialize)]
    enum Class {
        #[serde(rename = "8.8")]
        C88,
        #[serde(rename = "10.9")]
        C109,
    }

    #[derive(Debug, Deserialize)]
    struct Load {
        name: String,
        active: bool,
    }

    #[test]
    fn what_fits_is_read() {
        let text = r#"{"bolt": {"pitch": 2, "class": "8.8"}, "table": {"a": [1, 2.5]}, "count": 3,
            "loads": [{"name": "one", "active": true, "more": 1}]} "#;
        let Input { bolt, loads, table, count } = read(text.as_bytes()).unwrap();
        assert!(matches!(bolt, Bolt { pitch: 2.0, class: Class::C88 }));
        assert!(matches!(loads.as_slice(), [Load { name, active: true }] if name == "one"));
        assert_eq!((table["a"], count), ([1.0, 2.5], Some(3)));
        let text = r#"{"bolt": {"pitch": 2, "class": "10.9"}}"#;
        assert!(matches!(read(text.as_bytes()), Ok(Input { bolt: Bolt { class: Class::C109, .. }, count: None, .. })));
    }

    #[test]
    fn what_does_not_fit_is_told_with_its_place() {
        let bolt = r#""bolt": {"pitch": 1, "class": "8.8"}"#;
        let rows = [
            (r#"{"bolt": {"class": "8.8"}}"#.to_owned(), "/bolt/pitch is missing"),
            (r#"{"bolt": {"bolt": 1}}"#.to_owned(), "/bolt/bolt is not known here; known: pitch or class"),
            ("{}".to_owned(), "/bolt is missing"),
            ("[]".to_owned(), "the input must be an object, not a list"),
            ("7".to_owned(), "the input must be an object, not 7"),
            (r#"{"bolt": 7.5}"#.to_owned(), "/bolt must be an object, not 7.5"),
            (r#"{"bolt": {"pitch": "1,75"}}"#.to_owned(), "/bolt/pitch must be a number, not the text \"1,75\""),
            (r#"{"bolt": {"pitch": null}}"#.to_owned(), "/bolt/pitch must be a number, not null"),
            (r#"{"bolt": {"pitch": [1]}}"#.to_owned(), "/bolt/pitch must be a number, not a list"),
            (r#"{"bolt": {"pitch": {"value": 1}}}"#.to_owned(), "/bolt/pitch must be a number, not an object"),
            (r#"{"bolt": {"pitch": 1e400}}"#.to_owned(), "/bolt/pitch is a number beyond what a double can hold"),
            (r#"{"bolt": {"pitch": 1, "pitch": 2}}"#.to_owned(), "/bolt/pitch is given twice"),
            (r#"{"bolt": {"class": "9.9"}}"#.to_owned(), "/bolt/class must be \"8.8\" or \"10.9\", not \"9.9\""),
            (format!("{{{bolt}, \"lods\": 1}}"), "/lods is not known here; known: bolt, loads, table, count"),
            (format!("{{{bolt}, \"count\": 256}}"), "/count must be an integer from 0 to 255, not 256"),
            (format!("{{{bolt}, \"count\": 1.5}}"), "/count must be an integer from 0 to 255, not 1.5"),
            (
                format!("{{{bolt}, \"table\": {{\"a/b~c\": [1]}}}}"),
                "/table/a~1b~0c must be a list of 2 items, and has 1",
            ),
            (format!("{{{bolt}, \"loads\": {{}}}}"), "/loads must be a list, not an object"),
            (format!("{{{bolt}, \"loads\": [{{\"name\": 1}}]}}"), "/loads/0/name must be a text, not 1"),
            (format!("{{{bolt}, \"loads\": [{{\"name\": \"\"}}]}}"), "/loads/0/active is missing"),
            (format!("{{{bolt}, \"loads\": [{{\"active\": 1}}]}}"), "/loads/0/active must be true or false, not 1"),
            ("{\"bolt\": ".to_owned(), "the inputs are not JSON: EOF while parsing a value at line 1 column 9"),
            (
                format!("{{{bolt}}} 7"),
                "the inputs are followed by something else: trailing characters at line 1 column 40",
            ),
            (String::new(), "the inputs are not JSON: EOF while parsing a value at line 1 column 0"),
        ];
        for (text, expected) in rows {
            let error = read::<Input>(text.as_bytes()).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.kind.word()), (expected, "invalid_input"), "{text}");
        }
    }
}
