//! Test cases in both forms, and what is told of wrong ones.

use super::*;

const TESTED: &str = r#"version: "1"
package: {name: beams, version: 0.1.0}
runtime: {kind: python}
functions:
  deflection:
    handler: beams:deflection
    inputs: {force: {type: Force, default: 1}, length: {type: Length}}
  report:
    handler: beams:report
    inputs: {table: {type: "File[csv]"}, title: {type: String, default: x}}
  loose: {handler: "beams:loose"}
"#;

const SOURCES: &str = "def deflection(length, force=1.0):\n    return length * force\ndef report(table, title='x'):\n    return {}\ndef loose(a, b):\n    return a\n";

fn with(file: &str, text: &str) -> Result<Package, Vec<Fault>> {
    open(&[
        ("mecapy.yml", TESTED.as_bytes()),
        ("beams.py", SOURCES.as_bytes()),
        (file, text.as_bytes()),
        ("tests/t.csv", b"a"),
        ("root.csv", b"b"),
    ])
}

/// Cases as `function inputs expected`, one a line.
fn read(text: &str) -> Vec<String> {
    let package = with("tests/test_a.json", text).unwrap_or_else(|faults| panic!("{text}\n{:#?}", shown(&faults)));
    let expected = |case: &TestCase| match &case.expected {
        Expected::Outputs { outputs, tolerance } => {
            format!("{outputs} ±{} ±{}", tolerance.absolute, tolerance.relative)
        }
        Expected::Exception(exception) => format!("{} {:?}", exception.kind, exception.message),
    };
    package.test_cases.iter().map(|case| format!("{} {} {}", case.function, case.inputs, expected(case))).collect()
}

#[test]
fn both_forms_become_one() {
    let ordered = r#"{"handler": "beams:deflection", "description": "d", "test_cases": [
        {"name": "a", "request": {"length": 2.50, "force": 3}, "expected": {"result": 7.5}, "tolerance": {"numeric": 0.1}},
        {"name": "b", "request": {"longueur": 2, "effort": 3}, "expected": {}},
        {"request": {"longueur": 2}, "expected": 2}]}"#;
    assert_eq!(
        read(ordered),
        [
            r#"deflection {"length":2.50,"force":3} {"result":7.5} ±0.1 ±0"#,
            r#"deflection {"length":2,"force":3} {} ±0 ±0.000000001"#,
            r#"deflection {"length":2} {"result":2} ±0 ±0.000000001"#,
        ]
    );
    let named = r#"{"function": "deflection", "version": "1.0", "test_cases": [
        {"inputs": {"force": 1e400}, "expected_outputs": {"result": {"value": 1, "unit": "mm"}}, "tolerance": {"relative": 1e-3, "numeric": 2}},
        {"inputs": {}, "expected_exception": "TypeError: missing"},
        {"expected_exception": "TypeError"}]}"#;
    assert_eq!(
        read(named),
        [
            r#"deflection {"force":1e400} {"result":{"value":1,"unit":"mm"}} ±2 ±0.001"#,
            r#"deflection {} TypeError Some("missing")"#,
            r#"deflection {} TypeError None"#,
        ]
    );
    let by_handler = r#"{"function": "beams:loose", "test_cases": [{"request": {"x": 1, "y": [2]}, "expected": 1}]}"#;
    assert_eq!(read(by_handler), [r#"loose {"a":1,"b":[2]} {"result":1} ±0 ±0.000000001"#]);
}

#[test]
fn files_are_found_beside_the_cases_or_at_the_root() {
    let text = r#"{"function": "report", "test_cases": [
        {"inputs": {"table": "t.csv", "title": "y"}, "expected_outputs": {}},
        {"inputs": {"table": "./root.csv"}, "expected_outputs": {}}]}"#;
    let package = with("tests/test_a.json", text).unwrap();
    let files: Vec<_> =
        package.test_cases.iter().map(|case| (case.inputs.as_str(), case.files[0].1.as_str())).collect();
    assert_eq!(files, [(r#"{"title":"y"}"#, "tests/t.csv"), ("{}", "root.csv")]);
    let missing = text.replace("t.csv", "../../etc/passwd");
    assert_faults(
        with("tests/test_a.json", &missing),
        &[
            "/files/tests~1test_a.json/test_cases/0 file_missing@2 tests/test_a.json, line 2: the package has no file \"../../etc/passwd\"",
            "/files/tests~1test_a.json/test_cases/1 file_missing@3",
        ],
        &missing,
    );
}

#[test]
fn wrong_fields_of_a_file_are_told_with_their_line() {
    let at = |rest: &str| format!("/files/tests~1test_a.json{rest}");
    for (text, expected) in [
        (
            "{\"test_cases\": []}".to_owned(),
            "/function required@1 tests/test_a.json, line 1: the field \"function\" is needed",
        ),
        (
            "{\"function\": \"deflektion\", \"test_cases\": []}".to_owned(),
            "/function invalid_value@1 …did you mean deflection?",
        ),
        (
            "{\"handler\": \"beams:deflektion\", \"test_cases\": []}".to_owned(),
            "/handler invalid_value@1 …did you mean beams:deflection?",
        ),
        (
            "{\"function\": \"nothing\", \"test_cases\": []}".to_owned(),
            "/function invalid_value@1 …there are deflection, report, loose",
        ),
        (
            "{\"function\": \"report\", \"handler\": \"beams:report\", \"test_cases\": []}".to_owned(),
            "/handler conflict@1",
        ),
        ("{\"function\": [1], \"test_cases\": []}".to_owned(), "/function wrong_type@1"),
        ("{\"function\": \"report\", \"test_cases\": {}}".to_owned(), "/test_cases wrong_type@1"),
        ("{\"function\": \"report\", \"test_cases\": null}".to_owned(), "/test_cases required@1"),
        (
            "{\"function\": \"report\", \"desciption\": \"\", \"test_cases\": []}".to_owned(),
            "/desciption unknown_field@1 …did you mean description?",
        ),
        ("{\"function\": ".to_owned(), " malformed@1 tests/test_a.json, line 1:"),
        ("{\"function\": \"a\", \"function\": \"b\", \"test_cases\": 1}".to_owned(), " malformed@1 …twice"),
    ] {
        assert_faults(with("tests/test_a.json", &text), &[&at(expected)], &text);
    }
}

#[test]
fn wrong_fields_of_a_case_are_told_with_their_file_and_line() {
    let case = |text: &str| format!("{{\"function\": \"deflection\", \"test_cases\": [\n{text}]}}");
    let at = |rest: &str| format!("/files/tests~1test_a.json{rest}");
    for (text, expected) in [
        (case("3"), "/test_cases/0 wrong_type@2"),
        (case("{}"), "/test_cases/0/expected_outputs required@2 …say what must come of it"),
        (case("{\"inputs\": [1], \"expected\": 1}"), "/test_cases/0/inputs wrong_type@2"),
        (case("{\"inputs\": {}, \"request\": {}, \"expected\": 1}"), "/test_cases/0/request conflict@2"),
        (
            case("{\"request\": {\"a\": 1, \"b\": 2, \"c\": 3}, \"expected\": 1}"),
            "/test_cases/0/request too_many@2 …3 values are given, and deflection takes length, force",
        ),
        (case("{\"expected\": 1, \"expected_outputs\": 1}"), "/test_cases/0/expected_outputs conflict@2"),
        (case("{\"expected\": 1, \"expected_exception\": \"E\"}"), "/test_cases/0/expected_outputs conflict@2"),
        (case("{\"expected_exception\": \"not a name\"}"), "/test_cases/0/expected_exception invalid_value@2"),
        (case("{\"expected_exception\": {}}"), "/test_cases/0/expected_exception wrong_type@2"),
        (case("{\"expected\": 1, \"tolerance\": 0.1}"), "/test_cases/0/tolerance wrong_type@2"),
        (case("{\"expected\": 1, \"tolerance\": {\"numeric\": -1}}"), "/test_cases/0/tolerance/numeric wrong_type@2"),
        (
            case("{\"expected\": 1, \"tolerance\": {\"numeric\": \"1\"}}"),
            "/test_cases/0/tolerance/numeric wrong_type@2",
        ),
        (
            case("{\"expected\": 1, \"tolerance\": {\"absolute\": 1}}"),
            "/test_cases/0/tolerance/absolute unknown_field@2",
        ),
        (
            case("{\"expected\": 1, \"tolerence\": {\"numeric\": 1}}"),
            "/test_cases/0/tolerence unknown_field@2 …did you mean tolerance?",
        ),
        (case("{\"name\": [1], \"expected\": 1}"), "/test_cases/0/name wrong_type@2"),
    ] {
        assert_faults(with("tests/test_a.json", &text), &[&at(expected)], &text);
    }
}

#[test]
fn cases_of_the_manifest_and_files_that_it_names() {
    let (line, _) = TESTED.split_once("  loose").unwrap();
    let manifest = format!(
        "{line}  loose: {{handler: \"beams:loose\", testcases: [{{inputs: {{a: 1}}, expected: 2}}, {{}}, tests/t.csv, data.json]}}\n"
    );
    let package = open(&[
        ("mecapy.yml", manifest.as_bytes()),
        ("beams.py", SOURCES.as_bytes()),
        ("tests/t.csv", b"a"),
        ("data.json", b"{\"function\": \"report\", \"test_cases\": []}"),
    ]);
    assert_faults(
        package,
        &[
            "/functions/loose/testcases/1/expected_outputs required@11",
            "/files/data.json/function conflict@1 data.json, line 1: the manifest names data.json for loose, and the file names report",
            "/files/tests~1t.csv wrong_type@1",
        ],
        &manifest,
    );
}

#[test]
fn what_is_no_test_case_is_passed_over_with_a_warning() {
    for text in ["{\"table\": [1, 2]}", "[1]", "3"] {
        let package = with("tests/test_a.json", text).unwrap();
        assert_eq!((package.test_cases.len(), package.warnings[0].code.as_str()), (0, "no_test_cases"), "{text}");
    }
    let package = with("tests/other.json", "{").unwrap();
    assert!(package.test_cases.is_empty() && package.warnings.is_empty());
    let text = r#"{"function": "loose", "team": "x", "test_cases": [{"expected": 1, "slow": true}]}"#;
    let package = with("tests/test_a.json", text).unwrap();
    let codes: Vec<_> = package.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(
        codes,
        [
            "tests/test_a.json, line 1: the field \"slow\" has no meaning here and is passed over",
            "tests/test_a.json, line 1: the field \"team\" has no meaning here and is passed over",
        ]
    );
}

#[test]
fn there_is_an_end_to_test_cases() {
    let cases = vec!["{\"expected\": 1}"; 2_001].join(",");
    let text = format!("{{\"function\": \"loose\", \"test_cases\": [{cases}]}}");
    assert_faults(
        with("tests/test_a.json", &text),
        &[" too_many The package has 2001 test cases; 2000 are allowed."],
        "",
    );
    let deep = format!("{{\"function\": \"loose\", \"test_cases\": [{{\"inputs\": {}", "{\"a\":".repeat(100_000));
    assert_faults(with("tests/test_a.json", &deep), &["/files/tests~1test_a.json malformed@1"], "deep");
}
