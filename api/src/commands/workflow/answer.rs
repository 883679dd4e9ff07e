//! `mecapy workflow approve`, `cancel` and `restart`: what people say to runs.

use super::watch::{Events, follow};
use crate::{
    client::{Answer, RunAnswer},
    commands::{
        connection::connect,
        exit::Exit,
        terminal::{Format, Terminal, neutralise_line},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::RunId;

/// Answer a node that waits for a person; who answered stands in the run's log
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArguments {
    /// The run's id, as `workflow run` printed it
    run: RunId,
    /// The node that waits
    key: String,
    /// Say no: the node fails
    #[arg(long)]
    reject: bool,
    /// Why, for those who read the log
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Stop a run with all that belongs to it
#[derive(Debug, clap::Args)]
pub(super) struct CancelArguments {
    /// The run's id, as `workflow run` printed it
    run: RunId,
    #[command(flatten)]
    client: ClientFlags,
}

/// Let a run that failed or was cancelled go on; nodes that completed are kept and not run again
#[derive(Debug, clap::Args)]
pub(super) struct RestartArguments {
    /// The run's id, as `workflow run` printed it
    run: RunId,
    /// Don't wait for the end
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn approve(arguments: ApproveArguments, terminal: &Terminal) -> Result<Exit> {
    let ApproveArguments { run, key, reject, comment, client } = arguments;
    let answer = connect(&client)?.approve(run, &key, (!reject, comment.as_deref())).await?;
    let what = if reject { "is rejected" } else { "is approved" };
    say(&answer, &format!("{} {what}", neutralise_line(&key)), terminal);
    Ok(Exit::Completed)
}

pub(super) async fn cancel(arguments: CancelArguments, terminal: &Terminal) -> Result<Exit> {
    let answer = connect(&arguments.client)?.cancel_run(arguments.run).await?;
    say(&answer, &format!("{} is being cancelled", arguments.run), terminal);
    Ok(Exit::Completed)
}

pub(super) async fn restart(arguments: RestartArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let answer = client.restart_run(arguments.run).await?;
    if arguments.detach {
        say(&answer, &format!("{} goes on", arguments.run), terminal);
        return Ok(Exit::Completed);
    }
    follow(&client, answer, Events::Kept, terminal).await
}

fn say(answer: &Answer<RunAnswer>, what: &str, terminal: &Terminal) {
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => terminal.print(what),
    }
}
