//! Which versions of the catalogue this worker can run: those whose images are on its engine's machine. An operator may
//! bring an image, or take one away, while the worker runs.

use super::Containers;
use crate::worker::Shared;
use mecapy_runtime::{
    container::{ContainerEngine, EngineError, ImageDigest},
    solver::Catalogue,
};
use std::{
    fmt,
    pin::pin,
    sync::{Arc, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;

/// Between two looks while the engine says nothing: what it says in the moment before it is listened to is missed.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// From an event to the look: an image that comes is told of several times.
const SETTLED_AFTER: Duration = Duration::from_millis(500);
/// Before an engine that ends its stream of events is asked for another.
const LISTEN_AGAIN: Duration = Duration::from_secs(1);

/// What of a catalogue is on an engine's machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Images {
    /// Versions that can be run, each as `name@version`.
    pub(crate) here: Vec<String>,
    pub(crate) missing: Vec<MissingImage>,
}

/// A version that can't be run before its image is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingImage {
    /// `name@version`.
    version: String,
    /// What brings the image, as a part of a sentence.
    fetch: String,
}

impl fmt::Display for MissingImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: its image is not on the engine's machine: {}", self.version, self.fetch)
    }
}

impl Images {
    /// Asks the engine for the image of each version and of each compiler.
    ///
    /// # Errors
    /// Where the engine does not answer or can't.
    pub(crate) async fn of(engine: &ContainerEngine, catalogue: &Catalogue) -> Result<Self, EngineError> {
        let mut images = Self::default();
        for (name, image) in catalogue.images() {
            let fetch = match image.parse::<ImageDigest>() {
                Ok(image) if engine.has_image(&image).await? => {
                    images.here.push(name);
                    continue;
                }
                Ok(image) => image.to_fetch(),
                Err(error) => error.to_string(),
            };
            images.missing.push(MissingImage { version: name, fetch });
        }
        Ok(images)
    }

    /// Logs what differs from an earlier look.
    fn tell_changes(&self, before: &Self) {
        for missing in self.missing.iter().filter(|missing| !before.missing.contains(missing)) {
            tracing::warn!("worker.images: {missing}");
        }
        for version in self.here.iter().filter(|version| before.missing.iter().any(|it| it.version == **version)) {
            tracing::info!(version, "worker.images: its image is there now");
        }
    }
}

impl Containers {
    /// As they were at the latest look.
    pub(in crate::worker) fn images(&self) -> Images {
        self.seen_images().clone()
    }

    /// The versions that tasks may be sent here for.
    pub(in crate::worker) fn offered(&self) -> Vec<String> {
        if self.link.is_shown() { self.seen_images().here.clone() } else { Vec::new() }
    }

    /// Whether a version's image was there at the latest look.
    pub(super) fn has_image_of(&self, version: &str) -> bool {
        self.seen_images().here.iter().any(|here| here == version)
    }

    /// What the engine can't say now stays as it was known.
    pub(super) async fn look_at_images(&self) {
        let Some(engine) = self.link.there() else { return };
        match Images::of(&engine, self.solvers.catalogue()).await {
            Ok(images) => self.note_images(images),
            Err(error) => tracing::warn!(%error, "worker.images: the engine failed"),
        }
    }

    fn note_images(&self, images: Images) {
        let mut seen = self.seen_images();
        images.tell_changes(&seen);
        *seen = images;
    }

    fn seen_images(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at the images whenever the engine says that some came or went, and now and then.
pub(in crate::worker) async fn watch_images(_: Arc<Shared>, containers: Arc<Containers>) {
    loop {
        let engine = containers.link.until_there().await;
        let mut events = pin!(engine.image_events());
        loop {
            containers.look_at_images().await;
            match timeout(LOOK_EVERY, events.next()).await {
                Ok(Some(Ok(()))) => sleep(SETTLED_AFTER).await,
                Err(_) => {}
                Ok(Some(Err(_)) | None) => break,
            }
        }
        // The stream ends when the engine goes: soonest of all, that is known here.
        containers.link.answers().await;
        sleep(LISTEN_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_image_is_told_with_what_brings_it() {
        let missing =
            MissingImage { version: "a@1".to_owned(), fetch: "`docker pull a@sha256:0` fetches it".to_owned() };
        let told = "a@1: its image is not on the engine's machine: `docker pull a@sha256:0` fetches it";
        assert_eq!(missing.to_string(), told);
    }
}
