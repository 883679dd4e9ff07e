//! `mecapy watch`: a task's progress and log, live, and its result at the end.

use super::{
    connection::connect,
    exit::Exit,
    following::{FollowOptions, follow},
    terminal::Terminal,
};
use crate::config::ClientFlags;
use anyhow::Result;
use mecapy_model::TaskId;
use std::path::PathBuf;

/// Follow a task to its end: progress, log, result. Ctrl-C stops watching and leaves the task alone
#[derive(Debug, clap::Args)]
pub(crate) struct WatchArguments {
    /// The task's id, as `submit` printed it
    id: TaskId,
    /// Download artifacts into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn watch(arguments: WatchArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    // A wrong address or id is told at once; from then on the connection may break for a while.
    client.task(arguments.id).await?;
    follow(&client, arguments.id, &FollowOptions { out: arguments.out, source: None }, terminal).await
}
