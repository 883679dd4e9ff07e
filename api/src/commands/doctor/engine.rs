//! The WebAssembly engine and the interpreter images.

use super::check::{Check, reasons};
use crate::config::KernelSettings;
use mecapy_python::{ImageInfo, Interpreter, Recipe};
use mecapy_runtime::{Engine, KernelInstructions, NanPayloads};
use std::{error::Error, path::Path};

const NAME: &str = "interpreter";
const BUILD_ADVICE: &str = "mecapy python build";

/// Which of the two ways numbers that are none are made; results on machines of one architecture agree in both.
pub(super) fn nan_payloads(nan: NanPayloads) -> Check {
    Check::info(
        "NaN payloads",
        match nan {
            NanPayloads::Native => "as the processor leaves them (canonical_nans = false)",
            NanPayloads::Canonical => "the same on every machine (canonical_nans = true)",
        },
    )
}

/// Who computes the linear algebra of Python.
pub(super) fn kernels(kernels: KernelSettings) -> Check {
    const NAME: &str = "native kernels";
    match kernels.instructions() {
        Some(instructions) => Check::ok(NAME, format!("linear algebra with {}", instructions.as_str())),
        None if kernels.are_missed() => Check::warn(
            NAME,
            format!(
                "off: this processor has no {}, so linear algebra is many times slower",
                KernelInstructions::default().as_str()
            ),
            "use a machine with AVX2 and FMA, or set kernel_instructions to x86-64 for all processes",
        ),
        None => Check::info(NAME, "off (kernel_instructions = \"off\"): the sandbox computes linear algebra itself"),
    }
}

pub(super) fn check(cache_dir: &Path, nan: NanPayloads) -> Check {
    match images(cache_dir, nan) {
        Ok(images) => judge(&images, cache_dir),
        Err(error) => Check::fail(NAME, reasons(&*error), BUILD_ADVICE),
    }
}

/// The images, once the compiled interpreter has been loaded.
fn images(cache_dir: &Path, nan: NanPayloads) -> Result<Vec<ImageInfo>, Box<dyn Error>> {
    let engine = Engine::new(nan)?;
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
        let check = check(folder.path(), NanPayloads::Native);
        assert_eq!((check.status, check.advice.as_deref()), (Status::Fail, Some(BUILD_ADVICE)));
        assert!(check.finding.contains("sci"), "{}", check.finding);
    }

    #[test]
    fn what_computes_linear_algebra_is_said() {
        let off = kernels(KernelSettings::Off);
        assert!(off.status == Status::Info && off.finding.contains("kernel_instructions"), "{}", off.finding);
        let usual = kernels(KernelSettings::Usual);
        let expected = if KernelInstructions::default().are_available() { Status::Ok } else { Status::Warn };
        assert!(usual.status == expected && usual.finding.contains("x86-64-v3"), "{}", usual.finding);
    }

    #[test]
    fn the_two_ways_of_making_nans_have_compiled_modules_of_their_own() {
        let name = |nan| Engine::new(nan).unwrap().compatibility();
        assert_ne!(name(NanPayloads::Native), name(NanPayloads::Canonical));
        assert_eq!(name(NanPayloads::Native), name(NanPayloads::Native));
    }
}
