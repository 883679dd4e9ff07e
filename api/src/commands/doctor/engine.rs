//! The WebAssembly engine and the interpreter images.

use super::check::{Check, reasons};
use mecapy_python::{ImageInfo, Interpreter, Recipe};
use mecapy_runtime::{Engine, NanPayloads};
use std::{error::Error, path::Path};

const NAME: &str = "interpreter";
const BUILD_ADVICE: &str = "mecapy python build";

pub(super) fn check(cache_dir: &Path) -> Check {
    match images(cache_dir) {
        Ok(images) => judge(&images, cache_dir),
        Err(error) => Check::fail(NAME, reasons(&*error), BUILD_ADVICE),
    }
}

/// The images, once the compiled interpreter has been loaded.
fn images(cache_dir: &Path) -> Result<Vec<ImageInfo>, Box<dyn Error>> {
    let engine = Engine::new(NanPayloads::Native)?;
    let recipe = Recipe::bundled()?;
    let listed = mecapy_python::list(&engine, cache_dir, &recipe)?;
    if listed.iter().any(|image| image.built.is_none()) {
        return Ok(listed);
    }
    Ok(Interpreter::open(&engine, cache_dir, &recipe)?.images())
}

fn judge(images: &[ImageInfo], cache_dir: &Path) -> Check {
    let missing: Vec<_> =
        images.iter().filter(|image| image.built.is_none()).map(|image| image.name.as_str()).collect();
    if !missing.is_empty() {
        return Check::fail(NAME, format!("not built: {}", missing.join(", ")), BUILD_ADVICE);
    }
    let built = images.iter().filter_map(|image| Some((&image.name, image.built.as_ref()?)));
    let shown: Vec<_> =
        built.map(|(name, built)| format!("{name} ({} rows conform)", built.conformance_passed)).collect();
    Check::ok(NAME, format!("{} in {}", shown.join(", "), cache_dir.display()))
}

#[cfg(test)]
mod tests {
    use super::{super::check::Status, *};

    #[test]
    fn an_empty_cache_says_what_to_build() {
        let folder = tempfile::tempdir().unwrap();
        let check = check(folder.path());
        assert_eq!((check.status, check.advice.as_deref()), (Status::Fail, Some(BUILD_ADVICE)));
        assert!(check.finding.contains("sci"), "{}", check.finding);
    }
}
