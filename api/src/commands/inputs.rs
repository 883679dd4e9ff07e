//! Inputs from the command line: `--inputs` is a whole JSON object, `--input name=value` lays one value over it.

use super::{refusal::Misuse, terminal::object_members};
use mecapy_model::ports::Unit;
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
    /// The value as a published function takes it, where it is a number with its unit.
    quantity: Option<Box<RawValue>>,
}

/// What a value such as `12mm` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Units {
    /// A text like any other.
    AreText,
    /// `{"value": 12, "unit": "mm"}`.
    AreRead,
}

impl InputFlag {
    /// The value for a program that takes units so.
    pub(crate) fn given(&self, units: Units) -> &RawValue {
        self.quantity.as_deref().filter(|_| units == Units::AreRead).unwrap_or(&self.value)
    }
}

impl FromStr for InputFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value_text) =
            text.split_once('=').ok_or_else(|| format!("{text:?} has no '=': write name=value"))?;
        if name.trim().is_empty() {
            return Err(format!("{text:?} has no name before its '='"));
        }
        let value = match serde_json::from_str::<Box<RawValue>>(value_text) {
            Ok(json) => json,
            Err(_) => serde_json::value::to_raw_value(value_text).map_err(|error| error.to_string())?,
        };
        let quantity = quantity(value_text);
        Ok(Self { name: name.trim().to_owned(), value, quantity })
    }
}

/// The JSON of a number with a unit after it, as `12mm` or `50 kN*m`; nothing where the text is no such thing. What
/// isn't a unit that the platform knows stays text: a material may be called 42CrMo4.
fn quantity(text: &str) -> Option<Box<RawValue>> {
    let (number, unit) = text.trim().split_at_checked(number_bytes(text.trim()))?;
    let unit = unit.trim_start();
    serde_json::from_str::<&RawValue>(number).ok()?;
    let is_unit = unit.starts_with(|c: char| !c.is_ascii_digit()) && unit.parse::<Unit>().is_ok();
    let unit = is_unit.then(|| serde_json::to_string(unit).ok())??;
    RawValue::from_string(format!("{{\"value\": {number}, \"unit\": {unit}}}")).ok()
}

/// How many bytes of the text's beginning are a number; an `e` without digits belongs to a unit.
fn number_bytes(text: &str) -> usize {
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let at = |index: usize| text.as_bytes().get(index).copied();
    let mut end = usize::from(at(0) == Some(b'-'));
    end += digits(end);
    if at(end) == Some(b'.') && digits(end + 1) > 0 {
        end += 1 + digits(end + 1);
    }
    if matches!(at(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(at(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end + 1 + sign);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    end
}

/// The inputs as one JSON object, every value written as the user wrote it.
pub(crate) fn combine(document: Option<&str>, flags: &[InputFlag], units: Units) -> Result<Box<RawValue>, Misuse> {
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
        let given = flag.given(units);
        match values.iter_mut().find(|(name, _)| *name == flag.name) {
            Some((_, value)) => *value = given,
            None => values.push((&flag.name, given)),
        }
    }
    object_of(&values).map_err(|error| Misuse::new(error.to_string()))
}

/// The JSON object with these members, in this order.
pub(crate) fn object_of(members: &[(&str, &RawValue)]) -> Result<Box<RawValue>, serde_json::Error> {
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
        let inputs = combine(None, &given, Units::AreText).unwrap();
        assert_eq!(
            inputs.get(),
            r#"{"F": 12.50, "name": "M12", "grid": [1, 2], "ok": true, "note": "a=b", "empty": "", "q": "7", "big": 1e400}"#
        );
    }

    #[test]
    fn a_function_is_given_numbers_with_units() {
        let rows = [
            ("12mm", r#"{"value": 12, "unit": "mm"}"#),
            (" -1.50e3 N/mm^2 ", r#"{"value": -1.50e3, "unit": "N/mm^2"}"#),
            ("5eV", r#"{"value": 5, "unit": "eV"}"#),
            ("20degC", r#"{"value": 20, "unit": "degC"}"#),
            ("12", "12"),
            ("1e3", "1e3"),
            ("42CrMo4", "\"42CrMo4\""),
            ("16 beams", "\"16 beams\""),
            ("012mm", "\"012mm\""),
            ("12.mm", "\"12.mm\""),
            ("mm", "\"mm\""),
            ("-", "\"-\""),
            ("12 1/s", "\"12 1/s\""),
            ("\"12mm\"", "\"12mm\""),
            ("[12, 13]", "[12, 13]"),
            ("2024-01-01", "\"2024-01-01\""),
        ];
        for (text, expected) in rows {
            let given = flags(&[&format!("d={text}")]);
            let read = combine(None, &given, Units::AreRead).unwrap();
            assert_eq!(read.get(), format!("{{\"d\": {expected}}}"));
            let plain = combine(None, &given, Units::AreText).unwrap();
            assert!(!plain.get().contains("unit"), "{}", plain.get());
        }
    }

    #[test]
    fn single_values_lie_over_the_document() {
        let inputs = combine(
            Some(r#"{"a": 1.0, "b": {"c": 123456789012345678901}}"#),
            &flags(&["a=2", "d=3", "d=4"]),
            Units::AreText,
        );
        assert_eq!(inputs.unwrap().get(), r#"{"a": 2, "b": {"c": 123456789012345678901}, "d": 4}"#);
    }

    #[test]
    fn documents_come_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inputs.json");
        fs::write(&path, "{\"F\": 1}").unwrap();
        assert_eq!(combine(Some(&format!("@{}", path.display())), &[], Units::AreText).unwrap().get(), "{\"F\": 1}");
    }

    #[test]
    fn what_is_not_an_object_is_wrong_use() {
        for document in ["[1]", "{", "{\"a\": NaN}", "{\"a\": 1, \"a\": 2}", "@/nonexistent/inputs.json"] {
            assert!(combine(Some(document), &[], Units::AreText).is_err(), "{document} was accepted");
        }
        for flag in ["F", "=1", " =1"] {
            assert!(flag.parse::<InputFlag>().is_err(), "{flag:?} was accepted");
        }
    }
}
