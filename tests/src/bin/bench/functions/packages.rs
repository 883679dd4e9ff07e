//! The packages that are published: one function of an ordinary size, in three forms, and one with many functions.

use crate::http::Call;
use anyhow::Result;
use mecapy_tests::guest_wasm;
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    io::{Cursor, Write as _},
};
use zip::{ZipWriter, write::SimpleFileOptions};

pub(super) const LARGE_FUNCTIONS: usize = 20;
pub(super) const LARGE_CASES: usize = LARGE_FUNCTIONS * CASES_EACH;
const CASES_EACH: usize = 5;

/// A module as an engineer writes it; its function is what inline source is called by too.
pub(super) const PLAIN: &str = r#""""Preload and stress of a bolt."""

import math
from dataclasses import dataclass

FRICTION = 0.12


@dataclass
class Bolt:
    diameter: float
    pitch: float

    @property
    def stress_area(self) -> float:
        return math.pi / 4 * (self.diameter - 0.9382 * self.pitch) ** 2

    @property
    def lever(self) -> float:
        friction = FRICTION * (0.577 * self.diameter * 0.9 + 0.65 * self.diameter)
        return self.pitch / (2 * math.pi) + friction


def main(diameter, pitch, torque, loads):
    bolt = Bolt(diameter, pitch)
    preload = torque * 1000 / bolt.lever
    return {"preload": preload, "stress": (preload + max(loads)) / bolt.stress_area}
"#;

const BOLT_FUNCTION: &str = r#"
functions:
  main:
    handler: bolt:main
    description: Preload by a torque, and the greatest stress
    inputs:
      diameter: {type: Length, unit: mm, validity: diameter > 0}
      pitch: {type: Length, unit: mm}
      torque: {type: Moment, unit: N*m}
      loads: {type: "list[Force]", unit: N}
    outputs:
      preload: {type: Force, unit: N}
      stress: {type: Stress, unit: MPa}
    testcases:
      - name: M12
        inputs: {diameter: 12, pitch: 1.75, torque: 80, loads: [0, 15000, 2000]}
        expected_outputs: {preload: 40768.21275098306, stress: 661.808671593994}
        tolerance: {relative: 1.0e-9}
"#;

const JOINT: &str = r#"version: "1"
package: {name: joint, version: 1.0.0, description: A bolted joint in Rust, visibility: private}
runtime: {kind: wasm, module: joint.wasm}
functions:
  bolted_joint:
    description: Preload, load factor, working stresses and safeties
    inputs:
      bolt:
        type:
          diameter: {type: Length, unit: mm}
          pitch: {type: Length, unit: mm}
          shank_length: {type: Length, unit: mm, default: 0}
          bearing_diameter: {type: Length, unit: mm}
          elastic_modulus: {type: Pressure, unit: MPa, default: 205000}
          strength_class: literal["8.8", "10.9", "12.9"]
      members:
        type:
          clamp_length: {type: Length, unit: mm}
          hole_diameter: {type: Length, unit: mm}
          outer_diameter: {type: Length, unit: mm}
          elastic_modulus: {type: Pressure, unit: MPa}
          pressure_limit: {type: Pressure, unit: MPa}
      friction: {type: {thread: Float, head: Float, interface: Float}}
      tightening:
        type:
          torque: {type: Moment, unit: N*m}
          scatter: Float
          embedding: {type: Length, unit: mm, default: 0}
      loads:
        type:
          axial_max: {type: Force, unit: N}
          axial_min: {type: Force, unit: N, default: 0}
          transverse: {type: Force, unit: N, default: 0}
          introduction_factor: {type: Float, default: 1}
      diagram: {type: Boolean, default: false}
"#;

/// Files by name.
pub(super) struct Package(Vec<(String, Vec<u8>)>);

/// The plain module, importing NumPy and using it.
pub(super) fn with_numpy() -> String {
    PLAIN
        .replace("from dataclasses import dataclass\n", "from dataclasses import dataclass\n\nimport numpy as np\n")
        .replace("max(loads)", "float(np.max(loads))")
}

pub(super) fn bolt_inputs() -> Value {
    json!({"diameter": 12, "pitch": 1.75, "torque": 80, "loads": [0, 15000, 2000]})
}

impl Package {
    /// One function over this text of its module.
    pub(super) fn bolt(name: &str, module: &str) -> Self {
        Self(vec![
            file("mecapy.yml", format!("{}{BOLT_FUNCTION}", head(name, "1.0.0"))),
            file("bolt.py", module.to_owned()),
        ])
    }

    /// The joint of the Rust SDK, as a module.
    pub(super) fn joint() -> Result<Self> {
        let module = ("joint.wasm".to_owned(), guest_wasm("bolted_joint_rust.wasm")?);
        Ok(Self(vec![file("mecapy.yml", JOINT.to_owned()), module]))
    }

    /// Many functions with their test cases, half of them in each dialect.
    pub(super) fn large(patch: u32) -> Self {
        let mut manifest = head("sections", &format!("1.0.{patch}")) + "functions:\n";
        let mut source = "import numpy as np\n".to_owned();
        let mut files = Vec::new();
        for number in 1..=LARGE_FUNCTIONS {
            let name = format!("section_{number:02}");
            let _ = write!(
                manifest,
                "  {name}:\n    handler: sections:{name}\n    description: Stress in section {number}\n    \
                 inputs: {{force: {{type: Force, unit: N}}, width: {{type: Length, unit: mm, validity: width > 0}}, \
                 height: {{type: Length, unit: mm, default: 20}}}}\n    \
                 outputs: {{area: {{type: Area, unit: mm^2}}, stress: {{type: Stress, unit: MPa}}}}\n"
            );
            let _ = write!(
                source,
                "\n\ndef {name}(force, width, height):\n    area = width * height * {number} / 20\n    \
                 return {{\"area\": area, \"stress\": float(np.divide(force, area))}}\n"
            );
            files.push(match number % 2 {
                0 => file(&format!("tests/test_{name}.json"), by_handler(&name, number)),
                _ => file(&format!("tests/test_{name}.yml"), by_function(&name, number)),
            });
        }
        files.extend([file("mecapy.yml", manifest), file("sections.py", source)]);
        Self(files)
    }

    /// The request that publishes it.
    pub(super) fn call(&self) -> Result<Call> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in &self.0 {
            writer.start_file(name.as_str(), SimpleFileOptions::default())?;
            writer.write_all(content)?;
        }
        Ok(Call::post_bytes("/v1/packages", "application/zip", writer.finish()?.into_inner()))
    }
}

fn head(name: &str, version: &str) -> String {
    format!(
        "version: \"1\"\npackage: {{name: {name}, version: {version}, description: Measured, visibility: private}}\n\
         runtime: {{kind: python}}\n"
    )
}

fn file(name: &str, content: String) -> (String, Vec<u8>) {
    (name.to_owned(), content.into_bytes())
}

/// Force, width, area and stress of each case of a function.
fn cases(number: usize) -> impl Iterator<Item = [f64; 4]> {
    (1..=CASES_EACH).map(move |case| {
        let (force, width) = (1000.0 * case as f64, 10.0 + case as f64);
        let area = width * 20.0 * number as f64 / 20.0;
        [force, width, area, force / area]
    })
}

fn by_handler(name: &str, number: usize) -> String {
    let case = |[force, width, area, stress]: [f64; 4]| {
        json!({
            "request": {"force": force, "width": width, "height": 20},
            "expected": {"area": area, "stress": stress},
            "tolerance": {"numeric": 1e-9},
        })
    };
    json!({"handler": format!("sections:{name}"), "test_cases": cases(number).map(case).collect::<Vec<_>>()})
        .to_string()
}

fn by_function(name: &str, number: usize) -> String {
    let mut text = format!("function: {name}\ntest_cases:\n");
    for [force, width, area, stress] in cases(number) {
        let _ = write!(
            text,
            "  - inputs: {{force: {force}, width: {width}}}\n    \
             expected_outputs: {{area: {area}, stress: {stress}}}\n    tolerance: {{relative: 1.0e-9}}\n"
        );
    }
    text
}
