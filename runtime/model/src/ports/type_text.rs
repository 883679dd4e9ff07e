//! Reads a type from its text.

use super::decimal::Decimal;
use super::json::{quoted, text_of};
use super::kind::Kind;
use super::port::{Port, UnitMisfit, is_port_name};
use super::types::{Fields, PLAIN, PortType};
use super::unit::Unit;
use super::unit_text::InvalidUnit;
use serde_json::value::RawValue;
use std::str::FromStr;

/// The longest text of a type, bytes.
pub const TYPE_BYTES_MAX: usize = 8_192;
/// How deep types nest: a list of lists of numbers has 3.
pub const TYPE_DEPTH_MAX: usize = 16;
/// Extensions of a file, values of a literal, fields of a struct.
pub const PARTS_MAX: usize = 256;
const EXTENSION_BYTES_MAX: usize = 32;

/// Why a text is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidType {
    #[error("a type has {TYPE_BYTES_MAX} bytes at most")]
    TooLong,
    #[error("types are nested deeper than {TYPE_DEPTH_MAX}")]
    TooDeep,
    #[error("a type has {PARTS_MAX} fields, values or extensions at most")]
    TooMany,
    #[error(
        "there is no type {0:?}: use Numeric, Integer, Float, Boolean, String, a quantity (Length, Force, Stress, …), \
         Vector3, Force3, Moment3, Torsor, Matrix, File, File[ext], list[T], dict[str,T], literal[\"a\",\"b\"], \
         struct{{name: T}} or Object"
    )]
    Unknown(String),
    #[error("there is no type {found:?}: did you mean {meant}?")]
    Misspelt { found: String, meant: &'static str },
    #[error("{needed} is needed where {found:?} begins")]
    Expected { needed: &'static str, found: String },
    #[error("{needed} is needed where the type ends")]
    EndsEarly { needed: &'static str },
    #[error("the name {0:?} appears twice")]
    Duplicate(String),
    #[error("the field {field:?}: {source}")]
    Unit { field: String, source: InvalidUnit },
    #[error("the field {field:?}: {source}")]
    Field { field: String, source: UnitMisfit },
}

impl FromStr for PortType {
    type Err = InvalidType;

    fn from_str(text: &str) -> Result<Self, InvalidType> {
        if text.len() > TYPE_BYTES_MAX {
            return Err(InvalidType::TooLong);
        }
        let mut reader = Reader { rest: text.trim() };
        let ty = reader.ty(1)?;
        if !reader.rest.is_empty() {
            return Err(reader.expected("the end"));
        }
        // It is stored as we write it, which may be longer, and must be read again.
        if ty.to_string().len() > TYPE_BYTES_MAX { Err(InvalidType::TooLong) } else { Ok(ty) }
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn ty(&mut self, depth: usize) -> Result<PortType, InvalidType> {
        if depth > TYPE_DEPTH_MAX {
            return Err(InvalidType::TooDeep);
        }
        let name = self.word(|c| c.is_alphanumeric() || c == '_');
        match name {
            "" => Err(self.expected("a type")),
            "File" if self.take('[') => self.parts(']', Self::extension).map(PortType::File),
            "list" => {
                self.need('[', "[")?;
                let items = self.ty(depth + 1)?;
                self.need(']', "]")?;
                Ok(PortType::List(Box::new(items)))
            }
            "dict" => {
                self.need('[', "[")?;
                if self.word(char::is_alphanumeric) != "str" {
                    return Err(self.expected("dict[str,T]: keys are strings, and str"));
                }
                self.need(',', ",")?;
                let values = self.ty(depth + 1)?;
                self.need(']', "]")?;
                Ok(PortType::Dict(Box::new(values)))
            }
            "literal" => {
                self.need('[', "[")?;
                self.parts(']', Self::literal).map(PortType::Literal)
            }
            "struct" => {
                self.need('{', "{")?;
                let fields = self.parts('}', |reader| reader.field(depth + 1))?;
                let mut named = Fields::with_capacity(fields.len());
                for (name, field) in fields {
                    if named.insert(name.clone(), field).is_some() {
                        return Err(InvalidType::Duplicate(name));
                    }
                }
                Ok(PortType::Struct(named))
            }
            name => plain(name),
        }
    }

    /// Reads parts with commas between them up to `close`; one at least.
    fn parts<T>(
        &mut self,
        close: char,
        mut part: impl FnMut(&mut Self) -> Result<T, InvalidType>,
    ) -> Result<Vec<T>, InvalidType> {
        let mut parts = vec![part(self)?];
        loop {
            if self.take(close) {
                return Ok(parts);
            }
            self.need(',', if close == ']' { ", or ]" } else { ", or }" })?;
            if parts.len() >= PARTS_MAX {
                return Err(InvalidType::TooMany);
            }
            parts.push(part(self)?);
        }
    }

    fn extension(&mut self) -> Result<String, InvalidType> {
        let quote = self.take('"');
        self.take('.');
        let extension = self.word(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+'));
        if extension.is_empty() || extension.len() > EXTENSION_BYTES_MAX || extension.ends_with('.') {
            return Err(self.expected("a file's extension, such as med,"));
        }
        if quote {
            self.need('"', "\"")?;
        }
        Ok(extension.to_ascii_lowercase())
    }

    /// A JSON string, number, `true` or `false`; a bare word is a string.
    fn literal(&mut self) -> Result<Box<RawValue>, InvalidType> {
        let invalid = || InvalidType::Expected {
            needed: "a string in double quotes, a number, true or false",
            found: quoted(self.rest),
        };
        let length = match self.rest.strip_prefix('"') {
            Some(inner) => end_of_string(inner).ok_or_else(invalid)? + 2,
            None => self.rest.find([',', ']']).unwrap_or(self.rest.len()),
        };
        let (text, rest) = self.rest.split_at_checked(length).ok_or_else(invalid)?;
        let text = text.trim_end();
        let word =
            text.starts_with(|c: char| c.is_alphabetic() || c == '_') && !matches!(text, "true" | "false" | "null");
        let json = if word { text_of(text) } else { text.to_owned() };
        let value = RawValue::from_string(json).map_err(|_| invalid())?;
        let literal = match value.get().as_bytes().first() {
            // A lone surrogate is part of no text.
            Some(b'"') => serde_json::from_str::<String>(value.get()).is_ok(),
            Some(b't' | b'f') => true,
            Some(b'-' | b'0'..=b'9') => Decimal::read(value.get()).is_ok(),
            _ => false,
        };
        if !literal {
            return Err(invalid());
        }
        self.rest = rest.trim_start();
        Ok(value)
    }

    /// `name: type`, `name?: type in unit`.
    fn field(&mut self, depth: usize) -> Result<(String, Port), InvalidType> {
        let name = self.word(|c| c.is_alphanumeric() || c == '_');
        if !is_port_name(name) {
            return Err(self.expected("a field's name"));
        }
        let required = !self.take('?');
        self.need(':', ":")?;
        let ty = self.ty(depth)?;
        let unit = match self.rest.strip_prefix("in ") {
            None => None,
            Some(rest) => {
                let (unit, rest) =
                    rest.split_at_checked(rest.find([',', '}']).unwrap_or(rest.len())).unwrap_or((rest, ""));
                self.rest = rest;
                let unit =
                    unit.parse::<Unit>().map_err(|source| InvalidType::Unit { field: name.to_owned(), source })?;
                Some(unit)
            }
        };
        let port = Port::new(ty, unit).map_err(|source| InvalidType::Field { field: name.to_owned(), source })?;
        Ok((name.to_owned(), if required { port } else { port.optional() }))
    }

    fn word(&mut self, belongs: impl Fn(char) -> bool) -> &'a str {
        let length = self.rest.find(|c| !belongs(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(length).unwrap_or((self.rest, ""));
        self.rest = rest.trim_start();
        word
    }

    fn take(&mut self, mark: char) -> bool {
        match self.rest.strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn need(&mut self, mark: char, needed: &'static str) -> Result<(), InvalidType> {
        if self.take(mark) { Ok(()) } else { Err(self.expected(needed)) }
    }

    fn expected(&self, needed: &'static str) -> InvalidType {
        match self.rest {
            "" => InvalidType::EndsEarly { needed },
            rest => InvalidType::Expected { needed, found: quoted(rest) },
        }
    }
}

/// Where a JSON string's closing quote stands, from the first byte after its opening one.
fn end_of_string(inner: &str) -> Option<usize> {
    let mut escaped = false;
    inner.bytes().position(|byte| match byte {
        _ if escaped => {
            escaped = false;
            false
        }
        b'\\' => {
            escaped = true;
            false
        }
        byte => byte == b'"',
    })
}

fn plain(name: &str) -> Result<PortType, InvalidType> {
    if let Some((_, ty)) = PLAIN.into_iter().find(|(plain, _)| *plain == name) {
        return Ok(ty);
    }
    if let Some(kind) = Kind::named(name) {
        return Ok(PortType::Quantity(kind));
    }
    let meant = match name.to_lowercase().as_str() {
        "int" => Some("Integer"),
        "double" | "real" | "number" => Some("Float"),
        "bool" => Some("Boolean"),
        "str" | "text" => Some("String"),
        "array" => Some("list[T]"),
        "dict" | "map" => Some("dict[str,T]"),
        "enum" | "literal" => Some("literal[\"a\",\"b\"]"),
        "list" => Some("list[T]"),
        "struct" => Some("struct{name: T}"),
        "torque" => Some("Moment"),
        "speed" => Some("Velocity"),
        lower => {
            let plain = PLAIN.into_iter().map(|(plain, _)| plain);
            plain.chain(Kind::ALL.map(Kind::as_str)).find(|known| known.eq_ignore_ascii_case(lower))
        }
    };
    match meant {
        Some(meant) => Err(InvalidType::Misspelt { found: quoted(name), meant }),
        None => Err(InvalidType::Unknown(quoted(name))),
    }
}
