//! `mecapy cancel`: stops tasks, queued or running.

use super::{
    connection::connect,
    exit::Exit,
    terminal::{Format, Severity, Terminal, neutralise_line},
};
use crate::{
    client::{ClientError, Problem},
    config::ClientFlags,
};
use anyhow::Result;
use mecapy_model::TaskId;
use serde::Serialize;

/// Stop tasks, queued or running
#[derive(Debug, clap::Args)]
pub(crate) struct CancelArguments {
    /// Ids of tasks, as `submit` printed them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<TaskId>,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Serialize)]
struct Line<'a> {
    id: TaskId,
    /// Whether the server took the request.
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<&'a Problem>,
}

/// Goes on after a task that can't be cancelled; the exit is that of the first that couldn't.
pub(crate) async fn cancel(arguments: CancelArguments, terminal: &Terminal) -> Result<Exit> {
    let client = connect(&arguments.client)?;
    let mut exit = Exit::Completed;
    for id in arguments.ids {
        let problem = match client.cancel(id).await {
            Ok(()) => None,
            Err(ClientError::Refused(problem)) if matches!(problem.status, 404 | 409) => Some(problem),
            Err(error) => return Err(error.into()),
        };
        match (terminal.format, &problem) {
            (Format::Json, problem) => {
                terminal.print_json(&Line { id, accepted: problem.is_none(), problem: problem.as_deref() });
            }
            (Format::Human, None) => terminal.print(&format!("{id} is being cancelled")),
            (Format::Human, Some(problem)) => {
                let word = Severity::Error.word(terminal.err);
                terminal.note(&format!("{word}: {id}: {}", neutralise_line(&problem.headline())));
            }
        }
        if problem.is_some() && exit == Exit::Completed {
            exit = Exit::Refused;
        }
    }
    Ok(exit)
}
