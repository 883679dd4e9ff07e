//! Published packages: an owner's name belongs to one tenant, a version never changes, and what a caller may not see is
//! as if it were not there. Knows nothing of what a package holds.

mod change;
mod find;
mod publish;

pub use change::{PackageOutcome, YankOutcome};

use crate::StoreError;
use crate::clock::from_unix_ms;
use crate::objects::ObjectKey;
use crate::reading::bytes_of;
use crate::sql::Row;
use mecapy_model::{Digest, TenantId, Visibility};
use time::OffsetDateTime;
use uuid::Uuid;

/// How many versions a package may have, yanked ones too.
pub const VERSIONS_PER_PACKAGE_MAX: u32 = 1_000;

/// Who looks at packages, and who changes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Viewer {
    pub tenant: TenantId,
    pub principal: Uuid,
    /// Of the tenant.
    pub is_admin: bool,
}

/// One version of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackagePin<'a> {
    pub owner: &'a str,
    pub name: &'a str,
    pub version: &'a str,
}

/// As a reference is written.
impl std::fmt::Display for PackagePin<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}@{}", self.owner, self.name, self.version)
    }
}

/// A version that was checked, to be published. All texts are judged by the caller.
#[derive(Debug, Clone)]
pub struct NewPackageVersion {
    pub owner: String,
    pub name: String,
    pub version: String,
    /// The whole package's from now on.
    pub visibility: Visibility,
    pub description: String,
    /// Of the content, not of the zip's bytes.
    pub digest: Digest,
    pub zip: Vec<u8>,
    /// JSON.
    pub manifest: String,
    /// JSON: what the checks said.
    pub report: String,
    /// A maintainer from now on where the package is new.
    pub publisher: Uuid,
    pub publisher_name: String,
}

/// A published version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageVersion {
    pub owner: String,
    pub name: String,
    pub version: String,
    /// The owner's.
    pub tenant: TenantId,
    /// The package's at present: that of the version published last.
    pub visibility: Visibility,
    pub description: String,
    pub digest: Digest,
    /// Of the zip.
    pub size_bytes: u64,
    pub manifest: String,
    pub report: String,
    pub published_at: OffsetDateTime,
    /// The publisher's name.
    pub published_by: String,
    pub yanked: Option<Yank>,
}

/// Why and when a version was taken back: who names it exactly still gets it, and nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yank {
    pub at: OffsetDateTime,
    pub reason: Option<String>,
}

/// Who may publish further versions of a package, and yank them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maintainer {
    pub id: Uuid,
    pub name: String,
}

/// A package with its versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageSummary {
    pub owner: String,
    pub name: String,
    /// The owner's.
    pub tenant: TenantId,
    /// Of the version published last.
    pub visibility: Visibility,
    /// Of the version published last.
    pub description: String,
    pub maintainers: Vec<Maintainer>,
    /// The one published last comes first; yanked ones too.
    pub versions: Vec<VersionSummary>,
    pub created_at: OffsetDateTime,
}

/// What a package's list says of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionSummary {
    pub version: String,
    pub digest: Digest,
    /// Of the zip.
    pub size_bytes: u64,
    pub published_at: OffsetDateTime,
    /// The publisher's name.
    pub published_by: String,
    pub yanked: Option<Yank>,
}

#[derive(Debug, Clone, thiserror::Error)]
pub enum PublishError {
    #[error("the owner's name belongs to another tenant")]
    OwnerTaken,
    #[error("only the package's maintainers and its tenant's administrators may publish a version of it")]
    NotMaintainer,
    /// With this content; perhaps it is yanked.
    #[error("the version was published before and can't change")]
    VersionExists { digest: Digest },
    #[error("the package has {max} versions already")]
    TooManyVersions { max: u32 },
    /// [`StoreError::OverQuota`] where the tenant may not store so much.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A version with the key of its zip.
struct Stored {
    version: PackageVersion,
    zip: ObjectKey,
}

/// The columns that [`read_version`] takes, in its order, of a version `v` of a package `p`.
macro_rules! version_columns {
    () => {
        "v.owner, v.name, v.version, v.tenant, p.visibility, v.description, v.digest, v.size_bytes, v.manifest, \
         v.report, v.published_ms, v.published_by, v.yanked_ms, v.yank_reason, v.object_key"
    };
}
use version_columns;

/// Whether a package `p` can be seen; [`Viewer`] is bound first, in the order of its fields.
macro_rules! seen {
    () => {
        "(p.visibility = 'public' OR (p.tenant = ?1 AND (p.visibility = 'internal' OR ?2 = 1 OR EXISTS (SELECT 1 FROM \
         package_maintainers m WHERE m.owner = p.owner AND m.name = p.name AND m.principal = ?3))))"
    };
}
use seen;

fn read_version(row: &Row) -> Result<Stored, StoreError> {
    let version = PackageVersion {
        owner: row.try_get(0)?,
        name: row.try_get(1)?,
        version: row.try_get(2)?,
        tenant: TenantId(row.id(3)?),
        visibility: row.try_get::<&str>(4)?.parse().map_err(StoreError::corrupt)?,
        description: row.try_get(5)?,
        digest: Digest(bytes_of(row.try_get(6)?)?),
        size_bytes: row.count(7)?,
        manifest: row.try_get(8)?,
        report: row.try_get(9)?,
        published_at: from_unix_ms(row.try_get(10)?),
        published_by: row.try_get(11)?,
        yanked: read_yank(row, 12)?,
    };
    let zip = ObjectKey::parse(row.try_get(14)?).map_err(|error| StoreError::corrupt(error.to_string()))?;
    Ok(Stored { version, zip })
}

/// Reads two columns from `at` on: when, and why.
fn read_yank(row: &Row, at: usize) -> Result<Option<Yank>, StoreError> {
    let Some(at_ms) = row.try_get::<Option<i64>>(at)? else { return Ok(None) };
    Ok(Some(Yank { at: from_unix_ms(at_ms), reason: row.try_get(at + 1)? }))
}
