//! How packages and their versions are shown.

use crate::{
    functions::{Publication, Published, TestReport},
    http::shown::time,
    packages::Visibility,
};
use mecapy_model::Warning;
use mecapy_store::{Maintainer, PackageSummary, PackageVersion, StoreError, VersionSummary};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

/// A version of a package. It never changes, but for what a yank says of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PackageVersion)]
pub(in crate::http) struct VersionShown {
    owner: String,
    name: String,
    version: String,
    /// `owner/package@1.2.0`
    reference: String,
    /// SHA-256 of the package's files.
    digest: String,
    size_bytes: u64,
    #[schema(value_type = String)]
    visibility: Visibility,
    description: String,
    #[schema(format = DateTime)]
    published_at: String,
    published_by: String,
    #[schema(format = DateTime)]
    yanked_at: Option<String>,
    yank_reason: Option<String>,
    /// Of the publication alone.
    warnings: Vec<Warning>,
    /// How the package's own test cases came out when it was published.
    #[schema(value_type = TestReport)]
    tests: Box<RawValue>,
    functions: Vec<FunctionOfPackage>,
}

/// A function that a version of a package holds.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct FunctionOfPackage {
    name: String,
    /// What a task's code names: `owner/package@1.2.0#name`
    reference: String,
    description: String,
    /// `module:function` of the source.
    handler: Option<String>,
}

impl VersionShown {
    pub(in crate::http) fn of(publication: Publication) -> Result<Self, serde_json::Error> {
        let tests = serde_json::value::to_raw_value(&publication.tests)?;
        Ok(Self { warnings: publication.warnings, ..Self::new(&publication.published, tests) })
    }

    /// What a row says.
    pub(super) fn read(mut row: PackageVersion) -> Result<Self, StoreError> {
        // What was stored is JSON.
        let tests = RawValue::from_string(std::mem::take(&mut row.report));
        Ok(Self::new(&Published::read(row)?, tests.unwrap_or_else(|_| RawValue::NULL.to_owned())))
    }

    fn new(published: &Published, tests: Box<RawValue>) -> Self {
        let row = &published.row;
        let function = |function| FunctionOfPackage::new(published, function);
        Self {
            owner: row.owner.clone(),
            name: row.name.clone(),
            version: row.version.clone(),
            reference: format!("{}/{}@{}", row.owner, row.name, row.version),
            digest: row.digest.to_string(),
            size_bytes: row.size_bytes,
            visibility: row.visibility,
            description: row.description.clone(),
            published_at: time(row.published_at),
            published_by: row.published_by.clone(),
            yanked_at: row.yanked.as_ref().map(|yank| time(yank.at)),
            yank_reason: row.yanked.as_ref().and_then(|yank| yank.reason.clone()),
            warnings: Vec::new(),
            tests,
            functions: published.manifest.functions.iter().map(function).collect(),
        }
    }
}

impl FunctionOfPackage {
    fn new(published: &Published, function: &crate::packages::Function) -> Self {
        Self {
            name: function.name.to_string(),
            reference: published.reference(function),
            description: function.description.clone(),
            handler: function.handler.as_ref().map(ToString::to_string),
        }
    }
}

/// A package with all of its versions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Package)]
pub(super) struct PackageShown {
    owner: String,
    name: String,
    #[schema(value_type = String)]
    visibility: Visibility,
    description: String,
    /// What a reference without a version means; null where every version is yanked.
    latest_version: Option<String>,
    /// Who may publish versions of it and yank them, beside the administrators of its tenant.
    maintainers: Vec<MaintainerShown>,
    versions: Vec<VersionOfPackage>,
}

/// Who may publish.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Maintainer)]
pub(super) struct MaintainerShown {
    id: uuid::Uuid,
    name: String,
}

/// A version in the list of its package.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionOfPackage {
    version: String,
    digest: String,
    size_bytes: u64,
    #[schema(format = DateTime)]
    published_at: String,
    published_by: String,
    #[schema(format = DateTime)]
    yanked_at: Option<String>,
    yank_reason: Option<String>,
}

impl PackageShown {
    pub(super) fn new(package: PackageSummary) -> Self {
        let latest_version = crate::functions::newest(&package).map(|version| version.version.clone());
        let PackageSummary { owner, name, visibility, description, maintainers, mut versions, .. } = package;
        let order = |row: &VersionSummary| crate::packages::parse_version(&row.version).ok();
        versions.sort_by_key(|row| std::cmp::Reverse(order(row)));
        let maintainer = |Maintainer { id, name }| MaintainerShown { id, name };
        Self {
            owner,
            name,
            visibility,
            description,
            latest_version,
            maintainers: maintainers.into_iter().map(maintainer).collect(),
            versions: versions.into_iter().map(VersionOfPackage::new).collect(),
        }
    }
}

impl VersionOfPackage {
    fn new(row: VersionSummary) -> Self {
        Self {
            version: row.version,
            digest: row.digest.to_string(),
            size_bytes: row.size_bytes,
            published_at: time(row.published_at),
            published_by: row.published_by,
            yanked_at: row.yanked.as_ref().map(|yank| time(yank.at)),
            yank_reason: row.yanked.and_then(|yank| yank.reason),
        }
    }
}
