//! Whole calls: structures, defaults, files, what is missing, unknown or too much.

use super::{given, inputs, raw, read};
use crate::NonFinite;
use crate::ports::{FAULTS_MAX, Run, Signature};

fn faults(signature: &Signature, text: &str) -> Vec<(String, String, String)> {
    let faults = signature.check_inputs(&raw(text), "/inputs").unwrap_err();
    faults.into_iter().map(|fault| (fault.pointer, fault.code, fault.message)).collect()
}

fn places(signature: &Signature, text: &str) -> Vec<String> {
    faults(signature, text).into_iter().map(|(pointer, code, _)| format!("{pointer} {code}")).collect()
}

const JOINT: &str = r#"{
    "bolt": {"type": {
        "d": {"type": "Length", "unit": "mm", "description": "nominal diameter"},
        "grade": "literal[\"8.8\",\"10.9\"]",
        "thread": {"type": {
            "pitch": {"type": "Length", "unit": "mm"},
            "flanks": {"type": {"angle": {"type": "Angle", "unit": "deg"}, "rough": "Boolean"}}
        }}
    }},
    "loads": "list[Force3]",
    "count": {"type": "Integer", "default": 4},
    "mu": {"type": "Float", "required": false},
    "mesh": {"type": "File[med,msh]", "required": false},
    "extra": {"type": "Object", "required": false}
}"#;

#[test]
fn a_call_comes_out_in_the_order_of_the_signature_with_its_defaults() {
    let signature = inputs(JOINT);
    let text = r#" { "mesh": "a/Plate.MED",
        "loads": [[1,2,3], {"value": [1,0,0], "unit": "kN"}], "mu": null, "extra": {"z": 1.10, "a": [1e400]},
        "bolt": {"thread": {"flanks": {"rough": false, "angle": {"value": 1, "unit": "rev"}}, "pitch": 1.75}, "grade": "8.8", "d": 12} } "#;
    let checked = signature.check_inputs(&raw(text), "/inputs").unwrap();
    let expected = concat!(
        r#"{"bolt":{"d":12.0,"grade":"8.8","thread":{"pitch":1.75,"flanks":{"angle":360.0,"rough":false}}},"#,
        r#""loads":[[1.0,2.0,3.0],[1000.0,0.0,0.0]],"count":4,"mesh":"a/Plate.MED","extra":{"z": 1.10, "a": [1e400]}}"#
    );
    assert_eq!(checked.values.get(), expected);
    let files: Vec<_> = checked.files.iter().map(|file| (file.pointer.as_str(), file.name.as_str())).collect();
    assert_eq!(files, [("/inputs/mesh", "a/Plate.MED")]);
}

#[test]
fn a_fault_three_levels_deep_has_its_pointer() {
    let signature = inputs(JOINT);
    let text = r#"{"loads": [], "bolt": {"d": 12, "grade": "8.8",
        "thread": {"pitch": 1.75, "flanks": {"angle": {"value": 60, "unit": "mm"}, "rough": "yes"}}}}"#;
    let found = faults(&signature, text);
    let shown: Vec<_> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
    let expected = [
        ("/inputs/bolt/thread/flanks/angle/unit", "wrong_dimension"),
        ("/inputs/bolt/thread/flanks/rough", "wrong_type"),
    ];
    assert_eq!(shown, expected);
    assert!(
        found[0].2.contains("mm measures a length (m), and an angle in deg is needed here: use one of rad"),
        "{}",
        found[0].2
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let signature = inputs(JOINT);
    let text = r#"{"Bolt": 1, "lenght": 2, "loads": 7, "count": "4", "mu": [], "mesh": "x.stl", "extra": []}"#;
    let expected = [
        "/inputs/bolt required",
        "/inputs/loads wrong_type",
        "/inputs/count wrong_type",
        "/inputs/mu wrong_type",
        "/inputs/mesh wrong_extension",
        "/inputs/extra wrong_type",
        "/inputs/Bolt unknown_field",
        "/inputs/lenght unknown_field",
    ];
    assert_eq!(places(&signature, text), expected);
    let messages = faults(&signature, text);
    let advice = |index: usize| messages[index].2.as_str();
    assert!(advice(0).contains("the input \"bolt\" is needed"), "{}", advice(0));
    assert!(advice(4).contains("must end in one of .med, .msh"), "{}", advice(4));
    assert!(advice(6).contains("did you mean \"bolt\"?"), "{}", advice(6));
    assert!(advice(7).contains("there are bolt, loads, count, mu, mesh, extra"), "{}", advice(7));
    let missing =
        faults(&inputs(r#"{"d": {"type": "Length", "unit": "mm", "description": "diameter"}}"#), r#"{"d": null}"#);
    assert_eq!(missing[0].2, "the input \"d\" is needed: a length in mm (diameter)");
    for text in ["[]", "null", "1", "\"x\""] {
        assert_eq!(places(&signature, text), ["/inputs wrong_type"], "{text}");
    }
}

#[test]
fn values_of_other_kinds_are_taken_and_refused() {
    let rows: &[(&str, &str, Result<&str, &str>)] = &[
        ("\"Boolean\"", "true", Ok("true")),
        ("\"Boolean\"", "1", Err("true or false is needed here")),
        ("\"Boolean\"", "\"true\"", Err("not a string")),
        ("\"String\"", "\"a\\u0041\\n\"", Ok("\"a\\u0041\\n\"")),
        ("\"String\"", "\"\\ud800\"", Err("surrogate")),
        ("\"String\"", "12", Err("not a number")),
        ("\"literal[1,2.50,\\\"a\\\",true]\"", "1.0", Ok("1")),
        ("\"literal[1,2.50,\\\"a\\\"]\"", "25e-1", Ok("2.50")),
        ("\"literal[1,2.50,\\\"a\\\"]\"", "\"\\u0061\"", Ok("\"a\"")),
        ("\"literal[1,2.50,\\\"a\\\"]\"", "\"1\"", Err("use one of 1, 2.50, \"a\", not \"1\"")),
        ("\"literal[1]\"", "1e999999999999", Err("use one of 1")),
        ("\"literal[true]\"", "true", Ok("true")),
        ("\"literal[true]\"", "false", Err("use one of true, not false")),
        ("\"literal[1]\"", "{\"a\": 1}", Err("use one of 1, not an object")),
        ("\"File\"", "\"a.med\"", Ok("\"a.med\"")),
        ("\"File[tar.gz]\"", "\"a.tar.gz\"", Ok("\"a.tar.gz\"")),
        ("\"File[tar.gz]\"", "\"atar.gz\"", Err("must end in one of .tar.gz")),
        ("\"File\"", "\"../etc/passwd\"", Err("can't be a file name")),
        ("\"File\"", "\"/abs\"", Err("can't be a file name")),
        ("\"File[med]\"", "\"é\"", Err("must end in")),
        ("\"File\"", "{\"name\": \"a\"}", Err("not an object")),
        ("\"list[String]\"", "[\"a\",\"b\"]", Ok("[\"a\",\"b\"]")),
        ("\"list[String]\"", "{\"value\": [\"a\"], \"unit\": \"mm\"}", Err("an array is needed here")),
        ("\"dict[str,Boolean]\"", "{\"a/b\": true}", Ok("{\"a/b\":true}")),
        ("\"dict[str,Boolean]\"", "{\"a\": true, \"\\u0061\": true}", Err("stands here twice")),
        ("\"dict[str,Boolean]\"", "[]", Err("an object is needed")),
        ("\"Torsor\"", "{\"force\": [1,2,3]}", Err("\"moment\" is needed")),
        ("\"Torsor\"", "[1,2,3,4,5,6]", Err("{\"force\": [x, y, z], \"moment\": [x, y, z]}")),
        ("\"Object\"", "{}", Ok("{}")),
        ("\"list[Integer]\"", "[1,null]", Err("not null")),
    ];
    for (port, value, expected) in rows {
        match (given(port, value), expected) {
            (Ok(text), Ok(expected)) => assert_eq!(text, *expected, "{port} {value}"),
            (Err(faults), Err(needed)) => {
                assert!(faults.iter().any(|(_, _, message)| message.contains(needed)), "{port} {value}: {faults:?}");
            }
            (found, _) => panic!("{port} {value}: {found:?}"),
        }
    }
}

#[test]
fn security_32_keys_that_repeat_are_refused() {
    let signature = inputs(r#"{"d": "Length", "s": {"type": {"x": "Float"}, "required": false}}"#);
    assert_eq!(places(&signature, r#"{"d": 1, "d": 2}"#), ["/inputs/d duplicate"]);
    assert_eq!(places(&signature, r#"{"d": 1, "s": {"x": 1, "\u0078": 2}}"#), ["/inputs/s/x duplicate"]);
    assert_eq!(places(&signature, r#"{"d": 1, "\ud800": 2}"#), ["/inputs wrong_type"]);
}

#[test]
fn security_32_deep_and_huge_values_end_in_faults() {
    let signature = inputs(
        r#"{"d": "Length", "l": {"type": "list[Length]", "required": false}, "o": {"type": "Object", "required": false}}"#,
    );
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(places(&signature, &format!("{{\"d\": {deep}}}")), ["/inputs/d wrong_type"]);
    assert_eq!(places(&signature, &format!("{{\"d\": 1, \"l\": [{deep}]}}")), ["/inputs/l/0 wrong_type"]);
    let objects = format!("{}1{}", "{\"value\":".repeat(100_000), "}".repeat(100_000));
    assert_eq!(places(&signature, &format!("{{\"d\": {objects}}}")), ["/inputs/d/unit required"]);
    let strings = vec!["\"x\""; 1_000_000].join(",");
    assert_eq!(places(&signature, &format!("{{\"d\": 1, \"l\": [{strings}]}}")).len(), FAULTS_MAX);
    let members: Vec<_> = (0..1_000_000).map(|index| format!("\"k{index}\":1")).collect();
    assert_eq!(places(&signature, &format!("{{\"d\": 1, {}}}", members.join(","))), ["/inputs too_many"]);
    let again = vec!["\"d\":1"; 1_000_000].join(",");
    assert_eq!(places(&signature, &format!("{{{again}}}")), ["/inputs too_many"]);
    assert_eq!(places(&signature, &format!("{{\"d\": 1, {}}}", members[..99].join(","))).len(), 99);
    let numbers = vec!["1.5"; 300_000].join(",");
    let checked =
        signature.check_inputs(&raw(&format!("{{\"d\": 1, \"l\": {{\"value\": [{numbers}], \"unit\": \"in\"}}}}")), "");
    assert_eq!(checked.unwrap().values.get().matches("0.0381").count(), 300_000);
}

#[test]
fn outputs_are_checked_the_same_way_and_keep_their_digits() {
    let outputs = r#"{"s": {"type": "Stress", "unit": "MPa"}, "n": "Integer", "ok": "Boolean", "plot": {"type": "File[png]", "required": false}}"#;
    let signature = read("{}", outputs, "[]").unwrap();
    let none = raw("{}");
    let check =
        |text: &str, non_finite| signature.check_outputs(&raw(text), Run { inputs: &none, non_finite }, "/result");
    let kept = check(r#"{"ok": true, "s": 12, "n": 123456789012}"#, NonFinite::Reject).unwrap();
    assert_eq!(kept.values.get(), r#"{"s":12,"n":123456789012,"ok":true}"#);
    let big = format!("{{\"ok\":true,\"s\":1,\"n\":{}}}", "9".repeat(60));
    assert!(check(&big, NonFinite::Reject).unwrap().values.get().contains(&"9".repeat(60)));
    let converted =
        check(r#"{"s": {"value": 12, "unit": "Pa"}, "n": 1.0, "ok": false, "plot": "a.png"}"#, NonFinite::Reject)
            .unwrap();
    assert_eq!(converted.values.get(), r#"{"s":1.2e-5,"n":1,"ok":false,"plot":"a.png"}"#);
    assert_eq!(converted.files[0].pointer, "/result/plot");
    let nothing = check(r#"{"s": null, "n": 1, "ok": true}"#, NonFinite::Null).unwrap();
    assert_eq!(nothing.values.get(), r#"{"s":null,"n":1,"ok":true}"#);
    let shown = |text: &str| -> Vec<String> {
        let faults = check(text, NonFinite::Reject).unwrap_err();
        faults.iter().map(|fault| format!("{} {} {}", fault.pointer, fault.code, fault.message)).collect()
    };
    let faults = shown(r#"{"s": null, "n": 1.5, "ok": 1, "left": 2}"#);
    assert!(faults[0].starts_with("/result/s required the output \"s\" is needed: a stress in MPa"), "{faults:?}");
    assert!(faults[1].starts_with("/result/n not_whole"), "{faults:?}");
    assert!(faults[3].starts_with("/result/left unknown_field there is no output \"left\""), "{faults:?}");
    assert!(shown(r#"{"s": 1, "ok": true, "n": 1e60}"#)[0].starts_with("/result/n out_of_range"));
}

#[test]
fn units_are_put_beside_outputs_where_they_are_asked_for() {
    let outputs = r#"{"s": {"type": "Stress", "unit": "MPa"}, "n": "Integer", "F": {"type": "list[Force]", "unit": "kN"},
        "t": "Torsor", "parts": "list[struct{d: Length in mm, name: String}]", "by": "dict[str,Mass]", "k": "Float"}"#;
    let signature = read("{}", outputs, "[]").unwrap();
    let text = r#"{"s":12.0,"n":1,"F":[1,2],"t":{"force":[1,2,3],"moment":[0,0,0]},"parts":[{"d":1.50,"name":"a"}],"by":{"x":2},"k":3}"#;
    let none = raw("{}");
    let run = Run { inputs: &none, non_finite: NonFinite::Reject };
    let checked = signature.check_outputs(&raw(text), run, "").unwrap();
    let shown = signature.with_units(crate::ports::Side::Output, &checked.values);
    let expected = concat!(
        r#"{"s":{"value":12.0,"unit":"MPa"},"n":1,"F":{"value":[1,2],"unit":"kN"},"#,
        r#""t":{"force":{"value":[1,2,3],"unit":"N"},"moment":{"value":[0,0,0],"unit":"N*m"}},"#,
        r#""parts":[{"d":{"value":1.50,"unit":"mm"},"name":"a"}],"by":{"x":{"value":2,"unit":"kg"}},"k":3}"#
    );
    assert_eq!(shown.get(), expected);
    let again = signature.check_outputs(&shown, run, "").unwrap();
    assert_eq!(again.values.get(), checked.values.get());
}

#[test]
fn security_40_naughty_strings_come_through_exactly_or_are_refused() {
    let texts = [
        "",
        "\0",
        "\u{202e}abc",
        "é\u{301}",
        "👩‍👩‍👧",
        "</script>",
        "'; DROP TABLE--",
        "../../x",
        "a\"b\\\n\r\t",
        "NaN",
        "null",
        "\u{feff}",
    ];
    for text in texts {
        let quoted = serde_json::to_string(text).unwrap();
        assert_eq!(given("\"String\"", &quoted).unwrap(), quoted);
        assert_eq!(
            given("\"dict[str,String]\"", &format!("{{{quoted}:{quoted}}}")).unwrap(),
            format!("{{{quoted}:{quoted}}}")
        );
        let faults = given("\"Float\"", &quoted).unwrap_err();
        assert_eq!(faults[0].0, "/inputs/p");
        let described =
            read(&format!("{{\"p\":{{\"type\":\"Float\",\"description\":{quoted}}}}}"), "{}", "[]").unwrap();
        let stored = serde_json::to_string(&described).unwrap();
        assert_eq!(serde_json::from_str::<Signature>(&stored).unwrap().inputs()["p"].description(), Some(text));
        let names = read(&format!("{{{quoted}:\"Float\"}}"), "{}", "[]");
        assert_eq!(names.is_ok(), matches!(text, "NaN" | "null"), "{text:?}");
    }
}
