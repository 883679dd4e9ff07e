//! Numbers and what is made of them, with or without a unit beside them.

use super::check::Checker;
use super::decimal::{Decimal, NUMBER_BYTES_MAX, OutOfRange};
use super::json::{Members, Path, Shape, quoted};
use super::kind::Kind;
use super::port::{Side, measures};
use super::types::{Measure, PortType};
use super::unit::{Conversion, Unconvertible, Unit};
use std::fmt::Write as _;

/// The largest whole number that a guest's 32-bit integers hold, and minus the smallest that has a positive.
pub const INTEGER_MAX: i128 = (1 << 31) - 1;

/// What a value should be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) ty: &'a PortType,
    /// The unit of the port.
    pub(super) unit: Option<&'a Unit>,
    /// How the unit that stood around the value already becomes that of the port.
    pub(super) given: Option<&'a Conversion>,
}

/// How a value of a type is read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reading<'a> {
    /// One number, maybe with a unit beside it.
    Number,
    /// Arrays of numbers, maybe with a unit beside them.
    Numbers,
    /// An array of values that have no unit.
    Items(&'a PortType),
    /// An object of values with any keys.
    Entries(&'a PortType),
    Other,
}

impl<'a> Expected<'a> {
    pub(super) fn plain(ty: &'a PortType) -> Self {
        Self { ty, unit: None, given: None }
    }

    pub(super) fn part(self, ty: &'a PortType) -> Self {
        Self { ty, ..self }
    }

    pub(super) fn reading(self) -> Reading<'a> {
        match self.ty {
            PortType::Numeric | PortType::Integer | PortType::Float | PortType::Quantity(_) => Reading::Number,
            PortType::Vector3 | PortType::Force3 | PortType::Moment3 | PortType::Matrix => Reading::Numbers,
            PortType::List(items) if items.measure() != Measure::None && !holds_dict(items) => Reading::Numbers,
            PortType::List(items) => Reading::Items(items),
            PortType::Dict(values) => Reading::Entries(values),
            _ => Reading::Other,
        }
    }

    /// Whether `{"value": …, "unit": …}` may stand here.
    pub(super) fn may_have_unit(self) -> bool {
        matches!(self.reading(), Reading::Number | Reading::Numbers)
    }

    /// What is needed, in a sentence, with the unit that a bare number has.
    fn described(self) -> String {
        let needed = self.ty.described();
        match self.unit {
            Some(unit) if *unit != Unit::ONE => {
                let example = if matches!(self.reading(), Reading::Number) { "12" } else { "[…]" };
                format!("{needed} (in {unit}, or {{\"value\": {example}, \"unit\": \"{unit}\"}})")
            }
            _ => needed.to_owned(),
        }
    }

    /// The units that may stand here instead, for a message.
    fn alternatives(self) -> String {
        let kind = match self.ty.measure() {
            Measure::Of(kind) => Some(kind),
            _ => self.unit.and_then(|unit| Kind::of(unit.dimension())),
        };
        match (kind, self.unit) {
            (Some(kind), _) => format!("use one of {}", kind.usual_units().join(", ")),
            (None, Some(unit)) if *unit == Unit::ONE => "leave the unit out".to_owned(),
            (None, Some(unit)) => format!("use {unit}, or another unit of {}", unit.dimension()),
            (None, None) => "leave the unit out".to_owned(),
        }
    }
}

/// Whether entries by key are somewhere in the type: `value` and `unit` would be keys like others there.
fn holds_dict(ty: &PortType) -> bool {
    match ty {
        PortType::Dict(_) => true,
        PortType::List(items) => holds_dict(items),
        _ => false,
    }
}

impl Checker {
    /// Checks numbers that may have a unit beside them, and writes them.
    pub(super) fn measured(&mut self, expected: Expected<'_>, found: Shape<'_>, path: Path<'_>) {
        let members = match found {
            Shape::Object(members) if expected.given.is_none() => members,
            found => return self.numbers(expected, found, path),
        };
        let Some((value, conversion)) = self.unwrapped(expected, &members, path) else { return };
        let expected = Expected { given: Some(&conversion), ..expected };
        self.numbers(expected, Shape::of(value), path.key("value"));
    }

    /// Takes `{"value": …, "unit": …}` apart.
    fn unwrapped<'m>(
        &mut self,
        expected: Expected<'_>,
        members: &Members<'m>,
        path: Path<'_>,
    ) -> Option<(&'m serde_json::value::RawValue, Conversion)> {
        let member = |name: &str| members.iter().find(|(key, _)| key == name).map(|(_, value)| *value);
        let (Some(value), Some(unit)) = (member("value"), member("unit")) else {
            match (member("value"), member("unit")) {
                (Some(_), None) => {
                    let message = format!("a unit is needed beside the value: {}", expected.alternatives());
                    self.faults.at(path.key("unit"), "required", message);
                }
                (None, Some(_)) => self.faults.at(path.key("value"), "required", "a value is needed beside the unit"),
                _ => {
                    let needed = expected.described();
                    self.faults.at(
                        path,
                        "wrong_type",
                        format_args!("{needed} is needed here, not an object without \"value\" and \"unit\""),
                    );
                }
            }
            return None;
        };
        let mut extra = members.iter().filter(|(key, _)| !matches!(key.as_ref(), "value" | "unit"));
        if let Some((key, _)) = extra.next() {
            let message = "beside \"value\" and \"unit\" nothing may stand here";
            self.faults.at(path.key(key), "unknown_field", message);
            return None;
        }
        if members.len() > 2 {
            self.faults.at(path, "duplicate", "\"value\" or \"unit\" stands here twice");
            return None;
        }
        let conversion = self.conversion(expected, Shape::of(unit), path.key("unit"))?;
        Some((value, conversion))
    }

    fn conversion(&mut self, expected: Expected<'_>, found: Shape<'_>, path: Path<'_>) -> Option<Conversion> {
        let Shape::String(text) = found else {
            self.faults.wrong_type(path, "the text of a unit", &found);
            return None;
        };
        let unit = match text.parse::<Unit>() {
            Ok(unit) => unit,
            Err(error) => {
                self.faults.at(path, "unknown_unit", format_args!("{error}; {}", expected.alternatives()));
                return None;
            }
        };
        let one = Unit::ONE;
        let wanted = expected.unit.unwrap_or(&one);
        let kind = match expected.ty.measure() {
            Measure::Of(kind) => Some(kind),
            Measure::Any | Measure::None => None,
        };
        let admitted = kind.map_or(Some(unit.clone()), |kind| kind.admit(unit.clone()));
        match admitted.as_ref().map_or(Err(Unconvertible::Dimension), |unit| unit.conversion(wanted)) {
            Ok(conversion) => return Some(conversion),
            Err(Unconvertible::TooFarApart) => {
                let message = format!("{unit} and {wanted} are too far apart for an exact conversion: send {wanted}");
                self.faults.at(path, "unknown_unit", message);
            }
            Err(Unconvertible::Dimension) => {
                let needed = match kind {
                    Some(kind) => format!("{} in {wanted}", kind.described()),
                    None => measures(wanted),
                };
                let advice = expected.alternatives();
                let measured = measures(&unit);
                self.faults.at(
                    path,
                    "wrong_dimension",
                    format_args!("{unit} measures {measured}, and {needed} is needed here: {advice}"),
                );
            }
        }
        None
    }

    fn numbers(&mut self, expected: Expected<'_>, found: Shape<'_>, path: Path<'_>) {
        match (expected.ty, found) {
            (PortType::Vector3 | PortType::Force3 | PortType::Moment3, Shape::Array(items)) if items.len() != 3 => {
                let count = items.len();
                self.faults.at(
                    path,
                    "wrong_length",
                    format_args!("three numbers [x, y, z] are needed here, not {count}"),
                );
            }
            (PortType::Vector3, Shape::Array(items)) => self.items(expected.part(&PortType::Float), items, path),
            (PortType::Force3, Shape::Array(items)) => {
                self.items(expected.part(&PortType::Quantity(Kind::Force)), items, path);
            }
            (PortType::Moment3, Shape::Array(items)) => {
                self.items(expected.part(&PortType::Quantity(Kind::Moment)), items, path);
            }
            (PortType::Matrix, Shape::Array(rows)) => self.matrix(expected, rows, path),
            (PortType::List(items), Shape::Array(found)) => self.items(expected.part(items), found, path),
            (_, Shape::Number(text)) if matches!(expected.reading(), Reading::Number) => {
                self.number(expected, text, path);
            }
            (_, Shape::String(text)) if matches!(expected.reading(), Reading::Number) => {
                self.text_for_number(expected, &text, path);
            }
            (_, found) => self.faults.wrong_type(path, &expected.described(), &found),
        }
    }

    fn matrix(&mut self, expected: Expected<'_>, rows: Vec<&serde_json::value::RawValue>, path: Path<'_>) {
        let mut columns = None;
        self.out.push('[');
        for (index, row) in rows.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            let at = path.index(index);
            match Shape::of(row) {
                Shape::Array(items) => {
                    let needed = *columns.get_or_insert(items.len());
                    if items.len() != needed {
                        let count = items.len();
                        let message = format!(
                            "the first row has {needed} numbers, this one {count}: all rows have the same length"
                        );
                        self.faults.at(at, "wrong_length", message);
                    }
                    self.items(expected.part(&PortType::Float), items, at);
                }
                found => self.faults.wrong_type(at, "a row of numbers", &found),
            }
        }
        self.out.push(']');
    }

    fn number(&mut self, expected: Expected<'_>, text: &str, path: Path<'_>) {
        let written = match (expected.ty, expected.given) {
            (PortType::Integer, conversion) => return self.integer(expected, conversion.copied(), text, path),
            (_, None | Some(Conversion::None)) => kept(text).map(|()| self.write_kept(expected.ty, text)),
            (_, Some(Conversion::By(scaling))) => {
                Decimal::read(text).and_then(|decimal| decimal.scaled(scaling)).map(|number| {
                    // Shortest text that reads as this double; JSON has no infinities, and none comes here.
                    let _ = write!(self.out, "{number:?}");
                })
            }
        };
        if let Err(reason) = written {
            self.out_of_range(reason, text, path);
        }
    }

    /// Writes a number's own digits. An input that is to be floating-point gets a point where it has none: a guest
    /// would make whole numbers of it, and its arrays of them have 32 bits and wrap.
    fn write_kept(&mut self, ty: &PortType, text: &str) {
        self.out.push_str(text);
        let whole = !text.contains(['.', 'e', 'E']);
        let fits = || text.parse::<i128>().is_ok_and(|number| number.abs() <= INTEGER_MAX);
        if self.side == Side::Input && whole && !(matches!(ty, PortType::Numeric) && fits()) {
            self.out.push_str(".0");
        }
    }

    fn integer(&mut self, expected: Expected<'_>, conversion: Option<Conversion>, text: &str, path: Path<'_>) {
        let decimal = match Decimal::read(text) {
            Ok(decimal) => decimal,
            Err(reason) => return self.out_of_range(reason, text, path),
        };
        let (whole, is_whole) = match conversion {
            None | Some(Conversion::None) => (decimal.whole(), decimal.is_whole()),
            Some(Conversion::By(scaling)) => {
                let whole = decimal.scaled_whole(&scaling);
                (whole, whole.is_some())
            }
        };
        let shown = quoted(text);
        match whole {
            Some(number) if self.side == Side::Output || number.abs() <= INTEGER_MAX => {
                let _ = write!(self.out, "{number}");
            }
            // Beyond 128 bits: its digits go as they are, where nothing follows that could wrap.
            None if is_whole && self.side == Side::Output && !text.contains(['.', 'e', 'E']) => self.out.push_str(text),
            _ if is_whole && self.side == Side::Output => self.out_of_range(OutOfRange::Overflow, text, path),
            _ if is_whole => {
                let message = format!(
                    "{shown} does not fit into the guest's whole numbers, which have 32 bits and would wrap without an \
                     error: from -{INTEGER_MAX} to {INTEGER_MAX} they hold; a port for larger ones is declared Float"
                );
                self.faults.at(path, "out_of_range", message);
            }
            _ => {
                let in_unit = match expected.unit {
                    Some(unit) if conversion.is_some() => format!(" in {unit}"),
                    _ => String::new(),
                };
                let message = format!("a whole number{in_unit} is needed here, which {shown} is not");
                self.faults.at(path, "not_whole", message);
            }
        }
    }

    fn text_for_number(&mut self, expected: Expected<'_>, text: &str, path: Path<'_>) {
        let bare = text.trim().trim_start_matches(['+', '-']).to_ascii_lowercase();
        if matches!(bare.as_str(), "nan" | "inf" | "infinity" | "1.#inf" | "1.#qnan") {
            let shown = quoted(text);
            let message =
                format!("{shown:?} is no number to calculate with: send a finite one, or leave the value out");
            return self.faults.at(path, "not_finite", message);
        }
        let (number, unit) =
            text.trim().split_at(text.trim().find(|c: char| !is_of_number(c)).unwrap_or(text.trim().len()));
        let advice = match (number.parse::<f64>(), unit.trim()) {
            (Ok(_), "") => format!(": send {number} without quotes"),
            (Ok(_), unit) if unit.parse::<Unit>().is_ok() => {
                format!(": send {{\"value\": {number}, \"unit\": \"{unit}\"}}")
            }
            _ => String::new(),
        };
        let needed = expected.described();
        self.faults.at(path, "wrong_type", format_args!("{needed} is needed here, not a string{advice}"));
    }

    fn out_of_range(&mut self, reason: OutOfRange, text: &str, path: Path<'_>) {
        let (shown, why) = match reason {
            OutOfRange::Overflow => (quoted(text), "is too large for a double, whose largest is about 1.8e308"),
            OutOfRange::Underflow => (quoted(text), "is too small for a double and would become 0"),
            OutOfRange::TooLong => ("this number".to_owned(), "has too many digits"),
        };
        let limit = if reason == OutOfRange::TooLong { format!(": {NUMBER_BYTES_MAX} at most") } else { String::new() };
        self.faults.at(path, "out_of_range", format_args!("{shown} {why}{limit}"));
    }
}

/// Whether a number's text can stay as it is: a double is what reads it in the end.
fn kept(text: &str) -> Result<(), OutOfRange> {
    if text.len() > NUMBER_BYTES_MAX {
        return Err(OutOfRange::TooLong);
    }
    let number = text.parse::<f64>().unwrap_or(f64::NAN);
    let zero = || !text.split(['e', 'E']).next().unwrap_or_default().contains(|c: char| matches!(c, '1'..='9'));
    match number {
        number if !number.is_finite() => Err(OutOfRange::Overflow),
        number if number == 0.0 && !zero() => Err(OutOfRange::Underflow),
        _ => Ok(()),
    }
}

fn is_of_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '.' | '+' | '-' | 'e' | 'E')
}
