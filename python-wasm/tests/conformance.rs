//! Every conformance row on every image, by the sandbox as it is compiled now.
//!
//! A cached image passed the rows when it was made, on a host that may since have changed: a fault of the host would
//! not be seen by `mecapy python build`, which finds the image current.

use mecapy_python::{Interpreter, Recipe, check_image};
use mecapy_runtime::{Engine, NanPayloads};
use std::path::PathBuf;

#[test]
fn every_row_passes_on_every_image() {
    let folder = cache_folder().expect("this user has no cache folder: set MECAPY_CACHE_DIR");
    let engine = Engine::new(NanPayloads::Native).unwrap();
    let recipe = Recipe::bundled().unwrap();
    let opened = Interpreter::open(&engine, &folder, &recipe);
    let interpreter = opened.unwrap_or_else(|error| panic!("{}: {error} (or `make image`)", folder.display()));
    let images = interpreter.images();
    let names: Vec<&str> = images.iter().map(|image| image.name.as_str()).collect();
    assert_eq!(names, ["core", "sci", "full"]);
    for info in &images {
        let image = interpreter.image(&info.name).unwrap();
        let rows = check_image(&engine, &recipe, &image, &mut |_| ()).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(rows), info.built.as_ref().map(|built| built.conformance_passed), "image {}", info.name);
    }
}

/// Where the platform keeps its images, by the same rule. The variable is the one that this test was compiled with:
/// cargo compiles it again when that changes.
fn cache_folder() -> Option<PathBuf> {
    let chosen = option_env!("MECAPY_CACHE_DIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    chosen.or_else(|| Some(dirs::cache_dir()?.join("mecapy")))
}
