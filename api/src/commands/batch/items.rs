//! Items that are listed in a file: JSON, lines of JSON, or CSV with a column for each input.

use crate::commands::{
    inputs::{InputFlag, Units, object_of},
    refusal::Misuse,
    terminal::Shape,
};
use serde_json::value::RawValue;
use std::{
    fs,
    io::{self, Read},
    path::Path,
};

/// The largest file that is read, bytes; servers have their own, lower limit on requests.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The `items` of a request from a file, whose name says what is in it.
pub(super) fn read(path: &Path, units: Units) -> Result<Box<RawValue>, Misuse> {
    let shown = path.display();
    let text = read_text(path).map_err(|error| Misuse::new(format!("can't read {shown}: {error}")))?;
    let items = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => of_json(&text),
        Some("ndjson" | "jsonl") => of_lines(&text),
        Some("csv") => of_csv(&text, units),
        _ => Err("its name must end with .json, .ndjson or .csv".to_owned()),
    };
    let items = items.map_err(|why| Misuse::new(format!("{shown}: {why}")))?;
    if items.is_empty() {
        return Err(Misuse::new(format!("{shown} has no items")));
    }
    RawValue::from_string(format!("[{}]", items.join(","))).map_err(|error| Misuse::new(error.to_string()))
}

fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("more than {FILE_BYTES_MAX} bytes")));
    }
    // As spreadsheets begin their CSV.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn of_json(text: &str) -> Result<Vec<String>, String> {
    let values: Vec<&RawValue> =
        serde_json::from_str(text).map_err(|error| format!("an array of objects is needed: {error}"))?;
    values.iter().enumerate().map(|(at, value)| item(value).ok_or_else(|| no_object(&format!("item {at}")))).collect()
}

fn of_lines(text: &str) -> Result<Vec<String>, String> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let place = format!("line {}", at + 1);
            let value: &RawValue = serde_json::from_str(line).map_err(|error| format!("{place}: {error}"))?;
            item(value).ok_or_else(|| no_object(&place))
        })
        .collect()
}

fn no_object(place: &str) -> String {
    format!("{place} is no object: write the inputs of one item, as {{\"d\": 8}}")
}

/// An item of the API; an object that is none is its inputs.
fn item(value: &RawValue) -> Option<String> {
    let Shape::Object(members) = Shape::of(value) else { return None };
    let is_item = matches!(members.as_slice(), [(name, inputs)] if name == "inputs" && inputs.get().starts_with('{'));
    Some(if is_item { value.get().to_owned() } else { format!("{{\"inputs\":{}}}", value.get()) })
}

/// A row each; a cell is read as the value of an `--input`, and an empty one is left out.
fn of_csv(text: &str, units: Units) -> Result<Vec<String>, String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let names = reader.headers().map_err(|error| error.to_string())?.clone();
    let mut seen: Vec<&str> = Vec::new();
    for name in &names {
        if name.is_empty() {
            return Err("a column has no name: the first line names the inputs".to_owned());
        }
        if seen.contains(&name) {
            return Err(format!("two columns are named {name:?}"));
        }
        seen.push(name);
    }
    reader
        .records()
        .map(|record| {
            let record = record.map_err(|error| error.to_string())?;
            let cells = names.iter().zip(&record).filter(|(_, cell)| !cell.is_empty());
            // A name with a sign that the flag would cut at is given back to it.
            let given = cells.map(|(name, cell)| Ok((name, format!("x={cell}").parse::<InputFlag>()?)));
            let given = given.collect::<Result<Vec<_>, String>>()?;
            let members: Vec<_> = given.iter().map(|(name, flag)| (*name, flag.given(units))).collect();
            let inputs = object_of(&members).map_err(|error| error.to_string())?;
            Ok(format!("{{\"inputs\":{}}}", inputs.get()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(name: &str, text: &str, units: Units) -> Result<String, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        read(&path, units).map(|items| items.get().to_owned()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_is_read_by_its_name() {
        let one = r#"[{"inputs":{"d": 8.50}},{"inputs":{"d": 10}}]"#;
        assert_eq!(items("a.json", r#"[{"d": 8.50}, {"inputs":{"d": 10}}]"#, Units::AreText).unwrap(), one);
        assert_eq!(items("a.ndjson", "{\"d\": 8.50}\n\n{\"d\": 10}\n", Units::AreText).unwrap(), one);
        assert_eq!(items("a.csv", "\u{feff}d\n8.50\n10\n", Units::AreText).unwrap(), one);
        // An input that is called so, and isn't an object.
        assert_eq!(items("a.json", r#"[{"inputs": 3}]"#, Units::AreText).unwrap(), r#"[{"inputs":{"inputs": 3}}]"#);
    }

    #[test]
    fn cells_are_values_as_on_the_command_line() {
        let text = "size, F,note,a=b\r\nM8,12 kN,\"x, \"\"y\"\"\",[1]\r\nM10,,,\r\n";
        assert_eq!(
            items("a.csv", text, Units::AreRead).unwrap(),
            r#"[{"inputs":{"size": "M8", "F": {"value": 12, "unit": "kN"}, "note": "x, \"y\"", "a=b": [1]}},{"inputs":{"size": "M10"}}]"#
        );
    }

    #[test]
    fn what_is_no_list_of_items_is_told() {
        let rows = [
            ("a.json", "{}", "array of objects"),
            ("a.json", "[1]", "item 0 is no object"),
            ("a.json", "[]", "no items"),
            ("a.ndjson", "{}\n{", "line 2"),
            ("a.ndjson", "{}\n3", "line 2 is no object"),
            ("a.csv", "d,d\n1,2\n", "two columns"),
            ("a.csv", "d,\n1,2\n", "no name"),
            ("a.csv", "d\n1,2\n", "record"),
            ("a.csv", "d\n", "no items"),
            ("a.txt", "", ".csv"),
        ];
        for (name, text, said) in rows {
            let error = items(name, text, Units::AreText).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        assert!(read(Path::new("none.json"), Units::AreText).unwrap_err().to_string().contains("can't read"));
    }
}
