//! Each field of a manifest wrong in turn, and what is told of it.

use super::*;

/// The manifest with `from` replaced by `to`.
fn changed(from: &str, to: &str) -> String {
    assert!(MANIFEST.contains(from), "{from}");
    MANIFEST.replacen(from, to, 1)
}

fn open_manifest(manifest: &str) -> Result<Package, Vec<Fault>> {
    let wasm: &[u8] = b"\0asm\x01\0\0\0";
    open(&[
        ("mecapy.yml", manifest.as_bytes()),
        ("beams.py", SOURCE.as_bytes()),
        ("a.wasm", wasm),
        ("Dockerfile", b"FROM x"),
        ("requirements.txt", b"numpy # arrays\n\n# more\n"),
    ])
}

fn check(from: &str, to: &str, expected: &[&str]) {
    let manifest = changed(from, to);
    assert_faults(open_manifest(&manifest), expected, &manifest);
}

#[test]
fn the_manifest_they_start_from_has_no_fault() {
    let package = open_manifest(MANIFEST).unwrap_or_else(|faults| panic!("{:#?}", shown(&faults)));
    let function = package.manifest.function("deflection").unwrap();
    let force = function.signature.inputs().unwrap().get("force").unwrap();
    assert_eq!((force.default().map(|value| value.get()), force.is_required()), (Some("1.50"), false));
    assert_eq!(package.manifest.package.visibility, Visibility::Private);
    assert_eq!(package.manifest.resources(function), Resources { cpus: 2, memory_mib: 2_048, timeout_s: 300 });
    assert_eq!(package.manifest.quality, Quality { on_deployment: true, fail_on_error: true });
}

#[test]
fn the_top() {
    check("version: \"1\"\n", "", &["/version required@1 the field \"version\" is needed"]);
    check("version: \"1\"", "version: 2", &["/version invalid_value@1 \"2\"…write version: \"1\""]);
    check("version: \"1\"", "version: 1.0", &["/version invalid_value@1 \"1.0\""]);
    check("version: \"1\"", "version: [1]", &["/version wrong_type@1 a text is needed here, not a list"]);
    check("version: \"1\"", "version: \"1\"\nversion: \"1\"", &[" malformed@2 …twice"]);
    check("package:\n  name: beams\n  version: 0.1.0\n", "", &["/package required@1"]);
    check(
        "package:\n  name: beams\n  version: 0.1.0\n",
        "package: beams\n",
        &["/package wrong_type@2 a mapping is needed here, not a text"],
    );
    check("runtime:\n  kind: python\n", "", &["/runtime required@1"]);
    check("runtime:\n  kind: python\n", "runtime: python\n", &["/runtime wrong_type@5"]);
    assert_faults(
        open_manifest("version: \"1\"\n"),
        &["/package required", "/runtime required", "/functions required"],
        "",
    );
    assert_faults(open_manifest(""), &[" wrong_type@1 a mapping is needed here, not nothing"], "");
    assert_faults(open_manifest("- a\n"), &[" wrong_type@1 a mapping is needed here, not a list"], "");
    assert_faults(open_manifest("a: [1\n"), &[" malformed@"], "");
}

#[test]
fn unknown_top_keys_are_kept_and_inner_ones_are_not() {
    let manifest = format!("{MANIFEST}norm: {{reference: VDI 2230, year: 2015.0}}\ntests: [1]\n");
    let package = open_manifest(&manifest).unwrap();
    let kept = [("norm", r#"{"reference":"VDI 2230","year":2015.0}"#), ("tests", "[1]")];
    assert_eq!(package.manifest.other, kept.map(|(key, value)| (key.to_owned(), value.to_owned())));
    check("  name: beams", "  name: beams\n  autor: me", &["/package/autor unknown_field@4 …did you mean author?"]);
    check(
        "  kind: python",
        "  kind: python\n  flavour: x",
        &["/runtime/flavour unknown_field@7 …there are kind, version, requirements"],
    );
    check(
        "    handler:",
        "    handller: x\n    handler:",
        &["/functions/deflection/handller unknown_field@9 …did you mean handler?"],
    );
    check("unit: mm", "units: mm", &["/functions/deflection/inputs/length/units unknown_field@11 …it has type, unit"]);
}

#[test]
fn the_package() {
    check("  name: beams\n", "", &["/package/name required@3"]);
    check("name: beams", "name: Beams", &["/package/name invalid_value@3 \"Beams\" can't be the name of a package"]);
    check("name: beams", "name: ../beams", &["/package/name invalid_value@3"]);
    check("name: beams", "name: be ams", &["/package/name invalid_value@3"]);
    check("name: beams", "name: -beams", &["/package/name invalid_value@3"]);
    check("name: beams", "name: \"be\\0ams\"", &["/package/name invalid_value@3 \"be\\0ams\""]);
    check("name: beams", "name: [beams]", &["/package/name wrong_type@3"]);
    check("  version: 0.1.0\n", "", &["/package/version required@3"]);
    check("version: 0.1.0", "version: 1.2", &["/package/version invalid_value@4 …did you mean 1.2.0?"]);
    check("version: 0.1.0", "version: v1.2.0", &["/package/version invalid_value@4 …did you mean 1.2.0?"]);
    check("version: 0.1.0", "version: 1.2.0+5", &["/package/version invalid_value@4 …build metadata"]);
    check("version: 0.1.0", "version: latest", &["/package/version invalid_value@4 …three numbers"]);
    let after = |line: &str| format!("version: 0.1.0\n  {line}");
    for (line, expected) in [
        ("description: [x]", "/package/description wrong_type@5"),
        ("author: {name: me}", "/package/author wrong_type@5"),
        ("author: \"a\\eb\"", "/package/author invalid_value@5 the control character U+001B"),
        ("license: [MIT]", "/package/license wrong_type@5"),
        (
            "visibility: secret",
            "/package/visibility invalid_value@5 \"secret\" is not known: use one of private, internal, public",
        ),
        ("visibility: pubic", "/package/visibility invalid_value@5 …did you mean public?"),
        ("visibility: [public]", "/package/visibility wrong_type@5"),
        ("tags: beams", "/package/tags wrong_type@5 a list is needed here, not a text"),
        ("tags: [[beams]]", "/package/tags/0 wrong_type@5 a tag"),
        ("tags: [a, \"\"]", "/package/tags/1 invalid_value@5"),
        ("resources: huge", "/package/resources invalid_value@5 \"huge\" is not known: use one of nano, micro"),
        ("resources: smal", "/package/resources invalid_value@5 …did you mean small?"),
        ("resources: {tier: smal}", "/package/resources/tier invalid_value@5 …did you mean small?"),
        ("resources: {cpu: 0}", "/package/resources/cpu invalid_value@5 a whole number from 1 to 64"),
        ("resources: {cpu: 1.5}", "/package/resources/cpu invalid_value@5"),
        ("resources: {memory_mb: -1}", "/package/resources/memory_mb invalid_value@5"),
        ("resources: {timeout: 1e9}", "/package/resources/timeout invalid_value@5"),
        (
            "resources: {memory: 512}",
            "/package/resources/memory unknown_field@5 …there are tier, cpu, memory_mb, timeout",
        ),
    ] {
        check("version: 0.1.0", &after(line), &[expected]);
    }
    let long = after(&format!("description: {}", "x".repeat(4_001)));
    check("version: 0.1.0", &long, &["/package/description invalid_value@5 4000 characters"]);
    let tags = after(&format!("tags: [{}]", vec!["t"; 31].join(",")));
    check("version: 0.1.0", &tags, &["/package/tags too_many@5 there are 31 tags"]);
}

#[test]
fn the_runtime() {
    check("kind: python", "version: \"3.12\"", &["/runtime/kind required@6"]);
    for (to, expected) in [
        ("kind: pyton", "/runtime/kind invalid_value@6 \"pyton\" is not known: did you mean python?"),
        ("kind: perl", "/runtime/kind invalid_value@6 …use one of python, wasm, dockerfile, image"),
        ("kind: [python]", "/runtime/kind wrong_type@6"),
        ("kind: python\n  version: 2.7", "/runtime/version invalid_value@7 …not a version of Python 3"),
        ("kind: python\n  version: 3", "/runtime/version invalid_value@7"),
        ("kind: python\n  version: three", "/runtime/version invalid_value@7"),
        ("kind: python\n  version: 3.99", "/runtime/version python_version …3.15 or less"),
        ("kind: python\n  requirements: numpy>=1", "/runtime/requirements invalid_value@7 …file in a package"),
        (
            "kind: python\n  requirements: other.txt",
            "/runtime/requirements file_missing the package has no file other.txt",
        ),
        ("kind: python\n  requirements: {a: b}", "/runtime/requirements wrong_type@7"),
        ("kind: python\n  requirements: [1]", "/runtime/requirements/0 wrong_type@7 a requirement as text"),
        ("kind: python\n  requirements: [numpy, \"a b\"]", "/runtime/requirements/1 invalid_requirement …a>=1.11"),
        ("kind: python\n  requirements: [scipy]", "/runtime/requirements/0 requirement_missing …wheels"),
        ("kind: wasm", "/runtime/module required@6"),
        (
            "kind: wasm\n  module: b.wasm",
            "/runtime/module module_invalid the package has no file b.wasm: it has a.wasm",
        ),
        ("kind: wasm\n  module: ../a.wasm", "/runtime/module invalid_value@7"),
        ("kind: wasm\n  module: beams.py", "/runtime/module module_invalid …not a WebAssembly module"),
        ("kind: dockerfile", "/runtime/kind unsupported"),
        ("kind: dockerfile\n  dockerfile: /etc/passwd", "/runtime/dockerfile invalid_value@7"),
        ("kind: image", "/runtime/image required@6"),
        ("kind: image\n  image: ghcr.io/x/y:1.2", "/runtime/kind unsupported"),
        (
            "kind: image\n  image: --privileged",
            "/runtime/image invalid_value@7 \"--privileged\" is not the name of an image",
        ),
        ("kind: image\n  image: \"a -v /:/host\"", "/runtime/image invalid_value@7"),
        ("kind: image\n  image: \"$(id)\"", "/runtime/image invalid_value@7"),
    ] {
        check("kind: python", to, &[expected]);
    }
    for to in [
        "kind: python\n  version: 3.10\n  requirements: true",
        "kind: python\n  requirements: [\"numpy>=2\"]",
        "kind: wasm\n  module: ./a.wasm",
    ] {
        assert_faults(open_manifest(&changed("kind: python", to)), &[], to);
    }
}

#[test]
fn the_functions() {
    let (head, _) = MANIFEST.split_once("functions:").unwrap();
    assert_faults(
        open_manifest(&format!("{head}functions: {{}}\n")),
        &["/functions out_of_range@7 there are 0 functions"],
        "",
    );
    assert_faults(open_manifest(&format!("{head}functions: [a]\n")), &["/functions wrong_type@7"], "");
    let many: String = (0..201).map(|n| format!("  f{n}: {{handler: beams:deflection}}\n")).collect();
    assert_faults(
        open_manifest(&format!("{head}functions:\n{many}")),
        &["/functions out_of_range@8 there are 201 functions"],
        "",
    );
    check("deflection:\n", "1st:\n", &["/functions/1st invalid_name@8 \"1st\" can't be the name of a function"]);
    check("deflection:\n", "\"a/b~\\n\":\n", &["/functions/a~1b~0\n invalid_name@8 \"a/b~\\n\""]);
    for (to, expected) in [
        ("description: x", "/functions/deflection/handler required@8"),
        ("handler: beams", "/functions/deflection/handler invalid_value@9 …write module:function"),
        ("handler: beams.deflection", "/functions/deflection/handler invalid_value@9 …did you mean beams:deflection?"),
        ("handler: beams.py:deflection", "/functions/deflection/handler invalid_value@9 …names a file…"),
        ("handler: \"beams:Beam.deflection\"", "/functions/deflection/handler invalid_value@9 …names a method"),
        ("handler: \"os;id:x\"", "/functions/deflection/handler invalid_value@9"),
        ("handler: [a]", "/functions/deflection/handler wrong_type@9"),
        (
            "handler: beems:deflection",
            "/functions/deflection/handler handler_missing@8 the package has no module beems: did you mean beams:deflection?",
        ),
        ("handler: other.things:deflection", "/functions/deflection/handler handler_missing@8 …it has beams"),
        (
            "handler: beams:deflektion",
            "/functions/deflection/handler handler_missing@8 beams.py defines no function deflektion: did you mean beams:deflection?",
        ),
        ("handler: beams:nothing", "/functions/deflection/handler handler_missing@8 …it defines deflection"),
        ("handler: beams:deflection\n    description: [x]", "/functions/deflection/description wrong_type@10"),
        ("handler: beams:deflection\n    resources: [x]", "/functions/deflection/resources wrong_type@10"),
        ("handler: beams:deflection\n    testcases: 3", "/functions/deflection/testcases file_missing@8"),
        (
            "handler: beams:deflection\n    testcases: [3]",
            "/functions/deflection/testcases/0 wrong_type@10 a file or a test case",
        ),
        ("handler: beams:deflection\n    testcases: [../x.json]", "/functions/deflection/testcases/0 invalid_value@10"),
        (
            "handler: beams:deflection\n    testcases: reqirements.txt",
            "/functions/deflection/testcases file_missing@8 …did you mean requirements.txt?",
        ),
        ("handler: beams:deflection\n    validity: [x]", "/functions/deflection/validity/0 invalid_validity@10"),
        (
            "handler: beams:deflection\n    validity: {on_violation: flag}",
            "/functions/deflection/validity/expression required@10",
        ),
        (
            "handler: beams:deflection\n    validity: {expression: a < 1, on_violation: ignore}",
            "/functions/deflection/validity/on_violation unknown_value@10",
        ),
    ] {
        let expected = expected.trim_end_matches('…');
        check("handler: beams:deflection", to, &[expected]);
    }
}

#[test]
fn the_ports() {
    let length = "length: {type: Length, unit: mm}";
    let at = |rest: &str| format!("/functions/deflection/inputs/{rest}");
    for (to, expected) in [
        ("length: 3", "length wrong_type@11"),
        ("length: {unit: mm}", "length/type required@11"),
        ("length: {type: }", "length/type required@11"),
        ("length: {type: Lenght}", "length/type unknown_type@11 there is no type"),
        ("length: {type: 3}", "length/type wrong_type@11"),
        ("length: {type: {a: Length, b: [Force]}}", "length/type/b wrong_type@11"),
        ("length: {type: {}}", "length/type required@11"),
        ("length: {type: Length, unit: [mm]}", "length/unit wrong_type@11"),
        ("length: {type: Length, unit: mn}", "length/unit unknown_unit@11"),
        ("length: {type: Length, unit: kN}", "length/unit wrong_dimension@11"),
        ("length: {type: String, unit: mm}", "length/unit unit_not_allowed@11"),
        ("length: {type: Length, description: {a: b}}", "length/description wrong_type@11"),
        ("length: {type: Length, required: yes}", "length/required wrong_type@11"),
        ("length: {type: Length, required: true, default: 1}", "length/required contradiction@11"),
        ("length: {type: Length, default: long}", "length/default wrong_type@11"),
        ("length: {type: Length, validity: \"length <\"}", "length/validity invalid_validity@11"),
        ("length: {type: Length, validity: width > 1}", "length/validity invalid_validity@11"),
        ("length: {type: Length, validity: {expression: [1]}}", "length/validity/expression required@11"),
        (
            "length: {type: Length, required: false}",
            "length default_missing@8 beams:deflection needs length, which may be left out",
        ),
    ] {
        check(length, to, &[&at(expected)]);
    }
    check(length, "\"1 x\": {type: Length}", &["/functions/deflection/inputs/1 x invalid_name@11"]);
    check(
        length,
        "lenght: {type: Length}",
        &[
            "/functions/deflection/inputs/lenght unknown_input@8 beams:deflection has no parameter lenght: did you mean length?",
            "/functions/deflection/inputs input_missing@8 beams:deflection needs length",
        ],
    );
    check("result: {type: Length}", "result: [Length]", &["/functions/deflection/outputs/result wrong_type@14"]);
    let many: String = (0..257).map(|n| format!("      p{n}: {{type: Float}}\n")).collect();
    check("      result: {type: Length}\n", &many, &["/functions/deflection/outputs too_many@14"]);
}

#[test]
fn the_quality() {
    for (lines, expected) in [
        ("quality: [x]", "/quality wrong_type@15"),
        ("quality: {validation_testcases: true}", "/quality/validation_testcases wrong_type@15"),
        (
            "quality: {validation_testcases: {on_deployment: 1}}",
            "/quality/validation_testcases/on_deployment wrong_type@15",
        ),
        (
            "quality: {validation_testcases: {fail_on_error: \"no\"}}",
            "/quality/validation_testcases/fail_on_error wrong_type@15 write true or false",
        ),
        (
            "quality: {validation_testcases: {fail_on_eror: true}}",
            "/quality/validation_testcases/fail_on_eror unknown_field@15 …did you mean fail_on_error?",
        ),
        ("quality: {coverage: 80}", "/quality/coverage unknown_field@15"),
    ] {
        let manifest = format!("{MANIFEST}{lines}\n");
        assert_faults(open_manifest(&manifest), &[expected], &manifest);
    }
    let manifest = format!("{MANIFEST}quality: {{validation_testcases: {{on_deployment: false}}}}\n");
    let quality = open_manifest(&manifest).unwrap().manifest.quality;
    assert_eq!(quality, Quality { on_deployment: false, fail_on_error: true });
}

#[test]
fn faults_are_all_told_and_have_an_end() {
    let two = changed("name: beams", "name: Beams").replace("kind: python", "kind: perl");
    assert_faults(open_manifest(&two), &["/package/name", "/runtime/kind"], &two);
    let many: String = (0..300).map(|n| format!("  f{n}: 1\n")).collect();
    let faults = open_manifest(&format!("{MANIFEST}{many}")).unwrap_err();
    assert_eq!(faults.len(), 100);
}

/// What somebody may put into any text field comes back as it was, or is refused.
#[test]
fn security_40_naughty_texts_are_kept_or_refused() {
    let kept = [
        "Ω≈ç√∫˜µ",
        "\u{202e}right to left",
        "<script>alert(1)</script>",
        "'; DROP TABLE x; --",
        "{{7*7}}",
        "😀👩‍🔬",
        "a\tb\nc",
        "../../etc/passwd",
        "%s%n",
        "ﷺ",
        "null",
        "\u{feff}x",
    ];
    for text in kept {
        let quoted = serde_json::to_string(text).unwrap();
        let manifest =
            changed("version: 0.1.0", &format!("version: 0.1.0\n  author: {quoted}\n  description: {quoted}"));
        let identity =
            open_manifest(&manifest).unwrap_or_else(|faults| panic!("{text}: {:?}", shown(&faults))).manifest.package;
        assert_eq!((identity.author.as_str(), identity.description.as_str()), (text, text));
    }
    for text in ["\\0", "\\a", "\\e[2J", "\\x7f", "\\x85"] {
        let manifest = changed("version: 0.1.0", &format!("version: 0.1.0\n  author: \"x{text}y\""));
        assert_faults(open_manifest(&manifest), &["/package/author invalid_value@5 the control character"], text);
    }
}
