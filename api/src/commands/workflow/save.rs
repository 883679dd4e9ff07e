//! `mecapy workflow save`: a definition from a file goes to the server, which checks it as a whole.

use crate::{
    client::{Answer, Client, ClientError, Problem, WorkflowAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        refusal::{Misuse, Pointed, Refusal, SourceText},
        terminal::{Format, Style, Terminal, neutralise_line},
    },
    config::ClientFlags,
    packages::AuthoredDocument,
};
use anyhow::Result;
use mecapy_model::Fault;
use serde_json::value::RawValue;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Save a workflow from a file, .json or .yml; one that differs from the newest of its name is the next version
#[derive(Debug, clap::Args)]
pub(super) struct SaveArguments {
    file: PathBuf,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn save(arguments: SaveArguments, terminal: &Terminal) -> Result<Exit> {
    let file = DefinitionFile::read(&arguments.file)?;
    let saved = file.save(&connect(&arguments.client)?).await?;
    match terminal.format {
        Format::Json => terminal.print(saved.text.get()),
        Format::Human => {
            let WorkflowAnswer { name, version, .. } = &saved.value;
            let word = terminal.err.paint(Style::Green, "saved");
            terminal.note(&format!("{word} {} as version {version}", neutralise_line(name)));
        }
    }
    Ok(Exit::Completed)
}

/// A definition as its author wrote it.
pub(super) struct DefinitionFile {
    document: AuthoredDocument,
    body: Box<RawValue>,
    source: SourceText,
}

impl DefinitionFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let bytes = fs::read(path).map_err(|error| Misuse::new(format!("can't read {name}: {error}")))?;
        let source = SourceText { name, text: String::from_utf8_lossy(&bytes).into_owned() };
        let document = AuthoredDocument::read(&bytes, is_json(path));
        let document = document.map_err(|fault| refused(vec![fault], &source))?;
        let body = RawValue::from_string(document.to_json())?;
        Ok(Self { document, body, source })
    }

    /// Saves it; faults are shown in the file.
    pub(super) async fn save(&self, client: &Client) -> Result<Answer<WorkflowAnswer>> {
        client.save_workflow(&self.body).await.map_err(|error| self.pointed(error))
    }

    fn pointed(&self, error: ClientError) -> anyhow::Error {
        match error {
            ClientError::Refused(problem) if problem.status == 422 => {
                let errors = problem.errors.iter().map(|fault| self.placed(fault)).collect();
                let problem = Problem { errors, ..*problem };
                Refusal { problem, pointed: Pointed::Source(self.source.clone()) }.into()
            }
            error => error.into(),
        }
    }

    /// The fault with its line in the file; one in a node's code counts in that.
    fn placed(&self, fault: &Fault) -> Fault {
        let message = match fault.line {
            Some(line) => format!("line {line} of the code: {}", fault.message),
            None => format!("{} (at {})", fault.message, fault.pointer),
        };
        let line = Some(self.document.line_at(&fault.pointer));
        Fault { line, column: None, message, ..fault.clone() }
    }
}

fn refused(faults: Vec<Fault>, source: &SourceText) -> Refusal {
    let problem = Problem { title: "The workflow can't be saved".into(), ..Problem::of_faults(faults) };
    Refusal { problem, pointed: Pointed::Source(source.clone()) }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"))
}

/// Whether the text is a file and not the name of a workflow.
pub(super) fn is_file(text: &str) -> bool {
    let path = Path::new(text);
    let named = path.extension().and_then(|extension| extension.to_str());
    path.is_file() || matches!(named, Some("json" | "yml" | "yaml"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_shown_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rod.yml");
        fs::write(&path, "name: rod\nnodes:\n  - key: area\n    inputs: {d: {from: inputs.e}}\n").unwrap();
        let file = DefinitionFile::read(&path).unwrap();
        assert_eq!(file.body.get(), r#"{"name":"rod","nodes":[{"key":"area","inputs":{"d":{"from":"inputs.e"}}}]}"#);
        let fault = Fault::new("/nodes/0/inputs/d/from", "unknown_reference", "there is no input e");
        let placed = file.placed(&fault);
        assert_eq!(
            (placed.line, placed.message.as_str()),
            (Some(4), "there is no input e (at /nodes/0/inputs/d/from)")
        );
        let in_code = Fault { line: Some(7), ..Fault::new("/nodes/0/key", "syntax", "bad") };
        assert_eq!(file.placed(&in_code).message, "line 7 of the code: bad");
        fs::write(&path, "name: [\n").unwrap();
        assert!(DefinitionFile::read(&path).is_err());
        assert!(DefinitionFile::read(&folder.path().join("none.json")).is_err());
    }

    #[test]
    fn a_name_is_no_file() {
        for (text, expected) in [("rod", false), ("none/rod.yml", true), ("rod.json", true), ("rod.v2", false)] {
            assert_eq!(is_file(text), expected, "{text}");
        }
    }
}
