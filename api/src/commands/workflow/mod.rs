//! `mecapy workflow`: graphs of computations, saved, run and watched.

mod answer;
mod dag;
mod list;
mod run;
mod save;
mod watch;

use super::{exit::Exit, terminal::Terminal};
use anyhow::Result;

/// Save workflows, run them, and watch and answer their runs
#[derive(Debug, clap::Args)]
pub(super) struct WorkflowArguments {
    #[command(subcommand)]
    command: WorkflowCommand,
}

#[derive(Debug, clap::Subcommand)]
enum WorkflowCommand {
    Save(save::SaveArguments),
    List(list::ListArguments),
    Show(list::ShowArguments),
    Run(Box<run::RunArguments>),
    Runs(list::RunsArguments),
    Watch(watch::WatchArguments),
    Approve(answer::ApproveArguments),
    Cancel(answer::CancelArguments),
    Restart(answer::RestartArguments),
}

pub(super) async fn workflow(arguments: WorkflowArguments, terminal: &Terminal) -> Result<Exit> {
    match arguments.command {
        WorkflowCommand::Save(arguments) => save::save(arguments, terminal).await,
        WorkflowCommand::List(arguments) => list::list(arguments, terminal).await,
        WorkflowCommand::Show(arguments) => list::show(arguments, terminal).await,
        WorkflowCommand::Run(arguments) => run::run(*arguments, terminal).await,
        WorkflowCommand::Runs(arguments) => list::runs(arguments, terminal).await,
        WorkflowCommand::Watch(arguments) => watch::watch(arguments, terminal).await,
        WorkflowCommand::Approve(arguments) => answer::approve(arguments, terminal).await,
        WorkflowCommand::Cancel(arguments) => answer::cancel(arguments, terminal).await,
        WorkflowCommand::Restart(arguments) => answer::restart(arguments, terminal).await,
    }
}
