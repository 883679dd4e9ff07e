//! `mecapy logs`: what a task printed.

use super::{
    connection::connect,
    exit::Exit,
    following::show_log,
    interrupt::Interrupt,
    terminal::{Format, Terminal},
};
use crate::{
    client::{Client, LogEntry},
    config::ClientFlags,
};
use anyhow::Result;
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
    tokio::select! {
        shown = show(&client, id, (since, follow.then_some(FOLLOW_INTERVAL)), terminal) => shown,
        () = interrupt.next() => Ok(Exit::Completed),
    }
}

/// Shows entries until there are no more, or with an interval until the task has ended.
async fn show(
    client: &Client,
    id: TaskId,
    (mut since, interval): (u64, Option<Duration>),
    terminal: &Terminal,
) -> Result<Exit> {
    loop {
        let page = match client.logs(id, since).await {
            Err(error) if interval.is_some() && error.is_passing() && !error.is_unreachable() => None,
            answer => Some(answer?),
        };
        if let Some(page) = page {
            page.entries.iter().for_each(|entry| show_entry(entry, terminal));
            let advanced = page.next_index > since && !page.entries.is_empty();
            since = since.max(page.next_index);
            if advanced {
                continue;
            }
            if page.done || interval.is_none() {
                return Ok(Exit::Completed);
            }
        }
        tokio::time::sleep(interval.unwrap_or(FOLLOW_INTERVAL)).await;
    }
}

fn show_entry(entry: &LogEntry, terminal: &Terminal) {
    match terminal.format {
        Format::Json => terminal.print_json(entry),
        Format::Human => show_log(entry.stream, &entry.text, terminal),
    }
}
