//! A cantilever beam under a force at its end: replace it by your own computation.

use mecapy_task::{Ports, Result, artifact, ensure_input, progress};
use serde::{Deserialize, Serialize};
use std::io::Write;

#[derive(Deserialize, Ports)]
#[serde(deny_unknown_fields)]
struct Input {
    /// Force at the free end.
    #[port(type = "Force", unit = "N")]
    force: f64,
    #[port(type = "Length", unit = "mm")]
    length: f64,
    /// Width of the rectangular section.
    #[port(type = "Length", unit = "mm")]
    width: f64,
    #[port(type = "Length", unit = "mm")]
    height: f64,
    #[port(type = "Pressure", unit = "MPa")]
    #[serde(default = "steel")]
    elastic_modulus: f64,
    /// Leaves the bending line as the artifact line.csv.
    #[serde(default)]
    line: bool,
}

/// MPa.
fn steel() -> f64 {
    210_000.0
}

#[derive(Debug, PartialEq, Serialize, Ports)]
struct Output {
    #[port(type = "Length", unit = "mm")]
    deflection: f64,
    #[port(type = "Stress", unit = "MPa")]
    stress: f64,
}

/// Deflection at the free end and greatest bending stress of a cantilever.
#[mecapy_task::main]
fn cantilever(input: Input) -> Result<Output> {
    let Input { force, length, width, height, elastic_modulus, line } = input;
    for (pointer, size) in [
        ("/length", length),
        ("/width", width),
        ("/height", height),
        ("/elastic_modulus", elastic_modulus),
    ] {
        ensure_input!(size > 0.0, pointer, "must be greater than zero, not {size}");
    }
    let second_moment = width * height.powi(3) / 12.0;
    let rigidity = elastic_modulus * second_moment;
    if line {
        write_line(force, length, rigidity)?;
    }
    Ok(Output {
        deflection: force * length.powi(3) / (3.0 * rigidity),
        stress: force * length * height / 2.0 / second_moment,
    })
}

/// The deflection at 101 places: w(x) = F x² (3 L - x) / (6 E I).
fn write_line(force: f64, length: f64, rigidity: f64) -> Result<()> {
    let mut file = artifact("line.csv")?;
    writeln!(file, "x_mm,w_mm")?;
    for step in 0..=100 {
        let x = length * f64::from(step) / 100.0;
        let w = force * x.powi(2) * (3.0 * length - x) / (6.0 * rigidity);
        writeln!(file, "{x},{w}")?;
        progress(f64::from(step) / 100.0, "bending line");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mecapy_task::call_json;

    #[test]
    fn a_beam_by_hand() -> Result<()> {
        let input = Input {
            force: 1000.0,
            length: 500.0,
            width: 20.0,
            height: 30.0,
            elastic_modulus: steel(),
            line: false,
        };
        // I = 20 · 30³ / 12 = 45 000 mm⁴, w = 1000 · 500³ / (3 · 210 000 · 45 000), σ = 500 000 · 15 / 45 000.
        let Output { deflection, stress } = cantilever(input)?;
        assert!((deflection - 4.409_171_075_837_743).abs() < 1e-12, "{deflection}");
        assert!((stress - 166.666_666_666_666_66).abs() < 1e-11, "{stress}");
        Ok(())
    }

    /// As the platform calls it: what is wrong with the inputs is told with its place.
    #[test]
    fn wrong_inputs_are_told_by_name() {
        let rows = [
            (r#"{"force": 1, "length": 1, "width": 1}"#, "/height is missing"),
            (
                r#"{"force": "1", "length": 1, "width": 1, "height": 1}"#,
                "/force must be a number, not the text \"1\"",
            ),
            (
                r#"{"force": 1, "length": 0, "width": 1, "height": 1}"#,
                "/length must be greater than zero, not 0",
            ),
        ];
        for (inputs, message) in rows {
            let told = call_json(cantilever, inputs).err().map(|error| error.to_string());
            assert_eq!(told.as_deref(), Some(message));
        }
    }
}
