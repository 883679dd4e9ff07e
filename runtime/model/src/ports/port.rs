//! A port: a type with its unit, default and validity; and the signature of a function.

use super::types::{Fields, Measure, PortType};
use super::unit::Unit;
use super::validity::Validity;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// The longest name of a port, bytes.
pub const PORT_NAME_BYTES_MAX: usize = 64;

/// One input or output of a function, or one field of a struct.
#[derive(Debug, Clone)]
pub struct Port {
    ty: PortType,
    unit: Option<Unit>,
    pub(super) description: Option<String>,
    pub(super) presence: Presence,
    pub(super) validity: Option<Validity>,
}

/// What holds where a value is missing.
#[derive(Debug, Clone)]
pub(super) enum Presence {
    Required,
    Optional,
    /// This is taken for it: a checked value, numbers in the port's unit.
    Default(Box<RawValue>),
}

/// What a function takes and gives.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signature {
    pub(super) inputs: Fields,
    pub(super) outputs: Fields,
    /// Conditions over inputs and outputs together.
    pub(super) validity: Vec<Validity>,
}

/// Which side of a function a value is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Input,
    Output,
}

/// A unit that a port's type can't have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitMisfit {
    #[error("{ty} has no unit of its own: leave `unit` out{advice}")]
    NoUnit { ty: String, advice: &'static str },
    #[error("{unit} measures {measures}, and {needed} is declared: use one of {usual}")]
    Dimension { unit: String, measures: String, needed: &'static str, usual: String },
}

impl Port {
    /// A required port. The unit must be one of the type's quantity; any for plain numbers.
    pub fn new(ty: PortType, unit: Option<Unit>) -> Result<Port, UnitMisfit> {
        let unit = match (unit, ty.measure()) {
            (None, _) => None,
            (Some(_), Measure::None) => {
                let parts = matches!(ty, PortType::Struct(_) | PortType::List(_) | PortType::Dict(_));
                let advice = if parts { ", and declare units on the fields" } else { "" };
                return Err(UnitMisfit::NoUnit { ty: ty.to_string(), advice });
            }
            (unit, Measure::Any) => unit,
            (Some(unit), Measure::Of(kind)) => match kind.admit(unit.clone()) {
                Some(unit) => Some(unit),
                None => {
                    let (measures, usual) = (measures(&unit), kind.usual_units().join(", "));
                    return Err(UnitMisfit::Dimension {
                        unit: unit.to_string(),
                        measures,
                        needed: kind.described(),
                        usual,
                    });
                }
            },
        };
        Ok(Port { ty, unit, description: None, presence: Presence::Required, validity: None })
    }

    /// The same port, which may be left out.
    #[must_use]
    pub fn optional(self) -> Port {
        Port { presence: Presence::Optional, ..self }
    }

    pub fn ty(&self) -> &PortType {
        &self.ty
    }

    /// The unit that the port declares.
    pub fn declared_unit(&self) -> Option<&Unit> {
        self.unit.as_ref()
    }

    /// The unit of its numbers: the declared one, else the SI unit of its quantity, else `1`. `None` where it holds no
    /// numbers with a unit.
    pub fn unit(&self) -> Option<Cow<'_, Unit>> {
        let declared = self.unit.as_ref().map(Cow::Borrowed);
        declared.or_else(|| self.ty.measure().unit().map(Cow::Owned))
    }

    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// Whether a request must hold a value.
    pub fn is_required(&self) -> bool {
        matches!(self.presence, Presence::Required)
    }

    /// What is taken where no value is given, its numbers in the port's unit.
    pub fn default(&self) -> Option<&RawValue> {
        match &self.presence {
            Presence::Default(value) => Some(value),
            Presence::Required | Presence::Optional => None,
        }
    }

    pub fn validity(&self) -> Option<&Validity> {
        self.validity.as_ref()
    }
}

impl PartialEq for Port {
    fn eq(&self, other: &Self) -> bool {
        let texts = |port: &Port| port.default().map(|value| value.get().to_owned());
        self.ty == other.ty
            && self.unit == other.unit
            && self.description == other.description
            && self.is_required() == other.is_required()
            && texts(self) == texts(other)
            && self.validity == other.validity
    }
}

impl Signature {
    pub fn inputs(&self) -> &Fields {
        &self.inputs
    }

    pub fn outputs(&self) -> &Fields {
        &self.outputs
    }

    pub fn validity(&self) -> &[Validity] {
        &self.validity
    }

    pub fn side(&self, side: Side) -> &Fields {
        match side {
            Side::Input => &self.inputs,
            Side::Output => &self.outputs,
        }
    }
}

impl Side {
    /// A port of this side in a sentence.
    pub(super) const fn described(self) -> &'static str {
        match self {
            Side::Input => "input",
            Side::Output => "output",
        }
    }
}

/// What a unit measures, in a sentence: the kind where there is one, and the coherent unit.
pub(super) fn measures(unit: &Unit) -> String {
    use super::kind::Kind;
    let dimension = unit.dimension();
    match Kind::of(dimension) {
        Some(kind) => format!("{} ({dimension})", kind.described()),
        None if *unit == Unit::ONE => "a plain number".to_owned(),
        None => dimension.to_string(),
    }
}

/// Whether a text can be the name of a port: a Python identifier of a bounded length.
pub(super) fn is_port_name(text: &str) -> bool {
    let mut chars = text.chars();
    text.len() <= PORT_NAME_BYTES_MAX
        && chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|c| c.is_alphanumeric() || c == '_')
}
