//! Containers: one attempt of a solver in a locked-down container of a Docker engine.
//!
//! Nothing of a request reaches the engine but as an argument of an array, a file in the work folder, or a number. The
//! worker that owns a container may die: containers carry what names their attempt, and are found again by it.

mod engine;
mod limits;
mod run;
mod volume;

pub use engine::{ContainerEngine, EngineError, Found};
pub use limits::{Room, Sizes};
pub use run::{Claim, Follower, Launch, Run, Watched};
pub use volume::{Volume, VolumeError, WorkFolder};
