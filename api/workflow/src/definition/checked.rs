//! The inputs of a run.

use super::Definition;
use crate::Json;
use mecapy_model::ports::Checked;
use mecapy_model::ports::json::{Shape, text_of};
use mecapy_model::{Fault, Warning};
use serde_json::value::RawValue;

/// Inputs that fit the workflow.
#[derive(Debug, Clone)]
pub struct RunInputs {
    /// An object with every input: numbers in the declared units, defaults filled in, `null` for what may be left out
    /// and was.
    pub values: Json,
    /// Conditions that don't hold and are only to be told.
    pub flags: Vec<Warning>,
}

impl Definition {
    /// Checks what a run is started with. `at` is the pointer to the inputs in the request, such as `/inputs`.
    ///
    /// # Errors
    /// All faults: what is missing, unknown, of a wrong type, unit or range.
    pub fn check_inputs(&self, inputs: &RawValue, at: &str) -> Result<RunInputs, Vec<Fault>> {
        let Checked { values, flags, .. } = self.signature.check_inputs(inputs, at)?;
        let Shape::Object(members) = Shape::of(&values) else {
            return Ok(RunInputs { values: Json::from(values), flags });
        };
        let mut text = String::from("{");
        for name in self.signature.inputs().keys() {
            let value = members.iter().find(|(key, _)| key == name).map_or("null", |(_, value)| value.get());
            let comma = if text.len() > 1 { "," } else { "" };
            text.push_str(&format!("{comma}{}:{value}", text_of(name)));
        }
        text.push('}');
        Ok(RunInputs { values: Json::written(text), flags })
    }
}
