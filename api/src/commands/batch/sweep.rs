//! What varies, as the command line says it: `--sweep d=8,10,12`, `--sweep F=0:50000:50`. Pure.

use crate::commands::{
    inputs::{InputFlag, Units, object_of},
    refusal::Misuse,
};
use serde_json::value::RawValue;
use std::str::FromStr;

/// What the parts of a drawn value are called, in their order.
const DISTRIBUTIONS: [(&str, [&str; 2]); 3] =
    [("uniform", ["low", "high"]), ("normal", ["mean", "std"]), ("lognormal", ["mean", "std"])];

/// One input, and the values that it takes.
#[derive(Debug, Clone)]
pub(super) struct SweepFlag {
    pub name: String,
    axis: Axis,
}

#[derive(Debug, Clone)]
enum Axis {
    /// Each written as the value of an `--input`.
    Values(Vec<InputFlag>),
    /// As the API has it.
    Document(Box<RawValue>),
}

impl FromStr for SweepFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} has no '=': write name=8,10,12 or name=from:to:count"))?;
        let name = name.trim();
        if name.is_empty() {
            return Err(format!("{text:?} has no name before its '='"));
        }
        Ok(Self { name: name.to_owned(), axis: Axis::of(name, values.trim())? })
    }
}

impl Axis {
    fn of(name: &str, text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(format!("{name} has no values"));
        }
        if text.starts_with(['[', '{']) {
            let document = serde_json::from_str(text).map_err(|error| format!("{name} is no JSON: {error}"))?;
            return Ok(Axis::Document(document));
        }
        let parts: Vec<&str> = text.split(':').map(str::trim).collect();
        let document = match parts.as_slice() {
            ["log", from, to, count] => Some(logarithmic(range(name, (from, to), ("count", whole(name, count)?))?)),
            ["step", from, to, step] => Some(range(name, (from, to), ("step", number(name, step)?))?),
            [word, ..] if ["log", "step"].contains(word) => {
                return Err(format!("{name}={text} is not whole: write {word}:from:to:{}", third(word)));
            }
            [word, rest @ ..] if DISTRIBUTIONS.iter().any(|(known, _)| known == word) => Some(drawn(name, word, rest)?),
            [from, to, count] if is_number(from) && is_number(to) => {
                Some(range(name, (from, to), ("count", whole(name, count)?))?)
            }
            [from, _, ..] if is_number(from) => {
                return Err(format!(
                    "{name}={text} is no range: write from:to:count, in plain numbers, as {name}=0:50000:50"
                ));
            }
            _ => None,
        };
        if let Some(document) = document {
            return Ok(Axis::Document(RawValue::from_string(document).map_err(|error| error.to_string())?));
        }
        let values = text.split(',').map(|value| format!("{name}={}", value.trim()).parse());
        Ok(Axis::Values(values.collect::<Result<_, _>>()?))
    }
}

/// The `sweep` of a request: each input with its axis, in the order of the flags.
pub(super) fn document(flags: &[SweepFlag], units: Units) -> Result<Box<RawValue>, Misuse> {
    let failed = |error: serde_json::Error| Misuse::new(error.to_string());
    let mut axes: Vec<(&str, Box<RawValue>)> = Vec::new();
    for SweepFlag { name, axis } in flags {
        if axes.iter().any(|(known, _)| known == name) {
            return Err(Misuse::new(format!("--sweep {name} is given twice: put its values into one")));
        }
        let axis = match axis {
            Axis::Document(document) => document.clone(),
            Axis::Values(values) => {
                let values: Vec<&str> = values.iter().map(|value| value.given(units).get()).collect();
                RawValue::from_string(format!("[{}]", values.join(", "))).map_err(failed)?
            }
        };
        axes.push((name, axis));
    }
    let members: Vec<(&str, &RawValue)> = axes.iter().map(|(name, axis)| (*name, &**axis)).collect();
    object_of(&members).map_err(failed)
}

fn range(name: &str, (from, to): (&str, &str), (what, third): (&str, &str)) -> Result<String, String> {
    let (from, to) = (number(name, from)?, number(name, to)?);
    Ok(format!("{{\"from\": {from}, \"to\": {to}, \"{what}\": {third}}}"))
}

fn logarithmic(range: String) -> String {
    format!("{}, \"scale\": \"log\"}}", range.trim_end_matches('}'))
}

fn third(word: &str) -> &'static str {
    if word == "step" { "step" } else { "count" }
}

fn drawn(name: &str, word: &str, parts: &[&str]) -> Result<String, String> {
    let known = DISTRIBUTIONS.iter().find(|(known, _)| *known == word);
    let (Some((_, [first, second])), [a, b]) = (known, parts) else {
        let parts = known.map(|(_, parts)| parts.join(":")).unwrap_or_default();
        return Err(format!("{name} is not whole: write {name}={word}:{parts}"));
    };
    let (a, b) = (number(name, a)?, number(name, b)?);
    Ok(format!("{{\"random\": {{\"distribution\": \"{word}\", \"{first}\": {a}, \"{second}\": {b}}}}}"))
}

fn is_number(text: &str) -> bool {
    text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && serde_json::from_str::<f64>(text).is_ok()
}

/// The number as it was written.
fn number<'a>(name: &str, text: &'a str) -> Result<&'a str, String> {
    if is_number(text) {
        return Ok(text);
    }
    Err(format!("{name}: {text:?} is no number; a range has plain numbers, in the unit of the input"))
}

fn whole<'a>(name: &str, text: &'a str) -> Result<&'a str, String> {
    if text.parse::<u64>().is_ok_and(|count| count > 0) && is_number(text) {
        return Ok(text);
    }
    Err(format!("{name}: {text:?} is no count; write how many values there are, ends included"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(texts: &[&str], units: Units) -> String {
        let flags: Vec<SweepFlag> = texts.iter().map(|text| text.parse().unwrap()).collect();
        document(&flags, units).unwrap().get().to_owned()
    }

    #[test]
    fn each_way_to_say_what_varies() {
        let rows = [
            ("d=8,10.50, 12", r#"{"d": [8, 10.50, 12]}"#),
            ("d=8", r#"{"d": [8]}"#),
            ("size=M8,M10,\"a,b", r#"{"size": ["M8", "M10", "\"a", "b"]}"#),
            ("size=[\"a,b\", null]", r#"{"size": ["a,b", null]}"#),
            ("F=0:50000:50", r#"{"F": {"from": 0, "to": 50000, "count": 50}}"#),
            ("F=-1.5e3:5e4:3", r#"{"F": {"from": -1.5e3, "to": 5e4, "count": 3}}"#),
            ("x=log:1:1000:20", r#"{"x": {"from": 1, "to": 1000, "count": 20, "scale": "log"}}"#),
            ("h=step:0:0.5:0.1", r#"{"h": {"from": 0, "to": 0.5, "step": 0.1}}"#),
            ("E=uniform:200:210", r#"{"E": {"random": {"distribution": "uniform", "low": 200, "high": 210}}}"#),
            ("E=normal:235:10", r#"{"E": {"random": {"distribution": "normal", "mean": 235, "std": 10}}}"#),
            ("E={\"from\": 0, \"to\": 1, \"count\": 2}", r#"{"E": {"from": 0, "to": 1, "count": 2}}"#),
            ("name=log,step", r#"{"name": ["log", "step"]}"#),
        ];
        for (text, expected) in rows {
            assert_eq!(sweep(&[text], Units::AreText), expected, "{text}");
        }
    }

    #[test]
    fn a_function_is_given_values_with_units() {
        assert_eq!(
            sweep(&["d=8mm,10mm", "F=0:1:2"], Units::AreRead),
            r#"{"d": [{"value": 8, "unit": "mm"}, {"value": 10, "unit": "mm"}], "F": {"from": 0, "to": 1, "count": 2}}"#
        );
    }

    #[test]
    fn what_is_meant_otherwise_is_told() {
        let rows = [
            ("d", "has no '='"),
            ("=8", "has no name"),
            ("d=", "has no values"),
            ("d=[8", "no JSON"),
            ("F=0:50000", "from:to:count"),
            ("F=0:50000:50:1", "from:to:count"),
            ("F=0:50000:0", "is no count"),
            ("F=0:50000:2.5", "is no count"),
            // What begins with a number and has a colon is meant as a range.
            ("at=10:30,11:15", "from:to:count"),
            ("F=0:50kN:3", "from:to:count"),
            ("F=log:1:1000", "log:from:to:count"),
            ("F=log:1:x:3", "\"x\" is no number"),
            ("F=step:0:1", "step:from:to:step"),
            ("F=normal:1", "normal:mean:std"),
            ("F=uniform:a:b", "\"a\" is no number"),
        ];
        for (text, said) in rows {
            let error = text.parse::<SweepFlag>().map(|flag| format!("{flag:?}")).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        let twice: Vec<SweepFlag> = ["d=1", "d=2"].iter().map(|text| text.parse().unwrap()).collect();
        assert!(document(&twice, Units::AreText).unwrap_err().to_string().contains("twice"));
    }
}
