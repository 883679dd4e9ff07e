//! Our own Python, mounted read-only where images are made and where tasks run: the guest-side runner, and the part of
//! the guest SDK that a task's code imports as `mecapy`.

use crate::{BuildError, recipe::Recipe};
use mecapy_runtime::{
    FileContent, add_folders,
    tree::{Tree, TreeError, TreeLimits},
};
use std::{collections::BTreeSet, io::Cursor, sync::Arc};
use zip::ZipArchive;

/// Where the runner is in the guest.
const FOLDER: &str = "/usr/local/lib/mecapy";

macro_rules! guest_files {
    ($($folder:literal: $($name:literal),*;)*) => {
        /// Name in [`FOLDER`], source.
        pub(crate) const FILES: &[(&str, &str)] =
            &[$($(($name, include_str!(concat!($folder, $name)))),*),*];
    };
}

guest_files![
    "../../guest-sdk/python/mecapy/src/":
    "mecapy/__init__.py",
    "mecapy/faults.py",
    "mecapy/functions.py",
    "mecapy/kinds.py",
    "mecapy/ports.py",
    "mecapy/surroundings.py",
    "mecapy/symbols.py",
    "mecapy/units.py",
    "mecapy/validity.py";
    "../guest/":
    "mecapy_runner/__init__.py",
    "mecapy_runner/backend.py",
    "mecapy_runner/call.py",
    "mecapy_runner/door.py",
    "mecapy_runner/encode.py",
    "mecapy_runner/errors.py",
    "mecapy_runner/figures.py",
    "mecapy_runner/forms.py",
    "mecapy_runner/imports.py",
    "mecapy_runner/int64.py",
    "mecapy_runner/items.py",
    "mecapy_runner/paths.py",
    "mecapy_runner/seeding.py",
    "mecapy_runner/settle.py",
    "mecapy_runner/sparse.py",
    "mecapy_runner/task.py",
    "mecapy_runner/turns.py",
    "mecapy_runner/warmup.py";
];

/// The tree that every sandbox of the interpreter starts with: `files` by path, the runner, and the work folders.
pub(crate) fn tree(files: Vec<(String, FileContent)>) -> Result<Tree, TreeError> {
    let mut tree = Tree::new(TreeLimits::default());
    add_folders(&mut tree)?;
    for (path, content) in files {
        tree.add_file(&path, content)?;
    }
    for (name, source) in FILES {
        tree.add_file(&format!("{FOLDER}/{name}"), FileContent::Bytes(Arc::from(source.as_bytes())))?;
    }
    Ok(tree)
}

/// The names of the top-level modules in the library, and of those that are compiled into the interpreter.
pub(crate) fn top_level_names(library: &[u8], recipe: &Recipe) -> Result<Vec<String>, BuildError> {
    let fail = |source| BuildError::Archive { name: "the library".into(), source };
    let archive = ZipArchive::new(Cursor::new(library)).map_err(fail)?;
    let mut names: BTreeSet<String> = recipe.modules.builtin.iter().cloned().collect();
    for file in archive.file_names() {
        let file = file.map_err(fail)?;
        let first = file.split('/').next().unwrap_or_default();
        let name = first.strip_suffix(".pyc").or_else(|| first.strip_suffix(".py")).unwrap_or(first);
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_name && !recipe.modules.hidden.contains(name) {
            names.insert(name.to_owned());
        }
    }
    Ok(names.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the SDK, what runs on an author's machine alone.
    const AUTHORS_OWN: [&str; 6] =
        ["__main__.py", "cases.py", "manifest.py", "project.py", "runner.py", "yaml_text.py"];

    #[test]
    fn every_file_that_tasks_need_is_mounted() {
        let crate_folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for (prefix, folder) in [
            ("", "guest"),
            ("mecapy_runner/", "guest/mecapy_runner"),
            ("mecapy/", "../guest-sdk/python/mecapy/src/mecapy"),
        ] {
            for entry in std::fs::read_dir(crate_folder.join(folder)).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.ends_with(".py") && !(prefix == "mecapy/" && AUTHORS_OWN.contains(&name.as_str())) {
                    found.insert(format!("{prefix}{name}"));
                }
            }
        }
        let mounted: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(found, mounted);
    }
}
