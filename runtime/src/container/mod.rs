//! Containers: one attempt of a solver in a locked-down container of a Docker engine.
//!
//! Nothing of a request reaches the engine but as an argument of an array, a file in the work folder, or a number. The
//! worker that owns a container may die: containers carry what names their attempt, and are found again by it.

mod cgroup;
mod claim;
mod engine;
mod error;
mod folder;
mod image;
mod janitor;
mod launch;
mod limits;
mod output;
mod run;
mod volume;
mod watch;

pub use claim::{Claim, Found};
pub use engine::{ContainerEngine, Facts};
pub use error::{ENGINE_AWAY_MAX, EngineError};
pub use folder::{RefusedFile, WorkFolder};
pub use image::{ImageDigest, NoDigest};
pub use janitor::{SweepError, Swept, sweep};
pub use launch::{CONTAINER_UID, Launch, WORK_FOLDER};
pub use limits::Sizes;
pub use output::Follower;
pub use run::Run;
pub use volume::{Volume, VolumeError, Volumes};
pub use watch::Watched;
