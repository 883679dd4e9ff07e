//! One attempt's container: made and started, or found and taken over; then watched, and removed.

use super::{ContainerEngine, EngineError, Found, ImageDigest, Launch, cgroup::CgroupFolder, error::status};
use bollard::{
    models::{ContainerCreateBody, ContainerStateStatusEnum},
    query_parameters::{CreateContainerOptionsBuilder, InspectContainerOptions, StartContainerOptions},
};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;

/// A run that may last longer has no deadline that anybody would see.
const WALL_MAX: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A container of ours that was started. It stays until it is removed: a worker may end while its containers go on.
#[derive(Debug)]
pub struct Run {
    pub(super) engine: ContainerEngine,
    pub(super) id: String,
    pub(super) deadline: Instant,
    pub(super) output_bytes_max: u64,
    pub(super) cgroup: Option<CgroupFolder>,
}

impl Run {
    /// Makes and starts a container. The deadline of this worker's watch is `sizes.wall` from now; the claim's is for
    /// whoever takes it over.
    ///
    /// # Errors
    /// Why there is no container; nothing is left of it then.
    pub async fn launch(engine: &ContainerEngine, launch: &Launch) -> Result<Self, EngineError> {
        launch.check(engine.facts())?;
        let volumes = image_volumes(engine, &launch.image).await?;
        let id = create(engine, launch, launch.body(engine.facts(), &volumes)).await?;
        let run = Self {
            engine: engine.clone(),
            id,
            deadline: after(launch.sizes.wall),
            output_bytes_max: launch.sizes.output_bytes_max,
            cgroup: CgroupFolder::of(engine.facts(), &launch.owner, &launch.claim.key()),
        };
        match run.start().await {
            Ok(()) => Ok(run),
            Err(error) => {
                if let Err(left) = run.remove().await {
                    tracing::warn!(container = run.id, error = %left, "container.left");
                }
                Err(error)
            }
        }
    }

    /// Takes over a container that another process made: one that runs, has ended, or was made and not yet started.
    /// Its deadline is its claim's, of which `now` says how far it is. `owner` is who launched it.
    ///
    /// # Errors
    /// `Refused` where its labels are not ours; `Vanished`; or where the engine does not answer.
    pub async fn adopt(
        engine: &ContainerEngine,
        found: &Found,
        owner: &str,
        now: OffsetDateTime,
    ) -> Result<Self, EngineError> {
        let Some(claim) = found.claim else {
            return Err(EngineError::Refused(format!("the labels of {} are not ours", found.id)));
        };
        let left = Duration::try_from(claim.deadline - now).unwrap_or_default();
        let run = Self {
            engine: engine.clone(),
            id: found.id.clone(),
            deadline: after(left),
            output_bytes_max: found.output_bytes_max,
            cgroup: CgroupFolder::of(engine.facts(), owner, &claim.key()),
        };
        let state = run.inspect().await?.state.unwrap_or_default();
        if state.status == Some(ContainerStateStatusEnum::CREATED) {
            run.start().await?;
        }
        Ok(run)
    }

    /// The engine's id of the container.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Ends the container at once, where it has not ended, and removes it and its control group.
    ///
    /// # Errors
    /// Where the engine does not answer or can't; asking again may help, and the janitor does.
    pub async fn remove(&self) -> Result<(), EngineError> {
        self.engine.remove(&self.id).await?;
        if let Some(group) = &self.cgroup {
            group.remove();
        }
        Ok(())
    }

    async fn start(&self) -> Result<(), EngineError> {
        let started = self.engine.docker.start_container(&self.id, None::<StartContainerOptions>).await;
        started.map_err(|error| EngineError::about(&self.id, error))
    }
}

fn after(wall: Duration) -> Instant {
    Instant::now() + wall.min(WALL_MAX)
}

/// The folders that an image declares as volumes.
async fn image_volumes(engine: &ContainerEngine, image: &ImageDigest) -> Result<Vec<String>, EngineError> {
    let inspected = engine.docker.inspect_image(image.as_str()).await;
    let inspected = inspected.map_err(|error| missing(image, error))?;
    Ok(inspected.config.and_then(|config| config.volumes).unwrap_or_default())
}

/// Makes the container, in place of one that an older claim of the same attempt has left.
async fn create(engine: &ContainerEngine, launch: &Launch, body: ContainerCreateBody) -> Result<String, EngineError> {
    let name = launch.claim.container_name();
    let make = || {
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        engine.docker.create_container(Some(options), body.clone())
    };
    let made = match make().await {
        Err(error) if status(&error) == Some(409) => {
            clear(engine, launch, &name).await?;
            make().await
        }
        made => made,
    };
    let made = made.map_err(|error| missing(&launch.image, error))?;
    for warning in made.warnings {
        tracing::warn!(container = made.id, warning, "container.engine_warned");
    }
    Ok(made.id)
}

/// Removes the container of that name, where it is of this claim (whose answer got lost) or of an older one.
async fn clear(engine: &ContainerEngine, launch: &Launch, name: &str) -> Result<(), EngineError> {
    let inspected = engine.docker.inspect_container(name, None::<InspectContainerOptions>).await;
    let container = match inspected {
        Ok(container) => container,
        Err(error) if status(&error) == Some(404) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let labels = container.config.and_then(|config| config.labels).unwrap_or_default();
    let found = container.id.map(|id| Found::new(id, &labels, false));
    match found.and_then(|found| Some((found.claim?, found.id))) {
        Some((claim, id)) if claim.task == launch.claim.task && claim.fence <= launch.claim.fence => {
            tracing::warn!(container = id, fence = claim.fence, "container.older_claim_removed");
            engine.remove(&id).await
        }
        _ => Err(EngineError::Conflict(name.to_owned())),
    }
}

fn missing(image: &ImageDigest, error: bollard::errors::Error) -> EngineError {
    match status(&error) {
        Some(404) => EngineError::ImageMissing { image: image.clone() },
        _ => error.into(),
    }
}
