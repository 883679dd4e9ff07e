//! `mecapy batches`: what was submitted, what came out, and stopping or mending it.

mod change;
mod list;
mod results;

use super::{
    batch::{Events, Wanted, follow, show_ending},
    connection::connect,
    exit::Exit,
    tables::TableFormat,
    terminal::Terminal,
};
use crate::config::ClientFlags;
use anyhow::Result;
use mecapy_model::BatchId;
use std::path::PathBuf;

/// Find batches, watch them, fetch their results, stop or mend them
#[derive(Debug, clap::Args)]
pub(super) struct BatchesArguments {
    #[command(subcommand)]
    command: BatchesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum BatchesCommand {
    List(list::ListArguments),
    Show(list::ShowArguments),
    Watch(WatchArguments),
    Results(results::ResultsArguments),
    Plot(results::PlotArguments),
    Cancel(change::CancelArguments),
    Retry(change::RetryArguments),
    Delete(change::DeleteArguments),
}

/// Follow a batch to its end, and show what came out. Ctrl-C stops watching and leaves it alone
#[derive(Debug, clap::Args)]
struct WatchArguments {
    /// The batch's id, as `batch` printed it
    id: BatchId,
    /// Write all results to a file: .csv, .parquet, .arrow, .ndjson or .json
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Exit with 1 where items failed, also where the others went on
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    client: ClientFlags,
}

pub(super) async fn batches(arguments: BatchesArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        BatchesCommand::List(arguments) => list::list(arguments, terminal).await,
        BatchesCommand::Show(arguments) => list::show(arguments, terminal).await,
        BatchesCommand::Watch(arguments) => watch(arguments, terminal).await,
        BatchesCommand::Results(arguments) => results::results(arguments, terminal).await,
        BatchesCommand::Plot(arguments) => results::plot(arguments, terminal).await,
        BatchesCommand::Cancel(arguments) => change::cancel(arguments, terminal).await,
        BatchesCommand::Retry(arguments) => change::retry(arguments, terminal).await,
        BatchesCommand::Delete(arguments) => change::delete(arguments, terminal).await,
    }
}

async fn watch(arguments: WatchArguments, terminal: &Terminal) -> Result<Exit> {
    let WatchArguments { id, out, strict, client } = arguments;
    let out = out.map(|path| TableFormat::of_path(&path).map(|format| (format, path))).transpose()?;
    let client = connect(&client)?;
    // A wrong address or id is told at once; from then on the connection may break for a while.
    client.batch(id).await?;
    match follow(&client, id, Events::Printed, terminal).await? {
        Some(exit) => Ok(exit),
        None => show_ending(&client, id, &Wanted { out, plot: None, strict }, terminal).await,
    }
}
