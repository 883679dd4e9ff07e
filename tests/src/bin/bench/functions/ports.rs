//! What the checks of one call cost, in this process: types, units and conditions of a function's inputs and outputs.

use crate::{
    load::milliseconds,
    report::{Report, Row},
};
use anyhow::{Result, anyhow};
use mecapy_model::{
    Fault, NonFinite,
    ports::{Run, Signature, SignatureParts},
};
use serde_json::value::RawValue;
use std::{hint::black_box, time::Instant};

const CALLS: usize = 3000;
const WARM_UP: usize = 300;

/// 20 ports of all sorts.
const INPUTS: &str = r#"{
  "diameter": {"type": "Length", "unit": "mm", "validity": "diameter > 0"},
  "pitch": {"type": "Length", "unit": "mm"},
  "area": {"type": "Area", "unit": "mm^2"},
  "volume": {"type": "Volume", "unit": "m^3"},
  "mass": {"type": "Mass", "unit": "kg"},
  "density": {"type": "Density", "unit": "kg/m^3"},
  "speed": {"type": "Frequency", "unit": "rpm"},
  "angle": {"type": "Angle", "unit": "deg"},
  "force": {"type": "Force", "unit": "N"},
  "torque": {"type": "Moment", "unit": "N*m"},
  "modulus": {"type": "Stress", "unit": "MPa", "default": 205000, "validity": "50000 <= modulus <= 250000"},
  "temperature": {"type": "Temperature", "unit": "degC"},
  "power": {"type": "Power", "unit": "kW"},
  "count": {"type": "Integer", "validity": "1 <= count <= 100"},
  "friction": {"type": "Float", "default": 0.12, "validity": "0.04 <= friction <= 0.35"},
  "closed": "Boolean",
  "grade": "literal[\"8.8\", \"10.9\", \"12.9\"]",
  "loads": {"type": "list[Force]", "unit": "N"},
  "stiffness": "Matrix",
  "plate": {"type": {"width": {"type": "Length", "unit": "mm"}, "holes": "list[struct{x: Length, y: Length}]"}}
}"#;
const OUTPUTS: &str = r#"{
  "stress": {"type": "Stress", "unit": "MPa"},
  "displacements": {"type": "list[Length]", "unit": "mm"},
  "safeties": {"type": {"yield": "Float", "fatigue": "Float"}},
  "is_safe": "Boolean"
}"#;
const VALIDITY: &str = r#"["0.05 <= pitch / diameter <= 0.5", "stress >= 0"]"#;

/// Half of the quantities in another unit than the port's.
const GIVEN: &str = r#"{
  "diameter": {"value": 1.2, "unit": "cm"}, "pitch": 1.75, "area": {"value": 0.843, "unit": "cm^2"}, "volume": 0.25,
  "mass": {"value": 12.5, "unit": "lb"}, "density": 7850, "speed": {"value": 25, "unit": "1/s"}, "angle": 30,
  "force": {"value": 15.5, "unit": "kN"}, "torque": {"value": 80000, "unit": "N*mm"}, "temperature": 20.5,
  "power": {"value": 1500, "unit": "W"}, "count": 8, "closed": true, "grade": "10.9",
  "loads": {"value": [1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5], "unit": "kN"},
  "stiffness": [[4, 1, 0], [1, 3, 1], [0, 1, 2]],
  "plate": {"width": 45, "holes": [{"x": 0.01, "y": 0.02}, {"x": {"value": 30, "unit": "mm"}, "y": 0.04}]}
}"#;
const RESULT: &str = r#"{
  "stress": 661.808671593994, "displacements": [0.1, 0.25, 0.5, 0.75, 1.5],
  "safeties": {"yield": 1.42, "fatigue": 3.1}, "is_safe": true
}"#;

pub(super) fn measure(report: &mut Report) -> Result<()> {
    const SECTION: &str = "inside one process, one thread";
    let times = times(WARM_UP + CALLS)?.split_off(WARM_UP);
    report.add(Row::new("functions.ports", SECTION, "a call's checks: 20 inputs, 4 outputs").values(times));
    Ok(())
}

/// Checks so many calls, milliseconds each.
fn times(calls: usize) -> Result<Vec<f64>> {
    let parts = SignatureParts {
        inputs: Some(serde_json::from_str(INPUTS)?),
        outputs: Some(serde_json::from_str(OUTPUTS)?),
        validity: Some(serde_json::from_str(VALIDITY)?),
    };
    let signature = Signature::read(parts, "").map_err(told)?;
    let (given, result): (&RawValue, &RawValue) = (serde_json::from_str(GIVEN)?, serde_json::from_str(RESULT)?);
    let mut times = Vec::with_capacity(calls);
    for _ in 0..calls {
        let started = Instant::now();
        let inputs = signature.check_inputs(black_box(given), "/inputs").map_err(told)?;
        let run = Run { inputs: &inputs.values, non_finite: NonFinite::Reject };
        black_box(signature.check_outputs(black_box(result), run, "").map_err(told)?);
        times.push(milliseconds(started.elapsed()));
    }
    Ok(times)
}

fn told(faults: Vec<Fault>) -> anyhow::Error {
    let told: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.pointer, fault.message)).collect();
    anyhow!("{}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_fit_20_ports() {
        let ports: serde_json::Map<String, serde_json::Value> = serde_json::from_str(INPUTS).unwrap();
        assert_eq!(ports.len(), 20);
        assert_eq!(times(2).unwrap().len(), 2);
    }
}
