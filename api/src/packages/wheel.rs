//! Wheels that a package brings along: pure Python alone, since a sandbox can't load native code.

use super::archive::read_zip;
use super::files::{Bounds, Files, Refused};
use super::name::FileName;
use super::requirement::{Requirement, normalised};
use pep440_rs::{Version, VersionSpecifiers};
use std::{collections::BTreeSet, str::FromStr};

/// Where wheels are in a package.
pub(super) const WHEEL_FOLDER: &str = "wheels";
/// What all wheels of a package may hold when they are unpacked, bytes.
const WHEELS_BYTES_MAX: u64 = 128 << 20;
/// The most wheels of a package.
const WHEELS_MAX: usize = 64;
/// The most requirements that one wheel may have; those of extras count.
const REQUIREMENTS_MAX: usize = 500;

/// A wheel of a package.
#[derive(Debug, Clone)]
pub struct Wheel {
    /// Its file in the package.
    pub file: FileName,
    /// The distribution's name, normalised.
    pub name: String,
    pub version: Version,
    /// Top-level names that it lets Python import.
    pub modules: BTreeSet<String>,
    /// What it holds, by the names that the files have on Python's path.
    pub files: Files,
    pub(super) requires: Vec<Requirement>,
}

/// Reads the wheels of a package for a Python of version 3.`minor`; what is wrong with one is told with its file.
pub(super) fn read_wheels(files: &Files, minor: u64) -> (Vec<Wheel>, Vec<(FileName, Refused)>) {
    let (mut wheels, mut refused): (Vec<Wheel>, Vec<_>) = (Vec::new(), Vec::new());
    let mut left = WHEELS_BYTES_MAX;
    let mut read = 0;
    for (file, content) in files.iter().filter(|(name, _)| name.folder() == WHEEL_FOLDER) {
        read += 1;
        if read > WHEELS_MAX {
            let message = format!("The package has more than {WHEELS_MAX} files in the folder {WHEEL_FOLDER}.");
            refused.push((file.clone(), Refused::new("too_many", message)));
            break;
        }
        match read_wheel(file, content, left, minor) {
            Ok(wheel) if wheels.iter().any(|other| other.name == wheel.name) => {
                let message = format!("{file} is a second wheel of {}: keep one.", wheel.name);
                refused.push((file.clone(), Refused::new("duplicate_wheel", message)));
            }
            Ok(wheel) => {
                left = left.saturating_sub(wheel.files.bytes());
                wheels.push(wheel);
            }
            Err(error) => refused.push((file.clone(), error)),
        }
    }
    (wheels, refused)
}

/// What the name of a wheel's file says: `name-version[-build]-python-abi-platform.whl`.
struct Named<'a> {
    name: String,
    version: Version,
    /// `py3-none-any`, or sets of tags with dots between them.
    tag: [&'a str; 3],
}

fn read_wheel(file: &FileName, content: &[u8], left: u64, minor: u64) -> Result<Wheel, Refused> {
    let named = parse_name(file)?;
    let name = named.name.as_str();
    check_tag(file, name, named.tag, minor)?;
    let bounds = Bounds { files_bytes_max: left.min(Bounds::WHEEL.files_bytes_max), ..Bounds::WHEEL };
    let files = read_zip(content, bounds).map_err(|error| Refused::new(error.code, format!("{file}: {error}")))?;
    if let Some(native) = files.iter().find(|(name, content)| is_native(name.as_str(), content)) {
        let message = format!("{name} needs native code ({file} holds {}), which a sandbox can't load.", native.0);
        return Err(Refused::new("native_code", format!("{message} {NATIVE_ADVICE}")));
    }
    let broken = |what: String| Refused::new("invalid_wheel", format!("{file} is not a wheel: {what}."));
    let member = |last: &str| {
        let is_it = |found: &&FileName| found.last() == last && found.folder().ends_with(".dist-info");
        let found = files.names().find(is_it).and_then(|found| files.get(found.as_str()));
        let text = found.ok_or_else(|| broken(format!("it has no {last} in a .dist-info folder")))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    };
    let about = member("WHEEL")?;
    for tag in headers(&about, "Tag") {
        let parts: Vec<_> = tag.split('-').collect();
        let tag = <[&str; 3]>::try_from(parts).map_err(|_| broken(format!("its WHEEL file has the tag {tag}")))?;
        check_tag_of_file(file, name, tag)?;
    }
    if headers(&about, "Root-Is-Purelib").next().is_none_or(|value| !value.eq_ignore_ascii_case("true")) {
        let message =
            format!("{name} needs native code ({file} says that it isn't pure Python), which a sandbox can't load.");
        return Err(Refused::new("native_code", format!("{message} {NATIVE_ADVICE}")));
    }
    let metadata = member("METADATA")?;
    let inner = headers(&metadata, "Name").next().map(normalised);
    if inner.as_deref() != Some(name) {
        let inner = inner.unwrap_or_else(|| "nothing".to_owned());
        return Err(broken(format!("its METADATA names {inner}, and the file's name {name}")));
    }
    check_python(file, name, headers(&metadata, "Requires-Python").next(), minor)?;
    let requires = headers(&metadata, "Requires-Dist").take(REQUIREMENTS_MAX + 1);
    let requires = requires.map(Requirement::parse).collect::<Result<Vec<_>, _>>().map_err(broken)?;
    if requires.len() > REQUIREMENTS_MAX {
        return Err(broken(format!("it has more than {REQUIREMENTS_MAX} requirements")));
    }
    let modules = modules_of(&files);
    let Named { name, version, .. } = named;
    Ok(Wheel { file: file.clone(), name, version, modules, files, requires })
}

fn parse_name(file: &FileName) -> Result<Named<'_>, Refused> {
    let invalid = |what: &str| {
        let message = format!("{file} is not named as a wheel is, name-1.0-py3-none-any.whl: {what}.");
        Refused::new("invalid_wheel", message)
    };
    let stem = file.last().strip_suffix(".whl").ok_or_else(|| invalid("it doesn't end with .whl"))?;
    let parts: Vec<&str> = stem.split('-').collect();
    let [name, version, build @ .., python, abi, platform] = parts.as_slice() else {
        return Err(invalid("it has too few parts"));
    };
    if build.len() > 1 || name.is_empty() {
        return Err(invalid("it has too many parts"));
    }
    let version = Version::from_str(version).map_err(|_| invalid("its version is none"))?;
    Ok(Named { name: normalised(name), version, tag: [python, abi, platform] })
}

const NATIVE_ADVICE: &str =
    "Use what the platform's Python has, take a pure-Python distribution instead, or upload a WASI module.";

/// Refuses a wheel that isn't for any platform, or not for this Python.
fn check_tag(file: &FileName, name: &str, tag: [&str; 3], minor: u64) -> Result<(), Refused> {
    check_tag_of_file(file, name, tag)?;
    let [pythons, ..] = tag;
    let fits = |python: &str| match python.strip_prefix("py3") {
        Some("") => true,
        Some(digits) => digits.parse().is_ok_and(|least: u64| least <= minor),
        None => false,
    };
    if pythons.split('.').any(fits) {
        return Ok(());
    }
    let message = format!("{name} is not for this Python, 3.{minor} ({file} is for {pythons}): take a wheel for py3.");
    Err(Refused::new("python_version", message))
}

fn check_tag_of_file(file: &FileName, name: &str, [python, abi, platform]: [&str; 3]) -> Result<(), Refused> {
    let pure = abi.split('.').any(|abi| abi == "none") && platform.split('.').any(|platform| platform == "any");
    if pure {
        return Ok(());
    }
    let message = format!(
        "{name} needs native code ({file} is built for {python}-{abi}-{platform}), which a sandbox can't load. {NATIVE_ADVICE}"
    );
    Err(Refused::new("native_code", message))
}

fn check_python(file: &FileName, name: &str, needs: Option<&str>, minor: u64) -> Result<(), Refused> {
    let Some(needs) = needs else { return Ok(()) };
    // What can't be read says nothing; installers pass over it too.
    let Ok(versions) = VersionSpecifiers::from_str(needs) else { return Ok(()) };
    if versions.contains(&Version::new([3, minor, 0])) {
        return Ok(());
    }
    let message = format!("{name} needs Python {needs} ({file}), and 3.{minor} is what runs it.");
    Err(Refused::new("python_version", message))
}

fn is_native(name: &str, content: &[u8]) -> bool {
    let last = name.rsplit('/').next().unwrap_or(name);
    let by_name = [".so", ".pyd", ".dll", ".dylib"].iter().any(|end| last.ends_with(end)) || last.contains(".so.");
    by_name || content.starts_with(b"\x7fELF")
}

/// The values of a header in a file of headers, whose body follows an empty line.
fn headers<'t>(text: &'t str, name: &'static str) -> impl Iterator<Item = &'t str> {
    let head = text.lines().take_while(|line| !line.trim().is_empty());
    head.filter_map(move |line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

/// What a folder on Python's path lets it import: modules, and folders with modules in them.
pub(super) fn modules_of(files: &Files) -> BTreeSet<String> {
    let first = files.names().filter_map(|name| {
        let path = name.as_str().strip_suffix(".py")?;
        let module = path.split('/').next()?;
        let is_identifier = module.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_identifier.then(|| module.to_owned())
    });
    first.collect()
}
