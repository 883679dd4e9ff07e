//! The interpreter that `mecapy python build` left in the cache, for tests that need one.

use mecapy_python::{Interpreter, Recipe};
use mecapy_runtime::{Engine, NanPayloads};
use std::path::PathBuf;

pub(crate) fn open() -> (Engine, Recipe, Interpreter) {
    let folder = cache_folder().expect("this user has no cache folder: set MECAPY_CACHE_DIR");
    let engine = Engine::new(NanPayloads::Native).expect("an engine");
    let recipe = Recipe::bundled().expect("the bundled recipe");
    let interpreter = Interpreter::open(&engine, &folder, &recipe);
    let interpreter = interpreter.unwrap_or_else(|error| panic!("{}: {error} (or `make image`)", folder.display()));
    (engine, recipe, interpreter)
}

/// Where the platform keeps its images, by the same rule. The variable is the one that this test was compiled with:
/// cargo compiles it again when that changes.
fn cache_folder() -> Option<PathBuf> {
    let chosen = option_env!("MECAPY_CACHE_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    chosen.or_else(|| Some(dirs::cache_dir()?.join("mecapy")))
}
