//! Looking packages up, for who may see them.

use super::{
    Maintainer, PackagePin, PackageSummary, PackageVersion, Stored, VersionSummary, Viewer, read_version, read_yank,
    seen, version_columns,
};
use crate::clock::from_unix_ms;
use crate::list::LIST_LIMIT_MAX;
use crate::reading::bytes_of;
use crate::sql::{Dialect, Executor, Query, Row, Rows, pieces, query};
use crate::{Store, StoreError};
use mecapy_model::{Digest, TenantId};
use std::collections::HashMap;

/// What [`read_package`] takes, of the packages that can be seen.
macro_rules! packages_sql {
    () => {
        concat!(
            "SELECT p.owner, p.name, p.tenant, p.visibility, p.description, p.created_ms FROM packages p WHERE ",
            seen!()
        )
    };
}

const SEEN_VERSION: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM packages p JOIN package_versions v ON v.owner = p.owner AND v.name = p.name WHERE ",
    seen!(),
    " AND p.owner = ?4 AND p.name = ?5 AND v.version = ?6"
);
const ANY_VERSION: &str = concat!(
    "SELECT ",
    version_columns!(),
    " FROM packages p JOIN package_versions v ON v.owner = p.owner AND v.name = p.name \
     WHERE p.owner = ? AND p.name = ? AND v.version = ?"
);
const SEEN_PACKAGE: &str = concat!(packages_sql!(), " AND p.owner = ?4 AND p.name = ?5");
/// The packages in question come first, so that each is looked up by its name.
const MAINTAINERS: Rows = Rows {
    head: "WITH wanted (owner, name) AS (",
    width: 2,
    tail: ") SELECT m.owner, m.name, m.principal, m.display_name FROM wanted w \
           JOIN package_maintainers m ON m.owner = w.owner AND m.name = w.name ORDER BY m.owner, m.name, m.position",
};
const VERSIONS: Rows = Rows {
    head: "WITH wanted (owner, name) AS (",
    width: 2,
    tail: ") SELECT v.owner, v.name, v.version, v.digest, v.size_bytes, v.published_ms, v.published_by, v.yanked_ms, \
           v.yank_reason FROM wanted w JOIN package_versions v ON v.owner = w.owner AND v.name = w.name \
           ORDER BY v.owner, v.name, v.published_ms DESC, v.version DESC",
};

/// A page of packages, by how their texts are searched.
macro_rules! page_sql {
    ($position:literal) => {
        concat!(
            packages_sql!(),
            " AND (?4 IS NULL OR ",
            $position,
            "(lower(p.owner || '/' || p.name || ' ' || p.description), lower(?4)) > 0)",
            " AND (p.owner, p.name) > (?5, ?6) ORDER BY p.owner, p.name LIMIT ?7"
        )
    };
}

impl Store {
    /// A version that the viewer may see, a yanked one too: who names it exactly still gets it.
    pub async fn package_version(
        &self,
        viewer: Viewer,
        pin: PackagePin<'_>,
    ) -> Result<Option<PackageVersion>, StoreError> {
        let mut reader = self.reader(viewer.tenant).await?;
        Ok(seen_version((&mut reader).into(), viewer, pin).await?.map(|stored| stored.version))
    }

    /// The zip of a version that the viewer may see, as it was published.
    pub async fn package_zip(&self, viewer: Viewer, pin: PackagePin<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        let stored = seen_version((&mut self.reader(viewer.tenant).await?).into(), viewer, pin).await?;
        let Some(stored) = stored else { return Ok(None) };
        self.zip_of(&stored).await.map(Some)
    }

    /// A version for whatever runs it: a task that was accepted keeps its function, whoever may see the package meanwhile.
    pub async fn package_version_by_pin(&self, pin: PackagePin<'_>) -> Result<Option<PackageVersion>, StoreError> {
        Ok(self.any_version(pin).await?.map(|stored| stored.version))
    }

    /// The zip of such a version.
    pub async fn package_zip_by_pin(&self, pin: PackagePin<'_>) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(stored) = self.any_version(pin).await? else { return Ok(None) };
        self.zip_of(&stored).await.map(Some)
    }

    async fn any_version(&self, pin: PackagePin<'_>) -> Result<Option<Stored>, StoreError> {
        let query = query(ANY_VERSION).bind(pin.owner).bind(pin.name).bind(pin.version);
        query.fetch_optional(self.readers()).await?.as_ref().map(read_version).transpose()
    }

    /// A package that the viewer may see.
    pub async fn package(&self, viewer: Viewer, owner: &str, name: &str) -> Result<Option<PackageSummary>, StoreError> {
        seen_package((&mut self.reader(viewer.tenant).await?).into(), viewer, owner, name).await
    }

    /// The packages that the viewer may see, by owner and name: all, or those after the package `after`, with `search` in
    /// their names or their description (upper and lower case of ASCII letters are the same), `limit` at most.
    pub async fn packages(
        &self,
        viewer: Viewer,
        search: Option<&str>,
        after: Option<(String, String)>,
        limit: u32,
    ) -> Result<Vec<PackageSummary>, StoreError> {
        let sql = match self.dialect() {
            Dialect::Sqlite => page_sql!("instr"),
            Dialect::Postgres => page_sql!("strpos"),
        };
        // No package has an empty name.
        let (owner, name) = after.unwrap_or_default();
        let query = as_viewer(sql, viewer).bind(search).bind(owner).bind(name).bind(limit.min(LIST_LIMIT_MAX));
        let mut reader = self.reader(viewer.tenant).await?;
        let rows = query.fetch_all(&mut reader).await?;
        with_lists((&mut reader).into(), &rows).await
    }

    async fn zip_of(&self, stored: &Stored) -> Result<Vec<u8>, StoreError> {
        let zip = self.objects().read(&stored.zip).await?;
        zip.ok_or_else(|| StoreError::corrupt(format!("the object {} of a package is gone", stored.zip)))
    }
}

/// A query that begins with who looks.
pub(super) fn as_viewer(sql: &'static str, viewer: Viewer) -> Query {
    query(sql).bind(viewer.tenant).bind(viewer.is_admin).bind(viewer.principal)
}

pub(super) async fn seen_version(
    on: Executor<'_>,
    viewer: Viewer,
    pin: PackagePin<'_>,
) -> Result<Option<Stored>, StoreError> {
    let query = as_viewer(SEEN_VERSION, viewer).bind(pin.owner).bind(pin.name).bind(pin.version);
    query.fetch_optional(on).await?.as_ref().map(read_version).transpose()
}

pub(super) async fn seen_package(
    mut on: Executor<'_>,
    viewer: Viewer,
    owner: &str,
    name: &str,
) -> Result<Option<PackageSummary>, StoreError> {
    let rows = as_viewer(SEEN_PACKAGE, viewer).bind(owner).bind(name).fetch_all(on.reborrow()).await?;
    Ok(with_lists(on, &rows).await?.pop())
}

/// The packages of these rows, with their maintainers and versions.
async fn with_lists(mut on: Executor<'_>, rows: &[Row]) -> Result<Vec<PackageSummary>, StoreError> {
    let mut packages = rows.iter().map(read_package).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<(String, String)> =
        packages.iter().map(|package| (package.owner.clone(), package.name.clone())).collect();
    let (mut maintainers, mut versions) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
    for piece in pieces(&keys) {
        for row in of_packages(&MAINTAINERS, piece).fetch_all(on.reborrow()).await? {
            let maintainer = Maintainer { id: row.id(2)?, name: row.try_get(3)? };
            maintainers.entry(key_of(&row)?).or_default().push(maintainer);
        }
        for row in of_packages(&VERSIONS, piece).fetch_all(on.reborrow()).await? {
            versions.entry(key_of(&row)?).or_default().push(read_version_summary(&row)?);
        }
    }
    for (package, key) in packages.iter_mut().zip(&keys) {
        package.maintainers = maintainers.remove(key).unwrap_or_default();
        package.versions = versions.remove(key).unwrap_or_default();
    }
    Ok(packages)
}

fn of_packages(rows: &Rows, keys: &[(String, String)]) -> Query {
    let all = query(rows.sql(keys.len()));
    keys.iter().fold(all, |query, (owner, name)| query.bind(owner.as_str()).bind(name.as_str()))
}

fn key_of(row: &Row) -> Result<(String, String), StoreError> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// Without what other tables hold.
fn read_package(row: &Row) -> Result<PackageSummary, StoreError> {
    Ok(PackageSummary {
        owner: row.try_get(0)?,
        name: row.try_get(1)?,
        tenant: TenantId(row.id(2)?),
        visibility: row.try_get::<&str>(3)?.parse().map_err(StoreError::corrupt)?,
        description: row.try_get(4)?,
        maintainers: Vec::new(),
        versions: Vec::new(),
        created_at: from_unix_ms(row.try_get(5)?),
    })
}

fn read_version_summary(row: &Row) -> Result<VersionSummary, StoreError> {
    Ok(VersionSummary {
        version: row.try_get(2)?,
        digest: Digest(bytes_of(row.try_get(3)?)?),
        size_bytes: row.count(4)?,
        published_at: from_unix_ms(row.try_get(5)?),
        published_by: row.try_get(6)?,
        yanked: read_yank(row, 7)?,
    })
}
