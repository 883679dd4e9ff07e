//! Definitions as authors write them: what is read, and what each fault says and where.

mod faults;

use super::*;
use faults::{BINDINGS, FIELDS, FILES, GRAPH, PORTS};
use mecapy_model::ports::SignatureParts;
use serde_json::value::RawValue;

fn signature(inputs: &str, outputs: &str) -> Signature {
    let [inputs, outputs] = [inputs, outputs].map(|text| RawValue::from_string(text.to_owned()).unwrap());
    let parts = SignatureParts { inputs: Some(&inputs), outputs: Some(&outputs), validity: None };
    Signature::read(parts, "").unwrap()
}

fn known(callee: Callee<'_>) -> Option<Signature> {
    match callee {
        Callee::Function("acme/joint#stress") => Some(signature(
            r#"{"F": {"type": "Force", "unit": "N", "validity": "F > 0"}, "d": {"type": "Length", "unit": "mm"},
                "n": {"type": "Integer", "default": 1}, "size": {"type": "literal[\"M8\",\"M10\"]", "required": false},
                "loads": {"type": {"axial": {"type": "Force", "unit": "N"}}, "required": false},
                "holes": {"type": "list[Length]", "unit": "mm", "required": false},
                "curve": {"type": "File[csv]", "required": false}}"#,
            r#"{"stress": {"type": "Stress", "unit": "MPa"}, "ok": "Boolean", "areas": {"type": "list[Area]", "unit": "mm^2"}}"#,
        )),
        Callee::Workflow { workflow: "sub", version: None } => {
            Some(signature(r#"{"p": {"type": "Pressure", "unit": "bar"}}"#, "{}"))
        }
        _ => None,
    }
}

fn parse(text: &str) -> Result<Definition, Vec<(String, String, String)>> {
    let faults = |faults: Vec<mecapy_model::Fault>| {
        faults.into_iter().map(|fault| (fault.pointer, fault.code, fault.message)).collect()
    };
    Definition::parse(text, &known).map_err(faults)
}

const PY: &str = r#"{"language":"python","source":"def main(**inputs): return inputs"}"#;
const INPUTS: &str = r#"{"F": {"type": "Force", "unit": "kN"}, "d": {"type": "Length", "unit": "mm", "default": 10},
    "n": "Integer", "k": {"type": "Float", "required": false}, "cases": {"type": "list[Force]", "unit": "kN"},
    "file": "String"}"#;

/// A definition of these nodes, `py` standing for Python code and `fn` for the known function.
fn nodes(nodes: &str) -> String {
    let nodes = nodes.replace("$py", &format!(r#""code": {PY}"#));
    let nodes = nodes.replace("$fn", r#""code": {"function": "acme/joint#stress"}"#);
    format!(r#"{{"name": "w", "inputs": {INPUTS}, "nodes": [{nodes}]}}"#)
}

#[test]
fn a_definition_is_read_with_all_that_it_says() {
    let text = nodes(
        r#"{"key": "a", $py, "inputs": {"x": 1.50, "t": {"deep": [{"from": "inputs.F"}, "s"]}}, "cache": "use",
            "retry": {"max_attempts": 3, "backoff_ms": 10, "backoff_factor": 3, "on": ["timeout"]}, "seed": 7,
            "lane": "default", "priority": 9, "limits": {"timeout_ms": 5}, "non_finite": "null", "kernels": "wasm", "timeout_ms": 60000},
           {"key": "b", $fn, "map": {"over": "inputs.cases", "as": "case", "width_max": 5},
            "inputs": {"F": {"from": "case"}, "d": {"from": "a.d", "unit": "m"}, "n": {"expr": "index + 1"}},
            "when": "a.ok and inputs.n > 0", "on_error": "default", "default": {"stress": 0, "ok": true, "areas": []}},
           {"key": "c", "approval": {"message": "ok?", "timeout_ms": 5000}, "needs": ["b"]},
           {"key": "d", "workflow": "sub", "inputs": {"p": {"expr": "max(b.stress)"}},
            "on_error": "skip"},
           {"key": "e", $py, "inputs": {"s": {"from": "d?.out"}},
            "files": {"m.med": {"from": "a.artifacts/out/m.med"}, "u.csv": {"from": "inputs.file"},
                      "b.txt": {"from": "b[0]?.artifacts/b.txt"},
                      "v": "01890000-0000-7000-8000-000000000000"}}"#,
    )
    .replacen(r#""nodes""#, r#""outputs": {"worst": {"expr": "max(b.stress)"}, "all": {"from": "b"}}, "nodes""#, 1);
    let definition = parse(&text).unwrap();
    let node = |key: &str| definition.node(key).unwrap();
    let waits = |key: &str| -> Vec<_> {
        let of = node(key).dependencies.iter();
        of.map(|d| (definition.nodes[d.node].key.as_str(), d.hard)).collect()
    };
    assert_eq!(waits("b"), [("a", true)]);
    assert_eq!(waits("c"), [("b", false)]);
    assert_eq!(waits("d"), [("b", true)]);
    assert_eq!(waits("e"), [("a", true), ("b", false), ("d", false)]);
    let a = node("a");
    assert_eq!((a.cache, a.seed, a.timeout_ms), (CacheMode::Use, Some(7), Some(60_000)));
    let settings: Vec<_> = a.settings.iter().map(|(name, value)| (*name, value.get())).collect();
    let expected = [
        ("lane", "\"default\""),
        ("priority", "9"),
        ("non_finite", "\"null\""),
        ("kernels", "\"wasm\""),
        ("limits", r#"{"timeout_ms": 5}"#),
    ];
    assert_eq!(settings, expected);
    assert!(matches!(&a.inputs[1].1, Binding::Compound(pieces) if pieces.len() == 3));
    assert_eq!(node("c").timeout_ms, Some(5_000));
    assert_eq!(node("b").map.as_ref().map(|map| (map.name.as_str(), map.width_max)), Some(("case", 5)));
    assert_eq!(definition.outputs.keys().collect::<Vec<_>>(), ["worst", "all"]);
    // From kN to N, and from what is said to be m to mm.
    let ports = |name: &str| {
        let (_, binding) = node("b").inputs.iter().find(|(known, _)| known == name).unwrap();
        let bound = binding.bounds().next().unwrap();
        bound.ports.as_ref().map(|(from, to)| format!("{} {}", from.unit().unwrap(), to.unit().unwrap()))
    };
    assert_eq!((ports("F").as_deref(), ports("d").as_deref()), (Some("kN N"), Some("m mm")));
    assert_eq!(definition.untyped().count(), 0);
    let retry = RetryRule {
        max_attempts: 3,
        backoff_ms: 10,
        backoff_factor: 3.0,
        on: Some(vec![mecapy_model::ErrorKind::Timeout.into()]),
    };
    assert_eq!(a.retry, retry);
}

/// Each fault with its pointer, code and a part of its message.
#[test]
fn every_fault_says_where_and_what_to_do() {
    for (text, pointer, code, part) in GRAPH.iter().chain(FIELDS).chain(BINDINGS).chain(PORTS).chain(FILES) {
        let found = parse(&nodes(text)).err().unwrap_or_else(|| panic!("{text} was read"));
        let hit = found.iter().find(|(at, kind, message)| at == pointer && kind == code && message.contains(part));
        assert!(hit.is_some() && found.len() == 1, "{text}: {found:#?}");
    }
}

#[test]
fn the_whole_has_bounds_and_faults_of_its_own() {
    let py = format!(r#"{{"key": "a", "code": {PY}}}"#);
    let many: Vec<_> = (0..=NODES_MAX).map(|n| format!(r#"{{"key": "n{n}", "code": {PY}}}"#)).collect();
    let many = format!(r#"{{"name": "w", "nodes": [{}]}}"#, many.join(","));
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(DEFINITION_BYTES_MAX));
    let deep = format!(
        r#"{{"name": "w", "nodes": [{{"key": "a", "code": {PY}, "inputs": {{"x": {}1{}}}}}]}}"#,
        "[".repeat(70),
        "]".repeat(70)
    );
    let rows = [
        ("", "", "malformed", "EOF"),
        ("{\"name\": \"w\",}", "", "malformed", "line 1 column 14"),
        ("[]", "", "wrong_type", "an object is needed here, not an array"),
        ("{\"name\": \"w\", \"nodes\": []}", "/nodes", "out_of_range", "1 to 500"),
        ("{\"name\": \"w\", \"nodes\": {}}", "/nodes", "wrong_type", "an array of nodes"),
        ("{\"name\": \"w\"}", "/nodes", "required", "needed"),
        (many.as_str(), "/nodes", "out_of_range", "1 to 500"),
        (&long, "", "too_long", "1048576 bytes at most"),
        (&deep, &format!("/nodes/0/inputs/x{}", "/0".repeat(60)), "too_deep", "64 deep"),
        (&format!(r#"{{"nodes": [{py}]}}"#), "/name", "required", "needed"),
        (
            &format!(r#"{{"name": "w", "nodes": [{py}], "ouputs": {{}}}}"#),
            "/ouputs",
            "unknown_field",
            "outputs, limits",
        ),
        (
            &format!(r#"{{"name": "w", "nodes": [{py}], "outputs": {{"x": {{"from": "b"}}}}}}"#),
            "/outputs/x/from",
            "unknown_reference",
            "inputs, a",
        ),
        (
            &format!(r#"{{"name": "w", "nodes": [{py}], "outputs": {{"x y": 1}}}}"#),
            "/outputs/x y",
            "invalid_name",
            "letters",
        ),
        (
            &format!(r#"{{"name": "w", "nodes": [{py}], "inputs": {{"x": "Lenght"}}}}"#),
            "/inputs/x/type",
            "unknown_type",
            "Lenght",
        ),
        (
            &format!(r#"{{"name": "w", "nodes": [{py}], "limits": {{"depth_max": 9}}}}"#),
            "/limits/depth_max",
            "out_of_range",
            "1 to 8",
        ),
        ("{\"name\": \"w\\ud800\", \"nodes\": [1]}", "/name", "malformed", "surrogate"),
    ];
    for (text, pointer, code, part) in rows {
        let found = parse(text).err().unwrap_or_else(|| panic!("{text} was read"));
        let hit = found.iter().any(|(at, kind, message)| at == pointer && kind == code && message.contains(part));
        assert!(hit, "{}: {found:#?}", &text[..text.len().min(200)]);
    }
}

#[test]
fn security_36_circles_and_a_fan_out_of_a_million_are_refused_with_their_pointer() {
    let million = format!("[{}]", vec!["1"; 100_000].join(","));
    let rows = [
        (r#"{"key": "a", $py, "needs": ["b"]}, {"key": "b", $py, "needs": ["a"]}"#.to_owned(), "/nodes/0", "cycle"),
        (r#"{"key": "a", $py, "inputs": {"x": {"from": "a"}}}"#.to_owned(), "/nodes/0", "cycle"),
        (
            r#"{"key": "a", $py, "map": {"over": "inputs.cases", "width_max": 1000000}}"#.to_owned(),
            "/nodes/0/map/width_max",
            "out_of_range",
        ),
        (format!(r#"{{"key": "a", $py, "map": {{"over": {million}}}}}"#), "/nodes/0/map/over", "too_many"),
    ];
    for (text, pointer, code) in rows {
        let found = parse(&nodes(&text)).unwrap_err();
        assert!(found.len() == 1 && found[0].0 == pointer && found[0].1 == code, "{found:#?}");
    }
}

#[test]
fn what_calls_something_unknown_can_be_told() {
    let text =
        r#"{"key": "a", $py}, {"key": "b", "code": {"function": "acme/other#x"}}, {"key": "c", "workflow": "far"}"#;
    assert_eq!(parse(&nodes(text)).unwrap().untyped().collect::<Vec<_>>(), ["b", "c"]);
}

#[test]
fn several_faults_come_together() {
    let found =
        parse(&nodes(r#"{"key": "a", $py, "bad": 1, "when": "1 +"}, {"key": "b", "inputs": {"x": {"from": "q"}}}"#));
    let codes: Vec<_> = found.unwrap_err().into_iter().map(|(pointer, code, _)| format!("{pointer} {code}")).collect();
    let expected = [
        "/nodes/0/when invalid_expression",
        "/nodes/0/bad unknown_field",
        "/nodes/1 kind",
        "/nodes/1/inputs/x/from unknown_reference",
    ];
    assert_eq!(codes, expected);
}

#[test]
fn inputs_of_a_run_are_completed_and_brought_to_their_units() {
    let definition = parse(&nodes(r#"{"key": "a", $py}"#)).unwrap();
    let check = |text: &str| {
        let raw = RawValue::from_string(text.to_owned()).unwrap();
        definition.check_inputs(&raw, "/inputs").map(|inputs| inputs.values.get().to_owned())
    };
    let given = r#"{"F": {"value": 1500, "unit": "N"}, "n": 3, "cases": [1.50], "file": "x"}"#;
    let expected = r#"{"F":1.5,"d":10.0,"n":3,"k":null,"cases":[1.50],"file":"x"}"#;
    let found = check(given).unwrap();
    assert_eq!(found, expected);
    assert_eq!(check(&found).unwrap(), expected);
    let faults = check(r#"{"F": 1, "n": 1.5, "x": 1}"#).unwrap_err();
    let mut pointers: Vec<_> = faults.into_iter().map(|fault| fault.pointer).collect();
    pointers.sort();
    assert_eq!(pointers, ["/inputs/cases", "/inputs/file", "/inputs/n", "/inputs/x"]);
}

#[test]
fn no_text_makes_it_panic() {
    use proptest::prelude::*;
    let good =
        nodes(r#"{"key": "a", $fn, "inputs": {"F": {"expr": "inputs.F * 2"}, "d": 1}, "map": {"over": [1, 2]}}"#);
    proptest!(ProptestConfig::with_cases(2_000), |(from in 0..1000usize, len in 0..40usize, put in "[\\[\\]{}\",:0-9a-z]{0,6}")| {
        let from = from % good.len();
        let until = (from + len).min(good.len());
        if let (Some(head), Some(tail)) = (good.get(..from), good.get(until..)) {
            let _ = parse(&format!("{head}{put}{tail}"));
        }
    });
}
