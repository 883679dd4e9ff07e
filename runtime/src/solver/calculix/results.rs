//! The result of a run as JSON: what the `.dat` file printed, and the extremes of the `.frd` file.

use super::dat::Printed;
use super::frd::{Frame, Frd, Kind, Peak};
use super::token;
use serde_json::value::RawValue;

/// Puts the result together. Printed numbers keep their digits; computed ones (magnitudes, von Mises stresses) have six,
/// as many as the `.frd` file has.
///
/// ```json
/// {"job": "beam", "version": "2.20",
///  "displacements": [{"columns": ["node", "vx", "vy", "vz"], "set": "TIP", "time": 0.1E+01, "rows": [[…]]}],
///  "eigenvalues": [{"mode": 1, "eigenvalue": …, "frequency_hz": …}],
///  "steps": [{"step": 1, "increment": 1, "time": 1.0, "displacement_max": {"value": …, "node": 7}, "von_mises_max": …}]}
/// ```
///
/// Frequencies are in Hz where the deck's unit of time is the second; all else is in the deck's units.
pub(super) fn json(job: &str, version: Option<&str>, printed: &Printed, frd: Option<&Frd>) -> Option<Box<RawValue>> {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let mut members = vec![format!("\"job\":{}", text(job))];
    members.extend(version.map(|version| format!("\"version\":{}", text(version))));
    for (name, values) in &printed.members {
        members.push(format!("{}:[{}]", text(name), values.join(",")));
    }
    if let Some(frd) = frd {
        let frames: Vec<String> = frd.frames.iter().map(frame).collect();
        members.push(format!("\"steps\":[{}]", frames.join(",")));
    }
    RawValue::from_string(format!("{{{}}}", members.join(","))).ok()
}

fn frame(frame: &Frame) -> String {
    let (number, value) = match frame.kind {
        Kind::Time => ("increment", "time"),
        Kind::Frequency => ("mode", "frequency_hz"),
        Kind::Buckling => ("mode", "buckling_factor"),
    };
    let printed = token::json(&frame.value);
    let mut members = vec![
        format!("\"step\":{}", frame.step),
        format!("\"{number}\":{}", frame.number),
        format!("\"{value}\":{printed}"),
    ];
    let lowest = frame.temperature_min.map(|peak| Peak { value: -peak.value, ..peak });
    for (name, peak) in [
        ("displacement_max", frame.displacement_max),
        ("von_mises_max", frame.von_mises_max),
        ("temperature_max", frame.temperature_max),
        ("temperature_min", lowest),
        ("plastic_strain_max", frame.plastic_strain_max),
    ] {
        if let Some(Peak { value, node }) = peak {
            let six: f64 = format!("{value:.5e}").parse().unwrap_or(value);
            members.push(format!("\"{name}\":{{\"value\":{},\"node\":{node}}}", serde_json::Value::from(six)));
        }
    }
    format!("{{{}}}", members.join(","))
}
