//! `mecapy workflow list`, `show` and `runs`.

use crate::{
    client::{Listed, RunLine, WorkflowAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        listing::{self, PageFlags, minute},
        terminal::{Format, Painter, Style, Terminal, aligned, neutralise_line, result_lines, summary},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::StudyId;

/// List the saved workflows
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    page: PageFlags,
}

/// Show a saved workflow with its definition
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// Its name or its id
    name: String,
    /// Another version than the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// The definition alone, as JSON that `workflow save` takes
    #[arg(long)]
    definition: bool,
    #[command(flatten)]
    client: ClientFlags,
}

/// List runs of workflows, newest first
#[derive(Debug, clap::Args)]
pub(super) struct RunsArguments {
    /// Only those of this workflow, by its name or id
    workflow: Option<String>,
    /// Only those in this state
    #[arg(long, value_name = "STATE", value_parser = ["running", "completed", "failed", "cancelled"])]
    state: Option<String>,
    /// Only those of this study
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    #[command(flatten)]
    page: PageFlags,
}

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    let lines = |found: &[WorkflowAnswer]| {
        let row = |it: &WorkflowAnswer| [neutralise_line(&it.name), it.version.to_string(), minute(&it.saved_at)];
        aligned(["WORKFLOW", "VERSION", "SAVED"], &found.iter().map(row).collect::<Vec<_>>(), terminal.out)
    };
    listing::list((Listed::Workflows, &[]), &arguments.page, terminal, lines).await
}

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let found = connect(&arguments.client)?.workflow(&arguments.name, arguments.version).await?;
    let WorkflowAnswer { name, version, latest, definition, saved_at, id } = &found.value;
    match (terminal.format, definition.as_deref()) {
        (_, Some(definition)) if arguments.definition => terminal.print(definition.get()),
        (Format::Json, _) => terminal.print(found.text.get()),
        (Format::Human, definition) => {
            let newest = if version == latest { String::new() } else { format!(", the newest is {latest}") };
            let name = terminal.out.paint(Style::Bold, &neutralise_line(name));
            terminal.print(&format!("{name} version {version}{newest} ({id}, saved {})", minute(saved_at)));
            let lines = definition.map(|definition| result_lines(definition, terminal.out, terminal.columns));
            lines.unwrap_or_default().iter().for_each(|line| terminal.print(line));
        }
    }
    Ok(Exit::Completed)
}

pub(super) async fn runs(arguments: RunsArguments, terminal: &Terminal) -> Result<Exit> {
    let RunsArguments { workflow, state, study, page } = arguments;
    let study = study.map(|study| study.to_string());
    let filters = [("workflow", workflow.as_deref()), ("state", state.as_deref()), ("study", study.as_deref())];
    listing::list((Listed::WorkflowRuns, &filters), &page, terminal, |found| table(found, terminal.out)).await
}

fn table(runs: &[RunLine], painter: Painter) -> Vec<String> {
    let row = |run: &RunLine| {
        [
            run.id.to_string(),
            run.state.as_str().to_owned(),
            minute(&run.created_at),
            format!("v{}", run.version),
            run.name.as_deref().map_or_else(|| run.workflow.to_string(), summary),
        ]
    };
    aligned(["RUN", "STATE", "STARTED", "VERSION", "NAME"], &runs.iter().map(row).collect::<Vec<_>>(), painter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_a_row_each() {
        let runs = r#"[{"id":"018bcfe5-6800-7707-8707-070707070707","workflow":"018bcfe5-6800-7707-8707-070707070708","version":2,
            "name":"rod","state":"failed","created_at":"2026-01-02T03:04:05Z","completed_at":null}]"#;
        let lines = table(&serde_json::from_str::<Vec<_>>(runs).unwrap(), Painter::Plain);
        let expected = [
            "RUN                                   STATE   STARTED           VERSION  NAME",
            "018bcfe5-6800-7707-8707-070707070707  failed  2026-01-02 03:04  v2       rod",
        ];
        assert_eq!(lines, expected);
    }
}
