//! Tests of ports as others use them.

mod check;
mod connect;
mod numbers;
mod read;
mod schema;
mod types;
mod units;
mod validity;

use super::{Port, PortType, Signature, SignatureParts};
use crate::Fault;
use serde_json::value::RawValue;

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn ty(text: &str) -> PortType {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn port(text: &str, unit: &str) -> Port {
    let unit = (!unit.is_empty()).then(|| unit.parse().unwrap());
    Port::new(ty(text), unit).unwrap()
}

/// The signature with these inputs, outputs and conditions, as a manifest has them.
fn read(inputs: &str, outputs: &str, validity: &str) -> Result<Signature, Vec<Fault>> {
    let [inputs, outputs, validity] = [inputs, outputs, validity].map(raw);
    let parts = SignatureParts { inputs: Some(&inputs), outputs: Some(&outputs), validity: Some(&validity) };
    Signature::read(parts, "/functions/f")
}

fn inputs(text: &str) -> Signature {
    read(text, "{}", "[]").unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// What the guest gets for a value of a port, or the faults as pointer, code and message.
fn given(port: &str, value: &str) -> Result<String, Vec<(String, String, String)>> {
    let signature = inputs(&format!("{{\"p\":{port}}}"));
    match signature.check_inputs(&raw(&format!("{{\"p\":{value}}}")), "/inputs") {
        Ok(checked) => {
            let text = checked.values.get().to_owned();
            let again = signature.check_inputs(&checked.values, "/inputs").unwrap();
            assert_eq!(again.values.get(), text, "checking twice changes {text}");
            Ok(text.strip_prefix("{\"p\":").and_then(|text| text.strip_suffix('}')).unwrap_or("absent").to_owned())
        }
        Err(faults) => Err(faults.into_iter().map(|fault| (fault.pointer, fault.code, fault.message)).collect()),
    }
}
