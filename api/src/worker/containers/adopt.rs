//! A worker that starts goes on with what an earlier process of it left: containers whose claims still hold.

use super::{Containers, ContainersError, attempt::Begin, start};
use crate::worker::Shared;
use std::sync::Arc;

/// Goes on with each claim that was kept and still holds, also where the engine is away, and stops every other container
/// of this worker.
///
/// # Errors
/// Where the state folder or the store can't say what there is.
pub(in crate::worker) async fn adopt_all(
    shared: &Arc<Shared>,
    containers: &Arc<Containers>,
) -> Result<(), ContainersError> {
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
        start(shared, containers, adopted.claimed, asked_at, Begin::Kept);
    }
    containers.sweep().await;
    Ok(())
}
