//! What the nodes of the fixtures compute, by formulas of their own: the expected values are checked on the way.

use mecapy_model::ErrorKind;
use mecapy_workflow::{Json, Output, Start, What, WorkOutcome};
use serde_json::{Value, json};

/// The script of the fixtures' tasks.
pub(crate) fn script(workflow: &str, start: &Start) -> WorkOutcome {
    let What::Task(task) = &start.what else { panic!("{start:?} is no task") };
    let inputs: Value = serde_json::from_str(task.inputs.get()).unwrap();
    let number = |name: &str| inputs[name].as_f64().unwrap_or_else(|| panic!("{workflow} {}: {inputs}", start.key));
    let numbers = |name: &str| inputs[name].as_array().unwrap().iter().map(|v| v.as_f64()).collect::<Vec<_>>();
    let output = match (workflow, start.key.as_str()) {
        ("truss_check", "loads") => {
            let case =
                |factor: f64| json!({"name": format!("{factor} F"), "force": 1000.0 * number("force_kn") * factor});
            let cases: Vec<_> = numbers("factors").into_iter().flatten().map(case).collect();
            json!({"truss": {"span": number("span_m"), "height": number("height_m"), "area": number("area_mm2")}, "cases": cases})
        }
        ("truss_check", "solve" | "again") => truss(&inputs),
        ("truss_check", "check") => {
            let stresses: Vec<f64> = numbers("stresses_mpa").into_iter().flatten().collect();
            let worst = (0..stresses.len()).max_by(|a, b| stresses[*a].total_cmp(&stresses[*b])).unwrap();
            let utilisation = stresses[worst] * number("safety") / number("yield_mpa");
            json!({"governing": inputs["cases"][worst], "utilisation": utilisation, "valid": utilisation <= 1.0})
        }
        ("truss_check", "resize") => json!({"area_mm2": (number("area_mm2") * number("utilisation") / 0.95).ceil()}),
        ("bolted_joint", "verify") => verify(&inputs),
        ("bolted_joint", "choose") => {
            let safe = inputs["safe"].as_array().unwrap().iter().position(|safe| safe == &json!(true));
            json!({"size": safe.map(|at| inputs["sizes"][at].clone()), "weakest": {}})
        }
        ("bolted_joint", "preload") => json!({"result": 43109.5}),
        ("bolted_joint", "torque") => json!({"result": number("preload") * 0.001_939_99}),
        ("closed_form_against_calculix", "deck") => {
            return done(json!({"nodes": 1077, "bricks": 160}), &["cantilever.inp"]);
        }
        ("closed_form_against_calculix", "closed_form") => {
            let (length, inertia) = (number("length"), number("width") * number("height").powi(3) / 12.0);
            let bending = number("force") * length.powi(3) / (3.0 * number("young") * inertia);
            json!({"deflection": -(bending + 0.014_571_428_571_428_572)})
        }
        ("closed_form_against_calculix", "calculix") => {
            assert_eq!(task.files.len(), 1);
            json!({"displacements": [{"set": "TIP", "rows": [[1077, 0.0, 0.0, -1.920677]]}]})
        }
        ("closed_form_against_calculix", "compare") => {
            let (reference, computed) = (number("reference"), number("computed"));
            json!({"reference": reference, "computed": computed, "deviation": (computed - reference) / reference.abs()})
        }
        ("approval", "size") => {
            let d = (16.0 * 1000.0 * number("torque_nm") / std::f64::consts::PI / number("shear_mpa")).cbrt().ceil();
            json!({"diameter_mm": d, "stress_mpa": 16.0 * 1000.0 * number("torque_nm") / std::f64::consts::PI / d.powi(3)})
        }
        ("approval", "release") => json!({"entry": format!("{} by {}", inputs["diameter_mm"], inputs["by"])}),
        ("beam_check", "moment") => json!({"moment_nmm": number("force_n") * number("length_mm") / 4.0}),
        ("beam_check", "bending") if number("modulus_mm3") <= 0.0 => return failed("the section modulus"),
        ("beam_check", "bending") => json!({"stress_mpa": number("moment_nmm") / number("modulus_mm3")}),
        ("retries", "read") if start.attempt < 4 => return failed("the device does not answer"),
        ("retries", "read") => json!({"value": number("value")}),
        ("retries" | "on_error" | "on_error_fail", "root" | "roots" | "replaced" | "single") => match number("x") {
            x if x < 0.0 => return failed("expected a nonnegative input"),
            x => json!({"root": x.sqrt()}),
        },
        ("fan_out", "span") => json!({"values": (0..inputs["count"].as_u64().unwrap()).collect::<Vec<_>>()}),
        (_, "double" | "behind") => json!({"y": 2.0 * number("x")}),
        (_, "total") => {
            let values = numbers("values");
            let sum: f64 = values.iter().flatten().sum::<f64>() + inputs["extra"].as_f64().unwrap_or(0.0);
            json!({"sum": sum, "missing": values.iter().filter(|value| value.is_none()).count()})
        }
        other => panic!("nobody knows what {other:?} computes"),
    };
    done(output, &[])
}

pub(crate) fn done(output: Value, artifacts: &[&str]) -> WorkOutcome {
    let output = Output::Value(Json::parse(output.to_string()).unwrap());
    WorkOutcome::Completed { output, artifacts: artifacts.iter().map(|name| (*name).to_owned()).collect() }
}

pub(crate) fn failed(message: &str) -> WorkOutcome {
    WorkOutcome::Failed { kind: ErrorKind::Exception.into(), message: message.to_owned() }
}

/// Joint equilibrium of the three-bar truss.
fn truss(inputs: &Value) -> Value {
    let (truss, case) = (&inputs["truss"], &inputs["case"]);
    let (half, height) = (truss["span"].as_f64().unwrap() / 2.0, truss["height"].as_f64().unwrap());
    let force = case["force"].as_f64().unwrap();
    let area = inputs["area_mm2"].as_f64().unwrap_or_else(|| truss["area"].as_f64().unwrap());
    let rafter = -force * half.hypot(height) / (2.0 * height);
    let tie = force * half / (2.0 * height);
    json!({"case": case["name"], "forces_n": {"AB": tie, "AC": rafter, "BC": rafter}, "stress_max_mpa": -rafter / area})
}

/// Which sizes hold: what the package's own tests know of M12, and that smaller ones are weaker.
fn verify(inputs: &Value) -> Value {
    // The units of the function's ports, from those of the workflow.
    assert_eq!(inputs["clamp_length"], json!({"value": 4.0, "unit": "cm"}));
    let axial = &inputs["loads"]["axial_max"];
    assert_eq!(axial["unit"], json!("kN"));
    let safe = inputs["size"] == json!("M12") && axial["value"].as_f64().unwrap() <= 15.0;
    json!({"is_safe": safe, "preload": 43109.5, "safeties": {"yield": 1.15}})
}
