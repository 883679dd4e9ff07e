//! Yanking versions, and who may.

use super::find::{as_viewer, seen_package, seen_version};
use super::{Maintainer, PackagePin, PackageSummary, PackageVersion, Viewer, seen};
use crate::audit::{AuditAction, AuditRecord};
use crate::sql::{Dialect, query};
use crate::writer::Writer;
use crate::{Store, StoreError};
use serde_json::json;
use uuid::Uuid;

/// Whether who sees the package may change it.
const MAY_CHANGE: &str = concat!(
    "SELECT CAST(CASE WHEN p.tenant = ?1 AND (?2 = 1 OR EXISTS (SELECT 1 FROM package_maintainers m \
     WHERE m.owner = p.owner AND m.name = p.name AND m.principal = ?3)) THEN 1 ELSE 0 END AS BIGINT) \
     FROM packages p WHERE ",
    seen!(),
    " AND p.owner = ?4 AND p.name = ?5"
);

/// What became of a change of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageOutcome<T> {
    /// As it is now.
    Done(T),
    /// There is no such thing that the viewer may see.
    NotFound,
    /// The viewer sees the package, but is neither its maintainer nor an administrator of its tenant.
    NotMaintainer,
}

/// What became of a yank.
pub type YankOutcome = PackageOutcome<PackageVersion>;

/// An owned [`PackagePin`], for the writer.
struct Pinned {
    owner: String,
    name: String,
    version: String,
}

impl Store {
    /// Takes a version back: who names it exactly still gets it, so that what ran before runs again. Yanking it again
    /// changes nothing.
    pub async fn yank_package(
        &self,
        viewer: Viewer,
        pin: PackagePin<'_>,
        reason: Option<String>,
    ) -> Result<YankOutcome, StoreError> {
        let (pinned, actor) = (Pinned::of(pin), self.actor());
        self.write_rarely(async move |writer| {
            let pin = pinned.pin();
            if let Some(refusal) = writer.refused(viewer, pin.owner, pin.name).await? {
                return Ok(refusal);
            }
            let sql = "UPDATE package_versions SET yanked_ms = ?, yank_reason = ? \
                       WHERE owner = ? AND name = ? AND version = ? AND yanked_ms IS NULL";
            let yank = query(sql).bind(writer.now_ms).bind(reason.as_deref());
            if writer.run(yank.bind(pin.owner).bind(pin.name).bind(pin.version)).await? > 0 {
                let detail = reason.as_deref().map(|reason| json!({"reason": reason}));
                let record = AuditRecord { detail, ..about(viewer, pin.to_string(), AuditAction::PackageYanked) };
                writer.audit(actor.as_deref(), record).await?;
            }
            writer.changed_version(viewer, pin).await
        })
        .await
    }

    /// Undoes a yank; without one it changes nothing.
    pub async fn unyank_package(&self, viewer: Viewer, pin: PackagePin<'_>) -> Result<YankOutcome, StoreError> {
        let (pinned, actor) = (Pinned::of(pin), self.actor());
        self.write_rarely(async move |writer| {
            let pin = pinned.pin();
            if let Some(refusal) = writer.refused(viewer, pin.owner, pin.name).await? {
                return Ok(refusal);
            }
            let sql = "UPDATE package_versions SET yanked_ms = NULL, yank_reason = NULL \
                       WHERE owner = ? AND name = ? AND version = ? AND yanked_ms IS NOT NULL";
            if writer.run(query(sql).bind(pin.owner).bind(pin.name).bind(pin.version)).await? > 0 {
                let record = about(viewer, pin.to_string(), AuditAction::PackageUnyanked);
                writer.audit(actor.as_deref(), record).await?;
            }
            writer.changed_version(viewer, pin).await
        })
        .await
    }

    /// Names a package's maintainers, all of them. How many there may be, and that there is one, the caller judges; where
    /// there is none, the tenant's administrators are left.
    pub async fn set_maintainers(
        &self,
        viewer: Viewer,
        owner: &str,
        name: &str,
        maintainers: Vec<Maintainer>,
    ) -> Result<PackageOutcome<PackageSummary>, StoreError> {
        let (owner, name, actor) = (owner.to_owned(), name.to_owned(), self.actor());
        self.write_rarely(async move |writer| {
            if let Some(refusal) = writer.refused(viewer, &owner, &name).await? {
                return Ok(refusal);
            }
            let sql = "DELETE FROM package_maintainers WHERE owner = ? AND name = ?";
            writer.run(query(sql).bind(owner.as_str()).bind(name.as_str())).await?;
            for (position, maintainer) in (0..).zip(&maintainers) {
                writer.add_maintainer((&owner, &name), maintainer.id, &maintainer.name, position).await?;
            }
            let ids: Vec<String> = maintainers.iter().map(|maintainer| maintainer.id.to_string()).collect();
            let record = AuditRecord {
                detail: Some(json!({"maintainers": ids})),
                ..about(viewer, format!("{owner}/{name}"), AuditAction::PackageMaintainersChanged)
            };
            writer.audit(actor.as_deref(), record).await?;
            // Who is a maintainer no more sees how it is too.
            let viewer = Viewer { is_admin: true, ..viewer };
            let package = seen_package((&mut writer.conn).into(), viewer, &owner, &name).await?;
            Ok(package.map_or(PackageOutcome::NotFound, PackageOutcome::Done))
        })
        .await
    }
}

impl Writer {
    /// The answer to a viewer who may not change the package. In PostgreSQL its row is locked until the commit, so that
    /// who has lost the right changes nothing any more.
    async fn refused<T>(
        &mut self,
        viewer: Viewer,
        owner: &str,
        name: &str,
    ) -> Result<Option<PackageOutcome<T>>, StoreError> {
        if self.dialect == Dialect::Postgres {
            let lock = "SELECT 1 FROM packages WHERE owner = ? AND name = ? FOR NO KEY UPDATE";
            query(lock).bind(owner).bind(name).fetch_optional(&mut self.conn).await?;
        }
        let may = as_viewer(MAY_CHANGE, viewer).bind(owner).bind(name).fetch_optional(&mut self.conn).await?;
        Ok(match may.map(|row| row.flag(0)).transpose()? {
            None => Some(PackageOutcome::NotFound),
            Some(true) => None,
            Some(false) => Some(PackageOutcome::NotMaintainer),
        })
    }

    /// One who is named twice is one maintainer.
    pub(super) async fn add_maintainer(
        &mut self,
        (owner, package): (&str, &str),
        id: Uuid,
        name: &str,
        position: u32,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO package_maintainers (owner, name, principal, display_name, position) \
                   VALUES (?, ?, ?, ?, ?) ON CONFLICT (owner, name, principal) DO NOTHING";
        let query = query(sql).bind(owner).bind(package).bind(id).bind(name).bind(position);
        self.run(query).await.map(drop)
    }

    async fn changed_version(&mut self, viewer: Viewer, pin: PackagePin<'_>) -> Result<YankOutcome, StoreError> {
        let version = seen_version((&mut self.conn).into(), viewer, pin).await?;
        Ok(version.map_or(PackageOutcome::NotFound, |stored| PackageOutcome::Done(stored.version)))
    }
}

impl Pinned {
    fn of(pin: PackagePin<'_>) -> Self {
        let PackagePin { owner, name, version } = pin;
        Self { owner: owner.to_owned(), name: name.to_owned(), version: version.to_owned() }
    }

    fn pin(&self) -> PackagePin<'_> {
        PackagePin { owner: &self.owner, name: &self.name, version: &self.version }
    }
}

/// Who may change a package is of its tenant, in whose log the change stands.
fn about(viewer: Viewer, target: String, action: AuditAction) -> AuditRecord {
    AuditRecord { tenant: viewer.tenant, action, target, detail: None }
}
