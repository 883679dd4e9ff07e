//! Removes what no current claim owns: containers, work folders, control groups.

use super::{ContainerEngine, EngineError, VolumeError, Volumes, cgroup::CgroupFolder};

/// How much was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    pub containers: usize,
    pub volumes: usize,
    pub cgroups: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// Removes `owner`'s containers, work folders and control groups whose key ([`super::Claim::key`]) is not live. Each is
/// asked for after it was found: an attempt that counts as live before it makes anything is never touched.
///
/// # Errors
/// The first thing that could not be removed, when all others are.
pub async fn sweep(
    engine: &ContainerEngine,
    volumes: &Volumes,
    owner: &str,
    is_live: &(dyn Fn(&str) -> bool + Sync),
) -> Result<Swept, SweepError> {
    let mut swept = Swept::default();
    let mut first_error: Option<SweepError> = None;
    for found in engine.find(owner).await? {
        if found.claim.is_some_and(|claim| is_live(&claim.key())) {
            continue;
        }
        match engine.remove(&found.id).await {
            Ok(()) => swept.containers += 1,
            Err(error) => first_error = first_error.or(Some(error.into())),
        }
    }
    let keys = volumes.found().unwrap_or_else(|error| {
        first_error.get_or_insert(error.into());
        Vec::new()
    });
    for key in keys.into_iter().filter(|key| !is_live(key)) {
        match volumes.remove(&key).await {
            Ok(()) => swept.volumes += 1,
            Err(error) => first_error = first_error.or(Some(error.into())),
        }
    }
    for group in CgroupFolder::found(owner).into_iter().filter(|group| !is_live(group.key())) {
        group.remove();
        swept.cgroups += 1;
    }
    match first_error {
        Some(error) => Err(error),
        None => Ok(swept),
    }
}
