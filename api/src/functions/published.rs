//! One version of a package as callers see it.

use crate::packages::{Function, FunctionReference, Manifest, PackageName, PackageReference, parse_version};
use mecapy_store::{PackagePin, PackageSummary, PackageVersion, StoreError, VersionSummary};
use semver::Version;

/// A published version, with its manifest read.
#[derive(Debug, Clone)]
pub struct Published {
    /// Without the texts of manifest and report.
    pub row: PackageVersion,
    pub manifest: Manifest,
}

impl Published {
    /// # Errors
    /// The row holds something else than a manifest of ours.
    pub fn read(mut row: PackageVersion) -> Result<Self, StoreError> {
        row.report = String::new();
        let manifest = serde_json::from_str(&std::mem::take(&mut row.manifest));
        let manifest = manifest.map_err(|error| StoreError::Corrupt {
            what: format!("the manifest of {}/{}@{}: {error}", row.owner, row.name, row.version),
        })?;
        Ok(Self { row, manifest })
    }

    /// Whether this is what the row says.
    pub(super) fn is_of(&self, row: &PackageVersion) -> bool {
        let own = &self.row;
        (own.digest, own.visibility, own.tenant) == (row.digest, row.visibility, row.tenant) && own.yanked == row.yanked
    }

    pub(super) fn pin(&self) -> PackagePin<'_> {
        let PackageVersion { owner, name, version, .. } = &self.row;
        PackagePin { owner, name, version }
    }

    /// `owner/package@1.2.0#name`
    pub fn reference(&self, function: &Function) -> String {
        let PackageVersion { owner, name, version, .. } = &self.row;
        format!("{owner}/{name}@{version}#{}", function.name)
    }
}

/// The newest version of a package that isn't yanked; one before its release only where there is no other.
pub fn newest(package: &PackageSummary) -> Option<&VersionSummary> {
    let usable = package.versions.iter().filter(|version| version.yanked.is_none());
    let parsed = usable.filter_map(|row| Some((parse_version(&row.version).ok()?, row)));
    parsed.max_by(|(a, _), (b, _)| order(a).cmp(&order(b))).map(|(_, row)| row)
}

fn order(version: &Version) -> (bool, &Version) {
    (version.pre.is_empty(), version)
}

/// The package and version that a row is of, as a reference.
pub(super) fn pinned(owner: &PackageName, package: &PackageName, version: &str) -> Option<PackageReference> {
    let version = Some(parse_version(version).ok()?);
    Some(PackageReference { owner: owner.clone(), package: package.clone(), version })
}

/// The function of a pinned task.
pub(super) fn function_of(reference: &str) -> Option<FunctionReference> {
    reference.parse().ok().filter(|reference: &FunctionReference| reference.package.version.is_some())
}
