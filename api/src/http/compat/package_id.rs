//! What a look-up answers and later paths name. The SDK forgets the version after the look-up, so it is part of it.

use crate::packages::{PackageName, PackageReference, parse_version};
use mecapy_store::PackageVersion;
use semver::Version;
use std::str::FromStr;

/// Between the parts: allowed in a URL as it is, and in no name and no version.
const BETWEEN: char = '~';

/// A package in one version: `owner~name~1.2.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PackageId {
    owner: PackageName,
    package: PackageName,
    version: Version,
}

/// A text that names no version of a package.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NoPackageId;

impl PackageId {
    pub(super) fn reference(self) -> PackageReference {
        PackageReference { owner: self.owner, package: self.package, version: Some(self.version) }
    }
}

impl FromStr for PackageId {
    type Err = NoPackageId;

    fn from_str(text: &str) -> Result<Self, NoPackageId> {
        let mut parts = text.split(BETWEEN);
        let (Some(owner), Some(package), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoPackageId);
        };
        Ok(Self {
            owner: owner.parse().map_err(|_| NoPackageId)?,
            package: package.parse().map_err(|_| NoPackageId)?,
            version: parse_version(version).map_err(|_| NoPackageId)?,
        })
    }
}

/// The id of a version that is stored.
pub(super) fn of_version(row: &PackageVersion) -> String {
    of_parts(&row.owner, &row.name, &row.version)
}

pub(super) fn of_parts(owner: &str, name: &str, version: &str) -> String {
    format!("{owner}{BETWEEN}{name}{BETWEEN}{version}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        for text in ["acme~bolted-joint~1.2.0", "a1~e25_030-1~1.0.0-rc.1"] {
            let reference = text.parse::<PackageId>().unwrap().reference();
            let version = reference.version.unwrap().to_string();
            assert_eq!(of_parts(reference.owner.as_str(), reference.package.as_str(), &version), text);
        }
        for text in [
            "",
            "acme",
            "acme~joint",
            "acme~joint~",
            "acme~joint~1.2",
            "acme~joint~1.2.0~",
            "A~b~1.2.0",
            "../x~b~1.0.0",
        ] {
            assert_eq!(text.parse::<PackageId>(), Err(NoPackageId), "{text}");
        }
    }
}
