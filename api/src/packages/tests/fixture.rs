//! The package in `fixtures/packages/bolted-joint`.

use super::*;
use cap_std::{ambient_authority, fs::Dir};
use std::path::Path;

fn folder() -> Dir {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/packages/bolted-joint");
    Dir::open_ambient_dir(root, ambient_authority()).unwrap()
}

fn package() -> Package {
    let files = read_folder(&folder(), Bounds::PACKAGE).unwrap();
    Package::open(files, &Surroundings::new().python()).unwrap_or_else(|faults| panic!("{:#?}", shown(&faults)))
}

#[test]
fn it_has_no_fault_and_all_that_it_says_is_read() {
    let package = package();
    let manifest = &package.manifest;
    let Identity { name, version, visibility, tags, resources, .. } = &manifest.package;
    assert_eq!((name.as_str(), version.to_string().as_str()), ("bolted-joint", "1.2.0"));
    assert_eq!((*visibility, tags.len(), resources.timeout_s), (Visibility::Public, 3, 60));
    let names: Vec<_> = manifest.functions.iter().map(|function| function.name.as_str()).collect();
    let expected = [
        "thread",
        "bolt_resilience",
        "member_resilience",
        "load_factor",
        "preload",
        "torque",
        "residual_clamp_load",
        "verify",
        "envelope",
    ];
    assert_eq!(names, expected);
    let verify = manifest.function("verify").unwrap();
    assert_eq!(manifest.resources(verify).timeout_s, 120);
    assert_eq!(verify.signature.ports.validity()[0].on_violation, mecapy_model::ports::OnViolation::Flag);
    let loads = verify.signature.inputs().unwrap().get("loads").unwrap();
    assert_eq!(loads.ty().to_string(), "struct{axial_max: Force, axial_min: Force, transverse: Force}");
    let bolt = manifest.function("bolt_resilience").unwrap();
    let modulus = bolt.signature.inputs().unwrap().get("modulus").unwrap();
    assert_eq!(
        (
            modulus.default().map(|value| value.get()),
            modulus.is_required(),
            modulus.unit().map(|unit| unit.to_string())
        ),
        (Some("205000.0"), false, Some("MPa".to_owned()))
    );
    let warnings: Vec<_> = package.warnings.iter().map(|warning| warning.message.as_str()).collect();
    assert_eq!(warnings, ["the functions run on Python 3.15.0"]);
}

#[test]
fn its_test_cases_are_read_from_both_dialects() {
    let package = package();
    assert_eq!(package.test_cases.len(), 24);
    let tested: std::collections::BTreeSet<_> = package.test_cases.iter().map(|case| case.function.as_str()).collect();
    assert_eq!(tested.len(), 9, "a function without a test case: {tested:?}");
    let case = |name: &str| package.test_cases.iter().find(|case| case.name == name).unwrap();
    let ordered = case("M16 of 8.8 as the table has it");
    assert_eq!(ordered.inputs, r#"{"size":"M16","strength_class":"8.8"}"#);
    let tolerance = Tolerance { absolute: 100.0, relative: 0.0 };
    assert_eq!(ordered.expected, Expected::Outputs { outputs: r#"{"result":80900}"#.to_owned(), tolerance });
    let exact = case("M12 with half a shank");
    assert_eq!(exact.function.as_str(), "bolt_resilience");
    let tolerance = Tolerance { absolute: 0.0, relative: 1e-6 };
    assert_eq!(exact.expected, Expected::Outputs { outputs: r#"{"result":2.991839e-6}"#.to_owned(), tolerance });
    let exception =
        Exception { kind: "ValueError".to_owned(), message: Some("it lies between 0 and clamp_length".to_owned()) };
    assert_eq!(case("a shank longer than the grip").expected, Expected::Exception(exception));
    let file = case("three load cases");
    assert_eq!((file.inputs.as_str(), file.files[0].0.as_str()), ("{}", "cases"));
    assert_eq!((file.files[0].1.as_str(), file.place.as_str()), ("tests/load_cases.csv", "tests/load_cases.yml:3"));
}

#[test]
fn a_folder_and_a_zip_of_it_have_one_digest() {
    let files = read_folder(&folder(), Bounds::PACKAGE).unwrap();
    let zip = write_zip(&files).unwrap();
    assert_eq!(zip, write_zip(&files).unwrap());
    let unpacked = read_zip(&zip, Bounds::PACKAGE).unwrap();
    assert_eq!(unpacked, files);
    assert_eq!(unpacked.digest(), files.digest());
    let content: Vec<(&str, &[u8])> = files.iter().map(|(name, content)| (name.as_str(), content)).collect();
    let reversed: Vec<_> = content.iter().rev().copied().collect();
    assert_eq!(read_zip(&zip_of(&reversed), Bounds::PACKAGE).unwrap().digest(), files.digest());
    let mut changed = content.clone();
    changed[0].1 = b"other";
    assert_ne!(read_zip(&zip_of(&changed), Bounds::PACKAGE).unwrap().digest(), files.digest());
}

#[test]
fn a_manifest_is_stored_and_read_again() {
    let manifest = package().manifest;
    let text = serde_json::to_string(&manifest).unwrap();
    let mut read: Manifest = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
    read.functions.clear();
    assert_ne!(read, manifest);
}
