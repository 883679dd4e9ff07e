//! Publishing a version.

use super::{NewPackageVersion, PackagePin, PackageVersion, PublishError, VERSIONS_PER_PACKAGE_MAX, Viewer};
use crate::audit::{AuditAction, AuditRecord};
use crate::clock::from_unix_ms;
use crate::objects::Nonce;
use crate::reading::bytes_of;
use crate::sql::{Executor, query};
use crate::writer::Writer;
use crate::{ObjectKey, Store, StoreError};
use mecapy_model::{Digest, TenantId};
use serde_json::json;

/// What [`Facts`] are read from.
const FACTS: &str = "SELECT \
    (SELECT o.tenant FROM package_owners o WHERE o.name = ?1), \
    (SELECT count(*) FROM packages p WHERE p.owner = ?1 AND p.name = ?2), \
    (SELECT count(*) FROM package_maintainers m WHERE m.owner = ?1 AND m.name = ?2 AND m.principal = ?4), \
    (SELECT v.digest FROM package_versions v WHERE v.owner = ?1 AND v.name = ?2 AND v.version = ?3), \
    (SELECT count(*) FROM package_versions v WHERE v.owner = ?1 AND v.name = ?2)";

/// What decides whether a version may be published.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    owners_tenant: Option<TenantId>,
    package_exists: bool,
    is_maintainer: bool,
    published: Option<Digest>,
    versions: u64,
}

impl Facts {
    async fn read(on: Executor<'_>, viewer: Viewer, pin: PackagePin<'_>) -> Result<Self, StoreError> {
        let query = query(FACTS).bind(pin.owner).bind(pin.name).bind(pin.version).bind(viewer.principal);
        let row = query.fetch_one(on).await?;
        Ok(Self {
            owners_tenant: row.try_get::<Option<uuid::Uuid>>(0)?.map(TenantId),
            package_exists: row.count(1)? > 0,
            is_maintainer: row.count(2)? > 0,
            published: row.try_get::<Option<&[u8]>>(3)?.map(bytes_of).transpose()?.map(Digest),
            versions: row.count(4)?,
        })
    }

    /// Who may not publish here is not told what there is.
    fn judge(&self, viewer: Viewer) -> Result<(), PublishError> {
        match self {
            Facts { owners_tenant: Some(tenant), .. } if *tenant != viewer.tenant => Err(PublishError::OwnerTaken),
            Facts { package_exists: true, is_maintainer: false, .. } if !viewer.is_admin => {
                Err(PublishError::NotMaintainer)
            }
            Facts { published: Some(digest), .. } => Err(PublishError::VersionExists { digest: *digest }),
            Facts { versions, .. } if *versions >= u64::from(VERSIONS_PER_PACKAGE_MAX) => {
                Err(PublishError::TooManyVersions { max: VERSIONS_PER_PACKAGE_MAX })
            }
            _ => Ok(()),
        }
    }
}

impl Store {
    /// Whether a version of so many bytes could be published now: to be asked before work that takes minutes.
    ///
    /// # Errors
    /// Those of [`publish_package`](Self::publish_package).
    pub async fn may_publish(&self, viewer: Viewer, pin: PackagePin<'_>, bytes: u64) -> Result<(), PublishError> {
        Facts::read(self.readers().into(), viewer, pin).await?.judge(viewer)?;
        Ok(self.must_have_storage_room(viewer.tenant, bytes).await?)
    }

    /// Publishes a version, for good: the same version again is refused, even after a yank. A package's first publisher
    /// becomes its maintainer, and an owner's name belongs to the tenant that publishes under it first.
    pub async fn publish_package(
        &self,
        viewer: Viewer,
        mut new: NewPackageVersion,
    ) -> Result<PackageVersion, PublishError> {
        // Before the bytes are stored; what counts is found out again within the transaction.
        let zip = std::mem::take(&mut new.zip);
        let size_bytes = zip.len() as u64;
        self.may_publish(viewer, new.pin(), size_bytes).await?;
        // The object comes first, so that a row always has its bytes, under a key that no other request has.
        let key = ObjectKey::package(viewer.tenant, new.digest, Nonce::new(&**self.clock()));
        self.objects().put(&key, zip).await?;
        let (row, named, actor) = (new.clone(), key.clone(), self.actor());
        let published: Result<i64, PublishError> = self
            .write_rarely(async move |writer| {
                writer.lock_tenant(viewer.tenant).await?;
                let facts = Facts::read((&mut writer.conn).into(), viewer, row.pin()).await?;
                if let Err(refusal) = facts.judge(viewer) {
                    return Ok(Err(refusal));
                }
                if let Some(over) = writer.over_storage(viewer.tenant, size_bytes).await? {
                    return Ok(Err(StoreError::OverQuota(over).into()));
                }
                if writer.take_owner(viewer.tenant, &row.owner).await? != viewer.tenant {
                    return Ok(Err(PublishError::OwnerTaken));
                }
                writer.write_package(viewer.tenant, &row, facts.package_exists).await?;
                writer.insert_version(viewer.tenant, &row, &named, size_bytes).await?;
                writer.audit(actor.as_deref(), row.record(viewer.tenant)).await?;
                Ok(Ok(writer.now_ms))
            })
            .await?;
        if published.is_err() {
            self.objects().delete(&key).await?;
        }
        Ok(new.published(viewer.tenant, size_bytes, published?))
    }
}

impl NewPackageVersion {
    fn pin(&self) -> PackagePin<'_> {
        PackagePin { owner: &self.owner, name: &self.name, version: &self.version }
    }

    /// What the audit log says of it.
    fn record(&self, tenant: TenantId) -> AuditRecord {
        let detail = json!({"digest": self.digest.to_string(), "visibility": self.visibility.as_str()});
        let (action, target) = (AuditAction::PackagePublished, self.pin().to_string());
        AuditRecord { tenant, action, target, detail: Some(detail) }
    }

    fn published(self, tenant: TenantId, size_bytes: u64, published_ms: i64) -> PackageVersion {
        PackageVersion {
            owner: self.owner,
            name: self.name,
            version: self.version,
            tenant,
            visibility: self.visibility,
            description: self.description,
            digest: self.digest,
            size_bytes,
            manifest: self.manifest,
            report: self.report,
            published_at: from_unix_ms(published_ms),
            published_by: self.publisher_name,
            yanked: None,
        }
    }
}

impl Writer {
    /// Gives a name that nobody has to the tenant; answers whose it is now.
    async fn take_owner(&mut self, tenant: TenantId, owner: &str) -> Result<TenantId, StoreError> {
        // Changes nothing where another tenant was faster, but answers with its row.
        let sql = "INSERT INTO package_owners (name, tenant, created_ms) VALUES (?, ?, ?) \
                   ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING tenant";
        let query = query(sql).bind(owner).bind(tenant).bind(self.now_ms);
        Ok(TenantId(query.fetch_one(&mut self.conn).await?.id(0)?))
    }

    /// Writes what is said of the whole package; the publisher of a new one is its maintainer.
    async fn write_package(
        &mut self,
        tenant: TenantId,
        new: &NewPackageVersion,
        exists: bool,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO packages (owner, name, tenant, visibility, description, created_ms) \
                   VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (owner, name) \
                   DO UPDATE SET visibility = excluded.visibility, description = excluded.description";
        let package = query(sql)
            .bind(new.owner.as_str())
            .bind(new.name.as_str())
            .bind(tenant)
            .bind(new.visibility.as_str())
            .bind(new.description.as_str())
            .bind(self.now_ms);
        self.run(package).await?;
        if exists {
            return Ok(());
        }
        self.add_maintainer((&new.owner, &new.name), new.publisher, &new.publisher_name, 0).await
    }

    async fn insert_version(
        &mut self,
        tenant: TenantId,
        new: &NewPackageVersion,
        zip: &ObjectKey,
        size_bytes: u64,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO package_versions (owner, name, version, tenant, description, digest, size_bytes, \
                   object_key, manifest, report, published_ms, publisher, published_by) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let query = query(sql)
            .bind(new.owner.as_str())
            .bind(new.name.as_str())
            .bind(new.version.as_str())
            .bind(tenant)
            .bind(new.description.as_str())
            .bind(new.digest.0.as_slice())
            .bind(i64::try_from(size_bytes).unwrap_or(i64::MAX))
            .bind(zip.as_str())
            .bind(new.manifest.as_str())
            .bind(new.report.as_str())
            .bind(self.now_ms)
            .bind(new.publisher)
            .bind(new.publisher_name.as_str());
        self.run(query).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn who_may_not_publish_is_not_told_what_there_is() {
        let (ours, theirs) = (TenantId::from_parts(1, &[1; 10]), TenantId::from_parts(1, &[2; 10]));
        let member = Viewer { tenant: ours, principal: Uuid::nil(), is_admin: false };
        let admin = Viewer { is_admin: true, ..member };
        let said = |facts: Facts, viewer| match facts.judge(viewer) {
            Ok(()) => "may",
            Err(PublishError::OwnerTaken) => "owner taken",
            Err(PublishError::NotMaintainer) => "not maintainer",
            Err(PublishError::VersionExists { .. }) => "exists",
            Err(PublishError::TooManyVersions { .. }) => "too many",
            Err(PublishError::Store(_)) => "store",
        };
        let new = Facts::default();
        assert_eq!((said(new, member), said(new, admin)), ("may", "may"));
        let second = Facts { owners_tenant: Some(ours), package_exists: true, versions: 1, ..new };
        let kept = Facts { published: Some(Digest([1; 32])), ..second };
        assert_eq!((said(second, member), said(second, admin)), ("not maintainer", "may"));
        assert_eq!((said(kept, member), said(kept, admin)), ("not maintainer", "exists"));
        let kept = Facts { is_maintainer: true, ..kept };
        assert_eq!(said(kept, member), "exists");
        assert_eq!(said(Facts { owners_tenant: Some(theirs), ..kept }, admin), "owner taken");
        let full = Facts { is_maintainer: true, versions: u64::from(VERSIONS_PER_PACKAGE_MAX), ..second };
        assert_eq!(said(full, member), "too many");
    }
}
