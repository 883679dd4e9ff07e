//! A task's ports: names, types and units of its inputs and outputs, as a part of its module.
//!
//! `#[mecapy_task::main]` writes them as JSON into the module's custom section `mecapy:signature`, all at compile time:
//!
//! ```json
//! {"name": "rod", "description": "Stress in a round rod.",
//!  "inputs": {"force": {"type": "Force", "unit": "N", "description": "Axial force in the rod."}, …},
//!  "outputs": {"stress": {"type": "Stress", "unit": "MPa"}}}
//! ```
//!
//! A port has the members `type`, and where they are known `unit`, `description`, `validity`, and `"required": false`.
//! They are written as in a package's manifest: a type is a text (`Length`, `list[Force]`, `dict[str,Float]`,
//! `literal["a","b"]`, `list[struct{force: Force in kN, name?: String}]`) or the object of a struct's own ports.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
};

/// What is known of a type at compile time. `#[derive(Ports)]` makes it for structs and for enums without fields.
///
/// ```
/// # use mecapy_task::Ports;
/// #[derive(Ports)]
/// struct Load {
///     /// The first line of the comment is the port's description.
///     #[port(type = "Force", unit = "kN", validity = "force > 0")]
///     force: f64,
///     // An `Option`, like a field with `#[serde(default)]`, may be left out.
///     name: Option<String>,
/// }
/// ```
pub trait Ports {
    const TYPE: Type;
}

/// A type as it is told to the platform.
#[derive(Debug, Clone, Copy)]
pub enum Type {
    /// A type of the catalogue as a text: `Float`, `Integer`, `String`, `Object`, `File`, `Length`, `list[Vector3]`, …
    Named(&'static str),
    List(&'static Type),
    Dict(&'static Type),
    Literal(&'static [&'static str]),
    Struct(&'static [Port]),
}

/// One field.
#[derive(Debug, Clone, Copy)]
pub struct Port {
    pub name: &'static str,
    pub ty: Type,
    /// Empty where there is none, as for the two texts below.
    pub unit: &'static str,
    pub description: &'static str,
    /// An expression that holds for valid values.
    pub validity: &'static str,
    pub required: bool,
}

macro_rules! named {
    ($($name:literal: $($rust:ty),+;)*) => {
        $($(impl Ports for $rust {
            const TYPE: Type = Type::Named($name);
        })+)*
    };
}

named! {
    "Float": f32, f64;
    "Integer": i8, i16, i32, i64, isize, u8, u16, u32, u64, usize;
    "Boolean": bool;
    "String": String;
    "File": PathBuf;
    "Object": serde_json::Value, serde_json::Map<String, serde_json::Value>;
}

impl<T: Ports> Ports for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Ports> Ports for Vec<T> {
    const TYPE: Type = Type::List(&T::TYPE);
}

impl<T: Ports, const N: usize> Ports for [T; N] {
    const TYPE: Type = Type::List(&T::TYPE);
}

impl<T: Ports> Ports for BTreeMap<String, T> {
    const TYPE: Type = Type::Dict(&T::TYPE);
}

impl<T: Ports, S> Ports for HashMap<String, T, S> {
    const TYPE: Type = Type::Dict(&T::TYPE);
}

impl<T: Ports> Ports for Box<T> {
    const TYPE: Type = T::TYPE;
}

/// Everything about one task.
#[derive(Debug, Clone, Copy)]
pub struct Signature {
    pub name: &'static str,
    pub description: &'static str,
    pub inputs: Type,
    pub outputs: Type,
}

/// Bytes of its JSON text.
pub const fn length(signature: &Signature) -> usize {
    let mut text = Text { bytes: [], length: 0 };
    text.signature(signature);
    text.length
}

/// Its JSON text, of exactly `length(signature)` bytes.
pub const fn write<const N: usize>(signature: &Signature) -> [u8; N] {
    let mut text = Text { bytes: [0; N], length: 0 };
    text.signature(signature);
    text.bytes
}

/// A text made at compile time. What is beyond its room is counted and dropped.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    const fn byte(&mut self, byte: u8) {
        if let Some((_, rest)) = self.bytes.split_at_mut_checked(self.length) {
            if let Some((place, _)) = rest.split_first_mut() {
                *place = byte;
            }
        }
        self.length += 1;
    }

    const fn raw(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            self.byte(*byte);
            rest = after;
        }
    }

    const fn string(&mut self, text: &str) {
        self.byte(b'"');
        self.inside(text);
        self.byte(b'"');
    }

    /// A part of a string.
    const fn inside(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            match *byte {
                b'"' | b'\\' => {
                    self.byte(b'\\');
                    self.byte(*byte);
                }
                0..0x20 => self.byte(b' '),
                _ => self.byte(*byte),
            }
            rest = after;
        }
    }

    /// A member with a text, unless that is empty.
    const fn member(&mut self, name: &str, text: &str) {
        if !text.is_empty() {
            self.byte(b',');
            self.string(name);
            self.byte(b':');
            self.string(text);
        }
    }

    const fn signature(&mut self, signature: &Signature) {
        self.raw("{\"name\":");
        self.string(signature.name);
        self.member("description", signature.description);
        self.raw(",\"inputs\":");
        self.object(&signature.inputs);
        self.raw(",\"outputs\":");
        self.object(&signature.outputs);
        self.byte(b'}');
    }

    /// Inputs and outputs are objects, so that their parts have names.
    const fn object(&mut self, ty: &Type) {
        let named = matches!(ty, Type::Struct(_) | Type::Dict(_) | Type::Named(_));
        assert!(named, "the input and the output of a task are structs or maps");
        match ty {
            Type::Struct(ports) => self.ports(ports),
            // The names are those that a value has.
            _ => self.raw("{}"),
        }
    }

    const fn ports(&mut self, ports: &[Port]) {
        self.byte(b'{');
        let mut rest = ports;
        while let Some((port, after)) = rest.split_first() {
            self.string(port.name);
            self.raw(":{\"type\":");
            self.ty(&port.ty);
            self.member("unit", port.unit);
            self.member("description", port.description);
            self.member("validity", port.validity);
            self.raw(if port.required { "}" } else { ",\"required\":false}" });
            rest = after;
            if !rest.is_empty() {
                self.byte(b',');
            }
        }
        self.byte(b'}');
    }

    const fn ty(&mut self, ty: &Type) {
        match ty {
            Type::Struct(ports) => self.ports(ports),
            plain => {
                self.byte(b'"');
                self.plain(plain);
                self.byte(b'"');
            }
        }
    }

    /// A type inside a string.
    const fn plain(&mut self, ty: &Type) {
        match ty {
            Type::Named(name) => self.inside(name),
            Type::List(item) => {
                self.raw("list[");
                self.plain(item);
                self.byte(b']');
            }
            Type::Dict(item) => {
                self.raw("dict[str,");
                self.plain(item);
                self.byte(b']');
            }
            Type::Literal(texts) => {
                self.raw("literal[");
                let mut rest = *texts;
                while let Some((text, after)) = rest.split_first() {
                    self.raw("\\\"");
                    self.inside(text);
                    self.raw("\\\"");
                    rest = after;
                    if !rest.is_empty() {
                        self.byte(b',');
                    }
                }
                self.byte(b']');
            }
            Type::Struct(ports) => {
                self.raw("struct{");
                let mut rest = *ports;
                while let Some((port, after)) = rest.split_first() {
                    self.inside(port.name);
                    self.raw(if port.required { ": " } else { "?: " });
                    self.plain(&port.ty);
                    if !port.unit.is_empty() {
                        self.raw(" in ");
                        self.inside(port.unit);
                    }
                    rest = after;
                    if !rest.is_empty() {
                        self.raw(", ");
                    }
                }
                self.byte(b'}');
            }
        }
    }
}

/// What a task's function returns.
pub trait Returned {
    type Output;
}

impl<O, E> Returned for Result<O, E> {
    type Output = O;
}
