//! Calls without a sandbox: what goes in, what comes out, which version is meant, and the Python around a function.

use super::{
    call::Call,
    gate::case_inputs,
    published::{Published, function_of, newest},
    stub,
};
use crate::packages::{Bounds, Expected, Files, Handler, Package, TestCase, Tolerance, read_zip};
use mecapy_model::{
    Artifact, ArtifactName, Code, Digest, ErrorKind, Fault, NonFinite, Outcome, TaskError, TenantId, Visibility,
};
use mecapy_store::{PackageSummary, PackageVersion, VersionSummary, Yank};
use serde_json::value::RawValue;
use std::{
    collections::BTreeSet,
    io::{Cursor, Write as _},
    sync::Arc,
};
use time::OffsetDateTime;

const MANIFEST: &str = r#"version: "1"
package: {name: beams, version: 1.2.0}
runtime: {kind: python}
functions:
  stress:
    handler: beams:stress
    validity: {expression: s <= 400, on_violation: flag}
    inputs:
      F: {type: Force, unit: kN}
      d: {type: Length, unit: mm, default: 12, validity: d >= 3}
    outputs:
      s: {type: Stress, unit: MPa, validity: s <= 1000}
      plot: {type: "File[png]", required: false}
  mesh:
    handler: beams.mesh:count
    inputs:
      mesh: {type: "File[med]"}
      others: {type: "list[File]", default: []}
    outputs:
      result: {type: "list[File[csv]]"}
  free:
    handler: beams:free
"#;

fn files(named: &[(&str, &str)]) -> Files {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in named {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(content.as_bytes()).unwrap();
    }
    read_zip(&writer.finish().unwrap().into_inner(), Bounds::PACKAGE).unwrap()
}

pub(super) fn published() -> Arc<Published> {
    let manifest = Package::manifest(&files(&[("mecapy.yml", MANIFEST)])).unwrap();
    let row = PackageVersion {
        owner: "acme".to_owned(),
        name: "beams".to_owned(),
        version: "1.2.0".to_owned(),
        tenant: TenantId::from_parts(0, &[0; 10]),
        visibility: Visibility::Private,
        description: String::new(),
        digest: Digest([7; 32]),
        size_bytes: 1,
        manifest: serde_json::to_string(&manifest).unwrap(),
        report: "{}".to_owned(),
        published_at: OffsetDateTime::UNIX_EPOCH,
        published_by: "ann".to_owned(),
        yanked: None,
    };
    // As it comes out of the store.
    Arc::new(Published::read(row).unwrap())
}

fn call(function: &str) -> Call {
    Call::of(published(), function).unwrap()
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// The inputs as the guest gets them, or the faults as `pointer code`.
fn inputs(function: &str, text: &str, files: &[&str]) -> Result<String, Vec<String>> {
    let names: BTreeSet<&str> = files.iter().copied().collect();
    let shown = |faults: Vec<Fault>| faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect();
    call(function).inputs(&raw(text), &names).map(|checked| checked.values.get().to_owned()).map_err(shown)
}

/// What becomes of a run of `stress` that gave `result` and these artifacts.
fn finished(result: &str, artifacts: &[&str]) -> Outcome {
    let artifacts = artifacts.iter().map(|name| Artifact::new(ArtifactName::parse(name).unwrap(), Vec::new()));
    let never = TaskError::new(ErrorKind::Executor, "replaced");
    let ran = Outcome { result: Ok(raw(result)), artifacts: artifacts.collect(), ..Outcome::failed(never) };
    call("stress").finish(ran, r#"{"F":50.0,"d":12.0}"#, NonFinite::Reject)
}

fn refusal(result: &str, artifacts: &[&str]) -> String {
    let error = finished(result, artifacts).result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidOutput);
    error.message
}

#[test]
fn a_call_pins_the_version_and_the_files() {
    let expected = Code::Function { function: "acme/beams@1.2.0#mesh".to_owned(), package: Digest([7; 32]) };
    assert_eq!(call("mesh").code(), Some(expected));
    assert!(Call::of(published(), "Mesh").is_none());
    assert_eq!(function_of("acme/beams@1.2.0#mesh").unwrap().function.as_str(), "mesh");
    // A task never has one without a version.
    assert!(function_of("acme/beams#mesh").is_none() && function_of("nonsense").is_none());
}

#[test]
fn inputs_go_in_the_units_of_the_ports() {
    let kilonewtons = r#"{"F": {"value": 50000, "unit": "N"}}"#;
    assert_eq!(inputs("stress", kilonewtons, &[]), Ok(r#"{"F":50.0,"d":12.0}"#.to_owned()));
    // Nothing is known of what isn't declared: it goes as it came.
    assert_eq!(inputs("free", r#"{"x" : 1e400}"#, &[]), Ok(r#"{"x" : 1e400}"#.to_owned()));
    let refused = |function, text, expected: &[&str]| {
        assert_eq!(inputs(function, text, &["a.med"]).unwrap_err(), expected, "{text}");
    };
    refused("stress", r#"{"d": 2}"#, &["/inputs/F required", "/inputs/d outside_validity"]);
    refused("stress", r#"{"F": {"value": 1, "unit": "mm"}}"#, &["/inputs/F/unit wrong_dimension"]);
}

#[test]
fn files_that_inputs_name_are_the_requests() {
    assert!(inputs("mesh", r#"{"mesh": "a.med"}"#, &["a.med"]).is_ok());
    let both = r#"{"mesh": "b.med", "others": ["a.med", "c.txt"]}"#;
    let expected = ["/inputs/mesh unknown_file", "/inputs/others/1 unknown_file"].map(str::to_owned);
    assert_eq!(inputs("mesh", both, &["a.med"]).unwrap_err(), expected);
    let faults = call("mesh").inputs(&raw(r#"{"mesh": "b.med"}"#), &BTreeSet::from(["a.med"])).unwrap_err();
    let message = &faults[0].message;
    assert!(message.contains(r#"{"b.med": "<upload id>"}"#) && message.contains("its files are a.med"), "{message}");
}

#[test]
fn results_are_checked_by_the_outputs() {
    let fine = finished(r#"{"s": 312.50}"#, &[]);
    assert_eq!((fine.result.unwrap().get(), fine.warnings.len()), (r#"{"s":312.50}"#, 0));
    let flagged = finished(r#"{"s": 500}"#, &[]);
    assert!(flagged.result.is_ok());
    let warning = &flagged.warnings[0];
    assert_eq!((flagged.warnings.len(), warning.code.as_str()), (1, "outside_validity"));
    for (result, words) in [
        (r#"{"s": 2000}"#, "/s: outside of what the function is valid for: s <= 1000"),
        (r#"{"s": "x"}"#, "/s: a stress"),
        (r#"{"s": 1, "t": 2}"#, r#"there is no output "t""#),
        (r#"{}"#, r#"the output "s" is needed"#),
        (r#"{"s": 1, "plot": "plot.gif"}"#, ".png"),
        (r#"{"s": 1, "plot": "plot.png"}"#, "/plot: the function wrote no file plot.png under /work/out"),
    ] {
        let message = refusal(result, &["other.png"]);
        assert!(message.contains(words), "{result}: {message}");
    }
    assert!(finished(r#"{"s": 1, "plot": "plot.png"}"#, &["plot.png"]).result.is_ok());
    let many: Vec<String> = (0..9).map(|n| format!("\"x{n}\": 1")).collect();
    let message = refusal(&format!("{{\"s\": 1, {}}}", many.join(", ")), &[]);
    assert!(message.contains("x4") && !message.contains("x5") && message.ends_with("; and 4 more"), "{message}");
}

#[test]
fn what_failed_and_what_declares_nothing_stays_as_it_is() {
    let failed = Outcome::failed(TaskError::new(ErrorKind::Timeout, "too late"));
    let error = call("stress").finish(failed, "{}", NonFinite::Reject).result.unwrap_err();
    assert_eq!((error.kind, error.message.as_str()), (ErrorKind::Timeout, "too late"));
    let never = TaskError::new(ErrorKind::Executor, "replaced");
    let any = Outcome { result: Ok(raw(r#"{ "any" : 1e400 }"#)), ..Outcome::failed(never) };
    let kept = call("free").finish(any, "{}", NonFinite::Reject);
    assert_eq!(kept.result.unwrap().get(), r#"{ "any" : 1e400 }"#);
}

#[test]
fn the_python_of_a_call_imports_and_hands_files_as_paths() {
    let source = |function: &str| {
        let published = published();
        let function = published.manifest.function(function).unwrap();
        stub::call(function.handler.as_ref().unwrap(), function)
    };
    assert_eq!(source("free"), "from beams import free\n");
    let stress = source("stress");
    assert!(stress.contains("by_path(stress, [], [\"plot\"])"), "{stress}");
    let mesh = source("mesh");
    assert!(mesh.starts_with("from beams.mesh import count\nif not hasattr(count, '__mecapy__'):\n"), "{mesh}");
    assert!(mesh.contains("    count = by_path(count, [\"mesh\", \"others\"], [\"result\"])\n"), "{mesh}");
}

#[test]
fn a_test_case_is_given_its_files_and_is_checked_as_a_request_is() {
    let package = files(&[("mecapy.yml", MANIFEST), ("tests/beam.med", "nodes")]);
    let (named, _) = package.iter().find(|(name, _)| name.last() == "beam.med").unwrap();
    let published = published();
    let case = |inputs: &str, files: Vec<_>| TestCase {
        function: "mesh".parse().unwrap(),
        name: "one".to_owned(),
        inputs: inputs.to_owned(),
        files,
        expected: Expected::Outputs { outputs: "{}".to_owned(), tolerance: Tolerance::default() },
        place: "tests/test_mesh.yml:3".to_owned(),
    };
    let function = published.manifest.function("mesh").unwrap();
    let given = case_inputs(function, &case("{}", vec![("mesh".to_owned(), named.clone())]), &package).unwrap();
    assert_eq!((&*given.inputs, given.files[0].name.as_str()), (r#"{"mesh":"beam.med","others":[]}"#, "beam.med"));
    let missing = case_inputs(function, &case("{}", Vec::new()), &package).err().unwrap();
    assert!(missing.starts_with("/inputs/mesh: "), "{missing}");
    let unknown = case_inputs(function, &case(r#"{"mesh": "x.med"}"#, Vec::new()), &package).err().unwrap();
    assert!(unknown.contains("the request has no files"), "{unknown}");
    let lost = case_inputs(function, &case("{}", vec![("mesh".to_owned(), named.clone())]), &Files::default());
    assert_eq!(lost.err().unwrap(), "the package has no file tests/beam.med");
}

#[test]
fn the_newest_version_is_the_greatest_that_is_released_and_not_yanked() {
    let yank = || Yank { at: OffsetDateTime::UNIX_EPOCH, reason: None };
    let version = |text: &str| VersionSummary {
        version: text.trim_start_matches('-').to_owned(),
        digest: Digest([0; 32]),
        size_bytes: 1,
        published_at: OffsetDateTime::UNIX_EPOCH,
        published_by: String::new(),
        yanked: text.starts_with('-').then(yank),
    };
    // A minus before a version: it is yanked.
    for (versions, expected) in [
        (&["1.9.0", "1.10.0", "1.2.0"][..], Some("1.10.0")),
        (&["2.0.0-rc.1", "1.0.0"], Some("1.0.0")),
        (&["1.0.0-rc.1", "1.0.0-rc.11", "1.0.0-rc.2"], Some("1.0.0-rc.11")),
        (&["-2.0.0", "1.0.0"], Some("1.0.0")),
        (&["-1.0.0", "2.0.0-rc.1"], Some("2.0.0-rc.1")),
        (&["-1.0.0", "-2.0.0"], None),
        (&[], None),
    ] {
        let package = PackageSummary {
            owner: "acme".to_owned(),
            name: "beams".to_owned(),
            tenant: TenantId::from_parts(0, &[0; 10]),
            visibility: Visibility::Private,
            description: String::new(),
            maintainers: Vec::new(),
            versions: versions.iter().copied().map(version).collect(),
            created_at: OffsetDateTime::UNIX_EPOCH,
        };
        assert_eq!(newest(&package).map(|row| row.version.as_str()), expected, "{versions:?}");
    }
}

#[test]
fn a_handler_is_written_as_the_manifest_has_it() {
    let handler = Handler { module: "beams.mesh".to_owned(), function: "count".to_owned() };
    assert_eq!(call("mesh").function().and_then(|function| function.handler.clone()), Some(handler));
    let published = published();
    let function = published.manifest.function("free").unwrap();
    assert_eq!(published.reference(function), "acme/beams@1.2.0#free");
    let row = PackageVersion { manifest: "{}".to_owned(), ..published.row.clone() };
    let told = Published::read(row).unwrap_err().to_string();
    assert!(told.contains("acme/beams@1.2.0"), "{told}");
}
