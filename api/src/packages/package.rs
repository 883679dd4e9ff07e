//! A package as a whole: its files checked, and what they say in one place.

use super::fields::Report;
use super::files::Files;
use super::handler::check_handlers;
use super::manifest::{MANIFEST_FILE, Manifest, read_manifest};
use super::name::FileName;
use super::python::{Python, check_requirements};
use super::runtime::Runtime;
use super::testcase::{Parameters, TestCase, read_test_cases};
use super::wheel::{Wheel, read_wheels};
use crate::json::Path;
use mecapy_model::{Digest, Fault, Warning};
use std::collections::BTreeSet;

/// The least that a WASI module begins with: the magic, and the version of a core module or of a component.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A package in which no fault was found. Nothing of it has run yet.
#[derive(Debug, Clone)]
pub struct Package {
    pub manifest: Manifest,
    pub files: Files,
    /// Of the files: equal for equal files.
    pub digest: Digest,
    /// What the functions may import beside the files and what the platform's Python has.
    pub wheels: Vec<Wheel>,
    pub test_cases: Vec<TestCase>,
    /// Top-level modules of the platform's Python that it may import.
    pub imports: BTreeSet<String>,
    /// What the author should know.
    pub warnings: Vec<Warning>,
}

impl Package {
    /// Reads and checks a package for `python`. Pure, and takes about a millisecond for each thousand lines.
    ///
    /// # Errors
    /// Every fault that was found, 100 at most. Pointers are into the manifest, or `/files/<name>/…` into another file;
    /// lines are the file's.
    pub fn open(files: Files, python: &Python<'_>) -> Result<Package, Vec<Fault>> {
        let mut report = Report::default();
        let opened = open(&files, python, &mut report);
        let (faults, warnings) = report.into_parts();
        match opened {
            Some(Opened { manifest, wheels, test_cases, imports }) if faults.is_empty() => {
                let digest = files.digest();
                Ok(Package { manifest, files, digest, wheels, test_cases, imports, warnings })
            }
            _ => Err(faults),
        }
    }

    /// Reads the manifest alone, and looks whether its module is there: what can be told without the Python that a
    /// package will run on.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn manifest(files: &Files) -> Result<Manifest, Vec<Fault>> {
        let mut report = Report::default();
        let manifest = read_own_manifest(files, &mut report);
        if let Some(Manifest { runtime: Runtime::Wasm { module }, .. }) = &manifest {
            check_module(module, files, &mut report);
        }
        let (faults, _) = report.into_parts();
        manifest.filter(|_| faults.is_empty()).ok_or(faults)
    }
}

fn read_own_manifest(files: &Files, report: &mut Report) -> Option<Manifest> {
    match files.get(MANIFEST_FILE) {
        Some(text) => read_manifest(text, report),
        None => {
            report.add(Fault::new("", "manifest_missing", missing_manifest(files)));
            None
        }
    }
}

/// What the files say; with faults it may be less.
struct Opened {
    manifest: Manifest,
    wheels: Vec<Wheel>,
    test_cases: Vec<TestCase>,
    imports: BTreeSet<String>,
}

fn open(files: &Files, python: &Python<'_>, report: &mut Report) -> Option<Opened> {
    let manifest = read_own_manifest(files, report)?;
    let mut wheels = Vec::new();
    let mut parameters = Parameters::new();
    let mut imports = BTreeSet::new();
    match &manifest.runtime {
        Runtime::Python { version, requirements } => {
            check_version(version.as_deref(), python, report);
            let (read, refused) = read_wheels(files, python.minor());
            wheels = read;
            for (file, error) in refused {
                let pointer = Path::Root.key("files").key(file.as_str()).to_string();
                report.add(Fault::new(pointer, error.code, error.message));
            }
            check_requirements(requirements, (files, &wheels), python, report);
            (parameters, imports) = check_handlers(&manifest, (files, &wheels), python, report);
        }
        Runtime::Wasm { module } => check_module(module, files, report),
        Runtime::Dockerfile { .. } | Runtime::Image { .. } => {
            let message = "packages run as Python or as WASI modules here, and containers run solvers alone: use kind: python or kind: wasm";
            report.add(Fault::new("/runtime/kind", "unsupported", message));
        }
    }
    for function in &manifest.functions {
        if let Some(ports) = function.signature.inputs() {
            let names = || ports.keys().cloned().collect();
            parameters.entry(function.name.clone()).or_insert_with(names);
        }
    }
    let test_cases = read_test_cases(&manifest, files, &parameters, report);
    Some(Opened { manifest, wheels, test_cases, imports })
}

fn missing_manifest(files: &Files) -> String {
    let elsewhere = files.names().find(|name| name.last() == MANIFEST_FILE);
    let misspelt =
        || files.names().find(|name| matches!(name.as_str(), "mecapy.yaml" | "Mecapy.yml" | "mecapy.yml.txt"));
    match (elsewhere, misspelt()) {
        (Some(found), _) => {
            let folder = found.folder();
            format!(
                "There is no {MANIFEST_FILE} at the package's root: it is in {folder}. Pack what is in that folder, not the folder."
            )
        }
        (None, Some(found)) => format!("There is no {MANIFEST_FILE}: rename {found}."),
        (None, None) => format!("There is no {MANIFEST_FILE}: a package has one at its root."),
    }
}

fn check_version(version: Option<&str>, python: &Python<'_>, report: &mut Report) {
    let minor = version.and_then(|version| version.split('.').nth(1)?.parse::<u64>().ok());
    let Some(minor) = minor else { return };
    let (own, has) = (python.minor(), python.version);
    if minor > own {
        let message =
            format!("the platform's Python is {has}: write the version that the code needs at least, 3.{own} or less");
        report.add(Fault::new("/runtime/version", "python_version", message));
    } else if minor < own {
        report.add_warning(Warning {
            code: "python_version".to_owned(),
            message: format!("the functions run on Python {has}"),
            line: None,
            pointer: Some("/runtime/version".to_owned()),
        });
    }
}

fn check_module(module: &FileName, files: &Files, report: &mut Report) {
    let message = match files.get(module.as_str()) {
        Some(bytes) if bytes.starts_with(CORE_MODULE) || bytes.starts_with(COMPONENT) => return,
        Some(_) => format!("{module} is not a WebAssembly module or component: build it for wasm32-wasip1"),
        None => {
            let others = files.names().filter(|name| name.as_str().ends_with(".wasm")).map(FileName::as_str);
            let listed: Vec<_> = others.take(5).collect();
            let has = if listed.is_empty() { "no .wasm file".to_owned() } else { listed.join(", ") };
            format!("the package has no file {module}: it has {has}")
        }
    };
    report.add(Fault::new("/runtime/module", "module_invalid", message));
}
