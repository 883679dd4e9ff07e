//! The templates and SDKs of `guest-sdk`, as they are in this binary, and what a project is made of them.

use super::Language;

/// A file of a new project; the path is relative, with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ProjectFile {
    pub path: String,
    pub content: Vec<u8>,
}

/// Files below one folder of `guest-sdk`.
struct Folder {
    /// In `guest-sdk`; the test that no file is forgotten reads it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the files are in the binary, their folder is not"))]
    source: &'static str,
    /// In the project; empty, or with `/` at its end.
    target: &'static str,
    files: &'static [(&'static str, &'static str)],
}

macro_rules! folder {
    ($source:literal => $target:literal, [$($file:literal),* $(,)?]) => {
        Folder {
            source: $source,
            target: $target,
            files: &[$((
                $file,
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-sdk/", $source, "/", $file)),
            )),*],
        }
    };
}

const PYTHON: &[Folder] = &[
    folder!("python/template" => "", [
        ".gitignore", "README.md", "bolted_joint.py", "mecapy.yml", "pyproject.toml", "tests/test_bolted_joint.json",
    ]),
    // A hidden folder is no part of the package: every sandbox has the SDK itself.
    folder!("python/mecapy/src" => ".sdk/", [
        "mecapy/__init__.py", "mecapy/__main__.py", "mecapy/cases.py", "mecapy/faults.py", "mecapy/functions.py",
        "mecapy/kinds.py", "mecapy/manifest.py", "mecapy/ports.py", "mecapy/project.py", "mecapy/py.typed",
        "mecapy/runner.py", "mecapy/surroundings.py", "mecapy/symbols.py", "mecapy/units.py", "mecapy/validity.py",
        "mecapy/yaml_text.py",
    ]),
];

const RUST: &[Folder] = &[
    folder!("rust/template" => "", [
        ".gitignore", "Cargo.toml", "README.md", "inputs.json", "package/mecapy.yml", "package/tests/cantilever.yml",
        "src/main.rs",
    ]),
    folder!("rust/mecapy-task/src" => "sdk/mecapy-task/src/", [
        "error.rs", "files.rs", "finite.rs", "input.rs", "lib.rs", "linalg/host.rs", "linalg/mod.rs", "linalg/plain.rs",
        "linalg/sparse.rs", "linalg/tests.rs", "line.rs", "logger.rs", "run.rs", "signature.rs",
    ]),
    folder!("rust/mecapy-task-macros/src" => "sdk/mecapy-task-macros/src/", [
        "lib.rs", "names.rs", "ports.rs", "task.rs",
    ]),
];

const C: &[Folder] = &[folder!("c/template" => "", [
    ".gitignore", "Makefile", "README.md", "expected.json", "inputs.json", "main.c", "package/mecapy.yml",
    "package/tests/cantilever.yml",
])];

/// The single files: where each is in the project, and what it holds.
const RUST_FILES: &[(&str, &str)] = &[
    ("sdk/mecapy-task/Cargo.toml", include_str!("../../../../guest-sdk/rust/mecapy-task/Cargo.toml")),
    ("sdk/mecapy-task-macros/Cargo.toml", include_str!("../../../../guest-sdk/rust/mecapy-task-macros/Cargo.toml")),
    // The versions that the SDK is tested with.
    ("Cargo.lock", include_str!("../../../../guest-sdk/rust/Cargo.lock")),
];
const RUST_WORKSPACE: &str = include_str!("../../../../guest-sdk/rust/Cargo.toml");
const RUST_WORKSPACE_FILE: &str = "sdk/Cargo.toml";
const C_FILES: &[(&str, &str)] = &[
    ("mecapy.h", include_str!("../../../../guest-sdk/c/mecapy.h")),
    ("mecapy_linalg.h", include_str!("../../../../guest-sdk/c/mecapy_linalg.h")),
];

/// The name that the templates in Rust and C have, so that they build where they are.
const NAME_IN_TEMPLATE: &str = "my-task";
/// What stands for the name in the one in Python.
const NAME_PLACEHOLDER: &str = "{{name}}";
/// Where the template in Rust finds the SDK in this repository, and where a project does.
const SDK_IN_TEMPLATE: &str = "path = \"../mecapy-task\"";
const SDK_IN_PROJECT: &str = "path = \"sdk/mecapy-task\"";

/// The files of a project in `language` whose package is called `name`.
pub(super) fn project_files(language: Language, name: &str) -> Vec<ProjectFile> {
    let (folders, singles) = match language {
        Language::Python => (PYTHON, &[][..]),
        Language::Rust => (RUST, RUST_FILES),
        Language::C => (C, C_FILES),
    };
    let mut files = Vec::new();
    for folder in folders {
        for (file, content) in folder.files {
            // The SDK is taken as it is; a template is filled in.
            let content = if folder.target.is_empty() { filled_in(content, name) } else { (*content).to_owned() };
            files.push(ProjectFile { path: format!("{}{file}", folder.target), content: content.into_bytes() });
        }
    }
    let single = |(path, content): &(&str, &str)| ProjectFile { path: (*path).to_owned(), content: (*content).into() };
    files.extend(singles.iter().map(single));
    if language == Language::Rust {
        let content = sdk_workspace().into_bytes();
        files.push(ProjectFile { path: RUST_WORKSPACE_FILE.to_owned(), content });
    }
    files
}

fn filled_in(content: &str, name: &str) -> String {
    content.replace(SDK_IN_TEMPLATE, SDK_IN_PROJECT).replace(NAME_IN_TEMPLATE, name).replace(NAME_PLACEHOLDER, name)
}

/// The SDK's own workspace, with the members that come along alone.
fn sdk_workspace() -> String {
    let line = |line: &str| match line.starts_with("members = ") {
        true => "members = [\"mecapy-task\", \"mecapy-task-macros\"]\n".to_owned(),
        false => format!("{line}\n"),
    };
    RUST_WORKSPACE.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packages::{Bounds, Package, read_folder};
    use cap_std::{ambient_authority, fs::Dir};
    use std::{collections::BTreeSet, fs, path::Path};

    fn files_under(folder: &Path, prefix: &str, found: &mut BTreeSet<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            match entry.file_type().unwrap().is_dir() {
                // What is built or run in place.
                true if name.ends_with("__pycache__") || ["build", "target", "work", ".venv"].contains(&&*name) => {}
                true => files_under(&entry.path(), &format!("{name}/"), found),
                false if name.ends_with(".wasm") || name.ends_with("Cargo.lock") || name.ends_with(".h") => {}
                false => drop(found.insert(name)),
            }
        }
    }

    #[test]
    fn no_file_of_a_template_or_an_sdk_is_forgotten() {
        for folder in PYTHON.iter().chain(RUST).chain(C) {
            let mut there = BTreeSet::new();
            let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk").join(folder.source);
            files_under(&place, "", &mut there);
            let here: BTreeSet<_> = folder.files.iter().map(|(file, _)| (*file).to_owned()).collect();
            assert_eq!(here, there, "{}", folder.source);
        }
    }

    #[test]
    fn nothing_of_a_template_is_left_open() {
        for language in [Language::Python, Language::Rust, Language::C] {
            let files = project_files(language, "rods-and-bolts");
            let all = files.iter().filter(|file| !file.path.contains("sdk/"));
            for file in all {
                let text = std::str::from_utf8(&file.content).unwrap();
                let open = ["{{", "my-task", "../mecapy-task", "../../"].into_iter().find(|mark| text.contains(mark));
                assert_eq!(open, None, "{language:?} {}", file.path);
            }
            let manifest = files.iter().find(|file| file.path.ends_with("mecapy.yml")).unwrap();
            assert!(String::from_utf8_lossy(&manifest.content).contains("name: rods-and-bolts\n"), "{language:?}");
            let names: BTreeSet<_> = files.iter().map(|file| file.path.to_lowercase()).collect();
            assert_eq!(names.len(), files.len());
        }
    }

    #[test]
    fn the_platform_reads_the_manifests() {
        for language in [Language::Python, Language::Rust, Language::C] {
            let folder = tempfile::tempdir().unwrap();
            for file in project_files(language, "rods-and-bolts") {
                let path = folder.path().join(&file.path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, &file.content).unwrap();
            }
            let package = match language {
                Language::Python => folder.path().to_owned(),
                Language::Rust | Language::C => folder.path().join("package"),
            };
            fs::write(package.join("rods-and-bolts.wasm"), b"\0asm\x01\0\0\0").unwrap();
            let package = Dir::open_ambient_dir(package, ambient_authority()).unwrap();
            let files = read_folder(&package, Bounds::PACKAGE).unwrap();
            assert!(!files.names().any(|name| name.as_str().contains("sdk")), "{language:?}");
            let manifest = Package::manifest(&files).unwrap_or_else(|faults| panic!("{language:?}: {faults:#?}"));
            assert_eq!(manifest.package.name.as_str(), "rods-and-bolts");
        }
    }

    #[test]
    fn the_sdk_in_rust_is_a_workspace_of_what_comes_along() {
        let text = sdk_workspace();
        assert!(text.contains("\nmembers = [\"mecapy-task\", \"mecapy-task-macros\"]\n"), "{text}");
        assert!(!text.contains("fixtures"), "{text}");
    }
}
