//! What the package's source says, against what its manifest says.

use super::*;

fn with_source(source: &str) -> Result<Package, Vec<Fault>> {
    open(&[("mecapy.yml", MANIFEST.as_bytes()), ("beams.py", source.as_bytes())])
}

fn warnings(package: &Package) -> Vec<String> {
    let place = |warning: &mecapy_model::Warning| warning.pointer.clone().unwrap_or_default();
    package.warnings.iter().map(|warning| format!("{} {} {}", place(warning), warning.code, warning.message)).collect()
}

#[test]
fn a_package_needs_its_manifest_at_its_root() {
    for (files, words) in [
        (vec![("beams.py", SOURCE)], "a package has one at its root"),
        (vec![("beams/mecapy.yml", MANIFEST)], "it is in beams. Pack what is in that folder"),
        (vec![("mecapy.yaml", MANIFEST)], "rename mecapy.yaml"),
    ] {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
        assert_faults(open(&files), &[&format!(" manifest_missing …{words}")], words);
    }
}

#[test]
fn the_function_takes_what_the_manifest_declares() {
    for source in [
        SOURCE,
        "def deflection(length, force):\n    return 1\n",
        "def deflection(*, length, force, more=1):\n    return 1\n",
        "def deflection(**inputs):\n    return 1\n",
        "from typing import cast\ndeflection = cast(int, 3)\n",
        "import typing\n@typing.final\ndef deflection(x):\n    return 1\n",
        "from numpy import add as deflection\n",
        "def deflection(x):\n    return 1\ndef deflection(length, force):\n    return 2\n",
    ] {
        assert_faults(with_source(source), &[], source);
    }
    for (source, expected) in [
        (
            "def deflection(lenght, force=1):\n    return 1\n",
            vec![
                "/functions/deflection/inputs/length unknown_input@8 beams:deflection has no parameter length: did you mean lenght?",
                "/functions/deflection/inputs input_missing@8 beams:deflection needs lenght",
            ],
        ),
        (
            "def deflection(length, force, width):\n    return 1\n",
            vec!["/functions/deflection/inputs input_missing@8 beams:deflection needs width"],
        ),
        ("def deflection(length, force=1\n", vec!["/files/beams.py syntax@1 beams.py, line"]),
        (
            "import socket\ndef deflection(length, force):\n    return 1\n",
            vec!["/files/beams.py module_unavailable@1 beams.py, line 1: socket can't be used"],
        ),
        (
            "import nunpy\ndef deflection(length, force):\n    return 1\n",
            vec!["/files/beams.py module_missing@1 …did you mean numpy?"],
        ),
        (
            "x = 1\n",
            vec![
                "/functions/deflection/handler handler_missing@8 beams.py defines no function deflection: it defines none",
            ],
        ),
    ] {
        assert_faults(with_source(source), &expected, source);
    }
    let not_utf8 = open(&[("mecapy.yml", MANIFEST.as_bytes()), ("beams.py", b"x = '\xff'\n")]);
    assert_faults(not_utf8, &["/functions/deflection/handler not_utf8@8"], "");
}

#[test]
fn modules_of_the_package_import_one_another() {
    let manifest = MANIFEST.replace("beams:deflection", "beams.bending:deflection");
    let source = format!(
        "from . import tables\nfrom .tables import E\nimport beams.tables\nimport extra\nimport numpy\n{SOURCE}"
    );
    let package = open(&[
        ("mecapy.yml", manifest.as_bytes()),
        ("beams/__init__.py", b""),
        ("beams/bending.py", source.as_bytes()),
        ("beams/tables.py", b"import torch\nE = 210000\n"),
        ("extra.py", b"x = (\n"),
        ("tests/test_bending.py", b"import pytest\n"),
        ("setup.py", b"import setuptools\n"),
    ]);
    // What nobody can tell to be reached is a warning; what no handler imports is not looked at.
    let found = warnings(&package.unwrap());
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0]
            .starts_with("/files/beams~1tables.py module_missing beams/tables.py, line 1: There is no module torch"),
        "{found:?}"
    );
    assert!(found[1].starts_with("/files/extra.py syntax extra.py, line"), "{found:?}");
}

#[test]
fn a_module_that_python_has_itself_hides_the_packages() {
    let manifest = MANIFEST.replace("beams:deflection", "statistics:deflection");
    let package = open(&[("mecapy.yml", manifest.as_bytes()), ("statistics.py", SOURCE.as_bytes())]);
    assert_faults(package, &["/functions/deflection/handler module_hidden@8 …rename the file"], "");
}

#[test]
fn a_module_of_wasm_needs_no_handler() {
    let manifest = MANIFEST
        .replace("kind: python", "kind: wasm\n  module: beam.wasm")
        .replace("    handler: beams:deflection\n", "");
    for bytes in [b"\0asm\x01\0\0\0".as_slice(), b"\0asm\x0d\0\x01\0"] {
        let package = open(&[("mecapy.yml", manifest.as_bytes()), ("beam.wasm", bytes)]).unwrap();
        assert_eq!(package.manifest.functions[0].handler, None);
    }
    for bytes in [b"\x7fELF".as_slice(), b"(module)", b""] {
        let package = open(&[("mecapy.yml", manifest.as_bytes()), ("beam.wasm", bytes)]);
        assert_faults(package, &["/runtime/module module_invalid"], "");
    }
}

#[test]
fn a_package_of_twenty_functions_is_checked_soon() {
    let functions: String =
        (0..20).map(|n| format!("  f{n}: {{handler: \"m:f{n}\", inputs: {{x: {{type: Float}}}}}}\n")).collect();
    let (head, _) = MANIFEST.split_once("  deflection:").unwrap();
    let manifest = format!("{head}{functions}");
    let source: String =
        (0..20).map(|n| format!("def f{n}(x):\n{}    return x\n", "    x = x * 2.0 + 1.0\n".repeat(30))).collect();
    let cases: String =
        (0..100).map(|n| format!("  - {{inputs: {{x: {n}}}, expected_outputs: {{result: 1}}}}\n")).collect();
    let tests = format!("function: f1\ntest_cases:\n{cases}");
    let files = read_zip(
        &zip_of(&[
            ("mecapy.yml", manifest.as_bytes()),
            ("m.py", source.as_bytes()),
            ("tests/test_f.yml", tests.as_bytes()),
        ]),
        Bounds::PACKAGE,
    )
    .unwrap();
    let surroundings = Surroundings::new();
    let before = std::time::Instant::now();
    let package = Package::open(files, &surroundings.python()).unwrap();
    let took = before.elapsed();
    assert_eq!(package.test_cases.len(), 100);
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
    println!("{took:?}");
}
