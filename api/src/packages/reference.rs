//! Names of packages and functions, versions, and how a function is referred to: `owner/package@1.2.0#name`, and
//! `owner/package:1.2.0` as the public SDK writes it.

use semver::Version;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The longest name of an owner, a package or a function, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The longest version, in characters.
const VERSION_CHARS_MAX: usize = 64;

/// Why a name, a version or a reference can't be one: what was found, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

/// The name of a package or of its owner: lower-case letters, digits, `-` and `_`, with a letter or digit at both ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackageName(String);

/// The name of a function or a port: letters, digits and `_`, a function's also `-`; no digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

/// A package of an owner, in one version or in the newest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackageReference {
    pub owner: PackageName,
    pub package: PackageName,
    /// The newest that isn't yanked where left out.
    pub version: Option<Version>,
}

/// A function of a package.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FunctionReference {
    pub package: PackageReference,
    pub function: FunctionName,
}

/// A version by the rules of semver 2.0, as `1.2.0` or `1.2.0-rc.1`. Build metadata (`1.2.0+x`) is refused: versions
/// that differ in it alone have no order, so that nobody could tell the newest.
///
/// # Errors
/// What isn't one, with what to write instead where that can be told.
pub fn parse_version(text: &str) -> Result<Version, Invalid> {
    let shown = super::fields::quoted(text);
    if text.len() > VERSION_CHARS_MAX {
        return Err(Invalid(format!("a version has {VERSION_CHARS_MAX} characters at most")));
    }
    match Version::parse(text) {
        Ok(version) if version.build.is_empty() => Ok(version),
        Ok(version) => {
            let without = Version { build: semver::BuildMetadata::EMPTY, ..version };
            Err(Invalid(format!(
                "{shown} has build metadata (+…), which versions can't be ordered by: write {without}"
            )))
        }
        Err(_) => {
            let bare = text.trim_start_matches(['v', 'V']);
            let numbers = bare.split('.').count();
            let filled = format!("{bare}{}", ".0".repeat(3_usize.saturating_sub(numbers)));
            let meant = Version::parse(&filled).map_or(String::new(), |meant| format!(": did you mean {meant}?"));
            Err(Invalid(format!("{shown} is not a version of three numbers, as 1.2.0 or 1.2.0-rc.1 are{meant}")))
        }
    }
}

impl PackageName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn parse(text: &str, what: &str) -> Result<Self, Invalid> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = text.chars().all(inner) && text.starts_with(outer) && text.ends_with(outer);
        if fits && text.len() <= NAME_CHARS_MAX {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid(format!(
            "{} can't be the name of {what}: 1 to {NAME_CHARS_MAX} lower-case letters (a-z), digits, - and _ are allowed, with a letter or a digit at both ends",
            super::fields::quoted(text)
        )))
    }
}

impl FunctionName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether `text` can name a port: it becomes a parameter of a function.
pub(super) fn is_identifier(text: &str) -> bool {
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts && text.len() <= NAME_CHARS_MAX && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

impl FromStr for PackageName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        Self::parse(text, "a package")
    }
}

impl FromStr for FunctionName {
    type Err = Invalid;
    fn from_str(text: &str) -> Result<Self, Invalid> {
        if is_identifier(&text.replace('-', "_")) && !text.starts_with('-') {
            return Ok(Self(text.to_owned()));
        }
        Err(Invalid(format!(
            "{} can't be the name of a function: 1 to {NAME_CHARS_MAX} letters (a-z, A-Z), digits, _ and - are allowed, with a letter or _ first",
            super::fields::quoted(text)
        )))
    }
}

impl FromStr for PackageReference {
    type Err = Invalid;
    /// Reads `owner/package`, `owner/package@1.2.0` and the SDK's `owner/package:1.2.0`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (path, version) = match text.split_once(['@', ':']) {
            Some((path, version)) => (path, Some(parse_version(version)?)),
            None => (text, None),
        };
        let Some((owner, package)) = path.split_once('/') else {
            let shown = super::fields::quoted(text);
            return Err(Invalid(format!("{shown} names no owner: write owner/package or owner/package@1.2.0")));
        };
        Ok(Self { owner: PackageName::parse(owner, "an owner")?, package: package.parse()?, version })
    }
}

impl FromStr for FunctionReference {
    type Err = Invalid;
    /// Reads `owner/package@1.2.0#name`; the version may be left out.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let Some((package, function)) = text.split_once('#') else {
            let shown = super::fields::quoted(text);
            return Err(Invalid(format!("{shown} names no function: write owner/package@1.2.0#function")));
        };
        Ok(Self { package: package.parse()?, function: function.parse()? })
    }
}

impl PackageReference {
    /// As the public SDK writes it: `owner/package:1.2.0`.
    pub fn for_sdk(&self) -> String {
        let version = self.version.as_ref().map_or(String::new(), |version| format!(":{version}"));
        format!("{}/{}{version}", self.owner, self.package)
    }
}

impl fmt::Display for PackageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.package)?;
        self.version.as_ref().map_or(Ok(()), |version| write!(f, "@{version}"))
    }
}

impl fmt::Display for FunctionReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.package, self.function)
    }
}

impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for PackageName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl TryFrom<String> for FunctionName {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PackageName> for String {
    fn from(name: PackageName) -> Self {
        name.0
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_shown() {
        for text in ["acme/bolted-joint@1.2.0#preload", "a/b#check_all", "a1/e25-030-1@1.0.0-rc.1#F0-min"] {
            assert_eq!(text.parse::<FunctionReference>().unwrap().to_string(), text);
        }
        let sdk: PackageReference = "acme/bolted-joint:1.2.0".parse().unwrap();
        assert_eq!(
            (sdk.to_string().as_str(), sdk.for_sdk().as_str()),
            ("acme/bolted-joint@1.2.0", "acme/bolted-joint:1.2.0")
        );
        let newest: PackageReference = "acme/bolted-joint".parse().unwrap();
        assert_eq!((newest.version.clone(), newest.for_sdk()), (None, "acme/bolted-joint".to_owned()));
    }

    #[test]
    fn what_is_no_reference_is_told_why() {
        for (text, words) in [
            ("bolted-joint#f", "names no owner"),
            ("acme/bolted-joint@1.2.0", "names no function"),
            ("acme/bolted-joint@1.2#f", "did you mean 1.2.0?"),
            ("acme/bolted-joint@latest#f", "three numbers"),
            ("acme/bolted-joint@#f", "three numbers"),
            ("Acme/bolted-joint#f", "name of an owner"),
            ("acme/../x#f", "name of a package"),
            ("acme/a b#f", "name of a package"),
            ("acme/b#", "name of a function"),
            ("acme/b#1f", "name of a function"),
            ("acme/b#-f", "name of a function"),
            ("acme/b#f#g", "name of a function"),
        ] {
            let message = text.parse::<FunctionReference>().unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
    }

    #[test]
    fn versions_are_ordered_and_exact() {
        let sorted = ["0.9.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0", "2.0.0"];
        let mut versions = sorted.map(|text| parse_version(text).unwrap());
        versions.reverse();
        versions.sort();
        assert_eq!(versions.map(|version| version.to_string()), sorted);
        for (text, words) in [
            ("1", "did you mean 1.0.0?"),
            ("v1.2.0", "did you mean 1.2.0?"),
            ("1.2.0+build", "write 1.2.0"),
            ("1.02.0", "three numbers"),
            ("1.2.0.0", "three numbers"),
            ("99999999999999999999.0.0", "three numbers"),
            (" 1.2.0", "three numbers"),
            ("", "three numbers"),
        ] {
            let message = parse_version(text).unwrap_err().to_string();
            assert!(message.contains(words), "{text}: {message}");
        }
        assert!(parse_version(&"1".repeat(1 << 20)).is_err());
    }
}
