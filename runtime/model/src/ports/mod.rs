//! Typed ports with units: what a function takes and gives, and whether a value fits.
//!
//! A [`Signature`] is read from a manifest ([`Signature::read`]), checks the values of each call
//! ([`Signature::check_inputs`], [`Signature::check_outputs`]), and describes itself as JSON Schema
//! ([`Signature::schema`]). [`Port::connect`] says whether two ports fit together, [`catalogue`] what types there are.
//!
//! Values are JSON texts and stay so. A number keeps its digits unless its unit is converted, and then it is scaled
//! exactly and rounded once, to the nearest double. Faults carry the pointer of what they are about, and say what was
//! found, what is allowed and what to do. Knows nothing of HTTP, packages or who calls.

mod catalogue;
mod check;
mod connect;
mod decimal;
mod dimension;
mod factor;
pub mod json;
mod kind;
mod number;
mod port;
mod read;
mod schema;
mod symbols;
#[cfg(test)]
mod tests;
mod type_text;
mod types;
mod unit;
mod unit_text;
mod validity;
mod validity_text;

pub use catalogue::{NamedUnit, TypeEntry, catalogue, units_of};
pub use check::{Checked, FileUse, Run};
pub use connect::{Compatibility, Connection};
pub use decimal::NUMBER_BYTES_MAX;
pub use dimension::Dimension;
pub use json::FAULTS_MAX;
pub use kind::Kind;
pub use number::INTEGER_MAX;
pub use port::{PORT_NAME_BYTES_MAX, Port, Side, Signature, UnitMisfit};
pub use read::{DESCRIPTION_BYTES_MAX, SignatureParts};
pub use schema::{SCHEMA_DIALECT, Schema};
pub use type_text::{InvalidType, PARTS_MAX, TYPE_BYTES_MAX, TYPE_DEPTH_MAX};
pub use types::{Fields, PortType};
pub use unit::Unit;
pub use unit_text::{InvalidUnit, UNIT_BYTES_MAX};
pub use validity::{OnViolation, Validity};
pub use validity_text::{InvalidValidity, VALIDITY_BYTES_MAX};
