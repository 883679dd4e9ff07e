//! `mecapy batches cancel`, `retry` and `delete`.

use crate::{
    client::{Answer, BatchAnswer},
    commands::{
        batch::{Events, Wanted, follow, show_ending},
        connection::connect,
        exit::Exit,
        terminal::{Format, Terminal},
    },
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::BatchId;

/// Stop a batch: items that have not ended are cancelled, the others stay as they are
#[derive(Debug, clap::Args)]
pub(super) struct CancelArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    #[command(flatten)]
    client: ClientFlags,
}

/// Run again what failed or was cancelled, and nothing that completed
#[derive(Debug, clap::Args)]
pub(super) struct RetryArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    /// Don't wait for the end
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    client: ClientFlags,
}

/// Delete a batch that has ended, with its results
#[derive(Debug, clap::Args)]
pub(super) struct DeleteArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn cancel(arguments: CancelArguments, terminal: &Terminal) -> Result<Exit> {
    let answer = connect(&arguments.client)?.cancel_batch(arguments.id).await?;
    say(&answer, "is being cancelled", terminal);
    Ok(Exit::Completed)
}

pub(super) async fn retry(arguments: RetryArguments, terminal: &Terminal) -> Result<Exit> {
    let (client, id) = (connect(&arguments.client)?, arguments.id);
    let answer = client.retry_batch(id).await?;
    if arguments.detach {
        say(&answer, "runs again what did not complete", terminal);
        return Ok(Exit::Completed);
    }
    match follow(&client, id, Events::Kept, terminal).await? {
        Some(exit) => Ok(exit),
        None => show_ending(&client, id, &Wanted::default(), terminal).await,
    }
}

pub(super) async fn delete(arguments: DeleteArguments, terminal: &Terminal) -> Result<Exit> {
    connect(&arguments.client)?.delete_batch(arguments.id).await?;
    terminal.note(&format!("{} is deleted", arguments.id));
    Ok(Exit::Completed)
}

fn say(answer: &Answer<BatchAnswer>, what: &str, terminal: &Terminal) {
    match terminal.format {
        Format::Json => terminal.print(answer.text.get()),
        Format::Human => terminal.print(&format!("{} {what}", answer.value.id)),
    }
}
