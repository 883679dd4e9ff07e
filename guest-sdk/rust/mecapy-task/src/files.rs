//! Files: those that were sent with a task, and those that it leaves.

use crate::{Error, Result};
use std::{
    fs::{self, File},
    path::{Component, Path, PathBuf},
};

/// Where a task finds the files that were sent with it, read-only. Outside the sandbox: `work/in` of the current folder.
pub const IN: &str = if cfg!(target_os = "wasi") { "/work/in" } else { "work/in" };
/// What is written here becomes the task's artifacts. Outside the sandbox: `work/out` of the current folder.
pub const OUT: &str = if cfg!(target_os = "wasi") { "/work/out" } else { "work/out" };

/// The path of a file that was sent with the task under this name.
pub fn input_file(name: &str) -> PathBuf {
    Path::new(IN).join(name)
}

/// Creates the artifact `name`, which may lie in folders (`figures/one.svg`): write its content to the file.
///
/// Fails where the name is not a relative path inside [`OUT`], or the platform's limits are met.
pub fn artifact(name: &str) -> Result<File> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || !inside {
        return Err(Error::new(format!("{name:?} can't be an artifact: give a relative path without \"..\"")));
    }
    let path = Path::new(OUT).join(name);
    let folder = path.parent().unwrap_or(&path);
    let refuse = |error| Error::new(format!("the artifact {name:?} can't be written: {error}"));
    fs::create_dir_all(folder).map_err(refuse)?;
    File::create(&path).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn artifacts_stay_in_their_folder() {
        for name in ["", "/etc/passwd", "../x", "a/../../x", ".", ".."] {
            let error = artifact(name).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("can't be an artifact"), "{name}: {error}");
        }
        assert_eq!(input_file("mesh.med"), Path::new("work/in/mesh.med"));
    }
}
