//! `mecapy new`: a folder with a package to begin with, and the SDK it is built with, since no registry has that.

mod name;
mod template;

use super::{
    exit::Exit,
    refusal::Misuse,
    terminal::{Format, Style, Terminal, neutralise_line},
};
use anyhow::{Context, Result};
use cap_std::{ambient_authority, fs::Dir};
use name::ProjectName;
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use template::{ProjectFile, project_files};

/// Make a project: a package with a typed function, its test cases, and the SDK beside it
#[derive(Debug, clap::Args)]
pub(super) struct NewArguments {
    /// The package's name: lower-case letters, digits, - and _, a letter first
    name: ProjectName,
    /// What the functions are written in
    #[arg(long, value_enum)]
    lang: Language,
    /// The folder to make; it may exist and be empty [default: NAME]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Language {
    /// Python 3.11 or later, with types and units in the annotations
    Python,
    /// A WASI module from a typed Rust function
    Rust,
    /// A WASI module from C, with one header
    C,
}

#[derive(Serialize)]
struct Made<'a> {
    name: &'a str,
    language: Language,
    folder: &'a Path,
    files: Vec<String>,
}

pub(super) fn new(arguments: NewArguments, terminal: &Terminal) -> Result<Exit> {
    let NewArguments { name, lang, dir } = arguments;
    let folder = dir.unwrap_or_else(|| PathBuf::from(name.as_str()));
    let files = project_files(lang, name.as_str());
    write(&files, &prepare(&folder)?).with_context(|| format!("can't make the project in {}", folder.display()))?;
    match terminal.format {
        Format::Json => {
            let files = files.into_iter().map(|file| file.path).collect();
            terminal.print_json(&Made { name: name.as_str(), language: lang, folder: &folder, files });
        }
        Format::Human => {
            let shown = neutralise_line(&folder.display().to_string());
            terminal.print(&format!("{} {shown}", terminal.out.paint(Style::Green, "made")));
            terminal.note("Next (README.md there says more):");
            terminal.note(&format!("  cd {shown}"));
            for step in steps(lang, name.as_str()) {
                terminal.note(&format!("  {step}"));
            }
        }
    }
    Ok(Exit::Completed)
}

/// Opens the folder, which is made where it isn't there. What somebody has in it is not written over.
fn prepare(folder: &Path) -> Result<Dir> {
    let shown = folder.display();
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Ok(true) => {
            let message = format!("{shown} is there already, and not empty: name another folder with --dir");
            return Err(Misuse::new(message).into());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(folder).map_err(|error| Misuse::new(format!("can't make {shown}: {error}")))?;
        }
        Err(error) => return Err(Misuse::new(format!("can't make a project in {shown}: {error}")).into()),
    }
    Ok(Dir::open_ambient_dir(folder, ambient_authority())?)
}

fn write(files: &[ProjectFile], folder: &Dir) -> io::Result<()> {
    for file in files {
        if let Some((parents, _)) = file.path.rsplit_once('/') {
            folder.create_dir_all(parents)?;
        }
        folder.write(&file.path, &file.content)?;
    }
    Ok(())
}

fn steps(language: Language, name: &str) -> Vec<String> {
    let copy = format!("cp target/wasm32-wasip1/release/{name}.wasm package/");
    let steps: &[&str] = match language {
        Language::Python => &["export PYTHONPATH=$PWD/.sdk", "python3 -m mecapy test", "mecapy publish"],
        Language::Rust => &[
            "cargo test",
            "rustup target add wasm32-wasip1                  # once",
            "cargo build --release --target wasm32-wasip1",
            &copy,
            "mecapy publish package",
        ],
        Language::C => &["make test", "make", "mecapy publish package"],
    };
    steps.iter().map(|step| (*step).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let top = tempfile::tempdir().unwrap();
        let (taken, empty) = (top.path().join("taken"), top.path().join("a/b"));
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("mine"), "").unwrap();
        assert!(prepare(&taken).unwrap_err().to_string().contains("--dir"));
        assert!(prepare(&taken.join("mine")).is_err());
        write(&project_files(Language::C, "rods"), &prepare(&empty).unwrap()).unwrap();
        assert!(empty.join("package/tests/cantilever.yml").is_file());
        assert!(prepare(&empty).is_err());
    }
}
