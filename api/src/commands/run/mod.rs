//! `mecapy run`: a computation in this process's own sandbox, without a server.

mod live;
mod local;

use super::{
    artifacts::{OutFolder, SavedArtifact},
    computation::ComputationFlags,
    exit::Exit,
    report::{Output, Report, Shown},
    terminal::{Format, Terminal},
};
use crate::config::PlaceFlags;
use anyhow::Result;
use mecapy_model::{ErrorKind, Outcome, TaskState};
use std::path::PathBuf;

/// Run a file in a sandbox of this machine, without a server
#[derive(Debug, clap::Args)]
pub(crate) struct RunArguments {
    #[command(flatten)]
    computation: ComputationFlags,
    /// Folder for artifacts [default: mecapy-out, where there are any]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    places: PlaceFlags,
}

pub(crate) async fn run(arguments: RunArguments, terminal: &Terminal) -> Result<Exit> {
    let computation = arguments.computation.load()?;
    let places = arguments.places.load()?;
    // Loading an interpreter takes a moment, and compiling a module takes some seconds.
    let bar = terminal.spinner();
    bar.set_message("preparing");
    let prepared = local::prepare(&computation, &places);
    bar.finish_and_clear();
    let prepared = prepared?;
    let (seed, early) = (prepared.attempt.seed, prepared.warnings.clone());
    let outcome = live::watch(prepared, terminal).await?;
    let artifacts = save(&outcome, arguments.out)?;
    let state = match outcome.error_kind() {
        None => TaskState::Completed,
        Some(ErrorKind::Cancelled) => TaskState::Cancelled,
        Some(_) => TaskState::Failed,
    };
    let (result, error) = match outcome.result {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    let mut warnings = early;
    warnings.extend(outcome.warnings);
    let output = Output { stdout: outcome.stdout, stderr: outcome.stderr, stdout_truncated: outcome.stdout_truncated };
    let report = Report {
        id: None,
        state,
        result,
        error,
        warnings,
        seed: Some(seed),
        output: Some(output),
        usage: Some(outcome.usage),
        artifacts,
    };
    let shown = if terminal.format == Format::Human { Shown::Live } else { Shown::NotYet };
    Ok(report.show(terminal, computation.source_text(), shown))
}

fn save(outcome: &Outcome, out: Option<PathBuf>) -> Result<Vec<SavedArtifact>> {
    let mut folder = OutFolder::new(out.as_deref());
    let artifacts = outcome.artifacts.iter();
    artifacts.map(|artifact| folder.save(&artifact.name, artifact.content_type, &artifact.bytes)).collect()
}
