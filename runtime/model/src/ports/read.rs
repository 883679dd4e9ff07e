//! Reads signatures as manifests hold them, and writes them as they are stored.

use super::check::Checker;
use super::json::{Faults, Members, Path, Shape, quoted};
use super::number::Expected;
use super::port::{Port, Presence, Side, Signature, UnitMisfit, is_port_name};
use super::type_text::{InvalidType, PARTS_MAX, TYPE_DEPTH_MAX};
use super::types::{Fields, PortType};
use super::unit::Unit;
use super::validity::{OnViolation, Validity};
use super::validity_text::Sort;
use crate::{Fault, NonFinite};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

/// The longest description, bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 4_000;
/// Conditions over a function as a whole.
const CONDITIONS_MAX: usize = 64;

/// The parts of a function's entry in a manifest that make its signature, as JSON.
#[derive(Debug, Clone, Copy, Default)]
pub struct SignatureParts<'a> {
    /// `{"d": {"type": "Length", "unit": "mm", …}, "n": "Integer"}`; none is the same as `{}`.
    pub inputs: Option<&'a RawValue>,
    pub outputs: Option<&'a RawValue>,
    /// One condition, or an array of them.
    pub validity: Option<&'a RawValue>,
}

impl Signature {
    /// Reads a function's signature. `at` is the pointer to its entry, such as `/functions/bolt`.
    ///
    /// # Errors
    /// All faults, at most [`FAULTS_MAX`](super::FAULTS_MAX), each with its pointer below `at`.
    pub fn read(parts: SignatureParts<'_>, at: &str) -> Result<Signature, Vec<Fault>> {
        let mut reader = Reader { faults: Faults::default(), side: Side::Input };
        let root = Path::Root(at);
        let inputs = reader.side_of(parts.inputs, root.key("inputs"));
        reader.side = Side::Output;
        let outputs = reader.side_of(parts.outputs, root.key("outputs"));
        reader.names(&inputs, &Fields::new(), root.key("inputs"));
        reader.names(&outputs, &inputs, root.key("outputs"));
        let validity = reader.conditions(parts.validity, root.key("validity"));
        for (index, condition) in validity.iter().enumerate() {
            let at = root.key("validity");
            let twofold =
                condition.names().iter().find(|name| inputs.contains_key(*name) && outputs.contains_key(*name));
            match twofold {
                Some(name) => {
                    let message = format_args!(
                        "{name:?} is both an input and an output: the condition belongs to one of these ports"
                    );
                    reader.faults.at(at.index(index), "invalid_validity", message);
                }
                None => reader.names_of(condition, [&inputs, &outputs], at.index(index)),
            }
        }
        if reader.faults.is_empty() {
            Ok(Signature { inputs, outputs, validity })
        } else {
            Err(reader.faults.into_vec())
        }
    }
}

struct Reader {
    faults: Faults,
    side: Side,
}

/// The fields of a port's entry.
const PORT_FIELDS: [&str; 6] = ["type", "unit", "description", "required", "default", "validity"];

impl Reader {
    fn side_of(&mut self, value: Option<&RawValue>, path: Path<'_>) -> Fields {
        match value.map(Shape::of) {
            None | Some(Shape::Null) => Fields::new(),
            Some(Shape::Object(members)) => self.fields(&members, path, 1),
            Some(found) => {
                self.faults.wrong_type(path, "an object of ports", &found);
                Fields::new()
            }
        }
    }

    /// Reads ports by name; those with a fault are left out.
    fn fields(&mut self, members: &Members<'_>, path: Path<'_>, depth: usize) -> Fields {
        let mut fields = Fields::with_capacity(members.len().min(PARTS_MAX));
        if members.len() > PARTS_MAX {
            self.faults.at(path, "too_many", format_args!("there may be {PARTS_MAX} here at most"));
        }
        for (name, value) in members.iter().take(PARTS_MAX) {
            let at = path.key(name);
            if !is_port_name(name) {
                let message = "the name of a port is one of a Python parameter: letters, digits and _, no digit first, 64 bytes at most";
                self.faults.at(at, "invalid_name", message);
            } else if let Some(port) = self.port(value, at, depth)
                && fields.insert(name.to_string(), port).is_some()
            {
                self.faults.at(at, "duplicate", format_args!("{name:?} stands here twice"));
            }
        }
        fields
    }

    fn port(&mut self, value: &RawValue, path: Path<'_>, depth: usize) -> Option<Port> {
        let members = match Shape::of(value) {
            Shape::String(_) => vec![("type".into(), value)],
            Shape::Object(members) => members,
            found => {
                self.faults.wrong_type(path, "a type, or an object with \"type\"", &found);
                return None;
            }
        };
        for (key, _) in members.iter().filter(|(key, _)| !PORT_FIELDS.contains(&key.as_ref())) {
            let known = PORT_FIELDS.join(", ");
            self.faults.at(
                path.key(key),
                "unknown_field",
                format_args!("a port has no {:?}: it has {known}", quoted(key)),
            );
        }
        let member = |name: &str| {
            let value = members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
            value.filter(|value| value.get() != "null")
        };
        let ty = match member("type") {
            Some(ty) => self.ty(ty, path.key("type"), depth),
            None => {
                self.faults.at(path.key("type"), "required", "a port needs a type, such as Length");
                None
            }
        };
        let unit = member("unit").map(|unit| self.unit(unit, path.key("unit")));
        let description = member("description").and_then(|text| self.description(text, path.key("description")));
        let required = member("required").and_then(|value| self.truth(value, path.key("required")));
        let validity = member("validity").and_then(|value| self.condition(value, path.key("validity")));
        // What follows depends on type and unit: a fault of theirs is told alone.
        let unit = match unit {
            Some(None) => return None,
            Some(Some(unit)) => Some(unit),
            None => None,
        };
        let mut port = match Port::new(ty?, unit) {
            Ok(port) => port,
            Err(misfit) => {
                let code =
                    if matches!(misfit, UnitMisfit::NoUnit { .. }) { "unit_not_allowed" } else { "wrong_dimension" };
                self.faults.at(path.key("unit"), code, misfit);
                return None;
            }
        };
        port.description = description;
        port.validity = validity;
        port.presence = self.presence(&port, required, member("default"), path)?;
        Some(port)
    }

    fn presence(
        &mut self,
        port: &Port,
        required: Option<bool>,
        default: Option<&RawValue>,
        path: Path<'_>,
    ) -> Option<Presence> {
        let Some(default) = default else {
            return Some(if required == Some(false) { Presence::Optional } else { Presence::Required });
        };
        if required == Some(true) {
            let message = "a port with a default is never missing: leave \"required\" out, or the default";
            self.faults.at(path.key("required"), "contradiction", message);
            return None;
        }
        let unit = port.unit();
        let mut checker = Checker::new(self.side, NonFinite::Reject);
        checker.value(Expected { ty: port.ty(), unit: unit.as_deref(), given: None }, default, path.key("default"));
        match checker.finish() {
            Ok(checked) => Some(Presence::Default(checked.values)),
            Err(faults) => {
                faults.into_iter().for_each(|fault| self.faults.add(fault));
                None
            }
        }
    }

    fn ty(&mut self, value: &RawValue, path: Path<'_>, depth: usize) -> Option<PortType> {
        let ty = match Shape::of(value) {
            Shape::String(text) => match text.parse::<PortType>() {
                Ok(ty) => ty,
                Err(error) => {
                    let code = if matches!(error, InvalidType::Unit { .. }) { "unknown_unit" } else { "unknown_type" };
                    self.faults.at(path, code, error);
                    return None;
                }
            },
            Shape::Object(_) if depth >= TYPE_DEPTH_MAX => {
                self.faults.at(path, "too_deep", InvalidType::TooDeep);
                return None;
            }
            Shape::Object(members) if members.is_empty() => {
                self.faults.at(path, "required", "a struct needs one field at least; any object is an Object");
                return None;
            }
            Shape::Object(members) => PortType::Struct(self.fields(&members, path, depth + 1)),
            found => {
                self.faults.wrong_type(path, "the text of a type, or an object of fields", &found);
                return None;
            }
        };
        // A text counts its own depth alone, and stands in a struct that has one already.
        if depth - 1 + ty.depth() > TYPE_DEPTH_MAX {
            self.faults.at(path, "too_deep", InvalidType::TooDeep);
            return None;
        }
        if self.side == Side::Output && holds_object(&ty) {
            let message = "Object is for inputs alone: declare what an output holds, as dict[str,T] or with its fields";
            self.faults.at(path, "unknown_type", message);
            return None;
        }
        Some(ty)
    }

    fn unit(&mut self, value: &RawValue, path: Path<'_>) -> Option<Unit> {
        match Shape::of(value) {
            Shape::String(text) => match text.parse() {
                Ok(unit) => return Some(unit),
                Err(error) => self.faults.at(path, "unknown_unit", error),
            },
            // A plain 1 is a number in YAML.
            Shape::Number("1") => return Some(Unit::ONE),
            found => self.faults.wrong_type(path, "the text of a unit", &found),
        }
        None
    }

    fn description(&mut self, value: &RawValue, path: Path<'_>) -> Option<String> {
        match Shape::of(value) {
            Shape::String(text) if text.len() <= DESCRIPTION_BYTES_MAX => return Some(text.into_owned()),
            Shape::String(_) => {
                let message = format_args!("a description has {DESCRIPTION_BYTES_MAX} bytes at most");
                self.faults.at(path, "too_long", message);
            }
            found => self.faults.wrong_type(path, "a string", &found),
        }
        None
    }

    fn truth(&mut self, value: &RawValue, path: Path<'_>) -> Option<bool> {
        match value.get() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.faults.wrong_type(path, "true or false", &Shape::of(value));
                None
            }
        }
    }

    fn conditions(&mut self, value: Option<&RawValue>, path: Path<'_>) -> Vec<Validity> {
        let Some(value) = value else { return Vec::new() };
        match Shape::of(value) {
            Shape::Null => Vec::new(),
            Shape::Array(items) if items.len() > CONDITIONS_MAX => {
                self.faults.at(path, "too_many", format_args!("there may be {CONDITIONS_MAX} conditions at most"));
                Vec::new()
            }
            Shape::Array(items) => {
                let each = items.into_iter().enumerate();
                each.filter_map(|(index, item)| self.condition(item, path.index(index))).collect()
            }
            _ => self.condition(value, path).into_iter().collect(),
        }
    }

    /// A text, or `{"expression": …, "on_violation": "refuse" | "flag"}`.
    fn condition(&mut self, value: &RawValue, path: Path<'_>) -> Option<Validity> {
        let (text, path_of_text, on_violation) = match Shape::of(value) {
            Shape::String(text) => (text, path, OnViolation::default()),
            Shape::Object(members) => {
                let known = ["expression", "on_violation"];
                for (key, _) in members.iter().filter(|(key, _)| !known.contains(&key.as_ref())) {
                    let message = "a condition has \"expression\" and \"on_violation\" alone";
                    self.faults.at(path.key(key), "unknown_field", message);
                }
                let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
                let on_violation = match member("on_violation").map(Shape::of) {
                    None => OnViolation::default(),
                    Some(Shape::String(word)) if word == "refuse" => OnViolation::Refuse,
                    Some(Shape::String(word)) if word == "flag" => OnViolation::Flag,
                    Some(_) => {
                        self.faults.at(path.key("on_violation"), "unknown_value", "use one of \"refuse\", \"flag\"");
                        return None;
                    }
                };
                match member("expression").map(Shape::of) {
                    Some(Shape::String(text)) => (text, path.key("expression"), on_violation),
                    _ => {
                        let message = "a condition is needed, such as \"d > 0\"";
                        self.faults.at(path.key("expression"), "required", message);
                        return None;
                    }
                }
            }
            found => {
                self.faults.wrong_type(path, "a condition, such as \"d > 0\",", &found);
                return None;
            }
        };
        match text.parse::<Validity>() {
            Ok(validity) => Some(Validity { on_violation, ..validity }),
            Err(error) => {
                self.faults.at(path_of_text, "invalid_validity", error);
                None
            }
        }
    }

    /// Checks what the ports' conditions speak of: the ports beside them, and `outer`.
    fn names(&mut self, fields: &Fields, outer: &Fields, path: Path<'_>) {
        for (name, port) in fields {
            let at = path.key(name);
            if let Some(validity) = &port.validity {
                self.names_of(validity, [fields, outer], at.key("validity"));
            }
            if let PortType::Struct(inner) = port.ty() {
                self.names(inner, &Fields::new(), at.key("type"));
            }
        }
    }

    /// Checks what one condition speaks of; a port of the first fields goes before one of the second.
    fn names_of(&mut self, validity: &Validity, sides: [&Fields; 2], path: Path<'_>) {
        let sort_of = |name: &str| match sides.iter().find_map(|fields| fields.get(name)) {
            Some(port) => sort(port),
            None => {
                let known = sides.iter().flat_map(|fields| fields.iter()).filter(|(_, port)| sort(port).is_ok());
                let known: Vec<_> = known.map(|(name, _)| name.as_str()).take(12).collect();
                Err(if known.is_empty() {
                    "there is none".to_owned()
                } else {
                    format!("there are {}", known.join(", "))
                })
            }
        };
        if let Err(error) = validity.check_names(&sort_of) {
            self.faults.at(path, "invalid_validity", error);
        }
    }
}

/// What a port is to conditions.
fn sort(port: &Port) -> Result<Sort, String> {
    match port.ty() {
        PortType::Numeric | PortType::Integer | PortType::Float | PortType::Quantity(_) => Ok(Sort::Number),
        PortType::Literal(values) if values.iter().all(|value| matches!(Shape::of(value), Shape::Number(_))) => {
            Ok(Sort::Number)
        }
        PortType::Boolean => Ok(Sort::Truth),
        other => Err(format!("it is {}, and conditions are over numbers", other.described())),
    }
}

fn holds_object(ty: &PortType) -> bool {
    match ty {
        PortType::Object => true,
        PortType::List(items) | PortType::Dict(items) => holds_object(items),
        PortType::Struct(fields) => fields.values().any(|field| holds_object(field.ty())),
        _ => false,
    }
}

/// The text of a type; an object of fields for a struct.
impl Serialize for PortType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            PortType::Struct(fields) => fields.serialize(serializer),
            other => serializer.collect_str(other),
        }
    }
}

/// As a manifest has it, so that reading it gives the port again.
impl Serialize for Port {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", self.ty())?;
        if let Some(unit) = self.declared_unit() {
            map.serialize_entry("unit", unit)?;
        }
        if let Some(description) = &self.description {
            map.serialize_entry("description", description)?;
        }
        match &self.presence {
            Presence::Required => map.serialize_entry("required", &true)?,
            Presence::Optional => map.serialize_entry("required", &false)?,
            Presence::Default(value) => map.serialize_entry("default", value)?,
        }
        if let Some(validity) = &self.validity {
            map.serialize_entry("validity", validity)?;
        }
        map.end()
    }
}

/// `{"inputs": …, "outputs": …, "validity": […]}`.
impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("inputs", &self.inputs)?;
        map.serialize_entry("outputs", &self.outputs)?;
        map.serialize_entry("validity", &self.validity)?;
        map.end()
    }
}

/// From what it was written as; from JSON text alone, since defaults keep their digits.
impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            #[serde(default)]
            inputs: Option<Box<RawValue>>,
            #[serde(default)]
            outputs: Option<Box<RawValue>>,
            #[serde(default)]
            validity: Option<Box<RawValue>>,
        }
        let Stored { inputs, outputs, validity } = Stored::deserialize(deserializer)?;
        let parts =
            SignatureParts { inputs: inputs.as_deref(), outputs: outputs.as_deref(), validity: validity.as_deref() };
        Signature::read(parts, "").map_err(|faults| {
            let faults: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
            D::Error::custom(faults.join("; "))
        })
    }
}
