//! The kinds of quantities that a port can have, with their units.

use super::dimension::Dimension;
use super::unit::Unit;
use std::fmt;

/// What a number measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    Length,
    Area,
    Volume,
    Mass,
    Density,
    Time,
    Frequency,
    Angle,
    Force,
    Moment,
    Pressure,
    Stress,
    Temperature,
    Energy,
    Power,
    Velocity,
    Acceleration,
}

impl Kind {
    pub const ALL: [Kind; 17] = [
        Kind::Length,
        Kind::Area,
        Kind::Volume,
        Kind::Mass,
        Kind::Density,
        Kind::Time,
        Kind::Frequency,
        Kind::Angle,
        Kind::Force,
        Kind::Moment,
        Kind::Pressure,
        Kind::Stress,
        Kind::Temperature,
        Kind::Energy,
        Kind::Power,
        Kind::Velocity,
        Kind::Acceleration,
    ];

    /// The name as it stands in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Length => "Length",
            Kind::Area => "Area",
            Kind::Volume => "Volume",
            Kind::Mass => "Mass",
            Kind::Density => "Density",
            Kind::Time => "Time",
            Kind::Frequency => "Frequency",
            Kind::Angle => "Angle",
            Kind::Force => "Force",
            Kind::Moment => "Moment",
            Kind::Pressure => "Pressure",
            Kind::Stress => "Stress",
            Kind::Temperature => "Temperature",
            Kind::Energy => "Energy",
            Kind::Power => "Power",
            Kind::Velocity => "Velocity",
            Kind::Acceleration => "Acceleration",
        }
    }

    /// The name with its article, in a sentence.
    pub(super) const fn described(self) -> &'static str {
        match self {
            Kind::Length => "a length",
            Kind::Area => "an area",
            Kind::Volume => "a volume",
            Kind::Mass => "a mass",
            Kind::Density => "a density",
            Kind::Time => "a time",
            Kind::Frequency => "a frequency",
            Kind::Angle => "an angle",
            Kind::Force => "a force",
            Kind::Moment => "a moment",
            Kind::Pressure => "a pressure",
            Kind::Stress => "a stress",
            Kind::Temperature => "a temperature",
            Kind::Energy => "an energy",
            Kind::Power => "a power",
            Kind::Velocity => "a velocity",
            Kind::Acceleration => "an acceleration",
        }
    }

    /// The coherent SI unit, which a number has where its port declares none.
    pub const fn unit(self) -> Unit {
        let (text, dimension) = match self {
            Kind::Length => ("m", Dimension::LENGTH),
            Kind::Area => ("m^2", Dimension::mechanical(0, 2, 0)),
            Kind::Volume => ("m^3", Dimension::mechanical(0, 3, 0)),
            Kind::Mass => ("kg", Dimension::MASS),
            Kind::Density => ("kg/m^3", Dimension::mechanical(1, -3, 0)),
            Kind::Time => ("s", Dimension::TIME),
            Kind::Frequency => ("Hz", Dimension::mechanical(0, 0, -1)),
            Kind::Angle => ("rad", Dimension::ANGLE),
            Kind::Force => ("N", Dimension::mechanical(1, 1, -2)),
            Kind::Moment => ("N*m", Dimension::mechanical(1, 2, -2)),
            Kind::Pressure | Kind::Stress => ("Pa", Dimension::mechanical(1, -1, -2)),
            Kind::Temperature => ("K", Dimension::TEMPERATURE),
            Kind::Energy => ("J", Dimension::mechanical(1, 2, -2)),
            Kind::Power => ("W", Dimension::mechanical(1, 2, -3)),
            Kind::Velocity => ("m/s", Dimension::mechanical(0, 1, -1)),
            Kind::Acceleration => ("m/s^2", Dimension::mechanical(0, 1, -2)),
        };
        Unit::coherent(text, dimension)
    }

    /// The units that engineers choose from, the SI unit first: what a form offers.
    pub const fn usual_units(self) -> &'static [&'static str] {
        match self {
            Kind::Length => &["m", "mm", "cm", "km", "µm", "in", "ft", "yd"],
            Kind::Area => &["m^2", "mm^2", "cm^2", "km^2", "ha", "in^2", "ft^2"],
            Kind::Volume => &["m^3", "mm^3", "cm^3", "L", "mL", "in^3", "ft^3", "gal"],
            Kind::Mass => &["kg", "g", "mg", "t", "lb", "oz"],
            Kind::Density => &["kg/m^3", "g/cm^3", "t/m^3", "lb/ft^3", "lb/in^3"],
            Kind::Time => &["s", "ms", "µs", "min", "h", "d"],
            Kind::Frequency => &["Hz", "kHz", "MHz", "1/min", "rpm"],
            Kind::Angle => &["rad", "mrad", "deg", "gon", "rev"],
            Kind::Force => &["N", "daN", "kN", "MN", "kgf", "lbf", "kip"],
            Kind::Moment => &["N*m", "N*mm", "daN*m", "kN*m", "kgf*m", "lbf*in", "lbf*ft"],
            Kind::Pressure => &["Pa", "kPa", "MPa", "bar", "mbar", "atm", "psi"],
            Kind::Stress => &["Pa", "MPa", "GPa", "N/mm^2", "psi", "ksi"],
            Kind::Temperature => &["K", "degC", "degF"],
            Kind::Energy => &["J", "mJ", "kJ", "MJ", "kWh", "cal", "Btu", "eV"],
            Kind::Power => &["W", "mW", "kW", "MW", "hp", "PS"],
            Kind::Velocity => &["m/s", "mm/s", "km/h", "ft/s", "mph", "kn"],
            Kind::Acceleration => &["m/s^2", "mm/s^2", "ft/s^2", "g0"],
        }
    }

    /// The unit as one of this kind, or `None` where it measures something else. A frequency may be given in turns
    /// (rpm), since a turn is a cycle, and never in radians.
    pub(super) fn admit(self, unit: Unit) -> Option<Unit> {
        if unit.dimension() == self.unit().dimension() {
            return Some(unit);
        }
        if self == Kind::Frequency { unit.in_cycles() } else { None }
    }

    /// The kind of a dimension, the most usual where there are several.
    pub(super) fn of(dimension: Dimension) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.unit().dimension() == dimension)
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
