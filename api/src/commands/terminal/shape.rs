//! A JSON text taken apart one level at a time: keys stay in their order and numbers stay as they were written.

use serde::{
    Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// One level of a JSON value.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    Object(Vec<(String, &'a RawValue)>),
    Array(Vec<&'a RawValue>),
    Text(String),
    /// A number, `true`, `false` or `null`, as written.
    Plain(&'a str),
}

impl<'a> Shape<'a> {
    pub(crate) fn of(value: &'a RawValue) -> Self {
        let text = value.get().trim();
        let parts = match text.bytes().next() {
            Some(b'{') => serde_json::Deserializer::from_str(text).deserialize_map(Members).map(Shape::Object),
            Some(b'[') => serde_json::Deserializer::from_str(text).deserialize_seq(Items).map(Shape::Array),
            Some(b'"') => serde_json::from_str(text).map(Shape::Text),
            _ => Ok(Shape::Plain(text)),
        };
        // A raw value is valid JSON already; what still can't be read (a lone surrogate) is shown as it stands.
        parts.unwrap_or(Shape::Plain(text))
    }
}

/// The members of a JSON object in their order, or why the text is not one.
pub(crate) fn object_members(text: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = deserializer.deserialize_map(Members)?;
    deserializer.end()?;
    Ok(members)
}

struct Members;

impl<'a> Visitor<'a> for Members {
    type Value = Vec<(String, &'a RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

struct Items;

impl<'a> Visitor<'a> for Items {
    type Value = Vec<&'a RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = items.next_element()? {
            values.push(value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_digits_are_kept() {
        let members = object_members(r#"{"z": 1.10, "a": 123456789012345678901234567890, "m": [1]}"#).unwrap();
        let shown: Vec<_> = members.iter().map(|(key, value)| format!("{key}={}", value.get())).collect();
        assert_eq!(shown, ["z=1.10", "a=123456789012345678901234567890", "m=[1]"]);
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for text in ["[1]", "1", "", "{\"a\": 1} 2", "{a: 1}"] {
            assert!(object_members(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_lone_surrogate_is_shown_as_it_stands() {
        let value: Box<RawValue> = RawValue::from_string(r#""\ud800""#.to_owned()).unwrap();
        assert!(matches!(Shape::of(&value), Shape::Plain(text) if text == r#""\ud800""#));
    }
}
