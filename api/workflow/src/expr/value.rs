//! What an expression gives.

use super::number::Number;
use crate::Json;
use mecapy_model::ports::json::Shape;

/// A value: a part of a document as it stands there, or something computed.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Raw(Json),
    Computed(Computed),
    Text(String),
    Bool(bool),
    Null,
    List(Vec<Value>),
}

/// A number that an expression computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Computed(pub(super) Number);

/// What a value is, whichever way it came.
#[derive(Debug)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Value>),
    Object(usize),
}

impl Value {
    pub(super) fn number(number: Number) -> Self {
        Value::Computed(Computed(number))
    }

    pub(crate) fn whole(number: u32) -> Self {
        Self::number(Number::Whole(i128::from(number)))
    }

    /// One level of it.
    pub(super) fn plain(&self) -> Result<Plain, String> {
        Ok(match self {
            Value::Null => Plain::Null,
            Value::Bool(truth) => Plain::Bool(*truth),
            Value::Computed(Computed(number)) => Plain::Number(*number),
            Value::Text(text) => Plain::Text(text.clone()),
            Value::List(items) => Plain::List(items.clone()),
            Value::Raw(json) => match Shape::of(json.raw()) {
                Shape::Null => Plain::Null,
                Shape::Bool(truth) => Plain::Bool(truth),
                Shape::Number(text) => Plain::Number(Number::read(text)?),
                Shape::String(text) => Plain::Text(text.into_owned()),
                Shape::Array(items) => Plain::List(items.into_iter().map(|item| Value::Raw(Json::of(item))).collect()),
                Shape::Object(members) => Plain::Object(members.len()),
                Shape::Broken => return Err("a text with half of a surrogate pair has no value".to_owned()),
            },
        })
    }

    /// In a sentence: "null", "a string", "the number 12", …
    pub(crate) fn described(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(truth) => truth.to_string(),
            Value::Computed(Computed(number)) => format!("the number {}", number.text()),
            Value::Text(_) => "a string".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Raw(json) => match Shape::of(json.raw()) {
                Shape::Number(text) => format!("the number {}", text.chars().take(40).collect::<String>()),
                Shape::Array(_) => "a list".to_owned(),
                other => other.described().to_owned(),
            },
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Raw(json) => json.is_null(),
            _ => false,
        }
    }

    /// As JSON text; digits that nothing computed with are those of the document.
    pub(crate) fn into_json(self) -> Json {
        match self {
            Value::Raw(json) => json,
            Value::Null => Json::null(),
            other => {
                let mut out = String::new();
                other.write(&mut out);
                Json::written(out)
            }
        }
    }

    fn write(&self, out: &mut String) {
        match self {
            Value::Raw(json) => out.push_str(json.get()),
            Value::Null => out.push_str("null"),
            Value::Bool(truth) => out.push_str(if *truth { "true" } else { "false" }),
            Value::Computed(Computed(number)) => out.push_str(&number.text()),
            Value::Text(text) => out.push_str(Json::text(text).get()),
            Value::List(items) => {
                out.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
        }
    }
}
