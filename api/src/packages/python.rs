//! What the platform's Python has, and whether a package's requirements are met by it and by the package's wheels.

use super::fields::{Place, Report};
use super::files::Files;
use super::requirement::{Environment, Requirement, normalised};
use super::runtime::Requirements;
use super::wheel::Wheel;
use crate::{analysis::Catalogue, analysis::nearest, json::Path};
use mecapy_model::Fault;
use pep440_rs::Version;
use std::{collections::BTreeSet, str::FromStr};

/// The Python that a package will run on.
#[derive(Debug, Clone, Copy)]
pub struct Python<'a> {
    /// Its version with three numbers, `3.15.0`.
    pub version: &'a str,
    /// What can be imported.
    pub catalogue: &'a Catalogue,
    /// What is installed in it.
    pub distributions: &'a [Distribution],
}

/// A distribution that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Normalised.
    pub name: String,
    pub version: Version,
}

impl Distribution {
    /// Reads them from names of files in a library, as `numpy-2.5.2.dist-info/METADATA`; other names say nothing.
    pub fn among<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<Distribution> {
        let folder = |name: &'n str| name.split('/').find_map(|part| part.strip_suffix(".dist-info"));
        let distribution = |folder: &str| {
            let (name, version) = folder.rsplit_once('-')?;
            Some((normalised(name), Version::from_str(version).ok()?))
        };
        let found: BTreeSet<_> = names.into_iter().filter_map(folder).filter_map(distribution).collect();
        found.into_iter().map(|(name, version)| Distribution { name, version }).collect()
    }
}

impl Python<'_> {
    /// N of Python 3.N.
    pub(super) fn minor(&self) -> u64 {
        self.version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or_default()
    }
}

/// The most requirements that are followed, those of wheels included.
const FOLLOWED_MAX: usize = 5_000;

/// Checks that every requirement of the package, and of the wheels in it, is met. What the platform's Python has is
/// used from there, and can't be replaced by a wheel: its modules are already imported.
pub(super) fn check_requirements(
    requirements: &Requirements,
    (files, wheels): (&Files, &[Wheel]),
    python: &Python<'_>,
    report: &mut Report,
) {
    let own = own_requirements(requirements, files, report);
    let environment = Environment { python: python.version, extras: &[] };
    let counting = own.iter().filter(|(requirement, _)| requirement.holds(environment) == Ok(true));
    let waiting = counting.map(|(requirement, pointer)| (requirement, "the package", pointer.clone())).collect();
    let mut check = Check { python, wheels, report, waiting, followed: BTreeSet::new() };
    for wheel in wheels {
        if let Some(installed) = check.installed(&wheel.name) {
            let message = format!(
                "The platform's Python has {} {} already, which is used: {} is not.",
                installed.name, installed.version, wheel.file
            );
            let path = Path::Root.key("files");
            check.report.warn(Place { path: path.key(wheel.file.as_str()), line: 0 }, "wheel_unused", message);
            continue;
        }
        check.wait_for(wheel, &[]);
    }
    while let Some((requirement, whose, pointer)) = check.waiting.pop() {
        if check.waiting.len() + check.followed.len() > FOLLOWED_MAX {
            let message = format!("the package and its wheels have more than {FOLLOWED_MAX} requirements");
            return check.report.add(Fault::new("/runtime/requirements", "too_many", message));
        }
        if check.followed.insert(&requirement.text) {
            check.follow(requirement, whose, &pointer);
        }
    }
}

/// What the package itself requires, each with the pointer of where it says so.
fn own_requirements(requirements: &Requirements, files: &Files, report: &mut Report) -> Vec<(Requirement, String)> {
    let mut found = Vec::new();
    let mut take = |text: &str, pointer: String, line: Option<u32>| match Requirement::parse(text) {
        Ok(requirement) => found.push((requirement, pointer)),
        Err(message) => report.add(Fault { line, ..Fault::new(pointer, "invalid_requirement", message) }),
    };
    match requirements {
        Requirements::Listed(listed) => {
            for (index, text) in listed.iter().enumerate() {
                take(text, format!("/runtime/requirements/{index}"), None);
            }
        }
        Requirements::File(file) => {
            let Some(content) = files.get(file.as_str()) else {
                let message = format!("the package has no file {file}");
                report.add(Fault::new("/runtime/requirements", "file_missing", message));
                return found;
            };
            let text = String::from_utf8_lossy(content);
            for (number, line) in (1_u32..).zip(text.lines()) {
                let said = line.split(" #").next().unwrap_or_default().trim();
                if !said.is_empty() && !said.starts_with('#') {
                    take(said, pointer_of(file.as_str()), Some(number));
                }
            }
        }
    }
    found
}

fn pointer_of(file: &str) -> String {
    Path::Root.key("files").key(file).to_string()
}

struct Check<'a, 'r> {
    python: &'a Python<'a>,
    wheels: &'a [Wheel],
    report: &'r mut Report,
    /// Requirements, whose they are, and where that is said.
    waiting: Vec<(&'a Requirement, &'a str, String)>,
    /// The texts of those that were looked at.
    followed: BTreeSet<&'a str>,
}

impl<'a> Check<'a, '_> {
    fn installed(&self, name: &str) -> Option<&'a Distribution> {
        self.python.distributions.iter().find(|distribution| distribution.name == name)
    }

    /// Puts the requirements of a wheel with these extras in line.
    fn wait_for(&mut self, wheel: &'a Wheel, extras: &[String]) {
        let environment = Environment { python: self.python.version, extras };
        let counting = wheel.requires.iter().filter(|requirement| requirement.holds(environment) == Ok(true));
        let pointer = pointer_of(wheel.file.as_str());
        self.waiting.extend(counting.map(|requirement| (requirement, wheel.name.as_str(), pointer.clone())));
    }

    /// Checks one requirement of `whose`, and puts in line what meets it.
    fn follow(&mut self, requirement: &'a Requirement, whose: &str, pointer: &str) {
        let Requirement { name, versions, text, .. } = requirement;
        if let Some(installed) = self.installed(name) {
            if !versions.contains(&installed.version) {
                let message = format!(
                    "{whose} needs {text}, and the platform's Python has {name} {}, which can't be replaced",
                    installed.version
                );
                self.report.add(Fault::new(pointer, "requirement_version", message));
            }
            return;
        }
        let wheels = self.wheels;
        match wheels.iter().find(|wheel| wheel.name == *name) {
            Some(wheel) if versions.contains(&wheel.version) => self.wait_for(wheel, &requirement.extras),
            Some(wheel) => {
                let message = format!("{whose} needs {text}, and {} is version {}", wheel.file, wheel.version);
                self.report.add(Fault::new(pointer, "requirement_version", message));
            }
            None => {
                let message = self.missing(requirement, whose);
                self.report.add(Fault::new(pointer, "requirement_missing", message));
            }
        }
    }

    fn missing(&self, requirement: &Requirement, whose: &str) -> String {
        let Requirement { name, text, .. } = requirement;
        let installed = self.python.distributions.iter().map(|distribution| distribution.name.as_str());
        let wheels = self.wheels.iter().map(|wheel| wheel.name.as_str());
        if let Some(meant) = nearest(name, installed.chain(wheels)) {
            return format!("{whose} needs {text}, which is not there: did you mean {meant}?");
        }
        format!(
            "{whose} needs {text}, which neither the platform's Python nor the package has: put its pure-Python wheel into the folder wheels (pip download --no-deps --only-binary=:all: --platform=any --dest=wheels '{text}')"
        )
    }
}
