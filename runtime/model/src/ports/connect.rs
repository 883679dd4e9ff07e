//! Whether what one port gives is what another takes, and the value on its way between them.

use super::check::Checker;
use super::json::{self, Shape};
use super::number::Expected;
use super::port::{Port, Side};
use super::types::{Fields, Measure, PortType};
use super::unit::{Conversion, Unconvertible, Unit};
use super::{kind::Kind, types};
use crate::NonFinite;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How two ports fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Every value of the source is one of the target as it is.
    Exact,
    /// Every value of the source becomes one of the target, by a unit or by its form.
    Convertible,
    /// Some value of the source is none of the target.
    Incompatible,
}

/// What joins two ports, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Connection {
    pub compatibility: Compatibility,
    pub reason: String,
}

/// How values fit: as they are, or by a conversion that is told.
enum Fit {
    Exact,
    By(String),
}

/// A type with the unit of its numbers.
#[derive(Clone, Copy)]
struct End<'a> {
    ty: &'a PortType,
    unit: Option<&'a Unit>,
}

impl Port {
    /// Whether this port's values can go into `target`.
    pub fn connect(&self, target: &Port) -> Connection {
        match fit_ports(self, target) {
            Ok(Fit::Exact) => {
                let reason = format!("every {} is a {}", named(self), named(target));
                Connection { compatibility: Compatibility::Exact, reason }
            }
            Ok(Fit::By(reason)) => Connection { compatibility: Compatibility::Convertible, reason },
            Err(reason) => Connection { compatibility: Compatibility::Incompatible, reason },
        }
    }

    /// A checked value of this port as an input for `target`: with its unit beside it wherever the target has one.
    pub fn hand_over(&self, value: &RawValue, target: &Port) -> Box<RawValue> {
        let (own, wanted) = (self.unit(), target.unit());
        let source = End { ty: self.ty(), unit: own.as_deref() };
        written(value, source, Some(End { ty: target.ty(), unit: wanted.as_deref() }))
    }

    /// A checked value of this port with its unit beside each number or array: `{"value": 12.0, "unit": "mm"}`.
    pub fn with_unit(&self, value: &RawValue) -> Box<RawValue> {
        let unit = self.unit();
        written(value, End { ty: self.ty(), unit: unit.as_deref() }, None)
    }
}

impl super::port::Signature {
    /// Checked values of one side with their units beside them.
    pub fn with_units(&self, side: Side, values: &RawValue) -> Box<RawValue> {
        let mut out = String::new();
        write_fields(&mut out, values, self.side(side), None);
        RawValue::from_string(out).unwrap_or_else(|_| values.to_owned())
    }
}

fn named(port: &Port) -> String {
    match port.unit().filter(|unit| **unit != Unit::ONE) {
        Some(unit) => format!("{} in {unit}", port.ty()),
        None => port.ty().to_string(),
    }
}

fn fit_ports(source: &Port, target: &Port) -> Result<Fit, String> {
    if !source.is_required() && source.default().is_none() && target.is_required() {
        return Err("the source may have no value, and the target needs one".to_owned());
    }
    let (own, wanted) = (source.unit(), target.unit());
    fit(End { ty: source.ty(), unit: own.as_deref() }, End { ty: target.ty(), unit: wanted.as_deref() })
}

fn fit(source: End<'_>, target: End<'_>) -> Result<Fit, String> {
    use PortType::{Boolean, Dict, File, List, Literal, Matrix, Object, String, Struct, Torsor};
    match (source.ty, target.ty) {
        (Boolean, Boolean) | (String, String) | (Torsor, Torsor) | (Object | Dict(_) | Struct(_), Object) => {
            Ok(Fit::Exact)
        }
        (Literal(values), _) => fit_values(values, target),
        (File(given), File(taken)) => fit_files(given, taken),
        (Dict(given), Dict(taken)) => fit(End { ty: given, ..source }, End { ty: taken, ..target }),
        (Struct(given), Struct(taken)) => fit_fields(given, taken),
        (Struct(given), Dict(taken)) => {
            let target = End { ty: taken, ..target };
            all(given.iter().map(|(name, field)| {
                let unit = field.unit();
                fit(End { ty: field.ty(), unit: unit.as_deref() }, target).map_err(|reason| format!("{name}: {reason}"))
            }))
        }
        (List(_), PortType::Vector3 | PortType::Force3 | PortType::Moment3) => {
            Err("a list may have any length, and three numbers are needed".to_owned())
        }
        (List(_), Matrix) => Err("the rows of lists may differ in length, and those of a matrix may not".to_owned()),
        (Matrix, Matrix) => fit_numbers(source, target),
        _ if is_number(source.ty) && is_number(target.ty) => fit_numbers(source, target),
        _ => match (items(source.ty), items(target.ty)) {
            (Some(given), Some(taken)) => fit(End { ty: &given, ..source }, End { ty: &taken, ..target }),
            _ => Err(format!("{} is given, and {} is needed", source.ty.described(), target.ty.described())),
        },
    }
}

/// What an array holds.
fn items(ty: &PortType) -> Option<PortType> {
    match ty {
        PortType::Vector3 => Some(PortType::Float),
        PortType::Force3 => Some(PortType::Quantity(Kind::Force)),
        PortType::Moment3 => Some(PortType::Quantity(Kind::Moment)),
        PortType::Matrix => Some(PortType::List(Box::new(PortType::Float))),
        PortType::List(items) => Some(items.as_ref().clone()),
        _ => None,
    }
}

fn is_number(ty: &PortType) -> bool {
    matches!(ty, PortType::Numeric | PortType::Integer | PortType::Float | PortType::Quantity(_))
}

fn fit_numbers(source: End<'_>, target: End<'_>) -> Result<Fit, String> {
    let one = Unit::ONE;
    let (given, taken) = (source.unit.unwrap_or(&one), target.unit.unwrap_or(&one));
    let whole = matches!(source.ty, PortType::Integer);
    if matches!(target.ty, PortType::Integer) && !(whole && given == taken) {
        return Err("a number that may have a fraction is given, and a whole one is needed".to_owned());
    }
    let given = match (source.ty.measure(), target.ty.measure()) {
        (Measure::Of(a), Measure::Of(b)) if a != b && !is_pressure_and_stress(a, b) => {
            let same = a.unit().dimension() == b.unit().dimension();
            let although = if same { ", although their units are the same" } else { "" };
            return Err(format!("{} is given, and {} is needed{although}", a.described(), b.described()));
        }
        (Measure::Of(a), Measure::Of(b)) if a != b && given == taken => {
            return Ok(Fit::By(format!("{} in {given} is taken as {}", a.described(), b.described())));
        }
        (Measure::Any, Measure::Of(kind)) if *given != one => kind.admit(given.clone()),
        _ => Some(given.clone()),
    };
    let Some(given) = given else {
        let given = source.unit.unwrap_or(&one);
        return Err(format!("a number in {given} is given, and {} in {taken} is needed", target.ty.described()));
    };
    match (given == one, *taken == one) {
        (true, false) => return Ok(Fit::By(format!("the number has no unit, and is taken in {taken}"))),
        (false, true) => return Ok(Fit::By(format!("the number is handed over in {given}, without its unit"))),
        _ => {}
    }
    // Turns as cycles and as angles are two units by one symbol (rpm): the symbol goes with the value.
    let conversion = if given.as_str() == taken.as_str() { Ok(Conversion::None) } else { given.conversion(taken) };
    match conversion {
        Err(Unconvertible::Dimension) => {
            let (from, to) = (given.dimension(), taken.dimension());
            Err(format!("{given} ({from}) and {taken} ({to}) measure different things"))
        }
        Err(Unconvertible::TooFarApart) => Err(format!("{given} and {taken} have no exact conversion")),
        Ok(Conversion::By(_)) => Ok(Fit::By(format!("converted from {given} to {taken}"))),
        Ok(Conversion::None) => match (source.ty, target.ty) {
            (PortType::Integer | PortType::Numeric, PortType::Float | PortType::Quantity(_)) => {
                Ok(Fit::By("whole numbers become floating-point ones".to_owned()))
            }
            _ => Ok(Fit::Exact),
        },
    }
}

fn is_pressure_and_stress(one: Kind, other: Kind) -> bool {
    matches!((one, other), (Kind::Pressure, Kind::Stress) | (Kind::Stress, Kind::Pressure))
}

/// Each value of a literal, as the target takes it.
fn fit_values(values: &[Box<RawValue>], target: End<'_>) -> Result<Fit, String> {
    all(values.iter().map(|value| {
        let mut checker = Checker::new(Side::Input, NonFinite::Reject);
        checker.value(Expected { ty: target.ty, unit: target.unit, given: None }, value, json::Path::Root(""));
        match checker.finish() {
            Ok(checked) if checked.values.get() == value.get() => Ok(Fit::Exact),
            Ok(checked) => Ok(Fit::By(format!("{} becomes {}", value.get(), checked.values.get()))),
            Err(faults) => {
                let reason = faults.first().map(|fault| fault.message.as_str()).unwrap_or_default();
                Err(format!("{} may be given: {reason}", json::quoted(value.get())))
            }
        }
    }))
}

fn fit_files(given: &[String], taken: &[String]) -> Result<Fit, String> {
    if taken.is_empty() {
        return Ok(Fit::Exact);
    }
    if given.is_empty() {
        return Err(format!("any file may be given, and one of .{} is needed", taken.join(", .")));
    }
    // A name that ends in .tar.gz ends in .gz too.
    let covered = |given: &String| taken.iter().any(|taken| given == taken || given.ends_with(&format!(".{taken}")));
    match given.iter().find(|given| !covered(given)) {
        Some(given) => Err(format!("a file .{given} may be given, and one of .{} is needed", taken.join(", ."))),
        None => Ok(Fit::Exact),
    }
}

fn fit_fields(given: &Fields, taken: &Fields) -> Result<Fit, String> {
    if let Some(name) = given.keys().find(|name| !taken.contains_key(*name)) {
        return Err(format!("the source has a field {name:?} that the target does not know"));
    }
    all(taken.iter().map(|(name, wanted)| match given.get(name) {
        Some(field) => fit_ports(field, wanted).map_err(|reason| format!("{name}: {reason}")),
        None if wanted.is_required() => Err(format!("the target needs a field {name:?}")),
        None if wanted.default().is_some() => Ok(Fit::By(format!("{name} is filled in"))),
        None => Ok(Fit::Exact),
    }))
}

/// The first that doesn't fit; else the first that needs a conversion.
fn all(fits: impl Iterator<Item = Result<Fit, String>>) -> Result<Fit, String> {
    let mut result = Fit::Exact;
    for fit in fits {
        if let (Fit::By(reason), Fit::Exact) = (fit?, &result) {
            result = Fit::By(reason);
        }
    }
    Ok(result)
}

fn written(value: &RawValue, source: End<'_>, target: Option<End<'_>>) -> Box<RawValue> {
    let mut out = String::new();
    write(&mut out, value, source, target);
    // What isn't a checked value may not come apart as one: it goes as it is, for the target's check.
    RawValue::from_string(out).unwrap_or_else(|_| value.to_owned())
}

/// Writes a value with units beside its numbers: everywhere, or where the target has units too.
fn write(out: &mut String, value: &RawValue, source: End<'_>, target: Option<End<'_>>) {
    let measured = Expected::plain(source.ty).may_have_unit();
    let wanted = target.is_none_or(|target| target.unit.is_some_and(|unit| *unit != Unit::ONE));
    if let Some(unit) = source.unit.filter(|unit| measured && wanted && **unit != Unit::ONE)
        && value.get() != "null"
    {
        out.push_str("{\"value\":");
        out.push_str(value.get());
        out.push_str(",\"unit\":");
        out.push_str(&json::text_of(unit.as_str()));
        out.push('}');
        return;
    }
    let part = |ty| target.map(|target| End { ty, ..target });
    match (source.ty, Shape::of(value)) {
        (PortType::List(items), Shape::Array(found)) if !measured => {
            let inner = match target.map(|target| target.ty) {
                Some(PortType::List(items)) => part(items),
                _ => target,
            };
            out.push('[');
            for (index, item) in found.into_iter().enumerate() {
                separate(out, index);
                write(out, item, End { ty: items, ..source }, inner);
            }
            out.push(']');
        }
        (PortType::Dict(values), Shape::Object(found)) => {
            let inner = match target.map(|target| target.ty) {
                Some(PortType::Dict(values)) => part(values),
                _ => target,
            };
            out.push('{');
            for (index, (key, value)) in found.into_iter().enumerate() {
                separate(out, index);
                out.push_str(&json::text_of(&key));
                out.push(':');
                write(out, value, End { ty: values, ..source }, inner);
            }
            out.push('}');
        }
        (PortType::Struct(fields), _) => write_fields(out, value, fields, target),
        (PortType::Torsor, _) => write_fields(out, value, &types::torsor(), target),
        _ => out.push_str(value.get()),
    }
}

fn write_fields(out: &mut String, value: &RawValue, fields: &Fields, target: Option<End<'_>>) {
    let Shape::Object(found) = Shape::of(value) else { return out.push_str(value.get()) };
    out.push('{');
    for (index, (key, value)) in found.into_iter().enumerate() {
        separate(out, index);
        out.push_str(&json::text_of(&key));
        out.push(':');
        let Some(field) = fields.get(key.as_ref()) else {
            out.push_str(value.get());
            continue;
        };
        let own = field.unit();
        let source = End { ty: field.ty(), unit: own.as_deref() };
        match target.map(|target| (target, target.ty)) {
            Some((_, PortType::Struct(taken))) => {
                let wanted = taken.get(key.as_ref());
                let unit = wanted.and_then(Port::unit);
                let ty = wanted.map_or(&PortType::Object, Port::ty);
                write(out, value, source, Some(End { ty, unit: unit.as_deref() }));
            }
            Some((target, PortType::Dict(taken))) => write(out, value, source, Some(End { ty: taken, ..target })),
            // Both sides of a torsor have units; any object takes plain values.
            Some((_, PortType::Torsor)) => write(out, value, source, None),
            Some((target, _)) => write(out, value, source, Some(End { unit: None, ..target })),
            None => write(out, value, source, None),
        }
    }
    out.push('}');
}

fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}
