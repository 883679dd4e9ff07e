//! A worker that starts goes on with what an earlier process of it left: containers whose claims still hold.

use super::{Containers, ContainersError, attempt::Begin, start};
use crate::worker::Shared;
use mecapy_runtime::container::Found;
use std::{collections::BTreeMap, sync::Arc};

/// Goes on with each claim that was kept and still holds, and stops every other container of this worker.
///
/// # Errors
/// Where the engine, the state folder or the store can't say what there is.
pub(in crate::worker) async fn adopt_all(
    shared: &Arc<Shared>,
    containers: &Arc<Containers>,
) -> Result<(), ContainersError> {
    let found = containers.engine.find(containers.state.owner()).await?;
    let mut found: BTreeMap<String, Found> =
        found.into_iter().filter_map(|found| Some((found.claim?.key(), found))).collect();
    let unreadable = |error| ContainersError::State { folder: containers.state.folder().to_owned(), error };
    let kept = containers.state.kept().map_err(unreadable)?;
    for (key, kept) in kept {
        let (task, asked_at) = (kept.task, shared.store.clock().monotonic());
        let Some(adopted) = shared.store.adopt(kept).await? else {
            tracing::warn!(task.id = %task, "worker.adopt: the claim holds no more, what runs under it is stopped");
            if let Err(error) = containers.state.forget(&key) {
                tracing::warn!(key, %error, "worker.containers: a kept claim can't be removed");
            }
            continue;
        };
        let begin = found.remove(&key).map_or(Begin::Missing, Begin::With);
        start(shared, containers, adopted.claimed, asked_at, begin);
    }
    containers.sweep().await;
    Ok(())
}
