//! `mecapy batches list` and `show`.

use crate::{
    client::{BatchAnswer, Listed},
    commands::{
        batch::{Wanted, show_ending},
        connection::connect,
        exit::Exit,
        listing::{self, PageFlags, minute},
        terminal::{Format, Painter, Style, Terminal, aligned, summary},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::{BatchId, BatchState, StudyId};

/// List your batches, newest first
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Only those in this state: queued, running, completed, failed or cancelled
    #[arg(long, value_name = "STATE")]
    state: Option<BatchState>,
    /// Only those of this study
    #[arg(long, value_name = "ID")]
    study: Option<StudyId>,
    #[command(flatten)]
    page: PageFlags,
}

/// Show a batch: how far it is, or its first and last rows, statistics and errors once it has ended
#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn list(arguments: ListArguments, terminal: &Terminal) -> Result<Exit> {
    let ListArguments { state, study, page } = arguments;
    let study = study.map(|study| study.to_string());
    let filters = [("state", state.map(BatchState::as_str)), ("study", study.as_deref())];
    listing::list((Listed::Batches, &filters), &page, terminal, |found| table(found, terminal.out)).await
}

pub(super) async fn show(arguments: ShowArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let batch = client.batch(arguments.id).await?;
    if batch.value.state.is_terminal() {
        show_ending(&client, arguments.id, &Wanted::default(), terminal).await?;
        return Ok(Exit::Completed);
    }
    match terminal.format {
        Format::Json => terminal.print(batch.text.get()),
        Format::Human => {
            table(std::slice::from_ref(&batch.value), terminal.out).iter().for_each(|line| terminal.print(line));
            let hint = format!("follow it with `mecapy batches watch {}`", arguments.id);
            terminal.note(&terminal.err.paint(Style::Dim, &hint));
        }
    }
    Ok(Exit::Completed)
}

fn table(batches: &[BatchAnswer], painter: Painter) -> Vec<String> {
    let row = |batch: &BatchAnswer| {
        let counts = batch.counts;
        [
            batch.id.to_string(),
            batch.state.as_str().to_owned(),
            format!("{}/{}", counts.ended(), counts.total),
            if counts.failed > 0 { counts.failed.to_string() } else { String::new() },
            minute(&batch.created_at),
            batch.name.as_deref().map(summary).unwrap_or_default(),
        ]
    };
    aligned(
        ["BATCH", "STATE", "ENDED", "FAILED", "CREATED", "NAME"],
        &batches.iter().map(row).collect::<Vec<_>>(),
        painter,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_have_a_row_each() {
        let batches = r#"[{"id":"018bcfe5-6800-7707-8707-070707070707","name":"bolts","state":"running","total":150,"queued":0,
            "running":10,"completed":38,"failed":2,"cancelled":0,"created_at":"2026-11-26T14:00:59.123Z","completed_at":null}]"#;
        let lines = table(&serde_json::from_str::<Vec<_>>(batches).unwrap(), Painter::Plain);
        let expected = [
            "BATCH                                 STATE    ENDED   FAILED  CREATED           NAME",
            "018bcfe5-6800-7707-8707-070707070707  running  40/150  2       2026-11-26 14:00  bolts",
        ];
        assert_eq!(lines, expected);
    }
}
