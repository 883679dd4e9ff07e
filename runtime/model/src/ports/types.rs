//! The types of ports, as data and as text.

use super::json::quoted;
use super::kind::Kind;
use super::port::Port;
use super::unit::Unit;
use indexmap::IndexMap;
use serde_json::value::RawValue;
use std::fmt;

/// Ports by name, in the order that their author gave them.
pub type Fields = IndexMap<String, Port>;

/// What a value may be.
#[derive(Debug, Clone)]
pub enum PortType {
    /// A number: whole ones stay whole.
    Numeric,
    /// A whole number that fits into the 32 bits of the guest's NumPy.
    Integer,
    /// A number, handed over as a floating-point one however it is written.
    Float,
    Boolean,
    String,
    Quantity(Kind),
    /// Three numbers `[x, y, z]`.
    Vector3,
    /// Three forces `[x, y, z]`.
    Force3,
    /// Three moments `[x, y, z]`.
    Moment3,
    /// A force and a moment at one point: `{"force": [x, y, z], "moment": [x, y, z]}`.
    Torsor,
    /// Rows of equal length.
    Matrix,
    /// The name of a file of the request or result; with extensions, one that ends in one of them.
    File(Vec<String>),
    List(Box<PortType>),
    /// An object with any keys, whose values have one type.
    Dict(Box<PortType>),
    /// One of these JSON strings, numbers, `true` and `false`, as written.
    Literal(Vec<Box<RawValue>>),
    /// An object with these fields and no other.
    Struct(Fields),
    /// Any object, as it is; for inputs only.
    Object,
}

/// Types with a name of their own, and without a parameter.
pub(super) const PLAIN: [(&str, PortType); 12] = [
    ("Numeric", PortType::Numeric),
    ("Integer", PortType::Integer),
    ("Float", PortType::Float),
    ("Boolean", PortType::Boolean),
    ("String", PortType::String),
    ("Vector3", PortType::Vector3),
    ("Force3", PortType::Force3),
    ("Moment3", PortType::Moment3),
    ("Torsor", PortType::Torsor),
    ("Matrix", PortType::Matrix),
    ("File", PortType::File(Vec::new())),
    ("Object", PortType::Object),
];

/// Which units a port of a type may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// No unit: it holds no number, or parts that have units of their own.
    None,
    /// Any unit.
    Any,
    Of(Kind),
}

impl PortType {
    pub(super) fn measure(&self) -> Measure {
        match self {
            PortType::Numeric | PortType::Integer | PortType::Float | PortType::Vector3 | PortType::Matrix => {
                Measure::Any
            }
            PortType::Quantity(kind) => Measure::Of(*kind),
            PortType::Force3 => Measure::Of(Kind::Force),
            PortType::Moment3 => Measure::Of(Kind::Moment),
            PortType::List(items) | PortType::Dict(items) => items.measure(),
            PortType::Boolean
            | PortType::String
            | PortType::Torsor
            | PortType::File(_)
            | PortType::Literal(_)
            | PortType::Struct(_)
            | PortType::Object => Measure::None,
        }
    }

    /// The type in a sentence: "a length", "a list", …
    pub(super) fn described(&self) -> &'static str {
        match self {
            PortType::Numeric | PortType::Float => "a number",
            PortType::Integer => "a whole number",
            PortType::Boolean => "true or false",
            PortType::String => "a string",
            PortType::Quantity(kind) => kind.described(),
            PortType::Vector3 => "a vector [x, y, z]",
            PortType::Force3 => "a vector [x, y, z] of forces",
            PortType::Moment3 => "a vector [x, y, z] of moments",
            PortType::Torsor => "an object {\"force\": [x, y, z], \"moment\": [x, y, z]}",
            PortType::Matrix => "an array of rows of numbers",
            PortType::File(_) => "the name of a file",
            PortType::List(_) => "an array",
            PortType::Literal(_) => "one of the values that are listed",
            PortType::Dict(_) | PortType::Struct(_) | PortType::Object => "an object",
        }
    }

    /// How deep the type nests: 1 for one without a part, 2 for a list of those.
    pub(super) fn depth(&self) -> usize {
        1 + match self {
            PortType::List(items) | PortType::Dict(items) => items.depth(),
            PortType::Struct(fields) => fields.values().map(|field| field.ty().depth()).max().unwrap_or(0),
            _ => 0,
        }
    }
}

impl Measure {
    /// The unit where a port declares none.
    pub(super) const fn unit(self) -> Option<Unit> {
        match self {
            Measure::None => None,
            Measure::Any => Some(Unit::ONE),
            Measure::Of(kind) => Some(kind.unit()),
        }
    }
}

impl PartialEq for PortType {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (PortType::Quantity(one), PortType::Quantity(other)) => one == other,
            (PortType::File(one), PortType::File(other)) => one == other,
            (PortType::List(one), PortType::List(other)) | (PortType::Dict(one), PortType::Dict(other)) => one == other,
            (PortType::Literal(one), PortType::Literal(other)) => {
                one.iter().map(|value| value.get()).eq(other.iter().map(|value| value.get()))
            }
            (PortType::Struct(one), PortType::Struct(other)) => one == other,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// As in a manifest: `list[Length]`, `File[med,msh]`, `literal["a","b"]`, `struct{d: Length in mm, n?: Integer}`.
/// A field's description, default and validity have no place in it.
impl fmt::Display for PortType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortType::Quantity(kind) => kind.fmt(f),
            PortType::File(extensions) if !extensions.is_empty() => write!(f, "File[{}]", extensions.join(",")),
            PortType::List(items) => write!(f, "list[{items}]"),
            PortType::Dict(items) => write!(f, "dict[str,{items}]"),
            PortType::Literal(values) => {
                let values: Vec<_> = values.iter().map(|value| value.get()).collect();
                write!(f, "literal[{}]", values.join(","))
            }
            PortType::Struct(fields) => {
                f.write_str("struct{")?;
                for (index, (name, field)) in fields.iter().enumerate() {
                    let comma = if index > 0 { ", " } else { "" };
                    let optional = if field.is_required() { "" } else { "?" };
                    write!(f, "{comma}{name}{optional}: {}", field.ty())?;
                    if let Some(unit) = field.declared_unit() {
                        write!(f, " in {unit}")?;
                    }
                }
                f.write_str("}")
            }
            plain => {
                let name = PLAIN.iter().find(|(_, ty)| ty == plain).map(|(name, _)| *name);
                f.write_str(name.unwrap_or_default())
            }
        }
    }
}

/// What a torsor consists of.
pub(super) fn torsor() -> Fields {
    let parts = [("force", PortType::Force3), ("moment", PortType::Moment3)];
    // Without a unit of its own a port is always well formed.
    parts.into_iter().filter_map(|(name, ty)| Some((name.to_owned(), Port::new(ty, None).ok()?))).collect()
}

/// The values of a literal in a sentence.
pub(super) fn listed(values: &[Box<RawValue>]) -> String {
    const SHOWN_MAX: usize = 12;
    let mut shown: Vec<_> = values.iter().take(SHOWN_MAX).map(|value| quoted(value.get())).collect();
    if values.len() > SHOWN_MAX {
        shown.push(format!("{} more", values.len() - SHOWN_MAX));
    }
    shown.join(", ")
}
