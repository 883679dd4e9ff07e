//! Finds what the tests use: the built binary, the fixtures and the built guest modules.

use anyhow::{Context, Result, bail, ensure};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

/// Names another binary to test; it is then taken as it is.
const BINARY_VARIABLE: &str = "MECAPY_TEST_BINARY";
const BUILD_COMMAND: &str = "cargo build --release --workspace --bins";

/// The top folder of the source tree.
pub fn repository_root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("/"))
}

/// A file or folder under `fixtures/`, which must exist.
pub fn fixture_path(name: &str) -> Result<PathBuf> {
    let path = repository_root().join("fixtures").join(name);
    ensure!(path.exists(), "the fixture {} is missing", path.display());
    Ok(path)
}

/// The bytes of a module that `make guests` built into `target/guests`.
pub fn guest_wasm(name: &str) -> Result<Vec<u8>> {
    let path = target_directory()?.join("guests").join(name);
    fs::read(&path).with_context(|| format!("{} is not built: run `make guests`", path.display()))
}

/// The `mecapy` binary beside this test, refused when a source file is newer than it is.
pub fn mecapy_binary() -> Result<&'static Path> {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BINARY.get() {
        return Ok(path);
    }
    let path = find_binary()?;
    Ok(BINARY.get_or_init(|| path))
}

fn find_binary() -> Result<PathBuf> {
    if let Some(path) = variable(BINARY_VARIABLE) {
        return Ok(path);
    }
    let path = profile_directory()?.join("mecapy");
    let built = modified(&path).with_context(|| format!("no binary to test: run `{BUILD_COMMAND}`"))?;
    if let Some(newer) = newer_source(&path.with_extension("d"), built)? {
        bail!("{} is older than {newer}: run `{BUILD_COMMAND}`", path.display());
    }
    Ok(path)
}

/// The first of the binary's own sources (cargo lists them in a make rule) that changed after it was built.
fn newer_source(dep_info: &Path, built: SystemTime) -> Result<Option<String>> {
    let rule = fs::read_to_string(dep_info).with_context(|| format!("{} can't be read", dep_info.display()))?;
    let (_, sources) = rule.split_once(": ").unwrap_or_default();
    let newer = |source: &&str| modified(Path::new(source)).is_ok_and(|changed| changed > built);
    Ok(sources.split_whitespace().find(newer).map(str::to_owned))
}

fn modified(path: &Path) -> Result<SystemTime> {
    let metadata = fs::metadata(path).with_context(|| format!("{} is missing", path.display()))?;
    Ok(metadata.modified()?)
}

/// `target/release`, from `target/release/deps/<this test>`.
fn profile_directory() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let directory = test.ancestors().find(|folder| folder.join("deps").is_dir() && folder.ends_with("release"));
    directory.map(Path::to_path_buf).context("tests run in the release profile: use `make test`")
}

fn target_directory() -> Result<PathBuf> {
    let profile = profile_directory()?;
    profile.parent().map(Path::to_path_buf).context("the release folder has no parent")
}

#[expect(clippy::disallowed_methods, reason = "the harness's one switch is named by whoever runs the tests")]
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).map(PathBuf::from)
}
