//! Checks values against ports, and writes them as the guest gets them: in the order of the signature, complete with
//! defaults, numbers in the units of their ports. Digits are kept wherever no unit is converted.

use super::json::{FAULTS_MAX, Faults, Members, Path, Shape};
use super::number::{Expected, Reading};
use super::port::{Presence, Side, Signature};
use super::types::{Fields, PortType, listed};
use super::unit::Unit;
use super::validity::{OnViolation, Scalar, Validity, Verdict};
use super::{decimal::Decimal, json};
use crate::{ArtifactName, Fault, NonFinite, Warning};
use serde_json::value::RawValue;

/// Values that fit their signature.
#[derive(Debug, Clone)]
pub struct Checked {
    /// One JSON object with plain values. Checking it again gives the same text.
    pub values: Box<RawValue>,
    /// The files that it names; whether there are such files is the caller's to see.
    pub files: Vec<FileUse>,
    /// Conditions that don't hold and are only to be told.
    pub flags: Vec<Warning>,
}

/// A value that names a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUse {
    /// Where the name stands, an RFC 6901 pointer.
    pub pointer: String,
    pub name: ArtifactName,
}

/// What is known of the run whose outputs are checked.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// The inputs as [`Signature::check_inputs`] left them.
    pub inputs: &'a RawValue,
    /// Whether `null` stands for a number that isn't finite.
    pub non_finite: NonFinite,
}

impl Signature {
    /// Checks the inputs of a call. `at` is the pointer to them in the request, such as `/inputs`.
    ///
    /// # Errors
    /// All faults, at most [`FAULTS_MAX`](super::FAULTS_MAX): what is missing, unknown, of a wrong type, unit or range,
    /// and conditions that don't hold.
    pub fn check_inputs(&self, inputs: &RawValue, at: &str) -> Result<Checked, Vec<Fault>> {
        let mut checker = Checker::new(Side::Input, NonFinite::Reject);
        let root = Path::Root(at);
        let scope = checker.fields(&self.inputs, Shape::of(inputs), root, &Vec::new());
        let own = self.validity.iter().filter(|validity| !self.speaks_of_outputs(validity));
        own.for_each(|validity| checker.judge(validity, &scope, root));
        checker.finish()
    }

    /// Checks the outputs of a call, and the conditions that speak of them. `at` is the pointer to them.
    ///
    /// # Errors
    /// As for inputs. A whole number may have any size here, since no guest follows.
    pub fn check_outputs(&self, outputs: &RawValue, run: Run<'_>, at: &str) -> Result<Checked, Vec<Fault>> {
        let mut checker = Checker::new(Side::Output, run.non_finite);
        let root = Path::Root(at);
        let given = scalars(&self.inputs, run.inputs);
        let mut scope = checker.fields(&self.outputs, Shape::of(outputs), root, &given);
        scope.extend(given);
        let after = self.validity.iter().filter(|validity| self.speaks_of_outputs(validity));
        after.for_each(|validity| checker.judge(validity, &scope, root));
        checker.finish()
    }

    fn speaks_of_outputs(&self, validity: &Validity) -> bool {
        validity.names().iter().any(|name| self.outputs.contains_key(name))
    }
}

/// The values that conditions can speak of, by name.
type Scope<'s> = Vec<(&'s str, Scalar)>;

/// The numbers and truths among checked values.
fn scalars<'s>(fields: &'s Fields, values: &RawValue) -> Scope<'s> {
    let Shape::Object(members) = Shape::of(values) else { return Vec::new() };
    let scalar = |(name, value): &(std::borrow::Cow<'_, str>, &RawValue)| {
        let (name, port) = fields.get_key_value(name.as_ref())?;
        Some((name.as_str(), scalar_of(port.ty(), value.get())?))
    };
    members.iter().filter_map(scalar).collect()
}

/// What a checked value is in a condition.
fn scalar_of(ty: &PortType, text: &str) -> Option<Scalar> {
    match ty {
        PortType::Boolean => Some(Scalar::Truth(text == "true")),
        PortType::Numeric | PortType::Integer | PortType::Float | PortType::Quantity(_) | PortType::Literal(_) => {
            text.parse().ok().map(Scalar::Number)
        }
        _ => None,
    }
}

pub(super) struct Checker {
    pub(super) side: Side,
    non_finite: NonFinite,
    pub(super) out: String,
    pub(super) faults: Faults,
    files: Vec<FileUse>,
    flags: Vec<Warning>,
}

impl Checker {
    pub(super) fn new(side: Side, non_finite: NonFinite) -> Self {
        let (out, faults) = (String::new(), Faults::default());
        Self { side, non_finite, out, faults, files: Vec::new(), flags: Vec::new() }
    }

    pub(super) fn finish(mut self) -> Result<Checked, Vec<Fault>> {
        if self.faults.is_empty() {
            match RawValue::from_string(std::mem::take(&mut self.out)) {
                Ok(values) => return Ok(Checked { values, files: self.files, flags: self.flags }),
                Err(error) => self.faults.at(Path::Root(""), "malformed", error),
            }
        }
        Err(self.faults.into_vec())
    }

    /// Checks an object against its fields and writes it; what its numbers and truths are. `outer` is what conditions
    /// may speak of beside the fields themselves.
    fn fields<'s>(&mut self, fields: &'s Fields, found: Shape<'_>, path: Path<'_>, outer: &Scope<'_>) -> Scope<'s> {
        let mut scope = Scope::new();
        let Shape::Object(members) = found else {
            self.faults.wrong_type(path, "an object", &found);
            return scope;
        };
        // Most of so many are unknown or repeated: looking for each port among them would take long.
        if members.len() > fields.len() + FAULTS_MAX {
            let (count, known) = (members.len(), fields.len());
            let message = format_args!("{count} values stand here, where there are {known} {}s", self.side.described());
            self.faults.at(path, "too_many", message);
            return scope;
        }
        self.out.push('{');
        let mut first = true;
        for (name, port) in fields {
            let at = path.key(name);
            let mut given = members.iter().filter(|(key, _)| key == name).map(|(_, value)| *value);
            let value = given.next();
            if given.next().is_some() {
                self.faults.at(at, "duplicate", format_args!("{name:?} stands here twice"));
            }
            let value = value.filter(|value| !self.is_absent(value, port.ty()));
            let value = match (value, &port.presence) {
                (Some(value), _) => value,
                (None, Presence::Default(value)) => value,
                (None, Presence::Optional) => continue,
                (None, Presence::Required) => {
                    self.missing(fields, name, at);
                    continue;
                }
            };
            if !first {
                self.out.push(',');
            }
            first = false;
            self.out.push_str(&json::text_of(name));
            self.out.push(':');
            let start = self.out.len();
            let unit = port.unit();
            self.value(Expected { ty: port.ty(), unit: unit.as_deref(), given: None }, value, at);
            let written = self.out.get(start..).unwrap_or_default();
            scope.extend(scalar_of(port.ty(), written).map(|scalar| (name.as_str(), scalar)));
        }
        self.out.push('}');
        self.unknown(fields, &members, path);
        for (name, port) in fields {
            if let Some(validity) = &port.validity {
                let both: Scope<'_> = scope.iter().chain(outer).copied().collect();
                self.judge(validity, &both, path.key(name));
            }
        }
        scope
    }

    /// Whether a value says that there is none: `null`, where it doesn't stand for a number.
    fn is_absent(&self, value: &RawValue, ty: &PortType) -> bool {
        let number = self.non_finite == NonFinite::Null && matches!(Expected::plain(ty).reading(), Reading::Number);
        value.get() == "null" && !number
    }

    fn missing(&mut self, fields: &Fields, name: &str, at: Path<'_>) {
        let Some(port) = fields.get(name) else { return };
        let unit = port.unit().filter(|unit| **unit != Unit::ONE).map(|unit| format!(" in {unit}")).unwrap_or_default();
        let what = port.description.as_deref().map(|text| format!(" ({})", json::quoted(text))).unwrap_or_default();
        let (side, needed) = (self.side.described(), port.ty().described());
        self.faults.at(at, "required", format_args!("the {side} {name:?} is needed: {needed}{unit}{what}"));
    }

    fn unknown(&mut self, fields: &Fields, members: &Members<'_>, path: Path<'_>) {
        const SHOWN_MAX: usize = 12;
        for (key, _) in members.iter().filter(|(key, _)| !fields.contains_key(key.as_ref())) {
            if self.faults.is_full() {
                return;
            }
            let key = key.as_ref();
            let known = fields.keys().find(|name| name.eq_ignore_ascii_case(key));
            let advice = match known {
                Some(name) => format!("did you mean {name:?}?"),
                None if fields.is_empty() => "there are none".to_owned(),
                None => {
                    let names: Vec<_> = fields.keys().take(SHOWN_MAX).map(String::as_str).collect();
                    let more = if fields.len() > SHOWN_MAX { ", …" } else { "" };
                    format!("there are {}{more}", names.join(", "))
                }
            };
            let (side, key_shown) = (self.side.described(), json::quoted(key));
            self.faults.at(path.key(key), "unknown_field", format_args!("there is no {side} {key_shown:?}: {advice}"));
        }
    }

    fn judge(&mut self, validity: &Validity, scope: &Scope<'_>, path: Path<'_>) {
        let value = |name: &str| scope.iter().find(|(known, _)| *known == name).map(|(_, scalar)| *scalar);
        let Verdict::Violated(reason) = validity.judge(&value) else { return };
        match validity.on_violation {
            OnViolation::Refuse => {
                self.faults.at(
                    path,
                    "outside_validity",
                    format_args!("outside of what the function is valid for: {reason}"),
                );
            }
            OnViolation::Flag => {
                let (code, pointer) = ("outside_validity".to_owned(), Some(path.to_string()));
                let message = format!("outside of what the function is valid for: {reason}");
                self.flags.push(Warning { code, message, line: None, pointer });
            }
        }
    }

    /// Checks one value and writes it.
    pub(super) fn value(&mut self, expected: Expected<'_>, value: &RawValue, path: Path<'_>) {
        if self.faults.is_full() {
            return;
        }
        let found = Shape::of(value);
        match expected.reading() {
            Reading::Number if self.non_finite == NonFinite::Null && matches!(found, Shape::Null) => {
                self.out.push_str("null");
            }
            Reading::Number | Reading::Numbers => self.measured(expected, found, path),
            Reading::Entries(values) => match found {
                Shape::Object(members) => self.entries(expected.part(values), members, path),
                found => self.faults.wrong_type(path, "an object", &found),
            },
            Reading::Items(items) => match found {
                Shape::Array(found) => self.items(expected.part(items), found, path),
                found => self.faults.wrong_type(path, "an array", &found),
            },
            Reading::Other => self.other(expected.ty, found, value, path),
        }
    }

    pub(super) fn items(&mut self, expected: Expected<'_>, found: Vec<&RawValue>, path: Path<'_>) {
        self.out.push('[');
        for (index, item) in found.into_iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.value(expected, item, path.index(index));
        }
        self.out.push(']');
    }

    fn entries(&mut self, expected: Expected<'_>, mut members: Members<'_>, path: Path<'_>) {
        self.out.push('{');
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.out.push_str(&json::text_of(key));
            self.out.push(':');
            self.value(expected, value, path.key(key));
        }
        self.out.push('}');
        members.sort_by(|(one, _), (other, _)| one.cmp(other));
        for ((one, _), (other, _)) in members.iter().zip(members.iter().skip(1)) {
            if one == other {
                self.faults.at(path.key(one), "duplicate", "this key stands here twice");
            }
        }
    }

    fn other(&mut self, ty: &PortType, found: Shape<'_>, value: &RawValue, path: Path<'_>) {
        match (ty, &found) {
            (PortType::Boolean, Shape::Bool(_))
            | (PortType::String, Shape::String(_))
            | (PortType::Object, Shape::Object(_)) => {
                self.out.push_str(value.get());
            }
            (PortType::File(extensions), Shape::String(name)) => self.file(extensions, name, path),
            (PortType::Literal(values), _) => self.literal(values, &found, path),
            (PortType::Struct(fields), Shape::Object(_)) => {
                self.fields(fields, found, path, &Scope::new());
            }
            (PortType::Torsor, Shape::Object(_)) => {
                self.fields(&super::types::torsor(), found, path, &Scope::new());
            }
            (PortType::Boolean, Shape::Number("0" | "1")) => {
                self.faults.at(path, "wrong_type", "true or false is needed here, not a number");
            }
            _ => self.faults.wrong_type(path, ty.described(), &found),
        }
    }

    fn file(&mut self, extensions: &[String], name: &str, path: Path<'_>) {
        match ArtifactName::parse(name) {
            Err(error) => self.faults.at(path, "invalid_name", error),
            Ok(_) if !has_extension(name, extensions) => {
                let endings: Vec<_> = extensions.iter().map(|extension| format!(".{extension}")).collect();
                let (name, endings) = (json::quoted(name), endings.join(", "));
                self.faults.at(path, "wrong_extension", format_args!("{name:?} must end in one of {endings}"));
            }
            Ok(name) => {
                self.out.push_str(&json::text_of(name.as_str()));
                self.files.push(FileUse { pointer: path.to_string(), name });
            }
        }
    }

    fn literal(&mut self, values: &[Box<RawValue>], found: &Shape<'_>, path: Path<'_>) {
        let same = |value: &RawValue| match (Shape::of(value), found) {
            (Shape::String(one), Shape::String(other)) => one == *other,
            // 1 and 1.0 are one number.
            (Shape::Number(one), Shape::Number(other)) => Decimal::read(one) == Decimal::read(other),
            (Shape::Bool(one), Shape::Bool(other)) => one == *other,
            _ => false,
        };
        match values.iter().find(|value| same(value)) {
            Some(value) => self.out.push_str(value.get()),
            None => {
                let shown = match found {
                    Shape::String(text) => format!("{:?}", json::quoted(text)),
                    Shape::Number(text) => json::quoted(text),
                    other => other.described().to_owned(),
                };
                self.faults.at(path, "unknown_value", format_args!("use one of {}, not {shown}", listed(values)));
            }
        }
    }
}

/// Whether a file's name ends in one of the extensions, capital letters or not; any name where there are none.
fn has_extension(name: &str, extensions: &[String]) -> bool {
    let ends = |extension: &String| {
        let stem = name.len().checked_sub(extension.len())?;
        let ending = name.get(stem..)?.eq_ignore_ascii_case(extension);
        Some(ending && name.get(..stem)?.ends_with('.'))
    };
    extensions.is_empty() || extensions.iter().any(|extension| ends(extension) == Some(true))
}
