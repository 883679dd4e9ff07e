//! The fixtures' definitions and cases.

use crate::world::{End, Habits, World};
use mecapy_model::ports::{Signature, SignatureParts};
use mecapy_workflow::{Callee, Definition, Signal};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const NAMES: [&str; 10] = [
    "truss_check",
    "bolted_joint",
    "closed_form_against_calculix",
    "approval",
    "beam_check",
    "beam_study",
    "retries",
    "on_error",
    "on_error_fail",
    "fan_out",
];

pub(crate) struct Case {
    pub(crate) workflow: &'static str,
    pub(crate) inputs: String,
    expected: Value,
    rel_tol: f64,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/workflows")
}

fn text(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What the package of the bolted joint says of its functions, as far as the fixtures call them.
fn signature(callee: Callee<'_>) -> Option<Signature> {
    let size = r#""type": "literal[\"M8\",\"M10\",\"M12\",\"M14\",\"M16\",\"M18\",\"M20\",\"M22\",\"M24\"]""#;
    let class = r#""type": "literal[\"8.8\",\"10.9\",\"12.9\"]""#;
    let (inputs, outputs) = match callee {
        Callee::Function("default/bolted-joint@1.2.0#verify") => (
            format!(
                r#"{{"size": {{{size}}}, "strength_class": {{{class}}}, "clamp_length": {{"type": "Length", "unit": "mm"}},
                "outer_diameter": {{"type": "Length", "unit": "mm"}}, "pressure_limit": {{"type": "Pressure", "unit": "MPa"}},
                "loads": {{"type": {{"axial_max": "Force", "axial_min": "Force", "transverse": "Force"}}}}}}"#
            ),
            r#"{"preload": {"type": "Force", "unit": "N"}, "safeties": {"type": {"yield": "Float"}}, "is_safe": "Boolean"}"#,
        ),
        Callee::Function("default/bolted-joint@1.2.0#preload") => (
            format!(r#"{{"size": {{{size}}}, "strength_class": {{{class}}}}}"#),
            r#"{"result": {"type": "Force", "unit": "N"}}"#,
        ),
        Callee::Function("default/bolted-joint@1.2.0#torque") => (
            format!(r#"{{"size": {{{size}}}, "preload": {{"type": "Force", "unit": "N"}}}}"#),
            r#"{"result": {"type": "Moment", "unit": "N*m"}}"#,
        ),
        Callee::Workflow { workflow, version: None } => return Some(definition(workflow).signature.clone()),
        _ => return None,
    };
    let [inputs, outputs] = [inputs, outputs.to_owned()].map(|text| RawValue::from_string(text).unwrap());
    let parts = SignatureParts { inputs: Some(&inputs), outputs: Some(&outputs), validity: None };
    Some(Signature::read(parts, "").unwrap())
}

pub(crate) fn definition(name: &str) -> Arc<Definition> {
    let parsed = Definition::parse(&text(&format!("{name}.json")), &signature);
    Arc::new(parsed.unwrap_or_else(|faults| panic!("{name}: {faults:#?}")))
}

pub(crate) fn definitions() -> Vec<Arc<Definition>> {
    NAMES.iter().map(|name| definition(name)).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for workflow in NAMES {
        let file: Value = serde_json::from_str(&text(&format!("cases/{workflow}.json"))).unwrap();
        for expected in file["cases"].as_array().unwrap() {
            let (inputs, rel_tol) = (expected["inputs"].to_string(), file["rel_tol"].as_f64().unwrap());
            cases.push(Case { workflow, inputs, expected: expected.clone(), rel_tol });
        }
    }
    cases
}

impl Case {
    pub(crate) fn name(&self) -> String {
        format!("{}, {}", self.workflow, self.expected["name"])
    }

    /// What a person says in this case.
    pub(crate) fn answers(&self, habits: Habits) -> Habits {
        let agrees = |key: &str| {
            let comment = Some("as drawn".to_owned());
            Signal::Approve { key: key.to_owned(), by: "ada".to_owned(), comment }
        };
        let refuses = |key: &str| {
            let comment = Some("too thin".to_owned());
            Signal::Reject { key: key.to_owned(), by: "bob".to_owned(), comment }
        };
        Habits { answer: if self.expected.get("reject").is_some() { refuses } else { agrees }, ..habits }
    }

    pub(crate) fn check(&self, end: &End) {
        let name = self.name();
        let end_json = json!({"state": end.state, "error": end.error});
        assert_eq!(end_json["state"], self.expected["state"], "{name}: {end:?}");
        let outputs: Value = end.outputs.as_ref().map_or(Value::Null, |text| serde_json::from_str(text.get()).unwrap());
        for (pointer, expected) in self.expected["expect"].as_object().into_iter().flatten() {
            let found = outputs.pointer(pointer).unwrap_or_else(|| panic!("{name}: nothing at {pointer} of {outputs}"));
            assert!(self.matches(found, expected), "{name}: {found} at {pointer}, not {expected}");
        }
        for pointer in self.expected["absent"].as_array().into_iter().flatten() {
            assert_eq!(outputs.pointer(pointer.as_str().unwrap()), None, "{name}: {outputs}");
        }
        for (member, expected) in self.expected["error"].as_object().into_iter().flatten() {
            assert_eq!(end_json["error"][member], *expected, "{name}: {end:?}");
        }
    }

    fn matches(&self, found: &Value, expected: &Value) -> bool {
        let tolerance = |name: &str, default: f64| expected[name].as_f64().unwrap_or(default);
        match expected.get("value").unwrap_or(expected) {
            Value::Number(number) => {
                let number = number.as_f64().unwrap();
                let allowed = (tolerance("rel_tol", self.rel_tol) * number.abs()).max(tolerance("abs_tol", 0.0));
                found.as_f64().is_some_and(|found| (found - number).abs() <= allowed)
            }
            Value::Array(items) => {
                let found = found.as_array().unwrap();
                found.len() == items.len() && found.iter().zip(items).all(|(found, item)| self.matches(found, item))
            }
            other => found == other,
        }
    }
}

/// Every definition of the folder is known here, and each case ends as it says.
#[test]
fn every_case_ends_as_it_says() {
    let files = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let known = files.filter(|path| path.extension().is_some_and(|extension| extension == "json"));
    let mut known: Vec<_> = known.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    known.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(known, names);
    for case in cases() {
        let mut world = World::new(case.answers(Habits::of(crate::computed::script)), definitions());
        let run = world.start(case.workflow, &case.inputs);
        world.settle();
        case.check(&world.end(run));
        world.runs.values().for_each(crate::world::check_log);
    }
}
