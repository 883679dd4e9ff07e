//! All types and units, for people who choose among them. Names of units are those of the units library; their
//! factors are ours, which are exact.

use super::kind::Kind;
use super::port::{Port, Side};
use super::schema::{Schema, example};
use super::types::{PLAIN, PortType};
use super::unit::Unit;
use serde::Serialize;
use serde_json::value::RawValue;

/// A unit as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NamedUnit {
    /// As it is written in a request.
    pub symbol: String,
    /// In words, where the units library has it: `millimeter`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A number in SI units is `(number + offset) * factor`, to the nearest double; conversions are exact.
    pub factor: f64,
    pub offset: f64,
}

/// A type as it is shown.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct TypeEntry {
    /// As a manifest has it; `T` stands for any type.
    pub name: &'static str,
    pub category: &'static str,
    pub description: &'static str,
    /// The SI unit, which a number has where its port declares none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// In coherent units: `kg*m/s^2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimension: Option<String>,
    /// The usual units first, the SI unit before all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub units: Vec<NamedUnit>,
    /// A type with its parameters filled in, which example and schema belong to.
    pub example_type: String,
    #[schema(value_type = Object)]
    pub example: Option<Box<RawValue>>,
    /// The JSON Schema (2020-12) of an input.
    #[schema(value_type = Object)]
    pub schema: Option<Schema>,
    /// Whether outputs may not have it.
    pub inputs_only: bool,
}

/// Types that are made of others: name, an example, category and meaning.
const MADE: [(&str, &str, &str, &str); 5] = [
    ("File[ext]", "File[med,msh]", "file", "The name of a file with one of these extensions"),
    (
        "list[T]",
        "list[Length]",
        "collection",
        "An array of values of one type; a unit may stand beside the whole array",
    ),
    ("dict[str,T]", "dict[str,Force]", "collection", "An object with any keys, whose values have one type"),
    ("literal[…]", "literal[\"steel\",\"aluminium\"]", "choice", "One of the strings, numbers, true or false listed"),
    (
        "struct{…}",
        "struct{d: Length in mm, count?: Integer}",
        "collection",
        "An object with these fields and no other; a manifest may write it as a mapping of fields",
    ),
];

/// Every type that a port can have.
pub fn catalogue() -> Vec<TypeEntry> {
    let plain = PLAIN.into_iter().map(|(name, ty)| {
        let (category, description) = described(&ty);
        entry(name, category, description, ty)
    });
    let quantities = Kind::ALL.into_iter().map(|kind| {
        let description = "A quantity: a number in the port's unit, or with a unit beside it";
        entry(kind.as_str(), "quantity", description, PortType::Quantity(kind))
    });
    let made = MADE
        .into_iter()
        .filter_map(|(name, text, category, description)| Some(entry(name, category, description, text.parse().ok()?)));
    plain.chain(quantities).chain(made).collect()
}

/// The units of a kind: the usual ones first, then all others that have a name and a symbol of ours.
pub fn units_of(kind: Kind) -> Vec<NamedUnit> {
    let library = library_units(kind);
    let mut units: Vec<(Unit, Option<String>)> = Vec::new();
    for usual in kind.usual_units().iter().filter_map(|text| kind.admit(text.parse().ok()?)) {
        let written_so = library.iter().find(|(unit, _)| unit.as_str() == usual.as_str());
        let named = written_so.or_else(|| library.iter().find(|(unit, _)| *unit == usual));
        let name = named.map(|(_, name)| name.clone());
        units.push((usual, name));
    }
    for (unit, name) in library {
        if !units.iter().any(|(known, _)| known.as_str() == unit.as_str()) {
            units.push((unit, Some(name)));
        }
    }
    let shown = |(unit, name): (Unit, Option<String>)| NamedUnit {
        symbol: unit.to_string(),
        name,
        factor: unit.factor(),
        offset: unit.offset(),
    };
    units.into_iter().map(shown).collect()
}

fn entry(name: &'static str, category: &'static str, description: &'static str, ty: PortType) -> TypeEntry {
    let inputs_only = matches!(ty, PortType::Object);
    let kind = match ty {
        PortType::Quantity(kind) => Some(kind),
        _ => None,
    };
    TypeEntry {
        name,
        category,
        description,
        unit: kind.map(|kind| kind.unit().to_string()),
        dimension: kind.map(|kind| kind.unit().dimension().to_string()),
        units: kind.map(units_of).unwrap_or_default(),
        example_type: ty.to_string(),
        example: example(&ty),
        schema: Port::new(ty, None).ok().map(|port| port.schema(Side::Input)),
        inputs_only,
    }
}

fn described(ty: &PortType) -> (&'static str, &'static str) {
    match ty {
        PortType::Numeric => ("number", "A number; whole ones stay whole"),
        PortType::Integer => ("number", "A whole number of 32 bits"),
        PortType::Float => ("number", "A number, floating-point however it is written"),
        PortType::Boolean => ("logic", "True or false"),
        PortType::String => ("text", "A text"),
        PortType::Vector3 => ("vector", "Three numbers [x, y, z]; a unit may be declared"),
        PortType::Force3 => ("vector", "Three forces [x, y, z]"),
        PortType::Moment3 => ("vector", "Three moments [x, y, z]"),
        PortType::Torsor => ("vector", "A force and a moment at one point"),
        PortType::Matrix => ("vector", "Rows of numbers, all of one length; a unit may be declared"),
        PortType::File(_) => ("file", "The name of a file of the request, or of one that the function makes"),
        PortType::Object => ("collection", "Any object, handed over as it is"),
        _ => ("collection", ""),
    }
}

/// The units library's own units of a kind that we can write, each once, with its name.
fn library_units(kind: Kind) -> Vec<(Unit, String)> {
    macro_rules! named {
        ($($quantity:ident),+) => {{
            let mut all: Vec<(&'static str, &'static str)> = Vec::new();
            $(all.extend(uom::si::$quantity::units().map(|unit| (unit.abbreviation(), unit.singular())));)+
            all
        }};
    }
    let all = match kind {
        Kind::Length => named!(length),
        Kind::Area => named!(area),
        Kind::Volume => named!(volume),
        Kind::Mass => named!(mass),
        Kind::Density => named!(mass_density),
        Kind::Time => named!(time),
        Kind::Frequency => named!(frequency, angular_velocity),
        Kind::Angle => named!(angle),
        Kind::Force => named!(force),
        Kind::Moment => named!(torque),
        Kind::Pressure | Kind::Stress => named!(pressure),
        Kind::Temperature => named!(thermodynamic_temperature),
        Kind::Energy => named!(energy),
        Kind::Power => named!(power),
        Kind::Velocity => named!(velocity),
        Kind::Acceleration => named!(acceleration),
    };
    let mut units: Vec<(Unit, String)> = Vec::new();
    for (abbreviation, name) in all {
        // What isn't of this kind is another unit of ours by the same symbol.
        let unit = abbreviation.parse().ok().and_then(|unit| kind.admit(unit));
        if let Some(unit) = unit.filter(|unit: &Unit| !units.iter().any(|(known, _)| known.as_str() == unit.as_str())) {
            units.push((unit, name.to_owned()));
        }
    }
    units
}
