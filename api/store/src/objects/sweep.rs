//! Deleting objects that no row names: what a crash left between an object and its row.

use super::{Backend, ObjectKey, Objects};
use crate::StoreError;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Below what objects are looked for.
const PREFIXES: [&str; 8] = ["artifacts", "results", "logs", "items", "incoming", "uploads", "modules", "packages"];
/// How many objects the rows are asked for at once.
const KEYS_AT_ONCE: u16 = 500;

/// What a sweep did away with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub objects: u64,
    pub bytes: u64,
    /// Objects that were begun and never completed.
    pub unfinished: u64,
}

impl Objects {
    /// Deletes the objects older than `older_than` of which `known`, asked for some keys at a time, does not answer that
    /// a row names them. A row follows its object within minutes, so an age of a day is safe.
    pub async fn sweep_orphans<F>(
        &self,
        older_than: Duration,
        known: impl Fn(Vec<ObjectKey>) -> F,
    ) -> Result<Swept, StoreError>
    where
        F: Future<Output = Result<HashSet<ObjectKey>, StoreError>>,
    {
        let before = self.inner.clock.now() - older_than;
        let mut swept = Swept::default();
        if let Backend::Folder(folder) = &self.inner.backend {
            swept.unfinished += folder.drop_unfinished(Some(before)).await?;
        }
        for prefix in PREFIXES {
            let prefix = ObjectKey::parse(prefix).map_err(|error| StoreError::corrupt(error.to_string()))?;
            if let Backend::S3(s3) = &self.inner.backend {
                swept.unfinished += s3.abort_stale(&prefix, before).await?;
            }
            let mut listing = self.list_under(&prefix);
            loop {
                let page = listing.next(KEYS_AT_ONCE).await?;
                if page.is_empty() {
                    break;
                }
                let old: Vec<_> = page.into_iter().filter(|object| object.modified_at < before).collect();
                if old.is_empty() {
                    continue;
                }
                let named = known(old.iter().map(|object| object.key.clone()).collect()).await?;
                let orphans: Vec<_> = old.into_iter().filter(|object| !named.contains(&object.key)).collect();
                let sizes: HashMap<_, _> = orphans.into_iter().map(|orphan| (orphan.key, orphan.size_bytes)).collect();
                let gone = self.delete_each(sizes.keys().cloned().collect()).await?;
                swept.objects += gone.len() as u64;
                swept.bytes += gone.iter().filter_map(|key| sizes.get(key)).sum::<u64>();
            }
        }
        Ok(swept)
    }
}
