//! The pinned Python interpreter and its images: interpreter memories with packages already imported.
//!
//! A recipe names a wheel by its hash and says which images to make of it; a build compiles the interpreter once, with
//! its linear algebra handed to the host where that is quicker, and makes each image by running its warm-up in a
//! sandbox. Knows nothing of tasks, users or HTTP.

mod build;
mod cache;
mod conformance;
mod fetch;
mod interpreter;
mod kernels;
mod layout;
mod patch;
mod recipe;
mod relink;
mod runner;
mod strip;

pub use build::{BuildError, BuildEvent, BuildOptions, Rebuild, build};
pub use cache::{Cache, CacheError};
pub use conformance::check_image;
pub use interpreter::{ImageInfo, Interpreter, OpenError};
pub use kernels::{KernelInfo, kernels};
pub use layout::ImageManifest;
pub use recipe::Recipe;
pub use relink::RelinkError;

use mecapy_runtime::Engine;
use std::path::Path;

/// The images of a recipe, built or not, as they are in the cache.
pub fn list(engine: &Engine, cache_folder: &Path, recipe: &Recipe) -> Result<Vec<ImageInfo>, CacheError> {
    Ok(layout::Layout::of(&Cache::open(cache_folder)?, engine, recipe)?.images(recipe))
}
