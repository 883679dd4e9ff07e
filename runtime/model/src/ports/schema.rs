//! JSON Schema (2020-12) of ports: what a form needs to be drawn and what a client needs to send.
//!
//! The schema is never looser in shape than the check. It is stricter in two things that forms do well without: a
//! plain number with a unit such as `%`, and `null` for what is left out.

use super::number::INTEGER_MAX;
use super::port::{Port, Side};
use super::types::{Fields, Measure, PortType};
use super::unit::Unit;
use super::validity::Validity;
use super::{kind::Kind, types};
use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

/// The dialect of every schema here.
pub const SCHEMA_DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// One schema, written in the order of its fields; properties keep the order of their ports. To be written as JSON
/// text: a map on the way may lose that order.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    dialect: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    json_type: Option<&'static str>,
    /// The type as a manifest has it.
    #[serde(rename = "x-type", skip_serializing_if = "Option::is_none")]
    port_type: Option<String>,
    /// The unit of a bare number.
    #[serde(skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// Units of the same dimension that a form offers, that of a bare number first. Any other one may be sent.
    #[serde(rename = "x-units", skip_serializing_if = "Vec::is_empty")]
    units: Vec<String>,
    #[serde(rename = "x-extensions", skip_serializing_if = "Vec::is_empty")]
    extensions: Vec<String>,
    #[serde(rename = "x-validity", skip_serializing_if = "Vec::is_empty")]
    validity: Vec<Validity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minimum: Option<i128>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maximum: Option<i128>,
    #[serde(rename = "enum", skip_serializing_if = "Vec::is_empty")]
    values: Vec<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    any_of: Vec<Schema>,
    #[serde(skip_serializing_if = "Option::is_none")]
    items: Option<Box<Schema>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_items: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_items: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<IndexMap<String, Schema>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    required: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    additional_properties: Option<Additional>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    examples: Vec<Box<RawValue>>,
}

/// What keys beside the properties may hold.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
enum Additional {
    Any(bool),
    Of(Box<Schema>),
}

/// Whether a unit may stand beside a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beside {
    Unit,
    /// Results have plain numbers, and so has what stands beside a unit already.
    Nothing,
}

impl super::port::Signature {
    /// The schema of all inputs or outputs, as one object.
    pub fn schema(&self, side: Side) -> Schema {
        let own = self.validity.iter().filter(|validity| {
            let of_outputs = validity.names().iter().any(|name| self.outputs.contains_key(name));
            of_outputs == (side == Side::Output)
        });
        let object = object_of(self.side(side), side);
        Schema { dialect: Some(SCHEMA_DIALECT), validity: own.cloned().collect(), ..object }
    }
}

impl Port {
    /// The schema of one value, without a title.
    pub fn schema(&self, side: Side) -> Schema {
        let beside = if side == Side::Input { Beside::Unit } else { Beside::Nothing };
        let unit = self.unit().map(std::borrow::Cow::into_owned);
        let mut schema = of_type(self.ty(), unit.as_ref(), side, beside);
        if let Some(unit) = unit.filter(|unit| *unit != Unit::ONE || self.declared_unit().is_some()) {
            schema.units = alternatives(self.ty(), &unit);
            schema.unit = Some(unit.to_string());
        }
        let example = self.default().map(RawValue::to_owned).or_else(|| example(self.ty()));
        schema.examples = example.into_iter().collect();
        if side == Side::Input
            && let (PortType::Quantity(_), Some(unit)) = (self.ty(), &schema.unit)
        {
            schema.examples.extend(raw(format!("{{\"value\":12,\"unit\":{}}}", super::json::text_of(unit))));
        }
        Schema {
            description: self.description().map(str::to_owned),
            port_type: Some(self.ty().to_string()),
            validity: self.validity().cloned().into_iter().collect(),
            default: self.default().map(RawValue::to_owned),
            ..schema
        }
    }
}

fn object_of(fields: &Fields, side: Side) -> Schema {
    let property = |(name, port): (&String, &Port)| {
        let title = Some(name.replace('_', " "));
        (name.clone(), Schema { title, ..port.schema(side) })
    };
    let required = fields.iter().filter(|(_, port)| port.is_required()).map(|(name, _)| name.clone());
    Schema {
        json_type: Some("object"),
        properties: Some(fields.iter().map(property).collect()),
        required: required.collect(),
        additional_properties: Some(Additional::Any(false)),
        ..Schema::default()
    }
}

fn of_type(ty: &PortType, unit: Option<&Unit>, side: Side, beside: Beside) -> Schema {
    let array = |items: Schema, count: Option<usize>| Schema {
        json_type: Some("array"),
        items: Some(Box::new(items)),
        min_items: count,
        max_items: count,
        ..Schema::default()
    };
    let of_json = |json_type| Schema { json_type: Some(json_type), ..Schema::default() };
    let part = |ty: &PortType| of_type(ty, unit, side, beside);
    let plain = match ty {
        PortType::Numeric | PortType::Float | PortType::Quantity(_) => of_json("number"),
        PortType::Integer => {
            let bound = (side == Side::Input).then_some(INTEGER_MAX);
            Schema { minimum: bound.map(|bound| -bound), maximum: bound, ..of_json("integer") }
        }
        PortType::Boolean => of_json("boolean"),
        PortType::String => of_json("string"),
        PortType::File(extensions) => Schema { extensions: extensions.clone(), ..of_json("string") },
        PortType::Vector3 => array(part(&PortType::Float), Some(3)),
        PortType::Force3 => array(part(&PortType::Quantity(Kind::Force)), Some(3)),
        PortType::Moment3 => array(part(&PortType::Quantity(Kind::Moment)), Some(3)),
        PortType::Matrix => array(array(part(&PortType::Float), None), None),
        PortType::List(items) => array(part(items), None),
        PortType::Dict(values) => {
            Schema { additional_properties: Some(Additional::Of(Box::new(part(values)))), ..of_json("object") }
        }
        PortType::Literal(values) => Schema { values: values.clone(), ..Schema::default() },
        PortType::Struct(fields) => object_of(fields, side),
        PortType::Torsor => object_of(&types::torsor(), side),
        PortType::Object => Schema { additional_properties: Some(Additional::Any(true)), ..of_json("object") },
    };
    let measured = super::number::Expected::plain(ty).may_have_unit();
    match unit.filter(|unit| measured && beside == Beside::Unit && **unit != Unit::ONE) {
        Some(unit) => {
            let inner = of_type(ty, Some(unit), side, Beside::Nothing);
            Schema { any_of: vec![plain, with_unit(inner, &alternatives(ty, unit))], ..Schema::default() }
        }
        None => plain,
    }
}

/// `{"value": …, "unit": "mm"}`.
fn with_unit(value: Schema, units: &[String]) -> Schema {
    let examples = units.iter().filter_map(|unit| raw(super::json::text_of(unit))).collect();
    let unit = Schema { json_type: Some("string"), examples, ..Schema::default() };
    Schema {
        json_type: Some("object"),
        properties: Some([("value".to_owned(), value), ("unit".to_owned(), unit)].into_iter().collect()),
        required: vec!["value".to_owned(), "unit".to_owned()],
        additional_properties: Some(Additional::Any(false)),
        ..Schema::default()
    }
}

/// Units to choose from, the port's own first.
fn alternatives(ty: &PortType, unit: &Unit) -> Vec<String> {
    let kind = match ty.measure() {
        Measure::Of(kind) => Some(kind),
        Measure::Any | Measure::None => Kind::of(unit.dimension()),
    };
    let usual = kind.map(Kind::usual_units).unwrap_or_default().iter().copied().filter(|usual| *usual != unit.as_str());
    std::iter::once(unit.as_str()).chain(usual).map(str::to_owned).collect()
}

/// A value of the type, where one goes without saying.
pub(super) fn example(ty: &PortType) -> Option<Box<RawValue>> {
    let text = match ty {
        PortType::Numeric | PortType::Integer | PortType::Float | PortType::Quantity(_) => "12".to_owned(),
        PortType::Boolean => "true".to_owned(),
        PortType::String => "\"text\"".to_owned(),
        PortType::Vector3 | PortType::Force3 | PortType::Moment3 => "[0,0,12]".to_owned(),
        PortType::Torsor => "{\"force\":[0,0,12],\"moment\":[0,0,12]}".to_owned(),
        PortType::Matrix => "[[1,0],[0,1]]".to_owned(),
        PortType::File(extensions) => {
            format!("\"file.{}\"", extensions.first().map_or("dat", String::as_str))
        }
        PortType::List(items) => format!("[{}]", example(items)?.get()),
        PortType::Dict(values) => format!("{{\"key\":{}}}", example(values)?.get()),
        PortType::Literal(values) => values.first()?.get().to_owned(),
        PortType::Struct(fields) => {
            let members = fields.iter().map(|(name, port)| {
                let value = port.default().map(RawValue::to_owned).or_else(|| example(port.ty()))?;
                Some(format!("{}:{}", super::json::text_of(name), value.get()))
            });
            format!("{{{}}}", members.collect::<Option<Vec<_>>>()?.join(","))
        }
        PortType::Object => "{}".to_owned(),
    };
    raw(text)
}

fn raw(text: String) -> Option<Box<RawValue>> {
    RawValue::from_string(text).ok()
}
