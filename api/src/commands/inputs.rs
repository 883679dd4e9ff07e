//! Inputs from the command line: `--inputs` is a whole JSON object, `--input name=value` lays one value over it.

use super::{refusal::Misuse, terminal::object_members};
use serde_json::value::RawValue;
use std::{
    fs,
    io::{self, Read},
    str::FromStr,
};

/// The largest document of inputs that is read, bytes.
const INPUTS_BYTES_MAX: u64 = 64 << 20;

/// `name=value`; the value is JSON where it reads as JSON, else text.
#[derive(Debug, Clone)]
pub(crate) struct InputFlag {
    pub name: String,
    pub value: Box<RawValue>,
}

impl FromStr for InputFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no '=': write name=value"))?;
        if name.trim().is_empty() {
            return Err(format!("{text:?} has no name before its '='"));
        }
        let value = match serde_json::from_str::<Box<RawValue>>(value) {
            Ok(json) => json,
            Err(_) => serde_json::value::to_raw_value(value).map_err(|error| error.to_string())?,
        };
        Ok(Self { name: name.trim().to_owned(), value })
    }
}

/// The inputs as one JSON object, every value written as the user wrote it.
pub(crate) fn combine(document: Option<&str>, flags: &[InputFlag]) -> Result<Box<RawValue>, Misuse> {
    let text = document.map(read_document).transpose()?.unwrap_or_else(|| "{}".to_owned());
    let members =
        object_members(&text).map_err(|error| Misuse::new(format!("--inputs must be one JSON object: {error}")))?;
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &members {
        if names.contains(&name.as_str()) {
            return Err(Misuse::new(format!("--inputs has {name:?} twice")));
        }
        names.push(name);
    }
    let mut values: Vec<(&str, &RawValue)> = members.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for flag in flags {
        match values.iter_mut().find(|(name, _)| *name == flag.name) {
            Some((_, value)) => *value = &flag.value,
            None => values.push((&flag.name, &flag.value)),
        }
    }
    object_of(&values).map_err(|error| Misuse::new(error.to_string()))
}

/// The JSON object with these members, in this order.
fn object_of(members: &[(&str, &RawValue)]) -> Result<Box<RawValue>, serde_json::Error> {
    let mut text = String::from("{");
    for (index, (name, value)) in members.iter().enumerate() {
        if index > 0 {
            text.push_str(", ");
        }
        text.push_str(&serde_json::to_string(name)?);
        text.push_str(": ");
        text.push_str(value.get());
    }
    text.push('}');
    RawValue::from_string(text)
}

/// `-` is stdin, `@path` a file, anything else the document itself.
fn read_document(argument: &str) -> Result<String, Misuse> {
    let (what, read) = match argument.strip_prefix('@') {
        None if argument != "-" => return Ok(argument.to_owned()),
        None => ("the standard input", read_all(io::stdin().lock())),
        Some(path) => (path, fs::File::open(path).and_then(read_all)),
    };
    read.map_err(|error| Misuse::new(format!("can't read --inputs from {what}: {error}")))
}

fn read_all(reader: impl Read) -> io::Result<String> {
    let mut text = String::new();
    reader.take(INPUTS_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > INPUTS_BYTES_MAX {
        return Err(io::Error::other(format!("more than {INPUTS_BYTES_MAX} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(texts: &[&str]) -> Vec<InputFlag> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn values_are_json_where_they_can_be_and_numbers_stay_as_written() {
        let given =
            flags(&["F=12.50", "name=M12", "grid=[1, 2]", "ok=true", "note=a=b", "empty=", "q=\"7\"", "big=1e400"]);
        let inputs = combine(None, &given).unwrap();
        assert_eq!(
            inputs.get(),
            r#"{"F": 12.50, "name": "M12", "grid": [1, 2], "ok": true, "note": "a=b", "empty": "", "q": "7", "big": 1e400}"#
        );
    }

    #[test]
    fn single_values_lie_over_the_document() {
        let inputs = combine(Some(r#"{"a": 1.0, "b": {"c": 123456789012345678901}}"#), &flags(&["a=2", "d=3", "d=4"]));
        assert_eq!(inputs.unwrap().get(), r#"{"a": 2, "b": {"c": 123456789012345678901}, "d": 4}"#);
    }

    #[test]
    fn documents_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inputs.json");
        fs::write(&path, "{\"F\": 1}").unwrap();
        assert_eq!(combine(Some(&format!("@{}", path.display())), &[]).unwrap().get(), "{\"F\": 1}");
    }

    #[test]
    fn what_is_not_an_object_is_wrong_use() {
        for document in ["[1]", "{", "{\"a\": NaN}", "{\"a\": 1, \"a\": 2}", "@/nonexistent/inputs.json"] {
            assert!(combine(Some(document), &[]).is_err(), "{document} was accepted");
        }
        for flag in ["F", "=1", " =1"] {
            assert!(flag.parse::<InputFlag>().is_err(), "{flag:?} was accepted");
        }
    }
}
