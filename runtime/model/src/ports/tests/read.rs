//! Signatures from manifests: what is read, what is refused field by field, and the way into a store and back.

use super::{raw, read, types::any_type};
use crate::ports::{Port, Side, Signature, SignatureParts};
use proptest::prelude::*;

fn places(inputs: &str, outputs: &str, validity: &str) -> Vec<String> {
    let faults = read(inputs, outputs, validity).unwrap_err();
    faults.into_iter().map(|fault| format!("{} {} {}", fault.pointer, fault.code, fault.message)).collect()
}

#[test]
fn a_port_is_a_type_alone_or_an_object() {
    let inputs = r#"{
        "d": "Length",
        "F": {"type": "Force", "unit": "kN", "description": "axial load", "required": false},
        "n": {"type": "Integer", "default": 12.0, "validity": {"expression": "n > 0", "on_violation": "flag"}},
        "t": {"type": "Length", "unit": "mm", "default": {"value": 1, "unit": "in"}, "validity": "t < d"},
        "u": {"type": "Float", "unit": 1},
        "plate": {"type": {"t": {"type": "Length", "unit": "mm"}, "holes": "list[struct{d: Length in mm}]"}}
    }"#;
    let signature = read(inputs, r#"{"s": "Stress"}"#, r#""s > F""#).unwrap();
    let names: Vec<_> = signature.inputs().keys().map(String::as_str).collect();
    assert_eq!(names, ["d", "F", "n", "t", "u", "plate"]);
    let port = |name: &str| &signature.inputs()[name];
    assert_eq!(port("F").description(), Some("axial load"));
    assert_eq!(["d", "F", "n", "plate"].map(|name| port(name).is_required()), [true, false, false, true]);
    let default = |name: &str| port(name).default().map(|value| value.get());
    assert_eq!(["d", "F", "n", "t"].map(default), [None, None, Some("12"), Some("25.4")]);
    assert_eq!(port("plate").ty().to_string(), "struct{t: Length in mm, holes: list[struct{d: Length in mm}]}");
    assert_eq!(signature.validity()[0].names(), ["s", "F"]);
    assert_eq!(signature.side(Side::Output).len(), 1);
    // What is stored is read again as the same.
    let stored = serde_json::to_string(&signature).unwrap();
    let again: Signature = serde_json::from_str(&stored).unwrap();
    assert_eq!(again, signature);
    assert_eq!(serde_json::to_string(&again).unwrap(), stored);
    let empty = Signature::read(SignatureParts::default(), "").unwrap();
    assert_eq!(empty, Signature::default());
    assert_eq!(serde_json::from_str::<Signature>("{}").unwrap(), empty);
}

/// Inputs, and the fault that they have: where below the function, its code, what its message says.
const REFUSED: &[(&str, &str)] = &[
    ("[]", "/inputs wrong_type an object of ports is needed"),
    (r#"{"p": 1}"#, "/inputs/p wrong_type a type, or an object with \"type\""),
    (r#"{"p": {}}"#, "/inputs/p/type required a port needs a type"),
    (r#"{"p": {"type": null}}"#, "/inputs/p/type required"),
    (r#"{"p": {"type": 1}}"#, "/inputs/p/type wrong_type the text of a type"),
    (r#"{"p": "Lenght"}"#, "/inputs/p/type unknown_type there is no type \"Lenght\""),
    (r#"{"p": {"type": {}}}"#, "/inputs/p/type required a struct needs one field"),
    (r#"{"p": {"type": {"q": {"type": {"r": "int"}}}}}"#, "/inputs/p/type/q/type/r/type unknown_type"),
    (r#"{"p": "struct{q: Length in furlong}"}"#, "/inputs/p/type unknown_unit the field \"q\""),
    (
        r#"{"p": {"type": "Length", "unit": "Bar"}}"#,
        "/inputs/p/unit unknown_unit there is no unit \"Bar\": did you mean \"bar\"?",
    ),
    (
        r#"{"p": {"type": "Length", "unit": "bar"}}"#,
        "/inputs/p/unit wrong_dimension bar measures a pressure (kg/(m*s^2)), and a length is declared: use one of m, mm",
    ),
    (
        r#"{"p": {"type": "Frequency", "unit": "rad/s"}}"#,
        "/inputs/p/unit wrong_dimension rad/s measures rad/s, and a frequency is declared",
    ),
    (r#"{"p": {"type": "String", "unit": "mm"}}"#, "/inputs/p/unit unit_not_allowed String has no unit"),
    (
        r#"{"p": {"type": {"q": "Length"}, "unit": "mm"}}"#,
        "/inputs/p/unit unit_not_allowed struct{q: Length} has no unit of its own: leave `unit` out, and declare units on the fields",
    ),
    (r#"{"p": {"type": "Length", "unit": 3}}"#, "/inputs/p/unit wrong_type the text of a unit"),
    (r#"{"p": {"type": "Length", "description": 3}}"#, "/inputs/p/description wrong_type a string"),
    (r#"{"p": {"type": "Length", "required": "yes"}}"#, "/inputs/p/required wrong_type true or false"),
    (r#"{"p": {"type": "Length", "requierd": true}}"#, "/inputs/p/requierd unknown_field a port has no \"requierd\""),
    (r#"{"p": {"type": "Length", "default": "thick"}}"#, "/inputs/p/default wrong_type a length"),
    (r#"{"p": {"type": "Length", "default": {"value": 1, "unit": "s"}}}"#, "/inputs/p/default/unit wrong_dimension"),
    (r#"{"p": {"type": "Integer", "default": 4294967296}}"#, "/inputs/p/default out_of_range"),
    (r#"{"p": {"type": "Length", "default": 1, "required": true}}"#, "/inputs/p/required contradiction"),
    (r#"{"p": {"type": "Length", "validity": "p >"}}"#, "/inputs/p/validity invalid_validity"),
    (r#"{"p": {"type": "Length", "validity": 3}}"#, "/inputs/p/validity wrong_type"),
    (r#"{"p": {"type": "Length", "validity": "q > 0"}}"#, "/inputs/p/validity invalid_validity \"q\" is no port"),
    (
        r#"{"p": {"type": "Length", "validity": {"expression": "p >"}}}"#,
        "/inputs/p/validity/expression invalid_validity",
    ),
    (r#"{"p": {"type": "Length", "validity": {"on_violation": "flag"}}}"#, "/inputs/p/validity/expression required"),
    (
        r#"{"p": {"type": "Length", "validity": {"expression": "p > 0", "on_violation": "warn"}}}"#,
        "/inputs/p/validity/on_violation unknown_value",
    ),
    (
        r#"{"p": {"type": "Length", "validity": {"expression": "p > 0", "message": "x"}}}"#,
        "/inputs/p/validity/message unknown_field",
    ),
    (
        r#"{"p": {"type": {"q": {"type": "Length", "validity": "p > 0"}}}}"#,
        "/inputs/p/type/q/validity invalid_validity",
    ),
    (r#"{"p q": "Length"}"#, "/inputs/p q invalid_name"),
    (r#"{"": "Length"}"#, "/inputs/ invalid_name"),
    (r#"{"a/b": "Length"}"#, "/inputs/a~1b invalid_name"),
    (r#"{"1a": "Length"}"#, "/inputs/1a invalid_name"),
    (r#"{"p": "Length", "p": "Length"}"#, "/inputs/p duplicate"),
];

#[test]
fn each_field_that_is_wrong_is_named_with_what_to_do() {
    let description = format!("{{\"p\": {{\"type\": \"Float\", \"description\": \"{}\"}}}}", "x".repeat(4_001));
    let name = format!("{{\"{}\": \"Float\"}}", "x".repeat(65));
    let long = [(description.as_str(), "/inputs/p/description too_long"), (name.as_str(), "invalid_name")];
    for (inputs, expected) in REFUSED.iter().copied().chain(long) {
        let found = places(inputs, "{}", "[]");
        assert_eq!(found.len(), 1, "{inputs:.80}: {found:?}");
        let found = found[0].strip_prefix("/functions/f").unwrap();
        assert!(found.contains(expected), "{inputs:.80}: {found}");
    }
}

#[test]
fn all_faults_of_a_signature_are_told_at_once() {
    let found = places(
        r#"{"a": "x", "b": {"type": "Length", "unit": "s"}}"#,
        r#"{"o": "Object", "l": "list[Object]"}"#,
        r#"["a >", 1]"#,
    );
    let places: Vec<_> = found.iter().map(|text| text.split(' ').next().unwrap()).collect();
    let expected = [
        "/functions/f/inputs/a/type",
        "/functions/f/inputs/b/unit",
        "/functions/f/outputs/o/type",
        "/functions/f/outputs/l/type",
        "/functions/f/validity/0",
        "/functions/f/validity/1",
    ];
    assert_eq!(places, expected);
    assert!(found[2].contains("Object is for inputs alone"), "{}", found[2]);
    let twofold = self::places(r#"{"x": "Float"}"#, r#"{"x": "Float"}"#, r#"["x > 0"]"#);
    assert!(twofold[0].contains("both an input and an output"), "{twofold:?}");
    // A port's own condition speaks of its own side first.
    assert!(read(r#"{"x": "Float"}"#, r#"{"x": {"type": "Float", "validity": "x > 0"}}"#, "[]").is_ok());
}

#[test]
fn signatures_that_are_bombs_are_refused() {
    let deep = format!("{{\"p\": {}\"Float\"{}}}", "{\"type\": {\"a\": ".repeat(50), "}}".repeat(50));
    assert!(places(&deep, "{}", "[]")[0].contains("too_deep"), "{:?}", places(&deep, "{}", "[]"));
    let deeper = format!("{{\"p\": {}\"Float\"{}}}", "{\"type\": {\"a\": ".repeat(100_000), "}}".repeat(100_000));
    assert!(places(&deeper, "{}", "[]")[0].contains("too_deep"));
    // Texts and mappings count together, so that what is stored can be read again.
    let lists = |count: usize| format!("\"{}Float{}\"", "list[".repeat(count), "]".repeat(count));
    let both = |mappings: usize, count: usize| {
        format!("{{\"p\": {}{}{}}}", "{\"type\": {\"a\": ".repeat(mappings), lists(count), "}}".repeat(mappings))
    };
    let deepest = read(&both(8, 7), "{}", "[]").unwrap();
    let stored = serde_json::to_string(&deepest).unwrap();
    assert_eq!(serde_json::from_str::<Signature>(&stored).unwrap(), deepest);
    assert!(places(&both(8, 8), "{}", "[]")[0].contains("too_deep"));
    let wide: Vec<_> = (0..300).map(|index| format!("\"p{index}\":\"Float\"")).collect();
    assert!(places(&format!("{{{}}}", wide.join(",")), "{}", "[]")[0].contains("256"));
    let conditions = vec!["\"1 > 0\""; 65].join(",");
    assert!(places("{}", "{}", &format!("[{conditions}]"))[0].contains("64 conditions"));
    let names: Vec<_> = (0..100_000).map(|index| format!("\"p {index}\":\"Float\"")).collect();
    assert!(places(&format!("{{{}}}", names.join(",")), "{}", "[]").len() <= crate::ports::FAULTS_MAX);
}

proptest! {
    #[test]
    fn signatures_come_back_from_their_store(types in prop::collection::vec(any_type(), 1..6)) {
        let port = |(index, ty): (usize, &String)| format!("\"p{index}\":{{\"type\":{ty:?},\"required\":{}}}", index % 2 == 0);
        let ports: Vec<_> = types.iter().enumerate().map(port).collect();
        let signature = read(&format!("{{{}}}", ports.join(",")), "{}", "[]").unwrap();
        let stored = serde_json::to_string(&signature).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Signature>(&stored).unwrap(), &signature);
    }
}

#[test]
fn a_default_is_checked_on_the_side_of_its_port() {
    let signature = read("{}", r#"{"n": {"type": "Integer", "default": 5000000000}}"#, "[]").unwrap();
    assert_eq!(signature.outputs()["n"].default().map(|value| value.get()), Some("5000000000"));
    assert!(Port::new("Length".parse().unwrap(), Some("s".parse().unwrap())).is_err());
    assert!(
        serde_json::from_str::<Signature>(r#"{"inputs": {"a": "x"}}"#)
            .unwrap_err()
            .to_string()
            .contains("/inputs/a/type")
    );
    assert!(Signature::read(SignatureParts { inputs: Some(&raw("null")), ..Default::default() }, "").is_ok());
}
