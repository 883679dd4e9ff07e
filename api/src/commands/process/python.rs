//! The interpreter: opened where it is built, built where it is not.

use anyhow::{Context as _, Result};
use mecapy_python::{BuildEvent, BuildOptions, Interpreter, OpenError, Recipe};
use mecapy_runtime::Engine;
use std::path::Path;
use tokio::task::spawn_blocking;

/// The built interpreter; `None` where there is none yet.
pub(super) async fn open(engine: &Engine, cache_dir: &Path) -> Result<Option<Interpreter>> {
    let (engine, cache_dir) = (engine.clone(), cache_dir.to_owned());
    let opened =
        spawn_blocking(move || Ok::<_, anyhow::Error>(Interpreter::open(&engine, &cache_dir, &Recipe::bundled()?)));
    match opened.await?? {
        Ok(interpreter) => Ok(Some(interpreter)),
        Err(OpenError::NotBuilt) => Ok(None),
        Err(error) => Err(error).context("can't use the Python interpreter"),
    }
}

/// Builds the interpreter, which takes minutes, and opens it. Each step is logged.
pub(super) async fn build(engine: &Engine, cache_dir: &Path) -> Result<Interpreter> {
    let (engine, cache_dir) = (engine.clone(), cache_dir.to_owned());
    spawn_blocking(move || {
        let recipe = Recipe::bundled()?;
        mecapy_python::build(&engine, &cache_dir, &recipe, &BuildOptions::default(), &mut |event| {
            if let BuildEvent::Step { step, steps, title } = event {
                tracing::info!(build.step = step, build.steps = steps, "process.python: building, {title}");
            }
        })?;
        Ok(Interpreter::open(&engine, &cache_dir, &recipe)?)
    })
    .await?
}
