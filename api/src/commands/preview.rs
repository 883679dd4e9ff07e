//! `mecapy preview`: a computation on a server's fast path, answered at once.

use super::{
    artifacts::OutFolder,
    computation::ComputationFlags,
    connection::{connect, send_parts},
    exit::Exit,
    interrupt::Interrupt,
    refusal::Refusal,
    report::{Output, Report, Shown},
    terminal::{Style, Terminal},
};
use crate::{client::PreviewAnswer, config::ClientFlags};
use anyhow::Result;
use std::path::PathBuf;

/// Run a file or a published function on a server and show the result at once (up to 5 s of computing)
#[derive(Debug, clap::Args)]
pub(crate) struct PreviewArguments {
    #[command(flatten)]
    computation: ComputationFlags,
    /// Folder for artifacts [default: mecapy-out, where there are any]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    client: ClientFlags,
}

pub(crate) async fn preview(arguments: PreviewArguments, terminal: &Terminal) -> Result<Exit> {
    let computation = arguments.computation.load()?;
    let client = connect(&arguments.client)?;
    let mut interrupt = Interrupt::listen()?;
    let work = async {
        let sent = send_parts(&client, &computation, terminal).await?;
        let body = serde_json::value::to_raw_value(&computation.body(&sent.code, sent.files))?;
        let bar = terminal.spinner();
        bar.set_message("computing");
        let answer = client.preview(&body).await;
        bar.finish_and_clear();
        answer.map_err(|error| Refusal::with_source(error, computation.source_text()))
    };
    let answer = tokio::select! {
        answer = work => answer?.value,
        // Closing the connection is what stops a preview.
        () = interrupt.next() => {
            terminal.note(&terminal.err.paint(Style::Yellow, "cancelled"));
            return Ok(Exit::Cancelled);
        }
    };
    let artifacts = OutFolder::new(arguments.out.as_deref()).save_inline(&answer.artifacts)?;
    let PreviewAnswer { state, result, error, warnings, seed, stdout, stderr, stdout_truncated, usage, .. } = answer;
    let output = Some(Output { stdout, stderr, stdout_truncated });
    let report = Report { id: None, state, result, error, warnings, seed, output, usage, artifacts };
    Ok(report.show(terminal, computation.source_text(), Shown::NotYet))
}
