//! `mecapy schedule pause`, `resume`, `run` and `delete`.

use crate::{
    commands::{
        connection::connect,
        exit::Exit,
        refusal::Refusal,
        terminal::{Format, Terminal},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::ScheduleId;

#[derive(Debug, clap::Args)]
pub(super) struct ChangeArguments {
    /// The schedule's id, as `schedule create` printed it
    id: ScheduleId,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn pause(arguments: ChangeArguments, terminal: &Terminal) -> Result<Exit> {
    set_paused(arguments, (true, "is paused"), terminal).await
}

pub(super) async fn resume(arguments: ChangeArguments, terminal: &Terminal) -> Result<Exit> {
    set_paused(arguments, (false, "goes on"), terminal).await
}

async fn set_paused(arguments: ChangeArguments, (paused, what): (bool, &str), terminal: &Terminal) -> Result<Exit> {
    let answer = connect(&arguments.client)?.pause_schedule(arguments.id, paused).await?;
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => terminal.print(&format!("{} {what}", arguments.id)),
    }
    Ok(Exit::Completed)
}

pub(super) async fn run(arguments: ChangeArguments, terminal: &Terminal) -> Result<Exit> {
    let started = connect(&arguments.client)?.run_schedule(arguments.id).await;
    let started = started.map_err(|error| Refusal::with_source(error, None))?;
    match terminal.format {
        Format::Json => terminal.print(started.text.get()),
        Format::Human => {
            let (task, run) = (started.value.task, started.value.workflow_run);
            let line = task.map(|task| format!("task {task}: `mecapy watch {task}` follows it"));
            let line = line.or_else(|| run.map(|run| format!("run {run}: `mecapy workflow watch {run}` follows it")));
            terminal.print(&line.unwrap_or_default());
        }
    }
    Ok(Exit::Completed)
}

pub(super) async fn delete(arguments: ChangeArguments, terminal: &Terminal) -> Result<Exit> {
    connect(&arguments.client)?.delete_schedule(arguments.id).await?;
    terminal.note(&format!("{} is deleted", arguments.id));
    Ok(Exit::Completed)
}
