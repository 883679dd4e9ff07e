//! Deleting objects that no row needs: what a process that ended badly left between an object and its row, and what
//! was sent by a URL that still worked after its upload was complete.

use crate::clock::millis;
use crate::objects::Owner;
use crate::sql::{Query, pieces, query, union_all};
use crate::writer::Writer;
use crate::{ObjectKey, Store, StoreError, Swept};
use mecapy_model::{Digest, TaskId, TenantId, UploadId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Objects that one task names.
const FILES: &str = "SELECT a.object_key FROM tasks t JOIN artifacts a ON a.no = t.no WHERE t.tenant = ? AND t.id = ?";
const RESULT: &str = "SELECT r.object_key FROM tasks t JOIN results r ON r.no = t.no \
                      WHERE t.tenant = ? AND t.id = ? AND r.object_key IS NOT NULL";
const LOG: &str = "SELECT l.object_key FROM tasks t JOIN task_logs l ON l.no = t.no \
                   WHERE t.tenant = ? AND t.id = ? AND l.object_key IS NOT NULL";
const ITEM: &str = "SELECT i.object_key FROM tasks t JOIN batch_items i ON i.chunk_no = t.no \
                    WHERE t.tenant = ? AND t.id = ? AND i.object_key IS NOT NULL";
const MODULE: &str = "SELECT object_key FROM modules WHERE tenant = ? AND digest = ?";
const PACKAGE: &str = "SELECT object_key FROM package_versions WHERE tenant = ? AND digest = ?";
/// What the upkeep's row of the sweep is called.
const ORPHANS: &str = "orphans";

impl Store {
    /// Sweeps as [`sweep_orphans`](Self::sweep_orphans) does, unless this or another process began that within the time
    /// `every`; then answers `None`.
    pub async fn sweep_orphans_every(
        &self,
        every: Duration,
        older_than: Duration,
    ) -> Result<Option<Swept>, StoreError> {
        let is_due = self.write_rarely(async move |writer| writer.begin_upkeep(ORPHANS, every).await).await?;
        if is_due { self.sweep_orphans(older_than).await.map(Some) } else { Ok(None) }
    }

    /// Deletes the objects older than `older_than` that no row needs, and what was begun before and never completed. A
    /// day is a safe age, and once a day is often enough: it lists everything.
    pub async fn sweep_orphans(&self, older_than: Duration) -> Result<Swept, StoreError> {
        self.objects().sweep_orphans(older_than, |keys| self.needed_objects(keys)).await
    }

    async fn needed_objects(&self, keys: Vec<ObjectKey>) -> Result<HashSet<ObjectKey>, StoreError> {
        let (mut tasks, mut logged, mut chunks) = (HashSet::new(), HashSet::new(), HashSet::new());
        let (mut uploads, mut modules, mut packages) = (HashSet::new(), HashSet::new(), HashSet::new());
        for owner in keys.iter().filter_map(ObjectKey::owner) {
            match owner {
                Owner::Attempt { tenant, task, .. } => drop(tasks.insert((tenant, task))),
                Owner::Log { tenant, task } => drop(logged.insert((tenant, task))),
                Owner::Item { tenant, task } => drop(chunks.insert((tenant, task))),
                Owner::Upload { upload, .. } => drop(uploads.insert(upload)),
                Owner::Module { tenant, digest } => drop(modules.insert((tenant, digest))),
                Owner::Package { tenant, digest } => drop(packages.insert((tenant, digest))),
            }
        }
        let attempts = self.attempts(tasks.into_iter().collect()).await?;
        let mut named = self.uploads_objects(uploads.into_iter().collect()).await?;
        named.extend(self.objects_by_digest(MODULE, modules.into_iter().collect()).await?);
        named.extend(self.objects_by_digest(PACKAGE, packages.into_iter().collect()).await?);
        let ended = attempts.iter().filter(|(_, latest)| latest.has_ended).map(|(task, latest)| (latest.tenant, *task));
        named.extend(self.tasks_objects(&[FILES, RESULT], ended.collect()).await?);
        named.extend(self.tasks_objects(&[LOG], logged.into_iter().collect()).await?);
        named.extend(self.tasks_objects(&[ITEM], chunks.into_iter().collect()).await?);
        let tenants: HashSet<_> = self.tenants().await?.into_iter().map(|tenant| tenant.id).collect();
        let needed = |key: &ObjectKey| match key.owner() {
            // What the latest attempt stored will be needed when that ends.
            Some(Owner::Attempt { task, fence, .. }) if attempts.get(&task).is_some_and(|task| !task.has_ended) => {
                attempts.get(&task).is_some_and(|latest| latest.fence == fence)
            }
            // Of a tenant that was never here: two installations share a bucket, or this one has lost its database.
            Some(owner) => named.contains(key.as_str()) || !tenants.contains(&owner.tenant()),
            // Somebody else's.
            None => true,
        };
        Ok(keys.into_iter().filter(needed).collect())
    }

    async fn attempts(&self, tasks: Vec<(TenantId, TaskId)>) -> Result<HashMap<TaskId, Latest>, StoreError> {
        const ATTEMPT: &str = "SELECT id, tenant, fence, \
                               CAST(CASE WHEN state IN ('queued', 'running') THEN 0 ELSE 1 END AS BIGINT) FROM tasks WHERE tenant = ? AND id = ?";
        let mut attempts = HashMap::new();
        for piece in pieces(&tasks) {
            for row in of_tasks(ATTEMPT, piece).fetch_all(self.readers()).await? {
                let latest = Latest { tenant: TenantId(row.id(1)?), fence: row.count(2)?, has_ended: row.flag(3)? };
                attempts.insert(TaskId(row.id(0)?), latest);
            }
        }
        Ok(attempts)
    }

    /// The keys that tasks name.
    async fn tasks_objects(
        &self,
        parts: &[&'static str],
        tasks: Vec<(TenantId, TaskId)>,
    ) -> Result<HashSet<String>, StoreError> {
        let mut named = HashSet::new();
        for piece in pieces(&tasks) {
            for part in parts {
                for row in of_tasks(part, piece).fetch_all(self.readers()).await? {
                    named.insert(row.try_get(0)?);
                }
            }
        }
        Ok(named)
    }

    /// The keys that uploads name: of one that is awaited, where its bytes may come in.
    async fn uploads_objects(&self, uploads: Vec<UploadId>) -> Result<HashSet<String>, StoreError> {
        let mut named = HashSet::new();
        for piece in pieces(&uploads) {
            let sql = union_all("SELECT id, tenant, object_key FROM uploads WHERE id = ?", "", piece.len());
            let query = piece.iter().fold(query(sql), |query, upload| query.bind(*upload));
            for row in query.fetch_all(self.readers()).await? {
                let (id, tenant) = (UploadId(row.id(0)?), TenantId(row.id(1)?));
                let incoming = || ObjectKey::incoming(tenant, id).to_string();
                named.insert(row.try_get::<Option<String>>(2)?.unwrap_or_else(incoming));
            }
        }
        Ok(named)
    }

    /// The keys that `part` finds, which asks for one tenant's rows with one digest.
    async fn objects_by_digest(
        &self,
        part: &'static str,
        digests: Vec<(TenantId, Digest)>,
    ) -> Result<HashSet<String>, StoreError> {
        let mut named = HashSet::new();
        for piece in pieces(&digests) {
            let sql = union_all(part, "", piece.len());
            let bind =
                |query: Query, (tenant, digest): &(TenantId, Digest)| query.bind(*tenant).bind(digest.0.as_slice());
            for row in piece.iter().fold(query(sql), bind).fetch_all(self.readers()).await? {
                named.insert(row.try_get(0)?);
            }
        }
        Ok(named)
    }
}

/// The latest attempt at a task.
struct Latest {
    tenant: TenantId,
    fence: u64,
    has_ended: bool,
}

/// `part`, which asks for one task by its tenant and id, for each of these.
fn of_tasks(part: &'static str, tasks: &[(TenantId, TaskId)]) -> Query {
    let all = query(union_all(part, "", tasks.len()));
    tasks.iter().fold(all, |query, (tenant, task)| query.bind(*tenant).bind(*task))
}

impl Writer {
    /// Takes note that some upkeep begins now; answers `false` where it began within the time `every`.
    async fn begin_upkeep(&mut self, what: &'static str, every: Duration) -> Result<bool, StoreError> {
        let sql = "INSERT INTO upkeep (what, begun_ms) VALUES (?1, ?2) ON CONFLICT (what) DO UPDATE \
                   SET begun_ms = excluded.begun_ms WHERE upkeep.begun_ms <= ?3 OR upkeep.begun_ms > ?2";
        let before = self.now_ms.saturating_sub(millis(every));
        Ok(self.run(query(sql).bind(what).bind(self.now_ms).bind(before)).await? == 1)
    }
}
