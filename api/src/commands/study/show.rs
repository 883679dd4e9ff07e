//! `mecapy study create`, `list` and `show`.

use crate::{
    client::{Listed, StudyAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        listing::{self, PageFlags, minute},
        terminal::{Format, Style, Terminal, aligned, neutralise, neutralise_line, summary},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::StudyId;

/// Make a study; its id is what --study takes of submit's kin
#[derive(Debug, clap::Args)]
pub(super) struct CreateArguments {
    /// A name for people
    name: String,
    /// What is asked, and what came out of it
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// List your studies, newest first
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    page: PageFlags,
}

/// Show a study with its newest members
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The study's id, as `study create` printed it
    id: StudyId,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn create(arguments: CreateArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let study = client.create_study(&arguments.name, arguments.description.as_deref()).await?;
    match terminal.format {
        Format::Json => terminal.print(study.text.get()),
        Format::Human => {
            let id = study.value.id;
            terminal.print(&id.to_string());
            let hint = format!("`mecapy batch … --study {id}` and `mecapy workflow run … --study {id}` add to it");
            terminal.note(&terminal.err.paint(Style::Dim, &hint));
        }
    }
    Ok(Exit::Completed)
}

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    let lines = |found: &[StudyAnswer]| {
        let row = |it: &StudyAnswer| [it.id.to_string(), minute(&it.created_at), summary(&it.name)];
        aligned(["STUDY", "CREATED", "NAME"], &found.iter().map(row).collect::<Vec<_>>(), terminal.out)
    };
    listing::list((Listed::Studies, &[]), &arguments.page, terminal, lines).await
}

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let study = connect(&arguments.client)?.study(arguments.id).await?;
    match terminal.format {
        Format::Json => terminal.print(study.text.get()),
        Format::Human => lines(&study.value, terminal).iter().for_each(|line| terminal.print(line)),
    }
    Ok(Exit::Completed)
}

fn lines(study: &StudyAnswer, terminal: &Terminal) -> Vec<String> {
    let painter = terminal.out;
    let mut lines = vec![painter.paint(Style::Bold, &neutralise_line(&study.name))];
    lines.extend(neutralise(&study.description).trim().lines().map(str::to_owned));
    if let Some(counts) = &study.counts {
        let (tasks, batches, runs) = (counts.tasks, counts.batches, counts.workflow_runs);
        lines.push(format!("{tasks} tasks, {batches} batches, {runs} workflow runs"));
    }
    if !study.members.is_empty() {
        let members = study.members.iter().map(|member| {
            [
                neutralise_line(&member.kind),
                neutralise_line(&member.id),
                neutralise_line(&member.state),
                minute(&member.created_at),
                member.name.as_deref().map(summary).unwrap_or_default(),
            ]
        });
        lines.push(String::new());
        lines.extend(aligned(["KIND", "ID", "STATE", "CREATED", "NAME"], &members.collect::<Vec<_>>(), painter));
    }
    if study.next_cursor.is_some() {
        let more = format!("… and more: `mecapy study table {}` has a row for each case", study.id);
        lines.push(painter.paint(Style::Dim, &more));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_study_shows_its_members() {
        let study = r#"{"id":"018bcfe5-6800-7707-8707-070707070707","name":"M12 joint","description":"Which class?\n",
            "created_at":"2026-01-02T03:04:05Z","changed_at":"2026-01-02T03:04:05Z","links":{},
            "counts":{"tasks":0,"batches":1,"workflow_runs":0},"members":[{"kind":"batch",
            "id":"018bcfe5-6800-7707-8707-070707070708","name":null,"state":"completed","created_at":"2026-01-02T03:04:05Z",
            "link":"/v1/batches/x"}],"next_cursor":null}"#;
        let lines = lines(&serde_json::from_str(study).unwrap(), &Terminal::new(Format::Json));
        let expected = [
            "M12 joint",
            "Which class?",
            "0 tasks, 1 batches, 0 workflow runs",
            "",
            "KIND   ID                                    STATE      CREATED           NAME",
            "batch  018bcfe5-6800-7707-8707-070707070708  completed  2026-01-02 03:04",
        ];
        assert_eq!(lines, expected);
    }
}
