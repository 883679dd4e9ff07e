//! `mecapy logs`: what a task printed.

use super::{
    connection::connect,
    exit::Exit,
    following::{detached, show_log, show_outage},
    interrupt::Interrupt,
    terminal::{Format, Terminal},
};
use crate::{
    client::{Client, LogEntry, Patience},
    config::ClientFlags,
};
use anyhow::Result;
use indicatif::ProgressBar;
use mecapy_model::TaskId;
use std::time::Duration;

/// How often a log that is followed is asked for.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// Show what a task printed: its stdout on stdout, its stderr on stderr
#[derive(Debug, clap::Args)]
pub(crate) struct LogsArguments {
    /// The task's id, as `submit` printed it
    id: TaskId,
    /// Go on until the task has ended
    #[arg(long)]
    follow: bool,
    /// Leave out the entries before this index
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    since: u64,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn logs(arguments: LogsArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let mut interrupt = Interrupt::listen()?;
    let LogsArguments { id, since, follow, .. } = arguments;
    let bar = terminal.spinner();
    let shown = tokio::select! {
        shown = show(&client, id, (since, follow), &bar, terminal) => Some(shown),
        () = interrupt.next() => None,
    };
    bar.finish_and_clear();
    shown.unwrap_or_else(|| Ok(detached(id, terminal)))
}

/// Shows entries until there are no more, or where they are followed until the task has ended.
async fn show(
    client: &Client,
    id: TaskId,
    (mut since, follow): (u64, bool),
    bar: &ProgressBar,
    terminal: &Terminal,
) -> Result<Exit> {
    let (mut patience, mut heard) = (Patience::default(), false);
    loop {
        let page = match client.logs(id, since).await {
            // A wrong address is told at once, and a connection may break for a while.
            Err(error) if follow && (heard || !error.is_unreachable()) => {
                let wait = patience.wait_after(error)?;
                show_outage(bar, (wait, patience.is_first()), terminal);
                tokio::time::sleep(wait).await;
                continue;
            }
            answer => answer?,
        };
        patience.restore();
        heard = true;
        for entry in &page.entries {
            bar.suspend(|| show_entry(entry, terminal));
        }
        let advanced = page.next_index > since && !page.entries.is_empty();
        since = since.max(page.next_index);
        if advanced {
            continue;
        }
        if page.done || !follow {
            return Ok(Exit::Completed);
        }
        bar.set_message("following the log");
        tokio::time::sleep(FOLLOW_INTERVAL).await;
    }
}

fn show_entry(entry: &LogEntry, terminal: &Terminal) {
    match terminal.format {
        Format::Json => terminal.print_json(entry),
        Format::Human => show_log(entry.stream, &entry.text, terminal),
    }
}
