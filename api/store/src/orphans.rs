//! Deleting objects that no row needs: what a process that ended badly left between an object and its row, and what
//! was sent by a URL that still worked after its upload was complete.

use crate::objects::Owner;
use crate::sql::{pieces, query, union_all};
use crate::{ObjectKey, Store, StoreError, Swept};
use mecapy_model::{Digest, TaskId, TenantId, UploadId};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

impl Store {
    /// Deletes the objects older than `older_than` that no row needs, and what was begun before and never completed. A
    /// day is a safe age, and once a day is often enough: it lists everything.
    pub async fn sweep_orphans(&self, older_than: Duration) -> Result<Swept, StoreError> {
        self.objects().sweep_orphans(older_than, |keys| self.needed_objects(keys)).await
    }

    async fn needed_objects(&self, keys: Vec<ObjectKey>) -> Result<HashSet<ObjectKey>, StoreError> {
        let (mut tasks, mut uploads, mut modules) = (HashSet::new(), HashSet::new(), HashSet::new());
        for owner in keys.iter().filter_map(ObjectKey::owner) {
            match owner {
                Owner::Attempt { tenant, task, .. } => drop(tasks.insert((tenant, task))),
                Owner::Upload { upload } => drop(uploads.insert(upload)),
                Owner::Module { tenant, digest } => drop(modules.insert((tenant, digest))),
            }
        }
        let fences = self.fences(tasks.into_iter().collect()).await?;
        let mut named = self.uploads_objects(uploads.into_iter().collect()).await?;
        named.extend(self.modules_objects(modules.into_iter().collect()).await?);
        let needed = |key: &ObjectKey| match key.owner() {
            // What the latest attempt stored is needed, or will be when it ends.
            Some(Owner::Attempt { task, fence, .. }) => fences.get(&task) == Some(&fence),
            Some(Owner::Upload { .. } | Owner::Module { .. }) => named.contains(key.as_str()),
            // Somebody else's.
            None => true,
        };
        Ok(keys.into_iter().filter(needed).collect())
    }

    async fn fences(&self, tasks: Vec<(TenantId, TaskId)>) -> Result<HashMap<TaskId, u64>, StoreError> {
        let mut fences = HashMap::new();
        for piece in pieces(&tasks) {
            let mut query =
                query(union_all("SELECT id, fence FROM tasks WHERE tenant = ? AND id = ?", "", piece.len()));
            for (tenant, task) in piece {
                query = query.bind(*tenant).bind(*task);
            }
            for row in query.fetch_all(self.readers()).await? {
                fences.insert(TaskId(row.id(0)?), row.count(1)?);
            }
        }
        Ok(fences)
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

    async fn modules_objects(&self, modules: Vec<(TenantId, Digest)>) -> Result<HashSet<String>, StoreError> {
        let mut named = HashSet::new();
        for piece in pieces(&modules) {
            let sql = union_all("SELECT object_key FROM modules WHERE tenant = ? AND digest = ?", "", piece.len());
            let bind = |query: crate::sql::Query, (tenant, digest): &(TenantId, Digest)| {
                query.bind(*tenant).bind(digest.0.as_slice())
            };
            for row in piece.iter().fold(query(sql), bind).fetch_all(self.readers()).await? {
                named.insert(row.try_get(0)?);
            }
        }
        Ok(named)
    }
}
